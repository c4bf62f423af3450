//! Tests of malicious and broken clients against the real program with few open files: their cost,
//! and the effect on right clients. The tests have a binary of their own, because they measure the
//! memory of the program.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that meets something unexpected fails by panicking, and tells what it measured"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "benches/load says by variables which program is tested, and how"
)]

mod hostile;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use hostile::attacks::{Attack, FIRST_BYTES, PATHS, attacks, connect_from, handshakes};
use hostile::http::{ask, connect, get, read_response, until_closed};
use hostile::program::{Certificate, Figures, LimitedProgram, PROGRAM_VARIABLE, Server, wait_for};
use hostile::right_client::{Connections, RightClient};
use hostile::{PERSONS, TOKEN};

/// Limit of open files of the program. It reserves 64 for itself and 32 for outgoing requests.
const OPEN_FILES: usize = 256;
/// Tolerated growth of resident memory, in bytes.
const MEMORY_MARGIN: usize = 64 * 1024 * 1024;
/// Tolerated number of additional open files after an attack: connections of right clients that
/// have just ended.
const FILES_MARGIN: usize = 4;
/// Tolerated growth of memory after a soak, in bytes: smaller than the response cache plus the
/// memory that the allocator retains.
const SOAK_MEMORY_MARGIN: usize = 32 * 1024 * 1024;
/// Tolerated growth of memory in the test of many addresses, in bytes: forgotten addresses may cost
/// only memory that the allocator retains.
const WRONG_TOKENS_MARGIN: usize = 4 * 1024 * 1024;
const WEBHOOK_TOKEN: &str = "a-token-for-webhooks-only";
/// Name of the variable with the number of minutes that `soak` takes.
const SOAK_VARIABLE: &str = "SOAK_MINUTES";

/// Guard that ends an attack when it is dropped, also when the test fails, so that its threads can
/// be joined.
struct EndAttackOnDrop<'a>(&'a AtomicBool);

impl Drop for EndAttackOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Duration of an attack.
const ATTACK_DURATION: Duration = Duration::from_millis(1500);

/// Runs an attack while right clients send requests, and returns the maximum memory and open files.
/// Asserts that both return to their earlier values, and that right clients are answered during the
/// attack and after it.
fn survive(server: &Server, attack: &Attack, before: Figures) -> Figures {
    let connections =
        if attack.has_token { Connections::KeptAndRefused } else { Connections::KeptAndNew };
    let right = RightClient::start(&server.peer, connections);
    let ended = AtomicBool::new(false);
    let most = std::thread::scope(|scope| {
        scope.spawn(|| attack.run(server.address, &ended));
        let _end = EndAttackOnDrop(&ended);
        let (started_at, mut most) = (Instant::now(), before);
        while started_at.elapsed() < ATTACK_DURATION {
            let now = server.program.figures();
            most.memory = most.memory.max(now.memory);
            most.open_files = most.open_files.max(now.open_files);
            std::thread::sleep(Duration::from_millis(50));
        }
        right.wait_for_answers(10);
        most
    });
    let during = right.end(attack.name);
    assert!(most.memory < before.memory + MEMORY_MARGIN, "{}: {before} became {most}", attack.name);
    wait_for("descriptors return", Duration::from_secs(15), || {
        (server.program.open_files() <= before.open_files + FILES_MARGIN).then_some(())
    });
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    right.wait_for_answers(20);
    right.end(attack.name);
    let after = server.program.figures();
    println!("{}: {during}; {before}, at most {most}, then {after}", attack.name);
    most
}

#[test]
fn attacks_do_not_keep_right_clients_from_responses() {
    let server = Server::start(OPEN_FILES, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "64")]);
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    right.wait_for_answers(50);
    println!("nobody else: {}", right.end("nobody else"));
    let before = server.program.figures();
    for attack in attacks() {
        let most = survive(&server, &attack, before);
        assert!(most.open_files < OPEN_FILES, "{}: {most}", attack.name);
    }
    let after = server.program.figures();
    assert!(after.memory < before.memory + MEMORY_MARGIN, "{before} became {after}");
    for reason in ["too many", "too many from one address", "too many with a token"] {
        let closed = server
            .metric(&format!("personio_scim_connections_closed_total{{reason=\"{reason}\"}}"));
        assert!(closed > 50.0, "{reason}: {closed}");
    }
    assert!((server.metric("personio_scim_open_files_limit") - OPEN_FILES as f64).abs() < 0.5);
    let (status, took, log) = server.program.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("panicked"), "{log}");
    let lines = log.matches("connections without a token from one address is open").count();
    assert!((1..=3).contains(&lines), "a bound is logged once a minute: {lines}");
    assert!(log.contains("the process may have 256 files open"), "{log}");
}

