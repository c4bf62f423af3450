//! Tokens that clients and webhooks present.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::config::Error;
use crate::config::parsers::{path, token};
use crate::config::secret::{Secret, secret_text};
use crate::config::setting::{Given, SettingName, given};
use crate::config::settings::config_file::CONFIG;

pub(in crate::config) const BEARER_TOKEN: SettingName =
    SettingName::new("bearer-token", "SCIM_BEARER_TOKEN");
pub(in crate::config) const WEBHOOK_TOKEN: SettingName =
    SettingName::new("webhook-token", "SCIM_WEBHOOK_TOKEN");

/// Tokens of clients and webhooks, as they are given.
#[derive(Debug, clap::Args)]
pub(in crate::config) struct PresentedTokenArgs {
    /// Token that SCIM clients present; `serve` needs it, unless the configuration file has clients
    #[arg(
        long = BEARER_TOKEN.flag,
        env = BEARER_TOKEN.variable,
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = given(secret_text)
    )]
    bearer_token: Option<Given<SecretString>>,
    /// File that holds the token of SCIM clients
    #[arg(
        long,
        env = "SCIM_BEARER_TOKEN_FILE",
        value_name = "FILE",
        value_parser = given(path)
    )]
    bearer_token_file: Option<Given<PathBuf>>,
    /// Token that Personio's webhooks present; without it, there is no /webhooks/personio
    #[arg(
        long = WEBHOOK_TOKEN.flag,
        env = WEBHOOK_TOKEN.variable,
        value_name = "TOKEN",
        hide_env_values = true,
        value_parser = given(secret_text)
    )]
    webhook_token: Option<Given<SecretString>>,
    /// File that holds the token of the webhooks
    #[arg(
        long,
        env = "SCIM_WEBHOOK_TOKEN_FILE",
        value_name = "FILE",
        value_parser = given(path)
    )]
    webhook_token_file: Option<Given<PathBuf>>,
}

impl PresentedTokenArgs {
    /// Returns the token of SCIM clients, as it is given.
    pub(in crate::config) fn bearer(&self) -> Secret<'_> {
        Secret {
            name: BEARER_TOKEN,
            text: self.bearer_token.as_ref(),
            file: self.bearer_token_file.as_ref(),
        }
    }

    /// Returns the token of the webhooks, as it is given.
    pub(in crate::config) fn webhook(&self) -> Secret<'_> {
        Secret {
            name: WEBHOOK_TOKEN,
            text: self.webhook_token.as_ref(),
            file: self.webhook_token_file.as_ref(),
        }
    }
}

/// Returns a token that can be sent, without the text around it.
pub(in crate::config) fn usable_token(
    name: SettingName,
    given: Option<SecretString>,
) -> Result<Option<SecretString>, Error> {
    match given {
        None => Ok(None),
        Some(text) => Ok(Some(token(&text).map_err(|invalid| invalid.of(name))?)),
    }
}

/// Returns the error of a server without clients, with advice.
pub(in crate::config) fn missing_token() -> Error {
    Error(format!("{BEARER_TOKEN} is required: {}", missing_token_advice()))
}

/// Returns the advice for an operator who starts a server without a token.
pub(in crate::config) fn missing_token_advice() -> String {
    format!(
        "make one with `personio-scim token new` or `openssl rand -hex 32`, or name clients in \
         {CONFIG}"
    )
}
