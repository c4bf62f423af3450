//! Tests of the program as a process: arguments, output and exit codes. Its environment contains
//! only the variables that a test sets.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::CommandFactory;
use personio_scim::config::Args;
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint, Simulator};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::harness::{Setup, TOKEN, TestResponse, http, metric_in, send_request, wait_until};

/// Maximum time that a process may take to stop.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Running program. It is killed when it is dropped.
pub struct Program {
    child: Child,
    out: Output,
    err: Output,
}

/// Output of a program so far, and the thread that reads it.
struct Output {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = String::new();
            while pipe.read_line(&mut line).unwrap() > 0 {
                written.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

/// Exit status of a program, and all its output.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Asserts that the program ended with this code and one line, which contains `part`.
    #[track_caller]
    pub fn complains(&self, code: i32, part: &str) {
        assert_eq!(self.status.code(), Some(code), "{part}: {self:?}");
        assert_eq!(self.err.lines().count(), 1, "{part}: {self:?}");
        assert!(
            self.err.starts_with("personio-scim: ") && self.err.ends_with('\n'),
            "{part}: {self:?}"
        );
        assert!(self.err.contains(part), "{part}: {self:?}");
        assert_eq!(self.out, "", "{part}");
    }
}

/// Time after which an event is in the log.
const LOG_DELAY: Duration = Duration::from_millis(40);

/// Waits until every event that has happened is in the log of a program.
pub fn wait_for_log() {
    std::thread::sleep(LOG_DELAY);
}

impl Program {
    pub fn start(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
        command.args(args).env_clear().envs(variables.iter().copied());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, err) =
            (Output::of(child.stdout.take().unwrap()), Output::of(child.stderr.take().unwrap()));
        Self { child, out, err }
    }

    /// Starts a program whose standard error is not read.
    pub fn start_unread(args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
        command.args(args).env_clear().envs(variables.iter().copied());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = Output::of(child.stdout.take().unwrap());
        Self { child, out, err: Output { text: Arc::default(), reader: None } }
    }

    /// Waits for the end of the process, for as long as [`until`] waits.
    pub async fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("the program has ended", async || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        Ended { status: status.unwrap(), out: self.out.whole(), err: self.err.whole() }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log so far and asserts that every line is a JSON object.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        wait_for_log();
        self.log_so_far()
    }

    /// Returns the lines that have been written so far. The log can lag behind the events.
    #[track_caller]
    fn log_so_far(&self) -> Vec<Value> {
        let lines = self.err.so_far();
        // The last line may be incomplete, because lines are written in batches.
        let lines = &lines[..lines.rfind('\n').map_or(0, |end| end + 1)];
        let parse = |line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        let lines: Vec<Value> = lines.lines().map(parse).collect();
        assert!(lines.iter().all(Value::is_object), "{lines:?}");
        lines
    }

    /// Returns the lines of a level in the log so far.
    #[track_caller]
    pub fn log_at(&self, level: &str) -> Vec<Value> {
        let mut lines = self.log();
        lines.retain(|line| line["level"] == level);
        lines
    }

    /// Counts the lines in the log so far whose message contains `part`.
    #[track_caller]
    pub fn logged(&self, part: &str) -> usize {
        let mut count = 0;
        for line in self.log() {
            count += usize::from(line["message"].as_str().is_some_and(|text| text.contains(part)));
        }
        count
    }

    /// Returns the base URL that `serve` writes to its log: `http://127.0.0.1:…/scim/v2`.
    pub async fn base_url(&self) -> String {
        let mut base_url = None;
        wait_until("the server listens", async || {
            base_url = self
                .log_so_far()
                .iter()
                .find_map(|line| Some(line["base_url"].as_str()?.to_owned()));
            base_url.is_some()
        })
        .await;
        base_url.unwrap()
    }

