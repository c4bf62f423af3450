//! Settings: names, defaults and checks, each written once. All settings are read before a port is
//! bound, and an error is one line that names the setting.
//!
//! [`Args`] has the groups of settings with their values, parsed by clap; [`Config`] is the result
//! once secrets and files are read. No other module reads the environment.

mod args;
mod clients;
mod command;
mod command_line;
mod effective_setting;
mod environment;
mod examples;
mod mapping;
mod parsers;
mod proxy;
mod reading;
mod secret;
mod setting;
mod settings;
mod suggestion;

use secrecy::SecretString;

use crate::config::args::ServerArgs;
pub use crate::config::args::{
    ApproveArgs, CheckArgs, CompletionsArgs, DemoArgs, ExportArgs, ExportFormat, ExportQueryArgs,
    HealthcheckArgs, LocalServer, ManArgs, OutputArgs, Population, ServeArgs, SimulatorArgs,
    TokenAction, TokenArgs, local_url,
};
pub use crate::config::clients::ClientScope;
pub use crate::config::command::{Args, Command};
pub use crate::config::command_line::{CommandLineRequest, ParsedCommand, parse_command_line};
pub use crate::config::effective_setting::EffectiveSetting;
pub use crate::config::environment::{default_settings, has_service_manager};
use crate::config::mapping::CheckedConfigFile;
pub use crate::config::parsers::is_loopback;
pub use crate::config::proxy::{Proxy, http_only_proxy, proxy};
pub use crate::config::reading::{CheckSettings, ReadingSettings};
use crate::config::secret::Secret;
pub use crate::config::setting::SettingName;
pub use crate::config::settings::freshness::FreshnessSettings;
pub use crate::config::settings::limits::LimitSettings;
pub use crate::config::settings::listen::{LISTEN, ListenSettings};
pub use crate::config::settings::logs::LogArgs;
pub use crate::config::settings::monitoring::{METRICS_LISTEN, MonitoringSettings};
use crate::config::settings::personio::PersonioArgs;
pub use crate::config::settings::personio::{BASE_URL, PersonioApiSettings, PersonioSettings};
pub use crate::config::settings::state_file::StateFileSettings;
use crate::config::settings::tokens;
use crate::config::settings::tokens::{BEARER_TOKEN, WEBHOOK_TOKEN};

use crate::auth::AuthSettings;
use crate::mapping::MappingPolicy;
use crate::tls::CertifiedKeyPair;

/// Error in the settings: one line that names the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub(crate) String);

/// Configuration of `serve`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Access to Personio.
    pub personio: PersonioSettings,
    /// SCIM server.
    pub scim: ServerSettings,
    /// All effective settings, as they are shown.
    pub effective_settings: Vec<EffectiveSetting>,
}

/// Configuration of the SCIM server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Address at which clients reach the server.
    pub listen: ListenSettings,
    /// Certificate and key for TLS; without them clients speak plain HTTP.
    pub tls: Option<CertifiedKeyPair>,
    /// Clients, issuers and trusted proxies.
    pub auth_settings: AuthSettings,
    /// Metrics, status page and traces.
    pub monitoring: MonitoringSettings,
    /// Freshness of the data.
    pub freshness: FreshnessSettings,
    /// Pages, connections and filters.
    pub limits: LimitSettings,
    /// Mapping policy of the company.
    pub policy: MappingPolicy,
    /// Scopes of clients.
    pub scopes: Vec<ClientScope>,
    /// State file, if one is configured.
    pub state: Option<StateFileSettings>,
}

impl Config {
    /// Returns the configuration of `serve`. Secrets and files are read each time.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_serve(args: &ServeArgs, given: &[EffectiveSetting]) -> Result<Self, Error> {
        environment::refuse_unknown()?;
        let bearer = args.server.tokens.bearer();
        // The configuration file may define clients instead.
        let required_token = if args.server.config_file.is_given() { None } else { Some(bearer) };
        refuse_missing(&args.personio, required_token)?;
        let personio = args.personio.settings()?;
        let scim = server_settings(&args.server, bearer.read()?)?;
        if !scim.auth_settings.has_clients() {
            return Err(tokens::missing_token());
        }
        let effective_settings = scim.effective_settings(given);
        Ok(Self { personio, scim, effective_settings })
    }
}

impl ServerSettings {
    /// Returns the configuration of `demo` and its token, which is `default_token` unless one is
    /// given.
    ///
    /// # Errors
    /// Returns an error when a setting is invalid.
    pub fn for_demo(
        args: &DemoArgs,
        default_token: &SecretString,
    ) -> Result<(Self, SecretString), Error> {
        environment::refuse_unknown()?;
        let given_token = args.server.tokens.bearer().read()?;
        let token = given_token.unwrap_or_else(|| default_token.clone());
        let scim = server_settings(&args.server, Some(token.clone()))?;
        Ok((scim, token))
    }

    /// Returns the settings of the command and those of the configuration file, as they are shown.
    #[must_use]
    pub fn effective_settings(&self, given: &[EffectiveSetting]) -> Vec<EffectiveSetting> {
        let mut settings = given.to_vec();
        let Self { policy, auth_settings, scopes, .. } = self;
        settings.extend(effective_setting::file_settings(policy, auth_settings, scopes));
        settings
    }
}

/// Checks that all required settings are given. The error names all missing ones, so that an
/// operator does not find them one after the other.
fn refuse_missing(
    personio: &PersonioArgs,
    required_token: Option<Secret<'_>>,
) -> Result<(), Error> {
    let mut missing = personio.missing()?;
    let lacks_token = match required_token {
        Some(token) => token.read()?.is_none(),
        None => false,
    };
    if lacks_token {
        missing.push(BEARER_TOKEN);
    }
    let Some(last) = missing.pop() else { return Ok(()) };
    let hint = if lacks_token {
        format!(". The token is your choice: {}", tokens::missing_token_advice())
    } else {
        String::new()
    };
    if missing.is_empty() {
        return Err(Error(format!("{last} is required{hint}")));
    }
    let others: Vec<String> = missing.iter().map(SettingName::to_string).collect();
    Err(Error(format!("{} and {last} are required{hint}", others.join(", "))))
}

/// Reads the secrets and files of a server, and checks its settings against each other.
fn server_settings(
    args: &ServerArgs,
    bearer: Option<SecretString>,
) -> Result<ServerSettings, Error> {
    let bearer = tokens::usable_token(BEARER_TOKEN, bearer)?;
    args.freshness.check()?;
    let CheckedConfigFile { policy, auth_settings, scopes } = args.config_file.read()?;
    let webhook = tokens::usable_token(WEBHOOK_TOKEN, args.tokens.webhook().read()?)?;
    let auth_settings =
        clients::with_tokens(auth_settings, bearer.as_ref(), webhook.as_ref()).map_err(Error)?;
    Ok(ServerSettings {
        listen: args.listen.clone(),
        tls: args.listen.certificate_and_key()?,
        auth_settings,
        monitoring: args.monitoring.clone(),
        freshness: args.freshness.clone(),
        limits: args.limits.clone(),
        policy,
        scopes,
        state: args.state.settings()?,
    })
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
    parsers::token(&text.into()).ok()
}
