//! OpenTelemetry span of a request. It has the same attributes as the metrics: method, route,
//! status and client. The exporter is configured elsewhere.

use actix_web::http::header::HeaderMap;
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::auth::ClientName;

const TRACEPARENT: &str = "traceparent";

/// Span of a request that is being served.
pub(in crate::server) struct RequestSpan(BoxedSpan);

impl RequestSpan {
    /// Starts a span in the trace that `traceparent` names.
    pub(in crate::server) fn start(headers: &HeaderMap) -> Self {
        let propagator = TraceContextPropagator::new();
        let parent = propagator.extract_with_context(&Context::new(), &TraceParent(headers));
        let tracer = global::tracer(env!("CARGO_PKG_NAME"));
        let span = tracer.span_builder("request").with_kind(SpanKind::Server);
        Self(span.start_with_context(&tracer, &parent))
    }

    /// Ends the span.
    pub(in crate::server) fn end(
        self,
        method: &str,
        route: &str,
        client: Option<&ClientName>,
        status: u16,
    ) {
        let Self(mut span) = self;
        // A client can send any word as the method.
        let method = match method {
            "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
            _ => "_OTHER",
        };
        span.update_name(format!("{method} {route}"));
        span.set_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ]);
        if let Some(client) = client {
            span.set_attribute(KeyValue::new("scim.client", client.as_str().to_owned()));
        }
        if crate::server::is_failure(status) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// View of the request's headers that shows only `traceparent`. The others may hold personal data.
struct TraceParent<'h>(&'h HeaderMap);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.get(TRACEPARENT)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