#[test]
fn attacks_before_tls_do_not_keep_right_clients_from_responses() {
    let certificate = Certificate::new();
    let more = [("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "64")];
    let server = Server::start_tls(OPEN_FILES, &more, &certificate);
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    right.wait_for_answers(50);
    println!("nobody else, over TLS: {}", right.end("nobody else"));
    let before = server.program.figures();
    for attack in handshakes() {
        survive(&server, &attack, before);
    }
    let (status, took, log) = server.program.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn idle_connections_need_little_memory_and_stay_usable() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let limit = maximum.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap());
    // The limit of open files applies to each process.
    let count = 2000.min(limit.saturating_sub(600));
    let server = Server::start(count + 400, &[("SCIM_MAX_CONNECTIONS", &count.to_string())]);
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    right.wait_for_answers(20);
    let before = server.program.figures();
    let mut idle = Vec::new();
    for number in 0..count {
        let source = Ipv4Addr::new(127, 0, (2 + number / 250) as u8, (number % 250 + 1) as u8);
        let mut stream = connect_from(source, server.address).unwrap();
        stream.write_all(&get("/health/live", "")).unwrap();
        idle.push(stream);
    }
    for stream in &mut idle {
        assert_eq!(read_response(stream).unwrap().status, 200);
    }
    let most = server.program.figures();
    assert!(most.open_files >= count, "{count}: {before} became {most}");
    assert!(most.memory < before.memory + MEMORY_MARGIN, "{before} became {most}");
    right.wait_for_answers(50);
    for stream in idle.iter_mut().step_by(100) {
        stream.write_all(&get("/health/live", "")).unwrap();
        assert_eq!(read_response(stream).unwrap().status, 200);
    }
    let reported = right.end("idle connections");
    drop(idle);
    wait_for("descriptors return", Duration::from_secs(15), || {
        (server.program.open_files() <= before.open_files + FILES_MARGIN).then_some(())
    });
    println!(
        "{count} idle connections: {reported}; {before}, at most {most}, then {}",
        server.program.figures()
    );
}

#[test]
fn unneeded_bodies_are_not_awaited() {
    let server = Server::start(1024, &[]);
    for (path, status) in
        [("/health/live", 200), ("/scim/v2/Users", 401), ("/nothing", 401), ("/metrics", 200)]
    {
        for (headers, body) in [
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
            ("Transfer-Encoding: chunked", ""),
            ("Content-Length: 1000", "hello"),
            ("Content-Length: 1000\r\nExpect: 100-continue", ""),
            ("Connection: Upgrade\r\nUpgrade: websocket", "hello"),
        ] {
            let mut stream = server.connect();
            let started_at = Instant::now();
            stream.write_all(&get(path, &format!("{headers}\r\n"))).unwrap();
            stream.write_all(body.as_bytes()).unwrap();
            let read = until_closed(&mut stream, Duration::from_secs(8));
            let answer = read.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
            let case = format!("{path} {headers}: {answer}");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{case}");
            assert!(answer.to_lowercase().contains("connection: close"), "{case}");
            assert!(started_at.elapsed() < Duration::from_secs(6), "{case}");
        }
        // A small body that has already arrived does not cost the connection.
        let mut stream = server.connect();
        for _ in 0..3 {
            for (headers, body) in [
                ("Content-Length: 5", "null\n"),
                ("Transfer-Encoding: chunked", "5\r\nnull\n\r\n0\r\n\r\n"),
            ] {
                let request = [&get(path, &format!("{headers}\r\n")), body.as_bytes()].concat();
                stream.write_all(&request).unwrap();
                let answer = read_response(&mut stream)
                    .unwrap_or_else(|error| panic!("{path} {headers}: {error}"));
                assert_eq!(answer.status, status, "{path} {headers}");
            }
        }
    }
}

#[test]
fn each_wait_for_a_peer_has_a_timeout() {
    let server = Server::start(1024, &[]);
    let slow_reader = |headers: &str| {
        let mut stream = server.connect();
        stream.set_nonblocking(true).unwrap();
        let request = get("/scim/v2/Users", headers);
        let until_full = Instant::now();
        // The buffers of both sides fill within this time.
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
    assert_eq!(read_response(&mut second_head).unwrap().status, 200);
    second_head.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut idle = server.connect();
    assert_eq!(ask(&mut idle, "/health/live").unwrap().status, 200);
    let mut slow_body = server.connect();
    let search = format!(
        "POST /scim/v2/Users/.search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    );
    slow_body.write_all(format!("{search}Content-Length: 100\r\n\r\n{{").as_bytes()).unwrap();
    let stranger = slow_reader("");
    let known = slow_reader(&format!("Authorization: Bearer {TOKEN}\r\n"));

    let late = until_closed(&mut first_head, Duration::from_secs(10));
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    assert_eq!(
        until_closed(&mut second_head, Duration::from_secs(10)),
        "",
        "a later head has the same time"
    );
    let late = until_closed(&mut slow_body, Duration::from_secs(20));
    assert!(late.starts_with("HTTP/1.1 408 "), "{late}");
    // The server closes both slow readers, although they never read.
    let reader = "personio_scim_connections_closed_total{reason=\"answer not read\"}";
    wait_for("slow readers are disconnected", Duration::from_secs(40), || {
        (server.metric(reader) >= 2.0).then_some(())
    });
    drop((stranger, known));
    assert_eq!(
        ask(&mut idle, "/health/live").unwrap().status,
        200,
        "between two requests there is more time"
    );
    let sent_at = Instant::now();
    assert!(
        server.metric("personio_scim_connections_closed_total{reason=\"request too slow\"}") >= 2.0
    );
    assert_eq!(until_closed(&mut idle, Duration::from_secs(95)), "");
    assert!(
        sent_at.elapsed() > Duration::from_secs(60),
        "clients that poll once a minute keep theirs"
    );
}

#[test]
fn connections_to_the_metrics_address_are_64_at_most() {
    let server = Server::start(1024, &[("SCIM_METRICS_LISTEN", "127.0.0.1:0")]);
    let metrics = wait_for("the metrics address is logged", Duration::from_secs(10), || {
        let log = server.program.log();
        let line = log.lines().find(|line| line.contains("metrics are at"))?;
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["address"].as_str().unwrap().parse::<SocketAddr>().ok()
    });
    let mut strangers = Vec::new();
    for number in 0..200 {
        let source = Ipv4Addr::new(127, 0, 0, 2 + number / 20);
        strangers.push(connect_from(source, metrics).unwrap());
    }
    let count_open = |strangers: &mut Vec<TcpStream>| {
        strangers.retain_mut(|stream| {
            stream.set_nonblocking(true).unwrap();
            stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        strangers.len()
    };
    // Later the deadline for the head of a request would close them.
    wait_for("the others are closed", Duration::from_secs(3), || {
        (count_open(&mut strangers) <= 64).then_some(())
    });
    assert!(count_open(&mut strangers) >= 32, "those within the limit stay");
    let mut scraper = TcpStream::connect(metrics).unwrap();
    assert_eq!(ask(&mut scraper, "/metrics").unwrap().status, 200);
    assert_eq!(server.ask("/scim/v2/Users?count=1").unwrap().status, 200);
}

#[test]
fn unauthenticated_connections_of_one_address_displace_only_each_other() {
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "10")]);
    let mut known = Vec::new();
    for _ in 0..30 {
        let mut stream = server.connect();
        assert_eq!(ask(&mut stream, "/scim/v2/Users?count=0").unwrap().status, 200);
        known.push(stream);
    }
    let mut strangers: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    let closed = "personio_scim_connections_closed_total{reason=\"too many from one address\"}";
    wait_for("all are admitted", Duration::from_secs(10), || {
        (Server::metric_over(&mut known[0], closed) >= 20.0).then_some(())
    });
    let mut open = 0;
    for stream in &mut strangers {
        let sent = stream.write_all(&get("/health/live", ""));
        open += usize::from(
            sent.is_ok() && read_response(stream).is_ok_and(|answer| answer.status == 200),
        );
    }
    assert_eq!(open, 10, "the others have made room");
    for stream in &mut known {
        assert_eq!(
            ask(stream, "/scim/v2/Users?count=0").unwrap().status,
            200,
            "who has a token is not displaced"
        );
    }
    let exempt = tempfile::NamedTempFile::new().unwrap();
    fs::write(exempt.path(), "trusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let config = exempt.path().to_str().unwrap();
    let server =
        Server::start(1024, &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "10"), ("SCIM_CONFIG", config)]);
    let mut behind_proxy: Vec<TcpStream> = (0..50).map(|_| server.connect()).collect();
    for stream in &mut behind_proxy {
        stream.write_all(&get("/health/live", "")).unwrap();
        assert_eq!(
            read_response(stream).unwrap().status,
            200,
            "a proxy has the connections of many"
        );
    }
}

#[test]
fn clients_beyond_the_limit_get_503_and_health_still_responds() {
    let server = Server::start(1024, &[("SCIM_MAX_CONNECTIONS", "20")]);
    let mut known: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut known {
        assert_eq!(ask(stream, "/scim/v2/Users?count=0").unwrap().status, 200);
    }
    let search = format!("Authorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n");
    let requests = [
        get("/scim/v2/Users", &format!("Authorization: Bearer {TOKEN}\r\n")),
        get("/scim/v2/Users", &search),
        String::from_utf8(get("/scim/v2/.search", &search))
            .unwrap()
            .replace("GET", "POST")
            .into_bytes(),
    ];
    for request in &requests {
        let mut one_more = server.connect();
        one_more.write_all(request).unwrap();
        let answer = until_closed(&mut one_more, Duration::from_secs(5)).to_lowercase();
        assert!(answer.starts_with("http/1.1 503 "), "{answer}");
        assert!(
            answer.contains("connection: close\r\n") && answer.contains("retry-after: 10\r\n"),
            "{answer}"
        );
        assert_eq!(answer.matches("http/1.1 ").count(), 1, "{answer}");
    }
    // Health is requested on new connections while attackers connect and never read or close. They
    // have the token, or no token and any number of addresses.
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, request) in requests.iter().enumerate() {
            let (ended, address) = (&ended, server.address);
            scope.spawn(move || {
                let mut held = Vec::new();
                while !ended.load(Relaxed) {
                    let source =
                        Ipv4Addr::new(127, 0, number as u8 + 2, (held.len() % 250 + 1) as u8);
                    let Some(mut stream) = connect_from(source, address) else { continue };
                    let _ =
                        stream.write(if held.len() % 4 == 0 { b"" } else { request.as_slice() });
                    held.push(stream);
                    if held.len() == 200 {
                        held.clear();
                    }
                }
            });
        }
        let _end = EndAttackOnDrop(&ended);
        for number in 0..100 {
            for path in ["/health/live", "/health/ready", "/metrics"] {
                let mut stream = server.connect();
                stream.write_all(&get(path, "")).unwrap();
                let answer = read_response(&mut stream)
                    .unwrap_or_else(|error| panic!("{path}, {number}: {error}"));
                assert_eq!(answer.status, 200, "{path}");
            }
        }
        for stream in &mut known {
            assert_eq!(ask(stream, "/scim/v2/Users?count=0").unwrap().status, 200);
        }
    });
    let refused =
        server.metric("personio_scim_connections_closed_total{reason=\"too many with a token\"}");
    assert!(refused > 100.0, "{refused}");
    drop(known);
    wait_for("there is room again", Duration::from_secs(10), || {
        let answer = server.ask("/scim/v2/Users?count=0").ok()?;
        (answer.status == 200).then_some(())
    });
    let (_, _, log) = server.program.stop();
    assert!(log.contains("the maximum of 20 such connections is open"), "{log}");
}

