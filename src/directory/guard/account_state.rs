//! Account states: the facts by which an identity system locks an account, deletes it or gives
//! access. Values are stored as hashes, because the guard only checks whether they exist and are
//! equal.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::directory::guard::losses::{ChangeKind, ChangeKinds};
use crate::directory::{LoadedContent, LoadedDirectory};
use crate::scim::{SchemaRegistry, User};

/// Hash of a value. 32 bits suffice, because the guard only needs to see nearly all of many
/// changes.
type ValueHash = u32;
/// Hash function with a random key for each process, so that no attacker can choose two values with
/// the same hash. The hashes are never stored.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
/// Hash of an absent value.
const ABSENT: ValueHash = 0;

/// Value that a user can lose, or that can be replaced by another.
struct WatchedValue {
    lost_kind: ChangeKind,
    changed_kind: ChangeKind,
}

impl WatchedValue {
    const fn new(lost_kind: ChangeKind, changed_kind: ChangeKind) -> Self {
        Self { lost_kind, changed_kind }
    }
}

/// Watched values, in the order of [`AccountState::values`]. A unit is watched by its name and by its
/// id, since rules are made of either, and both have the same kinds.
const WATCHED_VALUES: [WatchedValue; 17] = [
    WatchedValue::new(ChangeKind::WithoutDepartment, ChangeKind::OtherDepartment),
    WatchedValue::new(ChangeKind::WithoutManager, ChangeKind::OtherManager),
    WatchedValue::new(ChangeKind::WithoutEmployeeNumber, ChangeKind::OtherEmployeeNumber),
    WatchedValue::new(ChangeKind::WithoutCostCenter, ChangeKind::OtherCostCenter),
    WatchedValue::new(ChangeKind::WithoutOrganization, ChangeKind::OtherOrganization),
    WatchedValue::new(ChangeKind::WithoutDivision, ChangeKind::OtherDivision),
    WatchedValue::new(ChangeKind::WithoutName, ChangeKind::OtherName),
    WatchedValue::new(ChangeKind::WithoutEmail, ChangeKind::OtherEmail),
    WatchedValue::new(ChangeKind::WithoutDepartment, ChangeKind::OtherDepartment),
    WatchedValue::new(ChangeKind::WithoutCostCenter, ChangeKind::OtherCostCenter),
    WatchedValue::new(ChangeKind::WithoutOrganization, ChangeKind::OtherOrganization),
    WatchedValue::new(ChangeKind::WithoutJob, ChangeKind::OtherJob),
    WatchedValue::new(ChangeKind::WithoutJob, ChangeKind::OtherJob),
    WatchedValue::new(ChangeKind::WithoutOffice, ChangeKind::OtherOffice),
    WatchedValue::new(ChangeKind::WithoutOffice, ChangeKind::OtherOffice),
    WatchedValue::new(ChangeKind::WithoutTeam, ChangeKind::OtherTeam),
    WatchedValue::new(ChangeKind::WithoutUserType, ChangeKind::OtherUserType),
];

/// Account state of one user, without the groups.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AccountState {
    active: bool,
    has_employment: bool,
    /// Hash of the `userName` in lower case.
    user_name: ValueHash,
    /// Hashes of the values in [`WATCHED_VALUES`].
    values: [ValueHash; WATCHED_VALUES.len()],
}

/// Account state of one user, with the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Account<'a> {
    state: &'a AccountState,
    /// Hashes of the ids of the user's groups.
    groups: &'a [ValueHash],
}

impl AccountState {
    fn of(user: &User) -> Self {
        let enterprise = &user.enterprise;
        let email = user.emails.first().map(|email| email.value.to_lowercase());
        let values = [
            enterprise.department.as_deref(),
            enterprise.manager.as_ref().map(|manager| manager.value.as_str()),
            enterprise.employee_number.as_deref(),
            enterprise.cost_center.as_deref(),
            enterprise.organization.as_deref(),
            enterprise.division.as_deref(),
            user.name.formatted.as_deref(),
            email.as_deref(),
            user.extension.text("departmentId"),
            user.extension.text("costCenterId"),
            user.extension.text("legalEntityId"),
            user.extension.text("job"),
            user.extension.text("jobId"),
            user.extension.text("office"),
            user.extension.text("officeId"),
            user.extension.text("team"),
            user.attributes.text("userType"),
        ];
        Self {
            active: user.active,
            has_employment: user.has_employment(),
            user_name: folded_hash(&user.user_name),
            values: values.map(|value| value.map_or(ABSENT, hash)),
        }
    }
}

