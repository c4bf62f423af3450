//! `/status`: how the server is, for a person with a browser. It needs a token, as the password, and says
//! nothing of anybody who is served. It works without scripts, and takes nothing from elsewhere.

mod page;
mod refusal;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::dev::RequestHead;
use actix_web::guard::{Guard, GuardContext, fn_guard};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::directory::{HeldBack, Loading, NextLoad, PastLoad, Snapshot};
use crate::scim::{EXTENSION_USER, ListQuery, Paging, SearchRequest};
use crate::server::handlers::health::Health;
use crate::server::http_metrics::Visits;
use crate::server::{Error, State};

pub(in crate::server) use crate::server::handlers::status::refusal::for_browsers;

const STYLE: &str = include_str!("style.css");

/// Nothing but our own style, named by its hash.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// A setting as it is in force: its flag and its value, which of a secret is only that there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The flag, such as `--listen`.
    pub name: String,
    /// The value; nothing if it is not set.
    pub value: Option<String>,
    /// Whether it was chosen: otherwise it is the default.
    pub is_chosen: bool,
}

/// All that the page tells.
struct Facts {
    health: Health,
    served: Option<Served>,
    held: Option<HeldBack>,
    loading: Option<Loading>,
    next_load: NextLoad,
    uptime: Duration,
    base_url: String,
    loads: Vec<PastLoad>,
    visits: BTreeMap<Arc<str>, Visits>,
    settings: Arc<Vec<Setting>>,
}

/// What is known of the users that are served.
struct Served {
    age: Duration,
    users: usize,
    groups: usize,
    /// Largest page, where it does not hold all users.
    exceeded_page: Option<usize>,
    /// How many are in each state, in the order in which they are told.
    states: Vec<(&'static str, usize)>,
    /// How many users have a value, for each attribute.
    filled: Vec<(String, usize)>,
}

/// The states of employments, as people call them and as a filter finds them.
const STATES: [(&str, &str); 4] =
    [("active", "ACTIVE"), ("on leave", "LEAVE"), ("onboarding", "ONBOARDING"), ("inactive", "INACTIVE")];

/// The page.
pub(in crate::server) async fn read(state: web::Data<State>) -> Result<HttpResponse, Error> {
    let html = web::block(move || page::page(&Facts::of(&state)).into_string());
    let html = html.await.map_err(|_| Error::BrokeOff)?;
    Ok(html_response(&mut HttpResponse::Ok(), html))
}

/// Completes a response with a page that takes nothing from elsewhere.
fn html_response(response: &mut HttpResponseBuilder, html: String) -> HttpResponse {
    response
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html)
}

/// Where a browser is sent that asks for the root. The address is relative: a proxy may serve us under a path.
pub(in crate::server) async fn see() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "status")).finish()
}

/// Whether it is a browser that asks: SCIM clients want JSON, or say nothing of what they want.
pub(in crate::server) fn is_browser() -> impl Guard {
    fn_guard(|context: &GuardContext<'_>| is_browser_request(context.head()))
}

fn is_browser_request(head: &RequestHead) -> bool {
    let accepted = head.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    matches!(head.method, Method::GET | Method::HEAD) && accepted.contains("text/html") && !accepted.contains("json")
}

impl Facts {
    fn of(state: &State) -> Self {
        let now = state.directory.state();
        Self {
            health: Health::of(&state.directory),
            served: now.snapshot.map(|(snapshot, age)| Served::of(&snapshot, age, state)),
            held: state.directory.held_back(),
            loading: now.loading,
            next_load: state.directory.next_load(),
            uptime: state.directory.uptime(),
            base_url: state.base_url.clone(),
            loads: state.directory.history(),
            visits: state.requests.visits(),
            settings: state.settings.load_full(),
        }
    }
}

impl Served {
    fn of(snapshot: &Snapshot, age: Duration, state: &State) -> Self {
        let count = |filter: String| counted(snapshot, filter, state);
        let known =
            STATES.map(|(name, word)| (name, count(format!("{EXTENSION_USER}:employmentStatus eq \"{word}\""))));
        let users = snapshot.users().all().len();
        let others = users.saturating_sub(known.iter().map(|(_, count)| count).sum());
        let mut states = known.to_vec();
        if others > 0 {
            states.push(("other", others));
        }
        let filled = snapshot.vocabulary().types.user.paths().into_iter().map(|path| {
            let filter = format!("{path} pr");
            (path, count(filter))
        });
        Self {
            age,
            users,
            groups: snapshot.groups().all().len(),
            exceeded_page: snapshot.exceeds_page().then(|| snapshot.vocabulary().max_results),
            states,
            filled: filled.collect(),
        }
    }
}

/// How many users this filter finds.
fn counted(snapshot: &Snapshot, filter: String, state: &State) -> usize {
    let search = SearchRequest { filter: Some(filter), ..SearchRequest::default() };
    let query = ListQuery::new(&search, &[&snapshot.vocabulary().types.user], state.filter_limits, Paging::after(0, 0));
    query.map_or(0, |query| query.select(&[snapshot.users()]).total())
}
