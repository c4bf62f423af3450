//! Environment variables. An empty variable counts as not set, because compose files and scripts
//! pass on variables that they do not have themselves. An unknown variable with one of our prefixes
//! is an error: it is most likely misspelt, and a misspelt setting would silently not apply.

use std::ffi::OsStr;

use clap::{Arg, Command, CommandFactory};

use crate::config::command_line::invalid_arguments;
use crate::config::suggestion;
use crate::config::suggestion::VARIABLE_PREFIXES;
use crate::config::{Args, Error};

/// Returns the command without the variables that are empty, in all its subcommands.
pub(super) fn without_empty_variables(command: Command) -> Command {
    let command = command
        .mut_args(|arg| if has_empty_variable(&arg) { arg.env(None::<&'static str>) } else { arg });
    command.mut_subcommands(without_empty_variables)
}

/// Returns settings of `serve` from the environment alone.
pub(super) fn read_settings<A: clap::Args>() -> Result<A, Error> {
    let command = without_empty_variables(A::augment_args(Command::new("serve")));
    read_arguments(command)
}

/// Returns settings with their defaults. The environment has no effect on them.
///
/// # Errors
/// Returns an error if a setting of the group is required.
pub fn default_settings<A: clap::Args>() -> Result<A, Error> {
    let command = A::augment_args(Command::new("serve"));
    let command = command.mut_args(|arg| arg.env(None::<&'static str>));
    read_arguments(command)
}

/// Returns the settings of a command line without flags.
fn read_arguments<A: clap::Args>(command: Command) -> Result<A, Error> {
    match command.try_get_matches_from(["serve"]) {
        Ok(matches) => A::from_arg_matches(&matches).map_err(|error| invalid_arguments(&error)),
        Err(error) => Err(invalid_arguments(&error)),
    }
}

fn has_empty_variable(arg: &Arg) -> bool {
    let Some(name) = arg.get_env() else { return false };
    let Some(value) = read_variable(name) else { return false };
    value.to_str().is_some_and(|text| text.trim().is_empty())
}

#[expect(clippy::disallowed_methods, reason = "configuration is what reads the environment")]
fn read_variable(name: &OsStr) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// Reports whether a service manager started this process and reads its messages (`sd_notify(3)`).
#[must_use]
pub fn has_service_manager() -> bool {
    read_variable(OsStr::new("NOTIFY_SOCKET")).is_some()
}

/// Refuses to start while the environment has an unknown variable with one of our prefixes.
///
/// # Errors
/// Returns an error that names all unknown variables.
pub(super) fn refuse_unknown() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "configuration is what reads the environment")]
    let all = std::env::vars_os();
    let mut variables = Vec::new();
    for (name, value) in all {
        if let Ok(name) = name.into_string() {
            variables.push((name, value.to_string_lossy().into_owned()));
        }
    }
    let mut unknown = unknown_variables(variables.into_iter());
    unknown.sort();
    if unknown.is_empty() {
        return Ok(());
    }
    if unknown == ["SCIM_OTLP_ENDPOINT"] {
        let name = "SCIM_OTLP_ENDPOINT";
        return Err(Error(format!(
            "{name} is set, but this program is built without the feature otlp"
        )));
    }
    let args = Args::command();
    let known = suggestion::variables(&args);
    let mut named = Vec::new();
    for name in &unknown {
        named.push(match suggestion::nearest(name, &known) {
            Some(meant) => format!("{name} (did you mean {meant}?)"),
            None => name.clone(),
        });
    }
    let named = named.join(", ");
    let (variables, them) =
        if unknown.len() == 1 { ("variable", "it") } else { ("variables", "them") };
    Err(Error(format!(
        "unknown {variables} {named}: unset {them}, or see `personio-scim serve --help` for all \
         names"
    )))
}

/// Returns the variables with one of our prefixes that no command has.
fn unknown_variables(variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let args = Args::command();
    let known = suggestion::variables(&args);
    let mut unknown = Vec::new();
    for (name, value) in variables {
        let is_ours = VARIABLE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_ours && !known.contains(&name.as_str()) && !is_service_link(&name, &value) {
            unknown.push(name);
        }
    }
    unknown
}

/// Reports whether Kubernetes has set the variable. It sets variables in every pod for each
/// service, and a service called `personio-scim` or `scim` gives them our prefixes.
/// `SCIM_PORT=8080` is not one of them, but a mistake.
fn is_service_link(name: &str, value: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || (name.ends_with("_PORT") && value.contains("://"))
        || name.contains("_SERVICE_PORT_")
        || name.split_once("_PORT_").is_some_and(|(_, rest)| begins_with_port(rest))
}

/// Reports whether a text is a port number, alone or in front of an underscore.
fn begins_with_port(text: &str) -> bool {
    let (port, _) = text.split_once('_').unwrap_or((text, ""));
    port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::unknown_variables;

    #[test]
    fn only_unknown_variables_with_our_prefixes_are_reported() {
        let names = [
            "SCIM_PORT",
            "SCIM_SERVICE_PORT",
            "SCIM_LISTEN",
            "SCIM_BEARER_TOKEN_FILE",
            "PERSONIO_CLIENT_SECRET_FILE",
            "PATH",
            "RUST_LOG",
            "PERSONIO_SCIM_SERVICE_HOST",
            "PERSONIO_SCIM_PORT",
            "PERSONIO_SCIM_SERVICE_PORT_HTTP",
            "PERSONIO_SCIM_PORT_8080_TCP_ADDR",
            "SCIM_MAXSTALE",
            "PERSONIO_SECRET",
        ];
        let variables = names.map(|name| {
            let value = if name == "PERSONIO_SCIM_PORT" { "tcp://10.0.0.1:8080" } else { "8080" };
            (name.to_owned(), value.to_owned())
        });
        assert_eq!(
            unknown_variables(variables.into_iter()),
            ["SCIM_PORT", "SCIM_MAXSTALE", "PERSONIO_SECRET"]
        );
    }
}
