//! The mass-change guard: when very many users lose something at once, it is most likely a mistake upstream,
//! and an identity system would act on it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;

use super::{Loaded, Snapshot};
use crate::scim::{Loss, Resource, Standing, User};

/// So few may lose anything, whatever the share.
const FEW: usize = 10;

/// Which share of the users may lose something from one snapshot to the next, or within some time: 1 is
/// everybody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxChange(pub f64);

impl MaxChange {
    /// Whether there is a bound at all.
    pub(super) fn is_bound(self) -> bool {
        self.0 < 1.0
    }

    /// Whether `losses` are too many.
    pub(super) fn is_exceeded_by(self, losses: &Losses) -> bool {
        self.is_bound() && losses.users > FEW && losses.users as f64 > losses.of as f64 * self.0
    }
}

/// How many users a change would take something from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// All users there were.
    pub of: usize,
    /// Those who would lose anything.
    pub users: usize,
    /// Those who would disappear, also if that is not confirmed yet.
    pub disappeared: usize,
    /// Those who would become inactive.
    pub deactivated: usize,
    /// Those whose `userName` would be another.
    pub renamed: usize,
    /// Those who would have no e-mail address any more.
    pub without_email: usize,
    /// Those who would have no employment any more.
    pub without_employment: usize,
}

impl Losses {
    /// What users would lose by `change`, compared with what was served before.
    fn between(before: &Before, change: &Change<'_>) -> Self {
        let mut losses = Self { of: before.users.len(), ..Self::default() };
        for user in &before.users {
            let id = &*user.id;
            let Some(later) = change.later.get(id).filter(|_| !change.unconfirmed.contains(id)) else {
                // Who may be gone counted when they became so. Who is gone counts, unless it was approved before it
                // was sure: otherwise many could become unconfirmed little by little, and then go at once.
                let is_known = before.unconfirmed.contains(id);
                let counts = !is_known || !(change.unconfirmed.contains(id) || change.approved.contains(id));
                losses.disappeared += usize::from(counts);
                losses.users += usize::from(counts);
                continue;
            };
            let mut loses = false;
            for loss in user.standing().losses(&later.standing()) {
                loses = true;
                *losses.of_kind(loss) += 1;
            }
            losses.users += usize::from(loses);
        }
        losses
    }

    fn of_kind(&mut self, loss: Loss) -> &mut usize {
        match loss {
            Loss::Active => &mut self.deactivated,
            Loss::UserName => &mut self.renamed,
            Loss::Email => &mut self.without_email,
            Loss::Employment => &mut self.without_employment,
        }
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, users, disappeared, deactivated, renamed, without_email, without_employment } = self;
        write!(
            f,
            "{users} of {of} users would lose something: {disappeared} would disappear, {deactivated} become inactive, \
             {renamed} get another userName, {without_email} have no e-mail address, {without_employment} have no employment"
        )
    }
}

/// For how long losses add up. Employments are read again a few at a time, so what happened to everybody at
/// once can come in small parts, none of which is too large.
const WINDOW: Duration = Duration::from_secs(2 * 3600);
/// What is compared with lies so far apart.
const STEP: Duration = Duration::from_secs(1800);

/// A user who was served: what a later one is compared with, and nothing else.
#[derive(Debug)]
struct Stood {
    id: Box<str>,
    user_name: Box<str>,
    active: bool,
    has_email: bool,
    has_employment: bool,
}

impl Stood {
    fn new(user: &Resource) -> Self {
        let Standing { active, user_name, has_email, has_employment } = user.standing();
        let id = user.text("id").unwrap_or_default().into();
        Self { id, user_name: user_name.into(), active, has_email, has_employment }
    }

    fn standing(&self) -> Standing<'_> {
        let Self { user_name, active, has_email, has_employment, .. } = self;
        Standing {
            active: *active,
            user_name: Cow::Borrowed(user_name),
            has_email: *has_email,
            has_employment: *has_employment,
        }
    }
}

/// Users who were served. Whoever did not change between two states is in both as one.
#[derive(Debug)]
struct Before {
    users: Vec<Arc<Stood>>,
    unconfirmed: HashSet<Box<str>>,
    /// Since when they count, on the monotonic clock.
    since: Duration,
}

/// The users of a snapshot, and how they stand.
#[derive(Debug, Default)]
struct Served(Vec<(Arc<Resource>, Arc<Stood>)>);

impl Served {
    /// Those of `snapshot`. Most are in `self` already.
    fn followed_by(&self, snapshot: &Snapshot) -> Self {
        let known: HashMap<*const Resource, &Arc<Stood>> =
            self.0.iter().map(|(user, stood)| (Arc::as_ptr(user), stood)).collect();
        let users = snapshot.users().all().iter().map(|user| {
            let stood = known.get(&Arc::as_ptr(user)).map_or_else(|| Arc::new(Stood::new(user)), |it| Arc::clone(it));
            (Arc::clone(user), stood)
        });
        Self(users.collect())
    }

