//! Settings of the commands that read Personio themselves and do not serve: `check` and `export`.

use url::Url;

use crate::config::args::{ReadingArgs, ServerArgs};
use crate::config::mapping::CheckedConfigFile;
use crate::config::settings::listen::{DEFAULT_LISTEN, PUBLIC_URL};
use crate::config::{
    CheckArgs, ClientScope, Error, ExportArgs, LogArgs, PersonioSettings, ServerSettings,
    environment, parsers, refuse_missing, server_settings, suggestion,
};
use crate::mapping::MappingPolicy;
use crate::scim::ScopeDefinition;

/// Settings of the reading side.
#[derive(Debug, Clone)]
pub struct ReadingSettings {
    /// Access to Personio.
    pub personio: PersonioSettings,
    /// Mapping policy of the company.
    pub policy: MappingPolicy,
    /// Beginning of `meta.location`.
    pub public_url: Url,
    /// Largest share of the users that may lose something; 1 is all users.
    pub max_change: f64,
    /// Scope of the client whose view is exported.
    pub scope: Option<ScopeDefinition>,
}

/// Settings of `check`.
#[derive(Debug, Clone)]
pub struct CheckSettings {
    /// Settings of the reading side.
    pub reading: ReadingSettings,
    /// Page size limit of a server with the same environment.
    pub max_results: usize,
    /// Names of the settings that gave the credential.
    pub credential: String,
    /// Flag set when a server with the same environment has clients, without which it does not
    /// start.
    pub has_clients: bool,
    /// Scopes of clients.
    pub scopes: Vec<ClientScope>,
}

impl ReadingSettings {
    /// Returns the settings of `export`.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_export(args: &ExportArgs) -> Result<Self, Error> {
        let mut settings = reading_settings(&args.reading)?;
        if let Some(client) = &args.client {
            settings.scope = client_scope(&args.reading, client)?;
        }
        Ok(settings)
    }

    /// Returns the settings of `check`.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_check(args: &CheckArgs) -> Result<CheckSettings, Error> {
        let reading = reading_settings(&args.reading)?;
        let scim = server_settings_without_command(&args.reading)?;
        Ok(CheckSettings {
            reading,
            max_results: scim.limits.max_results,
            credential: args.reading.personio.credential_names()?,
            has_clients: scim.auth_settings.has_clients(),
            scopes: scim.scopes,
        })
    }
}

/// Returns the settings of a server with the same environment and configuration file. A server
/// without clients is not an error here.
fn server_settings_without_command(reading: &ReadingArgs) -> Result<ServerSettings, Error> {
    environment::read_settings::<LogArgs>()?;
    let mut args = environment::read_settings::<ServerArgs>()?;
    args.config_file.clone_from(&reading.config_file);
    let token = args.tokens.bearer().read()?;
    server_settings(&args, token)
}

fn reading_settings(args: &ReadingArgs) -> Result<ReadingSettings, Error> {
    environment::refuse_unknown()?;
    refuse_missing(&args.personio, None)?;
    let public_url = match &args.public_url {
        Some(url) => url.clone(),
        None => parsers::public_url(&format!("http://{DEFAULT_LISTEN}"))
            .map_err(|invalid| invalid.of(PUBLIC_URL))?,
    };
    Ok(ReadingSettings {
        personio: args.personio.settings()?,
        // The file's clients are not used here, but errors in them are reported.
        policy: args.config_file.read()?.policy,
        public_url,
        max_change: args.max_change,
        scope: None,
    })
}

/// Returns the scope of a client of the configuration file, or `None` if the client sees everything.
fn client_scope(args: &ReadingArgs, client: &str) -> Result<Option<ScopeDefinition>, Error> {
    let CheckedConfigFile { auth_settings, scopes, .. } = args.config_file.read()?;
    let clients = auth_settings.clients.iter().map(|client| client.name.as_str());
    let issuers = auth_settings.issuers.iter().map(|issuer| issuer.name.as_str());
    let names: Vec<&str> = clients.chain(issuers).collect();
    if !names.contains(&client) {
        return Err(Error(format!(
            "--client: the configuration file has no client `{}`{}",
            client.escape_debug(),
            suggestion::did_you_mean(client, &names)
        )));
    }
    for scope in scopes {
        if scope.client.as_str() == client {
            return Ok(Some(scope.definition));
        }
    }
    Ok(None)
}