impl Account<'_> {
    /// Returns the kinds of change between this state and `later`.
    fn changes(self, later: Account<'_>, renamed_groups: &HashSet<ValueHash>) -> ChangeKinds {
        let was = self.state;
        let is = later.state;
        let mut kinds = ChangeKinds::default();
        if was.active && !is.active {
            kinds.add(ChangeKind::Deactivated);
        }
        if !was.active && is.active {
            kinds.add(ChangeKind::Activated);
        }
        if was.user_name != is.user_name {
            kinds.add(ChangeKind::Renamed);
        }
        if was.has_employment && !is.has_employment {
            kinds.add(ChangeKind::WithoutEmployment);
        }
        for (watched, (before, after)) in
            WATCHED_VALUES.iter().zip(was.values.iter().zip(&is.values))
        {
            if *before == ABSENT || before == after {
                continue;
            }
            kinds.add(if *after == ABSENT { watched.lost_kind } else { watched.changed_kind });
        }
        self.add_group_changes(later, renamed_groups, &mut kinds);
        kinds
    }

    /// Adds the kinds of change of the groups.
    fn add_group_changes(
        self,
        later: Account<'_>,
        renamed_groups: &HashSet<ValueHash>,
        kinds: &mut ChangeKinds,
    ) {
        for group in self.groups {
            if !later.groups.contains(group) {
                kinds.add(ChangeKind::FewerGroups);
            } else if renamed_groups.contains(group) {
                kinds.add(ChangeKind::RenamedGroup);
            }
        }
        if later.groups.iter().any(|group| !self.groups.contains(group)) {
            kinds.add(ChangeKind::MoreGroups);
        }
    }
}

/// Account states of all users of a load, by id. They stay in memory as long as the load is served,
/// so each user takes only about 100 bytes: all ids are one text, and users in the same groups share
/// them.
#[derive(Debug, Default, PartialEq, Eq)]
struct UserAccountStates {
    /// All ids in ascending order, one after the other.
    ids: String,
    /// End of each id in that text.
    ends: Vec<usize>,
    /// Account state of each user, in the order of the ids.
    states: Vec<AccountState>,
    /// Index of each user's groups in `group_sets`.
    memberships: Vec<u32>,
    /// Distinct sets of groups.
    group_sets: Vec<Box<[ValueHash]>>,
}

impl UserAccountStates {
    /// Returns the account states of users. A user who is reported as unchanged has the state of
    /// `current`. One who is not there is left out, so that the guard counts the loss.
    fn of(users: &[LoadedContent<User>], current: Option<&Self>) -> Self {
        let mut sorted: Vec<&LoadedContent<User>> = users.iter().collect();
        sorted.sort_unstable_by(|one, other| one.id().cmp(other.id()));
        let mut all = Self {
            ids: String::with_capacity(users.iter().map(|user| user.id().len()).sum()),
            ends: Vec::with_capacity(users.len()),
            states: Vec::with_capacity(users.len()),
            memberships: Vec::with_capacity(users.len()),
            group_sets: Vec::new(),
        };
        let mut known: HashMap<Box<[ValueHash]>, u32> = HashMap::new();
        // Both are in ascending order of the ids.
        let mut current = current.into_iter().flat_map(Self::iter).peekable();
        for user in sorted {
            match user {
                LoadedContent::Mapped(user) => {
                    let groups: Vec<ValueHash> =
                        user.groups.iter().map(|group| hash(&group.value)).collect();
                    all.push(&user.id, AccountState::of(user), &groups, &mut known);
                }
                LoadedContent::Unchanged(id) => {
                    while current.next_if(|(current_id, _)| **current_id < **id).is_some() {}
                    if let Some((_, account)) = current.next_if(|(found, _)| **found == **id) {
                        all.push(id, account.state.clone(), account.groups, &mut known);
                    }
                }
            }
        }
        all
    }

    /// Adds the state of the user with the next id. `known` has the index of each set of groups.
    fn push(
        &mut self,
        id: &str,
        state: AccountState,
        groups: &[ValueHash],
        known: &mut HashMap<Box<[ValueHash]>, u32>,
    ) {
        self.ids.push_str(id);
        self.ends.push(self.ids.len());
        self.states.push(state);
        let index = match known.get(groups) {
            Some(index) => *index,
            None => {
                // The number of sets is at most the number of users, which is far below 2³².
                let next = u32::try_from(self.group_sets.len()).unwrap_or(u32::MAX);
                self.group_sets.push(groups.into());
                known.insert(groups.into(), next);
                next
            }
        };
        self.memberships.push(index);
    }

    fn len(&self) -> usize {
        self.states.len()
    }

