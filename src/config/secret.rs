//! Secrets. A secret is given by flag or variable, either itself or as the file that holds it.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::config::Error;
use crate::config::setting::{Given, InvalidValue, SettingName};

/// Byte order mark, which editors on Windows write at the beginning of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Secret as it is given. Without both values it is not set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret<'a> {
    /// Name of the setting. The one of the file ends with `-file` or `_FILE`.
    pub(super) name: SettingName,
    /// Secret itself.
    pub(super) text: Option<&'a Given<SecretString>>,
    /// File that holds the secret.
    pub(super) file: Option<&'a Given<PathBuf>>,
}

/// Source of a secret that is used.
enum SecretSource<'a> {
    Text(&'a SecretString),
    File(&'a Path),
}

/// Parses a secret as it is written. It is checked together with those from files.
pub(super) fn secret_text(text: &str) -> Result<SecretString, InvalidValue> {
    Ok(text.into())
}

impl<'a> Secret<'a> {
    /// Returns the secret, without the white space around it. A file is read each time.
    pub(super) fn read(self) -> Result<Option<SecretString>, Error> {
        let content;
        let text = match self.source()? {
            None => return Ok(None),
            Some(SecretSource::Text(text)) => text.expose_secret(),
            Some(SecretSource::File(path)) => {
                content = match read_file(path) {
                    Ok(content) => SecretString::from(content),
                    Err(reason) => return Err(self.invalid_file(path, &reason)),
                };
                content.expose_secret()
            }
        };
        match text.trim_matches(|char: char| char == BYTE_ORDER_MARK || char.is_whitespace()) {
            "" => Err(InvalidValue::predicate("is empty").of(self.name)),
            secret => Ok(Some(secret.into())),
        }
    }

    /// Returns the source that is used. A flag goes before a variable.
    fn source(self) -> Result<Option<SecretSource<'a>>, Error> {
        let SettingName { flag, variable } = self.name;
        match (self.text, self.file) {
            (None, None) => Ok(None),
            (Some(text), Some(file)) if text.is_flag == file.is_flag => Err(Error(format!(
                "--{flag} and --{flag}-file ({variable}, {variable}_FILE) are both given: remove \
                 one"
            ))),
            (Some(_), Some(file)) if file.is_flag => Ok(Some(SecretSource::File(&file.value))),
            (Some(text), _) => Ok(Some(SecretSource::Text(&text.value))),
            (None, Some(file)) => Ok(Some(SecretSource::File(&file.value))),
        }
    }

    /// Returns the flag or variable that gives the secret, which may be the one for a file.
    pub(super) fn given_name(self) -> String {
        let SettingName { flag, variable } = self.name;
        match (self.text, self.file) {
            (Some(text), _) if text.is_flag => format!("--{flag}"),
            (_, Some(file)) if file.is_flag => format!("--{flag}-file"),
            (None, Some(_)) => format!("{variable}_FILE"),
            (Some(_) | None, _) => variable.to_owned(),
        }
    }

    fn invalid_file(self, path: &Path, reason: &str) -> Error {
        let SettingName { flag, variable } = self.name;
        Error(format!("--{flag}-file ({variable}_FILE): {}: {reason}", path.display()))
    }
}

/// Reads a file that holds a secret.
fn read_file(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(
            "it is UTF-16, as Windows PowerShell writes it with `>`; write it as UTF-8".to_owned()
        );
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
