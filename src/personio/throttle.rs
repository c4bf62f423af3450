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

use super::Endpoint;

/// Requests a second, and at once, while an endpoint has not said what it allows.
const POLITE: Limit = Limit { per_second: 10.0, burst: 10.0 };
/// A 429 carries no `Retry-After`: nothing is sent for this long then.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Limit {
    per_second: f64,
    burst: f64,
}

#[derive(Debug)]
struct Bucket {
    limit: Limit,
    /// Requests that may be sent now; below zero, requests that already wait for their turn.
    tokens: f64,
    filled: Instant,
    paused_until: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { limit: POLITE, tokens: POLITE.burst, filled: now, paused_until: now }
    }

    fn fill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + gained).min(self.limit.burst);
        self.filled = now;
    }

    /// Takes a token and tells how long to wait until it is really there.
    fn take(&mut self, now: Instant) -> Duration {
        self.fill(now);
        self.tokens -= 1.0;
        let missing = Duration::try_from_secs_f64(-self.tokens / self.limit.per_second).unwrap_or_default();
        missing.max(self.paused_until.saturating_duration_since(now))
    }
}

/// The buckets of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    buckets: Mutex<HashMap<Endpoint, Bucket>>,
}

impl Throttle {
    /// Waits until a request may be sent. Those that wait are served in turn.
    pub(super) async fn ready(&self, endpoint: Endpoint) {
        let mut wait = self.with(endpoint, Bucket::take);
        while !wait.is_zero() {
            sleep(wait).await;
            wait = self.with(endpoint, |bucket, now| bucket.paused_until.saturating_duration_since(now));
        }
    }

    /// Learns from the headers of an answer.
    pub(super) fn observe(&self, endpoint: Endpoint, headers: &HeaderMap) {
        let number = |name: &str| -> Option<f64> {
            let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
            value.is_finite().then_some(value)
        };
        let limit = match (number("x-ratelimit-replenish-rate"), number("x-ratelimit-burst-capacity")) {
            (Some(per_second), Some(burst)) if per_second > 0.0 && burst >= 1.0 => Limit { per_second, burst },
            _ => return,
        };
        let remaining = number("x-ratelimit-remaining").unwrap_or(limit.burst).clamp(0.0, limit.burst);
        self.with(endpoint, |bucket, now| {
            bucket.fill(now);
            // Others may use the same credential, so there can be less left than we think; more only
            // when the limit itself is news.
            let known = if bucket.limit == limit { bucket.tokens } else { f64::INFINITY };
            bucket.limit = limit;
            bucket.tokens = known.min(remaining);
        });
    }

    /// Stops everything to this endpoint for a while: it answered 429.
    pub(super) fn pause(&self, endpoint: Endpoint, retry_after: Option<Duration>) {
        self.with(endpoint, |bucket, now| {
            bucket.fill(now);
            bucket.tokens = bucket.tokens.min(0.0);
            bucket.paused_until = bucket.paused_until.max(now + retry_after.unwrap_or(PAUSE).max(PAUSE));
        });
    }

    fn with<R>(&self, endpoint: Endpoint, act: impl FnOnce(&mut Bucket, Instant) -> R) -> R {
        let now = Instant::now();
        let mut buckets: MutexGuard<'_, _> = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        act(buckets.entry(endpoint).or_insert_with(|| Bucket::new(now)), now)
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
            throttle.ready(Endpoint::Persons).await;
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
        throttle.ready(Endpoint::Employments).await;
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
    async fn a_429_stops_everybody_for_at_least_a_second() {
        let throttle = Throttle::default();
        throttle.pause(Endpoint::Persons, None);
        assert!((1000..=1200).contains(&spent(&throttle, 1).await));
        throttle.pause(Endpoint::Persons, Some(Duration::from_secs(7)));
        assert!((7000..=7300).contains(&spent(&throttle, 1).await));
    }
}
