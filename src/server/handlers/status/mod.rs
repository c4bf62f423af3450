//! `/status`: a page for a person with a browser, with the health of the server and its last loads.
//! It requires authentication, with the token as the password. It has no personal data of users, no
//! scripts, and nothing from other origins.
//!
//! - `page` is the HTML.
//! - `error_page` replaces errors for browsers.

mod error_page;
mod page;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::dev::RequestHead;
use actix_web::guard::{Guard, GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::auth::AuthenticatedClient;
use crate::directory::{FinishedLoad, HeldChangeSummary, LoadStatus, NextLoad, Snapshot};
use crate::scim::{DeadlineExceeded, ListQuery, PERSONIO_USER_SCHEMA, PageRequest, SearchRequest};
use crate::server::handlers::health::Health;
use crate::server::http_metrics::ClientActivity;
use crate::server::middleware::authenticate;
use crate::server::{Error, State};

pub(in crate::server) use crate::server::handlers::status::error_page::replace_errors_for_browsers;

const STYLE: &str = include_str!("style.css");

/// Content security policy that allows the style above, by its hash, and nothing else.
static STYLE_ONLY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// Labels of the employment statuses on the page, with their values in a filter.
const EMPLOYMENT_STATUSES: [(&str, &str); 4] = [
    ("active", "ACTIVE"),
    ("on leave", "LEAVE"),
    ("onboarding", "ONBOARDING"),
    ("inactive", "INACTIVE"),
];

/// Setting in force, as the page shows it. The value of a secret is redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayedSetting {
    /// Flag, such as `--listen`.
    pub name: String,
    /// Value; `None` if it is not set.
    pub value: Option<String>,
    /// Flag set when the value was given, and not left at its default.
    pub is_given: bool,
}

/// Data of the page.
struct StatusReport {
    health: Health,
    snapshot: Option<SnapshotSummary>,
    held_change: Option<HeldChangeSummary>,
    loads: LoadReport,
    server: ServerReport,
    /// Time of the report, on the monotonic clock.
    now: Duration,
    activity_by_client: BTreeMap<Arc<str>, ClientActivity>,
    settings: Arc<Vec<DisplayedSetting>>,
}

/// Data of the page for a client with a scope.
struct ScopedStatusReport {
    snapshot: Option<SnapshotSummary>,
}

/// Past, current and next load.
struct LoadReport {
    past: Vec<FinishedLoad>,
    current: Option<LoadStatus>,
    next: NextLoad,
}

/// Facts about the server itself.
struct ServerReport {
    base_url: String,
    uptime: Duration,
}

/// Numbers of users and groups in the snapshot.
struct SnapshotSummary {
    age: Duration,
    users: usize,
    groups: usize,
    /// Maximum number of resources on a page, if it is less than the number of users.
    exceeded_page: Option<usize>,
    /// Number of users for each employment status, in the order of the page.
    users_by_status: Vec<(&'static str, usize)>,
    coverage: Vec<AttributeCoverage>,
}

/// Number of users who have a value of an attribute.
struct AttributeCoverage {
    path: String,
    users: usize,
}

/// Returns the page. A client with a scope gets the numbers of the users that it sees, and nothing
/// about loads, other clients and settings.
pub(in crate::server) async fn read(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let client = authenticate::client(&request)?;
    let html = web::block(move || {
        let html = match client.scope {
            Some(_) => page::scoped_page(&ScopedStatusReport::of(&state, &client)),
            None => page::page(&StatusReport::of(&state)),
        };
        html.into_string()
    });
    let html = html.await.map_err(|_| Error::Internal)?;
    Ok(html_response(&mut HttpResponse::Ok(), html))
}

/// Completes a response with a page that loads nothing from elsewhere.
fn html_response(response: &mut HttpResponseBuilder, html: String) -> HttpResponse {
    response
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, STYLE_ONLY_POLICY.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html)
}

