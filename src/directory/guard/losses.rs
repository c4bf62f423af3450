//! Kinds of change that the guard counts, and the numbers of users and groups they affect.

use std::fmt;

/// Largest number of affected users that is always accepted, unless it is more than half of all
/// users.
const MAX_ALWAYS_ACCEPTED_USERS: usize = 10;
/// Smallest number of users at which a change of more than half of them can be refused.
const MIN_USERS_FOR_MAJORITY_RULE: usize = 3;
/// Largest number of new users that is always accepted, so that a small company can grow.
const MAX_ALWAYS_ACCEPTED_NEW_USERS: usize = 30;
const KIND_COUNT: usize = ChangeKind::ALL.len();

/// Kind of change that takes something from a user, or gives something that may open access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "`ChangeKind::description` describes each")]
pub enum ChangeKind {
    Disappeared,
    Deactivated,
    Renamed,
    WithoutEmail,
    WithoutEmployment,
    WithoutDepartment,
    OtherDepartment,
    WithoutManager,
    OtherManager,
    WithoutEmployeeNumber,
    OtherEmployeeNumber,
    WithoutCostCenter,
    OtherCostCenter,
    WithoutOrganization,
    OtherOrganization,
    WithoutDivision,
    OtherDivision,
    WithoutName,
    OtherName,
    FewerGroups,
    RenamedGroup,
    Activated,
    New,
    OtherEmail,
    MoreGroups,
    OutOfScope,
    WithoutJob,
    OtherJob,
    WithoutOffice,
    OtherOffice,
    WithoutTeam,
    OtherTeam,
    WithoutUserType,
    OtherUserType,
}

impl ChangeKind {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 34] = [
        Self::Disappeared,
        Self::Deactivated,
        Self::Renamed,
        Self::WithoutEmail,
        Self::WithoutEmployment,
        Self::WithoutDepartment,
        Self::OtherDepartment,
        Self::WithoutManager,
        Self::OtherManager,
        Self::WithoutEmployeeNumber,
        Self::OtherEmployeeNumber,
        Self::WithoutCostCenter,
        Self::OtherCostCenter,
        Self::WithoutOrganization,
        Self::OtherOrganization,
        Self::WithoutDivision,
        Self::OtherDivision,
        Self::WithoutName,
        Self::OtherName,
        Self::FewerGroups,
        Self::RenamedGroup,
        Self::Activated,
        Self::New,
        Self::OtherEmail,
        Self::MoreGroups,
        Self::OutOfScope,
        Self::WithoutJob,
        Self::OtherJob,
        Self::WithoutOffice,
        Self::OtherOffice,
        Self::WithoutTeam,
        Self::OtherTeam,
        Self::WithoutUserType,
        Self::OtherUserType,
    ];
    /// Kinds that depend on the mapping. A new mapping is a decision of the operator, so these
    /// changes do not count then.
    const OF_MAPPING: [Self; 16] = [
        Self::WithoutDepartment,
        Self::OtherDepartment,
        Self::WithoutEmployeeNumber,
        Self::OtherEmployeeNumber,
        Self::WithoutCostCenter,
        Self::OtherCostCenter,
        Self::WithoutOrganization,
        Self::OtherOrganization,
        Self::WithoutDivision,
        Self::OtherDivision,
        Self::FewerGroups,
        Self::RenamedGroup,
        Self::MoreGroups,
        Self::OutOfScope,
        Self::WithoutUserType,
        Self::OtherUserType,
    ];
    /// Kinds that give something.
    const GAINS: [Self; 3] = [Self::Activated, Self::New, Self::MoreGroups];

    /// Returns the key of this kind's number in JSON.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Disappeared => "disappeared",
            Self::Deactivated => "deactivated",
            Self::Renamed => "renamed",
            Self::WithoutEmail => "withoutEmail",
            Self::WithoutEmployment => "withoutEmployment",
            Self::WithoutDepartment => "withoutDepartment",
            Self::OtherDepartment => "otherDepartment",
            Self::WithoutManager => "withoutManager",
            Self::OtherManager => "otherManager",
            Self::WithoutEmployeeNumber => "withoutEmployeeNumber",
            Self::OtherEmployeeNumber => "otherEmployeeNumber",
            Self::WithoutCostCenter => "withoutCostCenter",
            Self::OtherCostCenter => "otherCostCenter",
            Self::WithoutOrganization => "withoutOrganization",
            Self::OtherOrganization => "otherOrganization",
            Self::WithoutDivision => "withoutDivision",
            Self::OtherDivision => "otherDivision",
            Self::WithoutName => "withoutName",
            Self::OtherName => "otherName",
            Self::FewerGroups => "fewerGroups",
            Self::RenamedGroup => "renamedGroup",
            Self::Activated => "activated",
            Self::New => "new",
            Self::OtherEmail => "otherEmail",
            Self::MoreGroups => "moreGroups",
            Self::OutOfScope => "outOfScope",
            Self::WithoutJob => "withoutJob",
            Self::OtherJob => "otherJob",
            Self::WithoutOffice => "withoutOffice",
            Self::OtherOffice => "otherOffice",
            Self::WithoutTeam => "withoutTeam",
            Self::OtherTeam => "otherTeam",
            Self::WithoutUserType => "withoutUserType",
            Self::OtherUserType => "otherUserType",
        }
    }

    /// Returns the change in words that follow a number of users.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Disappeared => "would disappear",
            Self::Deactivated => "would become inactive",
            Self::Renamed => "would get another userName",
            Self::WithoutEmail => "would have no e-mail address",
            Self::WithoutEmployment => "would have no employment",
            Self::WithoutDepartment => "would have no department",
            Self::OtherDepartment => "would have another department",
            Self::WithoutManager => "would have no manager",
            Self::OtherManager => "would have another manager",
            Self::WithoutEmployeeNumber => "would have no employeeNumber",
            Self::OtherEmployeeNumber => "would have another employeeNumber",
            Self::WithoutCostCenter => "would have no costCenter",
            Self::OtherCostCenter => "would have another costCenter",
            Self::WithoutOrganization => "would have no organization",
            Self::OtherOrganization => "would have another organization",
            Self::WithoutDivision => "would have no division",
            Self::OtherDivision => "would have another division",
            Self::WithoutName => "would have no name",
            Self::OtherName => "would have another name",
            Self::FewerGroups => "would leave a group",
            Self::RenamedGroup => "would be in a group with another name",
            Self::Activated => "would become active",
            Self::New => "would be new",
            Self::OtherEmail => "would have another e-mail address",
            Self::MoreGroups => "would join a group",
            Self::OutOfScope => "would leave the scope of a client",
            Self::WithoutJob => "would have no job",
            Self::OtherJob => "would have another job",
            Self::WithoutOffice => "would have no office",
            Self::OtherOffice => "would have another office",
            Self::WithoutTeam => "would have no team",
            Self::OtherTeam => "would have another team",
            Self::WithoutUserType => "would have no userType",
            Self::OtherUserType => "would have another userType",
        }
    }
}

