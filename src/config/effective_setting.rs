//! Effective settings: the values in force, with secrets redacted.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, CommandFactory};

use crate::auth::{AuthSettings, ClientName, DefaultPaging};
use crate::config::{Args, ClientScope};
use crate::mapping::{AttributeOverride, CustomSource, MappingPolicy, ServedEmployments};
use crate::scim::AttributeSelection;

/// Effective setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Flag, such as `--listen`, or key in the configuration file.
    pub flag: String,
    /// Value; `None` if it is not set.
    pub value: Option<String>,
    /// Flag set when the value was given, and not left at its default.
    pub is_given: bool,
}

/// Text that replaces a secret.
const REDACTED: &str = "(a secret)";

/// Returns the settings of a command, in the order of its help. Values that the command line hides
/// as secrets are redacted.
pub(super) fn command_settings(command_name: &str, matches: &ArgMatches) -> Vec<EffectiveSetting> {
    let args = Args::command();
    let mut settings = Vec::new();
    let Some(command) = args.find_subcommand(command_name) else { return settings };
    for arg in command.get_arguments() {
        let Some(flag) = arg.get_long() else { continue };
        let value = given_value(arg, matches);
        let source = matches.value_source(arg.get_id().as_str());
        let is_given = value.is_some() && source != Some(ValueSource::DefaultValue);
        settings.push(EffectiveSetting { flag: format!("--{flag}"), value, is_given });
    }
    settings
}

/// Returns the value of an argument, redacted if it is a secret. An empty value counts as not set.
fn given_value(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let value = matches.get_raw(arg.get_id().as_str())?.next()?;
    if value.is_empty() {
        return None;
    }
    if arg.is_hide_env_values_set() {
        return Some(REDACTED.to_owned());
    }
    Some(value.to_string_lossy().into_owned())
}

/// Returns the settings of the configuration file. A token shows only as the name of its client.
pub(super) fn file_settings(
    policy: &MappingPolicy,
    auth_settings: &AuthSettings,
    scopes: &[ClientScope],
) -> Vec<EffectiveSetting> {
    let standard = &policy.standard_attributes;
    let division = if standard.team_is_division { Some("team".to_owned()) } else { None };
    let require = if policy.require_email { Some("email".to_owned()) } else { None };
    let employments = match policy.optional.employments {
        ServedEmployments::Primary => None,
        ServedEmployments::All => Some("all".to_owned()),
    };
    let manager_levels =
        if policy.optional.manager_levels { Some("true".to_owned()) } else { None };
    let nested_groups = if policy.optional.nested_groups { Some("true".to_owned()) } else { None };
    let mut groups = Vec::new();
    for group in &policy.groups {
        groups.push(group.id_prefix().to_owned());
    }
    let mut sources = Vec::new();
    let mut values = Vec::new();
    for AttributeOverride { attribute, source, new_values } in &standard.overrides {
        if let Some(CustomSource { id, has_fallback }) = source {
            let fallback = if *has_fallback { "" } else { " without fallback" };
            sources.push(format!("{id} as {}{fallback}", attribute.name()));
        }
        // The values are data of persons.
        if !new_values.is_empty() {
            values.push(format!("{} of {}", new_values.len(), attribute.name()));
        }
    }
    let mut custom = Vec::new();
    for attribute in &policy.custom_attributes {
        custom.push(format!("{} as {}", attribute.id, attribute.definition.name));
    }
    let proxies = auth_settings.trusted_proxies.to_string();
    let proxies = if proxies.is_empty() { None } else { Some(proxies) };
    let mut settings = vec![
        of_key(
            "active_before_start_days",
            policy.active_before_start_days.map(|days| days.to_string()),
        ),
        of_key("active_until", policy.active_until.map(|date| date.as_str().to_owned())),
        EffectiveSetting {
            flag: "time_zone".to_owned(),
            value: policy.time_zone.iana_name().map(str::to_owned),
            is_given: policy.time_zone != MappingPolicy::default().time_zone,
        },
        of_key("division", division),
        of_key("display_name", standard.display_name.as_str().map(str::to_owned)),
        of_key("users.require", require),
        of_key("users.employments", employments),
        of_key("users.manager_levels", manager_levels),
        of_key("groups.from", joined(&groups)),
        of_key("groups.nested", nested_groups),
        of_key("attributes", joined(&sources)),
        of_key("values", joined(&values)),
        of_key("custom_attribute", joined(&custom)),
        of_key("trusted_proxies", proxies),
    ];
    for client in &auth_settings.clients {
        let mut limits = Vec::new();
        if let Some(moment) = &client.expires {
            limits.push(format!("until {moment}"));
        }
        if let Some(networks) = &client.networks {
            limits.push(format!("from {networks}"));
        }
        if client.default_paging == DefaultPaging::Cursor {
            limits.push("paged by cursor".to_owned());
        }
        limits.extend(visible_part(&client.name, scopes));
        let value = joined(&limits).unwrap_or_else(|| "a token".to_owned());
        settings.push(of_key(&format!("client {}", client.name), Some(value)));
    }
    for issuer in &auth_settings.issuers {
        let mut value = format!("{} for {}", issuer.issuer, issuer.audience);
        if let Some(scope) = &issuer.scope {
            value += " with ";
            value += scope;
        }
        if let Some(part) = visible_part(&issuer.name, scopes) {
            value += ", ";
            value += &part;
        }
        settings.push(of_key(&format!("issuer {}", issuer.name), Some(value)));
    }
    settings
}

