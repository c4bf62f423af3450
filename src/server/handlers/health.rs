//! `/health/live` and `/health/ready`, for those who run the server. They need no token and say
//! nothing of anybody.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use crate::directory;
use crate::directory::{Counters, Defects, Directory, GroupLosses, HeldBack, Keeping, LastFailure, Login};
use crate::server::{State, response};

/// So few users may be incomplete without anybody being told: one that cannot be read for a while is
/// nothing unusual.
const FEW: usize = 10;

/// The process answers. It says nothing about Personio: a restart would not mend that, and would
/// lose the data that is still served.
pub(in crate::server) async fn live() -> HttpResponse {
    response::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// 200 once there is something to serve, and how each part is.
pub(in crate::server) async fn ready(state: web::Data<State>) -> HttpResponse {
    // Who asks for this does so now and then, also at night.
    state.answers.tidy().await;
    if state.directory.state().snapshot.is_none() {
        // Nobody sends requests to a server that is not ready, so nobody else would start a load.
        state.directory.warm_up();
    }
    let health = Health::of(&state.directory);
    let code = match health.standing {
        Standing::Down | Standing::Loading => StatusCode::SERVICE_UNAVAILABLE,
        Standing::Ok | Standing::Degraded | Standing::Unknown => StatusCode::OK,
    };
    let parts = health.parts.into_iter().map(|part| (part.name.to_owned(), part.to_json()));
    let parts: Map<String, Value> = parts.collect();
    // `approve` sends its signal to this process.
    response::json(code, &json!({"status": health.standing.word(), "pid": std::process::id(), "parts": parts}))
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Standing {
    Ok,
    /// It was not tried yet.
    Unknown,
    Loading,
    Degraded,
    Down,
}

impl Standing {
    pub(in crate::server) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Loading => "loading",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// How one part is, in words without anything of a person.
pub(in crate::server) struct Part {
    pub(in crate::server) name: &'static str,
    pub(in crate::server) standing: Standing,
    pub(in crate::server) detail: String,
    /// For how long, unless all is well.
    pub(in crate::server) since: Option<Duration>,
    more: Map<String, Value>,
}

impl Part {
    fn new(name: &'static str, standing: Standing, detail: impl Into<String>) -> Self {
        Self { name, standing, detail: detail.into(), since: None, more: Map::new() }
    }

    fn since(self, since: Duration) -> Self {
        Self { since: Some(since), ..self }
    }

    fn to_json(&self) -> Value {
        let mut json = Map::from_iter([
            ("status".to_owned(), self.standing.word().into()),
            ("detail".to_owned(), self.detail.as_str().into()),
        ]);
        json.extend(self.since.map(|since| ("sinceSeconds".to_owned(), since.as_secs().into())));
        json.extend(self.more.clone());
        json.into()
    }
}

/// How the server is.
pub(in crate::server) struct Health {
    /// `Ok`, `Degraded`, or where nothing can be served, `Loading` until a first load has ended, and `Down`.
    pub(in crate::server) standing: Standing,
    pub(in crate::server) parts: Vec<Part>,
}

impl Health {
    pub(in crate::server) fn of(directory: &Directory) -> Self {
        let now = directory.state();
        let mut upstream = upstream(&now, directory.counters());
        if let Some(warning) = directory.source_warning() {
            upstream.detail = format!("{}; {warning}", upstream.detail);
        }
        let mut parts = vec![upstream, token(directory.login())];
        parts.push(served(&now, directory.held_back()));
        parts.extend(directory.keeping().map(kept));
        let is_well = parts.iter().all(|part| matches!(part.standing, Standing::Ok | Standing::Unknown));
        let is_first_load = now.loading.is_some() && now.failure.is_none();
        let standing = match (now.snapshot, is_well) {
            (None, _) if is_first_load => Standing::Loading,
            (None, _) => Standing::Down,
            (Some(_), true) => Standing::Ok,
            (Some(_), false) => Standing::Degraded,
        };
        Self { standing, parts }
    }
}

/// How loads go. That there is something to serve does not mean that one has succeeded: after a restart it
/// comes from the state file.
fn upstream(now: &directory::State, counters: &Counters) -> Part {
    let part = |standing, detail| Part::new("personio", standing, detail);
    if let Some(LastFailure { reason, ago, since }) = &now.failure {
        let detail = format!("the last load failed {} s ago: {reason}", ago.as_secs());
        return part(Standing::Down, detail).since(*since);
    }
    let newest = now.snapshot.as_ref().map(|(snapshot, _)| (snapshot.outdated(), snapshot.unconfirmed().len()));
    let (outdated, unconfirmed) = newest.unwrap_or_default();
    let nameless = now.snapshot.as_ref().map_or(0, |(snapshot, _)| snapshot.nameless());
    let since = now.incomplete.unwrap_or_default();
    match counters.loads_succeeded() {
        0 => part(Standing::Unknown, "no load has ended yet".to_owned()),
        _ if outdated > FEW => {
            part(Standing::Degraded, format!("{outdated} users cannot be read in full")).since(since)
        }
        _ if unconfirmed > FEW => part(
            Standing::Degraded,
            format!("{unconfirmed} users are missing from Personio's list, and it is not confirmed that they are gone"),
        )
        .since(since),
        _ if nameless > 0 => part(
            Standing::Degraded,
            format!(
                "{nameless} users lack a name, of a department for example, since names cannot be read; the log says why"
            ),
        )
        .since(since),
        _ => part(Standing::Ok, "the last load succeeded".to_owned()),
    }
}

/// Whether Personio gives us tokens.
fn token(login: Option<Login>) -> Part {
    match login {
        None => Part::new("token", Standing::Unknown, "none was asked for yet"),
        Some(Login { refusal: None, .. }) => {
            Part::new("token", Standing::Ok, "the last one that was asked for was given")
        }
        Some(Login { refusal: Some(reason), since }) => {
            Part::new("token", Standing::Down, reason.to_string()).since(since)
        }
    }
}

/// What is served, and what is not although it was read: it can be approved also where nothing is served.
fn served(now: &directory::State, held: Option<HeldBack>) -> Part {
    let mut part = match (&now.snapshot, &now.loading) {
        (Some((snapshot, age)), _) => {
            let users = snapshot.users().all().len();
            let detail = format!("{users} users, {} s old", age.as_secs());
            let mut part = Part::new("directory", Standing::Ok, detail);
            part.more.extend([
                ("users".to_owned(), users.into()),
                ("ageSeconds".to_owned(), age.as_secs().into()),
                ("leftOutWithoutEmail".to_owned(), snapshot.skipped().without_email.into()),
                ("outdated".to_owned(), snapshot.outdated().into()),
                ("withoutNames".to_owned(), snapshot.nameless().into()),
                ("unconfirmed".to_owned(), snapshot.unconfirmed().len().into()),
            ]);
            add_defects(&mut part, snapshot.defects());
            part
        }
        (None, Some(loading)) => {
            let left = loading.left.map_or_else(String::new, |left| format!(", {left}"));
            let detail = format!("{}{left}", loading.progress);
            Part::new("directory", Standing::Loading, detail).since(loading.since)
        }
        (None, None) => {
            let since = now.missing.unwrap_or_default();
            Part::new("directory", Standing::Down, "there is nothing that may be served").since(since)
        }
    };
    if let Some(held) = held {
        let HeldBack { id, losses, since, .. } = held;
        if part.standing == Standing::Ok {
            part = Part { standing: Standing::Degraded, since: Some(since), ..part };
        }
        part.detail = format!("{}; a change is held back as {id}: {losses}", part.detail);
        let mut numbers = Map::from_iter([
            ("id".to_owned(), id.to_string().into()),
            ("sinceSeconds".to_owned(), since.as_secs().into()),
            ("users".to_owned(), losses.users.into()),
            ("of".to_owned(), losses.of.into()),
        ]);
        numbers.extend(losses.kinds().map(|(kind, number)| (kind.key().to_owned(), number.into())));
        let GroupLosses { of, gone, renamed } = losses.groups;
        if gone + renamed > 0 {
            numbers.insert("groups".to_owned(), json!({"of": of, "gone": gone, "renamed": renamed}));
        }
        part.more.insert("heldBack".to_owned(), numbers.into());
    }
    part
}

/// Adds what could not be read of Personio's answers: numbers, and a few examples by id and attribute.
fn add_defects(part: &mut Part, defects: &Defects) {
    if defects.is_empty() {
        return;
    }
    part.detail = format!("{}; {defects}", part.detail);
    let Defects { left_out, kept, values, examples } = defects;
    let defects = json!({"leftOut": left_out, "keptAsBefore": kept, "oddValues": values, "examples": examples});
    part.more.insert("defects".to_owned(), defects);
}

fn kept(keeping: Keeping) -> Part {
    match keeping {
        Keeping::Unwritten => Part::new("state", Standing::Ok, "nothing was to be written since the start"),
        Keeping::Written => Part::new("state", Standing::Ok, "the last write succeeded"),
        Keeping::Failed { reason, since } => Part::new("state", Standing::Degraded, reason).since(since),
    }
}
