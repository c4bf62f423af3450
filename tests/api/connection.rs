//! Bodies where none belongs: ConductorOne's client sends one with every GET. They are read and
//! ignored, and the connection stays usable. Written to the socket by hand, as clients tidy up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Bridge, Setup, TOKEN};

struct Connection(TcpStream);

impl Connection {
    fn to(bridge: &Bridge) -> Self {
        let stream = TcpStream::connect(bridge.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn send(&mut self, path: &str, headers: &str, body: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n\r\n");
        self.0.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }

    /// One whole answer: its status and its body.
    fn answer(&mut self) -> (u16, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (head[9..12].parse().unwrap(), String::from_utf8(body).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_answered_and_the_connection_goes_on() {
    let bridge = Setup::persons(3).start();
    let users = bridge.get("/scim/v2/Users").await.text;
    let mut connection = Connection::to(&bridge);
    for _ in 0..3 {
        for path in ["/scim/v2/Users", "/scim/v2/Groups?count=100&startIndex=1", "/Users/1", "/nothing"] {
            connection.send(path, "Content-Type: application/json\r\nContent-Length: 5", "null\n");
            let (status, body) = connection.answer();
            assert_eq!(status, if path.contains("v2") { 200 } else { 404 }, "{path}: {body}");
        }
        connection.send("/scim/v2/Users", "Transfer-Encoding: chunked", "5\r\nnull\n\r\n0\r\n\r\n");
        assert_eq!(connection.answer(), (200, users.clone()));
        connection.send("/scim/v2/Users", "Content-Length: 300000", &" ".repeat(300_000));
        assert_eq!(connection.answer(), (200, users.clone()));
    }
    // Two requests at once.
    connection.send("/Users?count=0", "Content-Length: 5", "null\n");
    connection.send("/Users?count=1", "Content-Length: 5", "null\n");
    assert!(connection.answer().1.contains("\"itemsPerPage\":0"));
    assert!(connection.answer().1.contains("\"itemsPerPage\":1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_not_offered_is_answered_at_once() {
    let bridge = Setup::persons(3).start();
    bridge.everybody().await;
    let mut connection = Connection::to(&bridge);
    connection.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    connection.send("/Users?count=0", "Connection: Upgrade\r\nUpgrade: websocket", "");
    assert_eq!(connection.answer().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused() {
    let bridge = Setup::persons(3).start();
    bridge.everybody().await;
    let mut connection = Connection::to(&bridge);
    connection.send("/Users", "Content-Length: 1100000", &" ".repeat(1_100_000));
    let (status, body) = connection.answer();
    assert_eq!(status, 413, "{body}");
    assert!(body.contains("urn:ietf:params:scim:api:messages:2.0:Error") && body.contains("\"413\""), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refusal_makes_a_clients_connection_unusable() {
    let bridge = Setup::persons(3).start();
    let users = bridge.get("/Users").await.text;
    let mut connection = Connection::to(&bridge);
    for (line, status) in [
        ("POST /Users", 405),
        ("DELETE /Users/1", 405),
        ("GET /nothing", 404),
        ("GET /Users/%ff", 404),
        ("GET /Users?count=x", 400),
        ("GET /Schemas?filter=x", 403),
    ] {
        let headers = format!("Host: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 5");
        connection.0.write_all(format!("{line} HTTP/1.1\r\n{headers}\r\n\r\nnull\n").as_bytes()).unwrap();
        let (found, text) = connection.answer();
        assert_eq!(found, status, "{line}: {text}");
        connection.send("/Users", "Content-Length: 5", "null\n");
        assert_eq!(connection.answer(), (200, users.clone()), "after {line}");
    }
}
