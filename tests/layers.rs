//! Tests of the dependencies between the modules of `src/`, as `docs/architecture.md` describes
//! them.
//!
//! The source is parsed with `syn`. Tests inside `src/` are left out, because they may use what the
//! code next to them must not use.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets something unexpected fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Module of `lib.rs`, the modules of this crate that it may use, and the crates that it must not
/// use.
struct Layer {
    module: &'static str,
    may_use: &'static [&'static str],
    must_not_use: &'static [&'static str],
}

/// All modules, lowest first. A module uses only modules above its own row.
const LAYERS: &[Layer] = &[
    Layer { module: "clock", may_use: &[], must_not_use: &["actix_web", "reqwest"] },
    Layer { module: "spelling", may_use: &[], must_not_use: &["actix_web", "reqwest"] },
    Layer { module: "http_client", may_use: &[], must_not_use: &["actix_web", "serde_json"] },
    Layer {
        module: "scim",
        may_use: &["spelling"],
        must_not_use: &["actix_web", "tokio", "reqwest", "moka", "tracing", "arc_swap", "oauth2"],
    },
    Layer { module: "telemetry", may_use: &["http_client"], must_not_use: &["moka", "oauth2"] },
    Layer {
        module: "connections",
        may_use: &[],
        must_not_use: &["reqwest", "moka", "oauth2", "serde_json"],
    },
    Layer { module: "simulator", may_use: &[], must_not_use: &["reqwest", "moka", "oauth2"] },
    Layer {
        module: "tls",
        may_use: &["clock"],
        must_not_use: &["actix_web", "reqwest", "moka", "oauth2"],
    },
    Layer {
        module: "auth",
        may_use: &["clock", "http_client"],
        must_not_use: &["actix_web", "oauth2"],
    },
    Layer {
        module: "personio",
        may_use: &["clock", "http_client"],
        must_not_use: &["actix_web", "arc_swap"],
    },
    Layer {
        module: "mapping",
        may_use: &["personio", "scim"],
        must_not_use: &["actix_web", "reqwest", "moka", "oauth2", "tokio"],
    },
    Layer {
        module: "directory",
        may_use: &["clock", "scim"],
        must_not_use: &["reqwest", "actix_web", "oauth2", "serde_json"],
    },
    Layer {
        module: "sync",
        may_use: &["clock", "directory", "mapping", "personio", "scim"],
        must_not_use: &["actix_web", "reqwest", "moka", "oauth2"],
    },
    Layer {
        module: "diagnostics",
        may_use: &["clock", "mapping", "personio", "scim", "sync"],
        must_not_use: &["actix_web", "reqwest", "moka", "oauth2"],
    },
    Layer {
        module: "server",
        may_use: &["auth", "clock", "connections", "directory", "scim", "spelling"],
        must_not_use: &["reqwest", "oauth2", "jiff", "jsonwebtoken"],
    },
    Layer {
        module: "config",
        may_use: &["auth", "mapping", "scim", "spelling", "telemetry", "tls"],
        must_not_use: &["actix_web", "moka", "tokio"],
    },
    Layer {
        module: "app",
        may_use: &[
            "auth",
            "clock",
            "config",
            "connections",
            "diagnostics",
            "directory",
            "mapping",
            "personio",
            "scim",
            "server",
            "sync",
            "telemetry",
            "tls",
        ],
        must_not_use: &[],
    },
    Layer {
        module: "cli",
        may_use: &[
            "app",
            "clock",
            "config",
            "diagnostics",
            "directory",
            "http_client",
            "scim",
            "simulator",
            "telemetry",
        ],
        must_not_use: &["oauth2", "moka"],
    },
];

#[test]
fn every_module_has_a_row_and_uses_only_the_rows_above_it() {
    let mut declared: Vec<String> = Vec::new();
    for item in parse(&source_root().join("lib.rs")).items {
        if let syn::Item::Mod(module) = item {
            declared.push(module.ident.to_string());
        }
    }
    let mut rows: Vec<&str> = Vec::new();
    for layer in LAYERS {
        for used in layer.may_use {
            assert!(
                rows.contains(used),
                "{} may use {used}, which has no row above it",
                layer.module
            );
        }
        rows.push(layer.module);
    }
    rows.sort_unstable();
    assert_eq!(declared, rows);
}

