//! Groups that a company configured: one for each department, team, legal entity, office, cost
//! centre or job with at least one user. The primary employment decides the membership. Inactive
//! users remain members. If the company chose it, a group is also a member of the group of the unit
//! above.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::mapping::MappingPolicy;
use crate::mapping::context::MappingContext;
use crate::mapping::employment::{compare_ids, job_id, legal_entity, office};
use crate::mapping::person_header::{DisplayNameRule, PersonHeader};
use crate::personio::model::{Employment, OrgUnitType};
use crate::personio::{LookupKind, LookupNames};
use crate::scim::{Group, GroupMember, GroupMembership, ResourceMeta, ResourceUrls};

/// Maximum number of units above a unit. The units below such a line are at the top.
const MAX_NESTING_DEPTH: usize = 100;

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
    /// Cost centres, with any share.
    CostCenter,
    /// Jobs.
    Job,
}

impl GroupKind {
    const ALL: [Self; 6] = [
        Self::Department,
        Self::Team,
        Self::LegalEntity,
        Self::Office,
        Self::CostCenter,
        Self::Job,
    ];

    /// Returns the prefix of the ids of these groups.
    #[must_use]
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Team => "team",
            Self::LegalEntity => "legalEntity",
            Self::Office => "office",
            Self::CostCenter => "costCenter",
            Self::Job => "job",
        }
    }

    fn lookup_kind(self) -> LookupKind {
        match self {
            Self::Department => LookupKind::Department,
            Self::Team => LookupKind::Team,
            Self::LegalEntity => LookupKind::LegalEntity,
            Self::Office => LookupKind::Workplace,
            Self::CostCenter => LookupKind::CostCenter,
            Self::Job => LookupKind::Job,
        }
    }

    /// Reports whether units of this kind can belong to other units.
    pub(crate) fn is_nestable(self) -> bool {
        match self {
            Self::Department | Self::Team => true,
            Self::LegalEntity | Self::Office | Self::CostCenter | Self::Job => false,
        }
    }

    /// Returns the ids of the units of this kind in an employment.
    fn unit_ids(self, employment: &Employment) -> Vec<&str> {
        match self {
            Self::Department => org_units(employment, &OrgUnitType::Department),
            Self::Team => org_units(employment, &OrgUnitType::Team),
            Self::LegalEntity => legal_entity(employment).into_iter().collect(),
            Self::Office => office(employment).into_iter().collect(),
            Self::CostCenter => {
                employment.cost_centers.iter().map(|center| center.id.as_str()).collect()
            }
            Self::Job => job_id(employment).into_iter().collect(),
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

/// Members of groups, from which the groups are made.
#[derive(Default)]
pub(crate) struct GroupMembers(HashMap<Box<str>, Vec<GroupMember>>);

impl GroupMembers {
    /// Adds a user to the group with this id. The members keep the order in which they are added.
    pub(crate) fn add(
        &mut self,
        group: &str,
        person: &PersonHeader<'_>,
        user_name: &str,
        rule: DisplayNameRule,
        urls: &ResourceUrls,
    ) {
        let member = GroupMember {
            value: person.id.to_owned(),
            reference: urls.user(person.id),
            kind: "User",
            display: person.display_name(user_name, rule).text.into_owned(),
        };
        match self.0.get_mut(group) {
            Some(members) => members.push(member),
            None => drop(self.0.insert(group.into(), vec![member])),
        }
    }

    /// Adds a group to the group of the unit above.
    pub(crate) fn add_group(
        &mut self,
        parent: &str,
        group: &str,
        names: &LookupNames,
        urls: &ResourceUrls,
    ) {
        let member = GroupMember {
            value: group.to_owned(),
            reference: urls.group(group),
            kind: "Group",
            display: display_name(group, names).to_owned(),
        };
        self.0.entry(parent.into()).or_default().push(member);
    }

    /// Returns the groups in any order.
    pub(crate) fn into_groups(self, names: &LookupNames, urls: &ResourceUrls) -> Vec<Group> {
        let mut groups = Vec::with_capacity(self.0.len());
        for (id, members) in self.0 {
            groups.push(Group {
                external_id: split_group_id(&id).1.to_owned(),
                display_name: display_name(&id, names).to_owned(),
                members,
                meta: ResourceMeta::of_group(urls.group(&id)),
                id: id.into_string(),
            });
        }
        groups
    }
}

/// Units above the units of groups.
pub(crate) struct GroupNesting<'a> {
    pub(crate) names: &'a LookupNames,
    pub(crate) policy: &'a MappingPolicy,
}

impl GroupNesting<'_> {
    /// Returns the id of the group of the unit above. If units are a circle, one of them is at the
    /// top: the one whose group comes first in the list.
    pub(crate) fn parent(&self, group: &str) -> Option<String> {
        let parent = self.listed_parent(group)?;
        let mut is_first = true;
        let mut above = parent.clone();
        for _ in 0..MAX_NESTING_DEPTH {
            if above == group {
                return if is_first { None } else { Some(parent) };
            }
            is_first &= compare_group_ids(group, &above).is_lt();
            match self.listed_parent(&above) {
                Some(next) => above = next,
                None => return Some(parent),
            }
        }
        None
    }

    /// Returns the id of the group of the unit that Personio names as the parent. Its type is that
    /// of the unit, or else another one that has the id.
    fn listed_parent(&self, group: &str) -> Option<String> {
        if !self.policy.optional.nested_groups {
            return None;
        }
        let (kind, unit) = split_group_id(group);
        let kind = kind.filter(|kind| kind.is_nestable())?;
        let parent = self.names.parent(kind.lookup_kind(), unit)?;
        for other in [kind, GroupKind::Department] {
            if self.names.contains(other.lookup_kind(), parent) {
                let id = format!("{}-{parent}", other.id_prefix());
                return Some(id).filter(|_| self.policy.groups.contains(&other));
            }
        }
        None
    }
}

/// Returns the name of the unit of a group, or the id of the group without a readable name.
fn display_name<'n>(group: &'n str, names: &'n LookupNames) -> &'n str {
    let (kind, unit) = split_group_id(group);
    kind.and_then(|kind| names.get(kind.lookup_kind(), unit)).unwrap_or(group)
}

/// Compares groups by kind and id of the unit, the order of the list.
pub(crate) fn compare_group_ids(one: &str, other: &str) -> Ordering {
    let (one_kind, one_unit) = split_group_id(one);
    let (other_kind, other_unit) = split_group_id(other);
    one_kind.cmp(&other_kind).then_with(|| compare_ids(one_unit, other_unit))
}

/// Splits the id of a group into the kind and the id of the unit.
fn split_group_id(id: &str) -> (Option<GroupKind>, &str) {
    let (word, unit) = id.split_once('-').unwrap_or((id, ""));
    (GroupKind::ALL.into_iter().find(|kind| kind.id_prefix() == word), unit)
}