    fn is_of(&self, snapshot: &Snapshot) -> bool {
        let all = snapshot.users().all();
        self.0.len() == all.len() && self.0.iter().zip(all).all(|((one, _), other)| Arc::ptr_eq(one, other))
    }

    fn before(&self, snapshot: &Snapshot, since: Duration) -> Before {
        let users = self.0.iter().map(|(_, stood)| Arc::clone(stood)).collect();
        Before { users, unconfirmed: snapshot.unconfirmed().clone(), since }
    }
}

/// What would be served.
struct Change<'a> {
    later: HashMap<&'a str, &'a User>,
    unconfirmed: &'a HashSet<Box<str>>,
    approved: &'a HashSet<Box<str>>,
}

/// What was served within [`WINDOW`] and is compared with, the newest last.
#[derive(Debug, Default)]
pub(super) struct Guard(Mutex<Compared>);

#[derive(Debug, Default)]
struct Compared {
    /// What is served now, as far as the guard has seen it.
    served: Served,
    before: Vec<Before>,
    /// The ids of whom somebody has approved to go when it was not confirmed that they are gone; for as long as
    /// something is compared with in which it was not.
    approved: HashSet<Box<str>>,
}

impl Compared {
    /// `snapshot` is what is served.
    fn sees(&mut self, snapshot: &Snapshot) {
        if !self.served.is_of(snapshot) {
            self.served = self.served.followed_by(snapshot);
        }
    }

    /// The state that `snapshot` is, which is or was served.
    fn state_of(&mut self, snapshot: &Snapshot, since: Duration) -> Before {
        self.sees(snapshot);
        self.served.before(snapshot, since)
    }
}

impl Guard {
    /// What users would lose if `loaded` were served after `previous`, if that is more than `bound`. While a change is
    /// held back, nothing that was compared with is too old.
    pub(super) fn too_many_losses(
        &self,
        bound: MaxChange,
        previous: Option<&Snapshot>,
        loaded: &Loaded,
        since: Option<Duration>,
    ) -> Option<Losses> {
        let mut compared = self.compared();
        let previous = previous.map(|previous| compared.state_of(previous, Duration::ZERO));
        let Compared { before, approved, .. } = &*compared;
        let later = loaded.users.iter().map(|user| (&*user.id, user)).collect();
        let change = Change { later, unconfirmed: &loaded.unconfirmed, approved };
        let counts = |before: &&Before| since.is_none_or(|since| before.since >= since);
        let all = previous.iter().chain(before.iter().filter(counts));
        all.map(|before| Losses::between(before, &change)).find(|losses| bound.is_exceeded_by(losses))
    }

    /// `snapshot` is served after `previous`.
    pub(super) fn published(&self, previous: Option<&Snapshot>, snapshot: &Snapshot, now: Duration, is_held: bool) {
        let mut compared = self.compared();
        if compared.before.last().is_none_or(|newest| now.saturating_sub(newest.since) >= STEP) {
            compared.before.retain(|before| is_held || before.since >= beginning(now));
            let before = compared.state_of(previous.unwrap_or(snapshot), now);
            compared.before.push(before);
        }
        compared.sees(snapshot);
        // Who is gone by now is still compared with what was served when that was not sure.
        let Compared { before, approved, .. } = &mut *compared;
        let sets = || before.iter().map(|before| &before.unconfirmed).chain([snapshot.unconfirmed()]);
        approved.retain(|id| sets().any(|unconfirmed| unconfirmed.contains(id)));
    }

    /// `snapshot` is served because somebody says that it is right: from now on it is what is compared with.
    pub(super) fn approved(&self, snapshot: &Snapshot, now: Duration) {
        let mut compared = self.compared();
        compared.before = vec![compared.state_of(snapshot, now)];
        compared.approved = snapshot.unconfirmed().clone();
    }

    fn compared(&self) -> MutexGuard<'_, Compared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The moment before which nothing counts any more. What was noted at some time is what was served until then.
pub(super) fn beginning(now: Duration) -> Duration {
    now.saturating_sub(WINDOW + STEP)
}

/// A change that is not served yet.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) loaded: Loaded,
    /// When its load began.
    pub(super) started: SignedDuration,
    pub(super) losses: Losses,
    /// When the first of a row of such loads was held back.
    pub(super) since: Duration,
    /// How many users would lose something as an operator was told last.
    pub(super) told: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_too_large_beyond_the_share_and_beyond_a_few() {
        for (users, of, share, expected) in [
            (10, 10, 0.2, false),
            (11, 11, 0.2, true),
            (11, 55, 0.2, false),
            (12, 55, 0.2, true),
            (200, 1000, 0.2, false),
            (201, 1000, 0.2, true),
            (11, 1000, 0.0, true),
            (1000, 1000, 1.0, false),
        ] {
            let losses = Losses { users, of, ..Losses::default() };
            assert_eq!(MaxChange(share).is_exceeded_by(&losses), expected, "{users} of {of}");
        }
    }
}
