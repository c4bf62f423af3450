//! The names, e-mail address and creation time of a person: enough to name them and to sort them.

use jiff::Timestamp;

use crate::personio::model::Person;

/// What a person is called by others, and where they stand in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'p> {
    pub(crate) id: &'p str,
    pub(crate) email: Option<&'p str>,
    pub(crate) first_name: Option<&'p str>,
    pub(crate) last_name: Option<&'p str>,
    pub(crate) preferred_name: Option<&'p str>,
    pub(crate) created_at: Option<Timestamp>,
}

impl<'p> Head<'p> {
    /// That of a person who is not packed.
    pub(crate) fn of(person: &'p Person) -> Self {
        Self {
            id: &person.id,
            email: person.email.as_deref(),
            first_name: person.first_name.as_deref(),
            last_name: person.last_name.as_deref(),
            preferred_name: person.preferred_name.as_deref(),
            created_at: person.created_at,
        }
    }

    /// Returns first and last name as one text.
    pub(crate) fn full_name(&self) -> Option<String> {
        match (self.first_name, self.last_name) {
            (Some(first), Some(last)) => Some(format!("{first} {last}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    }

    /// Returns the preferred name, else the full name, else `user_name`.
    pub(crate) fn display_name(&self, user_name: &str) -> String {
        match (self.preferred_name, self.full_name()) {
            (Some(preferred), _) => preferred.to_owned(),
            (None, Some(full)) => full,
            (None, None) => user_name.to_owned(),
        }
    }
}
