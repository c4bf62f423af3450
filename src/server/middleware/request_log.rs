//! What happens to every request, whatever it asks for: it gets an id, is counted, and when it ends one line in the log
//! says how. Where nothing could be served, a second line says why. A request is named by its route, never by its query
//! string, its headers or what they hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::auth::{Caller, Refused};
use crate::scim::ScimType;
use crate::server::http_metrics::Request;
use crate::server::{Error, State, media_type};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What stands for a route where there is none.
const NO_ROUTE: &str = "(no route)";

/// A route as it is written in this program: it holds nothing of a request.
#[derive(Debug, Clone)]
pub(in crate::server) struct Route(Arc<str>);

impl Route {
    /// The route of `path` in a scope.
    pub(in crate::server) fn in_scope(scope: &str, path: &str) -> Self {
        Self(format!("{scope}{path}").into())
    }
}

/// What is found out about a request while it is answered.
#[derive(Debug, Default)]
pub(in crate::server) struct About {
    /// Who has sent it, whether they may or not.
    caller: Option<Caller>,
    /// Why they may not, and from where they asked.
    refused: Option<(&'static str, Option<IpAddr>)>,
    /// How many resources the answer holds.
    rows: Option<usize>,
    /// Keyword of the error.
    scim_type: Option<ScimType>,
    /// Reason of the error, without anything of the request.
    reason: Option<String>,
}

/// Answers a request of a client.
///
/// # Errors
/// Those of the request.
pub async fn watch(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    watched(Some(state), request, next).await
}

/// Answers a request for metrics where they have an address of their own. Who asks there is not counted: it is no client.
///
/// # Errors
/// Those of the request.
pub async fn watch_metrics(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    watched(None, request, next).await
}

async fn watched<B: MessageBody + 'static>(
    counted: Option<web::Data<State>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let began = Instant::now();
    let mut id = [0; Hyphenated::LENGTH];
    let id: &str = Uuid::new_v4().hyphenated().encode_lower(&mut id);
    request.extensions_mut().insert(About::default());
    #[cfg(feature = "otlp")]
    let traced = counted.is_some().then(|| crate::server::middleware::otel_span::Traced::begin(request.headers()));
    let ended = next.call(request).await.inspect_err(|error| {
        let status = error.as_response_error().status_code().as_u16();
        tracing::warn!(request_id = id, status, "a request failed");
    });
    let mut response = ended?;
    media_type::negotiate(&mut response);
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let (route, mut about) = (route(response.request()), about(response.request()));
    if let Some(error) = response.response().error().and_then(|error| error.as_error::<Error>()) {
        explain(id, error);
        about.scim_type = error.scim_type();
        about.reason = error.reason();
    }
    log(id, response.request().method().as_str(), &route, status, took.as_millis() as u64, &about);
    #[cfg(feature = "otlp")]
    if let Some(traced) = traced {
        traced.end(response.request().method().as_str(), &route, about.caller.as_ref(), status);
    }
    if let Some(state) = counted {
        state.requests.note(Request { route, caller: about.caller, status, rows: about.rows, began, took });
    }
    Ok(response)
}

/// Says why nothing could be served. A client is told less.
fn explain(request_id: &str, reason: &Error) {
    if let Error::Unavailable(error) = reason {
        tracing::warn!(request_id, "a request could not be answered: {error}");
    } else if matches!(reason, Error::Busy) {
        tracing::warn!(request_id, "a request could not be answered: {reason}");
    } else if matches!(reason, Error::BrokeOff) {
        tracing::error!(request_id, "a request could not be answered: {reason}");
    }
}

fn log(request_id: &str, method: &str, route: &str, status: u16, millis: u64, about: &About) {
    let client = about.caller.as_ref().map(Caller::name);
    let (refused, address) = about.refused.unzip();
    let (rows, address) = (about.rows, address.flatten().map(tracing::field::display));
    let (scim_type, reason) = (about.scim_type.map(ScimType::keyword), about.reason.as_deref());
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(request_id, client, rows, method, route, status, millis, "{method} {route} {status}");
    } else {
        tracing::info!(
            request_id,
            client,
            refused,
            address,
            scim_type,
            reason,
            rows,
            method,
            route,
            status,
            millis,
            "{method} {route} {status}"
        );
    }
}

/// The route that has answered, or would have if the request had come so far.
fn route(request: &HttpRequest) -> Arc<str> {
    if let Some(Route(route)) = request.app_data::<Route>() {
        return Arc::clone(route);
    }
    request.match_pattern().filter(|route| !route.is_empty()).map_or_else(|| NO_ROUTE.into(), Arc::from)
}

fn about(request: &HttpRequest) -> About {
    request.extensions_mut().get_mut::<About>().map(std::mem::take).unwrap_or_default()
}

/// Says who has sent `request`.
pub(in crate::server) fn asked_by(request: &HttpRequest, caller: Caller) {
    note(request, |about| about.caller = Some(caller));
}

/// Says why whoever has sent `request` may not ask.
pub(in crate::server) fn refused(request: &HttpRequest, refused: &Refused) {
    note(request, |about| {
        about.caller.clone_from(&refused.caller);
        about.refused = Some((refused.why.in_short(), refused.address));
    });
}

/// Says how many resources the answer to `request` holds.
pub(in crate::server) fn rows(request: &HttpRequest, rows: usize) {
    note(request, |about| about.rows = Some(rows));
}

fn note(request: &HttpRequest, note: impl FnOnce(&mut About)) {
    if let Some(about) = request.extensions_mut().get_mut::<About>() {
        note(about);
    }
}

/// Who asks and was let in.
pub(in crate::server) fn caller(request: &HttpRequest) -> Option<Caller> {
    request.extensions().get::<About>().filter(|about| about.refused.is_none()).and_then(|about| about.caller.clone())
}
