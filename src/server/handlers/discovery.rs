//! Documents that describe this server (RFC 7644 §4). They require authentication: if they did not,
//! a wrong token would look right in the connection test of a client.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::auth::DefaultPaging;
use crate::scim::ListResponse;
use crate::server::middleware::authenticate;
use crate::server::{Error, State, request, response};

pub(in crate::server) async fn provider_config(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::refuse_filter(&request)?;
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    let mut document = schema_registry.discovery.service_provider_config.clone();
    if let (Value::Object(members), false) = (&mut document, state.lists.announces_pagination) {
        members.shift_remove("pagination");
    }
    let client = authenticate::client(&request)?;
    if client.default_paging == DefaultPaging::Cursor
        && let Some(pagination) = document.get_mut("pagination")
    {
        pagination["defaultPaginationMethod"] = "cursor".into();
    }
    response::document(&request, &state, document.to_string()).await
}

pub(in crate::server) async fn resource_types(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    whole_list(&request, &state, &schema_registry.discovery.resource_types).await
}

pub(in crate::server) async fn resource_type(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::refuse_filter(&request)?;
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    let document = schema_registry.discovery.resource_type(&id);
    let document = document.ok_or(Error::ResourceNotFound("ResourceType"))?;
    response::document(&request, &state, document.to_string()).await
}

pub(in crate::server) async fn schemas(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    whole_list(&request, &state, &schema_registry.discovery.schemas).await
}

pub(in crate::server) async fn schema(
    request: HttpRequest,
    urn: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    request::refuse_filter(&request)?;
    let schema_registry = authenticate::view(&state, &request)?.schema_registry()?;
    let document =
        schema_registry.discovery.schema(&urn).ok_or(Error::ResourceNotFound("Schema"))?;
    response::document(&request, &state, document.to_string()).await
}

/// Returns all documents in one list. "filter, sort, pagination … SHALL be ignored", except that a
/// filter is refused with 403 (RFC 7644 §4).
async fn whole_list(
    request: &HttpRequest,
    state: &State,
    documents: &[Value],
) -> Result<HttpResponse, Error> {
    request::refuse_filter(request)?;
    let list = ListResponse::new(documents.len(), 1, documents.iter().collect());
    response::document(request, state, list.to_json()).await
}
