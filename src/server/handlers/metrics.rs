//! `/metrics`: metrics for operators, in the text format of OpenMetrics 1.0. The endpoint needs no
//! token and has no personal data: it has numbers, and labels with a fixed set of values. Each
//! metric is read when it is requested.

use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::directory::OutcomeCounter;
use crate::server::State;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Callback that registers the metrics of a part that the endpoints do not know.
pub type RegisterMetrics = Box<dyn Fn(&mut Registry) + Send + Sync>;

pub(in crate::server) async fn read(state: web::Data<State>) -> HttpResponse {
    let mut text = String::new();
    if encode(&mut text, &registry(&state)).is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::Ok().content_type(OPENMETRICS).body(text)
}

/// Returns a registry with all metrics. The registry adds `_total` to the names of counters, and a
/// full stop to each help text.
fn registry(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("personio_scim");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Version of the program", version);
    register_snapshot(state, &mut registry);
    register_guard(state, &mut registry);
    register_directory(state, &mut registry);
    register_loads(state, &mut registry);
    register_access(state, &mut registry);
    let counters = &state.webhook_counters;
    let webhooks = by_outcome([("accepted", counters.accepted()), ("refused", counters.refused())]);
    registry.register("webhook_notices", "Webhooks, by outcome", webhooks);
    state.http_metrics.register(&mut registry);
    (state.register_metrics)(&mut registry);
    registry
}

/// Registers the metrics of the snapshot that is served. Without one they are absent: 0 would mean
/// a company without employees.
fn register_snapshot(state: &State, registry: &mut Registry) {
    let Some((snapshot, age)) = state.directory.state().snapshot else { return };
    let users = snapshot.users().all().len() as u64;
    registry.register("users", "Users in the snapshot", ConstGauge::new(users));
    let groups = snapshot.groups().all().len() as u64;
    registry.register("groups", "Groups in the snapshot", ConstGauge::new(groups));
    let age = ConstGauge::new(age.as_secs_f64());
    registry.register("snapshot_age_seconds", "Age of the snapshot", age);
    let outdated = ConstGauge::new(snapshot.quality().outdated as u64);
    let help = "Users whose employments could not be read again";
    registry.register("outdated_users", help, outdated);
    let unverified = ConstGauge::new(snapshot.quality().unverified.len() as u64);
    let help = "Users who are missing from Personio's list and whose deletion is not verified";
    registry.register("unconfirmed_users", help, unverified);
}

/// Registers the validity of credentials: the tokens of clients, and the credential at Personio.
fn register_access(state: &State, registry: &mut Registry) {
    let tokens = Family::<[(&str, String); 1], Gauge>::default();
    for (client, expires) in state.authenticator.token_expirations() {
        let label = [("client", client.as_str().to_owned())];
        tokens.get_or_create(&label).set(expires.as_second());
    }
    let help = "Time from which the token of a client is not accepted, in seconds since 1970";
    registry.register("client_token_expires_timestamp_seconds", help, tokens);
    let is_refused = state.directory.login().is_some_and(|login| login.is_refused);
    let is_refused = ConstGauge::new(u64::from(is_refused));
    let help = "1 while Personio refuses the API credential";
    registry.register("credential_refused", help, is_refused);
}

/// Registers the metrics of the mass-change guard.
fn register_guard(state: &State, registry: &mut Registry) {
    let held_changes = counter(state.directory.metrics().held());
    registry.register("changes_held_back", "Changes that the guard held back", held_changes);
    let is_held = ConstGauge::new(u64::from(state.directory.held_change().is_some()));
    registry.register("change_is_held_back", "1 while a change is held back", is_held);
}

/// Registers the metrics of the directory: snapshots, state file, hits of the snapshot.
fn register_directory(state: &State, registry: &mut Registry) {
    let counters = state.directory.metrics();
    let published = counter(counters.published());
    registry.register("snapshots_published", "Snapshots that were published", published);
    let writes = by_success(&counters.state_writes);
    registry.register("state_file_writes", "Attempts to write the state file", writes);
    let hits = Family::<[(&str, &str); 2], Counter>::default();
    for (cache, counts) in
        [("snapshot", &counters.snapshot_requests), ("single", &counters.single_user_requests)]
    {
        hits.get_or_create(&[("cache", cache), ("outcome", "hit")]).inc_by(counts.hits());
        hits.get_or_create(&[("cache", cache), ("outcome", "miss")]).inc_by(counts.misses());
    }
    let help = "Requests that were served from memory, or had to wait for Personio";
    registry.register("cache_requests", help, hits);
}

/// Registers the metrics of loads.
fn register_loads(state: &State, registry: &mut Registry) {
    let loads = &state.directory.metrics().loads;
    let ended = by_success(&loads.ended);
    registry.register("loads", "Loads of the directory that have ended", ended);
    let load_seconds = loads.seconds.clone();
    registry.register("load_seconds", "Duration of loads of the directory", load_seconds);
    if let Some(seconds) = loads.last_success_seconds() {
        let help = "Time of the last successful load, in seconds since 1970";
        let time = ConstGauge::new(seconds);
        registry.register("last_load_success_timestamp_seconds", help, time);
    }
    if let Some(seconds) = loads.last_failure_seconds() {
        let help = "Time of the last failed load, in seconds since 1970";
        let time = ConstGauge::new(seconds);
        registry.register("last_load_failure_timestamp_seconds", help, time);
    }
}

fn counter(count: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(count);
    counter
}

/// Returns a counter of successes and failures.
fn by_success(counts: &OutcomeCounter) -> OutcomeCounters {
    by_outcome([("succeeded", counts.succeeded()), ("failed", counts.failed())])
}

type OutcomeCounters = Family<[(&'static str, &'static str); 1], Counter>;

/// Returns a counter with one value for each outcome.
fn by_outcome<const N: usize>(counts: [(&'static str, u64); N]) -> OutcomeCounters {
    let family = Family::default();
    for (outcome, count) in counts {
        let counter: &Counter = &family.get_or_create(&[("outcome", outcome)]);
        counter.inc_by(count);
    }
    family
}
