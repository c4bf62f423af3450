//! Effective settings: the values in force, with secrets redacted.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command};

use crate::auth::Rules;
use crate::mapping::Policy;

/// Effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Flag, such as `--listen`, or key in the configuration file.
    pub flag: String,
    /// Value; `None` if it is not set.
    pub value: Option<String>,
    /// Flag set when the value was given, and not left at its default.
    pub is_chosen: bool,
}

/// Text that replaces a secret.
const SECRET: &str = "(a secret)";

/// Returns the settings `A` of a command, in the order of its help. Values that the command line
/// hides as secrets are redacted.
pub(super) fn settings<A: Args>(matches: &ArgMatches) -> Vec<Told> {
    let command = A::augment_args(Command::default());
    let told = command.get_arguments().filter_map(|arg| {
        let flag = format!("--{}", arg.get_long()?);
        let id = arg.get_id().as_str();
        let given = matches.get_raw(id).into_iter().flatten().next().filter(|value| !value.is_empty());
        let value = given.map(|value| {
            if arg.is_hide_env_values_set() { SECRET.to_owned() } else { value.to_string_lossy().into_owned() }
        });
        let is_chosen = value.is_some() && matches.value_source(id) != Some(ValueSource::DefaultValue);
        Some(Told { flag, value, is_chosen })
    });
    told.collect()
}

/// Returns the settings of the configuration file. A token shows only as the name of its client.
pub(super) fn of_file(policy: &Policy, rules: &Rules) -> Vec<Told> {
    let told = |name: &str, value: Option<String>, is_chosen: bool| Told { flag: name.to_owned(), value, is_chosen };
    let default = Policy::default();
    let joined = |names: Vec<String>| Some(names.join(", ")).filter(|names| !names.is_empty());
    let days = policy.active_before_start_days.map(|days| days.to_string());
    let until = policy.active_until.map(|date| date.word().to_owned());
    let zone = policy.time_zone.iana_name().map(str::to_owned);
    let groups = joined(policy.groups.iter().map(|kind| kind.word().to_owned()).collect());
    let custom = policy.custom.iter().map(|custom| format!("{} as {}", custom.id, custom.attribute.name));
    let proxies = Some(rules.trusted_proxies.to_string()).filter(|names| !names.is_empty());
    let mut all = vec![
        told("active_before_start_days", days.clone(), days.is_some()),
        told("active_until", until, policy.active_until.is_some()),
        told("time_zone", zone, policy.time_zone != default.time_zone),
        told("employee_number", policy.employee_number.clone(), policy.employee_number.is_some()),
        told("division", policy.team_is_division.then(|| "team".to_owned()), policy.team_is_division),
        told("users.require", policy.require_email.then(|| "email".to_owned()), policy.require_email),
        told("groups.from", groups.clone(), groups.is_some()),
        told("custom_attribute", joined(custom.collect()), !policy.custom.is_empty()),
        told("trusted_proxies", proxies.clone(), proxies.is_some()),
    ];
    all.extend(rules.clients.iter().map(|client| {
        let networks = client.networks.as_ref().map(|networks| format!("from {networks}"));
        let expires = client.expires.map(|moment| format!("until {moment}"));
        let limits = joined(expires.into_iter().chain(networks).collect());
        told(&format!("client {}", client.caller), Some(limits.unwrap_or_else(|| "a token".to_owned())), true)
    }));
    all.extend(rules.issuers.iter().map(|issuer| {
        let scope = issuer.scope.as_ref().map(|scope| format!(" with {scope}")).unwrap_or_default();
        let value = format!("{} for {}{scope}", issuer.issuer, issuer.audience);
        told(&format!("issuer {}", issuer.caller), Some(value), true)
    }));
    all
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config;
    use crate::config::{DemoArgs, ServeArgs};
    use crate::mapping::ActiveUntil;

    const VALUE: &str = "what-was-given";

    /// Returns the settings of a command and their values, after every setting was given a value.
    fn told<A: Args>(name: &str) -> Vec<(String, Option<String>)> {
        let command = A::augment_args(Command::default());
        let flags: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
        let text = |flag: &&str| if ["persons", "seed"].contains(flag) { "7".to_owned() } else { VALUE.to_owned() };
        let given = flags.iter().map(|flag| format!("--{flag}={}", text(flag)));
        let words = ["personio-scim".to_owned(), name.to_owned()].into_iter().chain(given);
        let matches = config::Args::command().try_get_matches_from(words).unwrap();
        let told = settings::<A>(matches.subcommand_matches(name).unwrap());
        assert!(told.iter().all(|told| told.is_chosen));
        assert_eq!(told.len(), flags.len());
        told.into_iter().map(|told| (told.flag, told.value)).collect()
    }

    #[test]
    fn a_secret_is_never_told() {
        for (told, least) in [(told::<ServeArgs>("serve"), 4), (told::<DemoArgs>("demo"), 3)] {
            let mut secrets = 0;
            for (flag, value) in told {
                let is_secret = ["secret", "token", "key"].iter().any(|word| flag.contains(word));
                // These settings name a file that holds the secret.
                let is_secret = is_secret && !flag.ends_with("-file") && flag != "--tls-key";
                secrets += usize::from(is_secret);
                assert_eq!(value.as_deref() == Some(SECRET), is_secret, "{flag}");
            }
            assert!(secrets >= least, "{secrets}");
        }
    }

    #[test]
    fn the_date_rules_of_the_file_are_among_the_settings() {
        let policy = Policy {
            active_before_start_days: Some(14),
            active_until: Some(ActiveUntil::LastWorkingDay),
            ..Policy::default()
        };
        let told = of_file(&policy, &Rules::default());
        for (key, value) in [("active_before_start_days", "14"), ("active_until", "last_working_day")] {
            let found = told.iter().find(|told| told.flag == key).unwrap();
            assert_eq!((found.value.as_deref(), found.is_chosen), (Some(value), true), "{key}");
        }
    }

    #[test]
    fn what_nobody_has_chosen_is_told_as_such() {
        let matches = config::Args::command().try_get_matches_from(["personio-scim", "demo", "--config="]).unwrap();
        let told = settings::<DemoArgs>(matches.subcommand_matches("demo").unwrap());
        for (flag, value) in [("--status-page", Some("on")), ("--config", None), ("--state-key", None)] {
            let found = told.iter().find(|told| told.flag == flag).unwrap();
            assert_eq!((found.value.as_deref(), found.is_chosen), (value, false), "{flag}");
        }
    }
}
