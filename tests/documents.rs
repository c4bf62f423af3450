//! What README.md, the Dockerfile and `deploy/` say of other files must be true.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_readme_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("\n## ").find(|section| section.starts_with("What happens when")).unwrap();
    let rows: Vec<&str> =
        section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| when")).collect();
    assert!(rows.len() > 15, "{rows:?}");
    for row in rows {
        let tests = row.rsplit(" | ").next().unwrap().split('`').filter_map(|part| part.split_once("::"));
        let mut count = 0;
        for (file, name) in tests {
            let text = fs::read_to_string(root.join(format!("tests/api/{file}.rs"))).unwrap_or_default();
            assert!(text.contains(&format!("async fn {name}()")), "{file}::{name}, of this row: {row}");
            count += 1;
        }
        assert!(count > 0, "this row names no test: {row}");
    }
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
fn every_setting_that_a_deployment_names_is_in_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let files = fs::read_dir(root.join("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.chain([root.join("Dockerfile")]) {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|char: char| !char.is_ascii_uppercase() && char != '_');
        for setting in words.filter(|word| word.starts_with("SCIM_") || word.starts_with("PERSONIO_")) {
            assert!(readme.contains(&format!("`{setting}`")), "{setting}, in {}", file.display());
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
