//! Logs: text for people at a terminal, JSON for everything else, on standard error. What a line says of a request is
//! for the endpoints to say.

mod json;
mod lines;
#[cfg(feature = "otlp")]
mod otlp;

use std::env::VarError;
use std::error::Error as _;
use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use json::Json;
#[cfg(feature = "otlp")]
pub use otlp::Traces;

/// What is logged without `RUST_LOG`. The server's crates report every worker, and as an error every
/// stranger who does not speak HTTP.
const DEFAULT: &str = "info,actix_server=warn,actix_http::h1::dispatcher=off";

/// Logs that have begun. What waits to be written when this goes is written then.
#[must_use]
pub struct Logs {
    _writer: Option<lines::Writer>,
}

/// Starts the logs, as `RUST_LOG` says.
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
    let logs = tracing_subscriber::registry().with(filter).with(filter_fn(is_discreet));
    let (started, writer) = if std::io::stderr().is_terminal() {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        (logs.with(lines).try_init(), None)
    } else {
        let (lines, writer) = lines::start(std::io::stderr()).map_err(|error| format!("logs: {error}"))?;
        (logs.with(Json(lines)).try_init(), Some(writer))
    };
    started.map_err(|error| format!("logs: {error}"))?;
    Ok(Logs { _writer: writer })
}

/// The server's crate quotes headers that it cannot read when it is made to tell everything. It is
/// not, whatever `RUST_LOG` says.
fn is_discreet(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("actix_http") || *event.level() <= Level::INFO
}
