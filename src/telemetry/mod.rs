//! Logs: text for people at a terminal, JSON for everything else, on standard error. What a line says of a request is
//! for the endpoints to say.

mod json;
mod lines;
#[cfg(feature = "otlp")]
mod otlp;

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::telemetry::json::Json;
pub use crate::telemetry::lines::dropped_lines;
#[cfg(feature = "otlp")]
pub use crate::telemetry::otlp::Traces;

/// Directives for crates of others. The server's crates report every worker, and as an error every
/// stranger who does not speak HTTP.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";
/// This crate as targets of events name it.
const OWN: &str = "personio_scim";
/// Crates whose events `RUST_LOG` may choose by a name alone.
const OTHERS: [&str; 9] =
    ["actix_http", "actix_server", "actix_web", "h2", "hyper", "hyper_util", "reqwest", "rustls", "tokio"];
/// Levels, from nothing to everything.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The choices of an operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// One of [`LEVELS`]; without one, `RUST_LOG` decides.
    pub level: Option<&'static str>,
    /// Form of the lines.
    pub format: Format,
}

/// Form of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// An object on each line.
    Json,
}

/// Logs that have begun. What waits to be written when this goes is written then.
#[must_use]
pub struct Logs {
    _writer: lines::Writer,
}

/// Starts the logs, as `settings` say, or `RUST_LOG` where they name no level.
///
/// # Errors
/// When `RUST_LOG` cannot be understood: one line.
pub fn start(settings: Settings) -> Result<Logs, String> {
    let filter = match (settings.level, rust_log()) {
        (Some(level), _) => EnvFilter::new(of_level(level)),
        (None, Some(text)) => chosen(&text)?,
        (None, None) => EnvFilter::new(of_level("info")),
    };
    let logs = tracing_subscriber::registry().with(filter).with(filter_fn(is_discreet));
    let is_text = match settings.format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Text => true,
        Format::Json => false,
    };
    let (lines, writer) = lines::start(std::io::stderr()).map_err(|error| format!("logs: {error}"))?;
    let started = if is_text {
        let text = tracing_subscriber::fmt::layer().with_writer(lines).with_target(false);
        // A terminal that was closed takes no line, and no complaint about that either.
        let text = text.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
        logs.with(text).try_init()
    } else {
        logs.with(Json(lines)).try_init()
    };
    started.map_err(|error| format!("logs: {error}"))?;
    Ok(Logs { _writer: writer })
}

/// Returns what `RUST_LOG` holds, unless it is nothing.
fn rust_log() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the variable is that of the library, and of no setting")]
    let text = std::env::var(EnvFilter::DEFAULT_ENV).ok()?;
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Returns the directives for a level. Crates of others never say more than at `info`.
fn of_level(level: &str) -> String {
    match level {
        "debug" | "trace" => format!("info,{OWN}={level},{QUIET}"),
        "info" => format!("{level},{QUIET}"),
        _ => level.to_owned(),
    }
}

/// Returns the filter of `RUST_LOG`. A word that is no level is a target to the filter's own parser, and everything
/// else would be switched off silently.
fn chosen(text: &str) -> Result<EnvFilter, String> {
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let is_bare = !directive.contains(['=', '[']);
        let target = directive.split(['=', '[', ':']).next().unwrap_or_default();
        let is_level =
            LEVELS.contains(&directive.to_lowercase().as_str()) || directive.parse::<u8>().is_ok_and(|it| it < 6);
        let is_target = target == OWN || OTHERS.contains(&target);
        // A crate that is not known here may exist; one with a hyphen does not.
        if (is_bare && !is_level && !is_target) || target.contains('-') {
            return Err(format!(
                "RUST_LOG: `{directive}` is no level: write {} or, for this program alone, {OWN}=debug",
                LEVELS.join(", ")
            ));
        }
    }
    text.parse().map_err(|error| format!("RUST_LOG: {error}; levels are {}", LEVELS.join(", ")))
}

/// The server's crate quotes headers that it cannot read when it is made to tell everything. It is
/// not, whatever `RUST_LOG` says.
fn is_discreet(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("actix_http") || *event.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_would_switch_everything_off_is_refused() {
        for (text, is_right) in [
            ("info", true),
            ("WARN", true),
            ("3", true),
            ("off", true),
            ("debug,hyper=warn", true),
            ("personio_scim", true),
            ("personio_scim::directory=debug", true),
            ("warn,other_crate=debug", true),
            ("trace,actix_http::h1::decoder=trace", true),
            ("info,[span]=debug", true),
            ("verbose", false),
            ("information", false),
            ("7", false),
            ("personio-scim=debug", false),
            ("personio_scim=loud", false),
            ("info,everything", false),
        ] {
            let chosen = chosen(text);
            assert_eq!(chosen.is_ok(), is_right, "{text}: {chosen:?}");
            let names_levels = |error: String| error.contains("off, error, warn, info, debug, trace");
            assert!(chosen.err().is_none_or(names_levels), "{text}");
        }
    }
}
