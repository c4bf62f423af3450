//! The state file and the key that it is sealed with: both or neither.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Error;
use crate::config::parsers;
use crate::config::parsers::{STATE_FILE, STATE_KEY};

/// The shortest key: it is no password, and nothing slows down whoever guesses.
const SHORTEST_KEY: usize = 32;

/// Where what was loaded is kept through restarts.
#[derive(Debug, Clone)]
pub struct State {
    /// The file, in a folder that can be written to.
    pub path: PathBuf,
    /// What it is sealed with.
    pub key: SecretString,
}

/// The state file, if there is to be one.
pub(super) fn state(matches: &ArgMatches) -> Result<Option<State>, Error> {
    let path = parsers::given("state_file", matches);
    match (path, parsers::secret(STATE_KEY, matches)?) {
        (None, None) => Ok(None),
        (Some(path), Some(key)) => Ok(Some(State { path: checked_path(path)?, key: checked_key(key)? })),
        (Some(_), None) => Err(Error(format!(
            "{STATE_FILE} is given without {STATE_KEY}: the file holds people and is never written unencrypted; make a \
             key with `openssl rand -hex 32`"
        ))),
        (None, Some(_)) => Err(Error(format!("{STATE_KEY} is given without {STATE_FILE}: nothing would be kept"))),
    }
}

fn checked_key(key: SecretString) -> Result<SecretString, Error> {
    if key.expose_secret().chars().count() < SHORTEST_KEY {
        return Err(Error(format!(
            "{STATE_KEY} is shorter than {SHORTEST_KEY} characters; make one with `openssl rand -hex 32`"
        )));
    }
    Ok(key)
}

/// A path whose folder exists and can be written to: the file is replaced, not rewritten.
fn checked_path(text: &str) -> Result<PathBuf, Error> {
    let path = Path::new(text.trim());
    // What is in the file's place is set aside if it is none; a folder that was meant to hold the file
    // must not be.
    if path.file_name().is_none() || text.ends_with('/') || path.is_dir() {
        return Err(Error(format!("{STATE_FILE}: `{}` is no file; write for example folder/state", path.display())));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let refused = |why: &str| Error(format!("{STATE_FILE}: {}: {why}", folder.display()));
    if !folder.is_dir() {
        return Err(refused("there is no such folder"));
    }
    try_out(path).map_err(|error| refused(&format!("the folder cannot be written to: {error}")))?;
    Ok(path.to_owned())
}

/// Whether there can be something new next to the file. The rights alone do not tell: file systems have
/// a mind of their own.
fn try_out(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".check");
    let probe = path.with_file_name(name);
    match fs::create_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // An empty folder: whatever else has the name is not removed by this.
        Ok(()) | Err(_) => {
            let _ = fs::remove_dir(&probe);
            Ok(())
        }
    }
}
