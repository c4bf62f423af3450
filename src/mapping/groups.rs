//! Groups that a company configured: one for each department, team, legal entity or office with at
//! least one user. The primary employment decides the membership. Inactive users remain members.

use std::collections::HashMap;

use crate::mapping::context::Context;
use crate::mapping::employment::by_number;
use crate::personio::Kind;
use crate::personio::model::{Employment, Reference};
use crate::scim::{Group, Locations, Member, Membership, Meta, User};

/// Kind of organisational unit that can become a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// Departments.
    Department,
    /// Teams.
    Team,
    /// Legal entities.
    LegalEntity,
    /// Offices; Personio's look-up calls them workplaces.
    Office,
}

impl GroupKind {
    const ALL: [Self; 4] = [Self::Department, Self::Team, Self::LegalEntity, Self::Office];

    /// Returns the prefix of the ids of these groups.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Team => "team",
            Self::LegalEntity => "legalEntity",
            Self::Office => "office",
        }
    }

    fn names(self) -> Kind {
        match self {
            Self::Department => Kind::Department,
            Self::Team => Kind::Team,
            Self::LegalEntity => Kind::LegalEntity,
            Self::Office => Kind::Workplace,
        }
    }

    /// Returns the ids of the units of this kind in an employment.
    fn units(self, employment: &Employment) -> Vec<&str> {
        let of_type = |word: &str| {
            let units = employment.org_units.iter().filter(|unit| unit.kind.as_deref() == Some(word));
            units.map(|unit| unit.id.as_str()).collect()
        };
        match self {
            Self::Department => of_type("DEPARTMENT"),
            Self::Team => of_type("TEAM"),
            Self::LegalEntity => referred(employment.legal_entity.as_ref()),
            Self::Office => referred(employment.office.as_ref()),
        }
    }
}

fn referred(reference: Option<&Reference>) -> Vec<&str> {
    reference.and_then(|reference| reference.id.as_deref()).into_iter().collect()
}

/// Returns the group memberships that come from an employment, ordered by kind and id. A group
/// without a readable name is displayed with its id, because membership does not depend on the
/// name.
pub(crate) fn memberships(employment: Option<&Employment>, context: &Context<'_>) -> Vec<Membership> {
    let Some(employment) = employment else { return Vec::new() };
    let kinds = GroupKind::ALL.into_iter().filter(|kind| context.policy.groups.contains(kind));
    let of_kind = |kind: GroupKind| {
        let mut units = kind.units(employment);
        units.sort_by(|one, other| by_number(one, other));
        units.dedup();
        units.into_iter().map(move |unit| {
            let value = format!("{}-{unit}", kind.word());
            let name = context.names.get(kind.names(), unit);
            Membership {
                reference: context.locations.group(&value),
                display: name.map_or_else(|| value.clone(), str::to_owned),
                value,
                kind: "direct",
            }
        })
    };
    kinds.flat_map(of_kind).collect()
}

/// Returns the groups of all users, ordered by kind and id. The members have the order of `users`.
pub(crate) fn groups(users: &[User], locations: &Locations) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for user in users {
        for membership in &user.groups {
            let place = *places.entry(&membership.value).or_insert_with(|| {
                groups.push(Group {
                    id: membership.value.clone(),
                    external_id: parts(&membership.value).1.to_owned(),
                    display_name: membership.display.clone(),
                    members: Vec::new(),
                    meta: Meta::of_group(locations.group(&membership.value)),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(place) {
                group.members.push(Member {
                    value: user.id.clone(),
                    reference: user.meta.location.clone(),
                    kind: "User",
                    display: user.display_name.clone(),
                });
            }
        }
    }
    groups.sort_by(|one, other| {
        let ((one_kind, one_unit), (other_kind, other_unit)) = (parts(&one.id), parts(&other.id));
        one_kind.cmp(&other_kind).then_with(|| by_number(one_unit, other_unit))
    });
    groups
}

/// Splits the id of a group into the kind and the id of the unit.
fn parts(id: &str) -> (Option<GroupKind>, &str) {
    let (word, unit) = id.split_once('-').unwrap_or((id, ""));
    (GroupKind::ALL.into_iter().find(|kind| kind.word() == word), unit)
}