/// Set of kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeKinds(u64);

impl ChangeKinds {
    /// Restores a set from [`ChangeKinds::bits`].
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the set as a bit mask.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn add(&mut self, kind: ChangeKind) {
        self.0 |= 1_u64 << kind as u32;
    }

    /// Returns the union of both sets.
    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the set without the kinds that depend on the mapping.
    pub(super) fn without_mapped(self) -> Self {
        Self(self.0 & !set_of(&ChangeKind::OF_MAPPING).0)
    }

    /// Reports whether the set contains a kind that takes something.
    fn has_loss(self) -> bool {
        !Self(self.0 & !set_of(&ChangeKind::GAINS).0).is_empty()
    }

    fn contains(self, kind: ChangeKind) -> bool {
        self.0 & (1_u64 << kind as u32) != 0
    }

    /// Returns the kinds in the set.
    pub fn iter(self) -> impl Iterator<Item = ChangeKind> {
        ChangeKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

fn set_of(kinds: &[ChangeKind]) -> ChangeKinds {
    let mut all = ChangeKinds::default();
    for kind in kinds {
        all.add(*kind);
    }
    all
}

/// Largest share of the users that a change, or all changes within some time, may harm: 1 is all
/// users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxChange(pub f64);

impl MaxChange {
    /// Reports whether there is a limit.
    pub(in crate::directory) fn is_limited(self) -> bool {
        self.0 < 1.0
    }

    /// Reports whether `losses` exceed the limit.
    pub(super) fn is_exceeded_by(self, losses: &Losses) -> bool {
        let Losses { largest_total, smallest_total, users, groups, .. } = *losses;
        let is_most = largest_total >= MIN_USERS_FOR_MAJORITY_RULE
            && users * 2 > largest_total
            && self.is_share_exceeded(users, largest_total);
        let new = losses.users_with(ChangeKind::New);
        self.is_limited()
            && (is_most
                || self.is_many(users, largest_total)
                || self.is_many(losses.users_with(ChangeKind::Activated), smallest_total)
                || self.is_many(losses.users_with(ChangeKind::MoreGroups), smallest_total)
                || (new > MAX_ALWAYS_ACCEPTED_NEW_USERS
                    && self.is_share_exceeded(new, smallest_total))
                || self.is_many(groups.disappeared + groups.renamed, groups.total))
    }

    /// Reports whether a scope of `total` users loses too many of them.
    pub(super) fn is_exceeded_in_scope(self, lost: usize, total: usize) -> bool {
        let is_most = total >= MIN_USERS_FOR_MAJORITY_RULE
            && lost * 2 > total
            && self.is_share_exceeded(lost, total);
        self.is_limited() && (is_most || self.is_many(lost, total))
    }

    /// Reports whether `count` is more than a few and more than the share of `total`.
    fn is_many(self, count: usize, total: usize) -> bool {
        count > MAX_ALWAYS_ACCEPTED_USERS && self.is_share_exceeded(count, total)
    }

    fn is_share_exceeded(self, count: usize, total: usize) -> bool {
        count as f64 > total as f64 * self.0
    }
}

/// Numbers of harmed groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupLosses {
    /// Number of groups before.
    pub total: usize,
    /// Number of groups that would disappear.
    pub disappeared: usize,
    /// Number of groups that would have another name.
    pub renamed: usize,
}

/// Numbers of harmed users and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Losses {
    /// Largest number of users in the window; losses are compared with it.
    pub largest_total: usize,
    /// Smallest number of users in the window; gains are compared with it.
    pub smallest_total: usize,
    /// Number of users who would lose something.
    pub users: usize,
    /// Harmed groups.
    pub groups: GroupLosses,
    /// Number of users for each kind, in the order of [`ChangeKind::ALL`].
    kinds: [usize; KIND_COUNT],
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            largest_total: 0,
            smallest_total: 0,
            users: 0,
            groups: GroupLosses::default(),
            kinds: [0; KIND_COUNT],
        }
    }
}

