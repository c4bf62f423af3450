//! Variables that look like ours but are none: most likely misspelt, and a misspelt setting would
//! silently not apply.

use clap::CommandFactory;

use super::{Args, Error};

const PREFIXES: [&str; 2] = ["PERSONIO_", "SCIM_"];

/// Refuses to start while the environment has an unknown variable with a prefix of ours.
pub(super) fn refuse_unknown() -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "configuration is what reads the environment")]
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut unknown = unknown(names);
    unknown.sort();
    match unknown.as_slice() {
        [] => Ok(()),
        [one] if one == "SCIM_OTLP_ENDPOINT" => {
            Err(Error(format!("{one} is set, but this program is built without the feature otlp")))
        }
        [one] => Err(Error(format!("{one} is set but is no setting; `personio-scim serve --help` names all"))),
        many => Err(Error(format!(
            "{} are set but are no settings; `personio-scim serve --help` names all",
            many.join(", ")
        ))),
    }
}

fn unknown(names: impl Iterator<Item = String>) -> Vec<String> {
    let args = Args::command();
    let known: Vec<String> = args
        .get_subcommands()
        .flat_map(|command| command.get_arguments())
        .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned))
        .collect();
    names
        .filter(|name| PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !known.contains(name) && !is_service_link(name))
        .collect()
}

/// Kubernetes sets such variables in every pod for each service it knows, and a service called
/// `personio-scim` or `scim` gives them our prefixes.
fn is_service_link(name: &str) -> bool {
    let numbered = |rest: &str| rest.split('_').next().is_some_and(|port| port.parse::<u16>().is_ok());
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.split_once("_PORT_").is_some_and(|(_, rest)| numbered(rest))
}

#[cfg(test)]
mod tests {
    use super::unknown;

    #[test]
    fn only_misspelt_variables_of_ours_are_named() {
        let names = [
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
        assert_eq!(unknown(names.into_iter().map(str::to_owned)), ["SCIM_MAXSTALE", "PERSONIO_SECRET"]);
    }
}
