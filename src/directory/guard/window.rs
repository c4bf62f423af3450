//! Window of losses within the last hours. Losses add up, even if a user had the value back in the
//! meantime. A mass change can arrive in small parts, and data that goes back and forth harms other
//! users each time.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::directory::guard::account_state::{AccountChanges, GroupChange};
use crate::directory::guard::losses::{ChangeKinds, GroupLosses, Losses};

/// Time within which losses add up.
const WINDOW_LENGTH: SignedDuration = SignedDuration::from_hours(2);
/// Time span whose losses are stored together.
const STEP_LENGTH: SignedDuration = SignedDuration::from_mins(30);

/// Losses within one [`STEP_LENGTH`].
#[derive(Debug, Default)]
struct WindowStep {
    /// Start on the monotonic clock; negative for a step before a restart.
    since: SignedDuration,
    /// Largest number of users in a snapshot.
    max_users: usize,
    /// Smallest number of users in a snapshot.
    min_users: usize,
    /// Largest number of groups in a snapshot.
    max_groups: usize,
    users: HashMap<Box<str>, ChangeKinds>,
    groups: HashMap<Box<str>, GroupChange>,
}

/// Losses within the last hours.
#[derive(Debug, Default)]
pub(super) struct LossWindow {
    /// Steps, the newest last.
    steps: Vec<WindowStep>,
    /// Ids of unverified users whose deletion an operator has approved, for as long as they are
    /// served.
    pub(super) approved: HashSet<Box<str>>,
    /// Flag set from a restart until the first snapshot is published. Until then no loss expires:
    /// time alone approves nothing.
    is_restored: bool,
}

/// Encoded form of a window.
#[derive(Serialize, Deserialize)]
struct EncodedWindow {
    steps: Vec<EncodedStep>,
    approved: Vec<Box<str>>,
}

/// Encoded form of a step.
#[derive(Serialize, Deserialize)]
struct EncodedStep {
    /// Age at the time of writing, in milliseconds.
    age: i64,
    largest_total: usize,
    smallest_total: usize,
    largest_group_total: usize,
    users: Vec<(Box<str>, u64)>,
    disappeared: Vec<Box<str>>,
    renamed: Vec<Box<str>>,
}

impl LossWindow {
    /// Returns the losses within the window together with those of `change`. While a load
    /// `is_held`, no loss expires.
    pub(super) fn losses(
        &self,
        change: &AccountChanges,
        now: SignedDuration,
        is_held: bool,
    ) -> Losses {
        let mut losses = Losses::zero(change.before, change.groups_before);
        let mut users: HashMap<&str, ChangeKinds> = HashMap::new();
        let mut groups: HashMap<&str, GroupChange> = HashMap::new();
        for step in &self.steps {
            if !(is_held || self.is_restored || step.is_within_window(now)) {
                continue;
            }
            losses.largest_total = losses.largest_total.max(step.max_users);
            losses.smallest_total = losses.smallest_total.min(step.min_users);
            losses.groups.total = losses.groups.total.max(step.max_groups);
            for (id, kinds) in &step.users {
                let known = users.entry(id).or_default();
                *known = known.union(*kinds);
            }
            for (id, change) in &step.groups {
                groups.insert(id, *change);
            }
        }
        for (id, kinds) in change.counted_users() {
            let known = users.entry(id).or_default();
            *known = known.union(kinds);
        }
        groups.extend(change.counted_groups());
        for kinds in users.values() {
            losses.count(*kinds);
        }
        for change in groups.values() {
            losses.groups.count(*change);
        }
        losses
    }

    /// Adds a published change.
    pub(super) fn add(&mut self, change: &AccountChanges, now: SignedDuration, is_held: bool) {
        if !is_held {
            self.steps.retain(|step| step.is_within_window(now));
        }
        self.is_restored = false;
        if self.steps.last().is_none_or(|newest| now - newest.since >= STEP_LENGTH) {
            self.steps.push(WindowStep {
                since: now,
                max_users: change.before,
                min_users: change.before,
                max_groups: change.groups_before,
                ..WindowStep::default()
            });
        }
        let Some(step) = self.steps.last_mut() else { return };
        step.max_users = step.max_users.max(change.after);
        step.min_users = step.min_users.min(change.after);
        step.max_groups = step.max_groups.max(change.groups_before);
        for (id, kinds) in change.counted_users() {
            let known = step.users.entry(id.into()).or_default();
            *known = known.union(kinds);
        }
        for (id, change) in change.counted_groups() {
            step.groups.insert(id.into(), change);
        }
    }

