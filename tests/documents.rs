//! What README.md and the Dockerfile say of other files must be true.

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
