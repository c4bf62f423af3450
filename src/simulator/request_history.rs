//! Counters of requests and a log of the newest ones.
//!
//! Responses are not stored. Only the responses with status 429 are counted.

use std::collections::{HashMap, VecDeque};

use crate::simulator::route::SimulatedEndpoint;

/// Maximum number of requests in the log. Each further request replaces the oldest one.
const MAX_LOGGED_REQUESTS: usize = 10_000;

/// Request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// Endpoint that the method and the path select.
    pub endpoint: SimulatedEndpoint,
    /// Path, percent-encoded as received.
    pub path: String,
    /// Query, percent-encoded as received. Empty for a request without a query.
    pub query: String,
    /// Value of the header `X-Personio-App-ID`.
    pub app_id: Option<String>,
    /// Value of the header `Content-Type`.
    pub content_type: Option<String>,
    /// Body, recorded for the token endpoint only.
    pub body: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct RequestHistory {
    requests: HashMap<SimulatedEndpoint, usize>,
    throttled: usize,
    in_flight: usize,
    max_in_flight: usize,
    log: VecDeque<ReceivedRequest>,
}

impl RequestHistory {
    /// Counts and logs a request, which is in flight from now on.
    pub(super) fn record_arrival(&mut self, received: ReceivedRequest) {
        *self.requests.entry(received.endpoint).or_default() += 1;
        self.in_flight += 1;
        self.max_in_flight = self.max_in_flight.max(self.in_flight);
        if self.log.len() == MAX_LOGGED_REQUESTS {
            self.log.pop_front();
        }
        self.log.push_back(received);
    }

    pub(super) fn record_departure(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    pub(super) fn count_throttled(&mut self) {
        self.throttled += 1;
    }

    pub(super) fn requests(&self, endpoint: SimulatedEndpoint) -> usize {
        self.requests.get(&endpoint).copied().unwrap_or_default()
    }

    pub(super) fn throttled(&self) -> usize {
        self.throttled
    }

    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    pub(super) fn log(&self) -> Vec<ReceivedRequest> {
        self.log.iter().cloned().collect()
    }

    /// Resets the counters and clears the log. The requests in flight stay counted.
    pub(super) fn reset(&mut self) {
        *self =
            Self { in_flight: self.in_flight, max_in_flight: self.in_flight, ..Self::default() };
    }
}
