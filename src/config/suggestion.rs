//! Suggestions for misspelt names: "did you mean …?".

use std::ffi::OsStr;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::Args;
use crate::config::setting;
use crate::spelling;

/// Prefixes of variables. They are not compared, because they would make short names look similar.
pub(super) const VARIABLE_PREFIXES: [&str; 2] = ["PERSONIO_", "SCIM_"];
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
    let prefix = VARIABLE_PREFIXES.iter().find(|prefix| word.starts_with(**prefix));
    let word = comparable_letters(word);
    let synonym = synonym(&word);
    let mut best: Option<(usize, &str)> = None;
    for &candidate in candidates {
        // `PERSONIO_URL` is rather `PERSONIO_BASE_URL` than `SCIM_PUBLIC_URL`.
        let is_sibling = prefix.is_none_or(|prefix| candidate.starts_with(prefix));
        // `PERSONIO_TOKEN` must not suggest the token of SCIM clients: a person who follows the
        // suggestion would hand out the wrong secret.
        if !is_sibling && is_secret(candidate) {
            continue;
        }
        let Some(rank) = rank(&word, &comparable_letters(candidate), synonym.as_deref()) else {
            continue;
        };
        let rank = if is_sibling { rank } else { rank + 50 };
        if best.is_none_or(|(lowest, _)| rank < lowest) {
            best = Some((rank, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns the name that another program's `word` has here, in the letters that are compared.
fn synonym(word: &str) -> Option<String> {
    for (other, own) in SYNONYMS {
        if comparable_letters(other) == word {
            return Some(comparable_letters(own));
        }
    }
    None
}

/// Returns the rank of a candidate, or `None` if `word` is not similar to it. The lowest rank is
/// the most likely one. All texts are the letters that are compared.
fn rank(word: &str, candidate: &str, synonym: Option<&str>) -> Option<usize> {
    if synonym.is_some_and(|own| candidate.ends_with(own)) {
        return Some(0);
    }
    if let Some(mistakes) = spelling::count_mistakes(word, candidate) {
        return Some(mistakes);
    }
    // Examples: `token` for `bearer_token`, and `warning` for `warn`.
    let is_part = (word.len() >= 3 && candidate.contains(word))
        || (candidate.len() > 3 && word.contains(candidate));
    if is_part { Some(100 + candidate.len().abs_diff(word.len())) } else { None }
}

/// Reports whether a variable holds a token or key of the server, or names a file that does.
fn is_secret(variable: &str) -> bool {
    variable.starts_with("SCIM_") && (variable.contains("TOKEN") || variable.contains("KEY"))
}

/// Returns the question that follows a message about `word`, with punctuation in front, or an empty
/// text.
pub(super) fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => String::new(),
    }
}

/// Returns the letters that are compared: lower case, without prefix and separators.
fn comparable_letters(name: &str) -> String {
    let name = name.trim_start_matches('-');
    let name =
        VARIABLE_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let mut bare = String::new();
    for char in name.chars() {
        if !matches!(char, '_' | '-' | '.') {
            bare.extend(char.to_lowercase());
        }
    }
    bare
}

/// Returns the error of the arguments as one line, with a suggestion.
pub(super) fn describe_error(error: &clap::Error) -> String {
    if let Some(message) = setting::invalid_value_message(error) {
        return one_line(message);
    }
    let text = error.to_string();
    let message = text.split("\n\n").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let line = one_line(message);
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(flag) = text_of(error, ContextKind::InvalidArg)
        && flag.starts_with("--")
    {
        return format!("{line}{}", advice_on_flag(flag, error));
    }
    if let Some(word) = text_of(error, ContextKind::InvalidSubcommand) {
        return format!("{line}{}", suggest_command(word));
    }
    if let (Some(word), Some(ContextValue::Strings(known))) =
        (text_of(error, ContextKind::InvalidValue), error.get(ContextKind::ValidValue))
    {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return format!("{line}{}", did_you_mean(word, &known));
    }
    line
}

/// Returns the text with single spaces instead of line breaks and runs of spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns what to do about an unknown flag, with punctuation in front.
fn advice_on_flag(flag: &str, error: &clap::Error) -> String {
    if let Some(commands) = commands_with(flag) {
        return commands;
    }
    match text_of(error, ContextKind::SuggestedArg) {
        Some(own) => format!("; did you mean `{own}`?"),
        None => suggest_flag(flag),
    }
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
    if commands.is_empty() {
        return None;
    }
    Some(format!("; it is a flag of {}", commands.join(", ")))
}

/// Returns the question for a flag of any command with a similar name.
fn suggest_flag(flag: &str) -> String {
    let mut flags = Vec::new();
    for command in Args::command().get_subcommands() {
        for argument in command.get_arguments() {
            if let Some(name) = argument.get_long() {
                flags.push(format!("--{name}"));
            }
        }
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    did_you_mean(flag, &flags)
}

/// Returns the question for a command or subcommand with a similar name.
fn suggest_command(word: &str) -> String {
    let args = Args::command();
    let mut names = Vec::new();
    for command in args.get_subcommands() {
        names.push(command.get_name());
        names.extend(command.get_subcommands().map(clap::Command::get_name));
    }
    did_you_mean(word, &names)
}

/// Returns the variables of all commands.
pub(super) fn variables(args: &clap::Command) -> Vec<&str> {
    let mut variables = Vec::new();
    for command in args.get_subcommands() {
        for argument in command.get_arguments() {
            if let Some(name) = argument.get_env().and_then(OsStr::to_str) {
                variables.push(name);
            }
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_name_is_suggested_and_a_different_one_is_not() {
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
        for (word, expected) in
            [("usrName", Some("userName")), ("email", Some("emails")), ("x", None)]
        {
            assert_eq!(
                nearest(word, &["userName", "emails", "name.givenName"]),
                expected,
                "{word}"
            );
        }
    }
}
