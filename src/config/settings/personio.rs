//! Settings of the access to Personio.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use reqwest::header::HeaderValue;
use secrecy::SecretString;
use url::Url;

use crate::config::Error;
use crate::config::parsers::{app_id, non_empty, number_in, path, personio_url};
use crate::config::secret::{Secret, secret_text};
use crate::config::setting::{Given, InvalidValue, SettingName, given, setting};

const CLIENT_ID: SettingName = SettingName::new("personio-client-id", "PERSONIO_CLIENT_ID");
const CLIENT_SECRET: SettingName =
    SettingName::new("personio-client-secret", "PERSONIO_CLIENT_SECRET");

/// Base URL of the Personio API.
pub const BASE_URL: SettingName = SettingName::new("personio-base-url", "PERSONIO_BASE_URL");

/// Accepted numbers of concurrent requests to Personio. Each takes memory for a response, and
/// perhaps a connection.
const CONCURRENCY_RANGE: RangeInclusive<usize> = 1..=256;

/// Access to Personio, as it is given.
#[derive(Debug, clap::Args)]
pub(in crate::config) struct PersonioArgs {
    #[command(flatten)]
    credential: CredentialArgs,
    #[command(flatten)]
    api: PersonioApiSettings,
}

/// API credential, as it is given.
#[derive(Debug, clap::Args)]
struct CredentialArgs {
    /// Client id of the Personio API credential (required)
    #[arg(
        long = CLIENT_ID.flag,
        env = CLIENT_ID.variable,
        value_name = "ID",
        value_parser = given(non_empty)
    )]
    personio_client_id: Option<Given<String>>,
    /// Client secret of the Personio API credential (required)
    #[arg(
        long = CLIENT_SECRET.flag,
        env = CLIENT_SECRET.variable,
        value_name = "SECRET",
        hide_env_values = true,
        value_parser = given(secret_text)
    )]
    personio_client_secret: Option<Given<SecretString>>,
    /// File that holds the client secret
    #[arg(
        long,
        env = "PERSONIO_CLIENT_SECRET_FILE",
        value_name = "FILE",
        value_parser = given(path)
    )]
    personio_client_secret_file: Option<Given<PathBuf>>,
}

/// Settings of the API of Personio.
#[derive(Debug, Clone, clap::Args)]
pub struct PersonioApiSettings {
    /// Base URL of the Personio API; plain http only to this machine
    #[arg(
        long = BASE_URL.flag,
        env = BASE_URL.variable,
        value_name = "URL",
        default_value = "https://api.personio.de",
        value_parser = setting(personio_url)
    )]
    pub base_url: Url,
    /// Name of this program in requests to Personio (X-Personio-App-ID)
    #[arg(
        long = "personio-app-id",
        env = "PERSONIO_APP_ID",
        value_name = "NAME",
        default_value = "PERSONIO_SCIM",
        value_parser = setting(app_id)
    )]
    pub app_id: HeaderValue,
    /// Maximum number of concurrent requests to Personio, 1 to 256
    #[arg(
        long = "personio-max-concurrency",
        env = "PERSONIO_MAX_CONCURRENCY",
        value_name = "NUMBER",
        default_value = "16",
        value_parser = setting(number_in(CONCURRENCY_RANGE))
    )]
    pub max_concurrency: usize,
}

/// Access to Personio.
#[derive(Debug, Clone)]
pub struct PersonioSettings {
    /// Client id of the API credential.
    pub client_id: String,
    /// Client secret of the API credential.
    pub client_secret: SecretString,
    /// Settings of the API.
    pub api: PersonioApiSettings,
}

impl PersonioArgs {
    /// Returns the names of the required settings that are missing.
    pub(in crate::config) fn missing(&self) -> Result<Vec<SettingName>, Error> {
        let mut missing = Vec::new();
        if self.credential.personio_client_id.is_none() {
            missing.push(CLIENT_ID);
        }
        if self.client_secret().read()?.is_none() {
            missing.push(CLIENT_SECRET);
        }
        Ok(missing)
    }

    /// Reads the secret and returns the settings.
    pub(in crate::config) fn settings(&self) -> Result<PersonioSettings, Error> {
        Ok(PersonioSettings {
            client_id: self.client_id()?.value.clone(),
            client_secret: self.client_secret().read()?.ok_or_else(|| required(CLIENT_SECRET))?,
            api: self.api.clone(),
        })
    }

    /// Returns the names of the settings that give the credential.
    pub(in crate::config) fn credential_names(&self) -> Result<String, Error> {
        let id = CLIENT_ID.of_source(self.client_id()?.is_flag);
        Ok(format!("{id}, {}", self.client_secret().given_name()))
    }

    fn client_id(&self) -> Result<&Given<String>, Error> {
        self.credential.personio_client_id.as_ref().ok_or_else(|| required(CLIENT_ID))
    }

    fn client_secret(&self) -> Secret<'_> {
        Secret {
            name: CLIENT_SECRET,
            text: self.credential.personio_client_secret.as_ref(),
            file: self.credential.personio_client_secret_file.as_ref(),
        }
    }
}

fn required(name: SettingName) -> Error {
    InvalidValue::predicate("is required").of(name)
}
