//! `/metrics`, for those who run the server, in the text format of OpenMetrics 1.0. It needs no token and
//! says nothing of anybody: numbers, and labels with a fixed set of values. Everything is read when it is
//! asked for.

use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::server::State;

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(in crate::server) async fn read(state: web::Data<State>) -> HttpResponse {
    let mut text = String::new();
    if encode(&mut text, &registry(&state)).is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::Ok().content_type(MEDIA_TYPE).body(text)
}

/// Shows the numbers of a part that the endpoints do not know.
pub type Register = Box<dyn Fn(&mut Registry) + Send + Sync>;

/// Everything that is measured. The names of counters get `_total`, and each text a full stop.
fn registry(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("personio_scim");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "What runs here", version);
    served(state, &mut registry);
    loads(state, &mut registry);
    let notices = outcomes([("accepted", state.notices.accepted()), ("refused", state.notices.refused())]);
    registry.register("webhook_notices", "Webhooks, by whether they were accepted", notices);
    state.requests.register(&mut registry);
    (state.register)(&mut registry);
    registry
}

fn served(state: &State, registry: &mut Registry) {
    let counters = state.directory.counters();
    // Nothing rather than 0: a server without data does not serve a company without people.
    if let Some((snapshot, age)) = state.directory.state().snapshot {
        let users = snapshot.users().all().len() as u64;
        registry.register("users", "Users that are served", ConstGauge::new(users));
        let age = ConstGauge::new(age.as_secs_f64());
        registry.register("snapshot_age_seconds", "Age of the data that is served", age);
        let outdated = ConstGauge::new(snapshot.outdated() as u64);
        registry.register("outdated_users", "Users whose employments could not be read again", outdated);
        let unconfirmed = ConstGauge::new(snapshot.unconfirmed().len() as u64);
        let about = "Users who are missing from Personio's list and not confirmed to be gone";
        registry.register("unconfirmed_users", about, unconfirmed);
    }
    registry.register("snapshots_published", "Snapshots that were published", counted(counters.published()));
    registry.register("changes_held_back", "Changes that were held back, each once", counted(counters.held_back()));
    let is_held = ConstGauge::new(u64::from(state.directory.held_back().is_some()));
    registry.register("change_is_held_back", "1 while a change is held back", is_held);
    let written = outcomes([("succeeded", counters.state_written()), ("failed", counters.state_failed())]);
    registry.register("state_file_writes", "Attempts to write the state file", written);
    let hits = Family::<[(&str, &str); 2], Counter>::default();
    for (cache, kept) in [("snapshot", counters.snapshot()), ("single", counters.single())] {
        hits.get_or_create(&[("cache", cache), ("outcome", "hit")]).inc_by(kept.hits());
        hits.get_or_create(&[("cache", cache), ("outcome", "miss")]).inc_by(kept.misses());
    }
    let about = "Requests that found what they wanted in memory, or had to wait for Personio";
    registry.register("cache_requests", about, hits);
}

fn loads(state: &State, registry: &mut Registry) {
    let counters = state.directory.counters();
    let loads = outcomes([("succeeded", counters.loads_succeeded()), ("failed", counters.loads_failed())]);
    registry.register("loads", "Loads of the directory that have ended", loads);
    registry.register("load_seconds", "How long loads of the directory took", counters.load_seconds().clone());
    if let Some(moment) = counters.last_success() {
        let about = "When a load last succeeded, in seconds since 1970";
        registry.register("last_load_success_timestamp_seconds", about, ConstGauge::new(moment));
    }
    if let Some(moment) = counters.last_failure() {
        let about = "When a load last failed, in seconds since 1970";
        registry.register("last_load_failure_timestamp_seconds", about, ConstGauge::new(moment));
    }
}

fn counted(count: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(count);
    counter
}

/// A counter with one value for each outcome.
fn outcomes<const N: usize>(counts: [(&'static str, u64); N]) -> Family<[(&'static str, &'static str); 1], Counter> {
    let family = Family::default();
    for (outcome, count) in counts {
        let counter: &Counter = &family.get_or_create(&[("outcome", outcome)]);
        counter.inc_by(count);
    }
    family
}
