//! `/metrics`, for those who run the server, in the text format of OpenMetrics 1.0. It needs no token and
//! says nothing of anybody: numbers, and labels with a fixed set of values. Everything is read when it is
//! asked for.

use actix_web::{HttpResponse, web};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::State;

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn read(state: web::Data<State>) -> HttpResponse {
    let mut text = String::new();
    if encode(&mut text, &registry(&state)).is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    HttpResponse::Ok().content_type(MEDIA_TYPE).body(text)
}

/// Everything that is measured. The names of counters get `_total`, and each text a full stop.
fn registry(state: &State) -> Registry {
    let mut registry = Registry::with_prefix("personio_scim");
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
    let counters = state.directory.counters();
    let loads = outcomes([("succeeded", counters.loads_succeeded()), ("failed", counters.loads_failed())]);
    registry.register("loads", "Loads of the directory that have ended", loads);
    let held: Counter = Counter::default();
    held.inc_by(counters.held_back());
    registry.register("changes_held_back", "Changes that were held back, each once", held);
    let is_held = ConstGauge::new(u64::from(state.directory.held_back().is_some()));
    registry.register("change_is_held_back", "1 while a change is held back", is_held);
    let written = outcomes([("succeeded", counters.state_written()), ("failed", counters.state_failed())]);
    registry.register("state_file_writes", "Attempts to write the state file", written);
    let notices = outcomes([("accepted", state.notices.accepted()), ("refused", state.notices.refused())]);
    registry.register("webhook_notices", "Webhooks, by whether they were accepted", notices);
    registry
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
