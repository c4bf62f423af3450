//! `/webhooks/personio`: where Personio says that somebody has changed. Whoever sends that presents a
//! token of its own, and hears at once that it was taken note of: what follows from it is no business of
//! theirs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use actix_web::body::MessageBody;
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::Post;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Route, web};

use crate::connections;
use crate::server::middleware::credentials::Credentials;
use crate::server::middleware::request_body;
use crate::server::middleware::request_body::Body;
use crate::server::middleware::request_log;
use crate::server::{Error, State};

/// How many there were since the start.
#[derive(Debug, Default)]
pub(in crate::server) struct Notices {
    accepted: AtomicU64,
    refused: AtomicU64,
}

impl Notices {
    pub(in crate::server) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// For want of the token, of a body that can be read, or of a meaning.
    pub(in crate::server) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// The route and what guards it.
pub(in crate::server) fn resource() -> impl HttpServiceFactory + 'static {
    web::resource("/webhooks/personio")
        .app_data(request_log::Route::in_scope("", "/webhooks/personio"))
        .route(Route::new().guard(Post()).to(notice))
        .default_service(web::to(only_webhook))
        .wrap(from_fn(request_body::read))
        .wrap(from_fn(check))
}

async fn notice(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    let extensions = request.extensions();
    let body = extensions.get::<Body>().map_or(&[][..], |body| &body.0);
    state.directory.told(body)?;
    Ok(HttpResponse::Accepted().finish())
}

async fn only_webhook() -> Result<&'static str, Error> {
    Err(Error::OnlyWebhook)
}

/// Lets a request pass whose `Authorization` is the token: Personio sends it as it was written there, usually without a
/// scheme. Counts what became of it.
async fn check(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Credentials { tokens, .. } = Credentials::of(request.request());
    let known = tokens.iter().any(|token| state.access.is_webhook(token));
    let response = if !known {
        request.error_response(Error::UnknownSender).map_into_right_body()
    } else if connections::accept_token(request.request()) {
        next.call(request).await?.map_into_left_body()
    } else {
        request.error_response(Error::TooManyConnections).map_into_right_body()
    };
    let counter = if response.status().is_success() { &state.notices.accepted } else { &state.notices.refused };
    counter.fetch_add(1, Relaxed);
    Ok(response)
}
