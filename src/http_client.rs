//! Builder of HTTP clients. It holds what every outgoing request has in common, so that no client
//! follows a redirect or lacks a time limit.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use url::Url;

/// `User-Agent` of every request.
const USER_AGENT: &str = concat!("personio-scim/", env!("CARGO_PKG_VERSION"));

/// Hosts that a client may send requests to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This machine: requests need no proxy and no certificates.
    ThisMachine,
    /// Any host, over HTTPS only.
    Https,
    /// Any host, over HTTPS or plain HTTP.
    #[cfg(feature = "otlp")]
    Any,
}

impl Reach {
    /// Returns the reach that a URL of the settings needs. These allow plain HTTP to this machine
    /// only.
    pub(crate) fn of_url(url: &Url) -> Self {
        if url.scheme() == "http" { Self::ThisMachine } else { Self::Https }
    }
}

/// Returns the builder of a client. `timeout` is the time limit from the start of a request to the
/// end of its response. No redirect is followed: it could lead a secret to another host.
pub(crate) fn builder(reach: Reach, timeout: Duration) -> ClientBuilder {
    let builder =
        Client::builder().user_agent(USER_AGENT).redirect(Policy::none()).timeout(timeout);
    match reach {
        Reach::ThisMachine => builder.no_proxy().tls_certs_only([]),
        Reach::Https => builder.https_only(true),
        #[cfg(feature = "otlp")]
        Reach::Any => builder,
    }
}
