//! The access token: OAuth 2.0 client credentials in the form body (RFC 6749 §4.4.2, Personio's
//! "Authentication"), kept in a cache until shortly before it ends. It is never revoked: Personio
//! gives the same token to every program that shares the credential.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;
use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, AsyncHttpClient, AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, RequestTokenError, TokenResponse, TokenUrl,
};
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::clock::Clock;
use crate::personio::error::is_html;
use crate::personio::transport::{Answer, Transport};
use crate::personio::{Endpoint, Error, Obstacle, Retry, Settings};

/// How long a token is used whose answer does not say when it ends.
const UNSAID_LIFETIME: Duration = Duration::from_secs(3600);
/// How long before its end a token is renewed, at most.
const MARGIN: Duration = Duration::from_secs(60);
/// A token that replaced a refused one is not replaced again for this long.
const JUST_NOW: Duration = Duration::from_secs(10);

type OAuth = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A token, and how long to use it.
pub(super) struct Token {
    pub(super) secret: AccessToken,
    /// For how long it is good from when it was fetched, if that was said.
    pub(super) lifetime: Option<Duration>,
    /// What it is good for, if that was said.
    pub(super) scopes: Vec<String>,
    usable: Duration,
    fetched: Instant,
    /// Whether the one before it was refused.
    is_replacement: bool,
}

/// The cached token of one credential.
pub(super) struct Tokens {
    credential: RwLock<Credential>,
    /// By the credential's number: what one has fetched is nothing to the next.
    cache: Cache<u64, Arc<Token>>,
    refused: AtomicBool,
    /// Its `since` is a moment of the clock.
    login: Mutex<Option<Login>>,
    clock: Arc<dyn Clock>,
    retry: Retry,
}

/// What Personio said last when it was asked for a token.
#[derive(Debug, Clone)]
pub struct Login {
    /// Why there was none.
    pub refusal: Option<Error>,
    /// For how long it has been saying that.
    pub since: Duration,
}

/// What tokens are fetched with.
#[derive(Clone)]
struct Credential {
    number: u64,
    oauth: Arc<OAuth>,
    secret: SecretString,
}

impl Tokens {
    pub(super) fn new(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let Settings { base_url, client_id, client_secret, retry, .. } = settings;
        let mut url = base_url.clone();
        url.set_path(&format!("{}{}", base_url.path().trim_end_matches('/'), Endpoint::Token.route()));
        let oauth = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_client_secret(ClientSecret::new(client_secret.expose_secret().to_owned()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(url));
        Self {
            credential: RwLock::new(Credential { number: 0, oauth: Arc::new(oauth), secret: client_secret.clone() }),
            cache: Cache::builder().expire_after(UntilItEnds).build(),
            refused: AtomicBool::new(false),
            login: Mutex::default(),
            clock,
            retry: *retry,
        }
    }

    /// What Personio said last, if it was asked.
    pub(super) fn login(&self) -> Option<Login> {
        let login = self.login.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(Login { since: self.clock.monotonic().saturating_sub(login.since), ..login })
    }

    fn note(&self, refusal: Option<Error>) {
        let now = self.clock.monotonic();
        let mut login = self.login.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |before: &Login| before.refusal.is_some() == refusal.is_some();
        let since = login.as_ref().filter(|before| is_same(before)).map_or(now, |before| before.since);
        *login = Some(Login { refusal, since });
    }

    /// Whether the secret is another one than before. From now on tokens are fetched with it.
    pub(super) fn adopt(&self, client_secret: &SecretString) -> bool {
        let mut credential = self.credential.write().unwrap_or_else(PoisonError::into_inner);
        if credential.secret.expose_secret() == client_secret.expose_secret() {
            return false;
        }
        let secret = ClientSecret::new(client_secret.expose_secret().to_owned());
        let oauth = Arc::new(OAuth::clone(&credential.oauth).set_client_secret(secret));
        *credential = Credential { number: credential.number + 1, oauth, secret: client_secret.clone() };
        true
    }

    fn credential(&self) -> Credential {
        self.credential.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The token, fetched if there is none: once, however many ask.
    pub(super) async fn get(&self, transport: &Transport) -> Result<Arc<Token>, Error> {
        let Credential { number, oauth, .. } = self.credential();
        let fetch = async {
            let fetched = self.retry.run(Endpoint::Token, &transport.traffic, || self.fetch(&oauth, transport)).await;
            self.note(fetched.as_ref().err().cloned());
            fetched
        };
        self.cache.try_get_with(number, fetch).await.map_err(|error| Error::clone(&error))
    }

    /// A token other than `refused`, which was answered with 401. Of many callers with the same
    /// refused token one makes the cache forget it, the others find its successor. `None` where a
    /// further token would not help: the last one has only just been renewed for the same reason, so
    /// it is the access right that is missing.
    pub(super) async fn renewed(
        &self,
        transport: &Transport,
        refused: &Arc<Token>,
    ) -> Result<Option<Arc<Token>>, Error> {
        if refused.is_replacement && refused.fetched.elapsed() < JUST_NOW {
            return Ok(None);
        }
        self.cache
            .entry(self.credential().number)
            .and_compute_with(|entry| {
                let is_refused = entry.is_some_and(|entry| Arc::ptr_eq(entry.value(), refused));
                self.refused.fetch_or(is_refused, Relaxed);
                std::future::ready(if is_refused { Op::Remove } else { Op::Nop })
            })
            .await;
        self.get(transport).await.map(Some)
    }

    async fn fetch(&self, oauth: &OAuth, transport: &Transport) -> Result<Arc<Token>, Error> {
        let unreadable = || Error::Unreadable { endpoint: Endpoint::Token, reason: "it is no token response".into() };
        let answer = oauth.exchange_client_credentials().request_async(&Adapter(transport)).await;
        let token = answer.map_err(|error| match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(response) => Error::Credential { code: plain(response.error().as_ref()) },
            // Both can quote the body, which can hold a token.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => unreadable(),
        })?;
        let lifetime = token.expires_in().unwrap_or(UNSAID_LIFETIME);
        let usable = lifetime.saturating_sub(MARGIN.min(lifetime / 10)).max(Duration::from_secs(1));
        let is_replacement = self.refused.swap(false, Relaxed);
        Ok(Arc::new(Token {
            secret: token.access_token().clone(),
            lifetime: token.expires_in(),
            scopes: token.scopes().into_iter().flatten().map(|scope| scope.to_string()).collect(),
            usable,
            fetched: Instant::now(),
            is_replacement,
        }))
    }
}

/// The error codes that RFC 6749 and Personio know. What else stands there may be anything.
const CODES: [&str; 9] = [
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

/// An error code that is fit for a log.
fn plain(code: &str) -> String {
    CODES.into_iter().find(|known| *known == code).unwrap_or("no known reason").to_owned()
}

struct UntilItEnds;

impl Expiry<u64, Arc<Token>> for UntilItEnds {
    fn expire_after_create(&self, _: &u64, token: &Arc<Token>, _: Instant) -> Option<Duration> {
        Some(token.usable)
    }

    // Without this a renewed token would inherit what was left of the old one's time.
    fn expire_after_update(&self, _: &u64, token: &Arc<Token>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(token.usable)
    }
}

/// Our transport as the HTTP client of the `oauth2` crate.
struct Adapter<'t>(&'t Transport);

impl<'c> AsyncHttpClient<'c> for Adapter<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let endpoint = Endpoint::Token;
            let request = request.try_into().map_err(|_| self.0.unreachable(endpoint, Obstacle::Url))?;
            let answer = self.0.exchange(endpoint, request).await?;
            standard(answer)
        })
    }
}

