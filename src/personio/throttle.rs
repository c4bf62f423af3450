//! A token bucket per endpoint, so that requests wait here rather than meet a 429.
//!
//! Personio documents no limits for v2, but says on every answer what they are
//! (`x-ratelimit-replenish-rate`, `-burst-capacity`, `-remaining`); the bucket believes that. Where
//! nothing is said it stays polite. Ready-made limiters fix their rate when they are made.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{Instant, sleep};

use super::{Endpoint, Error};

/// Requests a second, and at once, while an endpoint has not said what it allows.
const POLITE: Limit = Limit { per_second: 10.0, burst: 10.0 };
/// The same for tokens: 150 a minute are documented.
const POLITE_TOKENS: Limit = Limit { per_second: 2.0, burst: 5.0 };
/// No limit is taken to be lower than this, whatever is said.
const SLOWEST: f64 = 0.5;
/// What an endpoint that says nothing gains with each answer, after a 429 has halved its rate.
const RECOVERY: f64 = 0.05;
/// A 429 carries no `Retry-After`: nothing is sent for this long then.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Requests wait for a pause of this length; in a longer one they fail.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Limit {
    per_second: f64,
    burst: f64,
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    /// Whether the endpoint itself has said what it allows.
    told: bool,
    /// Requests that may be sent now; below zero, requests that already wait for their turn.
    tokens: f64,
    filled: Instant,
    paused_until: Instant,
}

impl Bucket {
    fn new(endpoint: Endpoint, now: Instant) -> Self {
        let limit = polite(endpoint);
        Self { limit, told: false, tokens: limit.burst, filled: now, paused_until: now }
    }

    fn fill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + gained).min(self.limit.burst);
        self.filled = now;
    }

    /// Grows back towards the `polite` limit, where the endpoint says nothing of its own.
    fn recover(&mut self, polite: Limit) {
        if !self.told {
            self.limit.per_second = (self.limit.per_second + RECOVERY).min(polite.per_second);
        }
    }

    /// Takes a token and tells how long to wait until it is really there.
    fn take(&mut self, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= 1.0;
        let missing = Duration::try_from_secs_f64(-self.tokens / self.limit.per_second).unwrap_or_default();
        missing.max(self.paused_until.saturating_duration_since(now))
    }
}

fn polite(endpoint: Endpoint) -> Limit {
    if endpoint == Endpoint::Token { POLITE_TOKENS } else { POLITE }
}

/// The buckets of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    buckets: Mutex<HashMap<Endpoint, Bucket>>,
}

impl Throttle {
    /// Waits until a request may be sent. Those that wait are served in turn.
    ///
    /// # Errors
    /// When the endpoint is paused for longer than it makes sense to wait.
    pub(super) async fn ready(&self, endpoint: Endpoint) -> Result<(), Error> {
        let mut pause = self.with(endpoint, |bucket, now| bucket.paused_until.saturating_duration_since(now));
        let mut wait = Duration::ZERO;
        if pause <= PATIENCE {
            wait = self.with(endpoint, Bucket::take);
        }
        loop {
            if pause > PATIENCE {
                return Err(Error::RateLimited { endpoint, retry_after: Some(pause) });
            }
            if wait.is_zero() {
                return Ok(());
            }
            sleep(wait).await;
            pause = self.with(endpoint, |bucket, now| bucket.paused_until.saturating_duration_since(now));
            wait = pause;
        }
    }

    /// Learns from the headers of an answer.
    pub(super) fn observe(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let number = |name: &str| -> Option<f64> {
            let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
            value.is_finite().then_some(value)
        };
        let limit = match (number("x-ratelimit-replenish-rate"), number("x-ratelimit-burst-capacity")) {
            (Some(per_second), Some(burst)) if per_second > 0.0 && burst >= 1.0 => {
                Limit { per_second: per_second.max(SLOWEST), burst }
            }
            _ => return self.with(endpoint, |bucket, _| bucket.recover(polite(endpoint))),
        };
        let remaining = number("x-ratelimit-remaining").map(|left| left.clamp(0.0, limit.burst));
        self.with(endpoint, |bucket, now| {
            bucket.fill(now);
            let known = bucket.tokens;
            let is_news = bucket.limit != limit;
            bucket.limit = limit;
            bucket.told = true;
            bucket.tokens = match remaining {
                // Those who wait for their turn already still do.
                Some(left) if is_news => left + known.min(0.0),
                // Others may use the same credential, so there can be less left than we think.
                Some(left) => known.min(left),
                None => known,
            };
        });
    }

