//! Authentication of requests: lets those pass whose token `access` accepts.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderName;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};

use crate::auth::Caller;
use crate::connections;
use crate::server::middleware::credentials::{Credentials, Scheme};
use crate::server::middleware::{request_body, request_log};
use crate::server::{Error, State};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Lets a request pass whose caller may ask, after its body was read. The log says who that is, and why others may not.
pub(in crate::server) async fn check(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Credentials { scheme, tokens, slip } = Credentials::of(request.request());
    let forwarded: Vec<&[u8]> = request.headers().get_all(X_FORWARDED_FOR).map(|value| value.as_bytes()).collect();
    let peer = request.peer_addr().map(|peer| peer.ip());
    let admitted = state.access.admit(&tokens, peer, &forwarded).await;
    match admitted {
        Ok(caller) => {
            request_log::asked_by(request.request(), caller);
            if !connections::accept_token(request.request()) {
                return Ok(request.error_response(Error::TooManyConnections).map_into_right_body());
            }
            Ok(request_body::read(request, next).await?.map_into_left_body())
        }
        Err(refused) => {
            request_log::refused(request.request(), &refused);
            let refused = Error::Refused { why: refused.why, scheme, slip };
            Ok(request.error_response(refused).map_into_right_body())
        }
    }
}

/// Who asks. What is behind [`check`] knows.
pub(in crate::server) fn caller(request: &HttpRequest) -> Result<Caller, Error> {
    let why = crate::auth::Refusal::Missing;
    request_log::caller(request).ok_or(Error::Refused { why, scheme: Scheme::Other, slip: None })
}