/// The answer as RFC 6749 wants it, where Personio's is known or likely to deviate: status,
/// content type, `token_type`, `expires_in` as text, and refusals in another shape.
fn standard(answer: Answer) -> Result<HttpResponse, Error> {
    let endpoint = Endpoint::Token;
    let unreadable = |reason: &str| Error::Unreadable { endpoint, reason: reason.to_owned() };
    let status = answer.status;
    if is_html(&answer.body) && status != StatusCode::NOT_FOUND {
        return Err(Error::Intercepted { endpoint, status: status.as_u16() });
    }
    let body = serde_json::from_slice::<Value>(&answer.body).ok();
    let mut response = oauth2::http::Response::new(Vec::new());
    if status.is_success() {
        let Some(Value::Object(mut members)) = body else { return Err(unreadable("it is no JSON object")) };
        members.entry("token_type").or_insert_with(|| "Bearer".into());
        if let Some(seconds) =
            members.get("expires_in").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok())
        {
            members.insert("expires_in".to_owned(), seconds.into());
        }
        *response.body_mut() = Value::Object(members).to_string().into_bytes();
    } else {
        return Err(refusal(status, &answer.body, body.as_ref()));
    }
    Ok(response)
}

/// Returns what a token request failed with. Only Personio's own refusals are about the credential.
fn refusal(status: StatusCode, text: &[u8], body: Option<&Value>) -> Error {
    let endpoint = Endpoint::Token;
    let trace_id = || crate::personio::transport::trace_id(text);
    let code = body.and_then(|body| body.get("error")).and_then(Value::as_str);
    match (status, code) {
        (StatusCode::NOT_FOUND, _) => Error::UnknownRoute { endpoint, trace_id: trace_id() },
        (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) => Error::Intercepted { endpoint, status: status.as_u16() },
        (_, Some("server_error" | "temporarily_unavailable")) => {
            Error::Server { endpoint, status: status.as_u16(), trace_id: trace_id(), retry_after: None }
        }
        (_, Some(code)) => Error::Credential { code: plain(code) },
        (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
            Error::Credential { code: format!("HTTP {}", status.as_u16()) }
        }
        (_, None) => Error::Rejected { endpoint, status: status.as_u16(), trace_id: trace_id() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<String, Error> {
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer { status, body: body.into() };
        standard(answer).map(|response| String::from_utf8(response.into_body()).unwrap())
    }

    #[test]
    fn deviating_answers_of_the_token_endpoint_are_understood() {
        let token = answer(201, r#"{"access_token":"papi-1","expires_in":"86400"}"#).unwrap();
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
            assert_eq!(answer(status, body), Err(Error::Credential { code: code.into() }), "{status} {body}");
        }
        assert!(matches!(answer(400, r#"{"error":"server_error"}"#), Err(Error::Server { .. })));
        assert!(matches!(answer(404, ""), Err(Error::UnknownRoute { .. })));
        assert!(matches!(answer(404, "<html>"), Err(Error::UnknownRoute { .. })));
        assert!(matches!(answer(200, "[]"), Err(Error::Unreadable { .. })));
    }

    #[test]
    fn an_answer_that_is_not_personios_is_never_about_the_secret() {
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
            assert_eq!(answer(status, body), Err(Error::Intercepted { endpoint, status }), "{status} {body}");
        }
        for status in [402, 405, 413, 415] {
            let rejected = Error::Rejected { endpoint, status, trace_id: None };
            assert_eq!(answer(status, ""), Err(rejected), "{status}");
        }
    }
}
