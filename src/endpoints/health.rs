//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::{State, respond};
use crate::directory;

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
    let directory::State { snapshot, loading, failure } = now;
    let upstream = match &failure {
        Some((reason, ago)) => part("down", format!("the last load failed {} s ago: {reason}", ago.as_secs())),
        None if snapshot.is_some() => part("ok", "the last load succeeded".to_owned()),
        None => part("unknown", "no load has ended yet".to_owned()),
    };
    let directory = match (&snapshot, loading) {
        (Some((snapshot, age)), _) => {
            let users = snapshot.users().all().len();
            let mut directory = part("ok", format!("{users} users, {} s old", age.as_secs()));
            if let Value::Object(members) = &mut directory {
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
        (true, false) => (StatusCode::OK, "ok"),
        (true, true) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
    };
    let parts = json!({"personio": upstream, "directory": directory});
    // `approve` sends its signal to this process.
    respond::json(code, &json!({"status": status, "pid": std::process::id(), "parts": parts}))
}

fn part(status: &str, detail: String) -> Value {
    json!({"status": status, "detail": detail})
}
