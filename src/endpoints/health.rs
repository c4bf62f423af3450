//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::{State, respond};
use crate::directory::{self, Counters, HeldBack, Keeping, Losses, Snapshot};

/// So few users may be incomplete without anybody being told: one that cannot be read for a while is
/// nothing unusual.
const FEW: usize = 10;

/// The process answers. It says nothing about Personio: a restart would not mend that, and would
/// lose the data that is still served.
pub(super) async fn live() -> HttpResponse {
    respond::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// 200 once there is something to serve, and how each part is.
pub(super) async fn ready(state: web::Data<State>) -> HttpResponse {
    let mut now = state.directory.state();
    if now.snapshot.is_none() {
        // Nobody sends requests to a server that is not ready, so nobody else would start a load.
        state.directory.warm_up();
        now = state.directory.state();
    }
    let is_ready = now.snapshot.is_some();
    let upstream = upstream(&now, state.directory.counters());
    let mut directory = directory(now);
    if let Some(held) = state.directory.held_back() {
        tell_of(held, &mut directory);
    }
    let mut parts = vec![("personio", upstream), ("directory", directory)];
    parts.extend(state.directory.keeping().map(|keeping| ("state", kept(keeping))));
    let is_well = parts.iter().all(|(_, part)| part["status"] == "ok" || part["status"] == "unknown");
    let (code, status) = match (is_ready, is_well) {
        (true, true) => (StatusCode::OK, "ok"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    let parts: Map<String, Value> = parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect();
    // `approve` sends its signal to this process.
    respond::json(code, &json!({"status": status, "pid": std::process::id(), "parts": parts}))
}

/// How loads go. That there is something to serve does not mean that one has succeeded: after a restart it
/// comes from the state file.
fn upstream(now: &directory::State, counters: &Counters) -> Value {
    if let Some((reason, ago)) = &now.failure {
        return part("down", format!("the last load failed {} s ago: {reason}", ago.as_secs()));
    }
    let newest = now.snapshot.as_ref().map(|(snapshot, _)| (snapshot.outdated(), snapshot.unconfirmed().len()));
    let (outdated, unconfirmed) = newest.unwrap_or_default();
    match counters.loads_succeeded() {
        0 => part("unknown", "no load has ended yet".to_owned()),
        _ if outdated > FEW => part("degraded", format!("{outdated} users cannot be read in full")),
        _ if unconfirmed > FEW => part(
            "degraded",
            format!("{unconfirmed} users are missing from Personio's list, and it is not confirmed that they are gone"),
        ),
        _ => part("ok", "the last load succeeded".to_owned()),
    }
}

/// What is served.
fn directory(now: directory::State) -> Value {
    match (now.snapshot, now.loading) {
        (Some((snapshot, age)), _) => served(&snapshot, age),
        (None, Some(progress)) => part("loading", progress),
        (None, None) => part("down", "there is nothing that may be served".to_owned()),
    }
}

fn served(snapshot: &Snapshot, age: Duration) -> Value {
    let users = snapshot.users().all().len();
    json!({
        "status": "ok", "detail": format!("{users} users, {} s old", age.as_secs()), "users": users,
        "ageSeconds": age.as_secs(), "leftOutWithoutEmail": snapshot.skipped().without_email,
        "outdated": snapshot.outdated(), "unconfirmed": snapshot.unconfirmed().len(),
    })
}

/// Adds whom a change that is held back would take something from, also where nothing is served: it can be
/// approved.
fn tell_of(held: HeldBack, directory: &mut Value) {
    let Losses { of, users, disappeared, deactivated, renamed, without_email, without_employment } = held.losses;
    if directory["status"] == "ok" {
        directory["status"] = "degraded".into();
    }
    let detail = directory["detail"].as_str().unwrap_or_default();
    directory["detail"] = format!("{detail}; a change is held back: {}", held.losses).into();
    directory["heldBack"] = json!({
        "sinceSeconds": held.since.as_secs(), "users": users, "of": of, "disappeared": disappeared,
        "deactivated": deactivated, "renamed": renamed, "withoutEmail": without_email,
        "withoutEmployment": without_employment,
    });
}

fn kept(keeping: Keeping) -> Value {
    match keeping {
        Keeping::Unwritten => part("ok", "nothing was to be written since the start".to_owned()),
        Keeping::Written => part("ok", "the last write succeeded".to_owned()),
        Keeping::Failed(reason) => part("degraded", reason),
    }
}

fn part(status: &str, detail: String) -> Value {
    json!({"status": status, "detail": detail})
}
