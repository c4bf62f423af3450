//! Account states: what an identity system goes by when it locks somebody out, deletes an account or gives access.
//! Of values only hashes are kept, since it matters only whether they are there and the same.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::directory::Loaded;
use crate::directory::guard::losses::{Kind, Kinds};
use crate::scim::{Group, User, Vocabulary};

/// Hash of a value. 32 bits suffice: what matters is that nearly all of many changes are seen.
type ValueHash = u32;
/// Hash of a value that is not there.
const ABSENT: ValueHash = 0;

/// A value that users can lose, or that can become another one.
struct Watched {
    lost: Kind,
    changed: Kind,
}

/// Watched values, in the order of [`AccountState::values`].
const WATCHED: [Watched; 7] = [
    Watched { lost: Kind::WithoutDepartment, changed: Kind::OtherDepartment },
    Watched { lost: Kind::WithoutManager, changed: Kind::OtherManager },
    Watched { lost: Kind::WithoutEmployeeNumber, changed: Kind::OtherEmployeeNumber },
    Watched { lost: Kind::WithoutCostCenter, changed: Kind::OtherCostCenter },
    Watched { lost: Kind::WithoutOrganization, changed: Kind::OtherOrganization },
    Watched { lost: Kind::WithoutDivision, changed: Kind::OtherDivision },
    Watched { lost: Kind::WithoutName, changed: Kind::OtherName },
];

/// Account state of one user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AccountState {
    active: bool,
    has_email: bool,
    has_employment: bool,
    /// Hash of the `userName` in lower case.
    user_name: ValueHash,
    values: [ValueHash; WATCHED.len()],
    /// Hashes of the ids of the user's groups, shared by all users who are in the same.
    groups: Arc<[ValueHash]>,
}

impl AccountState {
    fn of(user: &User, known_groups: &mut HashSet<Arc<[ValueHash]>>) -> Self {
        let enterprise = &user.enterprise;
        let values = [
            enterprise.department.as_deref(),
            enterprise.manager.as_ref().map(|manager| manager.value.as_str()),
            enterprise.employee_number.as_deref(),
            enterprise.cost_center.as_deref(),
            enterprise.organization.as_deref(),
            enterprise.division.as_deref(),
            user.name.formatted.as_deref(),
        ];
        let groups: Vec<ValueHash> = user.groups.iter().map(|group| hash(&group.value)).collect();
        let groups = match known_groups.get(groups.as_slice()) {
            Some(known) => Arc::clone(known),
            None => {
                let new: Arc<[ValueHash]> = groups.into();
                known_groups.insert(Arc::clone(&new));
                new
            }
        };
        Self {
            active: user.active,
            has_email: !user.emails.is_empty(),
            has_employment: user.has_employment(),
            user_name: folded_hash(&user.user_name),
            values: values.map(|value| value.map_or(ABSENT, hash)),
            groups,
        }
    }

    /// Returns what happens to a user on the way from here to `later`.
    fn changes(&self, later: &Self, renamed_groups: &HashSet<ValueHash>) -> Kinds {
        let mut kinds = Kinds::default();
        let mut note = |kind: Kind, happens: bool| {
            if happens {
                kinds.add(kind);
            }
        };
        note(Kind::Deactivated, self.active && !later.active);
        note(Kind::Activated, !self.active && later.active);
        note(Kind::Renamed, self.user_name != later.user_name);
        note(Kind::WithoutEmail, self.has_email && !later.has_email);
        note(Kind::WithoutEmployment, self.has_employment && !later.has_employment);
        for (watched, (before, after)) in WATCHED.iter().zip(self.values.iter().zip(&later.values)) {
            note(watched.lost, *before != ABSENT && *after == ABSENT);
            note(watched.changed, *before != ABSENT && *after != ABSENT && before != after);
        }
        let (left, kept): (Vec<_>, Vec<_>) = self.groups.iter().partition(|group| !later.groups.contains(group));
        note(Kind::FewerGroups, !left.is_empty());
        note(Kind::RenamedGroup, kept.iter().any(|group| renamed_groups.contains(group)));
        kinds
    }
}

/// Account states of all users of a load, and names of all groups.
#[derive(Debug)]
pub(in crate::directory) struct Accounts {
    users: HashMap<Box<str>, AccountState>,
    /// Hashes of the display names of groups by their id.
    groups: HashMap<Box<str>, ValueHash>,
    unconfirmed: HashSet<Box<str>>,
    /// Vocabulary of the mapping that made the users: another one is another mapping.
    vocabulary: Arc<Vocabulary>,
}

/// Harm to one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GroupChange {
    Gone,
    Renamed,
}

/// Everything that a load changes in account states.
#[derive(Debug, Clone, Default)]
pub(in crate::directory) struct Change {
    /// Changed users, by id.
    pub(in crate::directory) users: Vec<(Box<str>, Kinds)>,
    pub(super) groups: Vec<(Box<str>, GroupChange)>,
    /// Whether the users were made by another mapping.
    pub(super) has_new_mapping: bool,
    /// Number of users before and after.
    pub(super) before: usize,
    pub(super) after: usize,
    /// Number of groups before.
    pub(super) groups_before: usize,
}

