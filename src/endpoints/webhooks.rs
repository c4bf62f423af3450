//! `/webhooks/personio`: where Personio says that somebody has changed. Whoever sends that presents a
//! token of its own, and hears at once that it was taken note of: what follows from it is no business of
//! theirs.

use actix_web::body::MessageBody;
use actix_web::dev::{HttpServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::guard::Post;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, Route, web};

use super::body::{self, Body};
use super::{Error, State};

/// The route and what guards it.
pub(super) fn resource() -> impl HttpServiceFactory + 'static {
    web::resource("/webhooks/personio")
        .route(Route::new().guard(Post()).to(notice))
        .default_service(web::to(only_webhook))
        .wrap(from_fn(body::read))
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

/// Lets a request pass whose `Authorization` is the token: Personio sends it as it was written there,
/// without a scheme.
async fn check(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let presented = request.headers().get(AUTHORIZATION);
    if presented.is_some_and(|value| state.webhook_token.as_ref().is_some_and(|token| token.is(value.as_bytes()))) {
        Ok(next.call(request).await?.map_into_left_body())
    } else {
        Ok(request.into_response(Error::UnknownSender.error_response()).map_into_right_body())
    }
}
