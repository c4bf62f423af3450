//! `userName`: the e-mail address, or `personio-<id>` where there is none or somebody has it
//! already. Unique without regard to case, whatever Personio holds.

use std::collections::HashSet;

use crate::personio::model::Person;

/// The name for a person without an e-mail address of their own.
pub(super) fn fallback(id: &str) -> String {
    format!("personio-{id}")
}

/// The user names of `persons`, in their order: the first of several persons with one address has
/// it. The second value counts the others.
pub(super) fn all(persons: &[&Person]) -> (Vec<String>, usize) {
    // An "address" that reads like somebody's fallback must not take it.
    let mut taken: HashSet<String> = persons.iter().map(|person| fallback(&person.id).to_lowercase()).collect();
    let mut shared = 0;
    let names = persons
        .iter()
        .map(|person| match &person.email {
            Some(email) if taken.insert(email.to_lowercase()) => email.clone(),
            Some(_) => {
                shared += 1;
                fallback(&person.id)
            }
            None => fallback(&person.id),
        })
        .collect();
    (names, shared)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

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
        let (names, shared) = all(&persons.iter().collect::<Vec<_>>());
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
            let (names, _) = all(&persons.iter().collect::<Vec<_>>());
            let distinct: HashSet<_> = names.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(distinct.len(), emails.len());
        }
    }
}
