//! Clients that mean harm or are broken, against the real program with few open files: what each of them costs, and what
//! right clients get meanwhile. A test binary of its own: it measures the memory of the program, and needs no other
//! part of the tests.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets something unexpected fails by panicking, and tells what it measured"
)]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketType, bind, socket};
use serde_json::Value;

const TOKEN: &str = "a-token-for-tests-only";
const PERSONS: usize = 400;
/// Files that the program may have open. It keeps 64 for itself and 32 for requests to others.
const OPEN_FILES: usize = 256;
/// Connections of an attack: more than there may be.
const ATTACKERS: usize = 300;
/// Growth of resident memory that is tolerated, in bytes.
const MEMORY_MARGIN: usize = 64 * 1024 * 1024;
/// Time that a right client waits for an answer on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Paths that need no token, that are refused, and that do not exist.
const PATHS: [&str; 3] = ["/health/live", "/scim/v2/Users", "/nothing"];

/// A running program. It is killed when it is dropped.
struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts the program with at most `open_files` open files.
    fn start(args: &[&str], variables: &[(&str, &str)], open_files: usize) -> Self {
        let mut program = Self::start_unread(args, variables, open_files);
        program.read_log();
        program
    }

    /// Starts the program, and does not read its log.
    fn start_unread(args: &[&str], variables: &[(&str, &str)], open_files: usize) -> Self {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {open_files}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_personio-scim")]).args(args);
        command.env_clear().envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, log: Arc::default(), reader: None }
    }

    fn read_log(&mut self) {
        let (mut pipe, log) = (BufReader::new(self.child.stderr.take().unwrap()), Arc::clone(&self.log));
        self.reader = Some(std::thread::spawn(move || {
            let mut line = String::new();
            while pipe.read_line(&mut line).unwrap() > 0 {
                log.lock().unwrap().push_str(&line);
                line.clear();
            }
        }));
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Resident memory, in bytes.
    fn memory(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Asks the program to stop, and returns how it ended and how long that took.
    fn stop(mut self) -> (ExitStatus, Duration, String) {
        let began = Instant::now();
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        let status = wait_for("the program ends", Duration::from_secs(30), || self.child.try_wait().unwrap());
        let took = began.elapsed();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        (status, took, self.log())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until there is a value.
#[track_caller]
fn wait_for<T>(what: &str, timeout: Duration, mut value: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(began.elapsed() < timeout, "after {timeout:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program over a simulator of its own, ready to serve.
struct Server {
    program: Program,
    address: SocketAddr,
    _simulator: Program,
}

impl Server {
    fn start(open_files: usize, more: &[(&str, &str)]) -> Self {
        let mut server = Self::start_unread(open_files, more);
        server.program.read_log();
        server
    }

    /// Starts a server whose log nobody reads yet, apart from the line with its address.
    fn start_unread(open_files: usize, more: &[(&str, &str)]) -> Self {
        let persons = PERSONS.to_string();
        let args = ["simulator", "--listen", "127.0.0.1:0", "--persons", &persons, "--rate", "100000"];
        let mut simulator = Program::start(&[&args[..], &["--burst", "100000"]].concat(), &[], 1024);
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
        let mut program = Program::start_unread(&["serve"], &variables, open_files);
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
        let address = serde_json::from_str::<Value>(&line).unwrap()["address"].as_str().unwrap().parse().unwrap();
        let server = Self { program, address, _simulator: simulator };
        wait_for("it has loaded", Duration::from_secs(60), || {
            (server.ask("/health/ready").ok()?.status == 200).then_some(())
        });
        server
    }

    fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// A request with the token on a connection of its own.
    fn ask(&self, path: &str) -> Result<Answer, String> {
        let mut stream = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        ask(&mut stream, path)
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics = String::from_utf8(self.ask("/metrics").unwrap().body).unwrap();
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
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

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    stream
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// Asks with the token and reads the whole answer.
fn ask(stream: &mut TcpStream, path: &str) -> Result<Answer, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    stream.write_all(request.as_bytes()).map_err(|error| format!("write: {error}"))?;
    read_answer(stream)
}

/// Asks on a new connection. One that has presented no token yet may have been displaced: as HTTP clients do for a GET,
/// it is asked again on another.
fn ask_anew(address: SocketAddr, path: &str) -> Result<Answer, String> {
    let mut last = Err(String::new());
    for _ in 0..3 {
        last = ask(&mut connect(address), path);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn read_answer(stream: &mut impl Read) -> Result<Answer, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Ok(_) => return Err(format!("closed after {:?}", String::from_utf8_lossy(&head))),
            Err(error) => return Err(format!("read: {error}")),
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).map_err(|error| format!("body: {error}"))?;
    Ok(Answer { status: head[9..12].parse().unwrap(), head, body })
}

/// Waits until the peer has closed the connection, and returns what came before.
#[track_caller]
fn until_closed(stream: &mut TcpStream, timeout: Duration) -> String {
    let (began, mut read) = (Instant::now(), Vec::new());
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut part = [0; 65536];
    loop {
        assert!(began.elapsed() < timeout, "it is open after {timeout:?}: {}", String::from_utf8_lossy(&read));
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it is open after {timeout:?}: {error}; {}", String::from_utf8_lossy(&read)),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// A client with a token that asks all the time, on a connection that it keeps and on new ones.
struct RightClient {
    ended: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    thread: JoinHandle<(Vec<String>, Vec<Duration>)>,
}

impl RightClient {
    fn start(address: SocketAddr, keeps_connection: bool) -> Self {
        let (ended, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut kept = connect(address);
        assert_eq!(ask(&mut kept, "/scim/v2/Users?count=0").unwrap().status, 200);
        let thread = std::thread::spawn({
            let (ended, answers) = (Arc::clone(&ended), Arc::clone(&answers));
            move || {
                let (mut wrong, mut times) = (Vec::new(), Vec::new());
                for number in 0.. {
                    if ended.load(Relaxed) {
                        break;
                    }
                    let path = format!("/scim/v2/Users?startIndex={}&count=1", number % PERSONS + 1);
                    let began = Instant::now();
                    let answer = if keeps_connection || number % 2 == 0 {
                        ask(&mut kept, &path)
                    } else {
                        ask_anew(address, &path)
                    };
                    times.push(began.elapsed());
                    match answer {
                        Ok(answer) if is_right(&answer) => {}
                        other => wrong.push(format!("{number}: {other:?}")),
                    }
                    answers.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
                (wrong, times)
            }
        });
        Self { ended, answers, thread }
    }

    /// Waits until so many more requests were answered.
    fn wait_for_answers(&self, count: usize) {
        let before = self.answers.load(Relaxed);
        wait_for("right clients are answered", Duration::from_secs(60), || {
            (self.answers.load(Relaxed) >= before + count).then_some(())
        });
    }

    fn end(self, what: &str) {
        self.ended.store(true, Relaxed);
        let (wrong, mut times) = self.thread.join().unwrap();
        times.sort_unstable();
        let p99 = times[times.len() * 99 / 100];
        println!("{what}: {} answers, p99 {p99:?}, slowest {:?}", times.len(), times[times.len() - 1]);
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
    }
}

fn is_right(answer: &Answer) -> bool {
    let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == 200
        && page["totalResults"] == PERSONS
        && page["Resources"].as_array().is_some_and(|r| r.len() == 1)
}

/// Bytes that an attacker sends at once.
type Opening = fn(&str) -> Vec<u8>;

/// An attack: what each connection sends at first, what it sends again and again, and whether it reads.
struct Attack {
    name: &'static str,
    opening: Opening,
    more: &'static [u8],
    reads: bool,
    half_closes: bool,
    /// It has the token of the right client, and takes the connections of clients: the right one keeps its own.
    has_token: bool,
}

const QUIET: Attack =
    Attack { name: "", opening: |_| Vec::new(), more: b"", reads: true, half_closes: false, has_token: false };

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

fn attacks() -> Vec<Attack> {
    vec![
        Attack { name: "idle connections", ..QUIET },
        Attack {
            name: "slow heads",
            opening: |path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n").into_bytes(),
            more: b"X: y\r\n",
            ..QUIET
        },
        Attack { name: "slow bodies", opening: |path| get(path, "Content-Length: 100000\r\n"), more: b" ", ..QUIET },
        Attack {
            name: "endless bodies",
            opening: |path| get(path, "Transfer-Encoding: chunked\r\n"),
            more: b"5\r\nhello\r\n",
            ..QUIET
        },
        Attack {
            name: "pipelined requests whose answers are not read",
            opening: |path| get(path, "").repeat(200),
            more: b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n",
            reads: false,
            ..QUIET
        },
        Attack {
            name: "chunked bodies with requests behind them that are not read",
            opening: |path| {
                let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(4000);
                [&get(path, "Transfer-Encoding: chunked\r\n")[..], b"0\r\n\r\n", requests.as_bytes()].concat()
            },
            reads: false,
            ..QUIET
        },
        Attack { name: "half-closed connections", opening: |path| get(path, ""), half_closes: true, ..QUIET },
        Attack { name: "huge heads", opening: |path| get(path, &format!("X: {}\r\n", "x".repeat(140_000))), ..QUIET },
        Attack {
            name: "huge heads without an end",
            opening: |path| format!("GET {path} HTTP/1.1\r\nX: {}", "x".repeat(120_000)).into_bytes(),
            ..QUIET
        },
        Attack {
            name: "HTTP/2 prefaces",
            opening: |_| b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            ..QUIET
        },
        Attack {
            name: "upgrades to WebSockets",
            opening: |path| get(path, "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
            more: b"\x81\x05hello",
            ..QUIET
        },
        Attack {
            name: "bodies that wait to be asked for",
            opening: |path| get(path, "Expect: 100-continue\r\nContent-Length: 1000\r\n"),
            ..QUIET
        },
        Attack { name: "TLS handshakes", opening: |_| b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), ..QUIET },
        Attack {
            name: "large lists that are not read, with a token",
            has_token: true,
            opening: |_| get("/scim/v2/Users", &format!("Authorization: Bearer {TOKEN}\r\n")).repeat(100),
            reads: false,
            ..QUIET
        },
        Attack {
            name: "compressed lists that are not read, with a token",
            has_token: true,
            opening: |_| {
                let headers = format!("Authorization: Bearer {TOKEN}\r\nAccept-Encoding: gzip\r\n");
                get("/scim/v2/Users", &headers).repeat(500)
            },
            reads: false,
            ..QUIET
        },
    ]
}

impl Attack {
    /// Opens connections until there are [`ATTACKERS`] or no more can be had, and goes on until `ended`.
    fn run(&self, address: SocketAddr, ended: &AtomicBool) {
        let mut streams: Vec<TcpStream> = Vec::new();
        while !ended.load(Relaxed) {
            if streams.len() < ATTACKERS {
                let Some(mut stream) = connect_from(source(streams.len()), address) else { continue };
                stream.set_nonblocking(true).unwrap();
                // The server may refuse it, or not take all.
                let _ = stream.write(&(self.opening)(PATHS[streams.len() % PATHS.len()]));
                if self.half_closes {
                    let _ = stream.shutdown(Shutdown::Write);
                }
                streams.push(stream);
                continue;
            }
            for stream in &mut streams {
                let _ = stream.write(self.more);
                let mut read = [0; 4096];
                while self.reads && stream.read(&mut read).is_ok_and(|count| count > 0) {}
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The address of an attacker: half of them share one, and the others have many.
fn source(number: usize) -> Ipv4Addr {
    if number.is_multiple_of(2) {
        Ipv4Addr::new(127, 0, 0, 2)
    } else {
        Ipv4Addr::new(127, 0, 1, (number % 250 + 1) as u8)
    }
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Option<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    // The server may have its hands full.
    net::connect(&socket, &address).ok()?;
    Some(TcpStream::from(socket))
}

/// Time that an attack goes on.
const ATTACK: Duration = Duration::from_millis(1500);

#[test]
fn nothing_that_strangers_do_keeps_right_clients_from_their_answers() {
    let server = Server::start(OPEN_FILES, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "64")]);
    let right = RightClient::start(server.address, false);
    right.wait_for_answers(50);
    right.end("nobody else");
    let (memory, open_files) = (server.program.memory(), server.program.open_files());
    for attack in attacks() {
        let right = RightClient::start(server.address, attack.has_token);
        let ended = AtomicBool::new(false);
        let most = std::thread::scope(|scope| {
            scope.spawn(|| attack.run(server.address, &ended));
            let (began, mut most) = (Instant::now(), 0);
            while began.elapsed() < ATTACK {
                most = most.max(server.program.memory());
                std::thread::sleep(Duration::from_millis(50));
            }
            right.wait_for_answers(10);
            ended.store(true, Relaxed);
            most
        });
        right.end(attack.name);
        println!("{}: {} MiB more", attack.name, most.saturating_sub(memory) >> 20);
        assert!(most < memory + MEMORY_MARGIN, "{}: {memory} bytes became {most}", attack.name);
        wait_for("descriptors return", Duration::from_secs(15), || {
            (server.program.open_files() <= open_files + 4).then_some(())
        });
    }
    let after = server.program.memory();
    assert!(after < memory + MEMORY_MARGIN, "{memory} bytes became {after}");
    for reason in ["too many", "too many from one address"] {
        let closed = server.metric(&format!("personio_scim_connections_closed_total{{reason=\"{reason}\"}}"));
        assert!(closed > 100.0, "{reason}: {closed}");
    }
    assert!((server.metric("personio_scim_open_files_limit") - OPEN_FILES as f64).abs() < 0.5);
    let (status, took, log) = server.program.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("panicked"), "{log}");
    let told = log.matches("had presented no token, the most").count();
    assert!((1..=3).contains(&told), "a bound is told once a minute, not for each connection: {told}");
    assert!(log.contains("the process may have 256 files open"), "{log}");
}

#[test]
fn a_body_that_nobody_needs_is_not_waited_for() {
    let server = Server::start(1024, &[]);
    for (path, status) in [("/health/live", 200), ("/scim/v2/Users", 401), ("/nothing", 401), ("/metrics", 200)] {
        for (headers, body) in [
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
            ("Transfer-Encoding: chunked", ""),
            ("Content-Length: 1000", "hello"),
            ("Content-Length: 1000\r\nExpect: 100-continue", ""),
            ("Connection: Upgrade\r\nUpgrade: websocket", "hello"),
        ] {
            let mut stream = server.connect();
            let began = Instant::now();
            stream.write_all(&get(path, &format!("{headers}\r\n"))).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
            let read = until_closed(&mut stream, Duration::from_secs(8));
            let answer = read.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
            let case = format!("{path} {headers}: {answer}");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}");
            assert!(answer.to_lowercase().contains("connection: close"), "{case}");
            assert!(began.elapsed() < Duration::from_secs(6), "{case}");
        }
        // What is small and there costs no connection.
        let mut stream = server.connect();
        for _ in 0..3 {
            for (headers, body) in
                [("Content-Length: 5", "null\n"), ("Transfer-Encoding: chunked", "5\r\nnull\n\r\n0\r\n\r\n")]
            {
                let request = [&get(path, &format!("{headers}\r\n")), body.as_bytes()].concat();
                stream.write_all(&request).unwrap();
                let answer = read_answer(&mut stream).unwrap_or_else(|error| panic!("{path} {headers}: {error}"));
                assert_eq!(answer.status, status, "{path} {headers}");
            }
        }
    }
}

#[test]
fn each_wait_for_a_peer_has_an_end() {
    let server = Server::start(1024, &[]);
    let slow_reader = |headers: &str| {
        let mut stream = server.connect();
        stream.set_nonblocking(true).unwrap();
        let request = get("/scim/v2/Users", headers);
        let until_full = Instant::now();
        // Both sides' buffers fill within a moment.
        while until_full.elapsed() < Duration::from_secs(3) {
            let _ = stream.write(&request);
        }
        stream.set_nonblocking(false).unwrap();
        stream
    };
    let mut first_head = server.connect();
    first_head.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut second_head = server.connect();
    second_head.write_all(&get("/health/live", "")).unwrap();
    assert_eq!(read_answer(&mut second_head).unwrap().status, 200);
    second_head.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut idle = server.connect();
    assert_eq!(ask(&mut idle, "/health/live").unwrap().status, 200);
    let mut slow_body = server.connect();
    let search = format!("POST /scim/v2/Users/.search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n");
    slow_body.write_all(format!("{search}Content-Length: 100\r\n\r\n{{").as_bytes()).unwrap();
    let stranger = slow_reader("");
    let known = slow_reader(&format!("Authorization: Bearer {TOKEN}\r\n"));

    let late = until_closed(&mut first_head, Duration::from_secs(10));
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    assert_eq!(until_closed(&mut second_head, Duration::from_secs(10)), "", "a later head has the same time");
    let late = until_closed(&mut slow_body, Duration::from_secs(20));
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    // The server's side of both slow readers ends, although nobody reads.
    let reader = "personio_scim_connections_closed_total{reason=\"answer not read\"}";
    wait_for("slow readers are disconnected", Duration::from_secs(40), || (server.metric(reader) >= 2.0).then_some(()));
    drop((stranger, known));
    assert_eq!(ask(&mut idle, "/health/live").unwrap().status, 200, "between two requests there is more time");
    assert!(server.metric("personio_scim_connections_closed_total{reason=\"request too slow\"}") >= 2.0);
}

#[test]
fn strangers_from_one_address_displace_each_other_and_nobody_else() {
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "10")]);
    let mut known = Vec::new();
    for _ in 0..30 {
        let mut stream = server.connect();
        assert_eq!(ask(&mut stream, "/scim/v2/Users?count=0").unwrap().status, 200);
        known.push(stream);
    }
    let mut strangers: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    let mut open = 0;
    for stream in &mut strangers {
        let asked = stream.write_all(&get("/health/live", ""));
        open += usize::from(asked.is_ok() && read_answer(stream).is_ok_and(|answer| answer.status == 200));
    }
    assert_eq!(open, 10, "the others have made room");
    for stream in &mut known {
        assert_eq!(ask(stream, "/scim/v2/Users?count=0").unwrap().status, 200, "who has a token is not displaced");
    }
    let exempt = tempfile::NamedTempFile::new().unwrap();
    fs::write(exempt.path(), "trusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let config = exempt.path().to_str().unwrap();
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "10"), ("SCIM_CONFIG", config)]);
    let mut behind_proxy: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut behind_proxy {
        stream.write_all(&get("/health/live", "")).unwrap();
        assert_eq!(read_answer(stream).unwrap().status, 200, "a proxy has the connections of many");
    }
}

#[test]
fn too_many_known_clients_leave_room_for_health_and_are_answered_one_by_one() {
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS", "20")]);
    let mut known: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut known {
        assert_eq!(ask(stream, "/scim/v2/Users?count=0").unwrap().status, 200);
    }
    for _ in 0..5 {
        let mut one_more = server.connect();
        let answer = ask(&mut one_more, "/scim/v2/Users?count=0").unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
        until_closed(&mut one_more, Duration::from_secs(5));
    }
    // Strangers take all that is left, from as many addresses as they like.
    let _strangers: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    assert_eq!(server.ask("/health/ready").unwrap().status, 200);
    for stream in &mut known {
        assert_eq!(ask(stream, "/scim/v2/Users?count=0").unwrap().status, 200);
    }
}

#[test]
fn the_end_waits_for_no_peer() {
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "1000")]);
    let mut streams = Vec::new();
    for attack in attacks() {
        for path in PATHS {
            let mut stream = server.connect();
            stream.set_nonblocking(true).unwrap();
            let _ = stream.write(&(attack.opening)(path));
            streams.push(stream);
        }
    }
    let (status, took, log) = server.program.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let mut server = Server::start_unread(1024, &[("RUST_LOG", "debug")]);
    let mut stream = server.connect();
    // More than a pipe and the lines that may be pending take.
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    while server.metric("personio_scim_log_lines_dropped_total") < 100.0 {
        assert!(began.elapsed() < Duration::from_secs(90), "no line is dropped");
        for _ in 0..200 {
            let began = Instant::now();
            assert_eq!(ask(&mut stream, "/scim/v2/Users?count=0").unwrap().status, 200);
            slowest = slowest.max(began.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Once it is read again, it says so.
    server.program.read_log();
    wait_for("it is told how many lines are missing", Duration::from_secs(20), || {
        server.program.log().contains("lines of this log were dropped").then_some(())
    });
    let (status, took, _) = server.program.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");

    let server = Server::start_unread(1024, &[("RUST_LOG", "debug")]);
    let mut stream = server.connect();
    while server.metric("personio_scim_log_lines_dropped_total") < 1.0 {
        for _ in 0..200 {
            assert_eq!(ask(&mut stream, "/scim/v2/Users?count=0").unwrap().status, 200);
        }
    }
    let Server { mut program, .. } = server;
    let began = Instant::now();
    Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    let status = wait_for("it ends", Duration::from_secs(30), || program.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "the end does not wait for the log: {:?}", began.elapsed());
}

#[test]
fn a_tls_handshake_that_stops_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = listen.to_string();
    let variables = [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", "http://127.0.0.1:9"),
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("SCIM_LISTEN", address.as_str()),
        ("SCIM_TLS_CERT", certificate.to_str().unwrap()),
        ("SCIM_TLS_KEY", key.to_str().unwrap()),
        ("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "1000"),
    ];
    let program = Program::start(&["serve"], &variables, OPEN_FILES);
    wait_for("it listens", Duration::from_secs(30), || TcpStream::connect(listen).ok());
    for hello in [&b""[..], b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"] {
        let mut streams: Vec<TcpStream> = (0..50).map(|_| connect(listen)).collect();
        streams.iter_mut().for_each(|stream| stream.write_all(hello).unwrap());
        for stream in &mut streams {
            until_closed(stream, Duration::from_secs(15));
        }
    }
    wait_for("it is counted", Duration::from_secs(5), || {
        program.log().contains("no whole request came in time").then_some(())
    });
    let (status, took, _) = program.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn many_different_queries_cost_no_more_memory_than_a_few() {
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "trusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let server = Server::start(1024, &[("SCIM_CONFIG", config.path().to_str().unwrap())]);
    let attributes = ["userName", "title", "name.familyName", "emails.value", "meta.lastModified", "active"];
    let run = |numbers: std::ops::Range<usize>| {
        let mut stream = server.connect();
        for number in numbers {
            let attribute = attributes[number % attributes.len()];
            let filter = format!("filter={attribute}+pr+and+not+(title+co+%22{number}%22)");
            let query = format!("/scim/v2/Users?{filter}&sortBy={attribute}&count=5&startIndex={}", number % 2 * 5 + 1);
            assert_eq!(ask(&mut stream, &query).unwrap().status, 200, "{query}");
            let guess = format!(
                "Authorization: Bearer wrong-{number}\r\nX-Forwarded-For: 10.{}.{}.1\r\n",
                number / 256,
                number % 256
            );
            stream.write_all(&get("/scim/v2/Users", &guess)).unwrap();
            assert_eq!(read_answer(&mut stream).unwrap().status, 401);
        }
    };
    let run_part = &run;
    run(0..500);
    let memory = server.program.memory();
    std::thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || run_part(500 + part * 2500..500 + (part + 1) * 2500));
        }
    });
    let after = server.program.memory();
    println!("10,000 queries: {} MiB more", after.saturating_sub(memory) >> 20);
    assert!(after < memory + MEMORY_MARGIN, "{memory} bytes became {after}");
}