    /// Stops everything to this endpoint for a while: it answered 429.
    pub(super) fn pause(&self, endpoint: Endpoint, retry_after: Option<Duration>) {
        self.with(endpoint, |bucket, now| {
            bucket.fill(now);
            bucket.tokens = bucket.tokens.min(0.0);
            if !bucket.told {
                bucket.limit.per_second = (bucket.limit.per_second / 2.0).max(SLOWEST);
            }
            let pause = retry_after.unwrap_or(PAUSE).clamp(PAUSE, LONGEST_PAUSE);
            bucket.paused_until = bucket.paused_until.max(now + pause);
        });
    }

    fn with<R>(&self, endpoint: Endpoint, act: impl FnOnce(&mut Bucket, Instant) -> R) -> R {
        let now = Instant::now();
        let mut buckets: MutexGuard<'_, _> = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        act(buckets.entry(endpoint).or_insert_with(|| Bucket::new(endpoint, now)), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rate: &str, burst: &str, remaining: &str) -> HeaderMap {
        [("replenish-rate", rate), ("burst-capacity", burst), ("remaining", remaining)]
            .into_iter()
            .map(|(name, value)| (format!("x-ratelimit-{name}").parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    /// Virtual milliseconds that `requests` take.
    async fn spent(throttle: &Throttle, requests: usize) -> u128 {
        let start = Instant::now();
        for _ in 0..requests {
            throttle.ready(Endpoint::Persons).await.unwrap();
        }
        start.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn without_headers_requests_are_polite() {
        let throttle = Throttle::default();
        assert_eq!(spent(&throttle, 10).await, 0);
        assert!((990..=1100).contains(&spent(&throttle, 10).await));
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_is_learned_and_what_others_spent_is_believed() {
        let throttle = Throttle::default();
        throttle.observe(Endpoint::Persons, &headers("30", "100", "60"));
        assert_eq!(spent(&throttle, 60).await, 0);
        assert!((990..=1100).contains(&spent(&throttle, 30).await));
        sleep(Duration::from_secs(10)).await;
        throttle.observe(Endpoint::Persons, &headers("30", "100", "3"));
        assert!((230..=300).contains(&spent(&throttle, 10).await));
        // Endpoints do not share a bucket.
        let start = Instant::now();
        throttle.ready(Endpoint::Employments).await.unwrap();
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn nonsense_in_the_headers_is_ignored() {
        let throttle = Throttle::default();
        for (rate, burst) in [("0", "100"), ("-1", "5"), ("NaN", "5"), ("inf", "5"), ("5", "0"), ("x", "y")] {
            throttle.observe(Endpoint::Persons, &headers(rate, burst, "0"));
        }
        assert_eq!(spent(&throttle, 10).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_too_long_fails_the_requests_instead_of_holding_them() {
        for seconds in [61, 86_400, u64::MAX] {
            let throttle = Throttle::default();
            throttle.pause(Endpoint::Persons, Some(Duration::from_secs(seconds)));
            let ready = throttle.ready(Endpoint::Persons).await;
            assert!(matches!(ready, Err(Error::RateLimited { retry_after: Some(_), .. })), "{ready:?}");
            sleep(LONGEST_PAUSE).await;
            assert!(throttle.ready(Endpoint::Persons).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_says_nothing_is_asked_half_as_often_after_a_429() {
        let throttle = Throttle::default();
        assert_eq!(spent(&throttle, 10).await, 0);
        throttle.pause(Endpoint::Persons, None);
        spent(&throttle, 6).await;
        assert!((1990..=2100).contains(&spent(&throttle, 10).await));
        (0..100).for_each(|_| throttle.observe(Endpoint::Persons, &HeaderMap::new()));
        let spent = spent(&throttle, 10).await;
        assert!((890..=1010).contains(&spent), "{spent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_stops_everybody_for_at_least_a_second() {
        let throttle = Throttle::default();
        throttle.pause(Endpoint::Persons, None);
        assert!((1000..=1200).contains(&spent(&throttle, 1).await));
        throttle.pause(Endpoint::Persons, Some(Duration::from_secs(7)));
        assert!((7000..=7300).contains(&spent(&throttle, 1).await));
    }
}
