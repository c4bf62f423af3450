//! Token bucket of one endpoint: the known rate limit, and the tokens that are left.
//!
//! Personio documents no limits for API v2 but advertises them in every response, and the bucket
//! adopts the advertised limit. For an endpoint without one, the bucket searches for the limit as
//! TCP does: a low rate first, a higher one with each response until the first 429 (slow start),
//! then half the rate and small increases (AIMD). The bucket does not wait; `limiter` does.

use std::time::Duration;

use tokio::time::Instant;

use crate::personio::Endpoint;

/// Rate limit assumed for an endpoint that has not advertised one.
const INITIAL_LIMIT: RateLimit = RateLimit { per_second: 10.0, burst: 10.0 };
/// Rate limit assumed for the token endpoint. Personio documents 150 requests a minute for it, so
/// no search for the limit is necessary.
const TOKEN_ENDPOINT_LIMIT: RateLimit = RateLimit { per_second: 2.0, burst: 5.0 };
/// Rate, in requests per second, below which a 429 does not halve it. A lower advertised rate
/// holds.
const MIN_RATE: f64 = 0.5;
/// Increase of the rate for each response during slow start, in requests per second.
const SLOW_START_INCREASE: f64 = 4.0;
/// Increase of the rate for each response after the first 429, in requests per second.
const RECOVERY_INCREASE: f64 = 0.05;
/// Share of an advertised rate that is used. Clocks differ, and the network delays requests
/// unevenly.
const USED_SHARE: f64 = 0.97;
/// Share of an advertised rate that each response restores after a 429.
const ADVERTISED_RECOVERY_SHARE: f64 = 0.05;
/// Number of tokens of an advertised burst that stay unused, for the reason of [`USED_SHARE`].
const RESERVED_TOKENS: f64 = 1.0;

/// Rate limit of an endpoint, in requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::personio) struct RateLimit {
    pub(in crate::personio) per_second: f64,
    pub(in crate::personio) burst: f64,
}

/// State of the bucket when a request was sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::personio) struct SentRequest {
    sent_at: Instant,
    /// Number of requests that had completed before.
    completed_before: u32,
}

/// Rate at which a bucket gets tokens, in tokens per second.
#[derive(Debug)]
struct RefillRate {
    current: f64,
    /// Maximum rate; infinite while no limit is known.
    max: f64,
    /// Increase for each successful response.
    increase: f64,
}

/// Numbers of requests to an endpoint.
#[derive(Debug, Default)]
struct RequestCounts {
    /// Number of requests sent and not completed.
    in_flight: u32,
    /// Number of completed requests; wraps around.
    completed: u32,
}

/// Token bucket of one endpoint.
#[derive(Debug)]
pub(in crate::personio) struct Bucket {
    rate: RefillRate,
    /// Maximum number of tokens.
    capacity: f64,
    /// Tokens of the endpoint that stay unused.
    reserve: f64,
    /// Number of requests that may be sent now. Negative if the endpoint has fewer tokens left than
    /// were assumed.
    tokens: f64,
    refilled_at: Instant,
    paused_until: Instant,
    requests: RequestCounts,
    /// Limit advertised last.
    advertised: Option<RateLimit>,
}

impl Bucket {
    pub(in crate::personio) fn new(endpoint: Endpoint, now: Instant) -> Self {
        let (limit, max, increase) = match endpoint {
            Endpoint::Token => {
                (TOKEN_ENDPOINT_LIMIT, TOKEN_ENDPOINT_LIMIT.per_second, RECOVERY_INCREASE)
            }
            Endpoint::Persons
            | Endpoint::Person
            | Endpoint::Employments
            | Endpoint::OrgUnits
            | Endpoint::OrgUnit
            | Endpoint::LegalEntities
            | Endpoint::Workplaces
            | Endpoint::CostCenters
            | Endpoint::Jobs => (INITIAL_LIMIT, f64::INFINITY, SLOW_START_INCREASE),
        };
        Self {
            rate: RefillRate { current: limit.per_second, max, increase },
            capacity: limit.burst,
            reserve: 0.0,
            tokens: limit.burst,
            refilled_at: now,
            paused_until: now,
            requests: RequestCounts::default(),
            advertised: None,
        }
    }

