//! Flags of the commands as they are given, before anything is checked: names, defaults and help.

use std::path::PathBuf;

use clap::Subcommand;
use clap_complete::Shell;

use crate::config::examples;

/// Settings of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(super) personio: PersonioArgs,
    #[command(flatten)]
    pub(super) scim: ScimArgs,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Settings of the log.
#[derive(Debug, Clone, clap::Args)]
pub struct LogArgs {
    /// What is logged: off, error, warn, info, debug or trace [default: as RUST_LOG says, or info]
    #[arg(long, env = "SCIM_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// Form of the lines on standard error: text, json, or auto: text on a terminal, JSON otherwise
    #[arg(long, env = "SCIM_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub(super) log_format: String,
}

/// Settings of the access to Personio.
#[derive(Debug, clap::Args)]
pub(super) struct PersonioArgs {
    /// Client id of the Personio API credential (required)
    #[arg(long, env = "PERSONIO_CLIENT_ID", value_name = "ID")]
    pub(super) personio_client_id: Option<String>,
    /// Client secret of the Personio API credential (required)
    #[arg(long, env = "PERSONIO_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    personio_client_secret: Option<String>,
    /// File that holds the client secret
    #[arg(long, env = "PERSONIO_CLIENT_SECRET_FILE", value_name = "FILE")]
    personio_client_secret_file: Option<String>,
    /// Base URL of the Personio API; plain http only to this machine
    #[arg(long, env = "PERSONIO_BASE_URL", value_name = "URL", default_value = "https://api.personio.de")]
    pub(super) personio_base_url: String,
    /// Sent to Personio as X-Personio-App-ID
    #[arg(long, env = "PERSONIO_APP_ID", value_name = "NAME", default_value = "PERSONIO_SCIM")]
    pub(super) personio_app_id: String,
    /// Most requests to Personio that are in flight at once
    #[arg(long, env = "PERSONIO_MAX_CONCURRENCY", value_name = "NUMBER", default_value = "16")]
    pub(super) personio_max_concurrency: String,
}

/// Settings of the SCIM server.
#[derive(Debug, clap::Args)]
pub(super) struct ScimArgs {
    /// Address and port to listen on
    #[arg(long, env = "SCIM_LISTEN", value_name = "ADDRESS", default_value = LISTEN)]
    pub(super) listen: String,
    /// PEM file with the certificate of the server, and after it those that lead to a root: clients
    /// speak TLS then
    #[arg(long, env = "SCIM_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<String>,
    /// PEM file with its private key
    #[arg(long, env = "SCIM_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,
    /// URL under which clients reach this server, without /scim/v2 [default: http:// or, with TLS,
    /// https:// and the listen address]
    #[arg(long, env = "SCIM_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Token that SCIM clients present; `serve` needs this one, or clients in the configuration
    /// file
    #[arg(long, env = "SCIM_BEARER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    bearer_token: Option<String>,
    /// File that holds the token
    #[arg(long, env = "SCIM_BEARER_TOKEN_FILE", value_name = "FILE")]
    bearer_token_file: Option<String>,
    /// Token that Personio's webhooks present; without one there is no /webhooks/personio
    #[arg(long, env = "SCIM_WEBHOOK_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    webhook_token: Option<String>,
    /// File that holds the token of the webhooks
    #[arg(long, env = "SCIM_WEBHOOK_TOKEN_FILE", value_name = "FILE")]
    webhook_token_file: Option<String>,
    /// Address and port for /metrics alone, with /health; without it they are where everything is
    #[arg(long, env = "SCIM_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Whether there is a page at /status for people with a browser and a token: on or off
    #[arg(long, env = "SCIM_STATUS_PAGE", value_name = "SWITCH", default_value = "on")]
    pub(super) status_page: String,
    /// OpenTelemetry collector that gets a trace of each request by OTLP over HTTP, without
    /// /v1/traces
    #[cfg(feature = "otlp")]
    #[arg(long, env = "SCIM_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// How old served data may be before a request refreshes it
    #[arg(long, env = "SCIM_CACHE_TTL", value_name = "TIME", default_value = "5m")]
    pub(super) cache_ttl: String,
    /// How long a request waits for fresher data
    #[arg(long, env = "SCIM_REFRESH_WAIT", value_name = "TIME", default_value = "10s")]
    pub(super) refresh_wait: String,
    /// How old employments may be before they are read again although nothing says that they have
    /// changed
    #[arg(long, env = "SCIM_EMPLOYMENT_RECHECK", value_name = "TIME", default_value = "1h")]
    pub(super) employment_recheck: String,
    /// Share of the users that may disappear, become inactive, or lose their userName, e-mail
    /// address or employment at once or within two hours; a larger change is held back. 100%
    /// switches this off
    #[arg(long, env = "SCIM_MAX_CHANGE", value_name = "PERCENT", default_value = "20%")]
    pub(super) max_change: String,
    /// Refresh the data in the background this often, so that no request waits for it; at least 10s
    /// [default: only when a client sends a request]
    #[arg(long, env = "SCIM_REFRESH_EVERY", value_name = "TIME")]
    refresh_every: Option<String>,
    /// Oldest data that may be served while Personio fails
    #[arg(long, env = "SCIM_MAX_STALE", value_name = "TIME", default_value = "24h")]
    pub(super) max_stale: String,
    /// Most users on one page (filter.maxResults)
    #[arg(long, env = "SCIM_MAX_RESULTS", value_name = "NUMBER", default_value = "10000")]
    pub(super) max_results: String,
    /// Whether /ServiceProviderConfig has the block `pagination` of RFC 9865: on or off. Some older
    /// clients refuse it
    #[arg(long, env = "SCIM_ANNOUNCE_PAGINATION", value_name = "SWITCH", default_value = "on")]
    pub(super) announce_pagination: String,
    /// Most connections of clients that are open at once
    #[arg(long, env = "SCIM_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "1024")]
    pub(super) max_connections: String,
    /// Most connections from one address that have presented no right token; trusted proxies have
    /// no such limit
    #[arg(long, env = "SCIM_MAX_CONNECTIONS_PER_ADDRESS", value_name = "NUMBER", default_value = "256")]
    pub(super) max_connections_per_address: String,
    /// Longest filter, in bytes
    #[arg(long, env = "SCIM_MAX_FILTER_LENGTH", value_name = "BYTES", default_value = "10240")]
    pub(super) max_filter_length: String,
    /// Most parentheses and brackets that may be open at once in a filter
    #[arg(long, env = "SCIM_MAX_FILTER_DEPTH", value_name = "NUMBER", default_value = "50")]
    pub(super) max_filter_depth: String,
    /// Configuration file (TOML): the mapping, and the clients
    #[arg(long, env = "SCIM_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// File that keeps what was loaded through restarts, encrypted; needs a key
    #[arg(long, env = "SCIM_STATE_FILE", value_name = "FILE")]
    state_file: Option<String>,
    /// Key that the state file is encrypted with; at least 32 characters
    #[arg(long, env = "SCIM_STATE_KEY", value_name = "KEY", hide_env_values = true)]
    state_key: Option<String>,
    /// File that holds the key
    #[arg(long, env = "SCIM_STATE_KEY_FILE", value_name = "FILE")]
    state_key_file: Option<String>,
}

