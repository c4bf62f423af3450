//! Settings: names, defaults and checks, each written once. All settings are read before a port is
//! bound, and an error is one line that names the setting.
//!
//! [`Args`] is what was given; [`Config`] is the checked result. No other module reads the
//! environment.

mod args;
mod clients;
mod command;
mod effective_setting;
mod environment;
mod examples;
mod mapping;
mod parse_args;
mod parsers;
mod proxy;
mod state_file;
mod suggestion;
mod tls;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use url::Url;

pub use crate::config::args::{
    ApproveArgs, CompletionsArgs, DemoArgs, HealthcheckArgs, LocalServer, LogArgs, ManArgs,
    Population, ServeArgs, SimulatorArgs, TokenAction, TokenArgs, TokenOutput,
};
use crate::config::args::{PersonioArgs, ScimArgs};
pub use crate::config::command::{Args, Command};
pub use crate::config::effective_setting::EffectiveSetting;
pub use crate::config::environment::has_service_manager;
use crate::config::mapping::CheckedConfigFile;
pub use crate::config::parse_args::{
    CheckArgs, CheckSettings, ExportArgs, ExportFormat, ReadingSettings,
};
use crate::config::parsers::SettingSource;
pub use crate::config::parsers::is_loopback;
pub use crate::config::proxy::{Proxy, http_only_proxy, proxy};
pub use crate::config::state_file::StateFileSettings;

use crate::auth::AuthSettings;
use crate::mapping::MappingPolicy;
use crate::scim::filter;
use crate::telemetry;
use crate::tls::CertifiedKeyPair;

/// Accepted numbers of concurrent requests to Personio. Each takes memory for a response, and
/// perhaps a connection.
const CONCURRENCY_RANGE: RangeInclusive<usize> = 1..=256;
/// Shortest interval of background refreshes. Each refresh lists all persons, and Personio limits
/// the rate of requests.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// Accepted numbers of open connections.
const CONNECTIONS_RANGE: RangeInclusive<usize> = 1..=100_000;
/// Accepted values for the length of the longest filter, in bytes. A longer filter fits into no
/// request.
const FILTER_LENGTH_RANGE: RangeInclusive<usize> = 100..=100_000;
/// Accepted values for the depth of a filter. Each level takes a part of the stack.
const FILTER_DEPTH_RANGE: RangeInclusive<usize> = 1..=250;

/// Error in the settings: one line that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

/// Checked configuration of `serve`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Access to Personio.
    pub personio: PersonioSettings,
    /// SCIM server.
    pub scim: ServerSettings,
}

/// Checked configuration of the access to Personio.
#[derive(Debug, Clone)]
pub struct PersonioSettings {
    /// Base URL without `/v2`.
    pub base_url: Url,
    /// Client id of the API credential.
    pub client_id: String,
    /// Client secret of the API credential.
    pub client_secret: SecretString,
    /// Value of the header `X-Personio-App-ID`.
    pub app_id: HeaderValue,
    /// Maximum number of concurrent requests.
    pub max_concurrency: usize,
}

