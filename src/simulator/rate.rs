//! The token buckets, one per endpoint, and the headers that tell about them.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::simulator::options::Rate;
use crate::simulator::route::Endpoint;

#[derive(Debug)]
pub(super) struct Buckets {
    rate: Option<Rate>,
    fill: HashMap<Endpoint, (f64, Instant)>,
}

/// What the bucket said about one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    rate: Rate,
    remaining: f64,
    /// Whether the request may pass.
    pub(super) passes: bool,
}

impl Buckets {
    /// All buckets full.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { rate, fill: HashMap::new() }
    }

    /// Takes one token, if there is one; `None` without a limit.
    pub(super) fn take(&mut self, endpoint: Endpoint, now: Instant) -> Option<Verdict> {
        let rate = self.rate?;
        let (fill, at) = self.fill.entry(endpoint).or_insert((rate.burst, now));
        let earned = now.saturating_duration_since(*at).as_secs_f64() * rate.per_second;
        *fill = (*fill + earned).min(rate.burst);
        *at = now;
        let passes = *fill >= 1.0;
        if passes {
            *fill -= 1.0;
        }
        Some(Verdict { rate, remaining: *fill, passes })
    }
}

impl Verdict {
    /// The headers Personio sends on every answer, all whole numbers.
    pub(super) fn headers(&self) -> [(&'static str, u64); 4] {
        [
            ("x-ratelimit-replenish-rate", self.rate.per_second.round().max(1.0) as u64),
            ("x-ratelimit-burst-capacity", self.rate.burst.round() as u64),
            ("x-ratelimit-requested-tokens", 1),
            ("x-ratelimit-remaining", self.remaining.max(0.0) as u64),
        ]
    }
}
