//! Language of comments and documents, as CONTRIBUTING.md describes it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Words with which a doc comment continues its identifier instead of naming it.
const OPENINGS: &[&str] = &[
    "what", "whatever", "who", "whoever", "whom", "whose", "whether", "where", "wherever", "how",
    "those", "as", "so",
];
/// Words and phrases that occur in no comment and no document.
const WORDS: &[&str] = &[
    "anew",
    "mend",
    "mends",
    "mended",
    "beside",
    "whoever",
    "whomever",
    "nobody",
    "somebody",
    "told",
    "so many",
    "so few",
    "so long as",
    "lets go",
    "gone through",
];

#[test]
fn comments_and_documents_are_in_plain_words() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(|name| root.join(name)).to_vec();
    files.extend(files_below(&root.join("src")));
    files.extend(files_below(&root.join("docs")));
    let mut mistakes = Vec::new();
    for file in &files {
        let is_code = file.extension().is_some_and(|extension| extension == "rs");
        let mut is_inside_comment = false;
        let mut is_fenced = false;
        for (number, line) in (1..).zip(fs::read_to_string(file).unwrap().lines()) {
            let comment = line.trim_start().strip_prefix("//");
            is_fenced ^= line.trim_start().starts_with("```");
            let Some(text) = (if is_code { comment } else { Some(line).filter(|_| !is_fenced) })
            else {
                is_inside_comment = false;
                continue;
            };
            let words = words(text);
            let begins = |word: &&str| words.starts_with(&format!(" {word} "));
            let contains = |word: &&str| words.contains(&format!(" {word} "));
            let is_opening = is_code && !is_inside_comment && text.starts_with(['/', '!']);
            if (is_opening && OPENINGS.iter().any(begins)) || WORDS.iter().any(contains) {
                mistakes.push(format!("{}:{number}: {line}", file.display()));
            }
            is_inside_comment = true;
        }
    }
    assert!(files.len() > 200, "only {} files were found", files.len());
    assert!(mistakes.is_empty(), "{} places:\n{}", mistakes.len(), mistakes.join("\n"));
}

/// Returns the words of a line in lower case, each between two spaces, without code spans.
fn words(line: &str) -> String {
    let mut words = String::from(" ");
    for text in line.split('`').step_by(2) {
        for word in text.split(|char: char| !char.is_alphanumeric() && char != '-') {
            if !word.is_empty() {
                words += &format!("{} ", word.to_lowercase());
            }
        }
    }
    words
}

/// Returns all Rust files and documents below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            files.push(path);
        }
    }
    files
}
