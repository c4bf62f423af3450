//! Proxy between this machine and Personio, as the HTTP client finds it in the environment.

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// Variables that name the proxy for https:// addresses, in the order in which the HTTP client
/// reads them.
const HTTPS_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
/// Variables that name the proxy for all addresses.
const ALL_VARIABLES: [&str; 2] = ["ALL_PROXY", "all_proxy"];
/// Variables that name the proxy for http:// addresses only.
const HTTP_VARIABLES: [&str; 2] = ["HTTP_PROXY", "http_proxy"];

/// Proxy that requests go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Variable that names it.
    pub variable: &'static str,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Returns the proxy for an https:// URL. `NO_PROXY` is respected, and user name and password are
/// left out.
#[must_use]
pub fn proxy(url: &Url) -> Option<Proxy> {
    let destination = url.as_str().parse().ok()?;
    let intercept = Matcher::from_env().intercept(&destination)?;
    let uri = intercept.uri();
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or_else(|| default_port(uri.scheme_str()));
    let variable = https_proxy_variable()?;
    Some(Proxy { variable, host, port })
}

/// Returns the variable that names a proxy for http:// addresses only, which requests to Personio
/// do not use. Returns `None` if a proxy for https:// addresses is named.
#[must_use]
pub fn http_only_proxy() -> Option<&'static str> {
    if https_proxy_variable().is_some() {
        return None;
    }
    HTTP_VARIABLES.into_iter().find(|name| is_set(name))
}

/// Returns the variable that names the proxy for https:// addresses.
fn https_proxy_variable() -> Option<&'static str> {
    HTTPS_VARIABLES.into_iter().chain(ALL_VARIABLES).find(|name| is_set(name))
}

fn default_port(scheme: Option<&str>) -> u16 {
    match scheme {
        Some("https") => 443,
        Some(scheme) if scheme.starts_with("socks") => 1080,
        Some(_) | None => 80,
    }
}

#[expect(clippy::disallowed_methods, reason = "configuration is what reads the environment")]
fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.trim().is_empty())
}
