//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{State, respond};
use crate::directory::{self, HeldBack, Losses, Snapshot};

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
    let held_back = state.directory.held_back();
    let directory::State { snapshot, loading, failure } = now;
    let upstream = match &failure {
        Some((reason, ago)) => part("down", format!("the last load failed {} s ago: {reason}", ago.as_secs())),
        None => match snapshot.as_ref().map(|(snapshot, _)| snapshot.outdated()) {
            Some(outdated) if outdated > FEW => part("degraded", format!("{outdated} users cannot be read in full")),
            Some(_) => part("ok", "the last load succeeded".to_owned()),
            None => part("unknown", "no load has ended yet".to_owned()),
        },
    };
    let mut directory = match (&snapshot, loading) {
        (Some((snapshot, age)), _) => served(snapshot, *age),
        (None, Some(progress)) => part("loading", progress),
        (None, None) => part("down", "there is nothing that may be served".to_owned()),
    };
    if let Some(held) = held_back {
        tell_of(held, &mut directory);
    }
    let is_well = [&upstream, &directory].iter().all(|part| part["status"] == "ok");
    let (code, status) = match (snapshot.is_some(), is_well) {
        (true, true) => (StatusCode::OK, "ok"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    let parts = json!({"personio": upstream, "directory": directory});
    // `approve` sends its signal to this process.
    respond::json(code, &json!({"status": status, "pid": std::process::id(), "parts": parts}))
}

fn served(snapshot: &Snapshot, age: Duration) -> Value {
    let users = snapshot.users().all().len();
    json!({
        "status": "ok", "detail": format!("{users} users, {} s old", age.as_secs()), "users": users,
        "ageSeconds": age.as_secs(), "leftOutWithoutEmail": snapshot.skipped().without_email,
    })
}

/// Adds whom a change that is held back would take something from.
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

fn part(status: &str, detail: String) -> Value {
    json!({"status": status, "detail": detail})
}
