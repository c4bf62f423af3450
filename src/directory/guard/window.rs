//! Window of losses within the last hours. Losses add up, even if a user had the value back in the
//! meantime. A mass change can arrive in small parts, and data that goes back and forth harms other
//! users each time.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::directory::guard::account_state::{Change, GroupChange};
use crate::directory::guard::losses::{GroupLosses, Kinds, Losses};

/// Time within which losses add up.
const WINDOW: SignedDuration = SignedDuration::from_hours(2);
/// Time span whose losses are stored together.
const STEP: SignedDuration = SignedDuration::from_mins(30);

/// Losses within one [`STEP`].
#[derive(Debug, Default)]
struct Step {
    /// Start on the monotonic clock; negative for a step before a restart.
    since: SignedDuration,
    /// Largest number of users in a snapshot.
    most: usize,
    /// Smallest number of users in a snapshot.
    least: usize,
    /// Largest number of groups in a snapshot.
    most_groups: usize,
    users: HashMap<Box<str>, Kinds>,
    groups: HashMap<Box<str>, GroupChange>,
}

/// Losses within the last hours.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Steps, the newest last.
    steps: Vec<Step>,
    /// Ids of unverified users whose deletion an operator has approved, for as long as they are
    /// served.
    pub(super) approved: HashSet<Box<str>>,
    /// Flag set from a restart until the first snapshot is published. Until then no loss expires:
    /// time alone approves nothing.
    is_recalled: bool,
}

/// Encoded form of a window.
#[derive(Serialize, Deserialize)]
struct Written {
    steps: Vec<WrittenStep>,
    approved: Vec<Box<str>>,
}

/// Encoded form of a step.
#[derive(Serialize, Deserialize)]
struct WrittenStep {
    /// Age at the time of writing, in milliseconds.
    age: i64,
    most: usize,
    least: usize,
    most_groups: usize,
    users: Vec<(Box<str>, u32)>,
    gone: Vec<Box<str>>,
    renamed: Vec<Box<str>>,
}

impl Window {
    /// Returns the losses within the window together with those of `change`. While a load
    /// `is_held`, no loss expires.
    pub(super) fn losses(&self, change: &Change, now: SignedDuration, is_held: bool) -> Losses {
        let mut losses = Losses::among(change.before, change.groups_before);
        let mut users: HashMap<&str, Kinds> = HashMap::new();
        let mut groups: HashMap<&str, GroupChange> = HashMap::new();
        for step in &self.steps {
            if !(is_held || self.is_recalled || step.counts(now)) {
                continue;
            }
            losses.of = losses.of.max(step.most);
            losses.before = losses.before.min(step.least);
            losses.groups.of = losses.groups.of.max(step.most_groups);
            for (id, kinds) in &step.users {
                let known = users.entry(id).or_default();
                *known = known.and(*kinds);
            }
            for (id, change) in &step.groups {
                groups.insert(id, *change);
            }
        }
        for (id, kinds) in change.counted_users() {
            let known = users.entry(id).or_default();
            *known = known.and(kinds);
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
    pub(super) fn note(&mut self, change: &Change, now: SignedDuration, is_held: bool) {
        if !is_held {
            self.steps.retain(|step| step.counts(now));
        }
        self.is_recalled = false;
        if self.steps.last().is_none_or(|newest| now - newest.since >= STEP) {
            self.steps.push(Step {
                since: now,
                most: change.before,
                least: change.before,
                most_groups: change.groups_before,
                ..Step::default()
            });
        }
        let Some(step) = self.steps.last_mut() else { return };
        step.most = step.most.max(change.after);
        step.least = step.least.min(change.after);
        step.most_groups = step.most_groups.max(change.groups_before);
        for (id, kinds) in change.counted_users() {
            let known = step.users.entry(id.into()).or_default();
            *known = known.and(kinds);
        }
        for (id, change) in change.counted_groups() {
            step.groups.insert(id.into(), change);
        }
    }

    /// Clears the window, because an operator has approved the snapshot, and stores the ids of its
    /// unverified users.
    pub(super) fn approve(&mut self, unconfirmed: &HashSet<Box<str>>) {
        *self = Self { approved: unconfirmed.clone(), ..Self::default() };
    }

    /// Encodes the window.
    pub(super) fn to_bytes(
        &self,
        now: SignedDuration,
    ) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let steps = self.steps.iter().map(|step| step.written(now)).collect();
        rmp_serde::to_vec(&Written { steps, approved: self.approved.iter().cloned().collect() })
    }

    /// Decodes a window that was written `elapsed` before `now`.
    pub(super) fn from_bytes(
        bytes: &[u8],
        now: SignedDuration,
        elapsed: SignedDuration,
    ) -> Option<Self> {
        let Written { steps, approved } = rmp_serde::from_slice(bytes).ok()?;
        // A system clock that was set back does not make a loss younger.
        let elapsed = elapsed.max(SignedDuration::ZERO);
        let steps = steps.into_iter().map(|step| step.read(now, elapsed)).collect();
        Some(Self { steps, approved: approved.into_iter().collect(), is_recalled: true })
    }
}

impl Step {
    /// Reports whether the step is young enough. Its last losses may be younger than its start by
    /// the length of a step.
    fn counts(&self, now: SignedDuration) -> bool {
        now.saturating_sub(self.since) <= WINDOW + STEP
    }

    fn written(&self, now: SignedDuration) -> WrittenStep {
        let age = now.saturating_sub(self.since).as_millis();
        let mut users = Vec::with_capacity(self.users.len());
        for (id, kinds) in &self.users {
            users.push((id.clone(), kinds.bits()));
        }
        let mut gone = Vec::new();
        let mut renamed = Vec::new();
        for (id, change) in &self.groups {
            match change {
                GroupChange::Gone => gone.push(id.clone()),
                GroupChange::Renamed => renamed.push(id.clone()),
            }
        }
        WrittenStep {
            age: i64::try_from(age).unwrap_or(i64::MAX),
            most: self.most,
            least: self.least,
            most_groups: self.most_groups,
            users,
            gone,
            renamed,
        }
    }
}

impl WrittenStep {
    fn read(self, now: SignedDuration, elapsed: SignedDuration) -> Step {
        let age = SignedDuration::from_millis(self.age.max(0)).saturating_add(elapsed);
        let mut users = HashMap::with_capacity(self.users.len());
        for (id, bits) in self.users {
            users.insert(id, Kinds::from_bits(bits));
        }
        let mut groups = HashMap::with_capacity(self.gone.len() + self.renamed.len());
        for id in self.gone {
            groups.insert(id, GroupChange::Gone);
        }
        for id in self.renamed {
            groups.insert(id, GroupChange::Renamed);
        }
        Step {
            since: now.saturating_sub(age),
            most: self.most,
            least: self.least,
            most_groups: self.most_groups,
            users,
            groups,
        }
    }
}

impl Change {
    /// Reports whether any part of this change counts towards the limit.
    pub(super) fn counts(&self) -> bool {
        self.counted_users().next().is_some() || self.counted_groups().next().is_some()
    }

    /// Returns the users who count towards the limit, with the kinds that do.
    fn counted_users(&self) -> impl Iterator<Item = (&str, Kinds)> {
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
        let mut losses = Losses::among(self.before, self.groups_before);
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
            GroupChange::Gone => self.gone += 1,
            GroupChange::Renamed => self.renamed += 1,
        }
    }
}
