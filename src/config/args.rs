//! Arguments of the commands. Their settings are groups of `settings`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use url::Url;

use crate::config::examples;
use crate::config::parsers::{address, percent, public_url, trimmed_path};
use crate::config::setting::setting;
use crate::config::settings::config_file::ConfigFileArgs;
use crate::config::settings::freshness::{DEFAULT_MAX_CHANGE, FreshnessSettings, MAX_CHANGE};
use crate::config::settings::limits::LimitSettings;
use crate::config::settings::listen::{
    DEFAULT_LISTEN, LISTEN, ListenSettings, PUBLIC_URL, TLS_CERT,
};
use crate::config::settings::logs::LogArgs;
use crate::config::settings::monitoring::MonitoringSettings;
use crate::config::settings::personio::PersonioArgs;
use crate::config::settings::state_file::StateFileArgs;
use crate::config::settings::tokens::PresentedTokenArgs;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(super) personio: PersonioArgs,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Settings of a server.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    #[command(flatten)]
    pub(super) listen: ListenSettings,
    #[command(flatten)]
    pub(super) tokens: PresentedTokenArgs,
    #[command(flatten)]
    pub(super) monitoring: MonitoringSettings,
    #[command(flatten)]
    pub(super) freshness: FreshnessSettings,
    #[command(flatten)]
    pub(super) limits: LimitSettings,
    #[command(flatten)]
    pub(super) config_file: ConfigFileArgs,
    #[command(flatten)]
    pub(super) state: StateFileArgs,
}

/// Settings of the reading side, with the same meaning as for `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadingArgs {
    #[command(flatten)]
    pub(super) personio: PersonioArgs,
    #[command(flatten)]
    pub(super) config_file: ConfigFileArgs,
    /// URL under which clients reach the server, without /scim/v2; `meta.location` begins with it
    #[arg(
        long = PUBLIC_URL.flag,
        env = PUBLIC_URL.variable,
        value_name = "URL",
        value_parser = setting(public_url)
    )]
    pub(super) public_url: Option<Url>,
    /// Limit of the completeness check: 100% accepts a company in which most persons have no status
    /// or e-mail address
    #[arg(
        long = MAX_CHANGE.flag,
        env = MAX_CHANGE.variable,
        value_name = "PERCENT",
        default_value = DEFAULT_MAX_CHANGE,
        value_parser = setting(percent)
    )]
    pub(super) max_change: f64,
}

/// Persons that the simulator generates.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Population {
    /// Number of persons
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub persons: u32,
    /// Seed of the generated data: another number generates other persons
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Persons that are simulated.
    #[command(flatten)]
    pub population: Population,
    #[command(flatten)]
    pub(super) server: ServerArgs,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// Format of the users
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub format: ExportFormat,
    /// File to write, which appears once it is complete [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Export what this client of the configuration file sees [default: everything]
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Users and attributes to export.
    #[command(flatten)]
    pub query: ExportQueryArgs,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Users and attributes to export, as the query parameters of the server.
#[derive(Debug, clap::Args)]
pub struct ExportQueryArgs {
    /// Only users that match this SCIM filter
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Only these attributes, with commas between them
    #[arg(long, value_name = "NAMES")]
    pub attributes: Option<String>,
    /// All attributes but these, with commas between them
    #[arg(long, value_name = "NAMES")]
    pub excluded_attributes: Option<String>,
    /// Sort by this attribute
    #[arg(long, value_name = "NAME")]
    pub sort_by: Option<String>,
    /// Sort order: ascending or descending
    #[arg(long, value_name = "ORDER")]
    pub sort_order: Option<String>,
    /// Maximum number of users to export
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<String>,
}

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    pub(super) reading: ReadingArgs,
    /// Show the attributes that persons have, all custom attributes, and a few persons as they
    /// would be served
    #[arg(long, short)]
    pub verbose: bool,
    /// Number of persons to show, with the source of each SCIM attribute, 0 to 20; implies
    /// --verbose [default: 3]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub sample: Option<u8>,
    /// Show complete values of persons, not only first letter and length; implies --verbose
    #[arg(long)]
    pub show_values: bool,
    /// Format of the report.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Format of the exported users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON Lines: one user on each line
    Ndjson,
    /// SCIM list response in JSON
    Json,
    /// Table with a heading; several values of one attribute have `;` between them. Text that a
    /// spreadsheet would run as a formula gets an apostrophe in front
    Csv,
    /// Table with the columns of C1's file connector, escaped in the same way
    C1,
}

