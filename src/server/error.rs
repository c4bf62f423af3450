//! Error of a request, with its status, its headers and its body: the only place that turns a
//! failure into an HTTP response. The request log logs it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};

use crate::auth::FailureReason;
use crate::server::media_type::SCIM_JSON;
use crate::server::middleware::request_body::{MAX_BODY_BYTES, READ_TIMEOUT};
use crate::server::{AuthScheme, AuthorizationMistake};
use crate::{directory, scim};

/// `Retry-After` of a response to an expensive query that was refused or stopped.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(5);
/// `Retry-After` of a response on a connection that is one too many.
const CONNECTIONS_RETRY_AFTER: Duration = Duration::from_secs(10);

/// Reason for which a request fails. The text is for the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Failed authentication or authorization of a client.
    #[error("{}", refusal_text(*.refusal, *.mistake))]
    Refused {
        /// Reason of the refusal.
        refusal: FailureReason,
        /// Scheme of the `Authorization` header.
        scheme: AuthScheme,
        /// Mistake in the form of the `Authorization` header.
        mistake: Option<AuthorizationMistake>,
    },
    /// Failed authentication of a webhook.
    #[error("the Authorization header must be the webhook token and nothing else")]
    WebhookRefused,
    /// Path without a route, and the route that was most likely meant.
    #[error("no such path; {}", route_hint(*.0))]
    NoRoute(Option<&'static str>),
    /// Path without a route at the address for metrics.
    #[error("no such path; metrics are at /metrics, health is at /health/live and /health/ready")]
    NoMetricsRoute,
    /// Id of a resource that does not exist, and the type of the resource.
    #[error("{0} not found")]
    ResourceNotFound(&'static str),
    /// Method that would change something.
    #[error("this server is read-only: only GET and HEAD are allowed here")]
    ReadOnly,
    /// Method other than that of a search.
    #[error("a search must be a POST with a SearchRequest")]
    SearchOnly,
    /// Method other than that of a webhook.
    #[error("a webhook must be a POST")]
    WebhookOnly,
    /// Webhook whose body is invalid.
    #[error("invalid webhook body: {0}")]
    InvalidWebhook(#[from] directory::MalformedWebhook),
    /// Part of RFC 7644 that this server does not have.
    #[error("{0} is not implemented")]
    NotImplemented(&'static str),
    /// Invalid query.
    #[error(transparent)]
    InvalidQuery(#[from] scim::InvalidQuery),
    /// Body that is not JSON by its media type.
    #[error(
        "the Content-Type of a SearchRequest must be application/scim+json or \
         application/json"
    )]
    UnsupportedMediaType,
    /// Filter on the documents that describe this server: "If a 'filter' is provided, the service
    /// provider SHOULD respond with HTTP status code 403" (RFC 7644 §4).
    #[error(
        "a filter is not allowed here: documents that describe this server are only listed \
         whole"
    )]
    FilterForbidden,
    /// Body that is larger than the limit.
    #[error("the body is too large: at most {MAX_BODY_BYTES} bytes are accepted")]
    BodyTooLarge,
    /// Body that has not arrived within the time limit.
    #[error("the body did not arrive within {} s", READ_TIMEOUT.as_secs())]
    BodyTimeout,
    /// Body that could not be read from the connection.
    #[error("the body cannot be read")]
    BodyUnreadable,
    /// Expensive query that waited or ran for too long.
    #[error(
        "the server is busy with expensive queries: retry later, or request fewer resources at \
         once"
    )]
    Overloaded,
    /// Connection of a client with a token, when too many of these are open.
    #[error("too many connections are open: close unused ones, or retry later")]
    TooManyConnections,
    /// Panic while the response was produced.
    #[error("internal error: the response could not be produced")]
    Internal,
    /// No trustworthy data to serve, or a fault of this program while it was fetched.
    #[error("{}", unavailable_text(.0))]
    Unavailable(#[from] directory::Error),
}