#[test]
fn a_module_uses_only_the_modules_and_crates_of_its_row() {
    let mut faults = Vec::new();
    for file in source_files() {
        let module = top_module(&file);
        let Some(layer) = LAYERS.iter().find(|layer| layer.module == module) else { continue };
        let paths = Paths::of(&parse(&file));
        for used in &paths.modules {
            if used != layer.module && !layer.may_use.contains(&used.as_str()) {
                faults.push(format!("{}: uses crate::{used}", file.display()));
            }
        }
        for used in
            paths.first_words.iter().filter(|used| layer.must_not_use.contains(&used.as_str()))
        {
            faults.push(format!("{}: uses {used}", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_config_and_telemetry_read_the_environment() {
    for file in source_files() {
        let reads = Paths::of(&parse(&file)).full.iter().any(|path| path.contains("env::var"));
        let allowed = matches!(top_module(&file).as_str(), "config" | "telemetry");
        assert!(
            allowed || !reads,
            "{}: a setting that is read here has no flag and no check",
            file.display()
        );
    }
}

#[test]
fn only_structs_that_mirror_data_have_many_fields() {
    const MAX_FIELDS: usize = 9;
    /// Objects of Personio, of SCIM, of the state file, of the configuration file and of the
    /// simulator.
    const MIRRORS: &[&str] = &[
        "ConfigFile",
        "Employment",
        "EncodedPersonFields",
        "IssuerTable",
        "Person",
        "Quirks",
        "SimulatedEmployment",
        "SimulatedPerson",
        "User",
    ];
    let mut structs = LargeStructs(MAX_FIELDS, BTreeSet::new());
    for file in source_files() {
        structs.visit_file(&parse(&file));
    }
    let found: Vec<&str> = structs.1.iter().map(String::as_str).collect();
    assert_eq!(found, MIRRORS, "state that changes together is a struct of its own");
}

#[test]
fn the_model_has_no_field_for_personal_data() {
    const PERSONAL: &[&str] = &[
        "gender",
        "picture",
        "birth",
        "address",
        "phone",
        "salary",
        "iban",
        "bank",
        "tax",
        "reason",
        "hours",
        "religion",
        "compensation",
        "grade",
        "band",
    ];
    let mut fields = Fields::default();
    for file in source_files() {
        if file.starts_with(source_root().join("personio/model")) {
            fields.visit_file(&parse(&file));
        }
    }
    assert!(
        fields.0.contains("preferred_name"),
        "the fields of Person are not found: {:?}",
        fields.0
    );
    for field in &fields.0 {
        let word = PERSONAL.iter().find(|word| field.to_lowercase().contains(**word));
        assert_eq!(
            word, None,
            "{field}: a value without a field is dropped while it is read; with one it can leave"
        );
    }
}

/// Paths that a file mentions outside of its tests.
#[derive(Default)]
struct Paths {
    /// First segment of each path, such as the name of a crate.
    first_words: BTreeSet<String>,
    /// Modules of this crate: the segment after `crate`.
    modules: BTreeSet<String>,
    /// Whole paths.
    full: BTreeSet<String>,
}

impl Paths {
    fn of(file: &syn::File) -> Self {
        let mut paths = Self::default();
        paths.visit_file(file);
        paths
    }

    fn add(&mut self, words: &[String]) {
        if let Some(first) = words.first() {
            self.first_words.insert(first.clone());
            if let Some(module) = words.get(1).filter(|_| first == "crate") {
                self.modules.insert(module.clone());
            }
            self.full.insert(words.join("::"));
        }
    }

    fn add_use(&mut self, tree: &syn::UseTree, before: &[String]) {
        let mut words = before.to_vec();
        match tree {
            syn::UseTree::Path(path) => {
                words.push(path.ident.to_string());
                self.add_use(&path.tree, &words);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|item| self.add_use(item, before))
            }
            syn::UseTree::Name(name) => {
                words.push(name.ident.to_string());
                self.add(&words);
            }
            syn::UseTree::Rename(rename) => {
                words.push(rename.ident.to_string());
                self.add(&words);
            }
            syn::UseTree::Glob(_) => self.add(&words),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_use(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A path of one segment is a local name.
        if path.segments.len() > 1 {
            let words: Vec<String> =
                path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(&words);
        }
        visit::visit_path(self, path);
    }
}

/// Names of fields, and the names that serde reads them by.
#[derive(Default)]
struct Fields(BTreeSet<String>);

impl<'ast> Visit<'ast> for Fields {
    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.0.extend(field.ident.as_ref().map(ToString::to_string));
        for attribute in &field.attrs {
            if let syn::Meta::List(list) = &attribute.meta {
                self.0.extend(
                    list.tokens.to_string().split('"').skip(1).step_by(2).map(str::to_owned),
                );
            }
        }
    }
}

/// Structs with more than this number of fields.
struct LargeStructs(usize, BTreeSet<String>);

impl<'ast> Visit<'ast> for LargeStructs {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if item.fields.len() > self.0 {
            self.1.insert(item.ident.to_string());
        }
    }
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the files of `src/`, without those that hold only tests.
fn source_files() -> Vec<PathBuf> {
    let mut folders = vec![source_root()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().unwrap() == "tests" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 100, "only {} files were found", files.len());
    files
}

fn parse(path: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the first part of a path below `src/`: the module of `lib.rs` that the file belongs to.
fn top_module(path: &Path) -> String {
    let below = path.strip_prefix(source_root()).unwrap();
    below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}
