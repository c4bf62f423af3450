//! Access token: OAuth 2.0 client credentials in the form body (RFC 6749 §4.4.2, "Authentication"
//! in Personio's documentation), cached until shortly before it expires.
//!
//! A token is never revoked, since Personio gives the same token to every program that uses the
//! credential. [`TokenProvider`] caches and renews, [`OAuthHttpClient`] connects the `oauth2` crate
//! to the transport, and [`standard_response`] corrects deviations from RFC 6749.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use oauth2::basic::{BasicClient, BasicRequestTokenError};
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, RequestTokenError, TokenResponse, TokenUrl,
};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::clock::Clock;
use crate::personio::error::is_html;
use crate::personio::transport::{UpstreamResponse, UpstreamTransport, trace_id};
use crate::personio::{ConnectionFault, Endpoint, Error, RetryPolicy, Settings};

/// Lifetime of a token whose response contains no `expires_in`.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3600);
/// Maximum time between the renewal of a token and its expiry.
const MAX_EXPIRY_MARGIN: Duration = Duration::from_secs(60);
/// Minimum time for which a token is used.
const MIN_USABLE_TIME: Duration = Duration::from_secs(1);
/// Minimum age of a token that replaced a refused one, before it is replaced too.
const MIN_REPLACEMENT_AGE: Duration = Duration::from_secs(10);

/// Maximum number of tokens in the cache. One is used; those of earlier secrets are not.
const MAX_CACHED_TOKENS: u64 = 8;

type OAuthClient =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Token with its lifetime.
pub(super) struct CachedToken {
    pub(super) secret: AccessToken,
    /// Lifetime from the time of the fetch, if the response contained it.
    pub(super) lifetime: Option<Duration>,
    /// Access rights, if the response contained them.
    pub(super) scopes: Vec<String>,
    /// Time of the response, on the monotonic clock.
    fetched_at: Duration,
    /// Time until which the token is used, on the monotonic clock.
    usable_until: Duration,
    /// True if Personio refused the token before this one.
    is_replacement: bool,
}

/// Provider of the token of one credential, with a cache.
pub(super) struct TokenProvider {
    credential: RwLock<VersionedCredential>,
    /// Token by version of the credential: a new secret does not use the token of an old one.
    cache: Cache<u64, Arc<CachedToken>>,
    /// True if Personio refused the last token, until the next one is fetched.
    was_refused: AtomicBool,
    /// Outcome of the last request, with a monotonic time of the clock in `unchanged_for`.
    state: Mutex<Option<TokenState>>,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
}

/// Outcome of the last token request.
#[derive(Debug, Clone)]
pub struct TokenState {
    /// Error of the request; `None` if it succeeded.
    pub error: Option<Error>,
    /// Time for which the outcome has been the same.
    pub unchanged_for: Duration,
}

/// Reason why a token is removed from the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RemovalReason {
    Expired,
    Refused,
}

/// Client credentials, with a version that each new secret increments.
#[derive(Clone)]
struct VersionedCredential {
    version: u64,
    oauth: Arc<OAuthClient>,
    secret: SecretString,
}

impl TokenProvider {
    pub(super) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let Settings { base_url, client_id, client_secret, retry, .. } = settings;
        let mut url = base_url.clone();
        let base_path = base_url.path().trim_end_matches('/');
        url.set_path(&format!("{base_path}{}", Endpoint::Token.route()));
        let oauth = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_client_secret(ClientSecret::new(client_secret.expose_secret().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(url));
        let credential = VersionedCredential {
            version: 0,
            oauth: Arc::new(oauth),
            secret: client_secret.clone(),
        };
        Self {
            credential: RwLock::new(credential),
            cache: Cache::new(MAX_CACHED_TOKENS),
            was_refused: AtomicBool::new(false),
            state: Mutex::default(),
            clock,
            retry: *retry,
        }
    }

