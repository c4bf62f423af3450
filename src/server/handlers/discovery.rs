//! The documents that describe this server (RFC 7644 §4). They need the token too: an open
//! discovery makes a wrong token look right.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::scim::ListResponse;
use crate::server::{Error, State, request, response};

pub(in crate::server) async fn service_provider_config(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::no_filter(&request)?;
    let mut document = state.directory.vocabulary().discovery.service_provider_config.clone();
    if let (Value::Object(members), false) = (&mut document, state.announces_pagination) {
        members.shift_remove("pagination");
    }
    response::document(&request, &state, document.to_string()).await
}

pub(in crate::server) async fn resource_types(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    whole_list(&request, &state, &state.directory.vocabulary().discovery.resource_types).await
}

pub(in crate::server) async fn resource_type(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::no_filter(&request)?;
    let vocabulary = state.directory.vocabulary();
    let document = vocabulary.discovery.resource_type(&id).ok_or(Error::NoResource("ResourceType"))?;
    response::document(&request, &state, document.to_string()).await
}

pub(in crate::server) async fn schemas(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    whole_list(&request, &state, &state.directory.vocabulary().discovery.schemas).await
}

pub(in crate::server) async fn schema(
    request: HttpRequest,
    urn: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::no_filter(&request)?;
    let vocabulary = state.directory.vocabulary();
    let document = vocabulary.discovery.schema(&urn).ok_or(Error::NoResource("Schema"))?;
    response::document(&request, &state, document.to_string()).await
}

/// "filter, sort, pagination … SHALL be ignored", but a filter "403" (RFC 7644 §4).
async fn whole_list(request: &HttpRequest, state: &State, documents: &[Value]) -> Result<HttpResponse, Error> {
    request::no_filter(request)?;
    let list = ListResponse::new(documents.len(), 1, documents.iter().collect());
    response::document(request, state, list.to_json()).await
}