    /// Returns the bounds of an id in the text of all ids.
    fn range(&self, index: usize) -> Range<usize> {
        let start = match index.checked_sub(1) {
            Some(before) => self.end(before),
            None => 0,
        };
        start..self.end(index)
    }

    fn end(&self, index: usize) -> usize {
        self.ends.get(index).copied().unwrap_or_default()
    }

    fn id(&self, index: usize) -> &str {
        self.ids.get(self.range(index)).unwrap_or_default()
    }

    fn account(&self, index: usize) -> Option<Account<'_>> {
        let groups = usize::try_from(*self.memberships.get(index)?).ok()?;
        Some(Account { state: self.states.get(index)?, groups: self.group_sets.get(groups)? })
    }

    /// Returns the account state of a user, by binary search.
    fn find(&self, id: &str) -> Option<Account<'_>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.id(middle).cmp(id) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return self.account(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn iter(&self) -> impl Iterator<Item = (&str, Account<'_>)> {
        (0..self.len()).filter_map(|index| Some((self.id(index), self.account(index)?)))
    }
}

/// Account states of all users of a load, and the names of all groups.
#[derive(Debug)]
pub(in crate::directory) struct AccountStates {
    users: UserAccountStates,
    /// Hashes of the display names of groups, by group id.
    groups: HashMap<Box<str>, ValueHash>,
    /// Ids of the unverified users.
    unverified: HashSet<Box<str>>,
    /// Schema registry of the mapping that made the users. A different registry means a different
    /// mapping.
    schema_registry: Arc<SchemaRegistry>,
}

/// Harmful change of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum GroupChange {
    Disappeared,
    Renamed,
}

/// All changes of account states between two loads.
#[derive(Debug, Clone, Default)]
pub(in crate::directory) struct AccountChanges {
    /// Changed users, by id.
    pub(in crate::directory) users: Vec<(Box<str>, ChangeKinds)>,
    /// Ids of users who only gain a value, which counts for nothing but is part of the change's id.
    pub(super) gained: Vec<Box<str>>,
    pub(super) groups: Vec<(Box<str>, GroupChange)>,
    /// Flag set when another mapping made the users.
    pub(super) has_new_mapping: bool,
    /// Number of users before.
    pub(super) before: usize,
    /// Number of users after.
    pub(super) after: usize,
    /// Number of groups before.
    pub(super) groups_before: usize,
}

impl AccountChanges {
    /// Adds the users who leave the scope of a client.
    pub(super) fn add_scope_losses(&mut self, ids: &HashSet<Box<str>>) {
        if ids.is_empty() {
            return;
        }
        let mut added: HashSet<&str> = ids.iter().map(|id| &**id).collect();
        for (id, kinds) in &mut self.users {
            if added.remove(&**id) {
                kinds.add(ChangeKind::OutOfScope);
            }
        }
        for id in added {
            let mut kinds = ChangeKinds::default();
            kinds.add(ChangeKind::OutOfScope);
            self.users.push((id.into(), kinds));
        }
        self.users.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    }
}

impl AccountChanges {
    fn add_new(&mut self, id: &str) {
        let mut kinds = ChangeKinds::default();
        kinds.add(ChangeKind::New);
        self.users.push((id.into(), kinds));
    }
}

impl AccountStates {
    /// Returns the account states of a load. Those of unchanged users and groups are copied from
    /// `current`, the states of the current snapshot.
    pub(super) fn of(loaded: &LoadedDirectory, current: Option<&Self>) -> Self {
        let mut groups = HashMap::with_capacity(loaded.groups.len());
        for group in &loaded.groups {
            let name = match group {
                LoadedContent::Mapped(group) => hash(&group.display_name),
                LoadedContent::Unchanged(id) => current.map_or(ABSENT, |it| it.group_hash(id)),
            };
            groups.insert(group.id().into(), name);
        }
        Self {
            users: UserAccountStates::of(&loaded.users, current.map(|current| &current.users)),
            groups,
            unverified: loaded.quality.unverified.clone(),
            schema_registry: Arc::clone(&loaded.schema_registry),
        }
    }

    pub(super) fn unverified(&self) -> &HashSet<Box<str>> {
        &self.unverified
    }

    /// Returns the number of users, without the unverified ones whose deletion is approved.
    fn counted_users(&self, approved: &HashSet<Box<str>>) -> usize {
        let leaving = self.unverified.iter().filter(|id| approved.contains(*id)).count();
        self.users.len().saturating_sub(leaving)
    }