/// Arguments of `simulator`.
#[derive(Debug, clap::Args)]
pub struct SimulatorArgs {
    /// Persons that are simulated.
    #[command(flatten)]
    pub population: Population,
    /// Address and port to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8081",
        value_parser = setting(address)
    )]
    pub listen: SocketAddr,
    /// Accepted client id
    #[arg(long, value_name = "ID", default_value = "demo")]
    pub client_id: String,
    /// Accepted client secret
    #[arg(long, value_name = "SECRET", default_value = "demo-secret")]
    pub client_secret: String,
    /// Number of requests a second that each endpoint allows
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rate: u32,
    /// Number of requests at once that each endpoint allows
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub burst: u32,
    /// Number of persons a minute that get another family name
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(..=60_000)
    )]
    pub changes_per_minute: u32,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Arguments of `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct HealthcheckArgs {
    /// Server to check.
    #[command(flatten)]
    pub server: LocalServer,
    /// Check that it has data to serve, not only that it is alive
    #[arg(long)]
    pub ready: bool,
}

/// Arguments of `approve`.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// Id of the change to approve, as shown by `approve`, the log and /health/ready; without it, a
    /// prompt asks for confirmation
    pub id: Option<String>,
    /// Print the id of each affected user, with the change to this user
    #[arg(long)]
    pub show: bool,
    /// Approve the shown change without a prompt
    #[arg(long)]
    pub yes: bool,
    /// Server that holds the change.
    #[command(flatten)]
    pub server: LocalServer,
}

/// Address of the server on this machine, from the same settings that the server has.
#[derive(Debug, Clone, clap::Args)]
pub struct LocalServer {
    /// Address on which the server listens
    #[arg(
        long = LISTEN.flag,
        env = LISTEN.variable,
        value_name = "ADDRESS",
        default_value = DEFAULT_LISTEN,
        value_parser = setting(address)
    )]
    listen: SocketAddr,
    /// Certificate of the server: if it is set, requests use TLS. The file is not read
    #[arg(
        long = TLS_CERT.flag,
        env = TLS_CERT.variable,
        value_name = "FILE",
        value_parser = setting(trimmed_path),
        value_hint = ValueHint::Unknown
    )]
    tls_cert: Option<PathBuf>,
}

impl LocalServer {
    /// Returns the URL of the server for a client on the same machine.
    #[must_use]
    pub fn url(&self) -> String {
        let is_tls = match &self.tls_cert {
            Some(file) => !file.as_os_str().is_empty(),
            None => false,
        };
        local_url(self.listen, is_tls)
    }
}

/// Returns the URL of a server that listens on `address`, for a client on the same machine.
#[must_use]
pub fn local_url(mut address: SocketAddr, is_tls: bool) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Action of the command.
    #[command(subcommand)]
    pub action: TokenAction,
}

/// Action of `token`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum TokenAction {
    /// Make a random token, and print it with its hash
    ///
    /// The token is for the client. Its hash, the SHA-256 of the token in hexadecimal, is for the
    /// settings: a person who reads the settings cannot use it as a token.
    #[command(after_help = examples::TOKEN_NEW)]
    New(OutputArgs),
    /// Read a token from standard input and print its hash
    #[command(after_help = examples::TOKEN_HASH)]
    Hash(OutputArgs),
}

/// Format of the output.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct OutputArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell that runs the script
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write one page for each command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}
