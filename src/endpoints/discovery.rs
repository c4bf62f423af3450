//! The documents that describe this server (RFC 7644 §4). They need the token too: an open
//! discovery makes a wrong token look right.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::{Error, State, extract, respond};
use crate::scim::ListResponse;

pub(super) async fn service_provider_config(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    extract::no_filter(&request)?;
    let mut document = state.directory.vocabulary().discovery.service_provider_config.clone();
    if let (Value::Object(members), false) = (&mut document, state.announces_pagination) {
        members.shift_remove("pagination");
    }
    respond::document(&request, &state, document.to_string()).await
}

pub(super) async fn resource_types(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    whole_list(&request, &state, &state.directory.vocabulary().discovery.resource_types).await
}

pub(super) async fn resource_type(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    extract::no_filter(&request)?;
    let vocabulary = state.directory.vocabulary();
    let document = vocabulary.discovery.resource_type(&id).ok_or(Error::NoResource("ResourceType"))?;
    respond::document(&request, &state, document.to_string()).await
}

pub(super) async fn schemas(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    whole_list(&request, &state, &state.directory.vocabulary().discovery.schemas).await
}

pub(super) async fn schema(
    request: HttpRequest,
    urn: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    extract::no_filter(&request)?;
    let vocabulary = state.directory.vocabulary();
    let document = vocabulary.discovery.schema(&urn).ok_or(Error::NoResource("Schema"))?;
    respond::document(&request, &state, document.to_string()).await
}

/// "filter, sort, pagination … SHALL be ignored", but a filter "403" (RFC 7644 §4).
async fn whole_list(request: &HttpRequest, state: &State, documents: &[Value]) -> Result<HttpResponse, Error> {
    extract::no_filter(request)?;
    let list = ListResponse::new(documents.len(), 1, documents.iter().collect());
    respond::document(request, state, list.to_json()).await
}
