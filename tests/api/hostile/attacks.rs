//! Requests of hostile and broken clients.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, bind, socket_with};

use super::TOKEN;
use super::http::get;

/// Number of connections of an attack: more than the server permits.
pub(crate) const ATTACKERS: usize = 300;
/// Paths that need no token, that are refused, and that do not exist.
pub(crate) const PATHS: [&str; 3] = ["/health/live", "/scim/v2/Users", "/nothing"];

/// Function that returns the first bytes that an attacker sends, for a path.
pub(crate) type Opening = fn(&str) -> Vec<u8>;

/// Attack: the first bytes of each connection, the bytes that it repeats, and its behaviour.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) opening: Opening,
    more: &'static [u8],
    reads: bool,
    half_closes: bool,
    /// The attack has the token of the right client and occupies the connections of clients. The
    /// right client keeps its own connection.
    pub(crate) has_token: bool,
}

/// First bytes of a TLS handshake.
pub(crate) const FIRST_BYTES: &[u8] = b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03";

const QUIET: Attack = Attack {
    name: "",
    opening: |_| Vec::new(),
    more: b"",
    reads: true,
    half_closes: false,
    has_token: false,
};

pub(crate) fn attacks() -> Vec<Attack> {
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
        Attack { name: "TLS handshakes", opening: |_| FIRST_BYTES.to_vec(), ..QUIET },
        Attack {
            name: "slow bodies of searches, with a token",
            has_token: true,
            opening: |_| search("Content-Length: 100000\r\n"),
            more: b" ",
            ..QUIET
        },
        Attack {
            name: "endless bodies of searches, with a token",
            has_token: true,
            opening: |_| search("Transfer-Encoding: chunked\r\n"),
            more: b"5\r\n     \r\n",
            ..QUIET
        },
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

fn search(headers: &str) -> Vec<u8> {
    let head =
        "POST /scim/v2/Users/.search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    format!("{head}Authorization: Bearer {TOKEN}\r\n{headers}\r\n").into_bytes()
}

/// Returns attacks on a TLS address that never complete the handshake.
pub(crate) fn handshakes() -> Vec<Attack> {
    vec![
        Attack { name: "connections without a handshake", ..QUIET },
        Attack { name: "handshakes that stop", opening: |_| FIRST_BYTES.to_vec(), ..QUIET },
        Attack {
            name: "handshakes byte by byte",
            opening: |_| FIRST_BYTES.to_vec(),
            more: b"\0",
            ..QUIET
        },
        Attack {
            name: "HTTP without TLS",
            opening: |path| get(path, ""),
            more: b"GET / HTTP/1.1\r\n",
            ..QUIET
        },
    ]
}

impl Attack {
    /// Opens connections until there are [`ATTACKERS`] or no more succeed, and continues until
    /// `ended`.
    pub(crate) fn run(&self, address: SocketAddr, ended: &AtomicBool) {
        let mut streams: Vec<TcpStream> = Vec::new();
        while !ended.load(Relaxed) {
            if streams.len() < ATTACKERS {
                let Some(mut stream) = connect_from(source(streams.len()), address) else {
                    continue;
                };
                stream.set_nonblocking(true).unwrap();
                // The server may refuse the connection or read only a part.
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

/// Returns the address of an attacker. Half of the attackers share one address, and the others have
/// many.
fn source(number: usize) -> Ipv4Addr {
    if number.is_multiple_of(2) {
        Ipv4Addr::new(127, 0, 0, 2)
    } else {
        Ipv4Addr::new(127, 0, 1, (number % 250 + 1) as u8)
    }
}

pub(crate) fn connect_from(source: Ipv4Addr, address: SocketAddr) -> Option<TcpStream> {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    // The server may be too busy to accept.
    net::connect(&socket, &address).ok()?;
    Some(TcpStream::from(socket))
}