    /// Returns all changes from this state to `later`. The ids in `approved` are users whose
    /// deletion was approved while it was unverified.
    pub(super) fn changes(&self, later: &Self, approved: &HashSet<Box<str>>) -> AccountChanges {
        let mut change = AccountChanges {
            has_new_mapping: !Arc::ptr_eq(&self.schema_registry, &later.schema_registry),
            before: self.counted_users(approved),
            after: later.counted_users(approved),
            groups_before: self.groups.len(),
            ..AccountChanges::default()
        };
        let mut renamed = HashSet::new();
        for (id, name) in &self.groups {
            match later.groups.get(id) {
                None => change.groups.push((id.clone(), GroupChange::Disappeared)),
                Some(later) if later != name => {
                    change.groups.push((id.clone(), GroupChange::Renamed));
                    renamed.insert(hash(id));
                }
                Some(_) => {}
            }
        }
        // Both are in ascending order of the ids.
        let mut later_users = later.users.iter().peekable();
        for (id, before) in self.users.iter() {
            while let Some((new, _)) = later_users.next_if(|(later_id, _)| *later_id < id) {
                change.add_new(new);
            }
            let now = later_users.next_if(|(later_id, _)| *later_id == id);
            let now = now.map(|(_, account)| account);
            let kinds = match now {
                Some(now) if !later.unverified.contains(id) => before.changes(now, &renamed),
                Some(_) | None => self.missing_user_kinds(id, later, approved),
            };
            if !kinds.is_empty() {
                change.users.push((id.into(), kinds));
            } else if now.is_some_and(|now| now != before) {
                change.gained.push(id.into());
            }
        }
        for (new, _) in later_users {
            change.add_new(new);
        }
        change.users.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        change.groups.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        change
    }

    /// Returns the kinds to count for a user who is deleted or unverified. A user counts when
    /// becoming unverified, and again when the deletion is certain, unless it was approved before.
    /// Otherwise many users could become unverified in small steps and then disappear at once.
    fn missing_user_kinds(
        &self,
        id: &str,
        later: &Self,
        approved: &HashSet<Box<str>>,
    ) -> ChangeKinds {
        let mut kinds = ChangeKinds::default();
        let was_unverified = self.unverified.contains(id);
        if !was_unverified || !(later.unverified.contains(id) || approved.contains(id)) {
            kinds.add(ChangeKind::Disappeared);
        }
        kinds
    }

    /// Returns the hash of a user's account state. A missing user has a hash as well.
    pub(super) fn user_hash(&self, id: &str) -> u64 {
        HASHER.hash_one(self.users.find(id))
    }

    /// Returns the hash of a group's name, or [`ABSENT`] for a missing group.
    pub(super) fn group_hash(&self, id: &str) -> ValueHash {
        self.groups.get(id).copied().unwrap_or(ABSENT)
    }
}

/// Account states for the tests of other modules.
#[cfg(test)]
pub(crate) struct TestAccountStates(AccountStates);

#[cfg(test)]
impl TestAccountStates {
    /// Returns the account states of a load that follows `current`.
    pub(crate) fn of(loaded: &LoadedDirectory, current: Option<&Self>) -> Self {
        Self(AccountStates::of(loaded, current.map(|Self(current)| current)))
    }

    pub(crate) fn is_same(&self, Self(other): &Self) -> bool {
        let Self(AccountStates { users, groups, unverified, .. }) = self;
        *users == other.users && *groups == other.groups && *unverified == other.unverified
    }
}

/// Returns the hash of a value. It is never [`ABSENT`].
fn hash(text: &str) -> ValueHash {
    // Lower half of the 64 bits.
    let hash = HASHER.hash_one(text) as ValueHash;
    if hash == ABSENT { !ABSENT } else { hash }
}

