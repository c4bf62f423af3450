//! Who may know whom, and which words belong where: the rules of `docs/architecture.md` over the text
//! of `src/`. It reads text, not syntax, so it can be outwitted; it is here to catch what slips in.
//!
//! Comments are never looked at, and tests inside `src/` only where a rule says so: a test may use what
//! the code beside it must not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that meets something unexpected fails by panicking")]

use std::fs;
use std::path::Path;

/// The module, what of ours it may use, and which names from outside it must not mention.
struct Layer {
    module: &'static str,
    uses: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        module: "scim",
        uses: &[],
        never: &["actix_web", "tokio", "reqwest", "moka", "tracing", "std::env", "arc_swap", "oauth2"],
        why: "scim is the RFCs as values and pure functions: no network, no clock, no settings",
    },
    Layer { module: "clock", uses: &[], never: &[], why: "time is at the bottom of everything" },
    Layer {
        module: "access",
        uses: &["clock"],
        never: &["actix_web", "oauth2"],
        why: "access decides about a token and an address: it does not know how they were sent or what is asked for",
    },
    Layer {
        module: "answers",
        uses: &["scim"],
        never: &["actix_web", "tokio", "reqwest", "serde_json"],
        why: "answers keeps bytes: it does not know what they say, nor how they are asked for",
    },
    Layer {
        module: "connections",
        uses: &[],
        never: &["reqwest", "moka", "oauth2", "serde_json"],
        why: "connections bounds what peers may cost: it does not know who they are or what they request",
    },
    Layer {
        module: "tls",
        uses: &["clock"],
        never: &["actix_web", "reqwest", "moka", "oauth2"],
        why: "tls is about a certificate and its key: what is served with it is for app",
    },
    Layer { module: "telemetry", uses: &[], never: &[], why: "logs know routes and statuses, no people" },
    Layer {
        module: "personio",
        uses: &["clock"],
        never: &["actix_web", "subtle", "arc_swap"],
        why: "personio speaks to Personio in its words: it serves nobody and does not know what the data is for",
    },
    Layer {
        module: "directory",
        uses: &["clock", "scim"],
        never: &["reqwest", "actix_web", "oauth2", "serde_json"],
        why: "directory is about freshness: it knows neither HTTP nor where people come from",
    },
    Layer {
        module: "translate",
        uses: &["clock", "directory", "personio", "scim"],
        never: &["actix_web", "reqwest", "moka", "oauth2"],
        why: "translate is where both vocabularies meet: no HTTP on either side, no caching",
    },
    Layer {
        module: "endpoints",
        uses: &["access", "answers", "connections", "directory", "scim"],
        never: &["reqwest", "moka", "flate2", "brotli", "zstd", "oauth2", "jiff", "jsonwebtoken"],
        why: "endpoints serve what the directory holds: they know nothing of Personio, of loading or of the day",
    },
    Layer {
        module: "simulator",
        uses: &[],
        never: &["reqwest", "moka", "oauth2"],
        why: "the simulator is another system: a client that works with it has learnt nothing but the wire",
    },
    Layer {
        module: "config",
        uses: &["access", "scim", "telemetry", "tls", "translate"],
        never: &["actix_web", "moka", "tokio"],
        why: "config checks settings and does not know how they are used",
    },
    Layer {
        module: "commands",
        uses: &["app", "clock", "config", "directory", "scim", "simulator", "telemetry", "translate"],
        never: &[],
        why: "commands start things and print what comes of it; how they are built is for app",
    },
    Layer {
        module: "app",
        uses: &[
            "access",
            "clock",
            "config",
            "connections",
            "directory",
            "endpoints",
            "personio",
            "scim",
            "telemetry",
            "tls",
            "translate",
        ],
        never: &[],
        why: "app builds the bridge, from whichever command, over whichever Personio",
    },
];

