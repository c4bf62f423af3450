//! Signed tokens of others: JSON Web Tokens (RFC 7519, RFC 8725). Only asymmetric signatures are accepted, by keys
//! from the configured place; what a token itself says of keys is ignored.

use std::sync::Arc;

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use url::Url;

use crate::auth::jwks::{Keys, Wanted};
use crate::auth::{Caller, Inner, Networks, Refusal};

/// How far the issuer's clock may be from ours, in seconds.
const LEEWAY: f64 = 60.0;

/// Somebody whose tokens are accepted.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What whoever presents such a token is called: who exactly it is says only the token, and that is no one's
    /// business here.
    pub caller: Caller,
    /// What must be in `iss`.
    pub issuer: String,
    /// What must be in `aud`.
    pub audience: String,
    /// Where the keys are.
    pub jwks_url: Url,
    /// What must be in `scope` or `scp`.
    pub scope: Option<String>,
    /// What tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// From where alone tokens are accepted.
    pub networks: Option<Networks>,
}

/// How a token is signed (RFC 7518 §3.1, RFC 8037 §3.1). There is none with a key that both sides know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA, P-256, SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    fn signature(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Who says to have issued a token: until the signature has been checked, a claim of anybody's.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    nbf: Option<f64>,
    scope: Option<Scopes>,
    scp: Option<Scopes>,
    roles: Option<Scopes>,
}

/// One text with blanks in between (RFC 8693 §4.2), or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scopes {
    Text(String),
    List(Vec<String>),
}

impl Scopes {
    fn contain(&self, wanted: &str) -> bool {
        match self {
            Self::Text(text) => text.split(' ').any(|scope| scope == wanted),
            Self::List(list) => list.iter().any(|scope| scope == wanted),
        }
    }
}

/// What a key says of a token.
enum Signed {
    /// It is not signed with this key.
    Otherwise,
    /// It is, and is not for us.
    Elsewhere,
    /// It is, and says this.
    Well(Claims),
}

impl Issuer {
    /// Whether it is worth the trouble to check.
    pub(super) fn may_have_issued(&self, token: &str) -> bool {
        token.split('.').count() == 3
            && insecure_decode_claims::<Claimed>(token).is_ok_and(|claimed| claimed.iss == self.issuer)
    }

    /// Whether the token is good. One that is [`Refusal::Unknown`] has not been issued by them for us.
    pub(super) async fn check(&self, token: &str, keys: &Arc<Keys>, access: &Inner) -> Result<(), Refusal> {
        let header = decode_header(token).map_err(|_| Refusal::Unknown)?;
        let allowed = |algorithm: &&Algorithm| algorithm.signature() == header.alg;
        // Whoever does not understand what is critical must refuse (RFC 7515 §4.1.11), and nothing is understood.
        let (Some(algorithm), None) = (self.algorithms.iter().find(allowed), &header.crit) else {
            return Err(Refusal::Unknown);
        };
        let wanted = Wanted { id: header.kid.as_deref(), algorithm: *algorithm };
        for key in keys.find(wanted, access).await? {
            if let Some(verdict) = self.verdict(token, *algorithm, &key, access) {
                return verdict;
            }
        }
        // The key may have been replaced by another one of the same id, or of none.
        keys.fetch(wanted.id, access).await;
        let keys = keys.find(wanted, access).await?;
        keys.iter().find_map(|key| self.verdict(token, *algorithm, key, access)).unwrap_or(Err(Refusal::Unknown))
    }

    fn verdict(
        &self,
        token: &str,
        algorithm: Algorithm,
        key: &DecodingKey,
        access: &Inner,
    ) -> Option<Result<(), Refusal>> {
        match self.signed(token, algorithm, key) {
            Signed::Otherwise => None,
            Signed::Elsewhere => Some(Err(Refusal::Unknown)),
            Signed::Well(claims) => Some(self.judge(&claims, access.clock.now())),
        }
    }

    fn signed(&self, token: &str, algorithm: Algorithm, key: &DecodingKey) -> Signed {
        let mut validation = Validation::new(algorithm.signature());
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        // The crate would ask the machine's clock.
        validation.validate_exp = false;
        match decode::<Claims>(token, key, &validation) {
            Ok(token) => Signed::Well(token.claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => Signed::Otherwise,
            Err(error) => {
                tracing::info!(issuer = %self.caller, "a signed token is not accepted: {}", fault(error.kind()));
                Signed::Elsewhere
            }
        }
    }

    fn judge(&self, claims: &Claims, now: Timestamp) -> Result<(), Refusal> {
        let now = now.as_second() as f64;
        if now >= claims.exp + LEEWAY {
            return Err(Refusal::Expired);
        }
        if claims.nbf.is_some_and(|nbf| now < nbf - LEEWAY) {
            return Err(Refusal::Early);
        }
        let has = |wanted: &String| {
            [&claims.scope, &claims.scp, &claims.roles].into_iter().flatten().any(|all| all.contain(wanted))
        };
        if self.scope.as_ref().is_none_or(has) { Ok(()) } else { Err(Refusal::Scope) }
    }
}

/// What is wrong, without a word of the token.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours, and open")]
fn fault(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::MissingRequiredClaim(_) => "it lacks iss, aud or exp",
        ErrorKind::Json(_) => "its claims cannot be read",
        _ => "it is malformed",
    }
}
