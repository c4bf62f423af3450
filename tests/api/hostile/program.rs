//! Program in a process of its own, with a limit of open files, and a simulator for it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tempfile::TempDir;

use super::http::{Peer, RawResponse, ask, connect};
use super::{PERSONS, TOKEN};

/// Name of the variable with the path of the program, for `benches/load`. Without it, tests run the
/// program that was built with them.
pub(crate) const PROGRAM_VARIABLE: &str = "HOSTILE_PROGRAM";

/// Running program. It is killed when it is dropped.
pub(crate) struct LimitedProgram {
    pub(crate) child: Child,
    pub(crate) log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl LimitedProgram {
    /// Starts the program with at most `open_files` open files.
    pub(crate) fn start(args: &[&str], variables: &[(&str, &str)], open_files: usize) -> Self {
        let mut program = Self::start_unread(args, variables, open_files);
        program.read_log();
        program
    }

    /// Starts the program without reading its log.
    pub(crate) fn start_unread(
        args: &[&str],
        variables: &[(&str, &str)],
        open_files: usize,
    ) -> Self {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {open_files}; exec \"$0\" \"$@\"");
        let program = std::env::var(PROGRAM_VARIABLE);
        let program = program.unwrap_or_else(|_| env!("CARGO_BIN_EXE_personio-scim").to_owned());
        command.args(["-c", &limited, &program]).args(args);
        command.env_clear().envs(variables.iter().copied());
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, log: Arc::default(), reader: None }
    }

    pub(crate) fn read_log(&mut self) {
        let (mut pipe, log) =
            (BufReader::new(self.child.stderr.take().unwrap()), Arc::clone(&self.log));
        self.reader = Some(std::thread::spawn(move || {
            let mut line = String::new();
            while pipe.read_line(&mut line).unwrap() > 0 {
                log.lock().unwrap().push_str(&line);
                line.clear();
            }
        }));
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Returns the resident memory, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures { memory: self.memory(), open_files: self.open_files() }
    }

    /// Sends the program a stop signal, and returns its exit status, the time until the end, and
    /// its log.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration, String) {
        let started_at = Instant::now();
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let status = wait_for("the program ends", Duration::from_secs(30), || {
            self.child.try_wait().unwrap()
        });
        let took = started_at.elapsed();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status, took, self.log())
    }
}

impl Drop for LimitedProgram {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory and open files of a program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Resident memory, in bytes.
    pub(crate) memory: usize,
    pub(crate) open_files: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{:.1} MiB, {} files",
            self.memory as f64 / 1024.0 / 1024.0,
            self.open_files
        )
    }
}

/// Files with a certificate for `localhost`.
pub(crate) struct Certificate {
    folder: TempDir,
    client: Arc<ClientConfig>,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.path().join("certificate"), made.cert.pem()).unwrap();
        fs::write(folder.path().join("key"), made.signing_key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        Self {
            folder,
            client: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()),
        }
    }

    /// Returns the path of the file of this name.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Waits until `value` returns a value.
#[track_caller]
pub(crate) fn wait_for<T>(
    what: &str,
    timeout: Duration,
    mut value: impl FnMut() -> Option<T>,
) -> T {
    let started_at = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(started_at.elapsed() < timeout, "after {timeout:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Program with a simulator of its own, ready to serve.
pub(crate) struct Server {
    pub(crate) program: LimitedProgram,
    pub(crate) address: SocketAddr,
    pub(crate) peer: Peer,
    _simulator: LimitedProgram,
}

impl Server {
    pub(crate) fn start(open_files: usize, more: &[(&str, &str)]) -> Self {
        let mut server = Self::start_unread(open_files, more);
        server.program.read_log();
        server
    }

    /// Starts a server that speaks TLS.
    pub(crate) fn start_tls(
        open_files: usize,
        more: &[(&str, &str)],
        certificate: &Certificate,
    ) -> Self {
        let (path, key) = (certificate.path("certificate"), certificate.path("key"));
        let variables =
            [&[("SCIM_TLS_CERT", path.as_str()), ("SCIM_TLS_KEY", key.as_str())], more].concat();
        let mut server =
            Self::start_for(open_files, &variables, Some(Arc::clone(&certificate.client)));
        server.program.read_log();
        server
    }

    /// Starts a server whose log is not read yet, apart from the line with its address.
    pub(crate) fn start_unread(open_files: usize, more: &[(&str, &str)]) -> Self {
        Self::start_for(open_files, more, None)
    }

    fn start_for(open_files: usize, more: &[(&str, &str)], tls: Option<Arc<ClientConfig>>) -> Self {
        let persons = PERSONS.to_string();
        let args =
            ["simulator", "--listen", "127.0.0.1:0", "--persons", &persons, "--rate", "100000"];
        let mut simulator =
            LimitedProgram::start(&[&args[..], &["--burst", "100000"]].concat(), &[], 1024);
        let mut printed = BufReader::new(simulator.child.stdout.take().unwrap());
        let upstream = line_with(&mut printed, "base URL:");
        let upstream = upstream.split("base URL:").nth(1).unwrap().trim().to_owned();
        let mut variables = vec![
            ("PERSONIO_CLIENT_ID", "demo"),
            ("PERSONIO_CLIENT_SECRET", "demo-secret"),
            ("PERSONIO_BASE_URL", upstream.as_str()),
            ("SCIM_BEARER_TOKEN", TOKEN),
            ("SCIM_LISTEN", "127.0.0.1:0"),
            ("SCIM_CACHE_TTL", "1h"),
        ];
        variables.extend(more);
        let mut program = LimitedProgram::start_unread(&["serve"], &variables, open_files);
        let mut log = BufReader::with_capacity(1, program.child.stderr.take().unwrap());
        let line = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it does not start: {}", program.log());
            program.log.lock().unwrap().push_str(&line);
            if line.contains("base_url") {
                break line;
            }
        };
        program.child.stderr = Some(log.into_inner());
        let address = serde_json::from_str::<Value>(&line).unwrap()["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let peer = Peer { address, tls };
        let server = Self { program, address, peer, _simulator: simulator };
        wait_for("it has loaded", Duration::from_secs(180), || {
            let ready = server.ask("/health/ready");
            ready.is_ok_and(|answer| answer.status == 200).then_some(())
        });
        server
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// Sends a request with the token on a connection of its own.
    pub(crate) fn ask(&self, path: &str) -> Result<RawResponse, String> {
        let mut stream = self.peer.connect()?;
        ask(&mut *stream, path)
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        Self::metric_over(&mut *self.peer.connect().unwrap(), name)
    }

    /// Returns the value of a metric, requested on an open connection.
    pub(crate) fn metric_over(stream: &mut (impl Read + Write + ?Sized), name: &str) -> f64 {
        let metrics = String::from_utf8(ask(stream, "/metrics").unwrap().body).unwrap();
        let line = metrics
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

fn line_with(from: &mut impl BufRead, part: &str) -> String {
    loop {
        let mut line = String::new();
        assert!(from.read_line(&mut line).unwrap() > 0, "there is no {part}");
        if line.contains(part) {
            return line;
        }
    }
}
