//! Cache of an issuer's public keys (RFC 7517).
//!
//! The keys are fetched when a token first needs them, when they are an hour old, and when a token
//! names a key that is not among them. The number of fetches is limited, whatever tokens clients
//! send. A token whose key cannot be looked up at the moment is refused with a time to retry, and
//! not as invalid. While the issuer does not answer, cached keys stay usable for a day.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations,
    PublicKeyUse,
};
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::auth::{Algorithm, AuthenticatorInner, FailureReason};
use crate::clock::Clock;
use crate::http_client;
use crate::http_client::Reach;

/// Age at which keys are fetched again before they are used, because the issuer may have withdrawn
/// one.
const REFRESH_AGE: Duration = Duration::from_secs(3600);
/// Age up to which keys are used when they cannot be fetched again.
const MAX_KEY_AGE: Duration = Duration::from_secs(24 * 3600);
/// Time in which one more fetch becomes available. Also the minimum time between two fetches for
/// the same key id, and the minimum time after a failed fetch.
const FETCH_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum number of fetches that may follow each other sooner than that. With only one, a token
/// with a key id that does not exist could use up the fetch that a new key needs.
const MAX_FETCH_BURST: u32 = 4;
/// Time limit for the issuer's response. Requests wait for it.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of a response that is read, in bytes.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Maximum number of keys of an issuer that are cached.
const MAX_KEYS: usize = 100;

/// HTTP client for one issuer.
pub(super) struct JwksClient(reqwest::Client);

/// Key that a token names in its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeySelector<'a> {
    /// Key id. Without one, every key with the algorithm may be the key.
    pub(super) id: Option<&'a str>,
    pub(super) algorithm: Algorithm,
    /// Number of fetches that had ended when the request arrived. Keys that were fetched since then
    /// are not fetched again for this request.
    pub(super) seen_fetch_count: u64,
}

/// Cached keys of one issuer.
pub(super) struct JwksCache {
    url: Url,
    client: JwksClient,
    clock: Arc<dyn Clock>,
    cached: ArcSwapOption<CachedKeys>,
    /// Lock that is held while the keys are fetched.
    fetches: Mutex<FetchState>,
    /// Number of fetches that have ended.
    fetch_count: AtomicU64,
}

/// State of the fetch limits. All times are on the monotonic clock.
struct FetchState {
    /// Outcome of the last fetch.
    last: FetchOutcome,
    /// Number of fetches that may begin now.
    allowance: u32,
    /// Time up to which `allowance` has been refilled.
    refilled: Duration,
    /// Time of the last fetch for each key id. Older entries than [`FETCH_INTERVAL`] are removed,
    /// so the number of entries is at most the number of fetches in that time.
    by_id: HashMap<Option<Box<str>>, Duration>,
}

/// Outcome of an attempt to fetch the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchOutcome {
    /// The cache holds the keys that the issuer publishes now.
    UpToDate,
    /// No fetch was allowed. One is allowed after this time.
    NotBefore(Duration),
    /// The fetch failed. The next one is allowed after this time.
    Failed(Duration),
}

struct CachedKeys {
    keys: Vec<VerificationKey>,
    /// Time of the fetch, on the monotonic clock.
    fetched_at: Duration,
}

struct VerificationKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwksClient {
    /// Creates a client for requests to this URL. It does not follow redirects.
    pub(super) fn for_url(url: &Url) -> Result<Self, reqwest::Error> {
        http_client::builder(Reach::of_url(url), FETCH_TIMEOUT).build().map(Self)
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, &'static str> {
        let mut response = self.0.get(url.clone()).send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err("it returned another status than 200");
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err("its response is too large");
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn unreachable(error: reqwest::Error) -> &'static str {
    if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" }
}

impl JwksCache {
    /// Creates an empty cache.
    pub(super) fn new(url: Url, client: JwksClient, clock: Arc<dyn Clock>) -> Self {
        Self {
            url,
            client,
            clock,
            cached: ArcSwapOption::empty(),
            fetches: Mutex::default(),
            fetch_count: AtomicU64::new(0),
        }
    }

