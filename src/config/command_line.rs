//! Parsing of the command line and the environment.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::config::{
    Args, Command, EffectiveSetting, Error, OutputArgs, effective_setting, environment, setting,
    suggestion,
};

/// Request of the command line.
pub enum CommandLineRequest {
    /// Command to run.
    Command(Box<ParsedCommand>),
    /// Invalid value of a setting of `check --json`, which reports it as JSON, too.
    InvalidCheck(Error),
    /// Help or version to print.
    Help(clap::Error),
}

/// Command to run, with its settings.
pub struct ParsedCommand {
    /// Command.
    pub command: Command,
    /// Settings of the command, in the order of its help.
    pub settings: Vec<EffectiveSetting>,
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
        Err(error) if error.use_stderr() => {
            let message = invalid_arguments(&error);
            let is_setting = setting::invalid_value_message(&error).is_some();
            if is_setting && is_check_with_json() {
                return Ok(CommandLineRequest::InvalidCheck(message));
            }
            return Err(message);
        }
        // Help lists every variable, including the empty ones, so it is made from the unchanged
        // command.
        Err(help) => {
            let complete_help = Args::command().try_get_matches().err();
            return Ok(CommandLineRequest::Help(complete_help.unwrap_or(help)));
        }
    };
    let args = Args::from_arg_matches(&matches).map_err(|error| invalid_arguments(&error))?;
    let settings = match matches.subcommand() {
        Some((name, matches)) => effective_setting::command_settings(name, matches),
        None => Vec::new(),
    };
    let parsed = ParsedCommand { command: args.command, settings };
    Ok(CommandLineRequest::Command(Box::new(parsed)))
}

/// Reports whether the command line is a valid `check --json`, apart from the values of settings.
fn is_check_with_json() -> bool {
    let command = Args::command().mut_subcommands(|command| {
        command.mut_args(|arg| {
            if arg.get_action().takes_values() {
                arg.value_parser(clap::value_parser!(OsString))
            } else {
                arg
            }
        })
    });
    let Ok(matches) = command.try_get_matches() else { return false };
    let Some(check) = matches.subcommand_matches("check") else { return false };
    OutputArgs::from_arg_matches(check).is_ok_and(|output| output.json)
}

/// Returns the error of a command line as an error of one line.
pub(super) fn invalid_arguments(error: &clap::Error) -> Error {
    Error(suggestion::describe_error(error))
}

/// Returns the names of all commands, as a list for a sentence.
fn command_names() -> String {
    let args = Args::command();
    let mut names: Vec<&str> = args.get_subcommands().map(clap::Command::get_name).collect();
    let last = names.pop().unwrap_or_default();
    format!("{} or {last}", names.join(", "))
}
