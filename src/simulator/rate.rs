//! Token buckets, one for each endpoint, and the rate limit headers.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::simulator::options::SimulatedRateLimit;
use crate::simulator::route::SimulatedEndpoint;

/// Token buckets of all endpoints.
#[derive(Debug)]
pub(super) struct EndpointBuckets {
    rate: Option<SimulatedRateLimit>,
    /// Number of tokens in each bucket, with the instant of the last update. A missing bucket is
    /// full.
    tokens: HashMap<SimulatedEndpoint, (f64, Instant)>,
}

/// Decision about one request, with the state of its bucket.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateLimitDecision {
    rate: SimulatedRateLimit,
    remaining: f64,
    /// Outcome: true when the bucket had a token for the request.
    pub(super) is_allowed: bool,
}

impl EndpointBuckets {
    /// Creates buckets that are all full.
    pub(super) fn new(rate: Option<SimulatedRateLimit>) -> Self {
        Self { rate, tokens: HashMap::new() }
    }

    /// Takes a token from the bucket of an endpoint if it has one. Returns `None` without a limit.
    pub(super) fn take(
        &mut self,
        endpoint: SimulatedEndpoint,
        now: Instant,
    ) -> Option<RateLimitDecision> {
        let rate = self.rate?;
        let (fill, at) = self.tokens.entry(endpoint).or_insert((rate.burst, now));
        let earned = now.saturating_duration_since(*at).as_secs_f64() * rate.per_second;
        *fill = (*fill + earned).min(rate.burst);
        *at = now;
        let passes = *fill >= 1.0;
        if passes {
            *fill -= 1.0;
        }
        Some(RateLimitDecision { rate, remaining: *fill, is_allowed: passes })
    }
}

impl RateLimitDecision {
    /// Returns the rate limit headers, which Personio sends with every response as integers.
    pub(super) fn headers(&self) -> [(&'static str, u64); 4] {
        [
            ("x-ratelimit-replenish-rate", self.rate.per_second.round().max(1.0) as u64),
            ("x-ratelimit-burst-capacity", self.rate.burst.round() as u64),
            ("x-ratelimit-requested-tokens", 1),
            ("x-ratelimit-remaining", self.remaining.max(0.0) as u64),
        ]
    }
}
