//! SCIM over HTTP (RFC 7644 §3.2): routes, authentication, and the way from a request to a query
//! and from a page of resources to a response. The module does not know the source of the data.
//!
//! The parts, in the order in which a request meets them:
//!
//! - `middleware` logs requests, authenticates them and reads their bodies.
//! - `handlers` has one file for each route; `request` parses query strings, bodies and cursors.
//! - `query_executor` runs list queries, with the `response_cache` and the `query_limiter`.
//! - `response` builds responses, `media_type` negotiates their type, and `error` turns each
//!   failure into a status and a body.
//! - `openapi` and `path_suggestion` describe the routes; `http_metrics` counts requests.

mod error;
mod handlers;
mod http_metrics;
mod media_type;
mod middleware;
mod openapi;
mod path_suggestion;
mod query_executor;
mod query_limiter;
mod request;
mod response;
pub mod response_cache;

use std::ops::Deref;
use std::sync::Arc;

use actix_web::guard::{Any, Get, Head, Post};
use actix_web::middleware::from_fn;
use actix_web::{Handler, HttpRequest, Resource, Responder, Route, web};
use arc_swap::ArcSwap;

pub use crate::server::error::Error;
pub use crate::server::handlers::metrics::RegisterMetrics;
pub use crate::server::handlers::status::DisplayedSetting;
pub use crate::server::middleware::credentials::{AuthScheme, AuthorizationMistake};
pub use crate::server::middleware::request_log::{log_client_requests, log_metrics_requests};

use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::directory::Directory;
use crate::scim::{CursorKey, filter};
use crate::server::handlers::webhook::WebhookRequestCounters;
use crate::server::handlers::{discovery, group, health, list, metrics, status, user, webhook};
use crate::server::http_metrics::HttpMetrics;
use crate::server::middleware::admit::admit;
use crate::server::middleware::request_log::RouteName;
use crate::server::query_executor::QueryExecutor;
use crate::server::response_cache::ResponseCache;

/// Path of the status page.
const STATUS_PATH: &str = "/status";

/// Path below which SCIM is served. The same resources are served at the root.
const SCIM_PATH: &str = "/scim/v2";

/// State of the endpoints: the parts that they are given, and their own counters and caches.
pub struct State {
    parts: StateParts,
    webhook_counters: WebhookRequestCounters,
    http_metrics: HttpMetrics,
    response_cache: ResponseCache,
    query_executor: QueryExecutor,
}

/// Parts from which the state of the endpoints is built.
pub struct StateParts {
    /// Source of the time.
    pub clock: Arc<dyn Clock>,
    /// Users and groups to serve.
    pub directory: Directory,
    /// Authentication of clients and webhooks.
    pub authenticator: Authenticator,
    /// Limits and pages of lists.
    pub lists: ListSettings,
    /// Base URL of SCIM, as clients know it.
    pub base_url: String,
    /// Settings in force, for the status page.
    pub settings: Arc<ArcSwap<Vec<DisplayedSetting>>>,
    /// Optional endpoints that are served.
    pub optional_endpoints: OptionalEndpoints,
    /// Callback that registers the metrics of parts that the endpoints do not know.
    pub register_metrics: RegisterMetrics,
}

/// Limits and pages of lists.
pub struct ListSettings {
    /// Key that signs cursors.
    pub cursor_key: CursorKey,
    /// Flag that adds the block `pagination` of RFC 9865 to `/ServiceProviderConfig`.
    pub announces_pagination: bool,
    /// Maximum number of resources on a page.
    pub max_results: usize,
    /// Limits on the size of a filter.
    pub filter_limits: filter::FilterLimits,
}

/// Optional endpoints, next to SCIM and health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionalEndpoints {
    /// Flag of the status page, to which browsers are redirected.
    pub status: bool,
    /// Flag of metrics at the address of SCIM. Without it they have an address of their own.
    pub metrics: bool,
}

impl State {
    /// Creates the state of endpoints that have not served a request yet.
    #[must_use]
    pub fn new(parts: StateParts) -> Self {
        let response_cache = ResponseCache::new(Arc::clone(&parts.clock));
        Self {
            parts,
            webhook_counters: WebhookRequestCounters::default(),
            http_metrics: HttpMetrics::default(),
            query_executor: QueryExecutor::new(response_cache.clone()),
            response_cache,
        }
    }
}

impl Deref for State {
    type Target = StateParts;

    fn deref(&self) -> &StateParts {
        &self.parts
    }
}

