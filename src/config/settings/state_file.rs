//! State file and its key. Both settings are given, or neither.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Error;
use crate::config::parsers::{path, trimmed_path};
use crate::config::secret::{Secret, secret_text};
use crate::config::setting::{Given, SettingName, given, setting};

const STATE_FILE: SettingName = SettingName::new("state-file", "SCIM_STATE_FILE");
const STATE_KEY: SettingName = SettingName::new("state-key", "SCIM_STATE_KEY");

/// Minimum length of the key in characters. The key is not a password: nothing slows down an
/// attacker who guesses.
const MIN_KEY_CHARACTERS: usize = 32;

/// Checked settings of the state file.
#[derive(Debug, Clone)]
pub struct StateFileSettings {
    /// Path of the file, in a folder that is writable.
    pub path: PathBuf,
    /// Key of the encryption.
    pub key: SecretString,
}

/// State file and its key, as they are given.
#[derive(Debug, clap::Args)]
pub(in crate::config) struct StateFileArgs {
    /// File that keeps loaded data through restarts, encrypted; needs a key
    #[arg(
        long = STATE_FILE.flag,
        env = STATE_FILE.variable,
        value_name = "FILE",
        value_parser = setting(trimmed_path),
        value_hint = ValueHint::Unknown
    )]
    state_file: Option<PathBuf>,
    /// Key that encrypts the state file; at least 32 characters
    #[arg(
        long = STATE_KEY.flag,
        env = STATE_KEY.variable,
        value_name = "KEY",
        hide_env_values = true,
        value_parser = given(secret_text)
    )]
    state_key: Option<Given<SecretString>>,
    /// File that holds the key of the state file
    #[arg(
        long,
        env = "SCIM_STATE_KEY_FILE",
        value_name = "FILE",
        value_parser = given(path)
    )]
    state_key_file: Option<Given<PathBuf>>,
}

impl StateFileArgs {
    /// Returns the settings of the state file, if it is configured.
    pub(in crate::config) fn settings(&self) -> Result<Option<StateFileSettings>, Error> {
        let key = Secret {
            name: STATE_KEY,
            text: self.state_key.as_ref(),
            file: self.state_key_file.as_ref(),
        };
        match (&self.state_file, key.read()?) {
            (None, None) => Ok(None),
            (Some(path), Some(key)) => {
                check_path(path)?;
                Ok(Some(StateFileSettings { path: path.clone(), key: check_key(key)? }))
            }
            (Some(_), None) => Err(Error(format!(
                "{STATE_FILE} is given without {STATE_KEY}: the file holds personal data and is \
                 never written unencrypted; make a key with `openssl rand -hex 32`"
            ))),
            (None, Some(_)) => Err(Error(format!(
                "{STATE_KEY} is given without {STATE_FILE}: no data would be kept"
            ))),
        }
    }
}

fn check_key(key: SecretString) -> Result<SecretString, Error> {
    if key.expose_secret().chars().count() < MIN_KEY_CHARACTERS {
        return Err(Error(format!(
            "{STATE_KEY} is shorter than {MIN_KEY_CHARACTERS} characters; make one with `openssl \
             rand -hex 32`"
        )));
    }
    Ok(key)
}

/// Checks that the folder of a path exists and is writable. The file is replaced and not rewritten,
/// so that its folder counts.
fn check_path(path: &Path) -> Result<(), Error> {
    // A path that is not a file would be set aside. A folder in which a person wants the file must
    // not be moved.
    let names_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if path.file_name().is_none() || names_folder || path.is_dir() {
        return Err(Error(format!(
            "{STATE_FILE}: invalid path `{}`: expected a file, for example `folder/state`",
            path.display()
        )));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(invalid_folder(folder, "there is no such folder"));
    }
    if let Err(error) = probe_folder(path) {
        return Err(invalid_folder(folder, &format!("the folder cannot be written to: {error}")));
    }
    Ok(())
}

fn invalid_folder(folder: &Path, reason: &str) -> Error {
    Error(format!("{STATE_FILE}: {}: {reason}", folder.display()))
}

/// Checks that a new entry can be created next to the file. Permissions alone do not prove it,
/// because some file systems refuse for other reasons.
fn probe_folder(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".check");
    let probe = path.with_file_name(name);
    match fs::create_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // The probe is an empty folder, so that removing it cannot remove other data of the same
        // name.
        Ok(()) | Err(_) => {
            let _ = fs::remove_dir(&probe);
            Ok(())
        }
    }
}
