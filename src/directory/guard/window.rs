//! What was taken from users within the last hours. Losses add up, whether or not a user had it back meanwhile: what
//! happened to everybody at once can come in small parts, and an upstream that flaps harms others each time.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::directory::guard::account_state::{Change, GroupChange};
use crate::directory::guard::losses::{GroupLosses, Kinds, Losses};

/// Time within which losses add up.
const WINDOW: SignedDuration = SignedDuration::from_hours(2);
/// Time whose losses are kept together.
const STEP: SignedDuration = SignedDuration::from_mins(30);

/// Losses within one [`STEP`].
#[derive(Debug, Default)]
struct Step {
    /// Beginning, on the monotonic clock; before its zero for a step before a restart.
    since: SignedDuration,
    /// Largest and smallest number of users that were served.
    most: usize,
    least: usize,
    /// Largest number of groups that were served.
    most_groups: usize,
    users: HashMap<Box<str>, Kinds>,
    groups: HashMap<Box<str>, GroupChange>,
}

/// Losses within the last hours.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The newest last.
    steps: Vec<Step>,
    /// Ids of users whom somebody has approved to go when it was not confirmed that they are gone; for as long as they
    /// are served.
    pub(super) approved: HashSet<Box<str>>,
    /// Whether nothing was published since a restart. Until then nothing is too old: time alone approves nothing.
    is_recalled: bool,
}

/// How a window is written.
#[derive(Serialize, Deserialize)]
struct Written {
    steps: Vec<WrittenStep>,
    approved: Vec<Box<str>>,
}

/// How a step is written.
#[derive(Serialize, Deserialize)]
struct WrittenStep {
    /// Age in milliseconds when it was written.
    age: i64,
    most: usize,
    least: usize,
    most_groups: usize,
    users: Vec<(Box<str>, u32)>,
    gone: Vec<Box<str>>,
    renamed: Vec<Box<str>>,
}

impl Window {
    /// Returns the numbers of those who lost something within the window, together with those of `change`. While
    /// something `is_held`, nothing is too old.
    pub(super) fn losses(&self, change: &Change, now: SignedDuration, is_held: bool) -> Losses {
        let mut losses = Losses::among(change.before, change.groups_before);
        let mut users: HashMap<&str, Kinds> = HashMap::new();
        let mut groups: HashMap<&str, GroupChange> = HashMap::new();
        let steps = self.steps.iter().filter(|step| is_held || self.is_recalled || step.counts(now));
        for step in steps {
            losses.of = losses.of.max(step.most);
            losses.before = losses.before.min(step.least);
            losses.groups.of = losses.groups.of.max(step.most_groups);
            for (id, kinds) in &step.users {
                let known = users.entry(id).or_default();
                *known = known.and(*kinds);
            }
            groups.extend(step.groups.iter().map(|(id, change)| (&**id, *change)));
        }
        for (id, kinds) in change.counted_users() {
            let known = users.entry(id).or_default();
            *known = known.and(kinds);
        }
        groups.extend(change.counted_groups());
        users.values().for_each(|kinds| losses.count(*kinds));
        groups.values().for_each(|change| losses.groups.count(*change));
        losses
    }

    /// Notes a change that is served from now on.
    pub(super) fn note(&mut self, change: &Change, now: SignedDuration, is_held: bool) {
        if !is_held {
            self.steps.retain(|step| step.counts(now));
        }
        self.is_recalled = false;
        if self.steps.last().is_none_or(|newest| now - newest.since >= STEP) {
            let (most, least) = (change.before, change.before);
            self.steps.push(Step { since: now, most, least, most_groups: change.groups_before, ..Step::default() });
        }
        let Some(step) = self.steps.last_mut() else { return };
        step.most = step.most.max(change.after);
        step.least = step.least.min(change.after);
        step.most_groups = step.most_groups.max(change.groups_before);
        for (id, kinds) in change.counted_users() {
            let known = step.users.entry(id.into()).or_default();
            *known = known.and(kinds);
        }
        step.groups.extend(change.counted_groups().map(|(id, change)| (id.into(), change)));
    }