/// Returns the hash of a text, ignoring case.
fn folded_hash(text: &str) -> ValueHash {
    let is_folded = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_folded { hash(text) } else { hash(&text.to_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{
        AttributeValues, EnterpriseUser, GroupMembership, PersonName, ResourceMeta, ResourceUrls,
    };

    fn complete() -> AccountState {
        AccountState {
            active: true,
            has_employment: true,
            user_name: folded_hash("Ann@x"),
            values: [1; WATCHED_VALUES.len()],
        }
    }

    /// Returns the kinds of change of a user, where group 2 gets another name.
    fn kinds(
        was: &AccountState,
        groups: &[ValueHash],
        now: &AccountState,
        groups_now: &[ValueHash],
    ) -> Vec<ChangeKind> {
        let now = Account { state: now, groups: groups_now };
        Account { state: was, groups }.changes(now, &HashSet::from([2])).iter().collect()
    }

    #[test]
    fn absent_values_cannot_be_lost() {
        let bare = AccountState {
            active: false,
            has_employment: false,
            user_name: folded_hash("personio-1"),
            values: [ABSENT; WATCHED_VALUES.len()],
        };
        let both = &[1, 2][..];
        let lost: Vec<ChangeKind> =
            WATCHED_VALUES.iter().map(|watched| watched.lost_kind).collect();
        let mut all = [
            &[
                ChangeKind::Deactivated,
                ChangeKind::Renamed,
                ChangeKind::WithoutEmployment,
                ChangeKind::FewerGroups,
            ],
            &lost[..],
        ]
        .concat();
        all.sort_unstable_by_key(|kind| *kind as usize);
        all.dedup();
        assert_eq!(kinds(&complete(), both, &bare, &[]), all);
        assert_eq!(
            kinds(&bare, &[], &complete(), both),
            [ChangeKind::Renamed, ChangeKind::Activated, ChangeKind::MoreGroups]
        );
        let other_case = AccountState { user_name: folded_hash("ann@X"), ..complete() };
        assert_eq!(kinds(&complete(), both, &other_case, both), [ChangeKind::RenamedGroup]);
        assert_eq!(kinds(&complete(), both, &complete(), &[1]), [ChangeKind::FewerGroups]);
        assert_eq!(kinds(&complete(), &[1], &complete(), both), [ChangeKind::MoreGroups]);
        for (index, watched) in WATCHED_VALUES.iter().enumerate() {
            let mut other = complete();
            other.values[index] = 2;
            assert_eq!(kinds(&complete(), &[1], &other, &[1]), [watched.changed_kind]);
            other.values[index] = ABSENT;
            assert_eq!(kinds(&complete(), &[1], &other, &[1]), [watched.lost_kind]);
            assert_eq!(kinds(&other, &[1], &complete(), &[1]), []);
        }
    }

    fn user(id: &str, groups: &[&str]) -> LoadedContent<User> {
        let urls = ResourceUrls::new("https://scim.example.com/scim/v2");
        let group = |value: &&str| GroupMembership {
            value: (*value).to_owned(),
            reference: urls.group(value),
            display: (*value).to_owned(),
            kind: "direct",
        };
        LoadedContent::Mapped(Box::new(User {
            id: id.to_owned(),
            external_id: id.to_owned(),
            user_name: id.to_owned(),
            name: PersonName::default(),
            display_name: id.to_owned(),
            attributes: AttributeValues::default(),
            active: true,
            emails: Vec::new(),
            groups: groups.iter().map(group).collect(),
            enterprise: EnterpriseUser::default(),
            extension: AttributeValues::default(),
            meta: ResourceMeta::of_user(urls.user(id), None, None),
        }))
    }

    #[test]
    fn a_user_takes_less_than_100_bytes() {
        let all: Vec<_> =
            (0..10_000).map(|id| user(&(1_000_000 + id).to_string(), &["a", "b"])).collect();
        let UserAccountStates { ids, ends, states, memberships, group_sets } =
            UserAccountStates::of(&all, None);
        let bytes = ids.capacity()
            + ends.capacity() * size_of::<usize>()
            + states.capacity() * size_of::<AccountState>()
            + memberships.capacity() * size_of::<u32>();
        assert_eq!(group_sets.len(), 1);
        assert!(bytes < 10_000 * 100, "{} bytes a user", bytes / 10_000);
    }

    #[test]
    fn users_are_found_by_their_ids_with_their_groups() {
        let first = UserAccountStates::of(
            &[user("20", &["a", "b"]), user("3", &[]), user("100", &["other"]), user("9", &["b"])],
            None,
        );
        let unchanged = |id: &str| LoadedContent::Unchanged(id.into());
        let users = UserAccountStates::of(
            &[
                unchanged("20"),
                unchanged("3"),
                user("100", &["a", "b"]),
                unchanged("9"),
                unchanged("missing"),
            ],
            Some(&first),
        );
        assert_eq!(users.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["100", "20", "3", "9"]);
        assert_eq!(users.group_sets.len(), 3, "the same groups are kept once");
        for (id, groups) in
            [("20", &["a", "b"][..]), ("3", &[]), ("100", &["a", "b"]), ("9", &["b"])]
        {
            let account = users.find(id).unwrap();
            let hashes: Vec<ValueHash> = groups.iter().map(|group| hash(group)).collect();
            assert_eq!(
                (account.groups, account.state.user_name),
                (&hashes[..], folded_hash(id)),
                "{id}"
            );
        }
        for id in ["", "1", "2", "200", "99"] {
            assert!(users.find(id).is_none(), "{id}");
        }
        assert!(UserAccountStates::default().find("1").is_none());
    }
}