impl Accounts {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let mut known_groups = HashSet::new();
        let users =
            loaded.users.iter().map(|user| (user.id.as_str().into(), AccountState::of(user, &mut known_groups)));
        let named = |group: &Group| (group.id.as_str().into(), hash(&group.display_name));
        Self {
            users: users.collect(),
            groups: loaded.groups.iter().map(named).collect(),
            unconfirmed: loaded.unconfirmed.clone(),
            vocabulary: Arc::clone(&loaded.vocabulary),
        }
    }

    pub(super) fn unconfirmed(&self) -> &HashSet<Box<str>> {
        &self.unconfirmed
    }

    /// Returns the number of users, without those who are approved to go and are only not confirmed to be gone.
    fn counted(&self, approved: &HashSet<Box<str>>) -> usize {
        let leaving = self.unconfirmed.iter().filter(|id| approved.contains(*id)).count();
        self.users.len().saturating_sub(leaving)
    }

    /// Returns everything that changes on the way from here to `later`. Users in `approved` may go: somebody has
    /// approved it when it was not confirmed.
    pub(super) fn changes(&self, later: &Self, approved: &HashSet<Box<str>>) -> Change {
        let mut change = Change {
            has_new_mapping: !Arc::ptr_eq(&self.vocabulary, &later.vocabulary),
            before: self.counted(approved),
            after: later.counted(approved),
            groups_before: self.groups.len(),
            ..Change::default()
        };
        for (id, name) in &self.groups {
            match later.groups.get(id) {
                None => change.groups.push((id.clone(), GroupChange::Gone)),
                Some(later) if later != name => change.groups.push((id.clone(), GroupChange::Renamed)),
                Some(_) => {}
            }
        }
        let is_renamed = |(_, change): &&(Box<str>, GroupChange)| *change == GroupChange::Renamed;
        let renamed: HashSet<ValueHash> = change.groups.iter().filter(is_renamed).map(|(id, _)| hash(id)).collect();
        for (id, before) in &self.users {
            let kinds = match later.users.get(id) {
                Some(now) if !later.unconfirmed.contains(id) => before.changes(now, &renamed),
                Some(_) | None => self.disappears(id, later, approved),
            };
            if !kinds.is_empty() {
                change.users.push((id.clone(), kinds));
            }
        }
        for id in later.users.keys().filter(|id| !self.users.contains_key(*id)) {
            let mut kinds = Kinds::default();
            kinds.add(Kind::New);
            change.users.push((id.clone(), kinds));
        }
        change.users.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        change.groups.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        change
    }

    /// Returns what counts of a user who is gone or may be. Who may be gone counted when they became so. Who is gone
    /// counts again, unless it was approved before it was sure: otherwise many could become unconfirmed little by
    /// little, and then go at once.
    fn disappears(&self, id: &str, later: &Self, approved: &HashSet<Box<str>>) -> Kinds {
        let mut kinds = Kinds::default();
        let was_unconfirmed = self.unconfirmed.contains(id);
        if !was_unconfirmed || !(later.unconfirmed.contains(id) || approved.contains(id)) {
            kinds.add(Kind::Disappeared);
        }
        kinds
    }

    /// Returns the hash of a user's account state; of nothing if there is no such user.
    pub(super) fn hash_of(&self, id: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.users.get(id).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the hash of a group's name; of nothing if there is no such group.
    pub(super) fn group_hash(&self, id: &str) -> ValueHash {
        self.groups.get(id).copied().unwrap_or(ABSENT)
    }
}

/// Returns the hash of a value that is there.
fn hash(text: &str) -> ValueHash {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    // The lower half.
    let hash = hasher.finish() as ValueHash;
    if hash == ABSENT { !ABSENT } else { hash }
}

/// Returns the hash of a text in which case does not matter.
fn folded_hash(text: &str) -> ValueHash {
    let is_folded = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_folded { hash(text) } else { hash(&text.to_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> AccountState {
        AccountState {
            active: true,
            has_email: true,
            has_employment: true,
            user_name: folded_hash("Ann@x"),
            values: [1; WATCHED.len()],
            groups: [1, 2].into(),
        }
    }

    #[test]
    fn only_what_was_there_can_be_lost() {
        let bare = AccountState {
            active: false,
            has_email: false,
            has_employment: false,
            user_name: folded_hash("personio-1"),
            values: [ABSENT; WATCHED.len()],
            groups: [].into(),
        };
        let kinds = |one: &AccountState, other: &AccountState| {
            one.changes(other, &HashSet::from([2])).iter().collect::<Vec<_>>()
        };
        let lost: Vec<Kind> = WATCHED.iter().map(|watched| watched.lost).collect();
        let all = [Kind::Deactivated, Kind::Renamed, Kind::WithoutEmail, Kind::WithoutEmployment];
        assert_eq!(kinds(&whole(), &bare), [&all[..], &lost, &[Kind::FewerGroups]].concat());
        assert_eq!(kinds(&bare, &whole()), [Kind::Renamed, Kind::Activated]);
        assert_eq!(kinds(&whole(), &AccountState { user_name: folded_hash("ann@X"), ..whole() }), [Kind::RenamedGroup]);
        let one_group = AccountState { groups: [1].into(), ..whole() };
        assert_eq!(kinds(&whole(), &one_group), [Kind::FewerGroups]);
        assert_eq!(kinds(&one_group, &whole()), []);
        for (place, watched) in WATCHED.iter().enumerate() {
            let mut other = one_group.clone();
            other.values[place] = 2;
            assert_eq!(kinds(&one_group, &other), [watched.changed]);
            other.values[place] = ABSENT;
            assert_eq!(kinds(&one_group, &other), [watched.lost]);
            assert_eq!(kinds(&other, &one_group), []);
        }
    }
}
