//! RFC 7644 §3.2 over HTTP: URLs, authentication, and the way from a request to a query and from an
//! answer to a response. It does not know where the directory's data comes from.

mod error;
mod handlers;
mod http_metrics;
mod media_type;
mod middleware;
mod openapi;
mod path_suggestion;
mod query_limiter;
mod request;
mod response;
pub mod response_cache;

use crate::server::handlers::discovery;
use crate::server::handlers::group;
use crate::server::handlers::health;
use crate::server::handlers::list;
use crate::server::handlers::metrics;
use crate::server::handlers::status;
use crate::server::handlers::user;
use crate::server::handlers::webhook;
use crate::server::middleware::authenticate;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::guard::{Any, Get, Head, Post};
use actix_web::middleware::from_fn;
use actix_web::{Handler, HttpRequest, Resource, Responder, web};

pub use crate::server::error::Error;
pub use crate::server::handlers::metrics::Register;
pub use crate::server::handlers::status::Setting;
pub use crate::server::middleware::credentials::{Scheme, Slip};
pub use crate::server::middleware::request_log::{watch, watch_metrics};
use arc_swap::ArcSwap;

use crate::server::middleware::request_log::Route;

use crate::auth::Access;
use crate::directory::Directory;
use crate::scim::{CursorKey, filter};
use crate::server::response_cache::Answers;

/// Where the status page is.
const STATUS: &str = "/status";

/// What the endpoints serve from.
pub struct State {
    parts: Parts,
    notices: webhook::Notices,
    requests: http_metrics::Requests,
    answers: Answers,
    turns: query_limiter::Turns,
}

/// What they are given.
pub struct Parts {
    /// What is served.
    pub directory: Directory,
    /// Whether `/ServiceProviderConfig` has the block `pagination` of RFC 9865.
    pub announces_pagination: bool,
    /// Who may ask.
    pub access: Access,
    /// What cursors are signed with.
    pub cursor_key: CursorKey,
    /// The largest page.
    pub max_results: usize,
    /// How large a filter may be.
    pub filter_limits: filter::Limits,
    /// Base URL of SCIM, as clients know it.
    pub base_url: String,
    /// The settings in force; the status page tells them.
    pub settings: Arc<ArcSwap<Vec<Setting>>>,
    /// Which pages there are besides.
    pub pages: Pages,
    /// Shows the numbers of what the endpoints do not know.
    pub register: Register,
}

/// Which pages there are besides SCIM and health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// Whether there is a status page, to which browsers are sent.
    pub status: bool,
    /// Whether metrics are here. Otherwise they have an address of their own.
    pub metrics: bool,
}

impl State {
    /// Endpoints of which nothing was asked yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            notices: webhook::Notices::default(),
            requests: http_metrics::Requests::default(),
            answers: Answers::default(),
            turns: query_limiter::Turns::default(),
        }
    }
}

impl Deref for State {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// Where SCIM is; the same is at the root.
const SCIM: &str = "/scim/v2";

/// All routes: SCIM under `/scim/v2` and, the same, at the root; health and metrics without a token; webhooks where
/// they have one.
pub fn configure(service: &mut web::ServiceConfig, state: &State) {
    // Whatever most requests are for comes first, since a request is held against one after the other.
    let scim_alone =
        web::scope(SCIM).configure(|service| scim(service, SCIM)).service(resource("", SCIM, list::everything));
    service.service(scim_alone.wrap(from_fn(authenticate::check)).default_service(web::to(no_route)));
    if state.access.has_webhooks() {
        service.service(webhook::resource());
    }
    if state.pages.status {
        let page = resource("/status", "", status::read)
            .wrap(from_fn(authenticate::check))
            .wrap(from_fn(status::for_browsers));
        let see = web::resource("/").app_data(Route::in_scope("", "/")).guard(status::is_browser()).to(status::see);
        service.service(page).service(see);
    }
    if state.pages.metrics {
        service.service(resource("/metrics", "", metrics::read));
    }
    let at_the_root = web::scope("")
        .configure(|service| scim(service, ""))
        .service(resource("/", "", list::everything))
        .service(resource("/openapi.json", "", openapi::read));
    service
        .service(resource("/health/live", "", health::live))
        .service(resource("/health/ready", "", health::ready))
        .service(at_the_root.wrap(from_fn(authenticate::check)).default_service(web::to(no_route)))
        // What has no path, such as `OPTIONS *`.
        .default_service(web::to(no_route));
}

/// Metrics, where they have an address of their own, and health.
pub fn configure_metrics(service: &mut web::ServiceConfig) {
    service
        .service(resource("/metrics", "", metrics::read))
        .service(resource("/health/live", "", health::live))
        .service(resource("/health/ready", "", health::ready))
        .default_service(web::to(no_metrics_route));
}

/// SCIM, in a scope that begins with `scope`.
fn scim(service: &mut web::ServiceConfig, scope: &str) {
    let named_resource = |path: &str| web::resource(path.to_owned()).app_data(Route::in_scope(scope, path));
    service
        .service(resource("/Users", scope, list::users))
        .service(search("/Users/.search", scope, list::search_users))
        .service(resource("/Users/{id}", scope, user::read))
        .service(resource("/Groups", scope, list::groups))
        .service(search("/Groups/.search", scope, list::search_groups))
        .service(resource("/Groups/{id}", scope, group::read))
        .service(search("/.search", scope, list::search_everything))
        .service(named_resource("/Me").to(me))
        .service(named_resource("/Bulk").to(bulk))
        .service(resource("/ServiceProviderConfig", scope, discovery::service_provider_config))
        .service(resource("/ResourceTypes", scope, discovery::resource_types))
        .service(resource("/ResourceTypes/{id}", scope, discovery::resource_type))
        .service(resource("/Schemas", scope, discovery::schemas))
        .service(resource("/Schemas/{urn}", scope, discovery::schema));
}

/// Something that can be read, and only read.
fn resource<F, Args>(path: &str, scope: &str, read: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = actix_web::Route::new().guard(Any(Get()).or(Head())).to(read);
    web::resource(path.to_owned())
        .app_data(Route::in_scope(scope, path))
        .route(route)
        .default_service(web::to(read_only))
}

/// Something that is asked by a body (RFC 7644 §3.4.3).
fn search<F, Args>(path: &str, scope: &str, search: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = actix_web::Route::new().guard(Post()).to(search);
    web::resource(path.to_owned())
        .app_data(Route::in_scope(scope, path))
        .route(route)
        .default_service(web::to(only_search))
}

async fn only_search() -> Result<&'static str, Error> {
    Err(Error::OnlySearch)
}

/// Whoever asks is a program, and no person of the directory (RFC 7644 §3.11).
async fn me() -> Result<&'static str, Error> {
    Err(Error::NotImplemented("/Me"))
}

async fn bulk() -> Result<&'static str, Error> {
    Err(Error::NotImplemented("/Bulk"))
}

async fn read_only() -> Result<&'static str, Error> {
    Err(Error::ReadOnly)
}

async fn no_route(request: HttpRequest, state: web::Data<State>) -> Result<&'static str, Error> {
    Err(Error::NoRoute(path_suggestion::suggestion(request.path(), state.pages, state.access.has_webhooks())))
}

async fn no_metrics_route() -> Result<&'static str, Error> {
    Err(Error::NoMetricsRoute)
}

/// Reports whether a status is a failure of this server. 501 is an answer: a client wants what there is not.
fn is_failure(status: u16) -> bool {
    status >= 500 && status != 501
}
