//! Construction of responses: media type, entity tag, content coding.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE,
    ContentEncoding, ETAG, Encoding, Header, HeaderName, HeaderValue, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;

use crate::scim;
use crate::scim::{Projection, Resource, SearchRequest};
use crate::server::media_type::{JSON, SCIM_JSON};
use crate::server::middleware::request_log;
use crate::server::response_cache::{ContentCoding, EncodedBody};
use crate::server::{Error, State, request};

/// Size from which a body is compressed on the blocking pool, so that the worker can serve other
/// requests.
const MIN_BLOCKING_ENCODE_BYTES: usize = 32 * 1024;

const SCIM_CONTENT_TYPE: (HeaderName, HeaderValue) =
    (CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
/// Headers of the request that select the representation. They keep a shared cache from sending a
/// client a body that it cannot read.
const SCIM_VARY: (HeaderName, HeaderValue) =
    (VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
const JSON_VARY: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Accept-Encoding"));

/// Returns a SCIM document.
pub(super) async fn document(
    request: &HttpRequest,
    state: &State,
    json: impl Into<Bytes>,
) -> Result<HttpResponse, Error> {
    let body = encode_document(request, state, json.into()).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header(SCIM_CONTENT_TYPE).insert_header(SCIM_VARY);
    Ok(finish(&mut response, body))
}

/// Returns a document of plain JSON.
pub(super) async fn plain_document(
    request: &HttpRequest,
    state: &State,
    json: String,
) -> Result<HttpResponse, Error> {
    let body = encode_document(request, state, json.into()).await?;
    let mut response = HttpResponse::Ok();
    response.content_type(JSON).insert_header(JSON_VARY);
    Ok(finish(&mut response, body))
}

/// Returns a list, with its entity tag if it was requested by GET.
pub(super) fn list(body: EncodedBody, tag: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(SCIM_CONTENT_TYPE).insert_header(SCIM_VARY);
    if let Some(tag) = tag {
        response.insert_header((ETAG, tag));
    }
    finish(&mut response, body)
}

/// Returns one resource, or 304 if the client has it already. The attributes of `search` are
/// resolved against the type of this resource.
pub(super) async fn resource(
    request: &HttpRequest,
    state: &State,
    resource: &Resource,
    search: &SearchRequest,
) -> Result<HttpResponse, Error> {
    let resource_type = resource.resource_type();
    let projection =
        Projection::new(resource_type, &search.attributes, &search.excluded_attributes)?;
    let tag = &*resource.version().unwrap_or_default();
    let is_unchanged = request::has_current(request, tag);
    let mut response = if is_unchanged { not_modified(tag) } else { HttpResponse::Ok() };
    // A 304 has the Content-Location "that would have been sent in a 200" (RFC 9110 §15.4.5).
    if let Some(location) = resource.location() {
        response.insert_header((CONTENT_LOCATION, &*location));
    }
    if is_unchanged {
        return Ok(response.finish());
    }
    request_log::set_resource_count(request, 1);
    let mut json = Vec::with_capacity(resource.json().len());
    projection.write(resource, &mut json);
    let body = encode_document(request, state, json.into()).await?;
    response.insert_header(SCIM_CONTENT_TYPE).insert_header(SCIM_VARY).insert_header((ETAG, tag));
    Ok(finish(&mut response, body))
}

/// Returns the supported content coding that the client prefers (RFC 9110 §12.5.3), and `Identity`
/// for a client that accepts none of them.
pub(super) fn coding(request: &HttpRequest) -> ContentCoding {
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        return ContentCoding::Identity;
    }
    let Ok(accepted) = AcceptEncoding::parse(request) else { return ContentCoding::Identity };
    let supported = [Encoding::zstd(), Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    match accepted.negotiate(supported.iter()) {
        Some(Encoding::Known(ContentEncoding::Zstd)) => ContentCoding::Zstd,
        Some(Encoding::Known(ContentEncoding::Brotli)) => ContentCoding::Brotli,
        Some(Encoding::Known(ContentEncoding::Gzip)) => ContentCoding::Gzip,
        _ => ContentCoding::Identity,
    }
}

/// Compresses a document as the client prefers it.
async fn encode_document(
    request: &HttpRequest,
    state: &State,
    bytes: Bytes,
) -> Result<EncodedBody, Error> {
    let coding = coding(request);
    let body = EncodedBody::document(bytes);
    if coding.applies_to(body.bytes.len()) {
        return Box::pin(encode_through_cache(state, body, coding)).await;
    }
    Ok(body)
}

/// Compresses a document, or returns it from the response cache.
async fn encode_through_cache(
    state: &State,
    body: EncodedBody,
    coding: ContentCoding,
) -> Result<EncodedBody, Error> {
    let digest = scim::digest([&body.bytes[..]]);
    if let Some(body) = state.response_cache.get(&digest, coding).await {
        return Ok(body);
    }
    let body = encode(body, coding).await?;
    state.response_cache.insert(&digest, coding, &body).await;
    Ok(body)
}

/// Compresses a body, on the blocking pool if it is large.
pub(super) async fn encode(body: EncodedBody, coding: ContentCoding) -> Result<EncodedBody, Error> {
    if coding == ContentCoding::Identity || body.bytes.len() < MIN_BLOCKING_ENCODE_BYTES {
        return Ok(body.encode(coding));
    }
    web::block(move || body.encode(coding)).await.map_err(|_| Error::Internal)
}

/// Adds the body and its content coding.
fn finish(response: &mut HttpResponseBuilder, body: EncodedBody) -> HttpResponse {
    if let Some(coding) = body.coding.header_value() {
        response.insert_header((CONTENT_ENCODING, coding));
    }
    response.body(body.bytes)
}

/// Begins a response "304 (Not Modified)" (RFC 7644 §3.14).
pub(super) fn not_modified(tag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::NotModified();
    response.insert_header((ETAG, tag)).insert_header(SCIM_VARY);
    response
}

/// Returns plain JSON, for endpoints outside SCIM.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let json = serde_json::to_vec(body).unwrap_or_default();
    HttpResponse::build(status).content_type(JSON).body(json)
}