#[test]
fn shutdown_waits_for_no_peer() {
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
fn a_blocked_log_does_not_block_requests() {
    let mut server = Server::start_unread(1024, &[("RUST_LOG", "debug")]);
    let mut stream = server.connect();
    // More bytes than a pipe and the queue of pending lines hold.
    let (started_at, mut slowest) = (Instant::now(), Duration::ZERO);
    while server.metric("personio_scim_log_lines_dropped_total") < 100.0 {
        assert!(started_at.elapsed() < Duration::from_secs(90), "no line is dropped");
        for _ in 0..200 {
            let started_at = Instant::now();
            assert_eq!(ask(&mut stream, "/scim/v2/Users?count=0").unwrap().status, 200);
            slowest = slowest.max(started_at.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // The log reports the dropped lines once it is read again.
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
    let started_at = Instant::now();
    Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().unwrap();
    let status = wait_for("it ends", Duration::from_secs(30), || program.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert!(
        started_at.elapsed() < Duration::from_secs(10),
        "the end does not wait for the log: {:?}",
        started_at.elapsed()
    );
}

#[test]
fn an_incomplete_tls_handshake_times_out() {
    let certificate = Certificate::new();
    let (path, key) = (certificate.path("certificate"), certificate.path("key"));
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = listen.to_string();
    let variables = [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", "http://127.0.0.1:9"),
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("SCIM_LISTEN", address.as_str()),
        ("SCIM_TLS_CERT", path.as_str()),
        ("SCIM_TLS_KEY", key.as_str()),
        ("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "1000"),
    ];
    let program = LimitedProgram::start(&["serve"], &variables, OPEN_FILES);
    wait_for("it listens", Duration::from_secs(30), || TcpStream::connect(listen).ok());
    for hello in [b"".as_slice(), FIRST_BYTES] {
        let mut streams: Vec<TcpStream> = (0..50).map(|_| connect(listen)).collect();
        streams.iter_mut().for_each(|stream| stream.write_all(hello).unwrap());
        for stream in &mut streams {
            until_closed(stream, Duration::from_secs(15));
        }
    }
    wait_for("it is counted", Duration::from_secs(5), || {
        program.log().contains("no complete request arrived in time").then_some(())
    });
    let (status, took, _) = program.stop();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn many_different_queries_use_bounded_memory() {
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "trusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let server = Server::start(1024, &[("SCIM_CONFIG", config.path().to_str().unwrap())]);
    let attributes =
        ["userName", "title", "name.familyName", "emails.value", "meta.lastModified", "active"];
    let run = |numbers: std::ops::Range<usize>| {
        let mut stream = server.connect();
        for number in numbers {
            let attribute = attributes[number % attributes.len()];
            let filter = format!("filter={attribute}+pr+and+not+(title+co+%22{number}%22)");
            let query = format!(
                "/scim/v2/Users?{filter}&sortBy={attribute}&count=5&startIndex={}",
                number % 2 * 5 + 1
            );
            assert_eq!(ask(&mut stream, &query).unwrap().status, 200, "{query}");
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

/// Runs random attacks and right clients while the directory is refreshed every ten seconds.
#[test]
#[ignore = "takes minutes; benches/load/soak runs it"]
fn soak() {
    let minutes: u64 = std::env::var(SOAK_VARIABLE).map_or(1, |minutes| minutes.parse().unwrap());
    let server = Server::start(
        OPEN_FILES,
        &[("SCIM_MAX_CONNECTIONS_PER_ADDRESS", "64"), ("SCIM_REFRESH_EVERY", "10s")],
    );
    // All code has run once, and the caches are filled.
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    right.wait_for_answers(PERSONS);
    right.end("warm-up");
    let before = server.program.figures();
    println!("at the start: {before}");
    let ended = AtomicBool::new(false);
    let rights: Vec<_> =
        (0..3).map(|_| RightClient::start(&server.peer, Connections::KeptAndRefused)).collect();
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (ended, server) = (&ended, &server);
            scope.spawn(move || attack_at_random(server, seed, ended));
        }
        let _end = EndAttackOnDrop(&ended);
        for minute in 1..=minutes {
            let started_at = Instant::now();
            wait_for("a minute is over", Duration::from_secs(90), || {
                (started_at.elapsed() >= Duration::from_secs(60)).then_some(())
            });
            println!("after {minute} min: {}", server.program.figures());
        }
    });
    for right in rights {
        println!("right client: {}", right.end("soak"));
    }
    // The longest deadline for a peer that has stopped is the one for a response that is not read.
    wait_for("descriptors return", Duration::from_secs(30), || {
        (server.program.open_files() <= before.open_files + FILES_MARGIN).then_some(())
    });
    let loads = server.metric("personio_scim_loads_total{outcome=\"succeeded\"}");
    println!("at the end: {}, {loads} loads", server.program.figures());
    wait_for("memory returns", Duration::from_secs(30), || {
        (server.program.memory() < before.memory + SOAK_MEMORY_MARGIN).then_some(())
    });
    assert!(loads >= (minutes * 60 / 10) as f64 * 0.5, "{loads}");
    let (status, took, log) = server.program.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!log.contains("panicked"), "{log}");
}

/// Runs one attack after the other, each for up to five seconds, until `ended`.
fn attack_at_random(server: &Server, seed: u64, ended: &AtomicBool) {
    let (attacks, mut random) = (attacks(), seed);
    while !ended.load(Relaxed) {
        // Knuth's MMIX generator: its upper bits are random enough.
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let choice = (random >> 33) as usize;
        let (attack, time) =
            (&attacks[choice % attacks.len()], Duration::from_millis(1000 + (random >> 52)));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| attack.run(server.address, &is_over));
            let _end = EndAttackOnDrop(&is_over);
            let started_at = Instant::now();
            wait_for("the attack is over", time + Duration::from_secs(30), || {
                (started_at.elapsed() >= time || ended.load(Relaxed)).then_some(())
            });
        });
    }
}

/// Checks the throttle with addresses that a trusted proxy reports.
#[test]
fn wrong_tokens_from_many_addresses_use_bounded_memory() {
    // The throttle remembers up to 10,000 addresses. The release binary is fast enough for more
    // requests.
    let (first, all) =
        if std::env::var(PROGRAM_VARIABLE).is_ok() { (10_000, 100_000) } else { (10_000, 20_000) };
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "trusted_proxies = [\"127.0.0.1\"]\n").unwrap();
    let server = Server::start(1024, &[("SCIM_CONFIG", config.path().to_str().unwrap())]);
    let run = |numbers: std::ops::Range<usize>| {
        let mut stream = server.connect();
        for number in numbers {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + number as u32);
            let guess =
                format!("Authorization: Bearer wrong-{number}\r\nX-Forwarded-For: {address}\r\n");
            stream.write_all(&get("/scim/v2/Users", &guess)).unwrap();
            assert_eq!(read_response(&mut stream).unwrap().status, 401);
        }
    };
    run(0..first);
    let memory = server.program.memory();
    run(first..all);
    let after = server.program.memory();
    println!("{all} wrong tokens: {} KiB more", after.saturating_sub(memory) >> 10);
    assert!(after < memory + WRONG_TOKENS_MARGIN, "{memory} bytes became {after}");
}

/// Checks that many webhooks, for existing and unknown persons, cause one load at a time and need
/// little memory.
#[test]
fn many_webhooks_cause_few_loads_and_use_bounded_memory() {
    let count = if std::env::var(PROGRAM_VARIABLE).is_ok() { 100_000 } else { 10_000 };
    let server =
        Server::start(1024, &[("SCIM_WEBHOOK_TOKEN", WEBHOOK_TOKEN), ("SCIM_REFRESH_EVERY", "1h")]);
    let loads = "personio_scim_loads_total{outcome=\"succeeded\"}";
    let (before, started_at) = (server.program.figures(), Instant::now());
    let right = RightClient::start(&server.peer, Connections::KeptAndNew);
    let mut stream = server.connect();
    for number in 0..count {
        let notice = serde_json::json!({
            "company_id": "1", "event_name": "person.updated", "occurred_at": "2026-11-25T12:00:00Z",
            "payload": {"id": format!("{number:x>64}")},
        });
        let body = notice.to_string();
        let head = format!(
            "POST /webhooks/personio HTTP/1.1\r\nHost: x\r\nAuthorization: {WEBHOOK_TOKEN}\r\n"
        );
        let rest = format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(format!("{head}{rest}").as_bytes()).unwrap();
        assert_eq!(read_response(&mut stream).unwrap().status, 202);
    }
    println!("{count} webhooks: {}", right.end("a flood of webhooks"));
    // A load begins five seconds after a webhook, and at most one more follows immediately.
    let most = 2.0 + started_at.elapsed().as_secs_f64() / 5.0;
    let loads = server.metric(loads);
    assert!(loads <= 1.0 + most, "{loads} loads in {:?}", started_at.elapsed());
    let after = server.program.figures();
    assert!(after.memory < before.memory + MEMORY_MARGIN, "{before} became {after}");
}
