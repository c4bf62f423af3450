//! `userName`: the e-mail address, or `personio-<id>` where there is none or somebody has it
//! already. Unique without regard to case, whatever Personio holds.

use std::borrow::Cow;
use std::collections::HashSet;

use super::packed::Head;

/// What every fallback begins with.
const FALLBACK: &str = "personio-";

/// The name for a person without an e-mail address of their own.
pub(super) fn fallback(id: &str) -> String {
    format!("{FALLBACK}{id}")
}

/// Reports whether an address reads like the name of a person without one.
pub(super) fn is_like_fallback(email: &str) -> bool {
    lower(email).starts_with(FALLBACK)
}

/// The user names of `persons`, in their order: the first of several persons with one address has
/// it. The second value counts the others.
pub(super) fn all<'p>(persons: &[Head<'p>]) -> (Vec<Cow<'p, str>>, usize) {
    let mut taken: HashSet<Cow<'p, str>> = HashSet::with_capacity(persons.len());
    // An "address" that reads like somebody's fallback must not take it. Hardly ever is there one.
    if persons.iter().filter_map(|person| person.email).any(is_like_fallback) {
        taken.extend(persons.iter().map(|person| Cow::Owned(fallback(person.id).to_lowercase())));
    }
    let mut shared = 0;
    let names = persons
        .iter()
        .map(|person| match person.email {
            Some(email) if taken.insert(lower(email)) => Cow::Borrowed(email),
            Some(_) => {
                shared += 1;
                Cow::Owned(fallback(person.id))
            }
            None => Cow::Owned(fallback(person.id)),
        })
        .collect();
    (names, shared)
}

/// The text in lower case, which most addresses are in already.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::personio::model::Person;

    fn heads(persons: &[Person]) -> Vec<Head<'_>> {
        persons.iter().map(Head::of).collect()
    }

    fn persons(emails: &[Option<&str>]) -> Vec<Person> {
        let rows = emails.iter().enumerate().map(|(id, email)| json!({"id": id + 1, "email": email}));
        rows.map(|row| serde_json::from_value(row).unwrap()).collect()
    }

    #[test]
    fn the_second_person_with_an_address_gets_the_fallback() {
        let persons = persons(&[
            Some("Ann@example.com"),
            None,
            Some("ann@EXAMPLE.com"),
            Some("personio-2"),
            Some("bo@example.com"),
        ]);
        let (names, shared) = all(&heads(&persons));
        assert_eq!(names, ["Ann@example.com", "personio-2", "personio-3", "personio-4", "bo@example.com"]);
        assert_eq!(shared, 2);
    }

    proptest! {
        #[test]
        fn no_two_names_are_equal_without_regard_to_case(
            emails in prop::collection::vec(prop::option::of("[aAbBÄä@]{1,2}|personio-[1-6]"), 0..12),
        ) {
            let emails: Vec<_> = emails.iter().map(Option::as_deref).collect();
            let persons = persons(&emails);
            let (names, _) = all(&heads(&persons));
            let distinct: HashSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(distinct.len(), emails.len());
        }
    }
}
