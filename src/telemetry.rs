//! Logs: text for people at a terminal, JSON for everything else, on standard error. A request is
//! named by its route, never by its query string, its headers or what they hold. When it
//! ends one line says how; where nothing could be served, a second one says why.

#[cfg(feature = "otlp")]
mod otlp;

use std::env::VarError;
use std::error::Error as _;
use std::io::IsTerminal;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::{Level, Metadata, Span};
use tracing_actix_web::{RequestId, RootSpanBuilder};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

#[cfg(feature = "otlp")]
pub use otlp::Traces;

/// What is logged without `RUST_LOG`. The server's crates report every worker, and as an error every
/// stranger who does not speak HTTP.
const DEFAULT: &str = "info,actix_server=warn,actix_http::h1::dispatcher=off";

/// Starts the logs, as `RUST_LOG` says.
///
/// # Errors
/// When `RUST_LOG` cannot be understood: one line.
pub fn start() -> Result<(), String> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(error) if error.source().is_some_and(|source| !source.is::<VarError>()) => {
            return Err(format!("RUST_LOG: {error}"));
        }
        Err(_) => EnvFilter::new(DEFAULT),
    };
    let filter = filter.and(filter_fn(is_discreet));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        tracing_subscriber::registry().with(lines.with_target(false).with_filter(filter)).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
    };
    started.map_err(|error| format!("logs: {error}"))
}

/// The server's crate quotes headers that it cannot read when it is made to tell everything. It is
/// not, whatever `RUST_LOG` says.
fn is_discreet(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("actix_http") || *event.level() <= Level::INFO
}

/// The span around a request. The usual one of the crate records path and query.
pub struct RequestSpan;

struct Began(Instant);

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        request.extensions_mut().insert(Began(Instant::now()));
        let request_id = request.extensions().get::<RequestId>().map(ToString::to_string);
        // Whoever finds out who asks, or why they may not, and what is answered fills it in.
        let empty = tracing::field::Empty;
        tracing::info_span!("request", request_id, client = empty, refused = empty, address = empty, rows = empty)
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let _entered = span.enter();
        match outcome {
            Ok(response) => log(response.request(), response.status().as_u16()),
            Err(error) => tracing::warn!(status = error.as_response_error().status_code().as_u16(), "a request failed"),
        }
    }
}

fn log(request: &HttpRequest, status: u16) {
    let (method, pattern) = (request.method().as_str(), request.match_pattern());
    let route = pattern.as_deref().filter(|route| !route.is_empty()).unwrap_or("(no route)");
    let millis = request.extensions().get::<Began>().map_or(0, |began| began.0.elapsed().as_millis() as u64);
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(method, route, status, millis, "{method} {route} {status}");
    } else {
        tracing::info!(method, route, status, millis, "{method} {route} {status}");
    }
}
