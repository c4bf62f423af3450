//! From a failure to a status and a body: the only place that does so. Who answers a request logs it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};

use crate::auth::Refusal;
use crate::server::media_type::SCIM_JSON;
use crate::server::{Scheme, Slip};
use crate::{directory, scim};

/// Why a request is not answered as asked. The text is for the client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Whoever asks may not.
    #[error("{}", refusal(*.why, *.slip))]
    Refused {
        /// Why not.
        why: Refusal,
        /// How their token came.
        scheme: Scheme,
        /// What is wrong with the form in which it came.
        slip: Option<Slip>,
    },
    /// No token of the webhooks, or another one.
    #[error("the Authorization header must be the token of the webhooks and nothing else")]
    UnknownSender,
    /// No such route; the one that was most likely meant.
    #[error("there is nothing at this address; {}", better_route(*.0))]
    NoRoute(Option<&'static str>),
    /// No such route at the address for metrics.
    #[error("there is nothing at this address; metrics are at /metrics, health is at /health/live and /health/ready")]
    NoMetricsRoute,
    /// No such resource of this type.
    #[error("there is no such {0}")]
    NoResource(&'static str),
    /// A method that would change something.
    #[error("this server is read-only: only GET and HEAD are allowed here")]
    ReadOnly,
    /// A method other than that of a search.
    #[error("a search is a POST with a SearchRequest")]
    OnlySearch,
    /// A method other than that of a webhook.
    #[error("a webhook is a POST")]
    OnlyWebhook,
    /// A webhook that cannot be understood.
    #[error("the body cannot be understood: {0}")]
    Malformed(#[from] directory::Malformed),
    /// Something of RFC 7644 that this server does not do.
    #[error("{0} is not implemented")]
    NotImplemented(&'static str),
    /// A query that makes no sense.
    #[error(transparent)]
    InvalidQuery(#[from] scim::InvalidQuery),
    /// A body of another kind than JSON.
    #[error("the Content-Type of a SearchRequest is application/scim+json or application/json")]
    MediaType,
    /// "If a 'filter' is provided, the service provider SHOULD respond with HTTP status code 403"
    /// (RFC 7644 §4).
    #[error("what describes this server cannot be filtered")]
    FilterForbidden,
    /// A body beyond what is read.
    #[error("the body is too large")]
    LargeBody,
    /// A body that does not come.
    #[error("the body did not come in time")]
    SlowBody,
    /// A body that cannot be read.
    #[error("the body cannot be read")]
    BrokenBody,
    /// Too many ask for what takes long, or it takes too long.
    #[error("this takes too long now: ask again later, or for less at once")]
    Busy,
    /// Too many connections of clients with a token are open.
    #[error("too many connections are open: close those that are not needed, or ask again later")]
    TooManyConnections,
    /// Working out the answer broke off.
    #[error("the answer could not be worked out, which is a fault of this server")]
    BrokeOff,
    /// Nothing can be served that could be trusted.
    #[error("{}", unavailable(.0))]
    Unavailable(#[from] directory::Error),
}

/// Reason of a refusal, with the slip in the form of the token where that may be the cause.
fn refusal(why: Refusal, slip: Option<Slip>) -> String {
    match (why, slip) {
        (Refusal::Missing | Refusal::Unknown | Refusal::Slowed(_), Some(slip)) => format!("{why} ({slip})"),
        _ => why.to_string(),
    }
}

fn better_route(suggestion: Option<&'static str>) -> String {
    match suggestion {
        Some(route) => format!("did you mean {route}?"),
        None => "SCIM is under /scim/v2".to_owned(),
    }
}

/// What a client reads when nothing can be served; the log says more.
fn unavailable(error: &directory::Error) -> String {
    match error {
        directory::Error::Loading { progress, .. } => {
            format!("the directory is being loaded ({progress}); ask again later")
        }
        directory::Error::HeldBack { .. } => {
            "the directory cannot be served, because a change to many users is held back until somebody says that it is \
             right"
                .to_owned()
        }
        directory::Error::Unavailable { .. } => {
            "the directory cannot be served, because the upstream system cannot be read; ask again later".to_owned()
        }
    }
}

/// What a client is told beside the reason (RFC 6750 §3, RFC 7617 §2). There are clients that read one challenge
/// only: the first, and the only one for those who know it.
fn refused(why: Refusal, scheme: Scheme) -> Vec<(HeaderName, String)> {
    let bearer = |error: &str| (WWW_AUTHENTICATE, format!("Bearer realm=\"scim\"{error}"));
    let invalid = format!(", error=\"invalid_token\", error_description=\"{why}\"");
    let challenge = match why {
        Refusal::Missing => bearer(""),
        Refusal::Unknown | Refusal::Expired | Refusal::Early => bearer(&invalid),
        Refusal::Scope => return vec![bearer(", error=\"insufficient_scope\"")],
        Refusal::Network => return Vec::new(),
        Refusal::Slowed(wait) | Refusal::KeyUnread(wait) | Refusal::Uncheckable(wait) => {
            return vec![again_after(wait)];
        }
    };
    match scheme {
        Scheme::Bearer => vec![challenge],
        Scheme::Other => vec![challenge, (WWW_AUTHENTICATE, "Basic realm=\"scim\", charset=\"UTF-8\"".to_owned())],
    }
}

fn again_after(wait: Duration) -> (HeaderName, String) {
    (RETRY_AFTER, wait.as_secs_f64().ceil().to_string())
}

/// When to ask again for what takes long.
const BUSY: Duration = Duration::from_secs(5);
/// Time after which a client whose connection was one too many may find room.
const CONNECTIONS_RETRY_AFTER: Duration = Duration::from_secs(10);

impl Error {
    pub(super) fn scim_type(&self) -> Option<scim::ScimType> {
        if let Self::InvalidQuery(invalid) = self { Some(invalid.scim_type) } else { None }
    }

    /// Reason for the log. It holds nothing of the request, unlike the text for the client.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Self::InvalidQuery(invalid) => Some(invalid.scim_type.reason().to_owned()),
            Self::NoRoute(Some(route)) => {
                Some(format!("there is nothing at this address, which is similar to {route}"))
            }
            Self::Malformed(_) => Some("the webhook cannot be understood".to_owned()),
            // The log has another field, or another line, for these.
            Self::Refused { .. } | Self::Unavailable(_) | Self::Busy | Self::BrokeOff => None,
            Self::UnknownSender
            | Self::NoRoute(None)
            | Self::NoMetricsRoute
            | Self::NoResource(_)
            | Self::ReadOnly
            | Self::OnlySearch
            | Self::OnlyWebhook
            | Self::NotImplemented(_)
            | Self::MediaType
            | Self::FilterForbidden
            | Self::LargeBody
            | Self::SlowBody
            | Self::BrokenBody
            | Self::TooManyConnections => Some(self.to_string()),
        }
    }

    fn headers(&self) -> Vec<(HeaderName, String)> {
        if let Self::Refused { why, scheme, .. } = self {
            return refused(*why, *scheme);
        }
        self.header().into_iter().collect()
    }

    fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            // A challenge is due (RFC 9110 §15.5.2), yet no scheme has a name for a token alone.
            Self::UnknownSender => Some((WWW_AUTHENTICATE, "Token realm=\"webhooks\"".to_owned())),
            Self::ReadOnly => Some((ALLOW, "GET, HEAD".to_owned())),
            Self::OnlySearch | Self::OnlyWebhook => Some((ALLOW, "POST".to_owned())),
            Self::Unavailable(
                directory::Error::Loading { retry_after, .. }
                | directory::Error::HeldBack { retry_after, .. }
                | directory::Error::Unavailable { retry_after, .. },
            ) => Some(again_after(*retry_after)),
            Self::Busy => Some(again_after(BUSY)),
            Self::TooManyConnections => Some(again_after(CONNECTIONS_RETRY_AFTER)),
            Self::Refused { .. }
            | Self::NoRoute(_)
            | Self::NoMetricsRoute
            | Self::NoResource(_)
            | Self::Malformed(_)
            | Self::NotImplemented(_)
            | Self::InvalidQuery(_)
            | Self::MediaType
            | Self::FilterForbidden
            | Self::LargeBody
            | Self::SlowBody
            | Self::BrokenBody
            | Self::BrokeOff => None,
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Refused { why, .. } => match why {
                Refusal::Missing | Refusal::Unknown | Refusal::Expired | Refusal::Early => StatusCode::UNAUTHORIZED,
                Refusal::Scope | Refusal::Network => StatusCode::FORBIDDEN,
                Refusal::Slowed(_) => StatusCode::TOO_MANY_REQUESTS,
                Refusal::KeyUnread(_) | Refusal::Uncheckable(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::UnknownSender => StatusCode::UNAUTHORIZED,
            Self::NoRoute(_) | Self::NoMetricsRoute | Self::NoResource(_) => StatusCode::NOT_FOUND,
            Self::ReadOnly | Self::OnlySearch | Self::OnlyWebhook => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::InvalidQuery(_) | Self::Malformed(_) | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::FilterForbidden => StatusCode::FORBIDDEN,
            Self::LargeBody => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::BrokeOff => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) | Self::Busy | Self::TooManyConnections => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        let mut response = HttpResponse::build(status);
        response.content_type(SCIM_JSON).insert_header((VARY, "Accept"));
        for header in self.headers() {
            response.append_header(header);
        }
        if matches!(self, Self::LargeBody | Self::SlowBody | Self::BrokenBody) {
            // What is left of the body must not be taken for the next request.
            response.force_close();
        }
        let body = scim::Error::new(status.as_u16(), self.scim_type(), self.to_string());
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
