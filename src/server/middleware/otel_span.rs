//! A span of OpenTelemetry for each request, which says no more than metrics do. Who collects spans is not known here.

use actix_web::http::header::HeaderMap;
use opentelemetry::global::{self, BoxedSpan};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::auth::Caller;

const TRACEPARENT: &str = "traceparent";

/// A request that is traced while it is answered.
pub(in crate::server) struct Traced(BoxedSpan);

impl Traced {
    /// It belongs to the trace that the request names.
    pub(in crate::server) fn begin(headers: &HeaderMap) -> Self {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(headers));
        let tracer = global::tracer(env!("CARGO_PKG_NAME"));
        Self(tracer.span_builder("request").with_kind(SpanKind::Server).start_with_context(&tracer, &parent))
    }

    pub(in crate::server) fn end(self, method: &str, route: &str, caller: Option<&Caller>, status: u16) {
        let Self(mut span) = self;
        // Any word can be a method.
        let method = match method {
            method @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => method,
            _ => "_OTHER",
        };
        span.update_name(format!("{method} {route}"));
        span.set_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ]);
        if let Some(caller) = caller {
            span.set_attribute(KeyValue::new("scim.client", caller.name().to_owned()));
        }
        if crate::server::is_failure(status) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Of the headers only the one that names the trace: others may hold any text of whoever asks.
struct Parent<'h>(&'h HeaderMap);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.get(TRACEPARENT)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
