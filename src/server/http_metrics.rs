//! Metrics of requests, for `/metrics` and for the status page. Their labels are routes of this
//! program, statuses, and names of clients from the settings. No label comes from a request.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::auth::ClientName;

/// Upper bounds of the buckets of response times, in seconds.
const DURATION_BUCKETS_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
/// Label of requests without a client. No client can have this name.
static NO_CLIENT: LazyLock<Arc<str>> = LazyLock::new(|| "none".into());

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    route: Arc<str>,
    status: u16,
    client: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: Arc<str>,
}

/// Request that has ended.
#[derive(Debug)]
pub(super) struct CompletedRequest {
    pub(super) route: Arc<str>,
    /// Client that has sent the request, also if it was refused.
    pub(super) client: Option<ClientName>,
    pub(super) status: u16,
    pub(super) resource_count: Option<usize>,
    pub(super) duration: Duration,
    /// End of the request, on the monotonic clock.
    pub(super) ended_at: Duration,
}

/// Counters of requests since the start.
pub(super) struct HttpMetrics {
    responses: Family<ResponseLabels, Counter>,
    durations: Family<RouteLabel, Histogram, fn() -> Histogram>,
    activity_by_client: Mutex<BTreeMap<Arc<str>, ClientActivity>>,
}

/// Requests of one client since the start.
#[derive(Debug, Clone)]
pub(super) struct ClientActivity {
    /// Number of responses below 400.
    pub(super) served: u64,
    /// Number of other responses for which the client is responsible.
    pub(super) refused: u64,
    /// Number of responses with a failure of this server.
    pub(super) failed: u64,
    pub(super) last_request: LastRequest,
}

/// Last request of a client.
#[derive(Debug, Clone)]
pub(super) struct LastRequest {
    /// End of the request, on the monotonic clock.
    pub(super) ended_at: Duration,
    pub(super) route: Arc<str>,
    pub(super) status: u16,
    pub(super) resource_count: Option<usize>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self {
            responses: Family::default(),
            durations: Family::new_with_constructor(duration_histogram),
            activity_by_client: Mutex::default(),
        }
    }
}

fn duration_histogram() -> Histogram {
    Histogram::new(DURATION_BUCKETS_SECONDS)
}

impl HttpMetrics {
    /// Registers the metrics in `registry`.
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Responses, by route, status and client";
        registry.register("http_requests", help, self.responses.clone());
        let help = "Response time, by route";
        registry.register("http_request_seconds", help, self.durations.clone());
    }

    /// Returns the activity of each client, by its name.
    pub(super) fn activity_by_client(&self) -> BTreeMap<Arc<str>, ClientActivity> {
        self.activity_by_client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a request.
    pub(super) fn count(&self, request: CompletedRequest) {
        let CompletedRequest { route, client, status, resource_count, duration, ended_at } =
            request;
        let client_label = match &client {
            Some(client) => client.shared_name(),
            None => Arc::clone(&NO_CLIENT),
        };
        let labels =
            ResponseLabels { route: Arc::clone(&route), status, client: Arc::clone(&client_label) };
        self.responses.get_or_create(&labels).inc();
        let label = RouteLabel { route: Arc::clone(&route) };
        self.durations.get_or_create(&label).observe(duration.as_secs_f64());
        // The status page shows the other requests, not those for the page itself.
        if client.is_some() && &*route != crate::server::STATUS_PATH {
            let last_request = LastRequest { ended_at, route, status, resource_count };
            self.count_for_client(client_label, last_request);
        }
    }

    fn count_for_client(&self, client: Arc<str>, last_request: LastRequest) {
        let status = last_request.status;
        let mut all = self.activity_by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let activity = all.entry(client).or_insert_with(|| ClientActivity {
            served: 0,
            refused: 0,
            failed: 0,
            last_request: last_request.clone(),
        });
        if status < 400 {
            activity.served += 1;
        } else if crate::server::is_failure(status) {
            activity.failed += 1;
        } else {
            activity.refused += 1;
        }
        activity.last_request = last_request;
    }
}
