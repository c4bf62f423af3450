//! What clients ask for and how it goes, in numbers: for `/metrics`, and for whoever looks at the status
//! page. Labels are the routes of this program, statuses and the names of clients from the settings; nothing
//! in them comes from a request.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::auth::Caller;

/// Where the time that answers take is cut, in seconds.
const TIMES: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
/// What stands for a client where there is none.
static NOBODY: LazyLock<Arc<str>> = LazyLock::new(|| "none".into());

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    route: Arc<str>,
    status: u16,
    client: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    route: Arc<str>,
}

/// A request that was answered.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) route: Arc<str>,
    /// Who has sent it, whether they may or not.
    pub(super) caller: Option<Caller>,
    pub(super) status: u16,
    pub(super) rows: Option<usize>,
    pub(super) began: Instant,
    pub(super) took: Duration,
}

/// What was asked for since the start.
pub(super) struct Requests {
    answers: Family<Answer, Counter>,
    times: Family<ByRoute, Histogram, fn() -> Histogram>,
    visits: Mutex<BTreeMap<Arc<str>, Visits>>,
}

/// What one client has asked for.
#[derive(Debug, Clone)]
pub(super) struct Visits {
    /// Requests that were answered with data, or with "not modified".
    pub(super) served: u64,
    /// Requests that were refused or asked for nothing that there is.
    pub(super) refused: u64,
    /// Requests that could not be answered.
    pub(super) failed: u64,
    /// The last request: when, for which route, and what came of it.
    pub(super) last: Last,
}

/// The last request of a client.
#[derive(Debug, Clone)]
pub(super) struct Last {
    pub(super) at: Instant,
    pub(super) route: Arc<str>,
    pub(super) status: u16,
    pub(super) rows: Option<usize>,
}

impl Default for Requests {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(TIMES);
        Self { answers: Family::default(), times: Family::new_with_constructor(histogram), visits: Mutex::default() }
    }
}

impl Requests {
    /// Shows the numbers in `registry`.
    pub(super) fn register(&self, registry: &mut Registry) {
        let about = "Answers, by route, status and client";
        registry.register("http_requests", about, self.answers.clone());
        registry.register("http_request_seconds", "How long answers took, by route", self.times.clone());
    }

    /// What each client has asked for, by name.
    pub(super) fn visits(&self) -> BTreeMap<Arc<str>, Visits> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a request.
    pub(super) fn note(&self, request: Request) {
        let Request { route, caller, status, rows, began, took } = request;
        let client = caller.as_ref().map_or_else(|| Arc::clone(&NOBODY), Caller::shared_name);
        let answer = Answer { route: Arc::clone(&route), status, client: Arc::clone(&client) };
        self.answers.get_or_create(&answer).inc();
        self.times.get_or_create(&ByRoute { route: Arc::clone(&route) }).observe(took.as_secs_f64());
        // Whoever looks at the status page wants to see what others ask for.
        if caller.is_some() && &*route != crate::server::STATUS {
            self.visited(client, Last { at: began + took, route, status, rows });
        }
    }

    fn visited(&self, client: Arc<str>, last: Last) {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        let visits =
            visits.entry(client).or_insert_with(|| Visits { served: 0, refused: 0, failed: 0, last: last.clone() });
        let counter = match last.status {
            ..400 => &mut visits.served,
            status if crate::server::is_failure(status) => &mut visits.failed,
            400.. => &mut visits.refused,
        };
        *counter += 1;
        visits.last = last;
    }
}