    /// Clears the window, because an operator has approved the snapshot, and stores the ids of its
    /// unverified users.
    pub(super) fn reset_on_approval(&mut self, unverified: &HashSet<Box<str>>) {
        *self = Self { approved: unverified.clone(), ..Self::default() };
    }

    /// Encodes the window.
    pub(super) fn to_bytes(
        &self,
        now: SignedDuration,
    ) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let steps = self.steps.iter().map(|step| step.encode(now)).collect();
        rmp_serde::to_vec(&EncodedWindow {
            steps,
            approved: self.approved.iter().cloned().collect(),
        })
    }

    /// Decodes a window that was written `elapsed` before `now`.
    pub(super) fn from_bytes(
        bytes: &[u8],
        now: SignedDuration,
        elapsed: SignedDuration,
    ) -> Option<Self> {
        let EncodedWindow { steps, approved } = rmp_serde::from_slice(bytes).ok()?;
        // A system clock that was set back does not make a loss younger.
        let elapsed = elapsed.max(SignedDuration::ZERO);
        let steps = steps.into_iter().map(|step| step.decode(now, elapsed)).collect();
        Some(Self { steps, approved: approved.into_iter().collect(), is_restored: true })
    }
}

impl WindowStep {
    /// Reports whether the step is young enough. Its last losses may be younger than its start by
    /// the length of a step.
    fn is_within_window(&self, now: SignedDuration) -> bool {
        now.saturating_sub(self.since) <= WINDOW_LENGTH + STEP_LENGTH
    }

    fn encode(&self, now: SignedDuration) -> EncodedStep {
        let age = now.saturating_sub(self.since).as_millis();
        let mut users = Vec::with_capacity(self.users.len());
        for (id, kinds) in &self.users {
            users.push((id.clone(), kinds.bits()));
        }
        let mut disappeared = Vec::new();
        let mut renamed = Vec::new();
        for (id, change) in &self.groups {
            match change {
                GroupChange::Disappeared => disappeared.push(id.clone()),
                GroupChange::Renamed => renamed.push(id.clone()),
            }
        }
        EncodedStep {
            age: i64::try_from(age).unwrap_or(i64::MAX),
            largest_total: self.max_users,
            smallest_total: self.min_users,
            largest_group_total: self.max_groups,
            users,
            disappeared,
            renamed,
        }
    }
}

impl EncodedStep {
    fn decode(self, now: SignedDuration, elapsed: SignedDuration) -> WindowStep {
        let age = SignedDuration::from_millis(self.age.max(0)).saturating_add(elapsed);
        let mut users = HashMap::with_capacity(self.users.len());
        for (id, bits) in self.users {
            users.insert(id, ChangeKinds::from_bits(bits));
        }
        let mut groups = HashMap::with_capacity(self.disappeared.len() + self.renamed.len());
        for id in self.disappeared {
            groups.insert(id, GroupChange::Disappeared);
        }
        for id in self.renamed {
            groups.insert(id, GroupChange::Renamed);
        }
        WindowStep {
            since: now.saturating_sub(age),
            max_users: self.largest_total,
            min_users: self.smallest_total,
            max_groups: self.largest_group_total,
            users,
            groups,
        }
    }
}

impl AccountChanges {
    /// Reports whether any part of this change counts towards the limit.
    pub(super) fn counts(&self) -> bool {
        self.counted_users().next().is_some() || self.counted_groups().next().is_some()
    }

    /// Returns the users who count towards the limit, with the kinds that do.
    fn counted_users(&self) -> impl Iterator<Item = (&str, ChangeKinds)> {
        self.users.iter().filter_map(|(id, kinds)| {
            let kinds = if self.has_new_mapping { kinds.without_mapped() } else { *kinds };
            if kinds.is_empty() { None } else { Some((&**id, kinds)) }
        })
    }

    /// Returns the groups that count towards the limit. With a new mapping none does, because the
    /// mapping decides on groups.
    fn counted_groups(&self) -> impl Iterator<Item = (&str, GroupChange)> {
        let counted: &[(Box<str>, GroupChange)] =
            if self.has_new_mapping { &[] } else { &self.groups };
        counted.iter().map(|(id, change)| (&**id, *change))
    }

    /// Returns the losses of this change alone.
    pub(super) fn losses(&self) -> Losses {
        let mut losses = Losses::zero(self.before, self.groups_before);
        for (_, kinds) in &self.users {
            losses.count(*kinds);
        }
        for (_, change) in &self.groups {
            losses.groups.count(*change);
        }
        losses
    }
}

impl GroupLosses {
    fn count(&mut self, change: GroupChange) {
        match change {
            GroupChange::Disappeared => self.disappeared += 1,
            GroupChange::Renamed => self.renamed += 1,
        }
    }
}
