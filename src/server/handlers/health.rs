//! `/health/live` and `/health/ready`, for operators and orchestrators. They need no token and have
//! no personal data.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::directory;
use crate::directory::{
    Defects, Directory, DirectoryMetrics, GroupLosses, HeldChangeSummary, LastFailure, Snapshot,
    SourceLogin, WriteStatus,
};
use crate::server::{State, response};

/// Number of users who may be outdated or unverified while health is `ok`. A few are usual, because
/// the data of one person may be unreadable for a while.
const MAX_INCOMPLETE_USERS: usize = 10;

/// Detail of a part whose numbers are hidden.
const HIDDEN_DETAIL: &str = "the details are at the address of the metrics";
/// Member with the age of the snapshot.
const AGE_MEMBER: &str = "ageSeconds";

/// Returns 200: the process responds. The result does not depend on Personio, because a restart
/// would not fix a failure there, and would lose the snapshot that is still served.
pub(in crate::server) async fn live() -> HttpResponse {
    response::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// Returns 200 once there is a snapshot to serve, with the health of each part. If a client has a
/// scope, the numbers of users are left out: the client can read this without a token.
pub(in crate::server) async fn ready(state: web::Data<State>) -> HttpResponse {
    let hides_numbers = state.authenticator.has_scopes();
    ready_response(&state, hides_numbers).await
}

/// Returns the same at the address of the metrics, with all numbers.
pub(in crate::server) async fn ready_with_numbers(state: web::Data<State>) -> HttpResponse {
    ready_response(&state, false).await
}

async fn ready_response(state: &State, hides_numbers: bool) -> HttpResponse {
    // Health is polled even at times without other requests, when nothing else evicts.
    state.response_cache.evict_idle().await;
    if state.directory.state().snapshot.is_none() {
        // No client sends requests to a server that is not ready, so none starts a load.
        state.directory.start_first_load();
    }
    let mut health = Health::of(&state.directory);
    if hides_numbers {
        health.remove_numbers();
    }
    let code = match health.status {
        HealthStatus::Down | HealthStatus::Loading => StatusCode::SERVICE_UNAVAILABLE,
        HealthStatus::Ok | HealthStatus::Degraded | HealthStatus::Unknown => StatusCode::OK,
    };
    let mut parts = Map::new();
    for part in health.parts {
        parts.insert(part.name.to_owned(), part.to_json());
    }
    // `approve` sends its signal to the process with this id.
    let pid = std::process::id();
    let body = json!({"status": health.status.as_str(), "pid": pid, "parts": parts});
    response::json(code, &body)
}

/// Health of the server or of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum HealthStatus {
    Ok,
    /// Nothing has been attempted yet.
    Unknown,
    Loading,
    Degraded,
    Down,
}

impl HealthStatus {
    pub(in crate::server) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Loading => "loading",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// Health of one part of the server, without personal data.
pub(in crate::server) struct HealthPart {
    pub(in crate::server) name: &'static str,
    pub(in crate::server) status: HealthStatus,
    pub(in crate::server) detail: String,
    /// Time since when the part is not well.
    pub(in crate::server) since: Option<Duration>,
    /// Further members of the part in JSON.
    members: Map<String, Value>,
}

impl HealthPart {
    fn new(name: &'static str, status: HealthStatus, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into(), since: None, members: Map::new() }
    }

    fn since(self, since: Duration) -> Self {
        Self { since: Some(since), ..self }
    }

    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Removes everything from which a number of users, or a held change, can be read.
    fn remove_numbers(&mut self) {
        self.detail = HIDDEN_DETAIL.to_owned();
        self.members.retain(|name, _| name == AGE_MEMBER);
    }

    fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("status".to_owned(), self.status.as_str().into());
        json.insert("detail".to_owned(), self.detail.as_str().into());
        if let Some(since) = self.since {
            json.insert("sinceSeconds".to_owned(), since.as_secs().into());
        }
        json.extend(self.members.clone());
        json.into()
    }
}

/// Health of the server.
pub(in crate::server) struct Health {
    /// `Ok` or `Degraded` with a snapshot. Without one, `Loading` during the first load, and `Down`
    /// otherwise.
    pub(in crate::server) status: HealthStatus,
    pub(in crate::server) parts: Vec<HealthPart>,
}

