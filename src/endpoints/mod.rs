//! RFC 7644 §3.2 over HTTP: URLs, authentication, and the way from a request to a query and from an
//! answer to a response. It does not know where the directory's data comes from.

mod auth;
mod body;
mod discovery;
mod error;
mod extract;
mod groups;
mod health;
mod lists;
mod measure;
mod metrics;
mod respond;
mod users;
mod webhooks;

use actix_web::guard::{Any, Get, Head, Post};
use actix_web::middleware::from_fn;
use actix_web::{Handler, HttpRequest, Resource, Responder, Route, web};
use secrecy::{ExposeSecret, SecretString};

pub use auth::Token;
pub use error::Error;
pub use measure::measure;
pub use metrics::Register;
pub use respond::request_id;

use crate::directory::Directory;
use crate::scim::{CursorKey, Discovery, ResourceTypes, filter};

/// What the endpoints serve from.
pub struct State {
    directory: Directory,
    discovery: Discovery,
    types: ResourceTypes,
    token: Token,
    webhook_token: Option<Token>,
    notices: webhooks::Notices,
    requests: measure::Requests,
    register: Register,
    cursor_key: CursorKey,
    max_results: usize,
    filter_limits: filter::Limits,
}

impl State {
    /// Endpoints over `directory` for clients that present `bearer_token`, and for webhooks that present
    /// `webhook_token`. Numbers of other parts are shown by `register`.
    #[must_use]
    pub fn new(
        directory: Directory,
        discovery: Discovery,
        types: ResourceTypes,
        bearer_token: &SecretString,
        webhook_token: Option<&SecretString>,
        max_results: usize,
        filter_limits: filter::Limits,
        register: Register,
    ) -> Self {
        let (token, webhook_token) = (Token::new(bearer_token), webhook_token.map(Token::new));
        let cursor_key = CursorKey::new(bearer_token.expose_secret().as_bytes());
        let (notices, requests) = (webhooks::Notices::default(), measure::Requests::default());
        Self {
            directory,
            discovery,
            types,
            token,
            webhook_token,
            notices,
            requests,
            register,
            cursor_key,
            max_results,
            filter_limits,
        }
    }
}

/// All routes: SCIM under `/scim/v2` and, the same, at the root; health and metrics without a token; webhooks where
/// they have one.
pub fn configure(service: &mut web::ServiceConfig, state: &State) {
    if state.webhook_token.is_some() {
        service.service(webhooks::resource());
    }
    service
        .service(resource("/health/live", health::live))
        .service(resource("/health/ready", health::ready))
        .service(resource("/metrics", metrics::read))
        .service(
            web::scope("/scim/v2")
                .service(resource("", lists::everything))
                .configure(scim)
                .wrap(from_fn(body::read))
                .wrap(from_fn(auth::check))
                .default_service(web::to(no_route)),
        )
        .service(
            web::scope("")
                .service(resource("/", lists::everything))
                .configure(scim)
                .wrap(from_fn(body::read))
                .wrap(from_fn(auth::check))
                .default_service(web::to(no_route)),
        )
        // What has no path, such as `OPTIONS *`.
        .default_service(web::to(no_route));
}

fn scim(service: &mut web::ServiceConfig) {
    service
        .service(resource("/Users", lists::users))
        .service(search("/Users/.search", lists::search_users))
        .service(resource("/Users/{id}", users::read))
        .service(resource("/Groups", lists::groups))
        .service(search("/Groups/.search", lists::search_groups))
        .service(resource("/Groups/{id}", groups::read))
        .service(search("/.search", lists::search_everything))
        .service(web::resource("/Me").to(me))
        .service(web::resource("/Bulk").to(bulk))
        .service(resource("/ServiceProviderConfig", discovery::service_provider_config))
        .service(resource("/ResourceTypes", discovery::resource_types))
        .service(resource("/ResourceTypes/{id}", discovery::resource_type))
        .service(resource("/Schemas", discovery::schemas))
        .service(resource("/Schemas/{urn}", discovery::schema));
}

/// Something that can be read, and only read.
fn resource<F, Args>(path: &str, read: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = Route::new().guard(Any(Get()).or(Head())).to(read);
    web::resource(path.to_owned()).route(route).default_service(web::to(read_only))
}

/// Something that is asked by a body (RFC 7644 §3.4.3).
fn search<F, Args>(path: &str, search: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let route = Route::new().guard(Post()).to(search);
    web::resource(path.to_owned()).route(route).default_service(web::to(only_search))
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

async fn no_route(_: HttpRequest) -> Result<&'static str, Error> {
    Err(Error::NoRoute)
}