/// Checked configuration of the SCIM server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address to listen on; port 0 takes any free port.
    pub listen: SocketAddr,
    /// Certificate and key for TLS; without them clients speak plain HTTP.
    pub tls: Option<CertifiedKeyPair>,
    /// URL under which clients reach this server; without it, the listen address.
    pub public_url: Option<Url>,
    /// Clients, issuers and trusted proxies.
    pub auth_settings: AuthSettings,
    /// Age from which on a request triggers a refresh.
    pub cache_ttl: Duration,
    /// Longest time that a request waits for a refresh.
    pub refresh_wait: Duration,
    /// Interval of background refreshes, if they are on.
    pub refresh_every: Option<Duration>,
    /// Age from which on employments are read again, even if no change was reported.
    pub employment_recheck: Duration,
    /// Largest share of the users that may lose something from one snapshot to the next; 1 is all
    /// users.
    pub max_change: f64,
    /// Age from which on data is never served.
    pub max_stale: Duration,
    /// Maximum number of resources on one page.
    pub max_results: usize,
    /// Flag for the block `pagination` in `/ServiceProviderConfig`.
    pub announce_pagination: bool,
    /// Limits for filters.
    pub filter_limits: filter::FilterLimits,
    /// Mapping policy of the company.
    pub policy: MappingPolicy,
    /// State file, if one is configured.
    pub state: Option<StateFileSettings>,
    /// Address for metrics, if they have one of their own.
    pub metrics_listen: Option<SocketAddr>,
    /// Maximum number of connections of authenticated clients.
    pub max_connections: usize,
    /// Maximum number of connections from one address that have not presented a valid token.
    pub max_connections_per_address: usize,
    /// Flag for the status page.
    pub status_page: bool,
    /// Collector that receives traces, if any.
    #[cfg(feature = "otlp")]
    pub otlp_endpoint: Option<Url>,
    /// All effective settings.
    pub effective_settings: Vec<EffectiveSetting>,
}

/// Request of the command line.
pub enum CommandLineRequest {
    /// Command to run, with the source of each of its settings.
    Command(Box<(Command, ArgMatches)>),
    /// Help or version to print.
    Help(clap::Error),
}

/// Reads the command line and the environment.
///
/// # Errors
/// Returns an error when either cannot be parsed.
pub fn parse_command_line() -> Result<CommandLineRequest, Error> {
    let command = environment::without_empty_variables(Args::command());
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Err(Error(format!("a command is required: {}; see --help", command_names())));
        }
        Err(error) if error.use_stderr() => return Err(invalid_arguments(error)),
        // Help lists every variable, including the empty ones, so it is made from the unchanged
        // command.
        Err(help) => {
            let complete_help = Args::command().try_get_matches().err();
            return Ok(CommandLineRequest::Help(complete_help.unwrap_or(help)));
        }
    };
    let args = Args::from_arg_matches(&matches).map_err(invalid_arguments)?;
    let matches = match matches.subcommand() {
        Some((_, matches)) => matches.clone(),
        None => ArgMatches::default(),
    };
    Ok(CommandLineRequest::Command(Box::new((args.command, matches))))
}

/// Returns the error of a command line as an error of one line.
fn invalid_arguments(error: clap::Error) -> Error {
    Error(suggestion::describe_error(&error))
}

/// Returns the names of all commands, as a list for a sentence.
fn command_names() -> String {
    let args = Args::command();
    let mut names: Vec<&str> = args.get_subcommands().map(clap::Command::get_name).collect();
    let last = names.pop().unwrap_or_default();
    format!("{} or {last}", names.join(", "))
}

impl Config {
    /// Returns the checked configuration of `serve`.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_serve(args: &ServeArgs, matches: &ArgMatches) -> Result<Self, Error> {
        environment::refuse_unknown()?;
        // The configuration file may define clients instead.
        let needs_token = parsers::optional_text("config", matches).is_none();
        refuse_missing(&args.personio, needs_token, matches)?;
        let personio = personio_settings(&args.personio, matches)?;
        let token = parsers::secret(parsers::BEARER_TOKEN, matches)?;
        let scim = server_settings::<ServeArgs>(&args.scim, matches, token)?;
        if !scim.auth_settings.has_clients() {
            return Err(Error(format!(
                "{} is required: {}",
                parsers::BEARER_TOKEN,
                missing_token_advice()
            )));
        }
        Ok(Self { personio, scim })
    }
}

impl ServerSettings {
    /// Returns the checked configuration of `demo` and its token, which is `default_token` unless
    /// one is given.
    ///
    /// # Errors
    /// Returns an error when a setting is invalid.
    pub fn for_demo(
        args: &DemoArgs,
        matches: &ArgMatches,
        default_token: &SecretString,
    ) -> Result<(Self, SecretString), Error> {
        environment::refuse_unknown()?;
        let given_token = parsers::secret(parsers::BEARER_TOKEN, matches)?;
        let token = given_token.unwrap_or_else(|| default_token.clone());
        let scim = server_settings::<DemoArgs>(&args.scim, matches, Some(token.clone()))?;
        Ok((scim, token))
    }
}

