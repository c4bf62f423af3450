//! Attributes of the standard schemas that a company can override: with a custom attribute as their
//! source, or with new values.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use crate::mapping::language_tag;

/// Attribute of the standard schemas that a company can override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "`OverridableAttribute::name` names each")]
pub enum OverridableAttribute {
    NickName,
    Title,
    UserType,
    PreferredLanguage,
    Locale,
    Timezone,
    EmployeeNumber,
    CostCenter,
    Organization,
    Division,
    Department,
}

impl OverridableAttribute {
    /// All attributes, in the order of the schemas.
    pub const ALL: [Self; 11] = [
        Self::NickName,
        Self::Title,
        Self::UserType,
        Self::PreferredLanguage,
        Self::Locale,
        Self::Timezone,
        Self::EmployeeNumber,
        Self::CostCenter,
        Self::Organization,
        Self::Division,
        Self::Department,
    ];

    /// Returns the name in the schemas and in the mapping file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NickName => "nickName",
            Self::Title => "title",
            Self::UserType => "userType",
            Self::PreferredLanguage => "preferredLanguage",
            Self::Locale => "locale",
            Self::Timezone => "timezone",
            Self::EmployeeNumber => "employeeNumber",
            Self::CostCenter => "costCenter",
            Self::Organization => "organization",
            Self::Division => "division",
            Self::Department => "department",
        }
    }

    /// Returns the attribute with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }

    /// Returns the form of the values.
    #[must_use]
    pub const fn form(self) -> ValueForm {
        match self {
            Self::PreferredLanguage | Self::Locale => ValueForm::LanguageTag,
            Self::Timezone => ValueForm::TimeZone,
            Self::NickName
            | Self::Title
            | Self::UserType
            | Self::EmployeeNumber
            | Self::CostCenter
            | Self::Organization
            | Self::Division
            | Self::Department => ValueForm::Text,
        }
    }
}

/// Form of the values of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Any text.
    Text,
    /// Language tag (BCP 47).
    LanguageTag,
    /// Name of a time zone in the IANA database.
    TimeZone,
}

impl ValueForm {
    /// Returns `text` as it is served, or `None` if it does not have this form.
    #[must_use]
    pub fn check(self, text: &str) -> Option<String> {
        match self {
            Self::Text => Some(text.to_owned()),
            Self::LanguageTag => language_tag::canonical(text),
            Self::TimeZone => {
                let zone = TimeZone::get(text).ok()?;
                if zone.is_unknown() {
                    return None;
                }
                zone.iana_name().map(str::to_owned)
            }
        }
    }

    /// Returns the form in words, with an example.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Text => "a text or a number",
            Self::LanguageTag => "a language tag (BCP 47), for example `de` or `en-GB`",
            Self::TimeZone => "an IANA name, for example `Europe/Berlin`",
        }
    }
}

/// Choice of a company for one attribute of the standard schemas.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeOverride {
    /// Overridden attribute.
    pub attribute: OverridableAttribute,
    /// Custom attribute that the value comes from. With `None`, it comes from Personio's own field.
    pub source: Option<CustomSource>,
    /// New values by the values in Personio. Other values stay as they are.
    pub new_values: BTreeMap<String, String>,
}

impl AttributeOverride {
    /// Creates the override of an attribute by a custom attribute.
    #[must_use]
    pub fn with_source(attribute: OverridableAttribute, id: &str, has_fallback: bool) -> Self {
        let source = CustomSource { id: id.to_owned(), has_fallback };
        Self { attribute, source: Some(source), new_values: BTreeMap::new() }
    }
}

/// Custom attribute as the source of an attribute of the standard schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomSource {
    /// Id (for example `dynamic_305`) or global id in Personio.
    pub id: String,
    /// Flag for using Personio's own field if the custom attribute has no usable value.
    pub has_fallback: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_for_the_form_of_the_attribute() {
        use OverridableAttribute::{Locale, PreferredLanguage, Timezone, UserType};
        for (attribute, text, expected) in [
            (UserType, "Working student", Some("Working student")),
            (Locale, "de_DE", Some("de-DE")),
            (PreferredLanguage, "Deutsch", None),
            (Timezone, "Europe/Berlin", Some("Europe/Berlin")),
            (Timezone, "europe/berlin", Some("Europe/Berlin")),
            (Timezone, "UTC", Some("UTC")),
            (Timezone, "Etc/Unknown", None),
            (Timezone, "MEZ", None),
            (Timezone, "+01:00", None),
            (Timezone, "", None),
        ] {
            let checked = attribute.form().check(text);
            assert_eq!(checked.as_deref(), expected, "{attribute:?} {text}");
        }
    }

    #[test]
    fn attributes_are_found_by_their_names() {
        for attribute in OverridableAttribute::ALL {
            assert_eq!(OverridableAttribute::from_name(attribute.name()), Some(attribute));
        }
        assert_eq!(OverridableAttribute::from_name("usertype"), None);
    }
}
