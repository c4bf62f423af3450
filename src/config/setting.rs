//! Names of settings, and the parsers that clap calls for their values. An error names the flag and
//! the variable of the setting.

use std::ffi::OsStr;
use std::fmt;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, Command, CommandFactory};

use crate::config::{Args, Error};

/// Name of a setting. It is a constant if error messages or several commands name the setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingName {
    /// Flag, without the dashes in front.
    pub(super) flag: &'static str,
    /// Environment variable.
    pub(super) variable: &'static str,
}

impl SettingName {
    pub(super) const fn new(flag: &'static str, variable: &'static str) -> Self {
        Self { flag, variable }
    }

    /// Returns flag and variable as a list, for a text in brackets.
    #[must_use]
    pub fn list(self) -> String {
        format!("--{}, {}", self.flag, self.variable)
    }

    /// Returns the flag or the variable.
    pub(super) fn of_source(self, is_flag: bool) -> String {
        if is_flag { format!("--{}", self.flag) } else { self.variable.to_owned() }
    }
}

impl fmt::Display for SettingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{} ({})", self.flag, self.variable)
    }
}

/// Reason why a value is invalid. It continues an error message that begins with the name of the
/// setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InvalidValue(String);

impl InvalidValue {
    /// Creates a reason that follows the name after a colon.
    pub(super) fn reason(reason: impl fmt::Display) -> Self {
        Self(format!(": {reason}"))
    }

    /// Creates a reason that forms a sentence with the name, such as "is empty".
    pub(super) fn predicate(predicate: impl fmt::Display) -> Self {
        Self(format!(" {predicate}"))
    }

    /// Returns the error of the setting or place `name`.
    pub(super) fn of(self, name: impl fmt::Display) -> Error {
        Error(format!("{name}{}", self.0))
    }
}

/// Parser of a value for clap.
#[derive(Clone)]
pub(super) struct SettingParser<F>(F);

/// Returns the parser for clap that calls `parse`.
pub(super) fn setting<F>(parse: F) -> SettingParser<F> {
    SettingParser(parse)
}

impl<T, F> TypedValueParser for SettingParser<F>
where
    F: Fn(&str) -> Result<T, InvalidValue> + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, arg, value)?;
        (self.0)(&text).map_err(|invalid| {
            let Error(message) = invalid.of(name_of(command, arg));
            let mut error = clap::Error::new(ErrorKind::ValueValidation);
            error.insert(ContextKind::Custom, ContextValue::String(message));
            error
        })
    }
}

/// Returns the message of an error that a [`SettingParser`] has created.
pub(super) fn invalid_value_message(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::Custom) {
        Some(ContextValue::String(message)) => Some(message),
        _ => None,
    }
}

/// Returns flag and variable of an argument.
fn name_of(command: &Command, arg: Option<&Arg>) -> String {
    let Some(arg) = arg else { return String::new() };
    let flag = format!("--{}", arg.get_long().unwrap_or_default());
    // An argument whose variable is empty does not name it any more: see `environment`.
    let args = Args::command();
    let mut variable = arg.get_env();
    if let Some(command) = args.find_subcommand(command.get_name()) {
        let complete = command.get_arguments().find(|other| other.get_id() == arg.get_id());
        variable = complete.and_then(Arg::get_env);
    }
    match variable {
        Some(variable) => format!("{flag} ({})", variable.display()),
        None => flag,
    }
}

/// Value, and the way in which it is given.
#[derive(Debug, Clone)]
pub(super) struct Given<T> {
    /// Value.
    pub(super) value: T,
    /// Flag set if the value is given by a flag and not by a variable.
    pub(super) is_flag: bool,
}

/// Parser of a [`Given`] value for clap.
#[derive(Clone)]
pub(super) struct GivenParser<F>(SettingParser<F>);

/// Returns the parser for clap that calls `parse` and adds the way in which the value is given.
pub(super) fn given<F>(parse: F) -> GivenParser<F> {
    GivenParser(setting(parse))
}

impl<T, F> TypedValueParser for GivenParser<F>
where
    F: Fn(&str) -> Result<T, InvalidValue> + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    type Value = Given<T>;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Given<T>, clap::Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Given<T>, clap::Error> {
        let value = self.0.parse_ref(command, arg, value)?;
        Ok(Given { value, is_flag: source == ValueSource::CommandLine })
    }
}
