//! What can go wrong between us and Personio. No text here holds anything of a person, of a token
//! or of a body: routes are named by their pattern, and of an answer only its status, its trace id
//! and, for tokens, the documented error code are kept.

use std::time::Duration;

use crate::personio::Endpoint;

/// Cause of a request without a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Nothing was received within the time limit.
    #[error("it did not answer in time")]
    Timeout,
    /// DNS does not know the host, or no DNS server answers.
    #[error("its name cannot be resolved")]
    Name,
    /// No program listens on the port.
    #[error("it refuses connections")]
    Refused,
    /// The server's certificate is not accepted.
    #[error("its certificate is not trusted on this machine")]
    Certificate,
    /// What answers a TLS handshake is not TLS, but plain HTTP for example.
    #[error("it does not speak TLS on this port")]
    NotTls,
    /// Any other reason for which there is no connection.
    #[error("no connection (network, proxy or TLS)")]
    Connection,
    /// The connection ended before the answer did.
    #[error("the connection broke")]
    Broken,
    /// The request has no valid URL.
    #[error("the URL is invalid")]
    Url,
}

/// A failed request, or an answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token endpoint refused the credential.
    #[error(
        "Personio refused the API credential ({code}): check the client id and the client secret, and that the \
         credential is still active in Personio under Settings > Integrations > API credentials"
    )]
    Credential {
        /// The `error` of the answer, such as `invalid_client`.
        code: String,
    },
    /// 401 although the token had just been renewed.
    #[error(
        "Personio answered 401 to {endpoint}, also with a new token (token or access right): check in Personio that the \
         API credential is active and has the access right to read persons (personio:persons:read){}", trace(.trace_id)
    )]
    Unauthorized {
        /// Where.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// 403.
    #[error("Personio answered 403 to {endpoint}: the API credential lacks an access right{}", trace(.trace_id))]
    Forbidden {
        /// Where.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// 404 of a resource: what was asked for does not exist.
    #[error("{endpoint} knows no such resource")]
    NotFound {
        /// Where.
        endpoint: Endpoint,
    },
    /// 404 of a route, a gateway or anything else that is not a resource.
    #[error("{endpoint} was not found: is the Personio base URL right?{}", trace(.trace_id))]
    UnknownRoute {
        /// Where.
        endpoint: Endpoint,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// A redirect, which is never followed: the token is for one origin only.
    #[error(
        "{endpoint} was answered with a redirect ({status}) to {}, and redirects are not followed: set \
         PERSONIO_BASE_URL (--personio-base-url) to the address of Personio's API", target_text(.target)
    )]
    Redirected {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// Scheme, host and port of the target, without its path.
        target: Option<String>,
    },
    /// An answer that cannot be Personio's, such as an HTML page where its API answers in JSON.
    #[error(
        "something between here and Personio answered {status} to {endpoint} instead of Personio: check proxies \
         (HTTPS_PROXY), firewalls and PERSONIO_BASE_URL (--personio-base-url)"
    )]
    Intercepted {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
    },
    /// Any other answer that says the request is at fault.
    #[error("Personio answered {status} to {endpoint}{}", trace(.trace_id))]
    Rejected {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
    },
    /// 429.
    #[error("Personio limits the requests to {endpoint}")]
    RateLimited {
        /// Where.
        endpoint: Endpoint,
        /// `Retry-After`, which Personio does not send but a gateway may.
        retry_after: Option<Duration>,
    },
    /// 5xx.
    #[error("Personio answered {status} to {endpoint}{}", trace(.trace_id))]
    Server {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// Personio's id of the request, for its support.
        trace_id: Option<String>,
        /// `Retry-After`, if it was said.
        retry_after: Option<Duration>,
    },
    /// No answer, or not a whole one.
    #[error("Personio could not be reached at {host} for {endpoint}: {obstacle}")]
    Unreachable {
        /// Where.
        endpoint: Endpoint,
        /// Host and port of the base URL.
        host: Box<str>,
        /// Cause of the failure.
        obstacle: Obstacle,
    },
    /// An answer of 200 that is not what was asked for.
    #[error("Personio's answer to {endpoint} cannot be read: {reason}")]
    Unreadable {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong with it, without quoting it.
        reason: String,
    },
}

fn trace(trace_id: &Option<String>) -> String {
    trace_id.as_ref().map_or_else(String::new, |id| format!(" (Personio's trace id: {id})"))
}

fn target_text(target: &Option<String>) -> &str {
    target.as_deref().unwrap_or("an address that cannot be read")
}

/// Reports whether a body is an HTML page, by its first character: JSON never begins with `<`.
pub(super) fn is_html(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.trim_ascii_start().starts_with(b"<")
}

impl Error {
    /// Reports whether there is no token to be had for now, so that every other request fails like this one.
    #[must_use]
    pub fn blocks_every_request(&self) -> bool {
        self.endpoint() == Endpoint::Token && !self.is_retryable()
    }

    /// Whether the same request may well succeed a little later.
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

    /// How long the other side asked us to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
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

    /// Where it happened. Without a token nothing can be asked, so a failure there is not one of the
    /// request that wanted it.
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
