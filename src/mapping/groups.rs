//! Groups that a company configured: one for each department, team, legal entity or office with at
//! least one user. The primary employment decides the membership. Inactive users remain members.

use std::collections::HashMap;

use crate::mapping::context::MappingContext;
use crate::mapping::employment::{compare_ids, legal_entity, office};
use crate::personio::LookupKind;
use crate::personio::model::{Employment, OrgUnitType};
use crate::scim::{Group, GroupMember, GroupMembership, ResourceMeta, ResourceUrls, User};

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
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Team => "team",
            Self::LegalEntity => "legalEntity",
            Self::Office => "office",
        }
    }

    fn lookup_kind(self) -> LookupKind {
        match self {
            Self::Department => LookupKind::Department,
            Self::Team => LookupKind::Team,
            Self::LegalEntity => LookupKind::LegalEntity,
            Self::Office => LookupKind::Workplace,
        }
    }

    /// Returns the ids of the units of this kind in an employment.
    fn unit_ids(self, employment: &Employment) -> Vec<&str> {
        match self {
            Self::Department => org_units(employment, &OrgUnitType::Department),
            Self::Team => org_units(employment, &OrgUnitType::Team),
            Self::LegalEntity => legal_entity(employment).into_iter().collect(),
            Self::Office => office(employment).into_iter().collect(),
        }
    }
}

/// Returns the ids of the units of this type.
fn org_units<'e>(employment: &'e Employment, unit_type: &OrgUnitType) -> Vec<&'e str> {
    let mut ids = Vec::new();
    for unit in &employment.org_units {
        if unit.unit_type.as_ref() == Some(unit_type) {
            ids.push(unit.id.as_str());
        }
    }
    ids
}

/// Returns the group memberships that come from an employment, ordered by kind and id. A group
/// without a readable name is displayed with its id, because membership does not depend on the
/// name.
pub(crate) fn map_memberships(
    employment: Option<&Employment>,
    context: &MappingContext<'_>,
) -> Vec<GroupMembership> {
    let Some(employment) = employment else { return Vec::new() };
    let mut memberships = Vec::new();
    for kind in GroupKind::ALL {
        if !context.policy.groups.contains(&kind) {
            continue;
        }
        let mut units = kind.unit_ids(employment);
        units.sort_by(|one, other| compare_ids(one, other));
        units.dedup();
        for unit in units {
            memberships.push(membership(kind, unit, context));
        }
    }
    memberships
}

fn membership(kind: GroupKind, unit: &str, context: &MappingContext<'_>) -> GroupMembership {
    let value = format!("{}-{unit}", kind.id_prefix());
    let display = context.lookup_names.get(kind.lookup_kind(), unit).unwrap_or(&value).to_owned();
    GroupMembership { reference: context.urls.group(&value), display, value, kind: "direct" }
}

/// Returns the groups of all users, ordered by kind and id. The members have the order of `users`.
pub(crate) fn build_groups(users: &[User], urls: &ResourceUrls) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut indexes: HashMap<&str, usize> = HashMap::new();
    for user in users {
        for membership in &user.groups {
            let index = *indexes.entry(&membership.value).or_insert_with(|| {
                groups.push(Group {
                    id: membership.value.clone(),
                    external_id: split_group_id(&membership.value).1.to_owned(),
                    display_name: membership.display.clone(),
                    members: Vec::new(),
                    meta: ResourceMeta::of_group(urls.group(&membership.value)),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(index) {
                group.members.push(GroupMember {
                    value: user.id.clone(),
                    reference: user.meta.location.clone(),
                    kind: "User",
                    display: user.display_name.clone(),
                });
            }
        }
    }
    groups.sort_by(|one, other| {
        let (one_kind, one_unit) = split_group_id(&one.id);
        let (other_kind, other_unit) = split_group_id(&other.id);
        one_kind.cmp(&other_kind).then_with(|| compare_ids(one_unit, other_unit))
    });
    groups
}

/// Splits the id of a group into the kind and the id of the unit.
fn split_group_id(id: &str) -> (Option<GroupKind>, &str) {
    let (word, unit) = id.split_once('-').unwrap_or((id, ""));
    (GroupKind::ALL.into_iter().find(|kind| kind.id_prefix() == word), unit)
}
