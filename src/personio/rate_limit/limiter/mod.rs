//! Queues of requests to Personio. A request waits here instead of receiving a 429: first in the
//! queue of its endpoint for a token of the bucket, then for a slot that all endpoints share.
//!
//! Published rate-limiter libraries fix the rate at construction. Here each response changes it.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::personio::rate_limit::bucket::{Bucket, RateLimit, SentRequest};
use crate::personio::{Endpoint, Error};

/// Minimum pause after a 429. Personio sends no `Retry-After`.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Maximum pause that a `Retry-After` can cause.
const MAX_PAUSE: Duration = Duration::from_secs(3600);
/// Maximum pause that requests wait for. During a longer pause they fail.
pub(in crate::personio) const MAX_PAUSE_WAIT: Duration = Duration::from_secs(60);

/// Plausible rates of an endpoint, in requests per second: one a minute to more than any client
/// sends.
const PLAUSIBLE_RATES: RangeInclusive<f64> = 1.0 / 60.0..=1e6;
/// Plausible bursts of an endpoint, in requests. A burst below one would allow no request.
const PLAUSIBLE_BURSTS: RangeInclusive<f64> = 1.0..=1e6;

/// Rate limiter of all endpoints, with a common limit of requests in flight.
#[derive(Debug)]
pub(in crate::personio) struct RateLimiter {
    endpoints: Mutex<HashMap<Endpoint, Arc<EndpointLimiter>>>,
    slots: Semaphore,
}

/// Queue and token bucket of one endpoint.
#[derive(Debug)]
struct EndpointLimiter {
    endpoint: Endpoint,
    /// Lock held by the first request of the queue. Tokio's mutex is fair, so the order is kept.
    queue: tokio::sync::Mutex<()>,
    /// Signal to the first request that the bucket has changed.
    changed: Notify,
    bucket: Mutex<Bucket>,
    /// True if the last response advertised an implausible limit.
    is_implausible: AtomicBool,
}

/// Permit of a request that may be sent now, and is in flight until the permit is dropped.
#[derive(Debug)]
pub(in crate::personio) struct RatePermit<'l> {
    limiter: Arc<EndpointLimiter>,
    sent: SentRequest,
    /// `None` only if the semaphore is closed, which never happens.
    _slot: Option<SemaphorePermit<'l>>,
}

impl RateLimiter {
    /// Creates a limiter that allows at most `max_concurrency` requests in flight.
    pub(in crate::personio) fn new(max_concurrency: usize) -> Self {
        Self { endpoints: Mutex::default(), slots: Semaphore::new(max_concurrency) }
    }

    /// Waits until a request may be sent. The requests of an endpoint proceed in their order.
    ///
    /// # Errors
    /// If the endpoint is paused for longer than [`MAX_PAUSE_WAIT`].
    pub(in crate::personio) async fn acquire(
        &self,
        endpoint: Endpoint,
    ) -> Result<RatePermit<'_>, Error> {
        let limiter = self.limiter(endpoint);
        let _first = limiter.queue.lock().await;
        loop {
            // A request that waits for a token must not hold a slot that others could use. The
            // token can disappear while the request waits for a slot, so it is taken last.
            limiter.wait_for_token().await?;
            let slot = self.slots.acquire().await.ok();
            let sent = limiter.bucket().take(Instant::now());
            if let Some(sent) = sent {
                return Ok(RatePermit { limiter: Arc::clone(&limiter), sent, _slot: slot });
            }
        }
    }

    /// Returns the limits that endpoints have advertised.
    pub(in crate::personio) fn advertised_limits(&self) -> Vec<(Endpoint, RateLimit)> {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut limits = Vec::new();
        for (endpoint, limiter) in &*endpoints {
            if let Some(limit) = limiter.bucket().advertised() {
                limits.push((*endpoint, limit));
            }
        }
        limits
    }

    /// Returns the endpoints whose last response advertised an implausible limit, which is not
    /// used.
    pub(in crate::personio) fn implausible_limits(&self) -> Vec<Endpoint> {
        let endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut implausible = Vec::new();
        for (endpoint, limiter) in &*endpoints {
            if limiter.is_implausible.load(Relaxed) {
                implausible.push(*endpoint);
            }
        }
        implausible
    }

    fn limiter(&self, endpoint: Endpoint) -> Arc<EndpointLimiter> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let limiter =
            endpoints.entry(endpoint).or_insert_with(|| Arc::new(EndpointLimiter::new(endpoint)));
        Arc::clone(limiter)
    }
}

impl EndpointLimiter {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            queue: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            bucket: Mutex::new(Bucket::new(endpoint, Instant::now())),
            is_implausible: AtomicBool::new(false),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a token, without taking it.
    async fn wait_for_token(&self) -> Result<(), Error> {
        loop {
            let (pause, wait) = self.pause_and_wait();
            if pause > MAX_PAUSE_WAIT {
                return Err(Error::RateLimited {
                    endpoint: self.endpoint,
                    retry_after: Some(pause),
                });
            }
            if wait.is_zero() {
                return Ok(());
            }
            // A change of the bucket ends the wait early. Either way the bucket is examined again.
            let _ = timeout(wait, self.changed.notified()).await;
        }
    }

