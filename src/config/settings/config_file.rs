//! Setting of the configuration file.

use std::path::PathBuf;

use clap::ValueHint;

use crate::config::Error;
use crate::config::mapping;
use crate::config::mapping::CheckedConfigFile;
use crate::config::parsers::path;
use crate::config::setting::{SettingName, setting};

pub(in crate::config) const CONFIG: SettingName = SettingName::new("config", "SCIM_CONFIG");

/// Configuration file, as it is given.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::config) struct ConfigFileArgs {
    /// Configuration file (TOML): mapping, clients, issuers and trusted proxies
    #[arg(
        long = CONFIG.flag,
        env = CONFIG.variable,
        value_name = "FILE",
        value_parser = setting(path),
        value_hint = ValueHint::Unknown
    )]
    config: Option<PathBuf>,
}

impl ConfigFileArgs {
    /// Reports whether a file is given.
    pub(in crate::config) fn is_given(&self) -> bool {
        self.config.is_some()
    }

    /// Reads and checks the file, if one is given.
    pub(in crate::config) fn read(&self) -> Result<CheckedConfigFile, Error> {
        let Some(path) = &self.config else { return Ok(CheckedConfigFile::default()) };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return Err(Error(format!("{CONFIG}: {}: {error}", path.display()))),
        };
        mapping::parse_file(path, &text)
    }
}
