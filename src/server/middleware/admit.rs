//! Admission of requests: authentication, and then the body. The two are one middleware, because
//! each middleware costs every request a boxed future.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;

use crate::server::State;
use crate::server::middleware::authenticate::authenticate;
use crate::server::middleware::request_body;

/// Passes a request on if its credentials are accepted, after its body was read.
///
/// # Errors
/// When the rest of the service fails. A refused request gets a response instead.
pub(in crate::server) async fn admit(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    match authenticate(&state, &request).await {
        Ok(()) => Ok(request_body::read(request, next).await?.map_into_left_body()),
        Err(refusal) => Ok(request.error_response(refusal).map_into_right_body()),
    }
}