    /// Returns the outcome of the last token request, if there was one.
    pub(super) fn state(&self) -> Option<TokenState> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let unchanged_for = self.clock.monotonic().saturating_sub(state.unchanged_for);
        Some(TokenState { unchanged_for, ..state })
    }

    /// Records the outcome of a token request. Its start time stays the same until success turns
    /// into failure, or the reverse.
    fn record_outcome(&self, error: Option<Error>) {
        let now = self.clock.monotonic();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed_at = match &*state {
            Some(earlier) if earlier.error.is_some() == error.is_some() => earlier.unchanged_for,
            _ => now,
        };
        *state = Some(TokenState { error, unchanged_for: changed_at });
    }

    /// Replaces the client secret for all further token requests. Reports whether the new secret
    /// differs.
    pub(super) fn replace_client_secret(&self, client_secret: &SecretString) -> bool {
        let mut credential = self.credential.write().unwrap_or_else(PoisonError::into_inner);
        if credential.secret.expose_secret() == client_secret.expose_secret() {
            return false;
        }
        let secret = ClientSecret::new(client_secret.expose_secret().to_owned());
        let oauth = Arc::new(OAuthClient::clone(&credential.oauth).set_client_secret(secret));
        let version = credential.version + 1;
        *credential = VersionedCredential { version, oauth, secret: client_secret.clone() };
        true
    }

    fn credential(&self) -> VersionedCredential {
        self.credential.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the token. Without a cached one it is fetched, once for all concurrent callers.
    pub(super) async fn token(
        &self,
        transport: &UpstreamTransport,
    ) -> Result<Arc<CachedToken>, Error> {
        let VersionedCredential { version, oauth, .. } = self.credential();
        if let Some(cached) = self.cache.get(&version).await {
            if self.clock.monotonic() < cached.usable_until {
                return Ok(cached);
            }
            self.remove(version, &cached, RemovalReason::Expired).await;
        }
        let fetched = self.cache.try_get_with(version, self.fetch(&oauth, transport)).await;
        fetched.map_err(|error| Error::clone(&error))
    }

    /// Returns a token other than `refused`, to which Personio answered 401.
    ///
    /// Of several concurrent callers with the same refused token, one removes it from the cache,
    /// and the others find its successor. Returns `None` if a new token would not help: the last
    /// one has just replaced a refused token, so the access right is missing.
    pub(super) async fn renew(
        &self,
        transport: &UpstreamTransport,
        refused: &Arc<CachedToken>,
    ) -> Result<Option<Arc<CachedToken>>, Error> {
        let age = self.clock.monotonic().saturating_sub(refused.fetched_at);
        if refused.is_replacement && age < MIN_REPLACEMENT_AGE {
            return Ok(None);
        }
        self.remove(self.credential().version, refused, RemovalReason::Refused).await;
        let token = self.token(transport).await?;
        Ok(Some(token))
    }

    /// Removes a token from the cache, unless another one has replaced it.
    async fn remove(&self, version: u64, token: &Arc<CachedToken>, reason: RemovalReason) {
        let removal = self.cache.entry(version).and_compute_with(|entry| {
            let is_cached = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), token));
            let is_refused = is_cached && reason == RemovalReason::Refused;
            self.was_refused.fetch_or(is_refused, Relaxed);
            std::future::ready(if is_cached { Op::Remove } else { Op::Nop })
        });
        removal.await;
    }

    /// Fetches a token, with retries, and records the outcome.
    async fn fetch(
        &self,
        oauth: &OAuthClient,
        transport: &UpstreamTransport,
    ) -> Result<Arc<CachedToken>, Error> {
        let metrics = &transport.metrics;
        let fetched =
            self.retry.run(Endpoint::Token, metrics, || self.request_token(oauth, transport)).await;
        self.record_outcome(fetched.as_ref().err().cloned());
        fetched
    }

    async fn request_token(
        &self,
        oauth: &OAuthClient,
        transport: &UpstreamTransport,
    ) -> Result<Arc<CachedToken>, Error> {
        let http = OAuthHttpClient(transport);
        let response = oauth.exchange_client_credentials().request_async(&http).await;
        let token = response.map_err(token_error)?;
        let lifetime = token.expires_in().unwrap_or(DEFAULT_LIFETIME);
        let margin = MAX_EXPIRY_MARGIN.min(lifetime / 10);
        let usable_time = lifetime.saturating_sub(margin).max(MIN_USABLE_TIME);
        let scopes = token.scopes().into_iter().flatten();
        let fetched_at = self.clock.monotonic();
        Ok(Arc::new(CachedToken {
            secret: token.access_token().clone(),
            lifetime: token.expires_in(),
            scopes: scopes.map(|scope| scope.to_string()).collect(),
            fetched_at,
            usable_until: fetched_at.saturating_add(usable_time),
            is_replacement: self.was_refused.swap(false, Relaxed),
        }))
    }
}

/// Converts an error of the `oauth2` crate.
fn token_error(error: BasicRequestTokenError<Error>) -> Error {
    match error {
        RequestTokenError::Request(error) => error,
        RequestTokenError::ServerResponse(response) => {
            Error::Credential { code: loggable_code(response.error().as_ref()) }
        }
        // Both texts can quote the body, which can contain a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            Error::unreadable(Endpoint::Token, "it is not a token response")
        }
    }
}

/// Error codes of RFC 6749 and of Personio. Any other code can be arbitrary text.
const KNOWN_CODES: [&str; 9] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
];

/// Returns an error code that may appear in a log line.
fn loggable_code(code: &str) -> String {
    let is_known = KNOWN_CODES.contains(&code);
    if is_known { code.to_owned() } else { "no known reason".to_owned() }
}

/// HTTP client of the `oauth2` crate that sends its requests by the transport.
struct OAuthHttpClient<'t>(&'t UpstreamTransport);

