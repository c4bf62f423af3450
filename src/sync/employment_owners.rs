//! Owners of employments. Each employment belongs to one person. Without this check a user could
//! get the job, manager and department of another person.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::personio::model::Person;

/// Person to whom each employment belongs. Ids are stored as hashes to save memory, since there are
/// as many employments as persons.
#[derive(Debug, Default)]
pub(crate) struct EmploymentOwners {
    hasher: RandomState,
    by_employment: HashMap<u64, EmploymentOwner>,
}

/// Owner of an employment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmploymentOwner {
    /// Hash of the person's id.
    Person(u64),
    /// Several persons are listed with this employment, so that it belongs to none of them.
    Several,
}

impl EmploymentOwners {
    /// Notes that the listing shows a person with an employment.
    pub(crate) fn add_listed(&mut self, employment: &str, person: &str) {
        let owner = EmploymentOwner::Person(self.hasher.hash_one(person));
        let known = self.by_employment.entry(self.hasher.hash_one(employment)).or_insert(owner);
        if *known != owner {
            *known = EmploymentOwner::Several;
        }
    }

    /// Notes all employments with which a person is listed. Reports whether there are any.
    pub(crate) fn add_all_listed(&mut self, person: &Person) -> bool {
        let mut is_any = false;
        for employment in &person.employments {
            if let Some(id) = &employment.id {
                self.add_listed(id, &person.id);
                is_any = true;
            }
        }
        is_any
    }

    /// Notes that a person had an employment at the last read. An owner from the listing takes
    /// precedence.
    pub(crate) fn add_earlier(&mut self, employment: &str, person: &str) {
        let owner = EmploymentOwner::Person(self.hasher.hash_one(person));
        self.by_employment.entry(self.hasher.hash_one(employment)).or_insert(owner);
    }

    /// Reports whether an employment that was read for a person belongs to that person. An
    /// employment without an owner gets this person as its owner.
    pub(crate) fn belongs_to(&mut self, employment: &str, person: &str) -> bool {
        let owner = EmploymentOwner::Person(self.hasher.hash_one(person));
        *self.by_employment.entry(self.hasher.hash_one(employment)).or_insert(owner) == owner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn employment_belongs_to_one_person_only() {
        let mut owners = EmploymentOwners::default();
        owners.add_listed("a", "1");
        owners.add_listed("a", "1");
        owners.add_listed("b", "2");
        owners.add_listed("shared", "1");
        owners.add_listed("shared", "2");
        owners.add_earlier("b", "1");
        owners.add_earlier("c", "3");
        for (employment, person, expected) in [
            ("a", "1", true),
            ("a", "2", false),
            ("b", "2", true),
            ("b", "1", false),
            ("shared", "1", false),
            ("shared", "2", false),
            ("c", "3", true),
            ("c", "1", false),
            ("new", "1", true),
            ("new", "2", false),
            ("new", "1", true),
        ] {
            assert_eq!(owners.belongs_to(employment, person), expected, "{employment} of {person}");
        }
    }
}