impl Losses {
    /// Returns zero losses, among this number of users and groups.
    pub(super) fn zero(users: usize, groups: usize) -> Self {
        let groups = GroupLosses { total: groups, ..GroupLosses::default() };
        Self { largest_total: users, smallest_total: users, groups, ..Self::default() }
    }

    /// Counts one user with these kinds.
    pub(super) fn count(&mut self, kinds: ChangeKinds) {
        self.users += usize::from(kinds.has_loss());
        for (number, kind) in self.kinds.iter_mut().zip(ChangeKind::ALL) {
            *number += usize::from(kinds.contains(kind));
        }
    }

    /// Returns the number of users with this kind.
    #[must_use]
    pub fn users_with(&self, kind: ChangeKind) -> usize {
        let found = self.kinds().find(|(known, _)| *known == kind);
        match found {
            Some((_, number)) => number,
            None => 0,
        }
    }

    /// Returns all kinds with a number above zero.
    pub fn kinds(&self) -> impl Iterator<Item = (ChangeKind, usize)> {
        ChangeKind::ALL.into_iter().zip(self.kinds).filter(|(_, number)| *number > 0)
    }

    /// Returns the number of affected users and groups. A user who loses something and also gains
    /// something counts for each.
    pub(in crate::directory) fn affected(&self) -> usize {
        let mut size = self.users + self.groups.disappeared + self.groups.renamed;
        for kind in ChangeKind::GAINS {
            size += self.users_with(kind);
        }
        size
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { largest_total, smallest_total, users, groups, .. } = self;
        let mut kinds = self.kinds();
        let mut separator = ':';
        if *users > 0 {
            write!(f, "{users} of {largest_total} users would lose something")?;
        } else if let Some((kind, number)) = kinds.next() {
            write!(f, "{number} of {smallest_total} users {}", kind.description())?;
            separator = ',';
        } else {
            f.write_str("no user would lose something")?;
        }
        for (kind, number) in kinds {
            write!(f, "{separator} {number} {}", kind.description())?;
            separator = ',';
        }
        let GroupLosses { total, disappeared, renamed } = groups;
        if disappeared + renamed > 0 {
            write!(
                f,
                "; of {total} groups {disappeared} would disappear and {renamed} would have "
            )?;
            f.write_str("another name")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(of: usize, count: usize, kind: ChangeKind) -> Losses {
        let mut losses = Losses { largest_total: of, smallest_total: of, ..Losses::default() };
        (0..count).for_each(|_| losses.count(super::set_of(&[kind])));
        losses
    }

    #[test]
    fn losses_exceed_the_limit_beyond_the_share_and_ten_users_or_half() {
        for (count, of, share, expected) in [
            (10, 10, 0.2, true),
            (6, 10, 0.2, true),
            (5, 10, 0.2, false),
            (2, 3, 0.2, true),
            (1, 3, 0.2, false),
            (2, 2, 0.2, false),
            (1, 1, 0.2, false),
            (10, 20, 0.2, false),
            (11, 20, 0.2, true),
            (11, 11, 0.2, true),
            (11, 55, 0.2, false),
            (12, 55, 0.2, true),
            (200, 1000, 0.2, false),
            (201, 1000, 0.2, true),
            (7, 10, 0.7, false),
            (8, 10, 0.7, true),
            (11, 1000, 0.0, true),
            (10, 1000, 0.0, false),
            (1000, 1000, 1.0, false),
        ] {
            let exceeded =
                MaxChange(share).is_exceeded_by(&losses(of, count, ChangeKind::Deactivated));
            assert_eq!(exceeded, expected, "{count} of {of}");
        }
    }

    #[test]
    fn gains_exceed_the_limit_beyond_the_share_of_earlier_users() {
        for (kind, count, of, expected) in [
            (ChangeKind::New, 27, 3, false),
            (ChangeKind::New, 30, 3, false),
            (ChangeKind::New, 31, 3, true),
            (ChangeKind::New, 200, 1000, false),
            (ChangeKind::New, 201, 1000, true),
            (ChangeKind::Activated, 3, 5, false),
            (ChangeKind::Activated, 10, 12, false),
            (ChangeKind::Activated, 11, 12, true),
            (ChangeKind::Activated, 201, 1000, true),
            (ChangeKind::MoreGroups, 10, 12, false),
            (ChangeKind::MoreGroups, 11, 12, true),
            (ChangeKind::MoreGroups, 200, 1000, false),
            (ChangeKind::MoreGroups, 201, 1000, true),
        ] {
            let found = losses(of, count, kind);
            assert_eq!(
                MaxChange(0.2).is_exceeded_by(&found),
                expected,
                "{kind:?}: {count} of {of}"
            );
            assert_eq!(found.users, 0, "a gain is no loss");
        }
    }

    #[test]
    fn group_losses_are_compared_with_the_number_of_groups() {
        for (gone, renamed, of, expected) in [
            (11, 0, 40, true),
            (6, 5, 40, true),
            (5, 5, 40, false),
            (8, 0, 8, false),
            (11, 0, 100, false),
        ] {
            let groups = GroupLosses { total: of, disappeared: gone, renamed };
            let losses =
                Losses { largest_total: 1000, smallest_total: 1000, groups, ..Losses::default() };
            assert_eq!(MaxChange(0.2).is_exceeded_by(&losses), expected, "{groups:?}");
        }
    }

    #[test]
    fn display_lists_the_kinds_with_a_number_above_zero() {
        let mut found = losses(60, 40, ChangeKind::Disappeared);
        let mut both = set_of(&[ChangeKind::WithoutDepartment]);
        both.add(ChangeKind::FewerGroups);
        found.count(both);
        found.groups = GroupLosses { total: 4, disappeared: 1, renamed: 0 };
        assert_eq!(
            found.to_string(),
            "41 of 60 users would lose something: 40 would disappear, 1 would have no department, \
             1 would leave a group; of 4 groups 1 would disappear and 0 would have another name"
        );
        let mut gains = losses(500, 120, ChangeKind::New);
        assert_eq!(gains.to_string(), "120 of 500 users would be new");
        gains.count(set_of(&[ChangeKind::Activated]));
        assert_eq!(gains.to_string(), "1 of 500 users would become active, 120 would be new");
        let groups = GroupLosses { total: 40, disappeared: 11, renamed: 0 };
        assert_eq!(
            Losses { groups, ..losses(60, 0, ChangeKind::New) }.to_string(),
            "no user would lose something; of 40 groups 11 would disappear and 0 would have \
             another name"
        );
        let kinds: Vec<usize> = ChangeKind::ALL.iter().map(|kind| *kind as usize).collect();
        assert_eq!(kinds, (0..KIND_COUNT).collect::<Vec<_>>(), "each kind has its index");
    }
}
