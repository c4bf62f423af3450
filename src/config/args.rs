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
    /// Log level: off, error, warn, info, debug or trace [default: that of RUST_LOG, or info]
    #[arg(long, env = "SCIM_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    /// Format of the log: text, json, or auto (text on a terminal, JSON otherwise)
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
    #[arg(
        long,
        env = "PERSONIO_BASE_URL",
        value_name = "URL",
        default_value = "https://api.personio.de"
    )]
    pub(super) personio_base_url: String,
    /// Name of this program in requests to Personio (X-Personio-App-ID)
    #[arg(long, env = "PERSONIO_APP_ID", value_name = "NAME", default_value = "PERSONIO_SCIM")]
    pub(super) personio_app_id: String,
    /// Maximum number of concurrent requests to Personio, 1 to 256
    #[arg(long, env = "PERSONIO_MAX_CONCURRENCY", value_name = "NUMBER", default_value = "16")]
    pub(super) personio_max_concurrency: String,
}

/// Settings of the SCIM server.
#[derive(Debug, clap::Args)]
pub(super) struct ScimArgs {
    /// Address and port to listen on
    #[arg(long, env = "SCIM_LISTEN", value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    pub(super) listen: String,
    /// PEM file with the certificate of the server, followed by its chain; with it, the server
    /// speaks TLS
    #[arg(long, env = "SCIM_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<String>,
    /// PEM file with the private key of the certificate
    #[arg(long, env = "SCIM_TLS_KEY", value_name = "FILE")]
    tls_key: Option<String>,
    /// URL under which clients reach this server, without /scim/v2 [default: http:// or, with TLS,
    /// https:// and the listen address]
    #[arg(long, env = "SCIM_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Token that SCIM clients present; `serve` needs it, unless the configuration file has clients
    #[arg(long, env = "SCIM_BEARER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    bearer_token: Option<String>,
    /// File that holds the token of SCIM clients
    #[arg(long, env = "SCIM_BEARER_TOKEN_FILE", value_name = "FILE")]
    bearer_token_file: Option<String>,
    /// Token that Personio's webhooks present; without it, there is no /webhooks/personio
    #[arg(long, env = "SCIM_WEBHOOK_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    webhook_token: Option<String>,
    /// File that holds the token of the webhooks
    #[arg(long, env = "SCIM_WEBHOOK_TOKEN_FILE", value_name = "FILE")]
    webhook_token_file: Option<String>,
    /// Separate address and port for /metrics, with /health [default: the address of SCIM]
    #[arg(long, env = "SCIM_METRICS_LISTEN", value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Status page at /status, for people with a browser and a token: on or off
    #[arg(long, env = "SCIM_STATUS_PAGE", value_name = "SWITCH", default_value = "on")]
    pub(super) status_page: String,
    /// URL of the OpenTelemetry collector that receives a trace of each request (OTLP over HTTP),
    /// without /v1/traces
    #[cfg(feature = "otlp")]
    #[arg(long, env = "SCIM_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Age of the data after which a request refreshes it
    #[arg(long, env = "SCIM_CACHE_TTL", value_name = "TIME", default_value = "5m")]
    pub(super) cache_ttl: String,
    /// Maximum time that a request waits for fresher data
    #[arg(long, env = "SCIM_REFRESH_WAIT", value_name = "TIME", default_value = "10s")]
    pub(super) refresh_wait: String,
    /// Age after which employments are read again without any sign of a change
    #[arg(long, env = "SCIM_EMPLOYMENT_RECHECK", value_name = "TIME", default_value = "1h")]
    pub(super) employment_recheck: String,
    /// Maximum share of the users that may disappear, become inactive, or lose their userName,
    /// e-mail address or employment, at once or within two hours; a larger change is held back.
    /// 100% switches this guard off
    #[arg(long, env = "SCIM_MAX_CHANGE", value_name = "PERCENT", default_value = "20%")]
    pub(super) max_change: String,
    /// Interval of refreshes in the background, so that no request waits for one; at least 10s
    /// [default: refresh only when a client sends a request]
    #[arg(long, env = "SCIM_REFRESH_EVERY", value_name = "TIME")]
    refresh_every: Option<String>,
    /// Maximum age of data that is served while Personio fails
    #[arg(long, env = "SCIM_MAX_STALE", value_name = "TIME", default_value = "24h")]
    pub(super) max_stale: String,
    /// Maximum number of users on one page (filter.maxResults), at least 1000
    #[arg(long, env = "SCIM_MAX_RESULTS", value_name = "NUMBER", default_value = "10000")]
    pub(super) max_results: String,
    /// Block `pagination` of RFC 9865 in /ServiceProviderConfig: on or off. Some older clients
    /// reject it
    #[arg(long, env = "SCIM_ANNOUNCE_PAGINATION", value_name = "SWITCH", default_value = "on")]
    pub(super) announce_pagination: String,
    /// Maximum number of open connections of clients
    #[arg(long, env = "SCIM_MAX_CONNECTIONS", value_name = "NUMBER", default_value = "1024")]
    pub(super) max_connections: String,
    /// Maximum number of open connections from one address that have not presented a valid token;
    /// trusted proxies have no such limit
    #[arg(
        long,
        env = "SCIM_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "NUMBER",
        default_value = "256"
    )]
    pub(super) max_connections_per_address: String,
    /// Maximum length of a filter, in bytes
    #[arg(long, env = "SCIM_MAX_FILTER_LENGTH", value_name = "BYTES", default_value = "10240")]
    pub(super) max_filter_length: String,
    /// Maximum depth of parentheses and brackets in a filter
    #[arg(long, env = "SCIM_MAX_FILTER_DEPTH", value_name = "NUMBER", default_value = "50")]
    pub(super) max_filter_depth: String,
    /// Configuration file (TOML): mapping, clients, issuers and trusted proxies
    #[arg(long, env = "SCIM_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// File that keeps loaded data through restarts, encrypted; needs a key
    #[arg(long, env = "SCIM_STATE_FILE", value_name = "FILE")]
    state_file: Option<String>,
    /// Key that encrypts the state file; at least 32 characters
    #[arg(long, env = "SCIM_STATE_KEY", value_name = "KEY", hide_env_values = true)]
    state_key: Option<String>,
    /// File that holds the key of the state file
    #[arg(long, env = "SCIM_STATE_KEY_FILE", value_name = "FILE")]
    state_key_file: Option<String>,
}

/// Default address to listen on. It is reachable from this machine only.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

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

/// Settings of `healthcheck`.
#[derive(Debug, clap::Args)]
pub struct HealthcheckArgs {
    /// Server to check.
    #[command(flatten)]
    pub server: LocalServer,
    /// Check that it has data to serve, not only that it is alive
    #[arg(long)]
    pub ready: bool,
}

/// Settings of `approve`.
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
    #[arg(long, env = "SCIM_LISTEN", value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    pub(super) listen: String,
    /// Certificate of the server: if it is set, requests use TLS. The file is not read
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
    /// Shell that runs the script
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
