//! Tests of request bodies that a GET does not need and of malformed HTTP. ConductorOne's client
//! sends a body with every GET: the server reads and ignores it, and the connection stays usable.
//! The tests write to the socket directly, because HTTP libraries correct such requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::{Setup, TOKEN, TestServer, send_request};

struct Connection(TcpStream);

impl Connection {
    fn to(bridge: &TestServer) -> Self {
        let stream = TcpStream::connect(bridge.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(stream)
    }

    fn send(&mut self, path: &str, headers: &str, body: &str) {
        self.ask(&format!("GET {path}"), headers, body);
    }

    fn ask(&mut self, line: &str, headers: &str, body: &str) {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n\r\n"
        );
        self.0.write_all(format!("{head}{body}").as_bytes()).unwrap();
    }

    /// Reads one whole response and returns its status and body.
    fn answer(&mut self) -> (u16, String) {
        let (head, body) = self.parts();
        (head[9..12].parse().unwrap(), body)
    }

    /// Reads one response and returns its head in lower case and its body.
    fn parts(&mut self) -> (String, String) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |l| l.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_with_a_body_is_answered_and_the_connection_goes_on() {
    let bridge = Setup::persons(3).start();
    let users = bridge.get("/scim/v2/Users").await.text;
    let mut connection = Connection::to(&bridge);
    for _ in 0..3 {
        for path in
            ["/scim/v2/Users", "/scim/v2/Groups?count=100&startIndex=1", "/Users/1", "/nothing"]
        {
            connection.send(path, "Content-Type: application/json\r\nContent-Length: 5", "null\n");
            let (status, body) = connection.answer();
            assert_eq!(status, if path.contains("v2") { 200 } else { 404 }, "{path}: {body}");
        }
        connection.send("/scim/v2/Users", "Transfer-Encoding: chunked", "5\r\nnull\n\r\n0\r\n\r\n");
        assert_eq!(connection.answer(), (200, users.clone()));
        connection.send("/scim/v2/Users", "Content-Length: 300000", &" ".repeat(300_000));
        assert_eq!(connection.answer(), (200, users.clone()));
    }
    // Two pipelined requests.
    connection.send("/Users?count=0", "Content-Length: 5", "null\n");
    connection.send("/Users?count=1", "Content-Length: 5", "null\n");
    assert!(connection.answer().1.contains("\"itemsPerPage\":0"));
    assert!(connection.answer().1.contains("\"itemsPerPage\":1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_before_a_body_is_ignored() {
    let bridge =
        Setup { webhook_token: Some("a-webhook-token-for-tests"), ..Setup::persons(3) }.start();
    bridge.all_users().await;
    let search =
        r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 2}"#;
    let notice = r#"{"event_name": "person.updated"}"#;
    let bearer = format!("Bearer {TOKEN}");
    for (path, token, body, statuses) in [
        ("/Users/.search", bearer.as_str(), search, [200, 200, 400]),
        ("/webhooks/personio", "a-webhook-token-for-tests", notice, [202, 202, 400]),
    ] {
        for (marks, status) in statuses.into_iter().enumerate() {
            let request =
                bridge.http.post(format!("{}{path}", bridge.origin)).header("Authorization", token);
            let request = request.header("Content-Type", "application/json");
            let answer =
                send_request(request.body(format!("{}{body}", "\u{feff}".repeat(marks)))).await;
            assert_eq!(answer.status, status, "{path} {marks}: {}", answer.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_not_offered_is_answered_at_once() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let mut connection = Connection::to(&bridge);
    connection.0.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    connection.send("/Users?count=0", "Connection: Upgrade\r\nUpgrade: websocket", "");
    assert_eq!(connection.answer().0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_offers_an_upgrade_keeps_its_body() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let body =
        r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 2}"#;
    let length = format!("Content-Length: {}", body.len());
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    // Offers as Java's HttpClient and `curl --http2` send them.
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA";
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket";
    for upgrade in [h2c, websocket, "Upgrade: h2c", "Upgrade: HTTP/2.0, websocket"] {
        for (headers, body) in
            [(length.as_str(), body), ("Transfer-Encoding: chunked", chunked.as_str())]
        {
            let mut connection = Connection::to(&bridge);
            connection.ask("POST /Users/.search", &format!("{upgrade}\r\n{headers}"), body);
            let (head, answer) = connection.parts();
            assert!(answer.contains("\"itemsPerPage\":2"), "{upgrade} {headers}: {answer}");
            // The server announces that it closes the connection.
            if upgrade.starts_with("Connection") {
                assert!(head.contains("connection: close"), "{head}");
            } else {
                connection.send("/Users?count=0", "", "");
                assert_eq!(connection.answer().0, 200, "{upgrade} {headers}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_body_is_a_scim_error() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let mut connection = Connection::to(&bridge);
    let body = "5\r\nnull\n\r\nnonsense\r\n";
    connection.ask("POST /Users/.search", "Transfer-Encoding: chunked", body);
    let (status, text) = connection.answer();
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "{text}");
}

/// Takes as long as the time limit for a body. The shorter one for a head passes meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_arrive_in_time_gets_status_408() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let mut slow_body = Connection::to(&bridge);
    slow_body.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    slow_body.ask("POST /Users/.search", "Content-Length: 5", "{}");
    let half_a_head = "GET /Users HTTP/1.1\r\nHost: x\r\n";
    assert_eq!(refusal(&bridge, half_a_head), (408, 0), "the library's response has no body");
    let (status, text) = slow_body.answer();
    assert_eq!(status, 408, "{text}");
    assert!(text.contains("urn:ietf:params:scim:api:messages:2.0:Error"), "{text}");
}

/// Returns the status of the response to these bytes, and the length of its body.
fn refusal(bridge: &TestServer, bytes: &str) -> (u16, usize) {
    let mut connection = Connection::to(bridge);
    // The server may close the connection before it has read everything.
    let _ = connection.0.write_all(bytes.as_bytes());
    let (status, body) = connection.answer();
    (status, body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_non_http_bytes_and_too_large_heads_get_an_empty_error() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{headers}\r\n")
    };
    let header = |kilobytes: usize| format!("X: {}\r\n", "x".repeat(kilobytes * 1000));
    let lines =
        |count: usize| (0..count).map(|number| format!("X-{number}: x\r\n")).collect::<String>();
    let path = |kilobytes: usize| format!("/Users?x={}", "x".repeat(kilobytes * 1000));
    for (what, bytes, status) in [
        ("garbage", "garbage\r\n\r\n".to_owned(), 400),
        ("a quotation mark in the URL", get("/Users?filter=userName+eq+\"x\"", ""), 400),
        ("a long URL", get(&path(70), ""), 400),
        ("a large head", get("/Users", &header(140)), 431),
        ("many headers", get("/Users", &lines(100)), 431),
    ] {
        assert_eq!(refusal(&bridge, &bytes), (status, 0), "{what}");
    }
    for (what, bytes) in [
        ("a URL that is not too long", get(&path(60), "")),
        ("a head that is not too large", get("/Users", &header(120))),
        ("headers that are not too many", get("/Users", &lines(90))),
    ] {
        let (status, length) = refusal(&bridge, &bytes);
        assert!(status == 200 && length > 0, "{what}: {status}");
    }
    let filter = get(&format!("/Users?filter={}", "x".repeat(60_000)), "");
    let (status, length) = refusal(&bridge, &filter);
    assert!(status == 400 && length > 0, "ours says what is wrong: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_target_without_a_path_is_a_scim_error() {
    let bridge = Setup::persons(3).start();
    let mut connection = Connection::to(&bridge);
    connection.ask("OPTIONS *", "Content-Length: 0", "");
    let (status, body) = connection.answer();
    assert!(
        status == 404 && body.contains("urn:ietf:params:scim:api:messages:2.0:Error"),
        "{status} {body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    let mut connection = Connection::to(&bridge);
    connection.send("/Users", "Content-Length: 1100000", &" ".repeat(1_100_000));
    let (status, body) = connection.answer();
    assert_eq!(status, 413, "{body}");
    assert!(
        body.contains("urn:ietf:params:scim:api:messages:2.0:Error") && body.contains("\"413\""),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_stay_usable_after_refusals() {
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
        connection.ask(line, "Content-Length: 5", "null\n");
        let (found, text) = connection.answer();
        assert_eq!(found, status, "{line}: {text}");
        connection.send("/Users", "Content-Length: 5", "null\n");
        assert_eq!(connection.answer(), (200, users.clone()), "after {line}");
    }
}
