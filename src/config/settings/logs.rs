//! Settings of the log.

use crate::config::parsers::word;
use crate::config::setting::{InvalidValue, setting};
use crate::telemetry;

/// Settings of the log.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// Log level: off, error, warn, info, debug or trace [default: that of RUST_LOG, or info]
    #[arg(
        long,
        env = "SCIM_LOG_LEVEL",
        value_name = "LEVEL",
        value_parser = setting(log_level)
    )]
    log_level: Option<&'static str>,
    /// Format of the log: text, json, or auto (text on a terminal, JSON otherwise)
    #[arg(
        long,
        env = "SCIM_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "auto",
        value_parser = setting(log_format)
    )]
    log_format: telemetry::LogFormat,
}

impl LogArgs {
    /// Returns the settings of the log.
    #[must_use]
    pub fn settings(&self) -> telemetry::LogSettings {
        telemetry::LogSettings { level: self.log_level, format: self.log_format }
    }
}

fn log_level(text: &str) -> Result<&'static str, InvalidValue> {
    word(text, &telemetry::LEVELS)
}

fn log_format(text: &str) -> Result<telemetry::LogFormat, InvalidValue> {
    Ok(match word(text, &["auto", "text", "json"])? {
        "text" => telemetry::LogFormat::Text,
        "json" => telemetry::LogFormat::Json,
        _ => telemetry::LogFormat::Auto,
    })
}
