//! RFC 7644 §3.2 over HTTP: URLs, authentication, and the way from a request to a query and from an
//! answer to a response. It does not know where the directory's data comes from.

mod auth;
mod body;
mod discovery;
mod error;
mod extract;
mod groups;
mod health;
mod respond;
mod users;

use actix_web::guard::{Any, Get, Head};
use actix_web::middleware::from_fn;
use actix_web::{Handler, HttpRequest, Resource, Responder, Route, web};
use secrecy::SecretString;

pub use auth::Token;
pub use error::Error;
pub use respond::request_id;

use crate::directory::Directory;
use crate::scim::Discovery;

/// What the endpoints serve from.
pub struct State {
    directory: Directory,
    discovery: Discovery,
    token: Token,
    max_results: usize,
}

impl State {
    /// Endpoints over `directory` for clients that present `bearer_token`.
    #[must_use]
    pub fn new(directory: Directory, discovery: Discovery, bearer_token: &SecretString, max_results: usize) -> Self {
        Self { directory, discovery, token: Token::new(bearer_token), max_results }
    }
}

/// All routes: SCIM under `/scim/v2` and, the same, at the root; health without a token.
pub fn configure(service: &mut web::ServiceConfig) {
    service
        .service(resource("/health/live", health::live))
        .service(resource("/health/ready", health::ready))
        .service(
            web::scope("/scim/v2")
                .configure(scim)
                .wrap(from_fn(body::drain))
                .wrap(from_fn(auth::check))
                .default_service(web::to(no_route)),
        )
        .service(
            web::scope("")
                .configure(scim)
                .wrap(from_fn(body::drain))
                .wrap(from_fn(auth::check))
                .default_service(web::to(no_route)),
        );
}

fn scim(service: &mut web::ServiceConfig) {
    service
        .service(resource("/Users", users::list))
        .service(resource("/Users/{id}", users::read))
        .service(resource("/Groups", groups::list))
        .service(resource("/Groups/{id}", groups::read))
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

async fn read_only() -> Result<&'static str, Error> {
    Err(Error::ReadOnly)
}

async fn no_route(_: HttpRequest) -> Result<&'static str, Error> {
    Err(Error::NoRoute)
}