    /// Returns the keys that a token may have been signed with: at least one.
    pub(super) async fn find_keys(
        self: &Arc<Self>,
        selector: KeySelector<'_>,
        authenticator: &AuthenticatorInner,
    ) -> Result<Vec<DecodingKey>, FailureReason> {
        if let Some(keys) = self.cached_keys(selector, REFRESH_AGE) {
            return Ok(keys);
        }
        let fetched = self.fetch(selector, authenticator).await;
        if let Some(keys) = self.cached_keys(selector, MAX_KEY_AGE) {
            return Ok(keys);
        }
        match fetched {
            FetchOutcome::UpToDate => Err(FailureReason::Unknown),
            // A client takes a 401 for a lost credential. The server returns it only when it is
            // certain that the key does not exist.
            FetchOutcome::NotBefore(at) => Err(FailureReason::KeyNotCached(self.time_until(at))),
            FetchOutcome::Failed(at) => Err(FailureReason::IssuerUnavailable(self.time_until(at))),
        }
    }

    /// Returns the number of fetches that have ended.
    pub(super) fn fetch_count(&self) -> u64 {
        self.fetch_count.load(Relaxed)
    }

    /// Fetches the keys because of a key id, unless the limits forbid it.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        selector: KeySelector<'_>,
        authenticator: &AuthenticatorInner,
    ) -> FetchOutcome {
        let cache = Arc::clone(self);
        let id = selector.id.map(Box::from);
        let seen_fetch_count = selector.seen_fetch_count;
        // A connection belongs to the runtime that opened it.
        let fetched = authenticator
            .runtime
            .spawn(async move { cache.fetch_once(id, seen_fetch_count).await });
        fetched.await.unwrap_or_else(|_| FetchOutcome::Failed(self.clock.monotonic()))
    }

    /// Returns the time from now to a time on the monotonic clock, at least a second.
    pub(super) fn time_until(&self, at: Duration) -> Duration {
        at.saturating_sub(self.clock.monotonic()).max(Duration::from_secs(1))
    }

    /// Fetches the keys, unless another task has fetched them since `seen_fetch_count` fetches had
    /// ended.
    async fn fetch_once(&self, id: Option<Box<str>>, seen_fetch_count: u64) -> FetchOutcome {
        let mut fetches = self.fetches.lock().await;
        if self.fetch_count.load(Relaxed) > seen_fetch_count {
            return fetches.last;
        }
        let now = self.clock.monotonic();
        if let Some(outcome) = fetches.begin_fetch(id, now) {
            return outcome;
        }
        match self.client.get(&self.url).await.and_then(|body| parse_jwk_set(&body)) {
            Ok(keys) => {
                self.cached.store(Some(Arc::new(CachedKeys { keys, fetched_at: now })));
                fetches.last = FetchOutcome::UpToDate;
            }
            Err(reason) => {
                let host = self.url.host_str().unwrap_or_default();
                tracing::warn!(
                    "the keys of the issuer at {host} (jwks_url) cannot be read: {reason}"
                );
                fetches.last = FetchOutcome::Failed(now + FETCH_INTERVAL);
            }
        }
        self.fetch_count.fetch_add(1, Relaxed);
        fetches.last
    }

    /// Returns the cached keys that match, if there are any and they are not older than `age`.
    fn cached_keys(&self, selector: KeySelector<'_>, age: Duration) -> Option<Vec<DecodingKey>> {
        let cached = self.cached.load();
        let cached = cached.as_ref()?;
        if self.clock.monotonic().saturating_sub(cached.fetched_at) > age {
            return None;
        }
        let mut keys = Vec::new();
        for key in &cached.keys {
            if key.matches(selector) {
                keys.push(key.key.clone());
            }
        }
        if keys.is_empty() { None } else { Some(keys) }
    }
}

