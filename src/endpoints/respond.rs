//! From an answer to a response: the media type, the id of the request.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse};
use serde::Serialize;
use tracing_actix_web::RequestId;

use crate::scim;

/// A resource, a list or a document. It is `application/scim+json` whatever was asked for: there
/// are clients that refuse everything else, and none that refuses it (RFC 7644 §3.8).
pub(super) fn scim(body: &impl Serialize) -> HttpResponse {
    match serde_json::to_vec(body) {
        Ok(body) => HttpResponse::Ok().content_type(scim::MEDIA_TYPE).body(body),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
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
