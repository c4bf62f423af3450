//! Logs on standard error: text on a terminal, JSON otherwise. The module `server` decides which
//! fields the line of a request has.

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

use crate::telemetry::json::JsonLayer;
pub use crate::telemetry::lines::dropped_lines;
#[cfg(feature = "otlp")]
pub use crate::telemetry::otlp::Traces;

/// Directives for other crates. actix reports each worker, and it reports as an error each peer
/// that does not speak HTTP.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";
/// Name of this crate in the targets of events.
const OWN: &str = "personio_scim";
/// Other crates that `RUST_LOG` may name without a level.
const KNOWN_CRATES: [&str; 9] = [
    "actix_http",
    "actix_server",
    "actix_web",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "tokio",
];
/// Log levels, from least to most verbose.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Log settings of an operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// Level, one of [`LEVELS`]. Without a level, `RUST_LOG` applies.
    pub level: Option<&'static str>,
    /// Format of the lines.
    pub format: LogFormat,
}

/// Format of the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON, one object on each line.
    Json,
}

/// Guard of the running log. Dropping it writes pending lines.
#[must_use]
pub struct LogGuard {
    _writer: lines::FlushGuard,
}

/// Starts the log with the level in `settings`, or with the directives in `RUST_LOG` if `settings`
/// has no level.
///
/// # Errors
/// Returns one line of text when `RUST_LOG` is invalid or the log cannot be started.
pub fn start(settings: LogSettings) -> Result<LogGuard, String> {
    let filter = match (settings.level, rust_log()) {
        (Some(level), _) => EnvFilter::new(level_directives(level)),
        (None, Some(text)) => parse_rust_log(&text)?,
        (None, None) => EnvFilter::new(level_directives("info")),
    };
    let logs = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
    let is_text = match settings.format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let (lines, writer) =
        lines::start(std::io::stderr()).map_err(|error| format!("logs: {error}"))?;
    let started = if is_text {
        let text = tracing_subscriber::fmt::layer().with_writer(lines).with_target(false);
        // Writing to a closed terminal fails, and the library must not report that to the same
        // terminal.
        let text = text.with_ansi(std::io::stderr().is_terminal()).log_internal_errors(false);
        logs.with(text).try_init()
    } else {
        logs.with(JsonLayer(lines)).try_init()
    };
    started.map_err(|error| format!("logs: {error}"))?;
    Ok(LogGuard { _writer: writer })
}

/// Returns the content of `RUST_LOG`, unless it is blank.
fn rust_log() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "RUST_LOG is a variable of the library, not a setting"
    )]
    let text = std::env::var(EnvFilter::DEFAULT_ENV).ok()?;
    if text.trim().is_empty() { None } else { Some(text) }
}

/// Returns the directives for a level. Other crates log at most at `info`.
fn level_directives(level: &str) -> String {
    match level {
        "debug" | "trace" => format!("info,{OWN}={level},{QUIET}"),
        "info" => format!("{level},{QUIET}"),
        _ => level.to_owned(),
    }
}

/// Parses `RUST_LOG`. The parser of the library takes a word that is not a level for a target and
/// switches everything else off silently, so such a word is an error here.
fn parse_rust_log(text: &str) -> Result<EnvFilter, String> {
    let levels = LEVELS.join(", ");
    for directive in text.split(',') {
        let directive = directive.trim();
        if !directive.is_empty() && !is_sound(directive) {
            return Err(format!(
                "RUST_LOG: invalid level `{directive}`: expected {levels} or, for this program \
                 alone, {OWN}=debug"
            ));
        }
    }
    text.parse().map_err(|error| format!("RUST_LOG: {error}; levels are {levels}"))
}

/// Reports whether a directive is a level, or has a target that can exist.
fn is_sound(directive: &str) -> bool {
    let target = directive.split(['=', '[', ':']).next().unwrap_or_default();
    // The name of a crate in a target has no hyphen.
    if target.contains('-') {
        return false;
    }
    // A target with a level may name a crate that is not listed here.
    let has_level = directive.contains(['=', '[']);
    has_level || is_level(directive) || target == OWN || KNOWN_CRATES.contains(&target)
}

/// Reports whether a text is a level: a word in any case, or a number.
fn is_level(text: &str) -> bool {
    match text.parse::<u8>() {
        Ok(number) => usize::from(number) < LEVELS.len(),
        Err(_) => LEVELS.contains(&text.to_lowercase().as_str()),
    }
}

/// Reports whether an event may be logged. Below `info`, actix quotes headers that it cannot parse,
/// so these events are never logged, whatever `RUST_LOG` contains.
fn may_be_logged(event: &Metadata<'_>) -> bool {
    !event.target().starts_with("actix_http") || *event.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_levels_in_rust_log_are_refused() {
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
            let chosen = parse_rust_log(text);
            assert_eq!(chosen.is_ok(), is_right, "{text}: {chosen:?}");
            let names_levels =
                |error: String| error.contains("off, error, warn, info, debug, trace");
            assert!(chosen.err().is_none_or(names_levels), "{text}");
        }
    }
}