/// Describes the scope of a client. The filter itself is left out, because it can name a person.
fn visible_part(client: &ClientName, scopes: &[ClientScope]) -> Option<String> {
    let scope = scopes.iter().find(|scope| scope.client == *client)?;
    let attributes = match &scope.definition.attributes {
        AttributeSelection::All => "all attributes".to_owned(),
        AttributeSelection::Only(names) => format!("{} attributes", names.len()),
        AttributeSelection::AllBut(names) => format!("all attributes but {}", names.len()),
    };
    let users = match &scope.definition.filter {
        Some(_) => "the users that match a filter",
        None => "all users",
    };
    Some(format!("sees {attributes} of {users}"))
}

/// Returns the setting of a key that has no default: it is chosen if it has a value.
fn of_key(key: &str, value: Option<String>) -> EffectiveSetting {
    EffectiveSetting { flag: key.to_owned(), is_given: value.is_some(), value }
}

/// Returns the texts with commas between them, or `None` if there are none.
fn joined(texts: &[String]) -> Option<String> {
    if texts.is_empty() { None } else { Some(texts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::{
        ActiveUntil, DisplayNameRule, OverridableAttribute, StandardAttributePolicy,
    };

    /// Setting of a test, and the value that it was given.
    struct GivenSetting {
        setting: EffectiveSetting,
        given: String,
    }

    /// Returns a valid value of an argument.
    fn valid_value(arg: &Arg) -> String {
        if let [default] = arg.get_default_values() {
            return default.to_str().unwrap().to_owned();
        }
        let value = match arg.get_value_names().unwrap()[0].as_str() {
            "TIME" => "7m",
            "ADDRESS" => "127.0.0.1:1",
            "URL" => "https://example.com",
            "LEVEL" => "debug",
            _ => "given-text",
        };
        value.to_owned()
    }

    /// Returns the settings of a command, after every setting was given a value.
    fn given_settings(name: &str) -> Vec<GivenSetting> {
        let args = Args::command();
        let mut values = Vec::new();
        let mut words = vec!["personio-scim".to_owned(), name.to_owned()];
        for arg in args.find_subcommand(name).unwrap().get_arguments() {
            let value = valid_value(arg);
            words.push(format!("--{}={value}", arg.get_long().unwrap()));
            values.push(value);
        }
        let matches = args.try_get_matches_from(words).unwrap();
        let settings = command_settings(name, matches.subcommand_matches(name).unwrap());
        assert_eq!(settings.len(), values.len());
        let both = settings.into_iter().zip(values);
        both.map(|(setting, given)| GivenSetting { setting, given }).collect()
    }

    #[test]
    fn secrets_are_redacted() {
        for (name, least) in [("serve", 4), ("demo", 3)] {
            let mut secrets = 0;
            for GivenSetting { setting, given } in given_settings(name) {
                let EffectiveSetting { flag, value, is_given } = setting;
                let is_secret = ["secret", "token", "key"].iter().any(|word| flag.contains(word));
                // These settings name a file that holds the secret.
                let is_secret = is_secret && !flag.ends_with("-file") && flag != "--tls-key";
                secrets += usize::from(is_secret);
                let expected = if is_secret { REDACTED } else { &given };
                assert_eq!((value.as_deref(), is_given), (Some(expected), true), "{flag}");
            }
            assert!(secrets >= least, "{secrets}");
        }
    }

    #[test]
    fn the_date_rules_of_the_file_are_among_the_settings() {
        let policy = MappingPolicy {
            active_before_start_days: Some(14),
            active_until: Some(ActiveUntil::LastWorkingDay),
            ..MappingPolicy::default()
        };
        let settings = file_settings(&policy, &AuthSettings::default(), &[]);
        for (key, value) in
            [("active_before_start_days", "14"), ("active_until", "last_working_day")]
        {
            let found = settings.iter().find(|setting| setting.flag == key).unwrap();
            assert_eq!((found.value.as_deref(), found.is_given), (Some(value), true), "{key}");
        }
    }

    #[test]
    fn overrides_are_settings_and_their_values_are_counted() {
        let mut standard_attributes = StandardAttributePolicy {
            display_name: DisplayNameRule::Legal,
            ..StandardAttributePolicy::default()
        }
        .with_source(OverridableAttribute::UserType, "dynamic_12", true)
        .with_source(OverridableAttribute::Title, "dynamic_9", false);
        let chosen = standard_attributes.overrides.first_mut().unwrap();
        chosen.new_values.insert("Private".to_owned(), "x".to_owned());
        let policy = MappingPolicy { standard_attributes, ..MappingPolicy::default() };
        let settings = file_settings(&policy, &AuthSettings::default(), &[]);
        for (key, value) in [
            ("display_name", "legal"),
            ("attributes", "dynamic_12 as userType, dynamic_9 as title without fallback"),
            ("values", "1 of userType"),
        ] {
            let found = settings.iter().find(|setting| setting.flag == key).unwrap();
            assert_eq!((found.value.as_deref(), found.is_given), (Some(value), true), "{key}");
        }
    }

    #[test]
    fn defaults_are_not_marked_as_given() {
        let matches =
            Args::command().try_get_matches_from(["personio-scim", "demo", "--config="]).unwrap();
        let settings = command_settings("demo", matches.subcommand_matches("demo").unwrap());
        for (flag, value) in
            [("--status-page", Some("on")), ("--config", None), ("--state-key", None)]
        {
            let found = settings.iter().find(|setting| setting.flag == flag).unwrap();
            assert_eq!((found.value.as_deref(), found.is_given), (value, false), "{flag}");
        }
    }
}