/// Checks that all required settings are given. The error names all missing ones, so that an
/// operator does not find them one after the other.
fn refuse_missing(
    args: &PersonioArgs,
    needs_token: bool,
    matches: &ArgMatches,
) -> Result<(), Error> {
    let mut missing = Vec::new();
    if args.personio_client_id.is_none() {
        missing.push(parsers::CLIENT_ID);
    }
    if lacks_secret(parsers::CLIENT_SECRET, matches)? {
        missing.push(parsers::CLIENT_SECRET);
    }
    let lacks_token = needs_token && lacks_secret(parsers::BEARER_TOKEN, matches)?;
    if lacks_token {
        missing.push(parsers::BEARER_TOKEN);
    }
    let Some(last) = missing.pop() else { return Ok(()) };
    let hint = if lacks_token {
        format!(". The token is your choice: {}", missing_token_advice())
    } else {
        String::new()
    };
    if missing.is_empty() {
        return Err(Error(format!("{last} is required{hint}")));
    }
    let others: Vec<String> = missing.iter().map(SettingSource::to_string).collect();
    Err(Error(format!("{} and {last} are required{hint}", others.join(", "))))
}

fn lacks_secret(setting: SettingSource, matches: &ArgMatches) -> Result<bool, Error> {
    Ok(parsers::secret(setting, matches)?.is_none())
}

/// Returns the advice for an operator who starts a server without a token.
fn missing_token_advice() -> String {
    format!(
        "make one with `personio-scim token new` or `openssl rand -hex 32`, or name clients in {}",
        parsers::CONFIG
    )
}

/// Returns the value of a required setting.
fn required<T>(setting: SettingSource, value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error(format!("{setting} is required")))
}

fn personio_settings(args: &PersonioArgs, matches: &ArgMatches) -> Result<PersonioSettings, Error> {
    let client_id = parsers::non_empty(parsers::CLIENT_ID, args.personio_client_id.as_deref())?;
    let client_secret = parsers::secret(parsers::CLIENT_SECRET, matches)?;
    Ok(PersonioSettings {
        base_url: parsers::personio_url(&args.personio_base_url)?,
        client_id: required(parsers::CLIENT_ID, client_id)?,
        client_secret: required(parsers::CLIENT_SECRET, client_secret)?,
        app_id: parsers::app_id(&args.personio_app_id)?,
        max_concurrency: parsers::number(
            parsers::MAX_CONCURRENCY,
            &args.personio_max_concurrency,
            CONCURRENCY_RANGE,
        )?,
    })
}