    /// Returns the limit that the endpoint advertised last.
    pub(in crate::personio) fn advertised(&self) -> Option<RateLimit> {
        self.advertised
    }

    fn refill(&mut self, now: Instant) {
        let added =
            now.saturating_duration_since(self.refilled_at).as_secs_f64() * self.rate.current;
        self.tokens = (self.tokens + added).min(self.capacity);
        self.refilled_at = now;
    }

    /// Returns the time for which a 429 still blocks all requests.
    pub(in crate::personio) fn remaining_pause(&self, now: Instant) -> Duration {
        self.paused_until.saturating_duration_since(now)
    }

    /// Returns the time until a request may be sent.
    pub(in crate::personio) fn wait(&mut self, now: Instant) -> Duration {
        self.refill(now);
        let missing = (1.0 - self.tokens).max(0.0) / self.rate.current;
        let until_token = Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX);
        until_token.max(self.remaining_pause(now))
    }

    /// Takes a token for a request that is sent now. Returns `None` without a token.
    pub(in crate::personio) fn take(&mut self, now: Instant) -> Option<SentRequest> {
        if !self.wait(now).is_zero() {
            return None;
        }
        self.tokens -= 1.0;
        self.requests.in_flight += 1;
        Some(SentRequest { sent_at: now, completed_before: self.requests.completed })
    }

    /// Counts a request as completed, with or without a response.
    pub(in crate::personio) fn complete(&mut self) {
        let RequestCounts { in_flight, completed } = self.requests;
        let in_flight = in_flight.saturating_sub(1);
        self.requests = RequestCounts { in_flight, completed: completed.wrapping_add(1) };
    }

    /// Adopts an advertised limit.
    pub(in crate::personio) fn adopt_limit(&mut self, limit: RateLimit, now: Instant) {
        self.refill(now);
        self.advertised = Some(limit);
        let max = limit.per_second * USED_SHARE;
        if max != self.rate.max {
            let increase = max * ADVERTISED_RECOVERY_SHARE;
            self.rate = RefillRate { current: max, max, increase };
        }
        self.reserve = RESERVED_TOKENS.min(limit.burst - 1.0);
        self.capacity = limit.burst - self.reserve;
    }

    /// Adopts an advertised number of remaining tokens.
    ///
    /// Other programs may use the same credential, so the number can be lower than expected. It
    /// does not include requests of this program that Personio has not counted yet: at most all
    /// requests in flight, and all that have completed since this one was sent.
    pub(in crate::personio) fn adopt_remaining(
        &mut self,
        remaining: f64,
        sent: SentRequest,
        now: Instant,
    ) {
        self.refill(now);
        let others_in_flight = f64::from(self.requests.in_flight.saturating_sub(1));
        let completed_since =
            f64::from(self.requests.completed.wrapping_sub(sent.completed_before));
        let most = (remaining - self.reserve).min(self.capacity) - others_in_flight;
        self.tokens = self.tokens.max(most - completed_since).min(most);
    }

    /// Increases the rate after a successful response, but only if requests are waiting for tokens:
    /// otherwise the response does not show that a higher rate is possible.
    pub(in crate::personio) fn increase_rate(&mut self) {
        if self.tokens <= self.capacity / 2.0 {
            let RefillRate { current, max, increase } = self.rate;
            self.rate.current = (current + increase).min(max);
        }
    }

    /// Pauses the endpoint and halves the rate after a 429. Requests that were in flight together
    /// are refused together, and halve the rate once.
    pub(in crate::personio) fn slow_down(
        &mut self,
        sent: SentRequest,
        pause: Duration,
        now: Instant,
    ) {
        self.refill(now);
        self.tokens = self.tokens.min(0.0);
        if self.rate.max.is_infinite() {
            self.rate.increase = RECOVERY_INCREASE;
        }
        if sent.sent_at >= self.paused_until {
            self.rate.current = (self.rate.current / 2.0).max(MIN_RATE.min(self.rate.max));
        }
        self.paused_until = self.paused_until.max(now + pause);
    }
}
