//! Who may ask: clients that present the bearer token (RFC 6750 §2.1).

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, ResponseError, web};
use aws_lc_rs::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Error, State};

/// Who asks. There is one client, until there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller(&'static str);

impl Default for Caller {
    fn default() -> Self {
        Self("client")
    }
}

impl Caller {
    pub(super) fn name(&self) -> &str {
        self.0
    }
}

/// A token, kept as its hash: the comparison takes the same time whatever is presented, and tells
/// nothing about the length either.
pub struct Token([u8; 32]);

impl Token {
    /// The token that is accepted.
    #[must_use]
    pub fn new(token: &SecretString) -> Self {
        Self(hash(token.expose_secret().as_bytes()))
    }

    pub(super) fn is(&self, presented: &[u8]) -> bool {
        hash(presented).ct_eq(&self.0).into()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// Lets a request pass that presents the token.
pub(super) async fn check(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let presented = request.headers().get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    if presented.is_some_and(|presented| state.token.is(presented)) {
        request.extensions_mut().insert(Caller::default());
        Ok(next.call(request).await?.map_into_left_body())
    } else {
        Ok(request.into_response(Error::Unauthorized.error_response()).map_into_right_body())
    }
}

/// The credentials of the scheme `Bearer`, whose name has no case (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_accepted() {
        let token = Token::new(&"0123456789abcdef".to_owned().into());
        for (header, expected) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer  0123456789abcdef ", true),
            ("BEARER 0123456789abcdef", true),
            ("Bearer 0123456789abcdeg", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
            ("", false),
        ] {
            assert_eq!(bearer(header.as_bytes()).is_some_and(|text| token.is(text)), expected, "{header:?}");
        }
    }
}
