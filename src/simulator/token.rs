//! Endpoint `POST /v2/auth/token`. One credential exists, with one valid token at a time.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::simulator::random::Random;
use crate::simulator::response::{ErrorContext, SimulatedResponse, token_error_response};

const FORM: &str = "application/x-www-form-urlencoded";
/// Scopes in the token response. The simulator does not check them.
const SCOPE: &str = "personio:persons:read personio:org-units:read personio:legal-entities:read \
     personio:workplaces:read personio:cost-centers:read personio:jobs:read";

/// Current token, if there is one.
#[derive(Debug, Default)]
pub(super) struct TokenStore {
    /// Token with its time of expiry.
    current: Option<(String, Instant)>,
    /// Number of tokens created so far. It is the seed of the newest token.
    created_count: u64,
}

impl TokenStore {
    /// Returns a token with its remaining lifetime: the current one, or a new one if none is valid.
    fn current_or_new(&mut self, lifetime: Duration, now: Instant) -> (String, Duration) {
        if let Some((token, expires)) = &self.current
            && *expires > now
        {
            return (token.clone(), *expires - now);
        }
        self.created_count += 1;
        let mut random = Random::new(self.created_count);
        let token = format!("papi-{:016x}{:016x}", random.next(), random.next());
        self.current = Some((token.clone(), now + lifetime));
        (token, lifetime)
    }

    /// Reports whether the value of an `Authorization` header contains the current token.
    pub(super) fn accepts(&self, authorization: Option<&str>, now: Instant) -> bool {
        let Some((token, expires)) = &self.current else { return false };
        let bearer = authorization.and_then(|value| value.strip_prefix("Bearer "));
        *expires > now && bearer == Some(token.as_str())
    }

    pub(super) fn revoke(&mut self) {
        self.current = None;
    }
}

/// Credential that the token endpoint accepts, and the lifetime of its tokens.
#[derive(Debug, Clone)]
pub(super) struct AcceptedCredential {
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) token_lifetime: Duration,
}

/// Creates the response to a token request.
pub(super) fn respond(
    credential: &AcceptedCredential,
    tokens: &mut TokenStore,
    (content_type, body): (Option<&str>, &[u8]),
    now: Instant,
    error_context: &ErrorContext,
) -> SimulatedResponse {
    if let Err((error, description)) = check_token_request(credential, content_type, body) {
        return token_error_response(error, description, error_context);
    }
    let (token, left) = tokens.current_or_new(credential.token_lifetime, now);
    let body = json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": left.as_secs_f64().round() as u64,
        "scope": SCOPE,
        "refresh_token": null,
    });
    SimulatedResponse::json(200, &body)
}

/// Checks content type and body of a token request. The error is a code with a description.
fn check_token_request(
    credential: &AcceptedCredential,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<(), (&'static str, &'static str)> {
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case(FORM) {
        return Err(("invalid_request", "The body must be form-encoded."));
    }
    let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(("unsupported_grant_type", "Only client_credentials is supported.")),
        None => return Err(("invalid_request", "grant_type is missing.")),
    }
    let (Some(id), Some(secret)) = (form.get("client_id"), form.get("client_secret")) else {
        return Err(("invalid_request", "client_id and client_secret must be in the body."));
    };
    if *id != credential.client_id || *secret != credential.client_secret {
        return Err(("invalid_client", "Client authentication failed."));
    }
    Ok(())
}