#[test]
fn every_module_has_its_place() {
    let modules: Vec<String> = code("lib.rs")
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("pub mod ")?.trim_end_matches(';').to_owned()))
        .collect();
    let mut placed: Vec<&str> = LAYERS.iter().map(|layer| layer.module).collect();
    placed.sort_unstable();
    assert_eq!(modules, placed, "a module of lib.rs without a row here may use anything: give it one");
}

#[test]
fn a_module_uses_only_what_is_below_it() {
    check("data goes one way, and nobody reaches back up", |file, found| {
        let Some(layer) = layer(file) else { return };
        for used in own_modules(&file.bare) {
            if used != layer.module && !layer.uses.contains(&used.as_str()) {
                found.push(format!("uses crate::{used}: {}", layer.why));
            }
        }
    });
}

#[test]
fn a_module_does_not_know_the_libraries_of_another() {
    check("whoever names a library knows what it is for", |file, found| {
        let Some(layer) = layer(file) else { return };
        for name in layer.never.iter().filter(|name| mentions(&file.bare, name)) {
            found.push(format!("mentions {name}: {}", layer.why));
        }
    });
}

#[test]
fn only_settings_and_logs_read_the_environment() {
    check("a setting that is read elsewhere has no flag, no check and no line in docs/settings.md", |file, found| {
        if matches!(file.module.as_str(), "config" | "telemetry") {
            return;
        }
        for name in ["std::env", "env::var", "EnvFilter", "option_env"] {
            if mentions(&file.bare, name) {
                found.push(format!("mentions {name}"));
            }
        }
    });
}

#[test]
fn each_side_speaks_its_own_language() {
    const URN: &str = "pub const EXTENSION_USER: &str = \"urn:ietf:params:scim:schemas:extension:personio:2.0:User\";";
    check("only translate knows both vocabularies", |file, found| {
        let foreign = match file.module.as_str() {
            "scim" => "personio",
            "personio" => "scim",
            _ => return,
        };
        for (number, line) in file.code.lines().enumerate() {
            let excepted = line == URN || line.contains("include_str!(\"../../scim-schemas/personio-user.json\")");
            // The name of this program, as Personio reads it in the user agent.
            let text = line.replace("\"personio-scim/\"", "").to_lowercase();
            if text.contains(foreign) && !excepted {
                found.push(format!("line {}: \"{foreign}\" in {}", number + 1, line.trim()));
            }
        }
    });
}

#[test]
fn types_are_named_after_what_they_are() {
    check("a name says what a thing is; doer objects and prefixes of the module say nothing", |file, found| {
        for name in types(&file.bare) {
            // RFC 7643 §4.3 has a manager, and RFC 7644 §3.12 a scimType.
            let rfc = file.module == "scim" && matches!(name.as_str(), "Manager" | "ScimType");
            let doer = ["Service", "Helper", "Helpers", "Util", "Utils", "Processor", "Manager"];
            let prefixed = file.module == "scim" && name.starts_with("Scim");
            if !rfc && (prefixed || doer.iter().any(|word| name.ends_with(word))) {
                found.push(format!("has a type {name}"));
            }
        }
    });
}

#[test]
fn every_file_begins_with_a_header() {
    check("the header is where a reader finds out what a file is for", |file, found| {
        let header = if file.path == "lib.rs" { "#![doc" } else { "//!" };
        if !file.text.starts_with(header) {
            found.push(format!("does not begin with {header}"));
        }
    });
}

#[test]
fn nothing_is_silenced_or_put_off() {
    check(
        "`#[expect]` vanishes when it is no longer needed, and what is to do is an issue, not a comment",
        |file, found| {
            // Attributes also of tests; the two words also in comments.
            for attribute in ["#[allow", "#![allow"] {
                if blank(&file.text, true).contains(attribute) {
                    found.push(format!("has {attribute}"));
                }
            }
            for word in ["TODO", "FIXME"] {
                if file.text.contains(word) {
                    found.push(format!("has {word}"));
                }
            }
        },
    );
}

