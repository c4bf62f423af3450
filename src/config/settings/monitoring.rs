//! Settings of what operators watch: metrics, status page and traces.

use std::net::SocketAddr;

use clap::ArgAction;
#[cfg(feature = "otlp")]
use url::Url;

#[cfg(feature = "otlp")]
use crate::config::parsers::otlp_endpoint;
use crate::config::parsers::{address, switch};
use crate::config::setting::{SettingName, setting};

/// Separate address for metrics.
pub const METRICS_LISTEN: SettingName = SettingName::new("metrics-listen", "SCIM_METRICS_LISTEN");

/// Settings of metrics, status page and traces.
#[derive(Debug, Clone, clap::Args)]
pub struct MonitoringSettings {
    /// Separate address and port for /metrics, with /health [default: the address of SCIM]
    #[arg(
        long = METRICS_LISTEN.flag,
        env = METRICS_LISTEN.variable,
        value_name = "ADDRESS",
        value_parser = setting(address)
    )]
    pub metrics_listen: Option<SocketAddr>,
    /// Status page at /status, for people with a browser and a token: on or off
    #[arg(
        long,
        env = "SCIM_STATUS_PAGE",
        value_name = "SWITCH",
        default_value = "on",
        action = ArgAction::Set,
        value_parser = setting(switch)
    )]
    pub status_page: bool,
    /// URL of the OpenTelemetry collector that receives a trace of each request (OTLP over HTTP),
    /// without /v1/traces
    #[cfg(feature = "otlp")]
    #[arg(
        long,
        env = "SCIM_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = setting(otlp_endpoint)
    )]
    pub otlp_endpoint: Option<Url>,
}