/// Checks the server's settings among those of the command `A`.
fn server_settings<A: clap::Args>(
    args: &ScimArgs,
    matches: &ArgMatches,
    bearer: Option<SecretString>,
) -> Result<ServerSettings, Error> {
    let bearer = checked_token(parsers::BEARER_TOKEN, bearer)?;
    let cache_ttl = parsers::duration(parsers::CACHE_TTL, &args.cache_ttl)?;
    let max_stale = parsers::duration(parsers::MAX_STALE, &args.max_stale)?;
    if max_stale < cache_ttl {
        return Err(Error(format!(
            "{} is shorter than {}",
            parsers::MAX_STALE,
            parsers::CACHE_TTL
        )));
    }
    let CheckedConfigFile { policy, auth_settings } = configuration_file(matches)?;
    let webhook = parsers::secret(parsers::WEBHOOK_TOKEN, matches)?;
    let webhook = checked_token(parsers::WEBHOOK_TOKEN, webhook)?;
    let auth_settings =
        clients::with_tokens(auth_settings, bearer.as_ref(), webhook.as_ref()).map_err(Error)?;
    let mut effective_settings = effective_setting::command_settings::<A>(matches);
    effective_settings.extend(effective_setting::file_settings(&policy, &auth_settings));
    Ok(ServerSettings {
        listen: listen_address(&args.listen)?,
        tls: tls::certificate_and_key(matches)?,
        public_url: optional_url("public_url", parsers::public_url, matches)?,
        auth_settings,
        cache_ttl,
        refresh_wait: parsers::duration(parsers::REFRESH_WAIT, &args.refresh_wait)?,
        refresh_every: refresh_every(matches, max_stale)?,
        employment_recheck: parsers::duration(
            parsers::EMPLOYMENT_RECHECK,
            &args.employment_recheck,
        )?,
        max_change: parsers::percent(parsers::MAX_CHANGE, &args.max_change)?,
        max_stale,
        max_results: parsers::max_results(&args.max_results)?,
        announce_pagination: parsers::switch(
            parsers::ANNOUNCE_PAGINATION,
            &args.announce_pagination,
        )?,
        filter_limits: filter::FilterLimits {
            max_bytes: parsers::number(
                parsers::MAX_FILTER_LENGTH,
                &args.max_filter_length,
                FILTER_LENGTH_RANGE,
            )?,
            max_depth: parsers::number(
                parsers::MAX_FILTER_DEPTH,
                &args.max_filter_depth,
                FILTER_DEPTH_RANGE,
            )?,
        },
        max_connections: parsers::number(
            parsers::MAX_CONNECTIONS,
            &args.max_connections,
            CONNECTIONS_RANGE,
        )?,
        max_connections_per_address: parsers::number(
            parsers::MAX_CONNECTIONS_PER_ADDRESS,
            &args.max_connections_per_address,
            CONNECTIONS_RANGE,
        )?,
        policy,
        state: state_file::state_file_settings(matches)?,
        metrics_listen: metrics_listen(matches)?,
        status_page: parsers::switch(parsers::STATUS_PAGE, &args.status_page)?,
        #[cfg(feature = "otlp")]
        otlp_endpoint: optional_url("otlp_endpoint", parsers::otlp_endpoint, matches)?,
        effective_settings,
    })
}

/// Reads the configuration file, if one is given.
fn configuration_file(matches: &ArgMatches) -> Result<CheckedConfigFile, Error> {
    match parsers::optional_text("config", matches) {
        Some(path) => mapping::read_file(path),
        None => Ok(CheckedConfigFile::default()),
    }
}

fn checked_token(
    setting: SettingSource,
    token: Option<SecretString>,
) -> Result<Option<SecretString>, Error> {
    match token {
        Some(token) => Ok(Some(parsers::token(&setting, token)?)),
        None => Ok(None),
    }
}

fn optional_url(
    id: &str,
    parse: fn(&str) -> Result<Url, Error>,
    matches: &ArgMatches,
) -> Result<Option<Url>, Error> {
    match parsers::optional_text(id, matches) {
        Some(url) => Ok(Some(parse(url)?)),
        None => Ok(None),
    }
}

impl ServerSettings {
    /// Returns warnings about settings that may be a mistake, each with the names of the settings.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        const PLAIN_HTTP_RISK: &str = "so others on the network can read tokens and personal data";
        let proxy = format!("a proxy with TLS and its https:// address as {}", parsers::PUBLIC_URL);
        let certificate = format!("{} with {}", parsers::TLS_CERT, parsers::TLS_KEY);
        let mut warnings = Vec::new();
        let is_local = self.listen.ip().is_loopback();
        match &self.public_url {
            None if self.listen.ip().is_unspecified() => warnings.push(format!(
                "no public URL is set ({}), so resources name addresses that clients cannot reach",
                parsers::PUBLIC_URL
            )),
            Some(url) if url.scheme() == "http" && self.tls.is_some() => warnings.push(format!(
                "{} begins with http://, but with {} clients speak TLS: write https://",
                parsers::PUBLIC_URL,
                parsers::TLS_CERT
            )),
            Some(url) if url.scheme() == "http" && !parsers::is_loopback(url) => {
                warnings.push(format!(
                    "{} begins with http://, {PLAIN_HTTP_RISK}: use {proxy}, or {certificate}",
                    parsers::PUBLIC_URL
                ))
            }
            None | Some(_) => {}
        }
        if self.tls.is_none() && self.public_url.is_none() && !is_local {
            warnings.push(format!(
                "clients speak plain HTTP to {} ({}), {PLAIN_HTTP_RISK}: use {proxy}, or {certificate}",
                self.listen,
                parsers::LISTEN
            ));
        }
        warnings
    }
}

