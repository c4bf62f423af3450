//! What clients ask for and how it goes, in numbers: for `/metrics`, and for whoever looks at the status
//! page. Labels are the routes of this program, statuses and the names of clients from the settings; nothing
//! in them comes from a request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, web};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::State;
use crate::access::Caller;

/// Where the time that answers take is cut, in seconds.
const TIMES: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
/// What stands for a client where there is none.
const NOBODY: &str = "none";

type Labels = [(&'static str, Arc<str>); 3];
type Route = [(&'static str, Arc<str>); 1];

/// What was asked for since the start.
pub(super) struct Requests {
    answers: Family<Labels, Counter>,
    times: Family<Route, Histogram, fn() -> Histogram>,
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

/// Whose token came with a request.
#[derive(Debug, Clone)]
struct By(Caller);

/// How many resources an answer holds.
#[derive(Debug, Clone, Copy)]
struct Rows(usize);

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

    fn note(&self, request: &HttpRequest, status: u16, took: Duration) {
        let route: Arc<str> = route(request).into();
        let (caller, rows) = (caller(request), request.extensions().get::<Rows>().map(|rows| rows.0));
        let client: Arc<str> = caller.as_ref().map_or(NOBODY, Caller::name).into();
        let labels =
            [("route", Arc::clone(&route)), ("status", status.to_string().into()), ("client", Arc::clone(&client))];
        self.answers.get_or_create(&labels).inc();
        self.times.get_or_create(&[("route", Arc::clone(&route))]).observe(took.as_secs_f64());
        // Whoever looks at the status page wants to see what others ask for.
        if caller.is_some() && &*route != super::STATUS {
            self.visited(client, Last { at: Instant::now(), route, status, rows });
        }
    }

    fn visited(&self, client: Arc<str>, last: Last) {
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        let visits =
            visits.entry(client).or_insert_with(|| Visits { served: 0, refused: 0, failed: 0, last: last.clone() });
        let counter = match last.status {
            ..400 => &mut visits.served,
            400..500 => &mut visits.refused,
            500.. => &mut visits.failed,
        };
        *counter += 1;
        visits.last = last;
    }
}

/// Counts a request.
///
/// # Errors
/// Those of the request.
pub async fn measure(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    #[cfg(feature = "otlp")]
    let traced = super::trace::Traced::begin(request.headers());
    let response = next.call(request).await?;
    state.requests.note(response.request(), response.status().as_u16(), began.elapsed());
    #[cfg(feature = "otlp")]
    traced.end(response.request(), response.status().as_u16());
    Ok(response)
}

/// Says who has sent `request`, whether they may or not.
pub(super) fn asked_by(request: &HttpRequest, caller: Caller) {
    request.extensions_mut().insert(By(caller));
}

/// Says how many resources the answer to `request` holds, in the log as well.
pub(super) fn rows(request: &HttpRequest, rows: usize) {
    request.extensions_mut().insert(Rows(rows));
    tracing::Span::current().record("rows", rows);
}

/// Who asks, as far as that is known.
pub(super) fn caller(request: &HttpRequest) -> Option<Caller> {
    request.extensions().get::<By>().map(|by| by.0.clone())
}

/// The route as it is written in this program: it holds nothing of the request.
pub(super) fn route(request: &HttpRequest) -> String {
    request.match_pattern().filter(|route| !route.is_empty()).unwrap_or_else(|| "(no route)".to_owned())
}