    /// Forgets everything, because somebody has approved what is served from now on.
    pub(super) fn approve(&mut self, unconfirmed: &HashSet<Box<str>>) {
        *self = Self { approved: unconfirmed.clone(), ..Self::default() };
    }

    /// Returns the window in bytes.
    pub(super) fn to_bytes(&self, now: SignedDuration) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        let steps = self.steps.iter().map(|step| step.written(now)).collect();
        rmp_serde::to_vec(&Written { steps, approved: self.approved.iter().cloned().collect() })
    }

    /// Returns the window that `bytes` were made of, `elapsed` before `now`.
    pub(super) fn from_bytes(bytes: &[u8], now: SignedDuration, elapsed: SignedDuration) -> Option<Self> {
        let Written { steps, approved } = rmp_serde::from_slice(bytes).ok()?;
        // A clock that was set back makes nothing younger than it was.
        let elapsed = elapsed.max(SignedDuration::ZERO);
        let steps = steps.into_iter().map(|step| step.read(now, elapsed)).collect();
        Some(Self { steps, approved: approved.into_iter().collect(), is_recalled: true })
    }
}

impl Step {
    /// Reports whether it is young enough: losses at its end may be younger by a step than its beginning.
    fn counts(&self, now: SignedDuration) -> bool {
        now.saturating_sub(self.since) <= WINDOW + STEP
    }

    fn written(&self, now: SignedDuration) -> WrittenStep {
        let groups = |wanted: GroupChange| {
            let of_kind = self.groups.iter().filter(move |(_, change)| **change == wanted);
            of_kind.map(|(id, _)| id.clone()).collect()
        };
        WrittenStep {
            age: i64::try_from(now.saturating_sub(self.since).as_millis()).unwrap_or(i64::MAX),
            most: self.most,
            least: self.least,
            most_groups: self.most_groups,
            users: self.users.iter().map(|(id, kinds)| (id.clone(), kinds.bits())).collect(),
            gone: groups(GroupChange::Gone),
            renamed: groups(GroupChange::Renamed),
        }
    }
}

impl WrittenStep {
    fn read(self, now: SignedDuration, elapsed: SignedDuration) -> Step {
        let age = SignedDuration::from_millis(self.age.max(0)).saturating_add(elapsed);
        let gone = self.gone.into_iter().map(|id| (id, GroupChange::Gone));
        let renamed = self.renamed.into_iter().map(|id| (id, GroupChange::Renamed));
        Step {
            since: now.saturating_sub(age),
            most: self.most,
            least: self.least,
            most_groups: self.most_groups,
            users: self.users.into_iter().map(|(id, bits)| (id, Kinds::from_bits(bits))).collect(),
            groups: gone.chain(renamed).collect(),
        }
    }
}

impl Change {
    /// Reports whether anything of this change counts against the bound.
    pub(super) fn counts(&self) -> bool {
        self.counted_users().next().is_some() || self.counted_groups().next().is_some()
    }

    /// Returns the users who count against the bound, with what does.
    fn counted_users(&self) -> impl Iterator<Item = (&str, Kinds)> {
        let counted = self.users.iter().map(|(id, kinds)| {
            let kinds = if self.has_new_mapping { kinds.without_mapped() } else { *kinds };
            (&**id, kinds)
        });
        counted.filter(|(_, kinds)| !kinds.is_empty())
    }

    /// Returns the groups that count against the bound. A new mapping decides about groups.
    fn counted_groups(&self) -> impl Iterator<Item = (&str, GroupChange)> {
        let groups = self.groups.iter().filter(|_| !self.has_new_mapping);
        groups.map(|(id, change)| (&**id, *change))
    }

    /// Returns the numbers of this change alone.
    pub(super) fn losses(&self) -> Losses {
        let mut losses = Losses::among(self.before, self.groups_before);
        self.users.iter().for_each(|(_, kinds)| losses.count(*kinds));
        self.groups.iter().for_each(|(_, change)| losses.groups.count(*change));
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