/// Default address to listen on. It is reachable from this machine only.
pub(super) const LISTEN: &str = "127.0.0.1:8080";

/// Persons that the simulator generates.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Population {
    /// How many persons
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub persons: u32,
    /// Another number makes other people
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// Settings of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Persons that are simulated.
    #[command(flatten)]
    pub population: Population,
    #[command(flatten)]
    pub(super) scim: ScimArgs,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Settings of `simulator`.
#[derive(Debug, clap::Args)]
pub struct SimulatorArgs {
    /// Persons that are simulated.
    #[command(flatten)]
    pub population: Population,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub listen: String,
    /// Client id that is accepted
    #[arg(long, value_name = "ID", default_value = "demo")]
    pub client_id: String,
    /// Client secret that is accepted
    #[arg(long, value_name = "SECRET", default_value = "demo-secret")]
    pub client_secret: String,
    /// Requests a second that each endpoint allows
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Requests at once that each endpoint allows
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub burst: u32,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Settings of `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct HealthcheckArgs {
    /// Server to ask.
    #[command(flatten)]
    pub server: LocalServer,
    /// Ask whether it has data to serve, not only whether it is alive
    #[arg(long)]
    pub ready: bool,
}

/// Settings of `approve`.
#[derive(Debug, clap::Args)]
pub struct ApproveArgs {
    /// Change to approve, as `approve`, the log and `/health/ready` name it; without it a person is
    /// asked
    pub id: Option<String>,
    /// Print the id of each user, and what would happen to them
    #[arg(long)]
    pub show: bool,
    /// Approve what is shown without asking
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
    #[arg(long, env = "SCIM_LISTEN", value_name = "ADDRESS", default_value = LISTEN)]
    pub(super) listen: String,
    /// The server's certificate: with one it is asked over TLS. The file is not read
    #[arg(long, env = "SCIM_TLS_CERT", value_name = "FILE")]
    pub(super) tls_cert: Option<String>,
}

/// Settings of `token`.
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
    New(TokenOutput),
    /// Read a token from standard input and print its hash
    #[command(after_help = examples::TOKEN_HASH)]
    Hash(TokenOutput),
}

/// Output of `token`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct TokenOutput {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Settings of `completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Settings of `man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write one page for each command into this folder instead
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}
