//! What was asked of Personio since the start, in numbers: by route and by what came of it. Nothing in them
//! is of a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::personio::{Endpoint, Error};

/// Where the time that requests wait for their turn is cut.
const WAITS: [f64; 7] = [0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0];

/// What was asked of Personio since the start. A clone counts into the same numbers.
#[derive(Debug, Clone)]
pub struct Traffic {
    requests: Family<[(&'static str, &'static str); 2], Counter>,
    waits: Histogram,
    retries: Family<[(&'static str, &'static str); 1], Counter>,
    all: Arc<AtomicU64>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            waits: Histogram::new(WAITS),
            retries: Family::default(),
            all: Arc::default(),
        }
    }
}

impl Traffic {
    /// Shows the numbers in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let about = "Requests to Personio, by route and by what came of them";
        registry.register("upstream_requests", about, self.requests.clone());
        let about = "How long requests to Personio waited for their turn";
        registry.register("upstream_wait_seconds", about, self.waits.clone());
        let about = "Requests to Personio that were sent once more because they had failed";
        registry.register("upstream_retries", about, self.retries.clone());
    }

    /// How many requests were sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.all.load(Relaxed)
    }

    pub(super) fn waited(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    pub(super) fn answered(&self, endpoint: Endpoint, status: u16) {
        self.ended(endpoint, word(status));
    }

    /// A request has ended without an answer.
    pub(super) fn failed(&self, endpoint: Endpoint) {
        self.ended(endpoint, "no answer");
    }

    pub(super) fn retried(&self, error: &Error) {
        self.retries.get_or_create(&[("endpoint", error.endpoint().route())]).inc();
    }

    fn ended(&self, endpoint: Endpoint, status: &'static str) {
        self.all.fetch_add(1, Relaxed);
        self.requests.get_or_create(&[("endpoint", endpoint.route()), ("status", status)]).inc();
    }
}

/// The status as a label. Whatever answers, there are only so many.
fn word(status: u16) -> &'static str {
    const KNOWN: [(u16, &str); 11] = [
        (200, "200"),
        (400, "400"),
        (401, "401"),
        (403, "403"),
        (404, "404"),
        (422, "422"),
        (429, "429"),
        (500, "500"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
    ];
    let known = KNOWN.into_iter().find(|(known, _)| *known == status);
    known.map_or_else(|| class(status), |(_, word)| word)
}

fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}
