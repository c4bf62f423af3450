//! Logs: text for people at a terminal, JSON for everything else, on standard error. What a line says of a request is
//! for the endpoints to say.

#[cfg(feature = "otlp")]
mod otlp;

use std::env::VarError;
use std::error::Error as _;
use std::io::{BufWriter, IsTerminal};

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

#[cfg(feature = "otlp")]
pub use otlp::Traces;

/// What is logged without `RUST_LOG`. The server's crates report every worker, and as an error every
/// stranger who does not speak HTTP.
const DEFAULT: &str = "info,actix_server=warn,actix_http::h1::dispatcher=off";

/// So many lines may wait to be written. Then whoever has another one waits: none is lost.
const WAITING: usize = 8192;

/// Logs that have begun. What waits to be written when this goes is written then.
#[must_use]
pub struct Logs {
    _writer: WorkerGuard,
}

/// Starts the logs, as `RUST_LOG` says. A thread of its own writes them, as many lines at once as there are: a request
/// does not wait for its line.
///
/// # Errors
/// When `RUST_LOG` cannot be understood: one line.
pub fn start() -> Result<Logs, String> {
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(error) if error.source().is_some_and(|source| !source.is::<VarError>()) => {
            return Err(format!("RUST_LOG: {error}"));
        }
        Err(_) => EnvFilter::new(DEFAULT),
    };
    let filter = filter.and(filter_fn(is_discreet));
    let writer = NonBlockingBuilder::default().lossy(false).buffered_lines_limit(WAITING);
    let (writer, guard) = writer.finish(BufWriter::new(std::io::stderr()));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let started = if std::io::stderr().is_terminal() {
        tracing_subscriber::registry().with(lines.with_target(false).with_filter(filter)).try_init()
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
        tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
    };
    started.map_err(|error| format!("logs: {error}"))?;
    Ok(Logs { _writer: guard })
}

/// The server's crate quotes headers that it cannot read when it is made to tell everything. It is
/// not, whatever `RUST_LOG` says.
fn is_discreet(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("actix_http") || *event.level() <= Level::INFO
}
