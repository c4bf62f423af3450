//! How callers say who they are: a token by the scheme `Bearer` (RFC 6750 §2.1) or as the password of the scheme
//! `Basic` (RFC 7617), for clients that know nothing else; the user name there means nothing. Who may ask is for
//! `access` to say.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderName};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Error, State, body, watch};
use crate::access::Caller;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// As one.
    Bearer,
    /// In some other way, or not at all.
    Other,
}

/// Lets a request pass whose caller may ask, after its body was read. The log says who that is, and why others may not.
pub(super) async fn check(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let (scheme, token) = presented(request.request());
    let forwarded: Vec<&[u8]> = request.headers().get_all(X_FORWARDED_FOR).map(|value| value.as_bytes()).collect();
    let peer = request.peer_addr().map(|peer| peer.ip());
    let admitted = state.access.admit(token.as_deref(), peer, &forwarded).await;
    match admitted {
        Ok(caller) => {
            watch::asked_by(request.request(), caller);
            Ok(body::read(request, next).await?.map_into_left_body())
        }
        Err(refused) => {
            watch::refused(request.request(), &refused);
            let refused = Error::Refused { why: refused.why, scheme };
            Ok(request.into_response(refused.error_response()).map_into_right_body())
        }
    }
}

/// Who asks. What is behind [`check`] knows.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, Error> {
    let why = crate::access::Refusal::Missing;
    watch::caller(request).ok_or(Error::Refused { why, scheme: Scheme::Other })
}

/// The token, and how it came.
fn presented(request: &HttpRequest) -> (Scheme, Option<Vec<u8>>) {
    let Some(value) = request.headers().get(AUTHORIZATION) else { return (Scheme::Other, None) };
    let value = value.as_bytes();
    match credentials(value, "Bearer ") {
        Some(token) => (Scheme::Bearer, Some(token.to_vec())),
        None => (Scheme::Other, credentials(value, "Basic ").and_then(password)),
    }
}

/// The credentials of a scheme, whose name has no case (RFC 9110 §11.1).
fn credentials<'v>(value: &'v [u8], scheme: &str) -> Option<&'v [u8]> {
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.trim_ascii();
    (name.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.is_empty()).then_some(rest)
}

/// What follows the first colon (RFC 7617 §2).
fn password(credentials: &[u8]) -> Option<Vec<u8>> {
    let decoded = STANDARD.decode(credentials).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.get(colon + 1..)?;
    (!password.is_empty()).then(|| password.to_vec())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_token_comes_as_one_or_as_a_password() {
        let (bearer, other) = (Scheme::Bearer, Scheme::Other);
        for (header, expected) in [
            ("Bearer 0123456789abcdef", (bearer, Some("0123456789abcdef"))),
            ("bearer  0123456789abcdef ", (bearer, Some("0123456789abcdef"))),
            ("BEARER x", (bearer, Some("x"))),
            ("Bearer ", (other, None)),
            ("Bearer", (other, None)),
            // me:secret, :secret, me:se:cret, me:, me.
            ("Basic bWU6c2VjcmV0", (other, Some("secret"))),
            ("bASIC   OnNlY3JldA==", (other, Some("secret"))),
            ("Basic bWU6c2U6Y3JldA==", (other, Some("se:cret"))),
            ("Basic bWU6", (other, None)),
            ("Basic bWU=", (other, None)),
            ("Basic me:secret", (other, None)),
            ("Basic", (other, None)),
            ("Digest bWU6c2VjcmV0", (other, None)),
            ("0123456789abcdef", (other, None)),
            ("", (other, None)),
        ] {
            let request = TestRequest::default().insert_header((AUTHORIZATION, header)).to_http_request();
            let (scheme, token) = presented(&request);
            let token = token.map(|token| String::from_utf8(token).unwrap());
            assert_eq!((scheme, token.as_deref()), expected, "{header:?}");
        }
    }
}
