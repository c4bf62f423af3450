//! User names: the value of `userName` is the e-mail address of a person. It is `personio-<id>` for
//! a person without an address, or if another person has precedence for the address. User names are
//! unique without regard to case, and do not depend on the order of the persons.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::fmt::Write;

use jiff::civil::Date;

use crate::mapping::employment::compare_ids;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::{EmploymentState, PrimaryEmployment};

/// Prefix of the user names that are made of an id.
const FALLBACK_PREFIX: &str = "personio-";

/// User names of several persons.
pub(crate) struct UserNames<'p> {
    /// User names in the order of the persons.
    pub(crate) names: Vec<Cow<'p, str>>,
    /// Number of persons who have an address, but a user name that is made of their id.
    pub(crate) fallback_count: usize,
}

/// Precedence of a person among those with the same address: the highest state today, then the
/// latest start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AddressClaim {
    state: EmploymentState,
    start: Option<Date>,
}

impl AddressClaim {
    /// Lowest precedence.
    pub(crate) const LOWEST: Self = Self { state: EmploymentState::Inactive, start: None };

    pub(crate) fn from_primary(primary: &PrimaryEmployment<'_>) -> Self {
        let start = primary.employment.and_then(|employment| employment.employment_start_date);
        Self { state: primary.activity.state, start }
    }

    /// Compares claims. Of equal claims, the one with the lower id is greater.
    fn compare_with_id(&self, id: &str, other: &Self, other_id: &str) -> Ordering {
        self.cmp(other).then_with(|| compare_ids(other_id, id))
    }
}

/// Returns the user name that is made of an id. Characters other than lower-case ASCII letters,
/// digits, `-`, `_` and `.` are percent-encoded, so that different ids give different names without
/// regard to case. Most ids are numbers and need no encoding.
pub(crate) fn fallback_user_name(id: &str) -> String {
    let mut name = FALLBACK_PREFIX.to_owned();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => name.push(char::from(byte)),
            // Writing to a `String` cannot fail.
            _ => drop(write!(name, "%{byte:02x}")),
        }
    }
    name
}

/// Reports whether an address begins like a user name that is made of an id.
pub(crate) fn has_fallback_prefix(email: &str) -> bool {
    fold_case(email).starts_with(FALLBACK_PREFIX)
}

/// Assigns user names to `persons`. An address goes to the person with the highest claim. `claim`
/// is called only for persons who share an address.
pub(crate) fn assign_user_names<'p, E>(
    persons: &[PersonHeader<'p>],
    claim: impl Fn(&PersonHeader<'p>) -> Result<AddressClaim, E>,
) -> Result<UserNames<'p>, E> {
    let owners = owners(persons, claim)?;
    let mut names = Vec::with_capacity(persons.len());
    let mut fallback_count = 0;
    for (index, person) in persons.iter().enumerate() {
        let Some(email) = person.email else {
            names.push(Cow::Owned(fallback_user_name(person.id)));
            continue;
        };
        match owners.get(&fold_case(email)) {
            Some(owner) if owner.index == index => names.push(Cow::Borrowed(email)),
            Some(_) | None => {
                names.push(Cow::Owned(fallback_user_name(person.id)));
                fallback_count += 1;
            }
        }
    }
    Ok(UserNames { names, fallback_count })
}

/// Returns the owner of each address, by address in lower case.
fn owners<'p, E>(
    persons: &[PersonHeader<'p>],
    claim: impl Fn(&PersonHeader<'p>) -> Result<AddressClaim, E>,
) -> Result<HashMap<Cow<'p, str>, AddressOwner>, E> {
    let mut owners: HashMap<Cow<'p, str>, AddressOwner> = HashMap::with_capacity(persons.len());
    for (index, person) in persons.iter().enumerate() {
        let Some(email) = person.email else { continue };
        match owners.entry(fold_case(email)) {
            Entry::Vacant(free) => {
                free.insert(AddressOwner { index, claim: None });
            }
            Entry::Occupied(mut taken) => {
                let owner = taken.get_mut();
                let Some(rival) = persons.get(owner.index) else { continue };
                let own = claim(person)?;
                let other = match owner.claim {
                    Some(known) => known,
                    None => claim(rival)?,
                };
                *owner = match own.compare_with_id(person.id, &other, rival.id) {
                    Ordering::Greater => AddressOwner { index, claim: Some(own) },
                    Ordering::Equal | Ordering::Less => {
                        AddressOwner { claim: Some(other), ..*owner }
                    }
                };
            }
        }
    }
    // An address that equals the fallback name of a person is given to no person, because both
    // could be used as a user name.
    if owners.keys().any(|address| address.starts_with(FALLBACK_PREFIX)) {
        for person in persons {
            owners.remove(fallback_user_name(person.id).as_str());
        }
    }
    Ok(owners)
}

