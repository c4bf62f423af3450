//! From an answer to a response: the media type, the entity tag, the coding.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE, ContentEncoding, ETAG, Encoding,
    Header, HeaderName, HeaderValue, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use serde::Serialize;

use crate::scim;
use crate::scim::{Projection, Resource, SearchRequest};
use crate::server::media_type::{JSON, SCIM_JSON};
use crate::server::middleware::request_log;
use crate::server::response_cache::{Answer, Coding};
use crate::server::{Error, State, request};

/// A larger answer is coded in a thread of its own: the worker has others to answer.
const LARGE: usize = 32 * 1024;
const SCIM_TYPE: (HeaderName, HeaderValue) = (CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
/// A shared cache must not give a client an answer that it cannot read.
const VARY_OF_SCIM: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
const VARY_OF_JSON: (HeaderName, HeaderValue) = (VARY, HeaderValue::from_static("Accept-Encoding"));

/// Returns a SCIM document.
pub(super) async fn document(
    request: &HttpRequest,
    state: &State,
    json: impl Into<Bytes>,
) -> Result<HttpResponse, Error> {
    let answer = kept(request, state, json.into()).await?;
    Ok(sent(HttpResponse::Ok().insert_header(SCIM_TYPE).insert_header(VARY_OF_SCIM), answer))
}

/// A document in plain JSON.
pub(super) async fn plain_document(request: &HttpRequest, state: &State, json: String) -> Result<HttpResponse, Error> {
    let answer = kept(request, state, json.into()).await?;
    Ok(sent(HttpResponse::Ok().content_type(JSON).insert_header(VARY_OF_JSON), answer))
}

/// A list, with its entity tag if it was asked for by a URL.
pub(super) fn list(answer: Answer, tag: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(SCIM_TYPE).insert_header(VARY_OF_SCIM);
    if let Some(tag) = tag {
        response.insert_header((ETAG, tag));
    }
    sent(&mut response, answer)
}

/// One resource, or nothing if the client has it already. What is asked for means what it means for this very resource.
pub(super) async fn resource(
    request: &HttpRequest,
    state: &State,
    resource: &Resource,
    search: &SearchRequest,
) -> Result<HttpResponse, Error> {
    let projection = Projection::new(resource.resource_type(), &search.attributes, &search.excluded_attributes)?;
    let tag = &*resource.version().unwrap_or_default();
    let known = request::has(request, tag);
    let mut response = if known { not_modified(tag) } else { HttpResponse::Ok() };
    // A 304 too has the Content-Location "that would have been sent in a 200" (RFC 9110 §15.4.5).
    if let Some(location) = resource.location() {
        response.insert_header((CONTENT_LOCATION, &*location));
    }
    if known {
        return Ok(response.finish());
    }
    request_log::rows(request, 1);
    let mut json = Vec::with_capacity(resource.json().len());
    projection.write(resource, &mut json);
    let answer = kept(request, state, json.into()).await?;
    response.insert_header(SCIM_TYPE).insert_header(VARY_OF_SCIM).insert_header((ETAG, tag));
    Ok(sent(&mut response, answer))
}

/// The coding that the client likes best of those that there are (RFC 9110 §12.5.3). Who takes none of them, and nothing
/// uncoded either, gets that all the same.
pub(super) fn coding(request: &HttpRequest) -> Coding {
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        return Coding::Identity;
    }
    let known = [Encoding::zstd(), Encoding::brotli(), Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(request).ok().and_then(|accepted| accepted.negotiate(known.iter()));
    match accepted {
        Some(Encoding::Known(ContentEncoding::Zstd)) => Coding::Zstd,
        Some(Encoding::Known(ContentEncoding::Brotli)) => Coding::Brotli,
        Some(Encoding::Known(ContentEncoding::Gzip)) => Coding::Gzip,
        _ => Coding::Identity,
    }
}

/// A body in the coding that the client likes.
async fn kept(request: &HttpRequest, state: &State, body: Bytes) -> Result<Answer, Error> {
    let coding = coding(request);
    let answer = Answer { body, coding: Coding::Identity, rows: 0, is_followed: false };
    if coding.applies_to(answer.body.len()) {
        return Box::pin(coded_once(state, answer, coding)).await;
    }
    Ok(answer)
}

/// A body that is coded once for all who ask.
async fn coded_once(state: &State, answer: Answer, coding: Coding) -> Result<Answer, Error> {
    let question = scim::digest([&answer.body[..]]);
    if let Some(given) = state.answers.get(&question, coding).await {
        return Ok(given);
    }
    let coded = coded(answer, coding).await?;
    state.answers.keep(&question, coding, &coded).await;
    Ok(coded)
}

/// An answer in this coding.
pub(super) async fn coded(answer: Answer, coding: Coding) -> Result<Answer, Error> {
    if coding == Coding::Identity || answer.body.len() < LARGE {
        return Ok(answer.coded(coding));
    }
    web::block(move || answer.coded(coding)).await.map_err(|_| Error::BrokeOff)
}

fn sent(response: &mut HttpResponseBuilder, answer: Answer) -> HttpResponse {
    let name = match answer.coding {
        Coding::Identity => None,
        Coding::Gzip => Some("gzip"),
        Coding::Brotli => Some("br"),
        Coding::Zstd => Some("zstd"),
    };
    if let Some(name) = name {
        response.insert_header((CONTENT_ENCODING, name));
    }
    response.body(answer.body)
}

/// "304 (Not Modified)" (RFC 7644 §3.14).
pub(super) fn not_modified(tag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::NotModified();
    response.insert_header((ETAG, tag)).insert_header(VARY_OF_SCIM);
    response
}

/// Plain JSON, for what is not SCIM.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).content_type(JSON).body(serde_json::to_vec(body).unwrap_or_default())
}