impl Health {
    /// Removes the numbers from all parts.
    fn remove_numbers(&mut self) {
        self.parts.iter_mut().for_each(HealthPart::remove_numbers);
    }

    /// Returns the health of a directory.
    pub(in crate::server) fn of(directory: &Directory) -> Self {
        let state = directory.state();
        let mut upstream = upstream_part(&state, directory.metrics());
        if let Some(warning) = directory.source_warning() {
            upstream.detail = format!("{}; {warning}", upstream.detail);
        }
        let token = token_part(directory.login());
        let snapshot = directory_part(&state, directory.held_change());
        let mut parts = vec![upstream, token, snapshot];
        if let Some(write_status) = directory.state_write_status() {
            parts.push(state_file_part(write_status));
        }
        let is_well = parts
            .iter()
            .all(|part| matches!(part.status, HealthStatus::Ok | HealthStatus::Unknown));
        let is_first_load = state.loading.is_some() && state.failure.is_none();
        let status = match (state.snapshot, is_well) {
            (None, _) if is_first_load => HealthStatus::Loading,
            (None, _) => HealthStatus::Down,
            (Some(_), true) => HealthStatus::Ok,
            (Some(_), false) => HealthStatus::Degraded,
        };
        Self { status, parts }
    }
}

/// Returns the health of loads. A snapshot does not prove that a load has succeeded: after a
/// restart it comes from the state file.
fn upstream_part(state: &directory::DirectoryState, counters: &DirectoryMetrics) -> HealthPart {
    const NAME: &str = "personio";
    if let Some(LastFailure { reason, age, failing_for }) = &state.failure {
        if reason.is_internal() {
            let detail = "the last load ended with an internal error: see `directory`";
            return HealthPart::new(NAME, HealthStatus::Unknown, detail);
        }
        let detail = format!("the last load failed {} s ago: {reason}", age.as_secs());
        return HealthPart::new(NAME, HealthStatus::Down, detail).since(*failing_for);
    }
    if counters.loads.ended.succeeded() == 0 {
        return HealthPart::new(NAME, HealthStatus::Unknown, "no load has ended yet");
    }
    let incomplete = match &state.snapshot {
        Some((snapshot, _)) => incomplete_users(snapshot),
        None => None,
    };
    match incomplete {
        Some(detail) => HealthPart::new(NAME, HealthStatus::Degraded, detail)
            .since(state.incomplete_for.unwrap_or_default()),
        None => HealthPart::new(NAME, HealthStatus::Ok, "the last load succeeded"),
    }
}

/// Returns the number of incomplete users, and the reason, if these are more than usual.
fn incomplete_users(snapshot: &Snapshot) -> Option<String> {
    let quality = snapshot.quality();
    let outdated = quality.outdated;
    let unverified = quality.unverified.len();
    let nameless = quality.without_lookup_name;
    if outdated > MAX_INCOMPLETE_USERS {
        Some(format!("{outdated} users cannot be read in full"))
    } else if unverified > MAX_INCOMPLETE_USERS {
        Some(format!(
            "{unverified} users are missing from Personio's list, and their deletion is not \
             verified"
        ))
    } else if nameless > 0 {
        Some(format!(
            "{nameless} users lack a name, of a department for example, because names cannot be \
             read; the log has the reason"
        ))
    } else {
        None
    }
}

/// Returns the health of the requests for a token from Personio.
fn token_part(login: Option<SourceLogin>) -> HealthPart {
    const NAME: &str = "token";
    match login {
        None => HealthPart::new(NAME, HealthStatus::Unknown, "no token has been requested yet"),
        Some(SourceLogin { failure: None, .. }) => {
            HealthPart::new(NAME, HealthStatus::Ok, "the last token request succeeded")
        }
        Some(SourceLogin { failure: Some(reason), since, .. }) => {
            HealthPart::new(NAME, HealthStatus::Down, reason.to_string()).since(since)
        }
    }
}