#[test]
fn what_must_not_leave_has_no_field() {
    const FORBIDDEN: &[&str] = &[
        "gender", "picture", "birth", "address", "phone", "salary", "iban", "bank", "tax", "reason", "hours",
        "religion",
    ];
    let model = code("personio/model.rs");
    assert!(fields(&model).iter().any(|field| field == "preferred_name"), "the fields are not found any more");
    let found: Vec<String> = fields(&model)
        .into_iter()
        .filter(|name| FORBIDDEN.iter().any(|word| name.to_lowercase().contains(word)))
        .collect();
    let why = "what has no field is dropped while the answer is read; a field here is a way out";
    assert!(found.is_empty(), "src/personio/model.rs has {found:?}: {why}");
}

// How the text is read.

struct File {
    /// Below `src/`, with `/`.
    path: String,
    /// The top module, or `lib` and `main`.
    module: String,
    /// Everything.
    text: String,
    /// Without comments and tests.
    code: String,
    /// Without comments, tests and the content of strings.
    bare: String,
}

/// Runs a rule over all files and fails with everything it finds, each with the file and the reason.
#[track_caller]
fn check(why: &str, rule: impl Fn(&File, &mut Vec<String>)) {
    let files = files();
    assert!(files.len() > 50, "only {} files were found", files.len());
    let mut all = String::new();
    for file in &files {
        let mut found = Vec::new();
        rule(file, &mut found);
        for one in found {
            all += &format!("\n  src/{} {one}", file.path);
        }
    }
    assert!(all.is_empty(), "{why}; but{all}\n");
}

fn files() -> Vec<File> {
    let mut paths = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walk(&source, &source, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(source.join(&path)).unwrap();
            let whole = path.ends_with("/tests.rs") || path.contains("/tests/");
            let without_tests = |strings| if whole { String::new() } else { cut_tests(&blank(&text, strings)) };
            let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
            File { module, code: without_tests(false), bare: without_tests(true), text, path }
        })
        .collect()
}

fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"));
        }
    }
}

fn code(path: &str) -> String {
    files().into_iter().find(|file| file.path == path).unwrap_or_else(|| panic!("src/{path} is gone")).code
}

fn layer(file: &File) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.module == file.module)
}

/// The text without comments and, if asked for, without what is in strings; lines stay where they are.
fn blank(text: &str, strings: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, hide) = token(rest, out.chars().next_back());
        let (this, after) = rest.split_at(length.max(first.len_utf8()));
        match hide {
            Hide::Comment => out.extend(this.chars().filter(|char| *char == '\n')),
            Hide::Text if strings => {
                out.push('"');
                out.extend(this.chars().filter(|char| *char == '\n'));
                out.push('"');
            }
            Hide::Text | Hide::Nothing => out.push_str(this),
        }
        rest = after;
    }
    out
}

enum Hide {
    Nothing,
    Comment,
    Text,
}

/// How long the piece at the beginning is, and what it is.
fn token(rest: &str, before: Option<char>) -> (usize, Hide) {
    let upto = |end: Option<usize>| end.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return (upto(rest.find('\n')), Hide::Comment);
    }
    if rest.starts_with("/*") {
        return (upto(rest.find("*/").map(|at| at + 2)), Hide::Comment);
    }
    if rest.starts_with('"') {
        return (upto(quoted(rest, '"')), Hide::Text);
    }
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_word) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw.trim_start_matches('#').starts_with('"') {
            let (start, close) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
            return (upto(rest.get(start..).unwrap().find(&close).map(|at| start + at + close.len())), Hide::Text);
        }
    }
    // A character, not a lifetime.
    let mut ahead = rest.chars();
    if ahead.next() == Some('\'') && (ahead.next() == Some('\\') || ahead.next() == Some('\'')) {
        return (upto(quoted(rest, '\'')), Hide::Text);
    }
    (0, Hide::Nothing)
}