/// Registers all routes: SCIM under `/scim/v2` and the same at the root, health and metrics without
/// authentication, and webhooks if they have a token.
pub fn configure(service: &mut web::ServiceConfig, state: &State) {
    // The router tries one service after the other, so the most frequent routes come first.
    let scim_scope = web::scope(SCIM_PATH)
        .configure(|service| configure_scim(service, SCIM_PATH))
        .service(read_only_resource("", SCIM_PATH, list::everything))
        .wrap(from_fn(admit))
        .default_service(web::to(no_route));
    service.service(scim_scope);
    if state.authenticator.has_webhooks() {
        service.service(webhook::resource());
    }
    if state.optional_endpoints.status {
        configure_status_page(service);
    }
    if state.optional_endpoints.metrics {
        service.service(read_only_resource("/metrics", "", metrics::read));
    }
    let root_scope = web::scope("")
        .configure(|service| configure_scim(service, ""))
        .service(read_only_resource("/", "", list::everything))
        .service(read_only_resource("/openapi.json", "", openapi::read))
        .wrap(from_fn(admit))
        .default_service(web::to(no_route));
    service
        .service(read_only_resource("/health/live", "", health::live))
        .service(read_only_resource("/health/ready", "", health::ready))
        .service(root_scope)
        // Requests without a path, such as `OPTIONS *`.
        .default_service(web::to(no_route));
}

/// Registers the routes of the address for metrics: metrics and health.
pub fn configure_metrics(service: &mut web::ServiceConfig) {
    service
        .service(read_only_resource("/metrics", "", metrics::read))
        .service(read_only_resource("/health/live", "", health::live))
        .service(read_only_resource("/health/ready", "", health::ready_with_numbers))
        .default_service(web::to(no_metrics_route));
}

/// Registers the status page, and the redirect that leads browsers from the root to it.
fn configure_status_page(service: &mut web::ServiceConfig) {
    let page = read_only_resource("/status", "", status::read)
        .wrap(from_fn(admit))
        .wrap(from_fn(status::replace_errors_for_browsers));
    let redirect = web::resource("/")
        .app_data(RouteName::in_scope("", "/"))
        .guard(status::is_browser())
        .to(status::redirect);
    service.service(page).service(redirect);
}

/// Registers the routes of SCIM in the scope with the path `scope`.
fn configure_scim(service: &mut web::ServiceConfig, scope: &str) {
    service
        .service(read_only_resource("/Users", scope, list::users))
        .service(search_resource("/Users/.search", scope, list::search_users))
        .service(read_only_resource("/Users/{id}", scope, user::read))
        .service(read_only_resource("/Groups", scope, list::groups))
        .service(search_resource("/Groups/.search", scope, list::search_groups))
        .service(read_only_resource("/Groups/{id}", scope, group::read))
        .service(search_resource("/.search", scope, list::search_everything))
        .service(named_resource("/Me", scope).to(me))
        .service(named_resource("/Bulk", scope).to(bulk))
        .service(read_only_resource("/ServiceProviderConfig", scope, discovery::provider_config))
        .service(read_only_resource("/ResourceTypes", scope, discovery::resource_types))
        .service(read_only_resource("/ResourceTypes/{id}", scope, discovery::resource_type))
        .service(read_only_resource("/Schemas", scope, discovery::schemas))
        .service(read_only_resource("/Schemas/{urn}", scope, discovery::schema));
}

/// Creates a resource whose route has a name in logs and metrics.
fn named_resource(path: &str, scope: &str) -> Resource {
    web::resource(path.to_owned()).app_data(RouteName::in_scope(scope, path))
}

/// Creates a resource that allows GET and HEAD.
fn read_only_resource<F, Args>(path: &str, scope: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = Route::new().guard(Any(Get()).or(Head())).to(handler);
    named_resource(path, scope).route(route).default_service(web::to(read_only))
}

/// Creates a resource that is searched by POST (RFC 7644 §3.4.3).
fn search_resource<F, Args>(path: &str, scope: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = Route::new().guard(Post()).to(handler);
    named_resource(path, scope).route(route).default_service(web::to(search_only))
}

async fn read_only() -> Result<&'static str, Error> {
    Err(Error::ReadOnly)
}

async fn search_only() -> Result<&'static str, Error> {
    Err(Error::SearchOnly)
}

/// Refuses `/Me`: the client is a program, and no user of the directory (RFC 7644 §3.11).
async fn me() -> Result<&'static str, Error> {
    Err(Error::NotImplemented("/Me"))
}

async fn bulk() -> Result<&'static str, Error> {
    Err(Error::NotImplemented("/Bulk"))
}

async fn no_route(request: HttpRequest, state: web::Data<State>) -> Result<&'static str, Error> {
    let has_webhooks = state.authenticator.has_webhooks();
    let suggestion =
        path_suggestion::suggestion(request.path(), state.optional_endpoints, has_webhooks);
    Err(Error::NoRoute(suggestion))
}

async fn no_metrics_route() -> Result<&'static str, Error> {
    Err(Error::NoMetricsRoute)
}

/// Reports whether a status is a failure of this server. 501 is none: it refuses a part of SCIM
/// that this server does not have.
fn is_failure(status: u16) -> bool {
    status >= 500 && status != 501
}
