//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{State, respond};
use crate::directory::{self, Counters, HeldBack, Keeping, Losses, SourceError};

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
    let (held_back, keeping) = (state.directory.held_back(), state.directory.keeping());
    let is_failing = matches!(keeping, Some(Keeping::Failed(_)));
    let (code, status) = match (now.snapshot.is_some(), now.failure.is_some()) {
        (true, false) if held_back.is_none() && !is_failing => (StatusCode::OK, "ok"),
        (true, _) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    let mut parts =
        json!({"personio": upstream(&now.failure, state.directory.counters()), "directory": directory(now, held_back)});
    if let Value::Object(parts) = &mut parts {
        parts.extend(keeping.map(|keeping| ("state".to_owned(), kept(keeping))));
    }
    // `approve` sends its signal to this process.
    respond::json(code, &json!({"status": status, "pid": std::process::id(), "parts": parts}))
}

/// How loads go. That there is something to serve does not mean that one has succeeded: after a restart it
/// comes from the state file.
fn upstream(failure: &Option<(SourceError, Duration)>, counters: &Counters) -> Value {
    match failure {
        Some((reason, ago)) => part("down", format!("the last load failed {} s ago: {reason}", ago.as_secs())),
        None if counters.loads_succeeded() > 0 => part("ok", "the last load succeeded".to_owned()),
        None => part("unknown", "no load has ended yet".to_owned()),
    }
}

/// What is served. What is held back is told also where nothing is: it can be approved.
fn directory(now: directory::State, held_back: Option<HeldBack>) -> Value {
    let (status, detail) = match (&now.snapshot, now.loading) {
        (Some((snapshot, age)), _) => {
            let status = if held_back.is_some() { "degraded" } else { "ok" };
            (status, format!("{} users, {} s old", snapshot.users().all().len(), age.as_secs()))
        }
        (None, Some(progress)) => ("loading", progress),
        (None, None) => ("down", "there is nothing that may be served".to_owned()),
    };
    let held = held_back.map(|held| format!("; a change is held back: {}", held.losses)).unwrap_or_default();
    let mut directory = part(status, detail + &held);
    if let Value::Object(members) = &mut directory {
        members.extend(held_back.map(|held| ("heldBack".to_owned(), numbers(held))));
        if let Some((snapshot, age)) = now.snapshot {
            members.insert("users".to_owned(), snapshot.users().all().len().into());
            members.insert("ageSeconds".to_owned(), age.as_secs().into());
            members.insert("leftOutWithoutEmail".to_owned(), snapshot.skipped().without_email.into());
        }
    }
    directory
}

fn kept(keeping: Keeping) -> Value {
    match keeping {
        Keeping::Unwritten => part("ok", "nothing was to be written since the start".to_owned()),
        Keeping::Written => part("ok", "the last write succeeded".to_owned()),
        Keeping::Failed(reason) => part("degraded", reason),
    }
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