/// Where what begins with `quote` ends, behind the closing one.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Empties `#[cfg(test)] mod tests { … }`; relies on rustfmt for where it ends.
fn cut_tests(code: &str) -> String {
    let mut out = String::new();
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        let tests = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| *next == "mod tests {");
        if tests {
            for inside in lines.by_ref() {
                out.push('\n');
                if inside == "}" {
                    break;
                }
            }
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

/// Whether `name` stands there as a whole path or word, not as the name of a field or function of ours.
fn mentions(bare: &str, name: &str) -> bool {
    bare.match_indices(name).any(|(at, _)| {
        let (before, after) = (bare.get(..at).unwrap(), bare.get(at + name.len()..).unwrap());
        let own = before.ends_with(is_word) || before.ends_with('.') || after.starts_with(is_word);
        // As in `use std::env;` or `tracing::info!`; a variable has no path.
        let path = name.contains("::") || name.contains(char::is_uppercase) || name == "option_env";
        let used = after.starts_with("::") || before.trim_end().ends_with("use") || before.ends_with("extern crate ");
        !own && (path || used)
    })
}

/// What follows `crate::` or the crate's own name, also in braces.
fn own_modules(bare: &str) -> Vec<String> {
    let mut modules = Vec::new();
    for prefix in ["crate::", "personio_scim::"] {
        for (at, _) in bare.match_indices(prefix) {
            let after = bare.get(at + prefix.len()..).unwrap();
            match after.strip_prefix('{') {
                Some(group) => modules.extend(group_heads(group)),
                None => modules.push(after.chars().take_while(|char| is_word(*char)).collect()),
            }
        }
    }
    modules
}

/// The first word of each entry of a `use` group, whose brace is open.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut entry, mut heads) = (1, String::new(), Vec::new());
    for char in group.chars() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && char == ',') {
            heads.push(entry.trim().chars().take_while(|char| is_word(*char)).collect::<String>());
            entry.clear();
        } else {
            entry.push(char);
        }
        if depth == 0 {
            break;
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// The names of all types, traits and aliases.
fn types(bare: &str) -> Vec<String> {
    let mut words = bare.split(|char: char| !is_word(char)).filter(|word| !word.is_empty());
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word, "struct" | "enum" | "trait" | "type" | "union") {
            names.extend(words.next().map(str::to_owned));
        }
    }
    names
}

/// Names of fields, and the names that serde reads them by.
fn fields(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code.lines().map(str::trim) {
        for given in ["rename = \"", "alias = \""] {
            names.extend(line.split(given).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
        let line = line.strip_prefix("pub(super) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
        if let Some((name, after)) = line.split_once(':')
            && !after.starts_with(':')
            && name.chars().all(is_word)
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn the_rules_see_what_they_should() {
    let text = "//! crate::a\nuse crate::{b, c::{d, e}}; // crate::f\nlet x = \"crate::g // \\\" \"; let y = r#\"crate::\"h\"#;\n\
                let c = '\"'; fn f<'a>(x: &'a str) -> crate::i::J {}\n/* crate::k\n */ tracing::info!(); tokio_util::x(); self.moka::<u8>();\n\
                #[cfg(test)]\nmod tests {\n    use crate::l;\n}\npub struct BadService;\n";
    let bare = cut_tests(&blank(text, true));
    assert_eq!(own_modules(&bare), ["b", "c", "i"]);
    assert_eq!(types(&bare), ["BadService"]);
    assert!(mentions(&bare, "tracing") && !mentions(&bare, "tokio") && !mentions(&bare, "moka"), "{bare}");
    assert_eq!(text.lines().count(), bare.lines().count(), "{bare}");
    assert_eq!(
        fields("pub a: u8,\n  b: X,\n#[serde(rename = \"c\", alias = \"d\")]\nfoo::bar();\n"),
        ["a", "b", "c", "d"]
    );
}
