//! Tests that README.md, SECURITY.md, CHANGELOG.md, `docs/`, the Dockerfile and `deploy/` are
//! correct about the program and about other files, and that they describe everything that an
//! operator can meet. `tests/api/commands.rs` tests their commands.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets something unexpected fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use personio_scim::config::Args;

/// Document, section with the table, beginning of the table's heading, and minimum number of rows.
const TABLES: [(&str, &str, &str, usize); 4] = [
    ("docs/architecture.md", "Invariants", "| invariant", 8),
    ("docs/operations.md", "What happens when", "| when", 15),
    ("SECURITY.md", "Threats", "| if", 15),
    ("SECURITY.md", "Bounds", "| what", 15),
];

#[test]
fn every_test_named_by_a_table_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (document, heading, first_row, least) in TABLES {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let section = text.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with(first_row))
            .collect();
        assert!(rows.len() > least, "{document}: {rows:?}");
        for row in rows {
            let names: Vec<&str> = row
                .rsplit(" | ")
                .next()
                .unwrap()
                .split('`')
                .filter(|part| part.contains("::"))
                .collect();
            assert!(!names.is_empty(), "{document}: this row names no test: {row}");
            names.iter().for_each(|name| assert_test_exists(root, name));
        }
    }
}

/// Checks that the tests named by the pages about clients exist. Each test replays a client's
/// requests.
#[test]
fn every_test_named_by_a_client_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for page in fs::read_dir(root.join("docs/clients")).unwrap() {
        let text = fs::read_to_string(page.unwrap().path()).unwrap();
        for name in text.split('`').filter(|part| part.starts_with("clients::")) {
            assert_test_exists(root, name);
            count += 1;
        }
    }
    assert!(count >= 8, "{count}");
}

/// Asserts that `file::name` is a test in `tests/api/`, in `tests/` or, with the path of its
/// module, in `src/`.
fn assert_test_exists(root: &Path, test: &str) {
    let (module, name) = test.rsplit_once("::").unwrap_or_default();
    let file = module.replace("::", "/");
    let places = ["tests/api", "tests", "src"]
        .map(|folder| [format!("{folder}/{file}.rs"), format!("{folder}/{file}/mod.rs")]);
    let is_here = |place: &String| {
        let text = fs::read_to_string(root.join(place)).unwrap_or_default();
        text.contains(&format!("fn {name}("))
    };
    assert!(places.iter().flatten().any(is_here), "{test} does not exist");
}

/// Checks the stubs in the Dockerfile, because Cargo rejects a manifest whose targets are missing.
#[test]
fn the_dockerfile_has_a_stub_for_every_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [manifest, dockerfile] =
        ["Cargo.toml", "Dockerfile"].map(|file| fs::read_to_string(root.join(file)).unwrap());
    let benches = manifest.split("[[bench]]").skip(1).filter_map(|bench| bench.split('"').nth(1));
    let mut count = 0;
    for bench in benches {
        assert!(dockerfile.contains(&format!("benches/{bench}.rs")), "{bench} has no stub");
        count += 1;
    }
    for example in
        manifest.split("[[example]]").skip(1).filter_map(|example| example.split('"').nth(3))
    {
        assert!(dockerfile.contains(example), "{example} has no stub");
        count += 1;
    }
    assert!(count > 0, "without benchmarks this test is not needed");
}

/// Checks that every setting in `deploy/` and in the Dockerfile is documented. A misspelt setting
/// would stop the server at its start or have no effect.
#[test]
fn every_setting_in_deploy_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = fs::read_to_string(root.join("docs/settings.md")).unwrap();
    let mut files = files_below(&root.join("deploy"));
    files.push(root.join("Dockerfile"));
    let mut count = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let words = text.split(|char: char| !char.is_ascii_uppercase() && char != '_');
        for setting in
            words.filter(|word| word.starts_with("SCIM_") || word.starts_with("PERSONIO_"))
        {
            assert!(told.contains(&format!("`{setting}`")), "{setting}, in {}", file.display());
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
}

/// Returns all files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn the_readme_links_to_every_file_for_deployment() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let files: Vec<_> = fs::read_dir(root.join("deploy"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        let link = format!("(deploy/{})", file.display());
        assert!(readme.contains(&link), "{link}");
    }
}

/// Returns all documents by their paths from the root.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> =
        ["README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(PathBuf::from).to_vec();
    for folder in ["docs", "docs/clients", "docs/decisions"] {
        let files = fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| Path::new(folder).join(entry.unwrap().file_name()));
        paths.extend(
            files.filter(|file| file.extension().is_some_and(|extension| extension == "md")),
        );
    }
    assert!(paths.len() > 15, "{paths:?}");
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(root.join(path)).unwrap()))
        .collect()
}

