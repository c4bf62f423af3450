//! Responses before they are sent, and the bodies of errors.
//!
//! `handle` adds the rate limit headers. `broken_response` creates the responses that are broken on
//! purpose.

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";

/// Response: a status with a body.
#[derive(Debug, Clone)]
pub(super) struct SimulatedResponse {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

impl SimulatedResponse {
    pub(super) fn new(status: u16, content_type: &'static str, body: String) -> Self {
        Self { status, content_type, body: Bytes::from(body) }
    }

    pub(super) fn json(status: u16, value: &Value) -> Self {
        Self::new(status, JSON, value.to_string())
    }
}

/// Trace id and time, which every error body contains.
#[derive(Debug, Clone)]
pub(super) struct ErrorContext {
    pub(super) trace_id: String,
    pub(super) timestamp: Timestamp,
}

/// Error of the API, without its trace id and its time.
#[derive(Debug, Clone)]
pub(super) struct PersonioProblem {
    status: u16,
    problem_type: &'static str,
    detail: String,
    meta: Value,
}

impl PersonioProblem {
    fn new(status: u16, problem_type: &'static str, detail: impl Into<String>) -> Self {
        Self { status, problem_type, detail: detail.into(), meta: json!({}) }
    }

    pub(super) fn status(status: u16) -> Self {
        Self::new(status, "personio:common.error", "The request could not be processed.")
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "personio:common.bad_request", detail)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "The access token is missing, wrong or expired.";
        Self::new(401, "personio:common.unauthorized", detail)
    }

    pub(super) fn too_many_requests() -> Self {
        Self::new(429, "personio:common.too_many_requests", "The rate limit is exceeded.")
    }

    /// Creates the 404 of a missing resource below an existing route.
    pub(super) fn no_resource() -> Self {
        let detail = "The requested resource was not found.";
        Self::new(404, "personio:common.resource_not_found", detail)
    }

    /// Creates the 404 of a missing route.
    pub(super) fn no_route(path: &str) -> Self {
        let detail = "The requested API was not found.";
        let problem = Self::new(404, "personio:gateway.apinot_found", detail);
        Self { meta: json!({ "path": path }), ..problem }
    }

    pub(super) fn into_response(self, error_context: &ErrorContext) -> SimulatedResponse {
        let body = json!({
            "personio_trace_id": error_context.trace_id,
            "timestamp": error_context.timestamp.to_string(),
            "errors": [{
                "title": reason_phrase(self.status),
                "detail": self.detail,
                "type": self.problem_type,
                "_meta": self.meta,
            }],
        });
        SimulatedResponse::new(self.status, PROBLEM_JSON, body.to_string())
    }
}

/// Creates the error response to a token request, whose body differs from that of other errors.
pub(super) fn token_error_response(
    error: &str,
    description: &str,
    error_context: &ErrorContext,
) -> SimulatedResponse {
    let body = json!({
        "error": error,
        "error_description": description,
        "error_uri": "https://developer.personio.de/reference",
        "timestamp": error_context.timestamp.to_string(),
        "trace_id": error_context.trace_id,
    });
    SimulatedResponse::json(400, &body)
}

/// Returns the standard reason phrase of a status, or `Error` for an unknown status.
pub(super) fn reason_phrase(status: u16) -> &'static str {
    match StatusCode::from_u16(status) {
        Ok(status) => status.canonical_reason().unwrap_or("Error"),
        Err(_) => "Error",
    }
}
