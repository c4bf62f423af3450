//! Small HTTP client, with or without TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{ANSWER_TIMEOUT, TOKEN};

/// Address of a server, and the certificate that a client trusts if the server speaks TLS.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// Connection, with or without TLS.
pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

impl Peer {
    pub(crate) fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        set_timeouts(&stream);
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

fn set_timeouts(stream: &TcpStream) {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(ANSWER_TIMEOUT)).unwrap();
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    set_timeouts(&stream);
    stream
}

#[derive(Debug)]
pub(crate) struct RawResponse {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Returns a GET request without a token.
pub(crate) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

/// Sends a request with the token and reads the whole response.
pub(crate) fn ask(
    stream: &mut (impl Read + Write + ?Sized),
    path: &str,
) -> Result<RawResponse, String> {
    let request = get(path, &format!("Authorization: Bearer {TOKEN}\r\n"));
    stream.write_all(&request).map_err(|error| format!("write: {error}"))?;
    read_response(stream)
}

/// Sends a request on a new connection, up to three times. The server may displace a connection
/// that has presented no token yet; HTTP clients repeat a GET in that case.
pub(crate) fn ask_with_retries(peer: &Peer, path: &str) -> Result<RawResponse, String> {
    let mut last = Err(String::new());
    for _ in 0..3 {
        last = peer.connect().and_then(|mut stream| ask(&mut *stream, path));
        if last.is_ok() {
            break;
        }
    }
    last
}

pub(crate) fn read_response(stream: &mut (impl Read + ?Sized)) -> Result<RawResponse, String> {
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
    Ok(RawResponse { status: head[9..12].parse().unwrap(), head, body })
}

/// Waits until the peer has closed the connection, and returns the bytes received before.
#[track_caller]
pub(crate) fn until_closed(stream: &mut TcpStream, timeout: Duration) -> String {
    let (started_at, mut read) = (Instant::now(), Vec::new());
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut part = [0; 65536];
    loop {
        assert!(
            started_at.elapsed() < timeout,
            "it is open after {timeout:?}: {}",
            String::from_utf8_lossy(&read)
        );
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => read.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => {
                panic!("it is open after {timeout:?}: {error}; {}", String::from_utf8_lossy(&read))
            }
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}
