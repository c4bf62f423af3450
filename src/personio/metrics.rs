//! Metrics of requests to Personio since the start, by route and by outcome. They contain no data
//! of persons.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::personio::{Endpoint, Error};

/// Upper bounds of the histogram of waiting times, in seconds.
const WAIT_BUCKETS_SECONDS: [f64; 7] = [0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0];

/// Metrics of requests to Personio. All clones share their counters.
#[derive(Debug, Clone)]
pub struct UpstreamMetrics {
    requests: Family<[(&'static str, &'static str); 2], Counter>,
    waits: Histogram,
    retries: Family<[(&'static str, &'static str); 1], Counter>,
    total: Arc<AtomicU64>,
}

impl Default for UpstreamMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            waits: Histogram::new(WAIT_BUCKETS_SECONDS),
            retries: Family::default(),
            total: Arc::default(),
        }
    }
}

impl UpstreamMetrics {
    /// Registers the metrics in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to Personio, by route and status";
        registry.register("upstream_requests", help, self.requests.clone());
        let help = "Time that requests to Personio waited for the rate limiter";
        registry.register("upstream_wait_seconds", help, self.waits.clone());
        let help = "Requests to Personio that were sent again after a failure";
        registry.register("upstream_retries", help, self.retries.clone());
    }

    /// Returns the number of requests sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.total.load(Relaxed)
    }

    pub(super) fn record_wait(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }

    pub(super) fn record_response(&self, endpoint: Endpoint, status: u16) {
        self.record_request(endpoint, status_label(status));
    }

    /// Counts a request without a response.
    pub(super) fn record_no_response(&self, endpoint: Endpoint) {
        self.record_request(endpoint, "no answer");
    }

    pub(super) fn record_retry(&self, error: &Error) {
        self.retries.get_or_create(&[("endpoint", error.endpoint().route())]).inc();
    }

    fn record_request(&self, endpoint: Endpoint, status: &'static str) {
        self.total.fetch_add(1, Relaxed);
        self.requests.get_or_create(&[("endpoint", endpoint.route()), ("status", status)]).inc();
    }
}

/// Returns the label of a status. The number of labels is limited, whatever the upstream sends.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        422 => "422",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => status_class(status),
    }
}

fn status_class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}
