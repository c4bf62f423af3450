//! `/webhooks/personio`: the endpoint to which Personio reports changed persons. It has a token of
//! its own, and responds at once: the response does not depend on the refresh that follows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use actix_web::body::MessageBody;
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::Post;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Route, web};

use crate::connections;
use crate::server::middleware::credentials::Credentials;
use crate::server::middleware::request_body;
use crate::server::middleware::request_body::RequestBody;
use crate::server::middleware::request_log::RouteName;
use crate::server::{Error, State};

/// Counters of webhook requests since the start.
#[derive(Debug, Default)]
pub(in crate::server) struct WebhookRequestCounters {
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl WebhookRequestCounters {
    pub(in crate::server) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Returns the number of requests with a wrong token or an invalid body.
    pub(in crate::server) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// Creates the route with its middleware.
pub(in crate::server) fn resource() -> impl HttpServiceFactory + 'static {
    web::resource("/webhooks/personio")
        .app_data(RouteName::in_scope("", "/webhooks/personio"))
        .route(Route::new().guard(Post()).to(receive))
        .default_service(web::to(webhook_only))
        .wrap(from_fn(request_body::read))
        .wrap(from_fn(authenticate_webhook))
}

async fn receive(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    let extensions = request.extensions();
    let body = match extensions.get::<RequestBody>() {
        Some(RequestBody(bytes)) => bytes.as_slice(),
        None => &[],
    };
    state.directory.handle_webhook(body)?;
    Ok(HttpResponse::Accepted().finish())
}

async fn webhook_only() -> Result<&'static str, Error> {
    Err(Error::WebhookOnly)
}

/// Authenticates a webhook, and counts its outcome. Personio sends the content of `Authorization`
/// as it was entered there, usually without a scheme.
async fn authenticate_webhook(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Credentials { tokens, .. } = Credentials::of(request.request());
    let is_authentic = tokens.iter().any(|token| state.authenticator.is_webhook_token(token));
    let response = if !is_authentic {
        request.error_response(Error::WebhookRefused).map_into_right_body()
    } else if connections::accept_token(request.request()) {
        next.call(request).await?.map_into_left_body()
    } else {
        request.error_response(Error::TooManyConnections).map_into_right_body()
    };
    let counters = &state.webhook_counters;
    if response.status().is_success() {
        counters.accepted.fetch_add(1, Relaxed);
    } else {
        counters.refused.fetch_add(1, Relaxed);
    }
    Ok(response)
}
