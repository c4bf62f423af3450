//! What was asked so far: counts and the newest requests.
//!
//! Answers are not kept, apart from the number of 429.

use std::collections::{HashMap, VecDeque};

use crate::simulator::route::Endpoint;

/// How many requests the log keeps.
const LOG_LENGTH: usize = 10_000;

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What it was about.
    pub endpoint: Endpoint,
    /// The path, still percent-encoded.
    pub path: String,
    /// The query, still percent-encoded; empty if there was none.
    pub query: String,
    /// The header `X-Personio-App-ID`.
    pub app_id: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The body, for the token endpoint only.
    pub body: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    requests: HashMap<Endpoint, usize>,
    throttled: usize,
    in_flight: usize,
    max_in_flight: usize,
    log: VecDeque<Received>,
}

impl Record {
    /// Notes a request that has come in and is now in flight.
    pub(super) fn enter(&mut self, received: Received) {
        *self.requests.entry(received.endpoint).or_default() += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log.push_back(received);
    }

    pub(super) fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn throttle(&mut self) {
        self.throttled += 1;
    }

    pub(super) fn requests(&self, endpoint: Endpoint) -> usize {
        self.requests.get(&endpoint).copied().unwrap_or_default()
    }

    pub(super) fn throttled(&self) -> usize {
        self.throttled
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    pub(super) fn log(&self) -> Vec<Received> {
        self.log.iter().cloned().collect()
    }

    /// Forgets everything but the requests that are still in flight.
    pub(super) fn reset(&mut self) {
        *self = Self { in_flight: self.in_flight, max_in_flight: self.in_flight, ..Self::default() };
    }
}
