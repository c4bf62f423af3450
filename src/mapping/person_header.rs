//! Header of a person: the names, e-mail address and creation time. The names identify the person
//! to others, and the creation time orders the list.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::personio::model::Person;

/// Fields of a person that determine the display name and the list order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PersonHeader<'p> {
    pub(crate) id: &'p str,
    pub(crate) email: Option<&'p str>,
    pub(crate) first_name: Option<&'p str>,
    pub(crate) last_name: Option<&'p str>,
    pub(crate) preferred_name: Option<&'p str>,
    pub(crate) created_at: Option<Timestamp>,
}

/// Name that others see, with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DisplayName<'n> {
    pub(crate) text: Cow<'n, str>,
    pub(crate) source: DisplayNameSource,
}

/// Rule for the name that others see. A person without the names that the rule takes is displayed
/// with the first and last name, and without these with the `userName`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DisplayNameRule {
    /// Preferred name. The last name follows if the preferred name is a first name only.
    #[default]
    Completed,
    /// Preferred name as it is in Personio.
    Preferred,
    /// First and last name.
    Legal,
}

impl DisplayNameRule {
    /// Returns the rule's name in the configuration file. The default has none.
    #[must_use]
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Completed => None,
            Self::Preferred => Some("preferred"),
            Self::Legal => Some("legal"),
        }
    }
}

/// Source of a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DisplayNameSource {
    /// Preferred name in Personio.
    Preferred,
    /// Preferred name and last name.
    PreferredAndLast,
    /// First and last name.
    Full,
    /// `userName`, for a person without a name.
    UserName,
}

impl<'p> PersonHeader<'p> {
    /// Returns the header of a decoded person.
    pub(crate) fn from_person(person: &'p Person) -> Self {
        Self {
            id: &person.id,
            email: person.email.as_deref(),
            first_name: person.first_name.as_deref(),
            last_name: person.last_name.as_deref(),
            preferred_name: person.preferred_name.as_deref(),
            created_at: person.created_at,
        }
    }

    /// Returns the first and last name as one text.
    pub(crate) fn full_name(&self) -> Option<String> {
        match (self.first_name, self.last_name) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    }

    /// Returns the name that others see, or else `user_name`.
    pub(crate) fn display_name<'n>(
        &self,
        user_name: &'n str,
        rule: DisplayNameRule,
    ) -> DisplayName<'n>
    where
        'p: 'n,
    {
        match self.name_to_display(rule) {
            Some(name) => name,
            None => {
                DisplayName { text: Cow::Borrowed(user_name), source: DisplayNameSource::UserName }
            }
        }
    }

    /// Returns the name that others see, if the person has a name that the rule takes.
    pub(crate) fn name_to_display(&self, rule: DisplayNameRule) -> Option<DisplayName<'p>> {
        let preferred = match rule {
            DisplayNameRule::Completed | DisplayNameRule::Preferred => self.preferred_name,
            DisplayNameRule::Legal => None,
        };
        let Some(preferred) = preferred else {
            let text = Cow::Owned(self.full_name()?);
            return Some(DisplayName { text, source: DisplayNameSource::Full });
        };
        if rule == DisplayNameRule::Completed
            && let Some(last_name) = self.last_name
            && !is_whole_name(preferred, last_name)
        {
            let text = Cow::Owned(format!("{preferred} {last_name}"));
            return Some(DisplayName { text, source: DisplayNameSource::PreferredAndLast });
        }
        let text = Cow::Borrowed(preferred);
        Some(DisplayName { text, source: DisplayNameSource::Preferred })
    }
}

/// Reports whether a preferred name is a whole name: it has several words, or contains the last
/// name.
fn is_whole_name(preferred: &str, last_name: &str) -> bool {
    if preferred.split_whitespace().nth(1).is_some() {
        return true;
    }
    let (preferred, last_name) = (preferred.to_lowercase(), last_name.to_lowercase());
    preferred.match_indices(&last_name).any(|(start, found)| {
        let (before, rest) = preferred.split_at(start);
        let after = rest.get(found.len()..).unwrap_or_default();
        !before.ends_with(is_cased) && !after.starts_with(is_cased)
    })
}

/// Reports whether a letter has an upper and a lower case. Scripts with such letters separate the
/// parts of a name. Other scripts, such as Chinese, write them without a space.
fn is_cased(char: char) -> bool {
    char.is_lowercase() || char.is_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_name_follows_the_rule() {
        use DisplayNameRule::{Completed, Legal, Preferred};
        let (ann, lee) = (Some("Ann"), Some("Lee"));
        for (rule, preferred, first, last, expected) in [
            (Completed, Some("Annie"), ann, lee, "Annie Lee"),
            (Completed, Some("Annie Lee"), ann, lee, "Annie Lee"),
            (Completed, Some("Annie Smith"), ann, lee, "Annie Smith"),
            (Completed, Some("LEE"), ann, lee, "LEE"),
            (Completed, Some("Annie-Lee"), ann, lee, "Annie-Lee"),
            (Completed, Some("A.Lee"), ann, lee, "A.Lee"),
            // The last name is a part of another word.
            (Completed, Some("Leena"), ann, lee, "Leena Lee"),
            (Completed, Some("Ashlee"), ann, lee, "Ashlee Lee"),
            (Completed, Some("MÜLLER"), ann, Some("Müller"), "MÜLLER"),
            (Completed, Some("Toni"), ann, Some("von der Heide"), "Toni von der Heide"),
            (Completed, Some("山田太郎"), ann, Some("山田"), "山田太郎"),
            (Completed, Some("太郎"), ann, Some("山田"), "太郎 山田"),
            (Completed, Some("Annie"), ann, None, "Annie"),
            (Completed, Some("Annie"), None, lee, "Annie Lee"),
            (Completed, None, ann, lee, "Ann Lee"),
            (Completed, None, None, lee, "Lee"),
            (Completed, None, None, None, "u"),
            (Preferred, Some("Annie"), ann, lee, "Annie"),
            (Preferred, None, ann, lee, "Ann Lee"),
            (Preferred, None, None, None, "u"),
            (Legal, Some("Annie Smith"), ann, lee, "Ann Lee"),
            (Legal, Some("Annie"), None, lee, "Lee"),
            (Legal, Some("Annie"), None, None, "u"),
        ] {
            let header = PersonHeader {
                id: "1",
                email: None,
                first_name: first,
                last_name: last,
                preferred_name: preferred,
                created_at: None,
            };
            let name = header.display_name("u", rule);
            assert_eq!(name.text, expected, "{rule:?}, {preferred:?}, {first:?}, {last:?}");
        }
    }
}
