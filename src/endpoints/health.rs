//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{State, respond};
use crate::directory::{self, HeldBack, Losses};

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
        None if snapshot.is_some() => part("ok", "the last load succeeded".to_owned()),
        None => part("unknown", "no load has ended yet".to_owned()),
    };
    let directory = match (&snapshot, loading) {
        (Some((snapshot, age)), _) => {
            let users = snapshot.users().all().len();
            let state = if held_back.is_some() { "degraded" } else { "ok" };
            let held = held_back.map(|held| format!("; a change is held back: {}", held.losses)).unwrap_or_default();
            let mut directory = part(state, format!("{users} users, {} s old{held}", age.as_secs()));
            if let Value::Object(members) = &mut directory {
                members.extend(held_back.map(|held| ("heldBack".to_owned(), numbers(held))));
                members.insert("users".to_owned(), users.into());
                members.insert("ageSeconds".to_owned(), age.as_secs().into());
                members.insert("leftOutWithoutEmail".to_owned(), snapshot.skipped().without_email.into());
            }
            directory
        }
        (None, Some(progress)) => part("loading", progress),
        (None, None) => part("down", "there is nothing that may be served".to_owned()),
    };
    let (code, status) = match (snapshot.is_some(), failure.is_some()) {
        (true, false) if held_back.is_none() => (StatusCode::OK, "ok"),
        (true, _) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    let parts = json!({"personio": upstream, "directory": directory});
    // `approve` sends its signal to this process.
    respond::json(code, &json!({"status": status, "pid": std::process::id(), "parts": parts}))
}

/// Whom the change that is held back would take something from.
fn numbers(held: HeldBack) -> Value {
    let Losses { of, users, disappeared, deactivated, renamed, without_email, without_employment } = held.losses;
    json!({
        "sinceSeconds": held.since.as_secs(), "users": users, "of": of, "disappeared": disappeared,
        "deactivated": deactivated, "renamed": renamed, "withoutEmail": without_email,
        "withoutEmployment": without_employment,
    })
}

fn part(status: &str, detail: String) -> Value {
    json!({"status": status, "detail": detail})
}