/// Returns the text without fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut outside = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    };
    text.lines().filter(|line| outside(line)).map(|line| format!("{line}\n")).collect()
}

/// Returns all code in the text: code spans, and the lines of fenced blocks.
fn code(text: &str) -> Vec<String> {
    let prose = prose(text);
    let spans = prose.split("\n\n").flat_map(|paragraph| {
        // A pair of backquotes never extends beyond a paragraph or a row.
        let spans: Vec<&str> = paragraph.split('`').skip(1).step_by(2).collect();
        spans
    });
    let mut fenced = false;
    let mut inside = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        fenced && !is_fence
    };
    let blocks: Vec<&str> = text.lines().filter(|line| inside(line)).collect();
    spans.chain(blocks).map(|code| code.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Returns the anchors that GitHub makes of the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let kept = |char: char| char.is_alphanumeric() || ['-', '_', ' '].contains(&char);
    headings
        .map(|heading| {
            heading
                .to_lowercase()
                .chars()
                .filter(|char| kept(*char))
                .collect::<String>()
                .replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_resolves() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents();
    let mut count = 0;
    for (path, text) in &documents {
        let prose = prose(text);
        for link in prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                root.join(path)
            } else {
                root.join(path).parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}", path.display());
            let there = || anchors(&fs::read_to_string(&target).unwrap());
            assert!(
                anchor.is_empty() || there().contains(anchor),
                "{}: {link}: {:?}",
                path.display(),
                there()
            );
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

/// Checks that every page can be reached from the README.
#[test]
fn every_page_is_reachable_from_the_readme() {
    let documents = documents();
    let readme = &documents[Path::new("README.md")];
    assert!(
        readme.lines().count() <= 160,
        "README.md is for one's first minutes; what is longer belongs into docs/"
    );
    let decisions = &documents[Path::new("docs/decisions/README.md")];
    for path in documents
        .keys()
        .filter(|path| !["README.md", "CHANGELOG.md"].contains(&path.to_str().unwrap()))
    {
        let is_decision = path.starts_with("docs/decisions") && !path.ends_with("README.md");
        let link = if is_decision { path.strip_prefix("docs/decisions").unwrap() } else { path };
        let index = if is_decision { decisions } else { readme };
        assert!(index.contains(&format!("({})", link.display())), "{}", path.display());
    }
}

/// Checks the documents for developers, which name modules, files and tests.
#[test]
fn every_module_and_file_that_a_document_for_developers_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for (path, text) in documents() {
        let is_for_developers = path.starts_with("docs/decisions")
            || ["docs/architecture.md", "CONTRIBUTING.md"].contains(&path.to_str().unwrap());
        if !is_for_developers {
            continue;
        }
        for code in code(&text) {
            let name = code.split(' ').next().unwrap_or_default();
            let is_file = ["src/", "tests/", "docs/", "scim-schemas/", "benches/", ".ci/"]
                .iter()
                .any(|folder| name.starts_with(folder));
            let is_module = name.contains("::")
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_:".contains(&byte));
            if is_file {
                assert!(root.join(name).exists(), "{}: {name}", path.display());
            } else if is_module {
                let module = format!("src/{}", name.replace("::", "/"));
                let is_there_as_module =
                    root.join(&module).is_dir() || root.join(format!("{module}.rs")).exists();
                if !is_there_as_module {
                    assert_test_exists(root, name);
                }
            } else {
                continue;
            }
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

/// Names with a prefix of our settings that are not settings.
const FOREIGN_VARIABLES: [&str; 2] = [
    // Identifier of this program in requests to Personio.
    "PERSONIO_SCIM",
    // Setting that exists only with the feature `otlp`.
    "SCIM_OTLP_ENDPOINT",
];
/// Flags of curl, of ConductorOne's program, and of this program with the feature `otlp`.
const FOREIGN_FLAGS: &[&str] = &[
    "--data-urlencode",
    "--etag-save",
    "--etag-compare",
    "--validate-config-only",
    "--scim-config",
    "--scim-config-file",
    "--provisioning",
    "--otlp-endpoint",
];

/// Returns the names of all settings, and the flags of each command, for example of `token new`.
fn known() -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
    fn add(command: &clap::Command, way: &str, flags: &mut BTreeMap<String, BTreeSet<String>>) {
        for sub in command.get_subcommands() {
            let way = format!("{way} {}", sub.get_name()).trim().to_owned();
            let long = sub.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
            flags.insert(way.clone(), long.chain(["--help".to_owned()]).collect());
            add(sub, &way, flags);
        }
    }
    let args = Args::command();
    let named = |arg: &clap::Arg| Some(arg.get_env()?.to_str().unwrap().to_owned());
    let variables =
        args.get_subcommands().flat_map(clap::Command::get_arguments).filter_map(named).collect();
    let mut flags = BTreeMap::new();
    add(&args, "", &mut flags);
    (variables, flags)
}

#[test]
fn every_variable_and_every_flag_that_is_named_exists() {
    let (variables, flags) = known();
    let any: BTreeSet<&String> = flags.values().flatten().collect();
    let mut count = 0;
    for (path, text) in documents() {
        let words = text.split(|char: char| !char.is_ascii_uppercase() && char != '_');
        let ours = |word: &&str| word.starts_with("SCIM_") || word.starts_with("PERSONIO_");
        for name in words.filter(ours).filter(|word| !word.ends_with('_')) {
            assert!(
                variables.contains(name) || FOREIGN_VARIABLES.contains(&name),
                "{}: {name}",
                path.display()
            );
            count += 1;
        }
        for code in code(&text) {
            let words: Vec<&str> = code.split([' ', '=', '`']).collect();
            if code.starts_with("--") {
                let flag = words[0].to_owned();
                assert!(
                    any.contains(&flag) || FOREIGN_FLAGS.contains(&words[0]),
                    "{}: {flag}",
                    path.display()
                );
                count += 1;
            }
            let Some(at) = words.iter().position(|word| *word == "personio-scim") else { continue };
            let command = words[at + 1..]
                .iter()
                .take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
            let command = command.copied().collect::<Vec<_>>().join(" ");
            let has = flags.iter().filter(|(known, _)| {
                command == **known || command.starts_with(&format!("{known} "))
            });
            let Some((known, has)) = has.max_by_key(|(known, _)| known.len()) else { continue };
            for flag in
                words[at + 1..].iter().filter(|word| word.starts_with("--") && word.len() > 2)
            {
                assert!(has.contains(*flag), "{}: `{code}`: {known} has no {flag}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 150, "{count}");
}

/// Returns every route in the source of `server`.
fn routes() -> BTreeSet<String> {
    let source = ["mod.rs", "handlers/webhook.rs"].map(|file| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server").join(file))
            .unwrap()
    });
    let source = source.concat();
    let starts = ["resource(\"", "search(\"", "const SCIM_PATH: &str = \""];
    let found = starts
        .iter()
        .flat_map(|start| source.split(start).skip(1).map(|rest| rest.split('"').next().unwrap()));
    found.filter(|route| !route.is_empty()).map(str::to_owned).collect()
}

/// Reports whether a path belongs to a route, which may have `{id}` for a segment.
fn is_one(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) =
        (route.split('/').collect(), path.split('/').collect());
    let same = |(known, part): (&&str, &&str)| {
        known == part || (known.starts_with('{') && !part.starts_with('.'))
    };
    route.len() == path.len() && route.iter().zip(&path).all(same)
}

/// Paths that are not routes: of Personio's API, of a collector, of files, and of proxies, which
/// add a path prefix.
const OTHER_PATHS: &[&str] =
    &["/api/v1", "/v1/traces", "/v2", "/var/", "/etc/", "/run/", "/personio", "/64"];

#[test]
fn documented_routes_match_the_routes() {
    let routes = routes();
    assert!(routes.len() > 15 && routes.contains("/webhooks/personio"), "{routes:?}");
    let mut told = BTreeSet::new();
    for (path, text) in documents() {
        for code in code(&text) {
            let word =
                code.trim_start_matches("GET ").trim_start_matches("POST ").trim_start_matches('…');
            if !word.starts_with('/')
                || word.contains(' ')
                || OTHER_PATHS.iter().any(|own| word.starts_with(own))
            {
                continue;
            }
            let word = word.split(['?', '#']).next().unwrap();
            let route =
                word.strip_prefix("/scim/v2").filter(|rest| !rest.is_empty()).unwrap_or(word);
            let found = routes.iter().find(|known| is_one(known, route));
            assert!(found.is_some(), "{}: `{code}` is no route: {routes:?}", path.display());
            told.extend(found.cloned());
        }
    }
    let missing: Vec<_> = routes.difference(&told).collect();
    assert!(missing.is_empty(), "no document names {missing:?}");
}

#[test]
fn every_named_metric_is_in_the_metrics_table() {
    let documents = documents();
    let names = |text: &str| -> BTreeSet<String> {
        let words = text.split(|char: char| !char.is_ascii_lowercase() && char != '_');
        words.filter(|word| word.starts_with("personio_scim_")).map(str::to_owned).collect()
    };
    let all = names(&documents[Path::new("docs/operations.md")]);
    assert!(all.len() > 15, "{all:?}");
    for (path, text) in &documents {
        let unknown: Vec<String> = names(text).difference(&all).cloned().collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}
