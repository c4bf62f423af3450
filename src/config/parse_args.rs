//! Settings of the commands that read Personio themselves and do not serve: `check` and `export`.

use std::path::PathBuf;

use clap::{ArgMatches, Args as _, FromArgMatches as _, ValueEnum};
use url::Url;

use crate::config::args::{DEFAULT_LISTEN, LogArgs, PersonioArgs, ScimArgs};
use crate::config::{
    Error, PersonioSettings, ServerSettings, configuration_file, environment, invalid_arguments,
    parsers, personio_settings, refuse_missing, server_settings,
};
use crate::mapping::MappingPolicy;

/// Settings of the reading side, with the same meaning as for `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct ReadingArgs {
    #[command(flatten)]
    personio: PersonioArgs,
    /// Configuration file (TOML): mapping, clients, issuers and trusted proxies
    #[arg(long, env = "SCIM_CONFIG", value_name = "FILE")]
    config: Option<String>,
    /// URL under which clients reach the server, without /scim/v2; `meta.location` begins with it
    #[arg(long, env = "SCIM_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Limit of the completeness check: 100% accepts a company in which most persons have no status
    /// or e-mail address
    #[arg(long, env = "SCIM_MAX_CHANGE", value_name = "PERCENT", default_value = "20%")]
    max_change: String,
}

/// Checked settings of the reading side.
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
}

/// Checked settings of `check`.
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
}

/// Settings of `export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// Format of the users
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    pub format: ExportFormat,
    /// File to write, which appears once it is complete [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Only users that match this SCIM filter
    #[arg(long, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Only these attributes, with commas between them
    #[arg(long, value_name = "NAMES")]
    pub attributes: Option<String>,
    /// All attributes but these, with commas between them
    #[arg(long, value_name = "NAMES")]
    pub excluded_attributes: Option<String>,
    /// Sort by this attribute
    #[arg(long, value_name = "NAME")]
    pub sort_by: Option<String>,
    /// Sort order: ascending or descending
    #[arg(long, value_name = "ORDER")]
    pub sort_order: Option<String>,
    /// Maximum number of users to export
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<String>,
    /// Settings of the log.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// Settings of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// Show the attributes that persons have, all custom attributes, and a few persons as they
    /// would be served
    #[arg(long, short)]
    pub verbose: bool,
    /// Number of persons to show, with the source of each SCIM attribute, 0 to 20; implies
    /// --verbose [default: 3]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub sample: Option<u8>,
    /// Show complete values of persons, not only first letter and length; implies --verbose
    #[arg(long)]
    pub show_values: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Format of the exported users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON Lines: one user on each line
    Ndjson,
    /// SCIM list response in JSON
    Json,
    /// Table with a heading; several values of one attribute have `;` between them. Text that a
    /// spreadsheet would run as a formula gets an apostrophe in front
    Csv,
}

impl ReadingSettings {
    /// Returns the checked settings of `export`.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_export(args: &ExportArgs, matches: &ArgMatches) -> Result<Self, Error> {
        reading_settings(&args.reading, matches)
    }

    /// Returns the checked settings of `check`.
    ///
    /// # Errors
    /// Returns an error when a setting is missing or invalid.
    pub fn for_check(args: &CheckArgs, matches: &ArgMatches) -> Result<CheckSettings, Error> {
        let reading = reading_settings(&args.reading, matches)?;
        let scim = server_settings_without_command(parsers::optional_text("config", matches))?;
        let id = parsers::given_name(parsers::CLIENT_ID, matches);
        let secret = parsers::given_name(parsers::CLIENT_SECRET, matches);
        Ok(CheckSettings {
            reading,
            max_results: scim.max_results,
            credential: format!("{id}, {secret}"),
            has_clients: scim.auth_settings.has_clients(),
        })
    }
}

/// Returns the settings of a server with the same environment and configuration file. A server
/// without clients is not an error here.
fn server_settings_without_command(config: Option<&String>) -> Result<ServerSettings, Error> {
    let command =
        environment::without_empty_variables(ScimArgs::augment_args(clap::Command::new("serve")));
    let command = LogArgs::augment_args(command);
    let mut arguments = vec!["serve".to_owned()];
    if let Some(path) = config {
        arguments.push(format!("--config={path}"));
    }
    let matches = command.try_get_matches_from(arguments).map_err(invalid_arguments)?;
    LogArgs::from_arg_matches(&matches).map_err(invalid_arguments)?.settings()?;
    let args = ScimArgs::from_arg_matches(&matches).map_err(invalid_arguments)?;
    let token = parsers::secret(parsers::BEARER_TOKEN, &matches)?;
    server_settings::<ScimArgs>(&args, &matches, token)
}

fn reading_settings(args: &ReadingArgs, matches: &ArgMatches) -> Result<ReadingSettings, Error> {
    environment::refuse_unknown()?;
    refuse_missing(&args.personio, false, matches)?;
    let public_url = match parsers::optional_text("public_url", matches) {
        Some(url) => parsers::public_url(url)?,
        None => parsers::public_url(&format!("http://{DEFAULT_LISTEN}"))?,
    };
    Ok(ReadingSettings {
        personio: personio_settings(&args.personio, matches)?,
        // The file's clients are not used here, but errors in them are reported.
        policy: configuration_file(matches)?.policy,
        public_url,
        max_change: parsers::percent(parsers::MAX_CHANGE, &args.max_change)?,
    })
}