impl From<directory::SnapshotError> for Error {
    fn from(error: directory::SnapshotError) -> Self {
        match error {
            directory::SnapshotError::Expired => Self::InvalidQuery(scim::InvalidQuery {
                scim_type: scim::ScimType::ExpiredCursor,
                detail: "the cursor has expired: begin again with the first page".to_owned(),
            }),
            directory::SnapshotError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<scim::DeadlineExceeded> for Error {
    fn from(_: scim::DeadlineExceeded) -> Self {
        Self::Overloaded
    }
}

/// Returns the reason of a refusal, with the mistake in the header where that may be the cause.
fn refusal_text(refusal: FailureReason, mistake: Option<AuthorizationMistake>) -> String {
    match (refusal, mistake) {
        (
            FailureReason::Missing | FailureReason::Unknown | FailureReason::Throttled(_),
            Some(mistake),
        ) => {
            format!("{refusal} ({mistake})")
        }
        _ => refusal.to_string(),
    }
}

fn route_hint(suggestion: Option<&'static str>) -> String {
    match suggestion {
        Some(route) => format!("did you mean {route}?"),
        None => "SCIM is under /scim/v2".to_owned(),
    }
}

/// Returns the text for the client; the log has the details.
fn unavailable_text(error: &directory::Error) -> String {
    match error {
        directory::Error::Loading { progress, .. } => {
            format!("the directory is being loaded ({progress}); retry later")
        }
        directory::Error::Held { .. } => {
            "the directory cannot be served: a change to many users is held back until it is \
             approved"
                .to_owned()
        }
        directory::Error::Unavailable { reason, .. } if reason.is_internal() => {
            "the directory cannot be served: the last load ended with an internal error; retry \
             later"
                .to_owned()
        }
        directory::Error::ScopeUnavailable { .. } => {
            "the directory cannot be served yet; retry later".to_owned()
        }
        directory::Error::Internal(_) => Error::Internal.to_string(),
        directory::Error::Unavailable { .. } => {
            "the directory cannot be served: the upstream system cannot be read; retry \
             later"
                .to_owned()
        }
    }
}

impl Error {
    pub(super) fn scim_type(&self) -> Option<scim::ScimType> {
        if let Self::InvalidQuery(invalid) = self { Some(invalid.scim_type) } else { None }
    }

    /// Returns the reason for the log. Unlike the text for the client, it holds nothing of the
    /// request.
    pub(super) fn log_reason(&self) -> Option<String> {
        match self {
            Self::InvalidQuery(invalid) => Some(invalid.scim_type.reason().to_owned()),
            Self::NoRoute(Some(route)) => Some(format!("no such path; similar to {route}")),
            Self::InvalidWebhook(_) => Some("invalid webhook body".to_owned()),
            // The log has another field, or another line, for these.
            Self::Refused { .. } | Self::Unavailable(_) | Self::Overloaded | Self::Internal => None,
            Self::WebhookRefused
            | Self::NoRoute(None)
            | Self::NoMetricsRoute
            | Self::ResourceNotFound(_)
            | Self::ReadOnly
            | Self::SearchOnly
            | Self::WebhookOnly
            | Self::NotImplemented(_)
            | Self::UnsupportedMediaType
            | Self::FilterForbidden
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::BodyUnreadable
            | Self::TooManyConnections => Some(self.to_string()),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, String)> {
        if let Self::Refused { refusal, scheme, .. } = self {
            return refusal_headers(*refusal, *scheme);
        }
        self.header().into_iter().collect()
    }

    fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            // A 401 needs a challenge (RFC 9110 §15.5.2), but no registered scheme is a token
            // alone.
            Self::WebhookRefused => Some((WWW_AUTHENTICATE, "Token realm=\"webhooks\"".to_owned())),
            Self::ReadOnly => Some((ALLOW, "GET, HEAD".to_owned())),
            Self::SearchOnly | Self::WebhookOnly => Some((ALLOW, "POST".to_owned())),
            Self::Unavailable(
                directory::Error::Loading { retry_after, .. }
                | directory::Error::Held { retry_after, .. }
                | directory::Error::Unavailable { retry_after, .. }
                | directory::Error::ScopeUnavailable { retry_after },
            ) => Some(retry_after_header(*retry_after)),
            Self::Overloaded => Some(retry_after_header(OVERLOADED_RETRY_AFTER)),
            Self::TooManyConnections => Some(retry_after_header(CONNECTIONS_RETRY_AFTER)),
            Self::Unavailable(directory::Error::Internal(_))
            | Self::Refused { .. }
            | Self::NoRoute(_)
            | Self::NoMetricsRoute
            | Self::ResourceNotFound(_)
            | Self::InvalidWebhook(_)
            | Self::NotImplemented(_)
            | Self::InvalidQuery(_)
            | Self::UnsupportedMediaType
            | Self::FilterForbidden
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::BodyUnreadable
            | Self::Internal => None,
        }
    }
}

/// Returns the challenges, or the time to wait, of a refused client (RFC 6750 §3, RFC 7617 §2).
/// Some clients read only one challenge: `Bearer` is the first, and the only one for a request that
/// used it.
fn refusal_headers(refusal: FailureReason, scheme: AuthScheme) -> Vec<(HeaderName, String)> {
    let parameters = match refusal {
        FailureReason::Missing => String::new(),
        FailureReason::Unknown | FailureReason::Expired | FailureReason::NotYetValid => {
            format!(", error=\"invalid_token\", error_description=\"{refusal}\"")
        }
        FailureReason::Scope => return vec![bearer_challenge(", error=\"insufficient_scope\"")],
        FailureReason::Network => return Vec::new(),
        FailureReason::Throttled(wait)
        | FailureReason::KeyNotCached(wait)
        | FailureReason::IssuerUnavailable(wait) => {
            return vec![retry_after_header(wait)];
        }
    };
    let bearer = bearer_challenge(&parameters);
    match scheme {
        AuthScheme::Bearer => vec![bearer],
        AuthScheme::Other => {
            let basic = "Basic realm=\"scim\", charset=\"UTF-8\"".to_owned();
            vec![bearer, (WWW_AUTHENTICATE, basic)]
        }
    }
}

fn bearer_challenge(parameters: &str) -> (HeaderName, String) {
    (WWW_AUTHENTICATE, format!("Bearer realm=\"scim\"{parameters}"))
}

fn retry_after_header(wait: Duration) -> (HeaderName, String) {
    (RETRY_AFTER, wait.as_secs_f64().ceil().to_string())
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused { refusal, .. } => match refusal {
                FailureReason::Missing
                | FailureReason::Unknown
                | FailureReason::Expired
                | FailureReason::NotYetValid => StatusCode::UNAUTHORIZED,
                FailureReason::Scope | FailureReason::Network => StatusCode::FORBIDDEN,
                FailureReason::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
                FailureReason::KeyNotCached(_) | FailureReason::IssuerUnavailable(_) => {
                    StatusCode::SERVICE_UNAVAILABLE
                }
            },
            Self::WebhookRefused => StatusCode::UNAUTHORIZED,
            Self::NoRoute(_) | Self::NoMetricsRoute | Self::ResourceNotFound(_) => {
                StatusCode::NOT_FOUND
            }
            Self::ReadOnly | Self::SearchOnly | Self::WebhookOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::InvalidQuery(_) | Self::InvalidWebhook(_) | Self::BodyUnreadable => {
                StatusCode::BAD_REQUEST
            }
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::FilterForbidden => StatusCode::FORBIDDEN,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Internal | Self::Unavailable(directory::Error::Internal(_)) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Unavailable(_) | Self::Overloaded | Self::TooManyConnections => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.content_type(SCIM_JSON).insert_header((VARY, "Accept"));
        for header in self.headers() {
            response.append_header(header);
        }
        if matches!(self, Self::BodyTooLarge | Self::BodyTimeout | Self::BodyUnreadable) {
            // The unread rest of the body would be parsed as the next request.
            response.force_close();
        }
        let body = scim::Error::new(status.as_u16(), self.scim_type(), self.to_string());
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
