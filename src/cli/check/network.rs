//! Why there is no answer at all: the name, the way there, or what speaks at its end.

use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use url::Url;

use crate::diagnostics::preflight::{Finding, Outcome};

/// How long the name and the connection may take, each.
const PATIENCE: Duration = Duration::from_secs(5);

/// There was an answer, whatever it was.
pub(super) fn answers(url: &Url) -> Finding {
    let what = format!("{} answers", url.as_str().trim_end_matches('/'));
    Finding { step: "network", outcome: Outcome::Fine, what, remedy: None }
}

/// What stands in the way.
pub(super) async fn diagnosis(url: &Url) -> Finding {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let wrong = |what: String, remedy: &str| {
        let remedy = format!("{remedy} Behind a proxy, set HTTPS_PROXY.");
        Finding { step: "network", outcome: Outcome::Wrong, what, remedy: Some(remedy) }
    };
    let Ok(Ok(addresses)) = timeout(PATIENCE, lookup_host((host, port))).await else {
        return wrong(
            format!("the name {host} cannot be resolved"),
            "Check it in --personio-base-url (PERSONIO_BASE_URL), and the name servers of this machine.",
        );
    };
    let addresses: Vec<_> = addresses.collect();
    let connected = timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await;
    match connected {
        Ok(Ok(_)) => wrong(
            format!("{host} takes connections on port {port} but does not answer there"),
            "Perhaps its certificate is not trusted: check the CA certificates of this machine, and who answers there.",
        ),
        Ok(Err(error)) => wrong(
            format!("{host} takes no connection on port {port}: {}", error.kind()),
            "Check --personio-base-url (PERSONIO_BASE_URL), and whether a firewall is in between.",
        ),
        Err(_) => wrong(
            format!("{host} cannot be reached on port {port}: nothing is heard from it"),
            "Check whether a firewall is in between.",
        ),
    }
}
