//! From an answer to a response: the media type, the id of the request.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LOCATION, ETAG, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use serde_json::Value;
use tracing_actix_web::RequestId;

use super::{Error, extract, measure};
use crate::scim::{self, Projection, Resource, SearchRequest};

/// A document. It is `application/scim+json` whatever was asked for: there are clients that refuse
/// everything else, and none that refuses it (RFC 7644 §3.8).
pub(super) fn document(document: &Value) -> HttpResponse {
    HttpResponse::Ok().content_type(scim::MEDIA_TYPE).body(document.to_string())
}

/// A list, with its entity tag if it was asked for by a URL.
pub(super) fn list(json: Vec<u8>, tag: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(scim::MEDIA_TYPE);
    if let Some(tag) = tag {
        response.insert_header((ETAG, tag));
    }
    response.body(json)
}

/// One resource, or nothing if the client has it already. What is asked for means what it means for this very resource.
pub(super) fn resource(
    request: &HttpRequest,
    resource: &Resource,
    search: &SearchRequest,
) -> Result<HttpResponse, Error> {
    let projection = Projection::new(resource.resource_type(), &search.attributes, &search.excluded_attributes)?;
    let tag = &*resource.version().unwrap_or_default();
    let known = extract::has(request, tag);
    let mut response = if known { not_modified(tag) } else { HttpResponse::Ok() };
    // A 304 too has the Content-Location "that would have been sent in a 200" (RFC 9110 §15.4.5).
    if let Some(location) = resource.text("meta.location") {
        response.insert_header((CONTENT_LOCATION, &*location));
    }
    if known {
        return Ok(response.finish());
    }
    measure::rows(request, 1);
    let mut json = Vec::with_capacity(resource.json().len());
    projection.write(resource, &mut json);
    Ok(response.content_type(scim::MEDIA_TYPE).insert_header((ETAG, tag)).body(json))
}

/// "304 (Not Modified)" (RFC 7644 §3.14).
pub(super) fn not_modified(tag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::NotModified();
    response.insert_header((ETAG, tag));
    response
}

/// Plain JSON, for what is not SCIM.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(serde_json::to_vec(body).unwrap_or_default())
}

/// Writes the id of the request into the response, so that a client's report leads to the log.
///
/// # Errors
/// Those of the request.
pub async fn request_id(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let id = request.extensions().get::<RequestId>().map(ToString::to_string);
    let mut response = next.call(request).await?;
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    Ok(response)
}
