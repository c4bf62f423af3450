//! Request log: each request gets an id, is counted, and causes one log line when it ends. A second
//! line has the reason if this server could not serve it.
//!
//! The log names a request by its route, never by its query string, its headers or their values.

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

use crate::auth::{AuthFailure, AuthenticatedClient, ClientName};
use crate::directory;
use crate::scim::ScimType;
use crate::server::http_metrics::CompletedRequest;
#[cfg(feature = "otlp")]
use crate::server::middleware::otel_span::RequestSpan;
use crate::server::{Error, State, media_type};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Route of a request whose path has none.
const NO_ROUTE: &str = "(no route)";

/// Name of a route, as it is written in this program. It holds nothing of a request.
#[derive(Debug, Clone)]
pub(in crate::server) struct RouteName(Arc<str>);

impl RouteName {
    /// Returns the name of the route with this path in a scope.
    pub(in crate::server) fn in_scope(scope: &str, path: &str) -> Self {
        Self(format!("{scope}{path}").into())
    }
}

/// Facts about a request that are collected while it is served, for the log and the metrics.
#[derive(Debug, Default)]
struct RequestContext {
    /// Client that has sent the request, also if it was refused.
    client: Option<ClientName>,
    /// Client of a request that was not refused.
    authenticated: Option<AuthenticatedClient>,
    refusal: Option<LoggedRefusal>,
    /// Number of resources in the response.
    resource_count: Option<usize>,
    scim_type: Option<ScimType>,
    /// Reason of the error, without anything of the request.
    reason: Option<String>,
}

/// Refusal of a client, in the words of the log.
#[derive(Debug)]
struct LoggedRefusal {
    reason: &'static str,
    address: Option<IpAddr>,
}

/// Logs and counts a request of a client.
///
/// # Errors
/// When the rest of the service fails.
pub async fn log_client_requests(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    log_request(Some(state), request, next).await
}

/// Logs a request at the address for metrics. Such requests are not counted, because a scraper is
/// not a client.
///
/// # Errors
/// When the rest of the service fails.
pub async fn log_metrics_requests(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    log_request(None, request, next).await
}

/// Logs a request, and counts it in the metrics of `counted_in`.
async fn log_request<B: MessageBody + 'static>(
    counted_in: Option<web::Data<State>>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let start = Instant::now();
    let mut id = [0; Hyphenated::LENGTH];
    let id: &str = Uuid::new_v4().hyphenated().encode_lower(&mut id);
    request.extensions_mut().insert(RequestContext::default());
    #[cfg(feature = "otlp")]
    let span = counted_in.is_some().then(|| RequestSpan::start(request.headers()));
    let mut response = match next.call(request).await {
        Ok(response) => response,
        Err(error) => {
            let status = error.as_response_error().status_code().as_u16();
            tracing::warn!(
                request_id = id,
                status,
                "error outside of the handlers: the HTTP library responds with status {status}"
            );
            return Err(error);
        }
    };
    media_type::negotiate(&mut response);
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    let duration = start.elapsed();
    let status = response.status().as_u16();
    let route = route(response.request());
    let mut context = take_context(response.request());
    if let Some(error) = response.response().error()
        && let Some(error) = error.as_error::<Error>()
    {
        log_failure(id, error);
        context.scim_type = error.scim_type();
        context.reason = error.log_reason();
    }
    let method = response.request().method().as_str();
    log_completion(id, method, &route, status, duration.as_millis() as u64, &context);
    #[cfg(feature = "otlp")]
    if let Some(span) = span {
        span.end(method, &route, context.client.as_ref(), status);
    }
    if let Some(state) = counted_in {
        state.http_metrics.count(CompletedRequest {
            route,
            client: context.client,
            status,
            resource_count: context.resource_count,
            duration,
            ended_at: state.clock.monotonic(),
        });
    }
    Ok(response)
}

/// Logs the reason for which this server could not serve a request. The client gets fewer details.
fn log_failure(request_id: &str, error: &Error) {
    if let Error::Unavailable(directory::Error::Internal(error)) = error {
        tracing::error!(request_id, "request not served: {error}");
    } else if let Error::Unavailable(error) = error {
        tracing::warn!(request_id, "request not served: {error}");
    } else if matches!(error, Error::Overloaded) {
        tracing::warn!(request_id, "request not served: {error}");
    } else if matches!(error, Error::Internal) {
        tracing::error!(request_id, "request not served: {error}");
    }
}

fn log_completion(
    request_id: &str,
    method: &str,
    route: &str,
    status: u16,
    millis: u64,
    context: &RequestContext,
) {
    let client = context.client.as_ref().map(ClientName::as_str);
    let mut refused = None;
    let mut address = None;
    if let Some(refusal) = &context.refusal {
        refused = Some(refusal.reason);
        address = refusal.address.map(tracing::field::display);
    }
    let rows = context.resource_count;
    let scim_type = context.scim_type.map(ScimType::keyword);
    let reason = context.reason.as_deref();
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(
            request_id,
            client,
            rows,
            method,
            route,
            status,
            millis,
            "{method} {route} {status}"
        );
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

/// Returns the route that has served a request, or would have if no middleware had refused it.
fn route(request: &HttpRequest) -> Arc<str> {
    if let Some(RouteName(route)) = request.app_data::<RouteName>() {
        return Arc::clone(route);
    }
    match request.match_pattern() {
        Some(pattern) if !pattern.is_empty() => pattern.into(),
        Some(_) | None => NO_ROUTE.into(),
    }
}

/// Takes the context out of a request that has ended.
fn take_context(request: &HttpRequest) -> RequestContext {
    match request.extensions_mut().get_mut::<RequestContext>() {
        Some(context) => std::mem::take(context),
        None => RequestContext::default(),
    }
}

/// Adds the authenticated client to the context.
pub(in crate::server) fn set_client(request: &HttpRequest, client: AuthenticatedClient) {
    update_context(request, |context| {
        context.client = Some(client.name.clone());
        context.authenticated = Some(client);
    });
}

/// Adds a refusal to the context, with the client if its token is known.
pub(in crate::server) fn set_refusal(request: &HttpRequest, refused: &AuthFailure) {
    update_context(request, |context| {
        context.client.clone_from(&refused.client);
        let reason = refused.reason.short_reason();
        context.refusal = Some(LoggedRefusal { reason, address: refused.address });
    });
}

/// Adds the number of resources in the response to the context.
pub(in crate::server) fn set_resource_count(request: &HttpRequest, count: usize) {
    update_context(request, |context| context.resource_count = Some(count));
}

fn update_context(request: &HttpRequest, update: impl FnOnce(&mut RequestContext)) {
    if let Some(context) = request.extensions_mut().get_mut::<RequestContext>() {
        update(context);
    }
}

/// Returns the client of a request that was not refused.
pub(in crate::server) fn client(request: &HttpRequest) -> Option<AuthenticatedClient> {
    request.extensions().get::<RequestContext>()?.authenticated.clone()
}
