//! Tests of help, manual pages and completions, and of the tokens that the program creates.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use clap::CommandFactory;
use personio_scim::config::Args;
use serde_json::Value;

use crate::harness::Setup;
use crate::process::{Program, file, get, run, settings};

fn hash(token: &str) -> String {
    hex::encode(digest(&SHA256, token.as_bytes()))
}

/// Collects the names of all commands as paths, for example `[token, new]`.
fn commands(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = [path, &[sub.get_name().to_owned()]].concat();
        commands(sub, &path, all);
        all.push(path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_every_command_has_an_example() {
    let mut all = vec![Vec::new()];
    commands(&Args::command(), &[], &mut all);
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&args, &[]).await;
        assert_eq!((help.status.code(), help.err.as_str()), (Some(0), ""), "{path:?}");
        let (_, example) =
            help.out.split_once("\nExample").unwrap_or_else(|| panic!("{path:?}: {}", help.out));
        let called = format!("personio-scim {}", path.join(" "));
        assert!(
            example.contains(called.trim_end()),
            "the example of {path:?} does not show it: {example}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_listed_in_usage_and_documents() {
    let complaint = run(&[], &[]).await.err;
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md")).unwrap();
    for command in Args::command().get_subcommands() {
        let name = command.get_name();
        assert!(complaint.contains(name), "{name}: {complaint}");
        assert!(
            page.contains(&format!("\n| `personio-scim {name}")),
            "docs/commands.md has no row for {name}"
        );
    }
}

#[test]
fn every_setting_and_flag_is_documented() {
    let page = |page: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
    };
    let settings = page("docs/settings.md");
    let pages = ["README.md", "docs/commands.md"].map(page).concat() + &settings;
    let args = Args::command();
    let mut known = 0;
    for arg in args.get_subcommands().flat_map(clap::Command::get_arguments) {
        let variable = arg.get_env().map(|name| format!("`{}`", name.to_str().unwrap()));
        let flag = arg
            .get_long()
            .filter(|flag| !["help", "version"].contains(flag))
            .map(|flag| format!("--{flag}"));
        for name in [variable, flag].into_iter().flatten() {
            // A flag may be shown with a value.
            let is_named =
                [" ", "`", ",", "\n"].iter().any(|end| pages.contains(&format!("{name}{end}")));
            assert!(settings.contains(&name) || (is_named && !name.starts_with('`')), "{name}");
            known += 1;
        }
    }
    assert!(known > 80, "{known}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let man = run(&["man"], &[]).await;
    assert_eq!(man.status.code(), Some(0));
    assert_eq!(run(&["man", "--dir", path], &[]).await.status.code(), Some(0));
    run(&["man", "--dir", &format!("{path}/missing")], &[]).await.complains(64, "--dir: ");
    for command in Args::command().get_subcommands() {
        let name = command.get_name();
        assert!(man.out.contains(&format!("personio\\-scim\\-{name}(1)")), "{name}: {}", man.out);
        let page =
            std::fs::read_to_string(folder.path().join(format!("personio-scim-{name}.1"))).unwrap();
        assert!(page.contains(".TH"), "{name}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], &[]).await;
        assert_eq!((script.status.code(), script.err.as_str()), (Some(0), ""), "{shell}");
        for command in Args::command().get_subcommands() {
            assert!(script.out.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
    run(&["completions", "csh"], &[]).await.complains(64, "csh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_comes_with_its_hash_and_is_never_the_same() {
    let plain = run(&["token", "new"], &[]).await;
    assert_eq!((plain.status.code(), plain.err.as_str()), (Some(0), ""));
    let token = plain.out.lines().find_map(|line| line.strip_prefix("  ")).unwrap();
    assert_eq!(token.len(), 64);
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    // An operator pastes the lines from the heading on into the file. They must not contain the
    // token.
    let (_, lines) = plain.out.split_once("\n\n[[client]]\n").unwrap();
    assert!(!lines.contains(token), "{lines}");
    let simulator = Setup::persons(3).simulator();
    let file = file(&format!("[[client]]\n{lines}"));
    let upstream = simulator.base_url();
    let mut variables = settings(&upstream);
    variables.retain(|(name, _)| *name != "SCIM_BEARER_TOKEN");
    let program = Program::start(&["serve", "--config", file.path().to_str().unwrap()], &variables);
    let base_url = program.base_url().await;
    assert_eq!(get(&format!("{base_url}/Schemas"), token).await.status.as_u16(), 200);
    assert_eq!(lines.lines().nth(1).unwrap(), format!("token_sha256 = \"{}\"", hash(token)));

    let json: Value =
        serde_json::from_str(&run(&["token", "new", "--json"], &[]).await.out).unwrap();
    assert_ne!(json["token"], token);
    assert_eq!(json["token_sha256"], hash(json["token"].as_str().unwrap()));
}

#[test]
fn a_token_on_standard_input_is_hashed_without_the_end_of_its_line() {
    let hashed = |args: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
        let command = command.args(["token", "hash"]).args(args).env_clear();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        let [out, err] = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
        (ended.status.code(), out, err)
    };
    let token = "a-token-that-is-long-enough";
    assert_eq!(
        hashed(&[], &format!("{token}\n")),
        (Some(0), format!("token_sha256 = \"{}\"\n", hash(token)), String::new())
    );
    let json = format!("{{\"token_sha256\":\"{}\"}}\n", hash(token));
    assert_eq!(hashed(&["--json"], token), (Some(0), json, String::new()));
    for secret in ["", "short-secret\n", "two words that are secret\n"] {
        let (code, out, err) = hashed(&[], secret);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{err}");
        assert!(err.contains("standard input holds no token") && !err.contains("secret"), "{err}");
    }
}