/// Returns the number of `persons` who have an address, but a user name that is made of their id.
pub(crate) fn count_fallback_names(persons: &[PersonHeader<'_>]) -> usize {
    let Ok(UserNames { fallback_count, .. }) =
        assign_user_names(persons, |_| Ok::<AddressClaim, Infallible>(AddressClaim::LOWEST));
    fallback_count
}

/// Person to whom an address is assigned so far.
#[derive(Clone, Copy)]
struct AddressOwner {
    /// Index among the persons.
    index: usize,
    /// Claim to the address; `None` until a second person has the address.
    claim: Option<AddressClaim>,
}

/// Returns the text in lower case, as filters compare it. Most addresses need no copy.
fn fold_case(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        return if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
    }
    // A final sigma (`ς`) is equal to a sigma (`σ`).
    let lower = text.chars().flat_map(char::to_lowercase);
    Cow::Owned(lower.map(|char| if char == 'ς' { 'σ' } else { char }).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::personio::model::Person;

    /// Person and claim: the input of user names.
    #[derive(Debug, Clone)]
    struct Row {
        person: Person,
        claim: AddressClaim,
    }

    fn row(id: &str, email: Option<&str>, state: EmploymentState, start: Option<&str>) -> Row {
        let person = serde_json::from_value(json!({"id": id, "email": email})).unwrap();
        Row { person, claim: AddressClaim { state, start: start.map(|day| day.parse().unwrap()) } }
    }

    /// Returns the user names by id, and the number of persons without their own address.
    fn user_names_by_id(rows: &[Row]) -> (HashMap<String, String>, usize) {
        let headers: Vec<PersonHeader<'_>> =
            rows.iter().map(|row| PersonHeader::from_person(&row.person)).collect();
        let claim = |header: &PersonHeader<'_>| -> Result<AddressClaim, Infallible> {
            Ok(rows.iter().find(|row| row.person.id == header.id).unwrap().claim)
        };
        let UserNames { names, fallback_count } = assign_user_names(&headers, claim).unwrap();
        let by_id = headers
            .iter()
            .zip(names)
            .map(|(header, name)| (header.id.to_owned(), name.into_owned()));
        (by_id.collect(), fallback_count)
    }

    #[test]
    fn shared_address_goes_to_the_highest_claim() {
        use EmploymentState::{Active, Inactive, Leave, Onboarding};
        let address = Some("Ann@example.com");
        let rows = |list: &[(&str, EmploymentState, Option<&str>)]| -> Vec<Row> {
            list.iter().map(|(id, state, start)| row(id, address, *state, *start)).collect()
        };
        for (expected, rows) in [
            ("2", rows(&[("1", Inactive, Some("2026-01-01")), ("2", Active, Some("2020-01-01"))])),
            ("2", rows(&[("1", Leave, Some("2026-01-01")), ("2", Active, None)])),
            ("2", rows(&[("1", Onboarding, Some("2027-01-01")), ("2", Leave, Some("2020-01-01"))])),
            ("2", rows(&[("1", Inactive, Some("2026-01-01")), ("2", Onboarding, None)])),
            ("2", rows(&[("1", Active, Some("2020-01-01")), ("2", Active, Some("2021-01-01"))])),
            ("2", rows(&[("1", Active, None), ("2", Active, Some("2021-01-01"))])),
            ("9", rows(&[("10", Active, Some("2020-01-01")), ("9", Active, Some("2020-01-01"))])),
            ("3", rows(&[("5", Inactive, None), ("3", Inactive, None), ("4", Inactive, None)])),
            (
                "3",
                rows(&[
                    ("1", Leave, None),
                    ("2", Inactive, None),
                    ("3", Active, None),
                    ("4", Leave, None),
                ]),
            ),
        ] {
            let mut reversed = rows.clone();
            reversed.reverse();
            for rows in [rows, reversed] {
                let (names, fallback_count) = user_names_by_id(&rows);
                assert_eq!(fallback_count, rows.len() - 1);
                for (id, name) in names {
                    let own = if id == expected {
                        "Ann@example.com".to_owned()
                    } else {
                        format!("personio-{id}")
                    };
                    assert_eq!(name, own, "{rows:?}");
                }
            }
        }
    }

    #[test]
    fn addresses_are_compared_without_regard_to_case() {
        let rows = [
            "Ann@example.com",
            "ann@EXAMPLE.com",
            "ΑΝΝΑΣ@example.com",
            "αννας@example.com",
            "αννασ@example.com",
        ];
        let rows: Vec<Row> = rows
            .iter()
            .zip(1..)
            .map(|(email, id)| row(&id.to_string(), Some(email), EmploymentState::Active, None))
            .collect();
        let (names, fallback_count) = user_names_by_id(&rows);
        assert_eq!(fallback_count, 3);
        for (id, name) in [
            ("1", "Ann@example.com"),
            ("2", "personio-2"),
            ("3", "ΑΝΝΑΣ@example.com"),
            ("4", "personio-4"),
        ] {
            assert_eq!(names[id], name);
        }
    }

    #[test]
    fn address_equal_to_a_fallback_is_not_assigned() {
        let rows = [
            row("1", None, EmploymentState::Active, None),
            row("2", Some("Personio-1"), EmploymentState::Active, None),
            row("3", Some("personio-3"), EmploymentState::Active, None),
            row("4", Some("personio-99"), EmploymentState::Active, None),
        ];
        let (names, fallback_count) = user_names_by_id(&rows);
        let expected =
            [("1", "personio-1"), ("2", "personio-2"), ("3", "personio-3"), ("4", "personio-99")];
        expected.iter().for_each(|(id, name)| assert_eq!(names[*id], *name));
        assert_eq!(fallback_count, 2);
    }

    #[test]
    fn fallbacks_of_unusual_ids_are_unique_without_regard_to_case() {
        for (id, name) in [
            ("1220426", "personio-1220426"),
            ("a-b_c.d", "personio-a-b_c.d"),
            ("A", "personio-%41"),
            ("%41", "personio-%2541"),
            ("ä", "personio-%c3%a4"),
        ] {
            assert_eq!(fallback_user_name(id), name);
        }
    }

    #[test]
    fn claim_is_computed_only_for_persons_who_share_an_address() {
        let rows: Vec<Row> = (1..=9)
            .map(|id| format!("{id}"))
            .map(|id| {
                row(
                    &id,
                    Some(&format!("{}@example.com", id.parse::<u8>().unwrap().max(8))),
                    EmploymentState::Active,
                    None,
                )
            })
            .collect();
        let headers: Vec<PersonHeader<'_>> =
            rows.iter().map(|row| PersonHeader::from_person(&row.person)).collect();
        let requested = std::cell::RefCell::new(Vec::new());
        let claim = |header: &PersonHeader<'_>| -> Result<AddressClaim, Infallible> {
            requested.borrow_mut().push(header.id.to_owned());
            Ok(rows[0].claim)
        };
        assert_eq!(assign_user_names(&headers, claim).unwrap().fallback_count, 7);
        let mut requested = requested.into_inner();
        requested.sort_unstable();
        assert_eq!(requested, ["1", "2", "3", "4", "5", "6", "7", "8"], "each once");
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let state = prop_oneof![
            Just(EmploymentState::Inactive),
            Just(EmploymentState::Onboarding),
            Just(EmploymentState::Leave),
            Just(EmploymentState::Active),
        ];
        let email = prop::option::of("[aAbBÄäΣςσ@]{1,2}|[Pp]ersonio-[1-6aA]|personio-%41");
        let start = prop::option::of(1i16..4);
        let id = "[1-6]|[aA]|%41|[äÄ]";
        let row = (id, email, state, start).prop_map(|(id, email, state, year)| {
            let start = year.map(|year| format!("202{year}-01-01"));
            row(&id, email.as_deref(), state, start.as_deref())
        });
        prop::collection::vec(row, 0..12).prop_map(|mut rows| {
            let mut ids = HashSet::new();
            rows.retain(|row| ids.insert(row.person.id.clone()));
            rows
        })
    }

    proptest! {
        #[test]
        fn names_are_unique_without_regard_to_case(rows in rows()) {
            let (names, _) = user_names_by_id(&rows);
            let distinct: HashSet<_> =
                names.values().map(|name| fold_case(name).into_owned()).collect();
            prop_assert_eq!(distinct.len(), rows.len());
        }

        #[test]
        fn names_do_not_depend_on_the_order_of_persons(
            (rows, shuffled) in rows()
                .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        ) {
            prop_assert_eq!(user_names_by_id(&rows), user_names_by_id(&shuffled));
        }
    }
}