impl<'c> AsyncHttpClient<'c> for OAuthHttpClient<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let endpoint = Endpoint::Token;
            let Ok(request) = request.try_into() else {
                return Err(self.0.unreachable(endpoint, ConnectionFault::Url));
            };
            standard_response(self.0.exchange(endpoint, request).await?)
        })
    }
}

/// Converts a token response into one that conforms to RFC 6749.
///
/// Personio's response is known or likely to deviate in status, content type, `token_type`, and
/// `expires_in` (a text). A refusal in any form becomes an error.
fn standard_response(response: UpstreamResponse) -> Result<HttpResponse, Error> {
    let endpoint = Endpoint::Token;
    let UpstreamResponse { status, body } = response;
    if is_html(&body) && status != StatusCode::NOT_FOUND {
        return Err(Error::Intercepted { endpoint, status: status.as_u16() });
    }
    let json = serde_json::from_slice::<Value>(&body).ok();
    if !status.is_success() {
        return Err(refusal(status, &body, json.as_ref()));
    }
    let Some(Value::Object(mut members)) = json else {
        return Err(Error::unreadable(endpoint, "it is not a JSON object"));
    };
    members.entry("token_type").or_insert_with(|| "Bearer".into());
    if let Some(Value::String(text)) = members.get("expires_in")
        && let Ok(seconds) = text.parse::<u64>()
    {
        members.insert("expires_in".to_owned(), seconds.into());
    }
    let body = Value::Object(members).to_string().into_bytes();
    Ok(oauth2::http::Response::new(body))
}

/// Returns the error of a refused token request. Only Personio's own refusals concern the
/// credential.
fn refusal(status: StatusCode, body: &[u8], json: Option<&Value>) -> Error {
    let endpoint = Endpoint::Token;
    let code = json.and_then(|json| json.get("error")).and_then(Value::as_str);
    match (status, code) {
        (StatusCode::NOT_FOUND, _) => Error::UnknownRoute { endpoint, trace_id: trace_id(body) },
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => {
            Error::Intercepted { endpoint, status: status.as_u16() }
        }
        (_, Some("server_error" | "temporarily_unavailable")) => Error::Server {
            endpoint,
            status: status.as_u16(),
            trace_id: trace_id(body),
            retry_after: None,
        },
        (_, Some(code)) => Error::Credential { code: loggable_code(code) },
        (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
            Error::Credential { code: format!("HTTP {}", status.as_u16()) }
        }
        (_, None) => {
            Error::Rejected { endpoint, status: status.as_u16(), trace_id: trace_id(body) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standard_body(status: u16, body: &str) -> Result<String, Error> {
        let status = StatusCode::from_u16(status).unwrap();
        let response = standard_response(UpstreamResponse { status, body: body.into() })?;
        Ok(String::from_utf8(response.into_body()).unwrap())
    }

    #[test]
    fn deviating_token_responses_are_converted() {
        let token =
            standard_body(201, r#"{"access_token":"papi-1","expires_in":"86400"}"#).unwrap();
        assert_eq!(token, r#"{"access_token":"papi-1","expires_in":86400,"token_type":"Bearer"}"#);
        for (status, body, code) in [
            (400, r#"{"error":"invalid_client"}"#, "invalid_client"),
            (401, r#"{"error":"Invalid <b>"}"#, "no known reason"),
            (401, r#"{"errors":[{"title":"Unauthorized"}]}"#, "HTTP 401"),
            (401, "", "HTTP 401"),
            (403, "", "HTTP 403"),
            (403, r#"{"errors":[]}"#, "HTTP 403"),
            (422, r#"{"error":"invalid_client"}"#, "invalid_client"),
        ] {
            let expected = Error::Credential { code: code.into() };
            assert_eq!(standard_body(status, body), Err(expected), "{status} {body}");
        }
        assert!(matches!(
            standard_body(400, r#"{"error":"server_error"}"#),
            Err(Error::Server { .. })
        ));
        assert!(matches!(standard_body(404, ""), Err(Error::UnknownRoute { .. })));
        assert!(matches!(standard_body(404, "<html>"), Err(Error::UnknownRoute { .. })));
        assert!(matches!(standard_body(200, "[]"), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn response_that_is_not_from_personio_does_not_blame_the_credential() {
        let endpoint = Endpoint::Token;
        for (status, body) in [
            (200, "<html>"),
            (400, "<html>"),
            (401, " \n<!DOCTYPE html>"),
            (403, "<html>"),
            (403, "\u{feff}<html>"),
            (405, "<html>"),
            (407, ""),
            (451, "<html>"),
        ] {
            let expected = Error::Intercepted { endpoint, status };
            assert_eq!(standard_body(status, body), Err(expected), "{status} {body}");
        }
        for status in [402, 405, 413, 415] {
            let rejected = Error::Rejected { endpoint, status, trace_id: None };
            assert_eq!(standard_body(status, ""), Err(rejected), "{status}");
        }
    }
}
