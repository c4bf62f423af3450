//! Authentication of clients. A request passes if its credentials are accepted.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderName;
use actix_web::middleware::Next;
use actix_web::{HttpRequest, web};

use crate::auth::{ClientName, FailureReason};
use crate::connections;
use crate::server::middleware::credentials::{AuthScheme, Credentials};
use crate::server::middleware::{request_body, request_log};
use crate::server::{Error, State};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Authenticates a request, and then reads its body. The request log gets the client, or the reason
/// of the refusal.
pub(in crate::server) async fn authenticate(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Credentials { scheme, tokens, mistake } = Credentials::of(request.request());
    let mut forwarded: Vec<&[u8]> = Vec::new();
    for value in request.headers().get_all(X_FORWARDED_FOR) {
        forwarded.push(value.as_bytes());
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    let result = state.authenticator.authenticate(&tokens, peer, &forwarded).await;
    match result {
        Ok(client) => {
            request_log::set_client(request.request(), client);
            if !connections::accept_token(request.request()) {
                return Ok(request.error_response(Error::TooManyConnections).map_into_right_body());
            }
            Ok(request_body::read(request, next).await?.map_into_left_body())
        }
        Err(failure) => {
            request_log::set_refusal(request.request(), &failure);
            let error = Error::Refused { refusal: failure.reason, scheme, mistake };
            Ok(request.error_response(error).map_into_right_body())
        }
    }
}

/// Returns the client of a request that [`authenticate`] has let pass.
pub(in crate::server) fn client(request: &HttpRequest) -> Result<ClientName, Error> {
    request_log::client(request).ok_or(Error::Refused {
        refusal: FailureReason::Missing,
        scheme: AuthScheme::Other,
        mistake: None,
    })
}
