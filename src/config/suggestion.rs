//! Suggestions for misspelt names: "did you mean …?".

use std::ffi::OsStr;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::Args;
use crate::spelling;

/// Prefixes of variables. They are not compared, because they would make short names look similar.
pub(super) const PREFIXES: [&str; 2] = ["PERSONIO_", "SCIM_"];
/// Names that other programs have for our settings.
const SYNONYMS: &[(&str, &str)] = &[
    ("addr", "listen"),
    ("address", "listen"),
    ("bind", "listen"),
    ("host", "listen"),
    ("port", "listen"),
    ("api_key", "client_secret"),
    ("api_url", "base_url"),
    ("configuration", "config"),
    ("mapping", "config"),
    ("mapping_file", "config"),
    ("page_size", "max_results"),
    ("interval", "refresh_every"),
    ("cert", "tls_cert"),
    ("certificate", "tls_cert"),
    ("key", "tls_key"),
    ("loglevel", "log_level"),
];

/// Returns the candidate of which `word` is most likely a misspelling.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let prefix = PREFIXES.iter().find(|prefix| word.starts_with(**prefix));
    let word = bare(word);
    let synonym = SYNONYMS.iter().find(|(other, _)| bare(other) == word).map(|(_, own)| bare(own));
    let mut best = None;
    for &candidate in candidates {
        let bare = bare(candidate);
        let slips = match &synonym {
            Some(own) if bare.ends_with(own.as_str()) => Some(0),
            _ => spelling::slips(&word, &bare),
        };
        // Examples: `token` for `bearer_token`, and `warning` for `warn`.
        let is_part = (word.len() >= 3 && bare.contains(&word)) || (bare.len() > 3 && word.contains(&bare));
        let rank = slips.unwrap_or_else(|| 100 + bare.len().abs_diff(word.len()));
        // `PERSONIO_URL` is rather `PERSONIO_BASE_URL` than `SCIM_PUBLIC_URL`.
        let is_sibling = prefix.is_none_or(|prefix| candidate.starts_with(prefix));
        // `PERSONIO_TOKEN` must not suggest the token of SCIM clients: a person who follows the
        // suggestion would hand out the wrong secret.
        if !is_sibling && is_secret(candidate) {
            continue;
        }
        let rank = if is_sibling { rank } else { rank + 50 };
        if (slips.is_some() || is_part) && best.is_none_or(|(lowest, _)| rank < lowest) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Reports whether a variable holds a token or key of the server, or names a file that does.
fn is_secret(variable: &str) -> bool {
    variable.starts_with("SCIM_") && (variable.contains("TOKEN") || variable.contains("KEY"))
}

/// Returns the question that follows a message about `word`, with punctuation in front, or an empty
/// text.
pub(super) fn question(word: &str, candidates: &[&str]) -> String {
    nearest(word, candidates).map_or_else(String::new, |candidate| format!("; did you mean `{candidate}`?"))
}

/// Returns the letters that are compared: lower case, without prefix and separators.
fn bare(name: &str) -> String {
    let name = name.trim_start_matches('-');
    let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let mut bare = String::new();
    for char in name.chars() {
        if !matches!(char, '_' | '-' | '.') {
            bare.extend(char.to_lowercase());
        }
    }
    bare
}

/// Returns the error of the arguments as one line, with a suggestion.
pub(super) fn complaint(error: &clap::Error) -> String {
    let text = error.to_string();
    let about = text.split("\n\n").next().unwrap_or_default();
    let about = about.strip_prefix("error: ").unwrap_or(about);
    let line = about.split_whitespace().collect::<Vec<_>>().join(" ");
    let flag = text_of(error, ContextKind::InvalidArg).filter(|flag| flag.starts_with("--"));
    if let Some(flag) = flag.filter(|_| error.kind() == ErrorKind::UnknownArgument) {
        let own = text_of(error, ContextKind::SuggestedArg).map(|own| format!("; did you mean `{own}`?"));
        return format!("{line}{}", commands_with(flag).or(own).unwrap_or_else(|| any_flag(flag)));
    }
    if let Some(word) = text_of(error, ContextKind::InvalidSubcommand) {
        return format!("{line}{}", any_command(word));
    }
    if let (Some(word), Some(ContextValue::Strings(known))) =
        (text_of(error, ContextKind::InvalidValue), error.get(ContextKind::ValidValue))
    {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return format!("{line}{}", question(word, &known));
    }
    line
}

fn text_of(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    }
}

/// Returns the list of commands that have this flag, or `None`.
fn commands_with(flag: &str) -> Option<String> {
    let mut commands = Vec::new();
    for command in Args::command().get_subcommands() {
        if command.get_arguments().any(|argument| argument.get_long() == flag.strip_prefix("--")) {
            commands.push(format!("`{}`", command.get_name()));
        }
    }
    (!commands.is_empty()).then(|| format!("; it is a flag of {}", commands.join(", ")))
}

/// Returns the question for a flag of any command with a similar name.
fn any_flag(flag: &str) -> String {
    let mut flags = Vec::new();
    for command in Args::command().get_subcommands() {
        flags.extend(command.get_arguments().filter_map(|it| Some(format!("--{}", it.get_long()?))));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    question(flag, &flags)
}

/// Returns the question for a command or subcommand with a similar name.
fn any_command(word: &str) -> String {
    let args = Args::command();
    let mut names = Vec::new();
    for command in args.get_subcommands() {
        names.push(command.get_name());
        names.extend(command.get_subcommands().map(clap::Command::get_name));
    }
    question(word, &names)
}

/// Returns the variables of all commands.
pub(super) fn variables(args: &clap::Command) -> Vec<&str> {
    let arguments = args.get_subcommands().flat_map(clap::Command::get_arguments);
    arguments.filter_map(|argument| argument.get_env().and_then(OsStr::to_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let args = Args::command();
        let variables = variables(&args);
        for (word, expected) in [
            ("SCIM_BEARER_TOKN", Some("SCIM_BEARER_TOKEN")),
            ("SCIM_TOKEN", Some("SCIM_BEARER_TOKEN")),
            ("SCIM_MAXSTALE", Some("SCIM_MAX_STALE")),
            ("SCIM_CLIENT_ID", Some("PERSONIO_CLIENT_ID")),
            ("PERSONIO_SECRET", Some("PERSONIO_CLIENT_SECRET")),
            ("PERSONIO_API_URL", Some("PERSONIO_BASE_URL")),
            ("PERSONIO_URL", Some("PERSONIO_BASE_URL")),
            ("SCIM_URL", Some("SCIM_PUBLIC_URL")),
            ("SCIM_PORT", Some("SCIM_LISTEN")),
            ("SCIM_REFRESH_INTERVAL", None),
            ("PERSONIO_TOKEN", None),
            ("PERSONIO_BEARER_TOKEN", None),
            ("PERSONIO_STATE_KEY", None),
            ("PERSONIO_LISTEN", Some("SCIM_LISTEN")),
            ("SCIM_VERSION", None),
            ("PERSONIO_LOCALE", None),
        ] {
            assert_eq!(nearest(word, &variables), expected, "{word}");
        }
        for (word, expected) in [("usrName", Some("userName")), ("email", Some("emails")), ("x", None)] {
            assert_eq!(nearest(word, &["userName", "emails", "name.givenName"]), expected, "{word}");
        }
    }
}