impl VerificationKey {
    fn matches(&self, selector: KeySelector<'_>) -> bool {
        let has_id = selector.id.is_none() || self.id.as_deref() == selector.id;
        self.algorithm == selector.algorithm && has_id
    }
}

impl Default for FetchState {
    fn default() -> Self {
        Self {
            last: FetchOutcome::UpToDate,
            allowance: MAX_FETCH_BURST,
            refilled: Duration::ZERO,
            by_id: HashMap::new(),
        }
    }
}

impl FetchState {
    /// Counts a fetch for a key id. Returns the reason if no fetch is allowed now.
    fn begin_fetch(&mut self, id: Option<Box<str>>, now: Duration) -> Option<FetchOutcome> {
        if let FetchOutcome::Failed(retry_at) = self.last
            && now < retry_at
        {
            return Some(self.last);
        }
        self.by_id.retain(|_, at| now.saturating_sub(*at) < FETCH_INTERVAL);
        if let Some(at) = self.by_id.get(&id) {
            return Some(FetchOutcome::NotBefore(*at + FETCH_INTERVAL));
        }
        while self.allowance < MAX_FETCH_BURST && self.refilled + FETCH_INTERVAL <= now {
            self.allowance += 1;
            self.refilled += FETCH_INTERVAL;
        }
        if self.allowance == MAX_FETCH_BURST {
            self.refilled = now;
        }
        let Some(left) = self.allowance.checked_sub(1) else {
            return Some(FetchOutcome::NotBefore(self.refilled + FETCH_INTERVAL));
        };
        self.allowance = left;
        self.by_id.insert(id, now);
        None
    }
}

/// Parses a JWK Set and returns its keys of the supported types.
fn parse_jwk_set(body: &[u8]) -> Result<Vec<VerificationKey>, &'static str> {
    /// JWK Set whose keys are not parsed yet. A key of an unknown type must not make the others
    /// unusable (RFC 7517 §5).
    #[derive(Deserialize)]
    struct JwkSet {
        keys: Vec<serde_json::Value>,
    }
    let Ok(document) = serde_json::from_slice::<JwkSet>(body) else {
        return Err("its response is not a JWK Set");
    };
    let mut keys = Vec::new();
    for value in document.keys {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
        keys.extend(parse_jwk(&jwk));
        if keys.len() == MAX_KEYS {
            break;
        }
    }
    if keys.is_empty() {
        return Err("its response contains no key for RS256, ES256 or EdDSA");
    }
    Ok(keys)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not ours, and open")]
fn parse_jwk(jwk: &Jwk) -> Option<VerificationKey> {
    let (algorithm, key_algorithm) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::Rs256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            (Algorithm::Es256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDsa, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    if !is_for_signatures(&jwk.common, key_algorithm) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Some(VerificationKey { id: jwk.common.key_id.clone(), algorithm, key })
}

/// Reports whether a key may be used to verify signatures with `algorithm`. A member that is
/// missing permits it (RFC 7517 §4.2 to §4.4).
fn is_for_signatures(key: &CommonParameters, algorithm: KeyAlgorithm) -> bool {
    if key.key_algorithm.is_some_and(|permitted| permitted != algorithm) {
        return false;
    }
    if key.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return false;
    }
    match &key.key_operations {
        Some(operations) => operations.contains(&KeyOperations::Verify),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_key_ids_are_remembered_no_more_often_than_keys_are_fetched() {
        let mut fetches = FetchState::default();
        let mut count = 0;
        let mut most = 0;
        let mut now = Duration::from_secs(1000);
        // A thousand a second.
        for number in 0..100_000_u32 {
            if fetches.begin_fetch(Some(number.to_string().into()), now).is_none() {
                count += 1;
            }
            most = most.max(fetches.by_id.len());
            now += Duration::from_millis(1);
        }
        assert_eq!(count, MAX_FETCH_BURST + 100 / 30);
        assert!(most <= MAX_FETCH_BURST as usize + 1, "{most}");
    }
}
