//! Diagnosis of a connection without any response: the proxy, the name, the path through the
//! network, or the program at the other end.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use crate::config;
use crate::config::{BASE_URL, Proxy};
use crate::diagnostics::preflight::{ConnectionFault, Finding, FindingOutcome};

/// Time limit for the name look-up and for the connection, each.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Returns the finding that there was a response, whatever its status.
pub(super) fn reachable(url: &Url) -> Finding {
    let description = format!("{} answers", url.as_str().trim_end_matches('/'));
    Finding { step: "network", outcome: FindingOutcome::Pass, description, remedy: None }
}

fn failure(description: String, remedy: String) -> Finding {
    Finding { step: "network", outcome: FindingOutcome::Failure, description, remedy: Some(remedy) }
}

/// Returns the finding about the cause that blocks requests to `url`. `fault` is the failure
/// that the requests saw.
pub(super) async fn diagnose(url: &Url, fault: ConnectionFault) -> Finding {
    let is_tls = url.scheme() == "https";
    // Requests over plain HTTP stay on this machine and use no proxy.
    let proxy = if is_tls { config::proxy(url) } else { None };
    // The certificate, or the lack of TLS, was seen at the other end, so a proxy has let the
    // request through.
    match (fault, proxy) {
        (ConnectionFault::Certificate, _) => untrusted(url),
        (ConnectionFault::NotTls, None) => not_tls(url),
        (_, Some(proxy)) => diagnose_proxy(url, &proxy).await,
        (_, None) => diagnose_direct_connection(url, is_tls).await,
    }
}

/// Returns the finding about a certificate that is not trusted.
fn untrusted(url: &Url) -> Finding {
    let (host, port) = host_and_port(url);
    failure(
        format!("the certificate of {host} on port {port} is not trusted on this machine"),
        format!(
            "Install current CA certificates on this machine. If a proxy or firewall of your \
             company inspects TLS, install its certificate as well. Check the host name in \
             {BASE_URL}."
        ),
    )
}

/// Returns the finding about a port that does not speak TLS.
fn not_tls(url: &Url) -> Finding {
    let (host, port) = host_and_port(url);
    let remedy = if config::is_loopback(url) {
        let written = url.as_str().trim_end_matches('/').replacen("https://", "http://", 1);
        format!("If it speaks plain HTTP, write http:// in {BASE_URL}: {written}")
    } else {
        format!(
            "It may speak plain HTTP, with which others on the network could read the client \
             secret: write the port at which it speaks TLS in {BASE_URL}."
        )
    };
    let description =
        format!("{host} does not speak TLS on port {port}, but the URL begins with https://");
    failure(description, remedy)
}

/// Returns the finding about a proxy through which no connection to Personio succeeds.
async fn diagnose_proxy(url: &Url, proxy: &Proxy) -> Finding {
    let Proxy { variable, host, port } = proxy;
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let (personio, _) = host_and_port(url);
    let why = match connect(host, *port).await {
        ConnectOutcome::Connected => {
            format!("it accepts connections, but does not connect to {personio}")
        }
        ConnectOutcome::Unresolved => format!("the name {host} cannot be resolved"),
        ConnectOutcome::Refused(reason) => reason,
        ConnectOutcome::TimedOut => "it does not answer".to_owned(),
    };
    failure(
        format!("{variable} is set to {address}, and no connection through it succeeds: {why}"),
        format!(
            "Correct {variable}, with the user name and password that the proxy may need, or unset \
             it if this machine reaches Personio without a proxy. NO_PROXY={personio} excepts \
             Personio alone."
        ),
    )
}

/// Returns the finding about a direct connection: the name, the path through the network, or the
/// program at the other end.
async fn diagnose_direct_connection(url: &Url, is_tls: bool) -> Finding {
    let (host, port) = host_and_port(url);
    let (description, remedy) = match connect(host, port).await {
        ConnectOutcome::Unresolved => (
            format!("the name {host} cannot be resolved"),
            format!("Check the host name in {BASE_URL} and the DNS servers of this machine."),
        ),
        ConnectOutcome::Connected => (
            format!("{host} accepts connections on port {port} but does not answer there"),
            if is_tls {
                format!(
                    "Check what listens there, and the port in {BASE_URL}. It may not speak TLS: \
                     an address on this machine that speaks plain HTTP begins with http://."
                )
            } else {
                format!(
                    "Check what listens there, and the port in {BASE_URL}. If it speaks TLS, \
                     write https://."
                )
            },
        ),
        ConnectOutcome::Refused(reason) => (
            format!("{host} accepts no connection on port {port}: {reason}"),
            format!("Check host and port in {BASE_URL}, and whether a firewall blocks them."),
        ),
        ConnectOutcome::TimedOut => (
            format!("{host} does not answer on port {port}"),
            format!("Check whether a firewall blocks it, and host and port in {BASE_URL}."),
        ),
    };
    failure(description, remedy + &proxy_hint(is_tls))
}

/// Returns the hint that a proxy may be missing, with a space in front.
fn proxy_hint(is_tls: bool) -> String {
    if !is_tls {
        return String::new();
    }
    match config::http_only_proxy() {
        Some(variable) => format!(
            " {variable} is not used for https:// addresses: behind a proxy, set HTTPS_PROXY."
        ),
        None => " Behind a proxy, set HTTPS_PROXY.".to_owned(),
    }
}

/// Outcome of an attempt to connect.
enum ConnectOutcome {
    Connected,
    Unresolved,
    Refused(String),
    TimedOut,
}

async fn connect(host: &str, port: u16) -> ConnectOutcome {
    let Ok(Ok(addresses)) = timeout(TIME_LIMIT, lookup_host((host, port))).await else {
        return ConnectOutcome::Unresolved;
    };
    let addresses: Vec<SocketAddr> = addresses.collect();
    match timeout(TIME_LIMIT, TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => ConnectOutcome::Connected,
        Ok(Err(error)) => ConnectOutcome::Refused(error.kind().to_string()),
        Err(_) => ConnectOutcome::TimedOut,
    }
}

/// Returns host and port of a URL. An IPv6 address has no brackets.
fn host_and_port(url: &Url) -> (&str, u16) {
    let host = url.host_str().unwrap_or_default();
    (
        host.trim_start_matches('[').trim_end_matches(']'),
        url.port_or_known_default().unwrap_or_default(),
    )
}