fn metrics_listen(matches: &ArgMatches) -> Result<Option<SocketAddr>, Error> {
    match parsers::optional_text("metrics_listen", matches) {
        Some(text) => Ok(Some(parsers::address(parsers::METRICS_LISTEN_SETTING, text)?)),
        None => Ok(None),
    }
}

fn refresh_every(matches: &ArgMatches, max_stale: Duration) -> Result<Option<Duration>, Error> {
    let Some(text) = parsers::optional_text("refresh_every", matches) else { return Ok(None) };
    let every = parsers::duration(parsers::REFRESH_EVERY, text)?;
    if every < MIN_REFRESH_INTERVAL {
        let min_seconds = MIN_REFRESH_INTERVAL.as_secs();
        return Err(Error(format!("{} is shorter than {min_seconds}s", parsers::REFRESH_EVERY)));
    }
    if every >= max_stale {
        return Err(Error(format!(
            "{} is not shorter than {}",
            parsers::REFRESH_EVERY,
            parsers::MAX_STALE
        )));
    }
    Ok(Some(every))
}

/// Returns the name of which `word` is most likely a misspelling.
#[must_use]
pub fn suggest_name<'n>(word: &str, names: &'n [String]) -> Option<&'n str> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    suggestion::nearest(word, &names)
}

/// Returns the token in `text`, without the text around it, if it is usable as a client's token: it
/// has only characters that a client can send, and it is too long to guess.
#[must_use]
pub fn client_token(text: &str) -> Option<SecretString> {
    parsers::token(&parsers::BEARER_TOKEN, text.into()).ok()
}

/// Parses the address of a `--listen`.
///
/// # Errors
/// Returns an error when it is not an address with a port.
pub fn listen_address(listen: &str) -> Result<SocketAddr, Error> {
    parsers::address(parsers::LISTEN, listen)
}

impl LogArgs {
    /// Returns the checked settings of the log.
    ///
    /// # Errors
    /// Returns an error when a word is not one of the accepted ones.
    pub fn settings(&self) -> Result<telemetry::LogSettings, Error> {
        let level = match &self.log_level {
            None => None,
            Some(text) => Some(parsers::word(parsers::LOG_LEVEL, text, &telemetry::LEVELS)?),
        };
        let formats = ["auto", "text", "json"];
        let format = match parsers::word(parsers::LOG_FORMAT, &self.log_format, &formats)? {
            "text" => telemetry::LogFormat::Text,
            "json" => telemetry::LogFormat::Json,
            _ => telemetry::LogFormat::Auto,
        };
        Ok(telemetry::LogSettings { level, format })
    }
}

impl LocalServer {
    /// Returns the URL of the server for a client on the same machine.
    ///
    /// # Errors
    /// Returns an error when the listen address is invalid.
    pub fn url(&self) -> Result<String, Error> {
        let is_tls = match &self.tls_cert {
            Some(file) => !file.trim().is_empty(),
            None => false,
        };
        Ok(local_url(listen_address(&self.listen)?, is_tls))
    }
}

/// Returns the URL of a server that listens on `address`, for a client on the same machine.
#[must_use]
pub fn local_url(mut address: SocketAddr, is_tls: bool) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}
