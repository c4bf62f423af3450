//! Errors of requests to Personio.
//!
//! No text contains data of a person, a token or a response body. A route is named by its pattern.
//! Of a response, only the status, the trace id and (for tokens) the documented error code are
//! kept.

use std::time::Duration;

use crate::personio::Endpoint;

/// Cause of a request without a complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionFault {
    /// No response within the time limit.
    #[error("it did not answer in time")]
    Timeout,
    /// Host name unknown to DNS, or no DNS server.
    #[error("its name cannot be resolved")]
    NameResolution,
    /// No program listens on the port.
    #[error("it refuses connections")]
    Refused,
    /// Certificate that this machine does not accept.
    #[error("its certificate is not trusted on this machine")]
    Certificate,
    /// Response to the TLS handshake that is not TLS, for example plain HTTP.
    #[error("it does not speak TLS on this port")]
    NotTls,
    /// Any other failure to connect.
    #[error("no connection (network, proxy or TLS)")]
    Connection,
    /// Connection that ended before the response was complete.
    #[error("the connection broke")]
    Broken,
    /// Invalid URL of the request.
    #[error("the URL is invalid")]
    Url,
}

/// Failed request, or a response that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Refusal of the credential by the token endpoint.
    #[error(
        "Personio refused the API credential ({code}): check the client id and the client secret, \
         and that the credential is still active in Personio under Settings > Integrations > API \
         credentials"
    )]
    Credential {
        /// `error` of the response, for example `invalid_client`.
        code: String,
    },
    /// Status 401, also with a new token.
    #[error(
        "Personio answered 401 to {endpoint}, also with a new token (token or access right): check \
         in Personio that the API credential is active and has the access right to read persons \
         (personio:persons:read){}", trace(.trace_id)
    )]
    Unauthorized {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// Status 403.
    #[error(
        "Personio answered 403 to {endpoint}: the API credential lacks an access right{}",
        trace(.trace_id)
    )]
    Forbidden {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// Status 404 of a resource that does not exist.
    #[error("Personio has no such resource at {endpoint}")]
    NotFound {
        /// Endpoint of the request.
        endpoint: Endpoint,
    },
    /// Status 404 of a route or a gateway, which says nothing about a resource.
    #[error("{endpoint} was not found: is the Personio base URL right?{}", trace(.trace_id))]
    UnknownRoute {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// Redirect. It is never followed, since the token must go to one origin only.
    #[error(
        "{endpoint} was answered with a redirect ({status}) to {}, and redirects are not followed: \
         set PERSONIO_BASE_URL (--personio-base-url) to the address of Personio's API",
        target_text(.target)
    )]
    Redirected {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// HTTP status.
        status: u16,
        /// Scheme, host and port of the target, without the path.
        target: Option<String>,
    },
    /// Response that cannot be from Personio, for example an HTML page instead of JSON.
    #[error(
        "something between here and Personio answered {status} to {endpoint} instead of Personio: \
         check proxies (HTTPS_PROXY), firewalls and PERSONIO_BASE_URL (--personio-base-url)"
    )]
    Intercepted {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// HTTP status.
        status: u16,
    },
    /// Any other status that reports a client error.
    #[error("Personio answered {status} to {endpoint}{}", trace(.trace_id))]
    Rejected {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// HTTP status.
        status: u16,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// Status 429, or a pause after one that is too long to wait for.
    #[error("Personio limits the rate of requests to {endpoint} (429)")]
    RateLimited {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// `Retry-After`. Personio does not send it, but a gateway may.
        retry_after: Option<Duration>,
    },
    /// Status 5xx.
    #[error("Personio answered {status} to {endpoint}{}", trace(.trace_id))]
    Server {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// HTTP status.
        status: u16,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
        /// `Retry-After`, if the response has one.
        retry_after: Option<Duration>,
    },
    /// No response, or an incomplete one.
    #[error("Personio could not be reached at {host} for {endpoint}: {fault}")]
    Unreachable {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// Host and port of the base URL.
        host: Box<str>,
        /// Cause of the failure.
        fault: ConnectionFault,
    },
    /// Response of 200 with unexpected content.
    #[error("Personio's response to {endpoint} is not used: {reason}")]
    Unreadable {
        /// Endpoint of the request.
        endpoint: Endpoint,
        /// Reason, without a quotation from the response.
        reason: String,
    },
}

fn trace(trace_id: &Option<String>) -> String {
    match trace_id {
        Some(id) => format!(" (Personio's trace id: {id})"),
        None => String::new(),
    }
}

fn target_text(target: &Option<String>) -> &str {
    target.as_deref().unwrap_or("an address that cannot be read")
}

/// Reports whether a body is an HTML page, by its first character. JSON never begins with `<`.
pub(super) fn is_html(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().starts_with(b"<")
}

impl Error {
    /// Returns an [`Error::Unreadable`].
    pub(super) fn unreadable(endpoint: Endpoint, reason: impl Into<String>) -> Self {
        Self::Unreadable { endpoint, reason: reason.into() }
    }

    /// Reports whether no token can be fetched for now, so that every other request fails too.
    #[must_use]
    pub fn blocks_every_request(&self) -> bool {
        self.endpoint() == Endpoint::Token && !self.is_retryable()
    }

    /// Reports whether the same request may succeed a little later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::Server { .. } | Self::Unreachable { .. } => true,
            Self::Credential { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::UnknownRoute { .. }
            | Self::Redirected { .. }
            | Self::Intercepted { .. }
            | Self::Rejected { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Returns the `Retry-After` of the response.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => {
                *retry_after
            }
            Self::Credential { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::UnknownRoute { .. }
            | Self::Redirected { .. }
            | Self::Intercepted { .. }
            | Self::Rejected { .. }
            | Self::Unreachable { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// Returns the endpoint at which the error occurred. This is the token endpoint if no token
    /// could be fetched for a request.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::Credential { .. } => Endpoint::Token,
            Self::Unauthorized { endpoint, .. }
            | Self::Forbidden { endpoint, .. }
            | Self::NotFound { endpoint }
            | Self::UnknownRoute { endpoint, .. }
            | Self::Redirected { endpoint, .. }
            | Self::Intercepted { endpoint, .. }
            | Self::Rejected { endpoint, .. }
            | Self::RateLimited { endpoint, .. }
            | Self::Server { endpoint, .. }
            | Self::Unreachable { endpoint, .. }
            | Self::Unreadable { endpoint, .. } => *endpoint,
        }
    }
}
