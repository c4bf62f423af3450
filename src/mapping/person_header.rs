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

/// Source of a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DisplayNameSource {
    /// Preferred name in Personio.
    Preferred,
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

    /// Returns the preferred name, or else the full name, or else `user_name`.
    pub(crate) fn display_name<'n>(&self, user_name: &'n str) -> DisplayName<'n>
    where
        'p: 'n,
    {
        if let Some(preferred) = self.preferred_name {
            return DisplayName {
                text: Cow::Borrowed(preferred),
                source: DisplayNameSource::Preferred,
            };
        }
        match self.full_name() {
            Some(full) => DisplayName { text: Cow::Owned(full), source: DisplayNameSource::Full },
            None => {
                DisplayName { text: Cow::Borrowed(user_name), source: DisplayNameSource::UserName }
            }
        }
    }
}
