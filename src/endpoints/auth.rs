//! Authentication of requests: lets those pass whose token `access` accepts.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderName;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};

use super::credentials::{Credentials, Scheme};
use super::{Error, State, body, watch};
use crate::access::Caller;
use crate::connections;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Lets a request pass whose caller may ask, after its body was read. The log says who that is, and why others may not.
pub(super) async fn check(
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
            connections::accept_token(request.request());
            watch::asked_by(request.request(), caller);
            Ok(body::read(request, next).await?.map_into_left_body())
        }
        Err(refused) => {
            watch::refused(request.request(), &refused);
            let refused = Error::Refused { why: refused.why, scheme, slip };
            Ok(request.error_response(refused).map_into_right_body())
        }
    }
}

/// Who asks. What is behind [`check`] knows.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, Error> {
    let why = crate::access::Refusal::Missing;
    watch::caller(request).ok_or(Error::Refused { why, scheme: Scheme::Other, slip: None })
}