    /// Returns the text that follows `label` on its line of standard output.
    pub async fn printed(&self, label: &str) -> String {
        let mut found = None;
        wait_until(label, async || {
            let out = self.out.so_far();
            found = out
                .lines()
                .find_map(|line| Some(line.trim().strip_prefix(label)?.trim().to_owned()));
            found.is_some()
        })
        .await;
        found.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pseudo-terminal.
pub struct Terminal {
    /// Side of the user.
    pub screen: File,
    /// Side of the program: its standard input, output and error.
    pub end: File,
}

impl Terminal {
    pub fn open() -> Self {
        let screen =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let end = File::options().read(true).write(true).open(name).unwrap();
        Self { screen: File::from(screen), end }
    }
}

/// Runs a program on a terminal and types `typed` once `prompt` is visible. Returns its exit code
/// and everything that the terminal showed.
pub fn run_on_terminal(args: &[&str], prompt: &str, typed: &str) -> (Option<i32>, String) {
    let Terminal { mut screen, end } = Terminal::open();
    let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
    command.args(args).env_clear();
    let [input, output] = [end.try_clone().unwrap(), end.try_clone().unwrap()];
    let mut child = command.stdin(input).stdout(output).stderr(end).spawn().unwrap();
    // The command holds a copy of the program's side, which would keep the terminal open.
    drop(command);
    let (mut seen, mut buffer, mut is_typed) = (String::new(), [0; 1024], false);
    // Reading fails once no process has the terminal open.
    while let Ok(length @ 1..) = screen.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if !is_typed && seen.contains(prompt) {
            screen.write_all(typed.as_bytes()).unwrap();
            is_typed = true;
        }
    }
    (child.wait().unwrap().code(), seen)
}

/// Runs a program that ends by itself.
pub async fn run(args: &[&str], variables: &[(&str, &str)]) -> Ended {
    Program::start(args, variables).ended().await
}

/// Creates a file with this content.
pub fn file(content: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

/// Sends a GET with a bearer token.
pub async fn get(url: &str, token: &str) -> TestResponse {
    send_request(http().get(url).header("Authorization", format!("Bearer {token}"))).await
}

/// Returns all settings that `serve` needs to run with a simulator.
pub fn settings(upstream: &str) -> Vec<(&str, &str)> {
    vec![
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", upstream),
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("SCIM_LISTEN", "127.0.0.1:0"),
    ]
}

/// Starts `serve` with a simulator.
pub fn serve(simulator: &Simulator) -> Program {
    Program::start(&["serve"], &settings(&simulator.base_url()))
}

#[expect(clippy::too_many_lines, reason = "a table has as many lines as rows")]
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_setting_is_one_line_and_exit_code_64_before_a_port_is_bound() {
    // Valid settings fail with exit code 1 instead, because this port is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let unknown_key = file("active_before_start_day = 3\n");
    let personal = file("[[custom_attribute]]\nid = \"date_of_birth\"\nname = \"cake\"\n");
    let shared = file(&format!("[[client]]\nname = \"okta\"\ntoken = \"{TOKEN}\"\n"));
    let nowhere = file(
        "[[client]]\nname = \"okta\"\ntoken = \"a-secret-of-okta\"\nnetworks = [\"nowhere\"]\n",
    );
    let secret = file("a-secret-in-a-file");
    let path = |file: &NamedTempFile| file.path().to_str().unwrap().to_owned();
    let (unknown_key, personal, secret) = (path(&unknown_key), path(&personal), path(&secret));
    let (shared, nowhere) = (path(&shared), path(&nowhere));
    let missing = format!("{secret}.missing");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let (state, lost) = (format!("{folder}/state"), format!("{folder}/missing/state"));
    let (in_file, slash) = (format!("{secret}/state"), format!("{folder}/state/"));
    let short_key = "a-secret-of-thirty-one-letters.";
    let key = [("SCIM_STATE_KEY", Some("a-secret-that-is-long-enough-to-be-a-key"))];
    let both = "--state-file (SCIM_STATE_FILE) is given without --state-key (SCIM_STATE_KEY)";
    let neither = "--state-key (SCIM_STATE_KEY) is given without --state-file (SCIM_STATE_FILE)";

    // Changes to valid settings (`None` removes a variable), and the text that the line must
    // contain.
    type Row<'r> = (&'r [&'r str], &'r [(&'r str, Option<&'r str>)], &'r str);
    let rows: &[Row<'_>] = &[
        (&["serve"], &[("PERSONIO_CLIENT_ID", None)], "--personio-client-id (PERSONIO_CLIENT_ID)"),
        (
            &["serve"],
            &[("PERSONIO_CLIENT_ID", Some(" "))],
            "--personio-client-id (PERSONIO_CLIENT_ID)",
        ),
        (
            &["serve"],
            &[("PERSONIO_CLIENT_SECRET", None)],
            "--personio-client-secret (PERSONIO_CLIENT_SECRET)",
        ),
        (
            &["serve"],
            &[("PERSONIO_CLIENT_SECRET", Some(""))],
            "--personio-client-secret (PERSONIO_CLIENT_SECRET)",
        ),
        (&["serve"], &[("SCIM_BEARER_TOKEN", None)], "--bearer-token (SCIM_BEARER_TOKEN)"),
        (
            &["serve"],
            &[("SCIM_BEARER_TOKEN", Some("tooshort-secret"))],
            "--bearer-token (SCIM_BEARER_TOKEN)",
        ),
        (
            &["serve", "--bearer-token", "two words of secret"],
            &[],
            "--bearer-token (SCIM_BEARER_TOKEN)",
        ),
        (
            &["serve"],
            &[("SCIM_WEBHOOK_TOKEN", Some("tooshort-secret"))],
            "--webhook-token (SCIM_WEBHOOK_TOKEN)",
        ),
        (
            &["serve", "--webhook-token", "two words of secret"],
            &[],
            "--webhook-token (SCIM_WEBHOOK_TOKEN)",
        ),
        (&["serve", "--webhook-token", ""], &[], "--webhook-token (SCIM_WEBHOOK_TOKEN) is empty"),
        (
            &["serve", "--webhook-token", TOKEN],
            &[],
            "(SCIM_WEBHOOK_TOKEN) is the same as --bearer-token",
        ),
        (
            &["serve"],
            &[("SCIM_WEBHOOK_TOKEN_FILE", Some(&missing))],
            "--webhook-token-file (SCIM_WEBHOOK_TOKEN_FILE)",
        ),
        (
            &["serve", "--status-page", "yes"],
            &[],
            "--status-page (SCIM_STATUS_PAGE): invalid value `yes`: expected `on` or `off`",
        ),
        (
            &["serve"],
            &[("SCIM_METRICS_LISTEN", Some("9090"))],
            "--metrics-listen (SCIM_METRICS_LISTEN): invalid address `9090`",
        ),
        (&["serve", "--cache-ttl", "5"], &[], "--cache-ttl (SCIM_CACHE_TTL): invalid duration `5`"),
        (&["serve", "--cache-ttl", "5\nx"], &[], "(SCIM_CACHE_TTL): invalid duration `5 x`"),
        (
            &["serve"],
            &[("SCIM_CACHE_TTL", Some("0s"))],
            "--cache-ttl (SCIM_CACHE_TTL): invalid duration `0s`",
        ),
        (
            &["serve", "--refresh-wait", "soon"],
            &[],
            "--refresh-wait (SCIM_REFRESH_WAIT): invalid duration `soon`",
        ),
        (
            &["serve", "--employment-recheck", "0s"],
            &[],
            "--employment-recheck (SCIM_EMPLOYMENT_RECHECK): invalid duration `0s`",
        ),
        (
            &["serve", "--max-change", "many"],
            &[],
            "--max-change (SCIM_MAX_CHANGE): invalid share `many`: expected 0% to 100%",
        ),
        (
            &["serve"],
            &[("SCIM_MAX_CHANGE", Some("101%"))],
            "--max-change (SCIM_MAX_CHANGE): invalid share `101%`",
        ),
        (&["serve", "--max-change=-1"], &[], "--max-change (SCIM_MAX_CHANGE): invalid share `-1`"),
        (
            &["serve", "--max-change", "NaN%"],
            &[],
            "--max-change (SCIM_MAX_CHANGE): invalid share `NaN%`",
        ),
        (
            &["serve", "--refresh-every", "often"],
            &[],
            "--refresh-every (SCIM_REFRESH_EVERY): invalid duration `often`",
        ),
        (
            &["serve", "--refresh-every", ""],
            &[],
            "--refresh-every (SCIM_REFRESH_EVERY): invalid duration ``",
        ),
        (
            &["serve"],
            &[("SCIM_REFRESH_EVERY", Some("9s"))],
            "--refresh-every (SCIM_REFRESH_EVERY) is shorter than 10s",
        ),
        (
            &["serve", "--refresh-every", "24h"],
            &[],
            "(SCIM_REFRESH_EVERY) is not shorter than --max-stale",
        ),
        (
            &["serve", "--max-stale=-1h"],
            &[],
            "--max-stale (SCIM_MAX_STALE): invalid duration `-1h`",
        ),
        (
            &["serve", "--cache-ttl", "2h", "--max-stale", "1h"],
            &[],
            "--max-stale (SCIM_MAX_STALE) is shorter",
        ),
        (
            &["serve", "--max-results", "10"],
            &[],
            "--max-results (SCIM_MAX_RESULTS): invalid number `10`",
        ),
        (
            &["serve", "--max-results", "many"],
            &[],
            "--max-results (SCIM_MAX_RESULTS): invalid number `many`",
        ),
        (
            &["serve", "--announce-pagination", "no"],
            &[],
            "(SCIM_ANNOUNCE_PAGINATION): invalid value `no`: expected `on`",
        ),
        (
            &["serve", "--max-filter-length", "99"],
            &[],
            "--max-filter-length (SCIM_MAX_FILTER_LENGTH): invalid number `99`",
        ),
        (
            &["serve", "--max-filter-length=1MB"],
            &[],
            "invalid number `1MB`: expected 100 to 100000",
        ),
        (
            &["serve", "--max-filter-depth", "0"],
            &[],
            "--max-filter-depth (SCIM_MAX_FILTER_DEPTH): invalid number `0`",
        ),
        (
            &["serve"],
            &[("SCIM_MAX_FILTER_DEPTH", Some("251"))],
            "invalid number `251`: expected 1 to 250",
        ),
        (
            &["serve"],
            &[("PERSONIO_BASE_URL", Some("personio"))],
            "--personio-base-url (PERSONIO_BASE_URL): invalid URL `personio`",
        ),
        (
            &["serve", "--personio-base-url", "http://api.personio.de"],
            &[],
            "(PERSONIO_BASE_URL): plain http",
        ),
        (
            &["serve", "--personio-base-url", "https://api.personio.de/v2"],
            &[],
            "(PERSONIO_BASE_URL): leave out /v2",
        ),
        (
            &["serve", "--personio-base-url", "https://me:secret@x.example"],
            &[],
            "--personio-base-url",
        ),
        (&["serve", "--personio-app-id", "a b"], &[], "--personio-app-id (PERSONIO_APP_ID)"),
        (
            &["serve", "--personio-max-concurrency", "257"],
            &[],
            "--personio-max-concurrency (PERSONIO_MAX_CONCURRENCY): invalid number `257`: expected 1 to 256",
        ),
        (
            &["serve"],
            &[("PERSONIO_MAX_CONCURRENCY", Some("0"))],
            "(PERSONIO_MAX_CONCURRENCY): invalid number `0`",
        ),
        (
            &["serve", "--public-url", "https://x.example/scim/v2"],
            &[],
            "--public-url (SCIM_PUBLIC_URL)",
        ),
        (&["serve", "--listen", "8080"], &[], "--listen (SCIM_LISTEN): invalid address `8080`"),
        (
            &["serve"],
            &[("SCIM_LISTEN", Some("127.0.0.1:99999"))],
            "--listen (SCIM_LISTEN): invalid address `127.0.0.1:99999`",
        ),
        (&["serve", "--cache-tll", "5m"], &[], "'--cache-tll' found; did you mean `--cache-ttl`?"),
        (&["serve", "--port", "8080"], &[], "'--port' found; did you mean `--listen`?"),
        (
            &["serve", "--persons", "5"],
            &[],
            "'--persons' found; it is a flag of `demo`, `simulator`",
        ),
        (&["export", "--format", "cvs"], &[], "did you mean `csv`?"),
        (&["serve", "--cache-ttl"], &[], "--cache-ttl"),
        (&["sevre"], &[], "'sevre'; did you mean `serve`?"),
        (&["token", "nwe"], &[], "did you mean `new`?"),
        (&["serve", "now"], &[], "now"),
        (
            &["serve", "--log-level", "verbose"],
            &[],
            "--log-level (SCIM_LOG_LEVEL): invalid value `verbose`: expected one of off, error",
        ),
        (&["demo"], &[("SCIM_LOG_LEVEL", Some("warning"))], "did you mean `warn`?"),
        (
            &["simulator", "--log-format", "xml"],
            &[],
            "(SCIM_LOG_FORMAT): invalid value `xml`: expected one of auto, text, json",
        ),
        (
            &["serve"],
            &[("RUST_LOG", Some("verbose"))],
            "RUST_LOG: invalid level `verbose`: expected off, error, warn",
        ),
        (
            &["serve"],
            &[("RUST_LOG", Some("personio-scim=debug"))],
            "RUST_LOG: invalid level `personio-scim=debug`: expected off, error",
        ),
        (&[], &[], "a command is required"),
        (
            &["serve"],
            &[("SCIM_MAXSTALE", Some("1h"))],
            "unknown variable SCIM_MAXSTALE (did you mean SCIM_MAX_STALE?): unset it, or see",
        ),
        (
            &["serve"],
            &[("SCIM_BEARER_TOKEN", None), ("SCIM_BEARER_TOKN", Some(TOKEN))],
            "SCIM_BEARER_TOKN (did you mean SCIM_BEARER_TOKEN?)",
        ),
        (&["serve"], &[("SCIM_PORT", Some("8080"))], "SCIM_PORT (did you mean SCIM_LISTEN?)"),
        (
            &["serve"],
            &[("PERSONIO_SECRET", Some("a-secret"))],
            "(did you mean PERSONIO_CLIENT_SECRET?)",
        ),
        (
            &["serve"],
            &[
                ("PERSONIO_CLIENT_ID", None),
                ("PERSONIO_CLIENT_SECRET", Some("")),
                ("SCIM_BEARER_TOKEN", None),
            ],
            "--personio-client-id (PERSONIO_CLIENT_ID), --personio-client-secret (PERSONIO_CLIENT_SECRET) and --bearer-token \
             (SCIM_BEARER_TOKEN) are required. The token is your choice: make one with `personio-scim token new`",
        ),
        (
            &["check"],
            &[
                ("PERSONIO_CLIENT_ID", None),
                ("PERSONIO_CLIENT_SECRET", None),
                ("SCIM_BEARER_TOKEN", None),
            ],
            "--personio-client-id (PERSONIO_CLIENT_ID) and --personio-client-secret (PERSONIO_CLIENT_SECRET) are required\n",
        ),
        (
            &["serve"],
            &[("PERSONIO_BASE_URL", Some("api.personio.de"))],
            "write https:// in front, `https://api.personio.de`",
        ),
        (
            &["serve"],
            &[("PERSONIO_BASE_URL", Some("localhost:8081"))],
            "write http:// in front, `http://localhost:8081`",
        ),
        (&["serve"], &[("PERSONIO_BASE_URL", Some("127.0.0.1:8081"))], "`http://127.0.0.1:8081`"),
        (&["serve"], &[("PERSONIO_BASE_URL", Some("[::1]:8081"))], "`http://[::1]:8081`"),
        (
            &["serve"],
            &[("PERSONIO_TOKEN", Some("a-secret"))],
            "personio-scim: unknown variable PERSONIO_TOKEN: unset it, or see",
        ),
        (
            &["serve"],
            &[("SCIM_MAXSTALE", Some("1h")), ("SCIM_VERSION", Some("1"))],
            "unknown variables SCIM_MAXSTALE (did you mean SCIM_MAX_STALE?), SCIM_VERSION: unset them, or see",
        ),
        (
            &["serve", "--bearer-token", "Authorization: Bearer two words of secret"],
            &[],
            "--bearer-token (SCIM_BEARER_TOKEN) holds a whole HTTP header: write the token alone",
        ),
        (&["serve", "--public-url", "scim.example.com/hr"], &[], "`https://scim.example.com/hr`"),
        (&["demo"], &[("SCIM_MAXSTALE", Some("1h"))], "SCIM_MAXSTALE"),
        (&["serve", "--config", &unknown_key], &[], "did you mean `active_before_start_days`?"),
        (&["serve"], &[("SCIM_CONFIG", Some(&unknown_key))], &unknown_key),
        (
            &["demo", "--config", &personal],
            &[],
            "custom_attribute `cake`: its id `date_of_birth` is recognised as personal data",
        ),
        (
            &["serve", "--config", &nowhere],
            &[],
            "client `okta`: networks: invalid network `nowhere`",
        ),
        (&["serve", "--config", &shared], &[], "is the same as the token of the client `okta`"),
        (
            &["serve", "--config", &shared],
            &[("SCIM_BEARER_TOKEN", None), ("SCIM_WEBHOOK_TOKEN", Some(TOKEN))],
            "(SCIM_WEBHOOK_TOKEN) is the same as the token of the client `okta`",
        ),
        (&["serve", "--config", &missing], &[], &missing),
        (&["serve", "--config", &missing], &[], "--config (SCIM_CONFIG)"),
        (
            &["serve", "--bearer-token", "a-secret-that-is-long", "--bearer-token-file", &secret],
            &[],
            "--bearer-token and --bearer-token-file",
        ),
        (
            &[
                "serve",
                "--personio-client-secret",
                "a-secret",
                "--personio-client-secret-file",
                &secret,
            ],
            &[],
            "--personio-client-secret and --personio-client-secret-file",
        ),
        (
            &["serve"],
            &[("SCIM_BEARER_TOKEN_FILE", Some(&secret))],
            "SCIM_BEARER_TOKEN, SCIM_BEARER_TOKEN_FILE",
        ),
        (
            &["serve", "--bearer-token-file", &missing],
            &[],
            "--bearer-token-file (SCIM_BEARER_TOKEN_FILE)",
        ),
        (
            &["serve"],
            &[("PERSONIO_CLIENT_SECRET", None), ("PERSONIO_CLIENT_SECRET_FILE", Some(&missing))],
            "--personio-client-secret-file (PERSONIO_CLIENT_SECRET_FILE)",
        ),
        (&["serve", "--state-file", &state], &[], both),
        (&["demo", "--state-file", &state], &[], both),
        (&["serve"], &[("SCIM_STATE_FILE", Some(&state)), ("SCIM_STATE_KEY", Some(""))], both),
        (&["serve"], &key, neither),
        (&["serve", "--state-key-file", &secret], &[], neither),
        (&["serve"], &[("SCIM_STATE_FILE", Some("")), key[0]], neither),
        (
            &["serve", "--state-file", &state],
            &[("SCIM_STATE_KEY", Some(short_key))],
            "--state-key (SCIM_STATE_KEY) is shorter than 32 characters; make one with `openssl rand -hex 32`",
        ),
        (
            &["serve", "--state-file", &state, "--state-key-file", &secret],
            &[],
            "is shorter than 32 characters",
        ),
        (
            &["serve", "--state-file", &state, "--state-key-file", &missing],
            &[],
            "--state-key-file (SCIM_STATE_KEY_FILE)",
        ),
        (&["serve", "--state-file", &lost], &key, "--state-file (SCIM_STATE_FILE): "),
        (&["serve", "--state-file", &lost], &key, "missing: there is no such folder"),
        (&["serve", "--state-file", &in_file], &key, "there is no such folder"),
        (&["serve", "--state-file", "/proc/state"], &key, "/proc: the folder cannot be written to"),
        (&["serve", "--state-file", folder], &key, "invalid path `"),
        (&["serve", "--state-file", &slash], &key, "invalid path `"),
        (&["serve", "--state-file", ".."], &key, "invalid path `"),
        (&["serve", "--state-file", ""], &key, "--state-file (SCIM_STATE_FILE): invalid path ``"),
        (
            &["approve", "--listen", "nowhere"],
            &[],
            "--listen (SCIM_LISTEN): invalid address `nowhere`",
        ),
        (&["serve"], &[("RUST_LOG", Some("personio_scim=loud"))], "RUST_LOG"),
        (
            &["simulator", "--listen", &listen],
            &[("RUST_LOG", Some("personio_scim=loud"))],
            "RUST_LOG",
        ),
        (&["demo", "--persons", "0"], &[], "--persons"),
        (&["demo", "--seed", "one"], &[], "--seed"),
        (&["simulator", "--rate", "0"], &[], "--rate"),
        (&["simulator", "--listen", "nowhere"], &[], "--listen"),
        (
            &["healthcheck", "--listen", "nowhere"],
            &[],
            "--listen (SCIM_LISTEN): invalid address `nowhere`",
        ),
    ];
    let mut failures = Vec::new();
    for (args, changes, part) in rows {
        let mut variables = settings("http://127.0.0.1:9");
        variables.push(("SCIM_LISTEN", &listen));
        for (name, value) in *changes {
            variables.retain(|(other, _)| other != name);
            variables.extend(value.map(|value| (*name, value)));
        }
        let ended = run(args, &variables).await;
        let one_line = ended.err.lines().count() == 1 && ended.out.is_empty();
        if ended.status.code() != Some(64) || !one_line || !ended.err.contains(part) {
            failures.push(format!("{args:?} {changes:?}, {part}: {ended:?}"));
        }
        // The message may repeat file names but not secrets.
        for told in ["tooshort-secret", "words of secret", "me:secret", "a-secret", TOKEN] {
            assert!(!ended.err.contains(told), "{ended:?}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        0,
        "trying out a folder leaves nothing in it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_exit_code_1_and_one_line_that_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let serve = run(&["serve", "--listen", &listen], &settings("http://127.0.0.1:9")).await;
    let demo = run(&["demo", "--persons", "1", "--listen", &listen], &[]).await;
    let simulator = run(&["simulator", "--persons", "1", "--listen", &listen], &[]).await;
    for ended in [serve, demo, simulator] {
        ended.complains(1, "--listen");
        ended.complains(1, &listen);
        ended.complains(
            1,
            "another program listens there, perhaps a personio-scim that still runs: stop it",
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_counts_as_not_set_whichever_it_is() {
    // Valid settings fail with exit code 1, because this port is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let args = Args::command();
    let serve = args.find_subcommand("serve").unwrap();
    let names: Vec<&str> =
        serve.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        for value in ["", " "] {
            let mut variables = settings("http://127.0.0.1:9");
            variables.retain(|(other, _)| *other != name && *other != "SCIM_LISTEN");
            variables.push((name, value));
            let ended = run(&["serve", "--listen", &listen], &variables).await;
            if ["PERSONIO_CLIENT_ID", "PERSONIO_CLIENT_SECRET", "SCIM_BEARER_TOKEN"].contains(&name)
            {
                ended.complains(64, &format!("({name}) is required"));
            } else {
                ended.complains(1, "another program listens there");
            }
        }
    }
    // The request goes to the default address, and the help still names the variable.
    run(&["healthcheck"], &[("SCIM_LISTEN", ""), ("SCIM_TLS_CERT", "")])
        .await
        .complains(1, "http://127.0.0.1:8080/");
    let help = run(&["serve", "--help"], &[("SCIM_CACHE_TTL", "")]).await;
    assert!(help.out.contains("SCIM_CACHE_TTL"), "{}", help.out);
}

/// Variables of all groups, each with an invalid value.
const INVALID_VARIABLES: [(&str, &str); 12] = [
    ("PERSONIO_CLIENT_ID", " "),
    ("PERSONIO_CLIENT_SECRET_FILE", "/missing/secret"),
    ("PERSONIO_BASE_URL", "personio"),
    ("PERSONIO_MAX_CONCURRENCY", "0"),
    ("SCIM_TLS_CERT", "/missing/certificate"),
    ("SCIM_PUBLIC_URL", "scim.example.com"),
    ("SCIM_BEARER_TOKEN", "short"),
    ("SCIM_CACHE_TTL", "5"),
    ("SCIM_MAX_CHANGE", "many"),
    ("SCIM_MAX_RESULTS", "10"),
    ("SCIM_STATUS_PAGE", "yes"),
    ("SCIM_STATE_KEY", "short"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_variable_stops_only_the_commands_that_use_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let all = INVALID_VARIABLES;
    let personio = &all[..4];
    let without_certificate: Vec<_> =
        all.into_iter().filter(|(name, _)| *name != "SCIM_TLS_CERT").collect();
    // Commands that do not use the variables: exit code and the part of the error.
    type Row<'r> = (&'r [&'r str], &'r [(&'r str, &'r str)], Option<i32>, &'r str);
    let rows: &[Row<'_>] = &[
        (&["serve", "--help"], &all, Some(0), ""),
        (&["check", "-h"], &all, Some(0), ""),
        (&["help", "export"], &all, Some(0), ""),
        (&["--version"], &all, Some(0), ""),
        (&["token", "new"], &all, Some(0), ""),
        (&["man"], &all, Some(0), ""),
        (&["completions", "bash"], &all, Some(0), ""),
        (&["token", "new"], &[("SCIM_MAXSTALE", "1h")], Some(0), ""),
        (&["simulator", "--listen", &listen], &all, Some(1), "another program listens there"),
        (
            &["simulator", "--listen", &listen],
            &[("SCIM_LISTEN", "nowhere"), ("SCIM_MAXSTALE", "1h")],
            Some(1),
            "another program listens there",
        ),
        (&["demo", "--listen", &listen], personio, Some(1), "another program listens there"),
        (
            &["healthcheck", "--listen", "127.0.0.1:1"],
            &without_certificate,
            Some(1),
            "http://127.0.0.1:1/health/live does not answer",
        ),
        (
            &["healthcheck", "--listen", "127.0.0.1:1"],
            &[("SCIM_LISTEN", "nowhere"), ("SCIM_TLS_CERT", "/missing"), ("SCIM_MAXSTALE", "1h")],
            Some(1),
            "https://127.0.0.1:1/health/live does not answer",
        ),
        (
            &["approve", "--listen", "127.0.0.1:1"],
            &without_certificate,
            Some(1),
            "http://127.0.0.1:1/health/ready does not answer",
        ),
    ];
    // Some of the programs wait before they try again. They do so at the same time.
    let mut programs = Vec::new();
    for (args, variables, code, part) in rows {
        programs.push((args, code, part, Program::start(args, variables)));
    }
    for (args, code, part, program) in programs {
        let ended = program.ended().await;
        assert_eq!(ended.status.code(), *code, "{args:?}: {ended:?}");
        assert!(ended.err.contains(part), "{args:?}: {ended:?}");
    }
    // `export` uses the settings for Personio, the mapping, the public URL, the guard and the log.
    let mut unused = settings("http://127.0.0.1:9");
    for (name, value) in all {
        if !is_used_by_export(name) {
            unused.retain(|(other, _)| *other != name);
            unused.push((name, value));
        }
    }
    let export_with_unused = Program::start(&["export"], &unused);
    for (name, value) in all {
        let mut variables = settings("http://127.0.0.1:9");
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
        if is_used_by_export(name) {
            run(&["export"], &variables).await.complains(64, name);
        }
        // `check` also uses the settings of a server, but no flag of it.
        run(&["check"], &variables).await.complains(64, name);
    }
    export_with_unused.ended().await.complains(1, "Personio");
    let mut variables = settings("http://127.0.0.1:9");
    variables.push(("SCIM_LOG_LEVEL", "loud"));
    run(&["export"], &variables).await.complains(64, "(SCIM_LOG_LEVEL): invalid value `loud`");
    run(&["check"], &variables).await.complains(64, "(SCIM_LOG_LEVEL): invalid value `loud`");
}

fn is_used_by_export(variable: &str) -> bool {
    variable.starts_with("PERSONIO_") || ["SCIM_PUBLIC_URL", "SCIM_MAX_CHANGE"].contains(&variable)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_an_invalid_value_as_json_wherever_it_is_given() {
    let complaint = "--personio-base-url (PERSONIO_BASE_URL): invalid URL `personio`";
    let json = &["check", "--json"][..];
    // A valid flag wins over the variable, and the server's own variable is still checked.
    let flagged = &["check", "--json", "--public-url", "https://scim.example.com"];
    for (args, name, value, expected) in [
        (json, "PERSONIO_BASE_URL", "personio", complaint),
        (json, "PERSONIO_CLIENT_ID", "\t", "(PERSONIO_CLIENT_ID) is required"),
        (json, "PERSONIO_MAX_CONCURRENCY", "0", "(PERSONIO_MAX_CONCURRENCY): invalid number `0`"),
        (json, "SCIM_MAX_CHANGE", "many", "--max-change (SCIM_MAX_CHANGE): invalid share `many`"),
        (json, "SCIM_MAX_RESULTS", "10", "(SCIM_MAX_RESULTS): invalid number `10`"),
        (json, "SCIM_LOG_FORMAT", "xml", "(SCIM_LOG_FORMAT): invalid value `xml`"),
        (json, "SCIM_MAXSTALE", "1h", "unknown variable SCIM_MAXSTALE"),
        (flagged, "SCIM_PUBLIC_URL", "scim.example.com", "--public-url (SCIM_PUBLIC_URL)"),
        (&["check", "--personio-base-url=personio", "--json"], "SCIM_CONFIG", "", complaint),
        (&["check", "--personio-client-id=", "--json"], "SCIM_CONFIG", "", "_ID) is empty"),
    ] {
        let mut variables = settings("http://127.0.0.1:9");
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
        let ended = run(args, &variables).await;
        assert_eq!(ended.status.code(), Some(64), "{name}={value}: {ended:?}");
        let report: Value = serde_json::from_str(&ended.out).unwrap_or_default();
        let finding = &report["findings"][0];
        assert_eq!(finding["step"], "settings", "{name}={value}: {ended:?}");
        let what = finding["what"].as_str().unwrap();
        assert!(what.contains(expected), "{name}={value}: {what}");
        assert_eq!(ended.err, format!("personio-scim: {what}\n"));
    }
    // Errors of other kinds and of other commands have no report.
    let unknown =
        run(&["check", "--json", "--persons", "5"], &settings("http://127.0.0.1:9")).await;
    unknown.complains(64, "'--persons' found");
    run(&["healthcheck", "--listen", "nowhere"], &[]).await.complains(64, "invalid address");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_variable_of_a_flag_although_the_variable_is_empty() {
    for (args, name, part) in [
        (&["serve", "--cache-ttl", "5"], "SCIM_CACHE_TTL", "--cache-ttl (SCIM_CACHE_TTL): invalid"),
        (&["demo", "--listen", "nowhere"], "SCIM_LISTEN", "--listen (SCIM_LISTEN): invalid"),
        (&["export", "--max-change", "x"], "SCIM_MAX_CHANGE", "--max-change (SCIM_MAX_CHANGE): "),
        (
            &["serve", "--bearer-token-file", "/missing"],
            "SCIM_BEARER_TOKEN_FILE",
            "--bearer-token-file (SCIM_BEARER_TOKEN_FILE): /missing: ",
        ),
    ] {
        let mut variables = settings("http://127.0.0.1:9");
        variables.retain(|(other, _)| *other != name);
        variables.push((name, ""));
        run(args, &variables).await.complains(64, part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_others_reach_without_tls_warns_of_it() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let plain = "clients speak plain HTTP";
    let begins = "SCIM_PUBLIC_URL) begins with http://";
    for (listen, public_url, expected) in [
        ("127.0.0.1:0", "", None),
        ("127.0.0.1:0", "http://localhost:8080", None),
        ("127.0.0.1:0", "https://scim.example.com", None),
        ("127.0.0.1:0", "http://scim.example.com", Some(begins)),
        ("0.0.0.0:0", "", Some(plain)),
        ("[::]:0", "", Some(plain)),
        // Settings as in a container behind a proxy.
        ("0.0.0.0:0", "https://scim.example.com", None),
        ("0.0.0.0:0", "http://scim.example.com", Some(begins)),
    ] {
        let mut variables = settings(&upstream);
        variables.retain(|(name, _)| *name != "SCIM_LISTEN");
        variables.extend([("SCIM_LISTEN", listen), ("SCIM_PUBLIC_URL", public_url)]);
        let program = Program::start(&["serve"], &variables);
        program.base_url().await;
        let is_about = |line: &Value| {
            let message = line["message"].as_str().unwrap_or_default();
            line["level"] == "WARN" && (message.contains(plain) || message.contains(begins))
        };
        let warnings: Vec<Value> = program.log().into_iter().filter(is_about).collect();
        match expected {
            None => assert!(warnings.is_empty(), "{listen} {public_url}: {warnings:?}"),
            Some(part) => {
                let [warning] = &warnings[..] else {
                    panic!("{listen} {public_url}: {warnings:?}")
                };
                let message = warning["message"].as_str().unwrap();
                assert!(
                    message.contains(part) && message.contains("--tls-cert (SCIM_TLS_CERT)"),
                    "{message}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_larger_than_the_largest_page_is_warned_of_in_the_log_and_on_the_page() {
    let simulator = Setup::persons(1100).simulator();
    let upstream = simulator.base_url();
    for (max_results, is_warned) in [("1000", true), ("1100", false)] {
        let mut variables = settings(&upstream);
        variables.push(("SCIM_MAX_RESULTS", max_results));
        let program = Program::start(&["serve"], &variables);
        let origin = program.base_url().await.replace("/scim/v2", "");
        let is_served = |line: &Value| {
            line["message"].as_str().is_some_and(|text| text.contains("users are served"))
        };
        wait_until("users are served", async || program.log().iter().any(is_served)).await;
        let log = program.log();
        let is_progress = |line: &Value| {
            line["message"].as_str().is_some_and(|text| text.contains("until that is done"))
        };
        assert!(log.iter().any(is_progress), "{log:?}");
        let words = "1100 users are more than the largest page holds, 1000: a client that does not page reads a part";
        let is_about = |line: &Value| {
            line["level"] == "WARN" && line["message"].as_str().unwrap().starts_with(words)
        };
        assert_eq!(
            log.iter().filter(|line| is_about(line)).count(),
            usize::from(is_warned),
            "{log:?}"
        );
        let page = get(&format!("{origin}/status"), TOKEN).await.text;
        assert_eq!(page.contains("more users than the largest page holds"), is_warned, "{page}");
    }
}

/// Checks both meanings of SIGHUP: a closed terminal sends it, and an operator sends it to reload
/// the settings.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_terminal_is_closed_ends_and_one_without_a_terminal_reads_its_settings() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let Terminal { screen, end } = Terminal::open();
    let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
    command
        .arg("serve")
        .env_clear()
        .envs(settings(&upstream))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = command.stderr(end).spawn().unwrap();
    drop(command);
    let mut reader = BufReader::new(screen);
    let mut line = String::new();
    while !line.contains("users are served") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    drop(reader);
    let hang_up =
        |pid: u32| Command::new("kill").args(["-HUP", &pid.to_string()]).status().unwrap();
    assert!(hang_up(child.id()).success());
    let mut status = None;
    wait_until("the program has ended", async || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert_eq!(status.unwrap().code(), Some(0));

    let service = serve(&simulator);
    service.base_url().await;
    service.signal("HUP");
    let is_read = |line: &Value| {
        line["message"].as_str().is_some_and(|text| text.contains("settings were read again"))
    };
    wait_until("the settings are read again", async || service.log().iter().any(is_read)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_plain_text_on_standard_output() {
    let version = concat!("personio-scim ", env!("CARGO_PKG_VERSION"), "\n");
    // The help must not contain a secret from the environment.
    let variables = [
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("PERSONIO_CLIENT_SECRET", TOKEN),
        ("SCIM_STATE_KEY", TOKEN),
        ("TERM", "xterm-256color"),
    ];
    for (args, part) in [
        (&["--version"][..], version),
        (&["-V"], version),
        (&["--help"], "healthcheck"),
        (&["help"], "simulator"),
        (&["serve", "--help"], "SCIM_MAX_STALE"),
        (&["serve", "-h"], "PERSONIO_CLIENT_SECRET_FILE"),
        (&["demo", "--help"], "--persons"),
        (&["simulator", "--help"], "--burst"),
        (&["healthcheck", "--help"], "--ready"),
        (&["approve", "--help"], "Publish the change that the server"),
        (&["serve", "--help"], "SCIM_STATE_KEY_FILE"),
    ] {
        let ended = run(args, &variables).await;
        assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{args:?}");
        assert!(ended.out.contains(part), "{args:?}: {}", ended.out);
        assert!(
            !ended.out.contains('\x1b') && !ended.out.contains(TOKEN),
            "{args:?}: {}",
            ended.out
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_come_from_files_that_end_with_a_new_line() {
    let simulator = Setup::persons(30).simulator();
    let upstream = simulator.base_url();
    let (token, secret) = (file(&format!("{TOKEN}\n")), file("demo-secret\r\n"));
    let (folder, key) =
        (tempfile::tempdir().unwrap(), file("a key that is long enough, in a file\n"));
    let state = folder.path().join("state");
    let variables = [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET_FILE", secret.path().to_str().unwrap()),
        ("PERSONIO_BASE_URL", &upstream),
        ("SCIM_BEARER_TOKEN_FILE", token.path().to_str().unwrap()),
        ("SCIM_STATE_FILE", state.to_str().unwrap()),
        ("SCIM_STATE_KEY_FILE", key.path().to_str().unwrap()),
        // Compose files set missing variables to an empty value.
        ("SCIM_STATE_KEY", ""),
        ("SCIM_BEARER_TOKEN", ""),
        ("SCIM_WEBHOOK_TOKEN", ""),
        ("SCIM_REFRESH_EVERY", ""),
        ("SCIM_CONFIG", ""),
        ("SCIM_PUBLIC_URL", ""),
        ("SCIM_LISTEN", "127.0.0.1:0"),
    ];
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    let users = get(&format!("{base_url}/Users"), TOKEN).await;
    assert_eq!(
        (users.status.as_u16(), &users.json()["totalResults"]),
        (200, &Value::from(30)),
        "{}",
        users.text
    );
    get(&format!("{base_url}/Users"), "another-token-that-is-long").await.scim_error(401, None);
    assert_eq!(simulator.request_count(SimulatedEndpoint::Token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_wins_over_its_variable_whatever_the_variable_says() {
    let simulator = Setup::persons(5).simulator();
    let upstream = simulator.base_url();
    let (token, wrong) = (file(TOKEN), file("a-token-that-is-not-asked-for"));
    let (token, wrong) = (token.path().to_str().unwrap(), wrong.path().to_str().unwrap());
    let variables = [
        ("PERSONIO_CLIENT_ID", "somebody"),
        ("PERSONIO_CLIENT_SECRET_FILE", wrong),
        ("PERSONIO_BASE_URL", "http://127.0.0.1:9"),
        ("SCIM_BEARER_TOKEN", "a-token-that-is-not-asked-for"),
        ("SCIM_LISTEN", "nowhere"),
        ("SCIM_PUBLIC_URL", "https://variable.example"),
        ("SCIM_MAX_RESULTS", "2000"),
        ("SCIM_MAX_FILTER_LENGTH", "1"),
        ("SCIM_MAX_FILTER_DEPTH", "3"),
        ("SCIM_CACHE_TTL", "5 parsecs"),
    ];
    let args = [
        "serve",
        "--personio-client-id=demo",
        "--personio-client-secret=demo-secret",
        "--personio-base-url",
        &upstream,
        "--bearer-token-file",
        token,
        "--listen=127.0.0.1:0",
        "--public-url=https://flag.example/hr/",
        "--max-results=3000",
        "--max-filter-length=200",
        "--cache-ttl=1h",
    ];
    let program = Program::start(&args, &variables);
    assert_eq!(program.base_url().await, "https://flag.example/hr/scim/v2");
    let address =
        program.log().iter().find_map(|line| Some(line["address"].as_str()?.to_owned())).unwrap();
    let users = get(&format!("http://{address}/scim/v2/Users"), TOKEN).await.json();
    assert_eq!(users["totalResults"], 5);
    let location = users["Resources"][0]["meta"]["location"].as_str().unwrap();
    assert!(location.starts_with("https://flag.example/hr/scim/v2/Users/"), "{location}");
    let config =
        get(&format!("http://{address}/scim/v2/ServiceProviderConfig"), TOKEN).await.json();
    assert_eq!(config["filter"]["maxResults"], 3000);
    for (filter, expected) in [
        ("((((title+pr))))".to_owned(), "filter, character 4: the filter is nested deeper than 3"),
        (
            format!("title+eq+%22{}%22", "x".repeat(200)),
            "the filter has 211 bytes; at most 200 are allowed",
        ),
    ] {
        let answer = get(&format!("http://{address}/Users?filter={filter}"), TOKEN).await;
        assert_eq!(answer.scim_error(400, Some("invalidFilter")), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_that_the_demo_prints_can_be_copied() {
    let program = Program::start(&["demo", "--listen", "127.0.0.1:0", "--persons", "60"], &[]);
    let (base_url, token) = (program.printed("base URL:").await, program.printed("token:").await);
    wait_until("the demo has said it all", async || program.out.so_far().contains("Ctrl-C")).await;
    let out = program.out.so_far();
    let lines: Vec<&str> =
        out.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(out.contains("60 persons") && !out.contains('\x1b'), "{out}");

    let has_curl = Command::new("curl").arg("--version").output().is_ok();
    for (line, expected) in lines.into_iter().zip([Some((3, 60)), None, None]) {
        // Form of the line: curl -sS -H '…' '…'
        let quoted: Vec<&str> = line.split('\'').collect();
        let [_, header, _, url, _] = quoted[..] else { panic!("{line}") };
        assert!(url.starts_with(&base_url), "{line}");
        assert_eq!(header, format!("Authorization: Bearer {token}"));
        let answer = get(url, &token).await;
        assert_eq!(answer.status.as_u16(), 200, "{line}: {}", answer.text);
        let page = answer.json();
        if let Some((here, of)) = expected {
            let found = (
                page["Resources"].as_array().unwrap().len(),
                page["totalResults"].as_u64().unwrap(),
            );
            assert_eq!(found, (here, of), "{line}");
        }
        if has_curl {
            let copied =
                Command::new("sh").args(["-c", line]).env("NO_PROXY", "*").output().unwrap();
            assert!(copied.status.success(), "{line}: {copied:?}");
            assert_eq!(serde_json::from_slice::<Value>(&copied.stdout).unwrap(), page, "{line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_answers_by_its_exit_code() {
    // This server is live but not ready.
    let simulator = Setup::persons(5).simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let program = serve(&simulator);
    let base_url = program.base_url().await;
    let address = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2");
    let port = address.rsplit(':').next().unwrap();
    let anywhere = format!("0.0.0.0:{port}");
    for listen in [address, &anywhere] {
        let alive = run(&["healthcheck", "--listen", listen], &[]).await;
        assert_eq!((alive.status.code(), alive.err.as_str()), (Some(0), ""), "{alive:?}");
    }
    run(&["healthcheck", "--ready", "--listen", address], &[])
        .await
        .complains(1, "/health/ready answers 503");

    // The health check ignores a proxy that is set for other purposes.
    let demo = Program::start(&["demo", "--listen", "127.0.0.1:0", "--persons", "60"], &[]);
    let base_url = demo.printed("base URL:").await;
    let address = base_url.trim_start_matches("http://").trim_end_matches("/scim/v2");
    let variables = [("SCIM_LISTEN", address), ("http_proxy", "http://127.0.0.1:9")];
    wait_until("the demo is ready", async || {
        run(&["healthcheck", "--ready"], &variables).await.status.code() == Some(0)
    })
    .await;
    assert_eq!(run(&["healthcheck"], &variables).await.status.code(), Some(0));

    // Tests never bind such a low port.
    let nobody = "127.0.0.1:1";
    for args in
        [&["healthcheck", "--listen", nobody][..], &["healthcheck", "--ready", "--listen", nobody]]
    {
        run(args, &[]).await.complains(1, nobody);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_signal_ends_every_server_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let simulator = Setup::persons(5).simulator();
        let bridge = serve(&simulator);
        let base_url = bridge.base_url().await;
        let kept = http();
        let users = kept
            .get(format!("{base_url}/Users"))
            .header("Authorization", format!("Bearer {TOKEN}"));
        assert_eq!(send_request(users).await.status.as_u16(), 200);
        let demo = Program::start(&["demo", "--listen", "127.0.0.1:0", "--persons", "60"], &[]);
        let alone =
            Program::start(&["simulator", "--listen", "127.0.0.1:0", "--persons", "60"], &[]);
        demo.printed("base URL:").await;
        alone.printed("base URL:").await;
        for program in [bridge, demo, alone] {
            program.signal(signal);
            let ended = program.ended().await;
            assert_eq!(ended.status.code(), Some(0), "{signal}: {ended:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waiting_for_personio_does_not_delay_shutdown() {
    tokio::join!(ends_while_a_request_waits("TERM"), ends_while_a_request_waits("INT"));
}

async fn ends_while_a_request_waits(signal: &str) {
    let simulator = Setup::persons(5).simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let upstream = simulator.base_url();
    let mut variables = settings(&upstream);
    variables.push(("SCIM_REFRESH_WAIT", "10m"));
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    let users =
        http().get(format!("{base_url}/Users")).header("Authorization", format!("Bearer {TOKEN}"));
    let waiting = tokio::spawn(users.send());
    wait_until("Personio is asked", async || {
        simulator.request_count(SimulatedEndpoint::Persons) > 0
    })
    .await;
    // A request that finds no fresh snapshot is counted before it waits.
    let metrics = base_url.replace("/scim/v2", "/metrics");
    wait_until("the request waits", async || {
        let counts = get(&metrics, "").await.text;
        metric_in(&counts, "cache_requests_total{cache=\"snapshot\",outcome=\"miss\"}") == 1
    })
    .await;
    assert!(!waiting.is_finished());

    program.signal(signal);
    let ended = tokio::time::timeout(END_TIMEOUT, program.ended())
        .await
        .expect("it ends within ten seconds");
    assert_eq!(ended.status.code(), Some(0), "{signal}: {ended:?}");
    assert!(!ended.err.contains("panicked"), "{ended:?}");
    // The response must not be a list of users.
    let told = waiting.await.unwrap();
    assert!(told.is_err() || told.is_ok_and(|response| response.status().as_u16() == 503));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_command_prints_its_url_and_responds() {
    let args = [
        "simulator",
        "--listen",
        "127.0.0.1:0",
        "--persons",
        "60",
        "--client-id",
        "me",
        "--client-secret",
        "mine",
    ];
    let program = Program::start(&args, &[]);
    let base_url = program.printed("base URL:").await;
    assert_eq!(program.printed("client secret:").await, "mine");
    let form = |secret: &'static str| {
        let body = format!("grant_type=client_credentials&client_id=me&client_secret={secret}");
        let content = ("Content-Type", "application/x-www-form-urlencoded");
        http().post(format!("{base_url}/v2/auth/token")).header(content.0, content.1).body(body)
    };
    let refused = send_request(form("yours")).await;
    assert!(refused.status.is_client_error(), "{refused:?}");
    let token =
        send_request(form("mine")).await.json()["access_token"].as_str().unwrap().to_owned();
    let persons = get(&format!("{base_url}/v2/persons?limit=50"), &token).await;
    assert_eq!(persons.status.as_u16(), 200, "{}", persons.text);
    assert_eq!(persons.json()["_data"].as_array().unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_and_simulator_work_as_two_processes() {
    let simulator =
        Program::start(&["simulator", "--listen", "127.0.0.1:0", "--persons", "60"], &[]);
    let upstream = simulator.printed("base URL:").await;
    let (id, secret) =
        (simulator.printed("client id:").await, simulator.printed("client secret:").await);
    let variables = [
        ("PERSONIO_CLIENT_ID", id.as_str()),
        ("PERSONIO_CLIENT_SECRET", &secret),
        // A slash at the end is accepted.
        ("PERSONIO_BASE_URL", &format!("{upstream}/")),
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("SCIM_LISTEN", "127.0.0.1:0"),
    ];
    let bridge = Program::start(&["serve"], &variables);
    let base_url = bridge.base_url().await;
    let page = get(&format!("{base_url}/Users"), TOKEN).await.json();
    assert_eq!(
        (&page["totalResults"], &page["itemsPerPage"]),
        (&Value::from(60), &Value::from(60))
    );
    for user in page["Resources"].as_array().unwrap() {
        let location = user["meta"]["location"].as_str().unwrap();
        assert_eq!(&get(location, TOKEN).await.json(), user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_read_without_prefix_quotes_and_byte_order_mark() {
    let simulator = Setup::persons(1).simulator();
    let upstream = simulator.base_url();
    let windows = file(&format!("\u{feff}{TOKEN}\r\n"));
    let windows = windows.path().to_str().unwrap();
    for (name, value) in [
        ("SCIM_BEARER_TOKEN", format!("Bearer {TOKEN}")),
        ("SCIM_BEARER_TOKEN", format!("\"{TOKEN}\"")),
        ("SCIM_BEARER_TOKEN_FILE", windows.to_owned()),
    ] {
        let mut variables = settings(&upstream);
        variables.retain(|(name, _)| *name != "SCIM_BEARER_TOKEN");
        variables.push((name, &value));
        let program = Program::start(&["serve"], &variables);
        let base_url = program.base_url().await;
        assert_eq!(get(&format!("{base_url}/Schemas"), TOKEN).await.status, 200, "{name}={value}");
    }
    let mut utf16 = NamedTempFile::new().unwrap();
    utf16.write_all(b"\xFF\xFEa\0-\0t\0o\0k\0e\0n\0").unwrap();
    let two = file(&format!("{TOKEN}\n{TOKEN}\n"));
    for (path, part) in
        [(utf16.path(), "it is UTF-16"), (two.path(), "it contains a space or a line break")]
    {
        let mut variables = settings(&upstream);
        variables.retain(|(name, _)| *name != "SCIM_BEARER_TOKEN");
        variables.push(("SCIM_BEARER_TOKEN_FILE", path.to_str().unwrap()));
        run(&["serve"], &variables).await.complains(64, part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_line_of_json_with_its_id_and_without_its_query() {
    let simulator = Setup::persons(5).simulator();
    let program = serve(&simulator);
    let base_url = program.base_url().await;
    let origin = base_url.trim_end_matches("/scim/v2");
    let id = get(&format!("{base_url}/Users?count=1"), TOKEN).await.json()["Resources"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let rows = [
        ("/scim/v2/Users?count=2&marker=1", TOKEN, "/scim/v2/Users", 200, Some("client"), Some(2)),
        ("/scim/v2/Users?filter=marker", TOKEN, "/scim/v2/Users", 400, Some("client"), None),
        ("/scim/v2/Users?sortBy=marker", TOKEN, "/scim/v2/Users", 400, Some("client"), None),
        ("/scim/v2/users?filter=marker", TOKEN, "(no route)", 404, Some("client"), None),
        (
            &format!("/scim/v2/Users/{id}?attributes=marker"),
            TOKEN,
            "/scim/v2/Users/{id}",
            200,
            Some("client"),
            Some(1),
        ),
        ("/scim/v2/Users/marker", TOKEN, "/scim/v2/Users/{id}", 404, Some("client"), None),
        ("/scim/v2/Users?marker=1", "a-marker-that-is-no-token", "/scim/v2/Users", 401, None, None),
        ("/status?marker=1", TOKEN, "/status", 200, Some("client"), None),
        ("/marker?marker=1", TOKEN, "(no route)", 404, Some("client"), None),
    ];
    for (path, token, route, status, client, rows) in rows {
        let answer = get(&format!("{origin}{path}"), token).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text);
        let request_id = answer.header("x-request-id").to_owned();
        assert!(!request_id.is_empty(), "{path}: {answer:?}");
        let of_request =
            |line: &Value| line["request_id"] == request_id.as_str() && line["route"].is_string();
        wait_until("the request is logged", async || program.log().iter().any(of_request)).await;
        let lines: Vec<Value> = program.log().into_iter().filter(of_request).collect();
        let [line] = lines.as_slice() else { panic!("{path}: {lines:?}") };
        assert_eq!(line["method"], "GET", "{line}");
        assert_eq!(line["route"], route, "{line}");
        assert_eq!(line["status"], status, "{line}");
        assert_eq!((line["client"].as_str(), line["rows"].as_u64()), (client, rows), "{line}");
        assert!(
            line["millis"].is_u64() && line["level"] == "INFO" && line["timestamp"].is_string(),
            "{line}"
        );
        let (scim_type, reason) = match path {
            "/scim/v2/Users?filter=marker" => {
                (Some("invalidFilter"), Some("the filter is too long, malformed"))
            }
            "/scim/v2/Users?sortBy=marker" => (Some("invalidPath"), Some("sortBy does not name")),
            "/scim/v2/users?filter=marker" => (None, Some("no such path; similar to /scim")),
            "/scim/v2/Users/marker" => (None, Some("User not found")),
            "/marker?marker=1" => (None, Some("no such path; SCIM is under /scim/v2")),
            _ => (None, None),
        };
        assert_eq!(line["scim_type"].as_str(), scim_type, "{line}");
        assert_eq!(line["reason"].is_string(), reason.is_some(), "{line}");
        assert!(
            line["reason"].as_str().unwrap_or_default().starts_with(reason.unwrap_or_default()),
            "{line}"
        );
    }
    program.signal("TERM");
    let ended = program.ended().await;
    assert_eq!(ended.out, "");
    for kept in ["marker", "?", "filter=", "attributes=", TOKEN, "demo-secret", &id, "\x1b"] {
        assert!(!ended.err.contains(kept), "{kept}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_is_applied() {
    let simulator = Setup::persons(5).simulator();
    let upstream = simulator.base_url();
    for (level, probes) in [(None, false), (Some("debug"), true)] {
        let mut variables = settings(&upstream);
        variables.extend(level.map(|level| ("RUST_LOG", level)));
        let program = Program::start(&["serve"], &variables);
        let live = program.base_url().await.replace("/scim/v2", "/health/live");
        assert_eq!(get(&live, TOKEN).await.status.as_u16(), 200);
        program.signal("TERM");
        let ended = program.ended().await;
        assert_eq!(ended.err.contains("/health/live"), probes, "{level:?}: {}", ended.err);
    }

    // A level set by the option wins over RUST_LOG, and does not make other crates log more.
    for (args, form) in
        [(&["serve", "--log-level", "DEBUG"][..], "{"), (&["serve", "--log-format=text"], "20")]
    {
        let mut variables = settings(&upstream);
        variables.extend([("RUST_LOG", "off"), ("SCIM_LOG_LEVEL", "debug")]);
        let program = Program::start(args, &variables);
        let is_logged = async || program.err.so_far().contains("SCIM clients use");
        wait_until("it listens", is_logged).await;
        program.signal("TERM");
        let ended = program.ended().await;
        assert!(ended.err.lines().all(|line| line.starts_with(form)), "{}", ended.err);
        assert!(!ended.err.contains("hyper") && !ended.err.contains("rustls"), "{}", ended.err);
    }

    simulator.reset_history();
    let mut variables = settings(&upstream);
    variables.push(("RUST_LOG", "warn"));
    let program = Program::start(&["serve"], &variables);
    wait_until("it runs", async || simulator.request_count(SimulatedEndpoint::Employments) == 5)
        .await;
    program.signal("TERM");
    assert_eq!(program.ended().await.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_outage_is_logged_as_one_error_without_lookup_warnings() {
    for action in [
        FaultAction::CustomBody(
            400,
            "application/json",
            r#"{"error": "invalid_client"}"#.to_owned(),
        ),
        FaultAction::HtmlError(403),
        FaultAction::NotFoundRoute,
    ] {
        let simulator = Setup::persons(5).simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, action.clone()));
        let program = serve(&simulator);
        wait_until("the first load has failed", async || !program.log_at("ERROR").is_empty()).await;
        program.signal("TERM");
        let ended = program.ended().await;
        let is_bad = |line: &&str| line.contains("\"ERROR\"") || line.contains("\"WARN\"");
        let bad: Vec<_> = ended.err.lines().filter(is_bad).collect();
        assert_eq!(bad.len(), 1, "{action:?}: {bad:#?}");
    }
}