/// Returns the health of the snapshot, with the change that is held back and an internal error of
/// the last load. There can be a held change without a snapshot, and it can be approved then, too.
fn directory_part(
    state: &directory::DirectoryState,
    held: Option<HeldChangeSummary>,
) -> HealthPart {
    const NAME: &str = "directory";
    let mut part = match (&state.snapshot, &state.loading) {
        (Some((snapshot, age)), _) => snapshot_part(NAME, snapshot, *age),
        (None, Some(loading)) => {
            let detail = match loading.remaining {
                Some(left) => format!("{}, {left}", loading.progress),
                None => loading.progress.to_string(),
            };
            HealthPart::new(NAME, HealthStatus::Loading, detail).since(loading.elapsed)
        }
        (None, None) => {
            let detail = "there is no snapshot that may be served";
            HealthPart::new(NAME, HealthStatus::Down, detail)
                .since(state.missing_for.unwrap_or_default())
        }
    };
    if let Some(held) = held {
        add_held_change(&mut part, held);
    }
    if let Some(failure) = &state.failure {
        add_internal_error(&mut part, failure);
    }
    part
}

fn snapshot_part(name: &'static str, snapshot: &Snapshot, age: Duration) -> HealthPart {
    let users = snapshot.users().all().len();
    let detail = format!("{users} users, {} s old", age.as_secs());
    let mut part = HealthPart::new(name, HealthStatus::Ok, detail);
    part.insert("users", users);
    part.insert(AGE_MEMBER, age.as_secs());
    let quality = snapshot.quality();
    part.insert("leftOutWithoutEmail", quality.skipped.without_email);
    part.insert("outdated", quality.outdated);
    part.insert("withoutNames", quality.without_lookup_name);
    part.insert("unconfirmed", quality.unverified.len());
    add_defects(&mut part, &quality.defects);
    part
}

/// Adds a change that is held back: its id, and the number of users and groups that it affects.
fn add_held_change(part: &mut HealthPart, held: HeldChangeSummary) {
    let HeldChangeSummary { id, losses, held_for, .. } = held;
    if part.status == HealthStatus::Ok {
        part.status = HealthStatus::Degraded;
        part.since = Some(held_for);
    }
    part.detail = format!("{}; a change is held back as {id}: {losses}", part.detail);
    let mut numbers = Map::new();
    numbers.insert("id".to_owned(), id.to_string().into());
    numbers.insert("sinceSeconds".to_owned(), held_for.as_secs().into());
    numbers.insert("users".to_owned(), losses.users.into());
    numbers.insert("of".to_owned(), losses.largest_total.into());
    for (kind, number) in losses.kinds() {
        numbers.insert(kind.key().to_owned(), number.into());
    }
    let GroupLosses { total, disappeared, renamed } = losses.groups;
    if disappeared + renamed > 0 {
        let groups = json!({"of": total, "gone": disappeared, "renamed": renamed});
        numbers.insert("groups".to_owned(), groups);
    }
    part.insert("heldBack", numbers);
}

/// Adds the failure of the last load, if this program is at fault and not Personio.
fn add_internal_error(part: &mut HealthPart, failure: &LastFailure) {
    let LastFailure { reason, age, failing_for } = failure;
    if !reason.is_internal() {
        return;
    }
    if part.status == HealthStatus::Ok {
        part.status = HealthStatus::Degraded;
        part.since = Some(*failing_for);
    }
    part.detail =
        format!("{}; the last load failed {} s ago: {reason}", part.detail, age.as_secs());
}

/// Adds the values of Personio that could not be read: numbers, and examples by id and attribute.
fn add_defects(part: &mut HealthPart, defects: &Defects) {
    if defects.is_empty() {
        return;
    }
    part.detail = format!("{}; {defects}", part.detail);
    let Defects { left_out, kept, values, examples } = defects;
    part.insert(
        "defects",
        json!({
            "leftOut": left_out,
            "keptAsBefore": kept,
            "oddValues": values,
            "examples": examples
        }),
    );
}

fn state_file_part(write_status: WriteStatus) -> HealthPart {
    const NAME: &str = "state";
    match write_status {
        WriteStatus::Unwritten => {
            HealthPart::new(NAME, HealthStatus::Ok, "nothing has needed to be written yet")
        }
        WriteStatus::Written => HealthPart::new(NAME, HealthStatus::Ok, "the last write succeeded"),
        WriteStatus::Failed { reason, since } => {
            HealthPart::new(NAME, HealthStatus::Degraded, reason).since(since)
        }
    }
}
