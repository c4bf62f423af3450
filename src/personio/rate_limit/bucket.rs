//! The token bucket of one endpoint: what it allows, as far as is known, and what is left of it.
//!
//! Personio documents no limits for v2 but tells them with every answer, and the bucket believes that.
//! Where nothing is told it finds the limit as TCP does: politely at first, faster with each answer
//! until the first 429, then half as fast, then faster little by little. Waiting is not done here.

use std::time::Duration;

use tokio::time::Instant;

use crate::personio::Endpoint;

/// What an endpoint is taken to allow while it has not said anything.
const POLITE: Limit = Limit { per_second: 10.0, burst: 10.0 };
/// The same for tokens: 150 a minute are documented, so there is nothing to find out.
const POLITE_TOKENS: Limit = Limit { per_second: 2.0, burst: 5.0 };
/// The pace is not halved below this, unless a lower limit was told.
const SLOWEST: f64 = 0.5;
/// What the pace gains with each answer, in requests a second, while the limit is looked for.
const SLOW_START: f64 = 4.0;
/// What it gains once a 429 has said that the limit is near.
const RECOVERY: f64 = 0.05;
/// The part of a told rate that is made use of: clocks differ, and requests are delayed unevenly.
const SHARE: f64 = 0.97;
/// The part of a told rate that is gained back with each answer, after a 429 has halved it.
const TOLD_RECOVERY: f64 = 0.05;
/// Tokens of a told burst that are left alone, where there are more: for the same reason as above.
const RESERVE: f64 = 1.0;

/// What an endpoint allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::personio) struct Limit {
    pub(in crate::personio) per_second: f64,
    pub(in crate::personio) burst: f64,
}

/// What is known of a request when it is sent.
#[derive(Debug, Clone, Copy)]
pub(in crate::personio) struct Sent {
    at: Instant,
    ended_before: u32,
}

#[derive(Debug)]
pub(in crate::personio) struct Bucket {
    /// Tokens that come back every second.
    pace: f64,
    /// The highest pace; infinite while none is known.
    ceiling: f64,
    /// What the pace gains with each answer.
    gain: f64,
    /// The most tokens there can be.
    capacity: f64,
    /// Tokens that the endpoint has and we leave alone.
    reserve: f64,
    /// Requests that may be sent now; below zero where the endpoint has less left than was thought.
    tokens: f64,
    filled: Instant,
    paused_until: Instant,
    /// Requests that were sent and have not ended.
    in_flight: u32,
    /// Requests that have ended.
    ended: u32,
    /// What the endpoint has said last.
    told: Option<Limit>,
}

impl Bucket {
    pub(in crate::personio) fn new(endpoint: Endpoint, now: Instant) -> Self {
        let (Limit { per_second, burst }, ceiling, gain) = match endpoint {
            Endpoint::Token => (POLITE_TOKENS, POLITE_TOKENS.per_second, RECOVERY),
            Endpoint::Persons
            | Endpoint::Person
            | Endpoint::Employments
            | Endpoint::OrgUnits
            | Endpoint::OrgUnit
            | Endpoint::LegalEntities
            | Endpoint::Workplaces
            | Endpoint::CostCenters => (POLITE, f64::INFINITY, SLOW_START),
        };
        Self {
            pace: per_second,
            ceiling,
            gain,
            capacity: burst,
            reserve: 0.0,
            tokens: burst,
            filled: now,
            paused_until: now,
            in_flight: 0,
            ended: 0,
            told: None,
        }
    }

    /// What the endpoint has said that it allows, if anything.
    pub(in crate::personio) fn told(&self) -> Option<Limit> {
        self.told
    }

    fn fill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * self.pace;
        self.tokens = (self.tokens + gained).min(self.capacity);
        self.filled = now;
    }

    /// For how long nothing may be sent.
    pub(in crate::personio) fn pause(&self, now: Instant) -> Duration {
        self.paused_until.saturating_duration_since(now)
    }

    /// How long it takes until a request may be sent.
    pub(in crate::personio) fn wait(&mut self, now: Instant) -> Duration {
        self.fill(now);
        let missing = (1.0 - self.tokens).max(0.0) / self.pace;
        Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX).max(self.pause(now))
    }

    /// Takes a token for a request that is sent now; `None` if there is no token.
    pub(in crate::personio) fn take(&mut self, now: Instant) -> Option<Sent> {
        if !self.wait(now).is_zero() {
            return None;
        }
        self.tokens -= 1.0;
        self.in_flight += 1;
        Some(Sent { at: now, ended_before: self.ended })
    }

    /// A request has ended, however it did.
    pub(in crate::personio) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.ended = self.ended.wrapping_add(1);
    }

    /// The endpoint tells what it allows.
    pub(in crate::personio) fn learn(&mut self, told: Limit, now: Instant) {
        self.fill(now);
        self.told = Some(told);
        let ceiling = told.per_second * SHARE;
        if ceiling != self.ceiling {
            (self.ceiling, self.pace, self.gain) = (ceiling, ceiling, ceiling * TOLD_RECOVERY);
        }
        self.reserve = RESERVE.min(told.burst - 1.0);
        self.capacity = told.burst - self.reserve;
    }

    /// The endpoint tells how many tokens are left. Others may use the same credential, so that can be
    /// less than we think. It does not count those of our requests that it has not seen yet: perhaps
    /// all that are in flight, and all that have ended since this one was sent.
    pub(in crate::personio) fn believe(&mut self, left: f64, sent: Sent, now: Instant) {
        self.fill(now);
        let others = f64::from(self.in_flight.saturating_sub(1));
        let overtakers = f64::from(self.ended.wrapping_sub(sent.ended_before));
        let most = (left - self.reserve).min(self.capacity) - others;
        self.tokens = self.tokens.max(most - overtakers).min(most);
    }

    /// An answer was good. That says something about the pace only where requests wait for it.
    pub(in crate::personio) fn speed_up(&mut self) {
        if self.tokens <= self.capacity / 2.0 {
            self.pace = (self.pace + self.gain).min(self.ceiling);
        }
    }

    /// An answer was 429: nothing is sent for a while, and then half as much. Those that were in flight
    /// together are refused together, which is one refusal.
    pub(in crate::personio) fn slow_down(&mut self, sent: Sent, pause: Duration, now: Instant) {
        self.fill(now);
        self.tokens = self.tokens.min(0.0);
        if self.ceiling.is_infinite() {
            self.gain = RECOVERY;
        }
        if sent.at >= self.paused_until {
            self.pace = (self.pace / 2.0).max(SLOWEST.min(self.ceiling));
        }
        self.paused_until = self.paused_until.max(now + pause);
    }
}
