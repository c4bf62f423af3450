//! What README.md, SECURITY.md, the pages about clients, the Dockerfile and `deploy/` say of other files must be true.

use std::fs;
use std::path::Path;

/// The document, the section with the table, how the table's heading begins, and how many rows there are at least.
const TABLES: [(&str, &str, &str, usize); 2] =
    [("docs/operations.md", "What happens when", "| when", 15), ("SECURITY.md", "Threats", "| if", 15)];

#[test]
fn every_test_that_a_table_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (document, heading, first_row, least) in TABLES {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows: Vec<&str> =
            section.lines().filter(|line| line.starts_with("| ") && !line.starts_with(first_row)).collect();
        assert!(rows.len() > least, "{document}: {rows:?}");
        for row in rows {
            let names: Vec<&str> =
                row.rsplit(" | ").next().unwrap().split('`').filter(|part| part.contains("::")).collect();
            assert!(!names.is_empty(), "{document}: this row names no test: {row}");
            names.iter().for_each(|name| is_there(root, name));
        }
    }
}

/// What a client sends is replayed by a test, and the client's page names it.
#[test]
fn every_test_that_a_page_about_a_client_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for page in fs::read_dir(root.join("docs/clients")).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        for name in text.split('`').filter(|part| part.starts_with("clients::")) {
            is_there(root, name);
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
}

/// Whether `file::name` is a test in `tests/api/`.
fn is_there(root: &Path, test: &str) {
    let (file, name) = test.split_once("::").unwrap_or_default();
    let read = |file: String| fs::read_to_string(root.join("tests/api").join(file));
    let text = read(format!("{file}.rs")).or_else(|_| read(format!("{file}/mod.rs"))).unwrap_or_default();
    assert!(text.contains(&format!("fn {name}()")), "{test} does not exist");
}

/// Cargo reads no manifest whose targets are missing.
#[test]
fn the_image_is_built_around_a_crate_that_has_every_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [manifest, dockerfile] = ["Cargo.toml", "Dockerfile"].map(|file| fs::read_to_string(root.join(file)).unwrap());
    let benches = manifest.split("[[bench]]").skip(1).filter_map(|bench| bench.split('"').nth(1));
    let mut count = 0;
    for bench in benches {
        assert!(dockerfile.contains(&format!("benches/{bench}.rs")), "{bench} has no stub");
        count += 1;
    }
    assert!(count > 0, "without benchmarks this test is not needed");
}

/// A setting that is misspelt there would end the server at its start, or be missing.
#[test]
fn every_setting_that_a_deployment_names_is_told() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = fs::read_to_string(root.join("docs/settings.md")).unwrap();
    let files = fs::read_dir(root.join("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.chain([root.join("Dockerfile")]) {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|char: char| !char.is_ascii_uppercase() && char != '_');
        for setting in words.filter(|word| word.starts_with("SCIM_") || word.starts_with("PERSONIO_")) {
            assert!(told.contains(&format!("`{setting}`")), "{setting}, in {}", file.display());
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn the_readme_links_to_every_file_for_deployment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let files: Vec<_> = fs::read_dir(root.join("deploy")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let link = format!("(deploy/{})", file.display());
        assert!(readme.contains(&link), "{link}");
    }
}