    fn pause_and_wait(&self) -> (Duration, Duration) {
        let mut bucket = self.bucket();
        let now = Instant::now();
        (bucket.remaining_pause(now), bucket.wait(now))
    }

    /// Returns the limit that a response advertises, and logs an implausible one.
    fn plausible_limit(&self, headers: &HeaderMap) -> Option<AdvertisedRate> {
        let advertised = AdvertisedRate::from_headers(headers);
        let is_implausible = advertised == Err(ImplausibleLimit);
        let was_implausible = self.is_implausible.swap(is_implausible, Relaxed);
        if is_implausible && !was_implausible {
            let endpoint = self.endpoint.route();
            tracing::warn!(
                endpoint,
                "Personio advertises an implausible rate limit for {endpoint}; the last plausible \
                 rate stays in force"
            );
        }
        advertised.ok().flatten()
    }
}

impl RatePermit<'_> {
    /// Records a response that is neither a 429 nor a server error.
    pub(in crate::personio) fn record_success(&self, headers: &HeaderMap) {
        let advertised = self.limiter.plausible_limit(headers);
        let mut bucket = self.limiter.bucket();
        self.adopt(advertised, &mut bucket);
        bucket.increase_rate();
        drop(bucket);
        self.limiter.changed.notify_one();
    }

    /// Records a server error. Its headers advertise the limit as others do, but without them the
    /// rate is not raised: the response does not show that the server can bear more.
    pub(in crate::personio) fn record_server_error(&self, headers: &HeaderMap) {
        let Some(advertised) = self.limiter.plausible_limit(headers) else { return };
        let mut bucket = self.limiter.bucket();
        self.adopt(Some(advertised), &mut bucket);
        drop(bucket);
        self.limiter.changed.notify_one();
    }

    /// Adopts the limit that a response advertises, if there is one.
    fn adopt(&self, advertised: Option<AdvertisedRate>, bucket: &mut Bucket) {
        let Some(AdvertisedRate { limit, remaining }) = advertised else { return };
        let now = Instant::now();
        bucket.adopt_limit(limit, now);
        if let Some(remaining) = remaining {
            bucket.adopt_remaining(remaining, self.sent, now);
        }
    }

    /// Records a 429, which pauses the endpoint.
    pub(in crate::personio) fn record_rate_limited(
        &self,
        headers: &HeaderMap,
        retry_after: Option<Duration>,
    ) {
        let pause = retry_after.unwrap_or(MIN_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE);
        let advertised = self.limiter.plausible_limit(headers);
        let mut bucket = self.limiter.bucket();
        let now = Instant::now();
        if let Some(AdvertisedRate { limit, .. }) = advertised {
            bucket.adopt_limit(limit, now);
        }
        bucket.slow_down(self.sent, pause, now);
        drop(bucket);
        self.limiter.changed.notify_one();
    }
}

impl Drop for RatePermit<'_> {
    fn drop(&mut self) {
        self.limiter.bucket().complete();
    }
}

/// Rate limit in the headers of a response, converted to requests: a request can cost several
/// tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
struct AdvertisedRate {
    limit: RateLimit,
    /// Number of requests that may be sent now.
    remaining: Option<f64>,
}

/// Advertised limit that no server can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ImplausibleLimit;

impl AdvertisedRate {
    /// Reads the limit from the headers. Returns `Ok(None)` if they contain none.
    fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, ImplausibleLimit> {
        let rate = NumericHeader::read(headers, "x-ratelimit-replenish-rate");
        let burst = NumericHeader::read(headers, "x-ratelimit-burst-capacity");
        let cost = match NumericHeader::read(headers, "x-ratelimit-requested-tokens") {
            NumericHeader::Absent => 1.0,
            NumericHeader::Number(cost) if cost >= 1.0 => cost,
            NumericHeader::Number(_) | NumericHeader::Invalid => return Err(ImplausibleLimit),
        };
        let (per_second, burst) = match (rate, burst) {
            (NumericHeader::Number(rate), NumericHeader::Number(burst)) => {
                (rate / cost, burst / cost)
            }
            (NumericHeader::Invalid, _) | (_, NumericHeader::Invalid) => {
                return Err(ImplausibleLimit);
            }
            (NumericHeader::Absent, _) | (_, NumericHeader::Absent) => return Ok(None),
        };
        if !PLAUSIBLE_RATES.contains(&per_second) || !PLAUSIBLE_BURSTS.contains(&burst) {
            return Err(ImplausibleLimit);
        }
        let remaining = match NumericHeader::read(headers, "x-ratelimit-remaining") {
            NumericHeader::Number(tokens) => Some((tokens.max(0.0) / cost).floor()),
            NumericHeader::Absent | NumericHeader::Invalid => None,
        };
        Ok(Some(Self { limit: RateLimit { per_second, burst }, remaining }))
    }
}

/// Value of a header that should contain a number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum NumericHeader {
    Absent,
    Number(f64),
    /// Present, but not a finite number.
    Invalid,
}

impl NumericHeader {
    fn read(headers: &HeaderMap, name: &str) -> Self {
        let Some(value) = headers.get(name) else { return Self::Absent };
        let Ok(text) = value.to_str() else { return Self::Invalid };
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            Ok(_) | Err(_) => Self::Invalid,
        }
    }
}