/// Redirects a browser from the root to the page. The address is relative, because a proxy may
/// serve this server under a path.
pub(in crate::server) async fn redirect() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "status")).finish()
}

/// Returns a guard for requests of browsers.
pub(in crate::server) fn is_browser() -> impl Guard {
    fn_guard(|context: &GuardContext<'_>| is_browser_request(context.head()))
}

/// Reports whether a browser has sent a request. SCIM clients accept JSON, or have no `Accept`.
fn is_browser_request(head: &RequestHead) -> bool {
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return false;
    }
    let Some(Ok(accepted)) = head.headers().get(ACCEPT).map(|accept| accept.to_str()) else {
        return false;
    };
    accepted.contains("text/html") && !accepted.contains("json")
}

impl StatusReport {
    fn of(state: &State) -> Self {
        let directory = &state.directory;
        let now = directory.state();
        Self {
            health: Health::of(directory),
            snapshot: now
                .snapshot
                .map(|(snapshot, age)| SnapshotSummary::of(&snapshot, age, state)),
            held_change: directory.held_change(),
            loads: LoadReport {
                past: directory.history(),
                current: now.loading,
                next: directory.next_load(),
            },
            server: ServerReport { base_url: state.base_url.clone(), uptime: directory.uptime() },
            now: state.clock.monotonic(),
            activity_by_client: state.http_metrics.activity_by_client(),
            settings: state.settings.load_full(),
        }
    }
}

impl ScopedStatusReport {
    fn of(state: &State, client: &AuthenticatedClient) -> Self {
        let view = authenticate::view_of(state, client);
        let snapshot = view.current_without_waiting().map(|snapshot| {
            let age = snapshot.age(state.clock.monotonic());
            SnapshotSummary::of(&snapshot, age, state)
        });
        Self { snapshot }
    }
}

impl SnapshotSummary {
    fn of(snapshot: &Snapshot, age: Duration, state: &State) -> Self {
        let users = snapshot.users().all().len();
        let mut coverage = Vec::new();
        for path in snapshot.schema_registry().types.user.paths() {
            let users = count_users(snapshot, format!("{path} pr"), state);
            coverage.push(AttributeCoverage { path, users });
        }
        Self {
            age,
            users,
            groups: snapshot.groups().all().len(),
            exceeded_page: snapshot.exceeds_page().then(|| snapshot.schema_registry().max_results),
            users_by_status: count_by_status(snapshot, state),
            coverage,
        }
    }
}

/// Counts the users with each known employment status, and all others together.
fn count_by_status(snapshot: &Snapshot, state: &State) -> Vec<(&'static str, usize)> {
    let mut counts = Vec::new();
    let user_type = &snapshot.schema_registry().types.user;
    if user_type.attribute(&format!("{PERSONIO_USER_SCHEMA}:employmentStatus")).is_none() {
        return counts;
    }
    let mut others = snapshot.users().all().len();
    for (label, status) in EMPLOYMENT_STATUSES {
        let filter = format!("{PERSONIO_USER_SCHEMA}:employmentStatus eq \"{status}\"");
        let count = count_users(snapshot, filter, state);
        counts.push((label, count));
        others = others.saturating_sub(count);
    }
    if others > 0 {
        counts.push(("other", others));
    }
    counts
}

/// Counts the users that match a filter.
fn count_users(snapshot: &Snapshot, filter: String, state: &State) -> usize {
    let search = SearchRequest { filter: Some(filter), ..SearchRequest::default() };
    let user_type = &*snapshot.schema_registry().types.user;
    let count_only = PageRequest::at_offset(0, 0);
    match ListQuery::new(&search, &[user_type], state.lists.filter_limits, count_only) {
        Ok(query) => match query.select(&[snapshot.users()], None) {
            Ok(list) => list.total_results(),
            Err(DeadlineExceeded) => 0,
        },
        Err(_) => 0,
    }
}
