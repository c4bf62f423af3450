//! Verification of JSON Web Tokens of other issuers (RFC 7519, RFC 8725). Only asymmetric
//! signatures are accepted. Keys come from the configured URL; keys and key URLs in a token are
//! ignored.

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use url::Url;

use crate::auth::jwks::{FetchOutcome, JwksCache, KeySelector};
use crate::auth::{AuthenticatorInner, ClientName, FailureReason, Networks, ScopeId};

/// Accepted difference between the issuer's clock and this one, in seconds.
const CLOCK_LEEWAY_SECS: f64 = 60.0;

/// Issuer whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Name for all clients with a token of this issuer. The subject of a token is not read.
    pub name: ClientName,
    /// Required value of `iss`.
    pub issuer: String,
    /// Required value of `aud`.
    pub audience: String,
    /// URL of the keys.
    pub jwks_url: Url,
    /// Required value in `scope`, `scp` or `roles`.
    pub scope: Option<String>,
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Networks from which tokens are accepted. Without them, tokens are accepted from every
    /// address.
    pub networks: Option<Networks>,
    /// Scope that limits what clients with a token of this issuer see. It has nothing to do with
    /// [`Issuer::scope`].
    pub client_scope: Option<ScopeId>,
}

/// Signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). Algorithms with a shared secret are not
/// supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA signature of PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA over P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All supported algorithms.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    fn to_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Issuer named by a token whose signature has not been verified.
#[derive(Deserialize)]
struct UnverifiedClaims {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    scope: Option<ScopeClaim>,
    scp: Option<ScopeClaim>,
    roles: Option<ScopeClaim>,
}

impl Claims {
    /// Reports whether one of the claims contains this scope.
    fn have_scope(&self, required: &str) -> bool {
        for scopes in [&self.scope, &self.scp, &self.roles].into_iter().flatten() {
            if scopes.contains(required) {
                return true;
            }
        }
        false
    }
}

/// Scopes: one text separated by spaces (RFC 8693 §4.2), or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum ScopeClaim {
    Text(String),
    List(Vec<String>),
}

impl ScopeClaim {
    fn contains(&self, required: &str) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|scope| scope == required),
            Self::List(list) => list.iter().any(|scope| scope == required),
        }
    }
}

/// Result of the verification of a token with one key.
enum SignatureCheck {
    /// The signature does not match the key.
    OtherKey,
    /// The signature matches, but the token is malformed or meant for another issuer or audience.
    Unacceptable,
    /// The signature, issuer and audience match. These are the claims.
    Valid(Claims),
}

impl Issuer {
    /// Reports whether the token has the form of a JWT and names this issuer. Only such tokens are
    /// verified.
    pub(super) fn may_have_issued(&self, token: &str) -> bool {
        token.split('.').count() == 3
            && insecure_decode_claims::<UnverifiedClaims>(token)
                .is_ok_and(|claimed| claimed.iss == self.issuer)
    }

    /// Verifies the token. `seen_fetch_count` is the number of fetches of the keys before the
    /// request. The reason `Unknown` means that this issuer has not issued the token for this
    /// server.
    pub(super) async fn verify(
        &self,
        token: &str,
        cache: &Arc<JwksCache>,
        seen_fetch_count: u64,
        authenticator: &AuthenticatorInner,
    ) -> Result<(), FailureReason> {
        let header = decode_header(token).map_err(|_| FailureReason::Unknown)?;
        // A recipient must refuse a token with critical header parameters that it does not
        // understand (RFC 7515 §4.1.11). This server understands none.
        if header.crit.is_some() {
            return Err(FailureReason::Unknown);
        }
        let mut algorithms = self.algorithms.iter();
        let Some(&algorithm) = algorithms.find(|it| it.to_jsonwebtoken() == header.alg) else {
            return Err(FailureReason::Unknown);
        };
        let selector = KeySelector { id: header.kid.as_deref(), algorithm, seen_fetch_count };
        for key in cache.find_keys(selector, authenticator).await? {
            if let Some(verdict) = self.verify_with_key(token, algorithm, &key, authenticator) {
                return verdict;
            }
        }
        // The issuer may have replaced the key by another one with the same id or without an id. A
        // wrong signature is certain only after a fetch.
        let fetched = cache.fetch(selector, authenticator).await;
        for key in cache.find_keys(selector, authenticator).await? {
            if let Some(verdict) = self.verify_with_key(token, algorithm, &key, authenticator) {
                return verdict;
            }
        }
        Err(match fetched {
            FetchOutcome::UpToDate => FailureReason::Unknown,
            FetchOutcome::NotBefore(at) => FailureReason::KeyNotCached(cache.time_until(at)),
            FetchOutcome::Failed(at) => FailureReason::IssuerUnavailable(cache.time_until(at)),
        })
    }

    fn verify_with_key(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
        authenticator: &AuthenticatorInner,
    ) -> Option<Result<(), FailureReason>> {
        match self.verify_signature(token, algorithm, key) {
            SignatureCheck::OtherKey => None,
            SignatureCheck::Unacceptable => Some(Err(FailureReason::Unknown)),
            SignatureCheck::Valid(claims) => {
                Some(self.check_claims(&claims, authenticator.clock.now()))
            }
        }
    }

    fn verify_signature(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
    ) -> SignatureCheck {
        let mut validation = Validation::new(algorithm.to_jsonwebtoken());
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        // The crate would use the system clock. The expiry is checked against the injected clock
        // instead.
        validation.validate_exp = false;
        match decode::<Claims>(token, key, &validation) {
            Ok(token) => SignatureCheck::Valid(token.claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                SignatureCheck::OtherKey
            }
            Err(error) => {
                let reason = describe_error(error.kind());
                tracing::info!(
                    issuer = %self.name,
                    "token of issuer {} refused: {reason}",
                    self.name
                );
                SignatureCheck::Unacceptable
            }
        }
    }

    fn check_claims(&self, claims: &Claims, now: Timestamp) -> Result<(), FailureReason> {
        let now = now.as_second() as f64;
        if now >= claims.exp + CLOCK_LEEWAY_SECS {
            return Err(FailureReason::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now < nbf - CLOCK_LEEWAY_SECS) {
            return Err(FailureReason::NotYetValid);
        }
        match &self.scope {
            Some(scope) if !claims.have_scope(scope) => Err(FailureReason::Scope),
            Some(_) | None => Ok(()),
        }
    }
}

/// Describes the fault without quoting the token.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours, and open")]
fn describe_error(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAudience => "`aud` is not the configured audience",
        ErrorKind::InvalidIssuer => "`iss` is not the configured issuer",
        ErrorKind::MissingRequiredClaim(_) => "`iss`, `aud` or `exp` is missing",
        ErrorKind::InvalidClaimFormat(_) => "a claim has the wrong type",
        ErrorKind::Json(_) => "a claim is missing or has the wrong type",
        ErrorKind::InvalidToken | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => {
            "it is not a well-formed JWT"
        }
        _ => "its signature cannot be verified with the issuer's key",
    }
}
