//! Tests of the commands in the documents, as a reader copies them. Each command runs with the
//! simulator, or is listed with the reason why it does not run.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::{Setup, TOKEN, TestServer, http, send_request, wait_until};

/// Documents with commands, and the number of commands in each.
const DOCUMENTS: &[(&str, usize)] = &[
    ("README.md", 8),
    ("docs/commands.md", 1),
    ("docs/personio.md", 3),
    ("docs/clients/README.md", 1),
    ("docs/clients/conductorone.md", 2),
    ("docs/clients/curl.md", 10),
    ("docs/clients/entra.md", 4),
    ("docs/clients/keycloak.md", 4),
];

/// Address of a local server in the documents.
const LOCAL_ORIGIN: &str = "http://127.0.0.1:8080";

/// Treatment of a command.
enum Treatment {
    /// The command succeeds and prints this text.
    Says(&'static str),
    /// The command serves until it is stopped and prints this text once it is ready.
    Serves(&'static str),
    /// The command sends a request to the server that the command before it started, and prints
    /// this text.
    Asks(&'static str),
    /// The command sets variables that later commands of the document need.
    Sets,
    /// The command is not run, for this reason.
    Left(&'static str),
}

use Treatment::{Asks, Left, Says, Serves, Sets};

/// Beginnings of all commands. Each occurs at least once in the documents.
const TREATMENTS: &[(&str, Treatment)] = &[
    ("cargo run --release -- demo", Serves("base URL:")),
    ("cargo test", Left("it is what runs this")),
    (
        "export PERSONIO_CLIENT_ID=… PERSONIO_CLIENT_SECRET=…",
        Left("what stands for `…` is the simulator's credential here"),
    ),
    ("(umask 077 && openssl rand -hex 32 > scim-token)", Says("")),
    ("export SCIM_BEARER_TOKEN_FILE=scim-token", Sets),
    ("curl -sS -H \"Authorization: Bearer $(cat scim-token)\"", Asks("\"totalResults\":")),
    ("personio-scim check", Says("60 persons can be read")),
    ("personio-scim serve", Serves("SCIM clients use ")),
    ("personio-scim export", Says("")),
    ("personio-scim token new", Says("token_sha256 = ")),
    ("curl -i http://127.0.0.1:8080/webhooks/personio", Says("HTTP/1.1 202")),
    ("SCIM=https://scim.example.com/scim/v2", Left("it is the address of the server of this test")),
    ("TOKEN=…", Left("it is the token of this test")),
    ("curl -sS -H \"Authorization: Bearer $TOKEN\"", Says("\"totalResults\":")),
    ("curl -sS -G -H \"Authorization: Bearer $TOKEN\"", Says("\"totalResults\":")),
    ("curl -sS -o users.json", Says("")),
    ("cursor=", Left("what follows needs jq, which is not everywhere")),
    ("while :; do", Left("it needs jq, which is not everywhere")),
    ("jq ", Left("jq is not everywhere, and changes nothing here")),
    ("kcadm.sh", Left("Keycloak's program")),
    ("baton-scim", Left("ConductorOne's program")),
    ("GRAPH=", Left("it asks Microsoft")),
    ("while IFS= read -r upload", Left("it asks Microsoft")),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_command_in_the_documents_runs_as_it_is_written() {
    let bridge =
        Setup { webhook_token: Some("a-token-of-the-webhooks"), ..Setup::persons(60) }.start();
    bridge.ready().await;
    let mut used = vec![false; TREATMENTS.len()];
    for (document, count) in DOCUMENTS {
        let commands = commands(document);
        assert_eq!(commands.len(), *count, "{document}: {commands:#?}");
        let place = Workspace::for_commands(&bridge);
        let mut before = String::new();
        let mut commands = commands.into_iter().peekable();
        while let Some(command) = commands.next() {
            let row = TREATMENTS.iter().position(|(beginning, _)| command.starts_with(beginning));
            let row = row.unwrap_or_else(|| panic!("{document}: is this to be run? {command}"));
            used[row] = true;
            // Only the build profile and the port differ from the document, so that tests do not
            // share a port.
            let text = command.replace("cargo run --release -- demo", "personio-scim demo");
            let text = text.replace(LOCAL_ORIGIN, &bridge.origin);
            match TREATMENTS[row].1 {
                Left(why) => assert!(why.len() > 5, "{command}: why is it not run?"),
                Sets => before += &format!("{text}\n"),
                Says(what) => place.says(&format!("{before}{text}"), what).await,
                Serves(what) => {
                    let asked = commands.next_if(|next| {
                        treatment_of(next).is_some_and(|how| matches!(how, Asks(_)))
                    });
                    used.iter_mut().zip(TREATMENTS).for_each(|(used, (start, _))| {
                        *used |= asked.as_ref().is_some_and(|asked| asked.starts_with(start));
                    });
                    place.serves(&format!("{before}exec {text}"), what, asked.as_deref()).await;
                }
                Asks(_) => panic!("{document}: no server was started for {command}"),
            }
        }
    }
    let unused: Vec<&str> =
        TREATMENTS.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row.0).collect();
    assert!(unused.is_empty(), "no document has {unused:?} any more");
}

/// Returns the treatment of a command.
fn treatment_of(command: &str) -> Option<&'static Treatment> {
    TREATMENTS.iter().find(|(beginning, _)| command.starts_with(beginning)).map(|(_, how)| how)
}

/// Checks that each document with `sh` blocks is listed, so that its commands are tested.
#[test]
fn every_document_with_commands_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/clients"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            if path.extension().is_some_and(|extension| extension == "md")
                && !commands(path.to_str().unwrap()).is_empty()
            {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    let mut known: Vec<&str> = DOCUMENTS.iter().map(|(document, _)| *document).collect();
    known.sort_unstable();
    assert_eq!(found, known);
}

/// Returns the commands in the fenced `sh` blocks of a document, with continued lines joined.
fn commands(document: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(fence) = lines.find(|line| line.trim_start().starts_with("```")) {
        let indent = fence.len() - fence.trim_start().len();
        let is_sh = fence.trim() == "```sh";
        let mut command = String::new();
        for line in lines.by_ref().take_while(|line| line.trim() != "```") {
            let line = line.get(indent..).unwrap_or_default();
            if !is_sh || (command.is_empty() && (line.trim().is_empty() || line.starts_with('#'))) {
                continue;
            }
            command += &format!("{line}\n");
            if !line.ends_with('\\') && is_whole(&command) {
                commands.push(std::mem::take(&mut command).trim_end().to_owned());
            }
        }
        assert_eq!(command, "", "{document}: a block ends within a command");
    }
    commands
}

fn is_whole(command: &str) -> bool {
    Command::new("bash")
        .args(["-n", "-c", command])
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// Working directory, and the variables that a reader of the documents sets.
struct Workspace {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Workspace {
    fn for_commands(bridge: &TestServer) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_personio-scim")).parent().unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "curl and openssl are where the one who runs this has them"
        )]
        let path = std::env::var("PATH").unwrap();
        let variables = vec![
            ("PATH", format!("{}:{path}", program.display())),
            ("PERSONIO_CLIENT_ID", "demo".to_owned()),
            ("PERSONIO_CLIENT_SECRET", "demo-secret".to_owned()),
            ("PERSONIO_BASE_URL", bridge.simulator.base_url()),
            ("SCIM_LISTEN", "127.0.0.1:0".to_owned()),
            ("SCIM_WEBHOOK_TOKEN", "a-token-of-the-webhooks".to_owned()),
            ("SCIM", format!("{}/scim/v2", bridge.origin)),
            ("TOKEN", TOKEN.to_owned()),
        ];
        Self { folder: tempfile::tempdir().unwrap(), variables }
    }

    fn start(&self, script: &str) -> Child {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(self.folder.path());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    async fn run(&self, script: &str) -> Output {
        let child = self.start(script);
        tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap()
    }

    async fn says(&self, script: &str, what: &str) {
        let output = self.run(script).await;
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && out.contains(what), "{script}: {output:?}");
    }

    /// Asserts that the script starts a server that has data, that the commands it prints work, and
    /// that the next command of the document works.
    async fn serves(&self, script: &str, what: &str, asked: Option<&str>) {
        let (out, err) = (self.folder.path().join("out"), self.folder.path().join("err"));
        let mut child =
            self.start(&format!("exec >{} 2>{}\n{script}", out.display(), err.display()));
        let mut origin = None;
        let printed =
            || [&out, &err].map(|file| fs::read_to_string(file).unwrap_or_default()).concat();
        wait_until(script, async || {
            let text = printed();
            origin = text
                .split_once(what)
                .and_then(|(_, rest)| Some(rest.trim_start().split_once("/scim/v2")?.0.to_owned()));
            origin.is_some() && text.ends_with('\n')
        })
        .await;
        let origin = origin.unwrap();
        let ready = format!("{origin}/health/ready");
        wait_until(&ready, async || send_request(http().get(&ready)).await.status == 200).await;
        for command in printed().lines().map(str::trim).filter(|line| line.starts_with("curl ")) {
            self.says(command, "\"totalResults\":").await;
        }
        if let Some(asked) = asked {
            let Some(Asks(what)) = treatment_of(asked) else { panic!("{asked}") };
            self.says(&asked.replace(LOCAL_ORIGIN, &origin), what).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
