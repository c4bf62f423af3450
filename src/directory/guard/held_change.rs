//! Held changes: changes of loads that the guard refused. A change is held until a later load is
//! within the limit, or until an operator approves exactly the change that was shown.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::guard::{
    AccountChanges, ChangeId, ChangeKinds, Losses, MassChangeGuard, Verdict,
};

/// Change of a load that the guard refused.
#[derive(Debug, Clone)]
pub(in crate::directory) struct HeldChange {
    pub(in crate::directory) id: ChangeId,
    change: AccountChanges,
    /// Losses of the change alone.
    own_losses: Losses,
    /// Losses of the change together with those of the last hours.
    pub(in crate::directory) losses: Losses,
    /// Time since which loads have been held without a break, on the monotonic clock.
    held_since: Duration,
    /// Change that the log reported last.
    reported: Option<ReportedChange>,
}

/// Change as the log reported it.
#[derive(Debug, Clone, Copy)]
struct ReportedChange {
    id: ChangeId,
    /// Number of affected users and groups.
    size: usize,
}

/// Description of a held change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldChangeSummary {
    /// Id of the change, which an approval must name.
    pub id: ChangeId,
    /// Losses of the change alone.
    pub own_losses: Losses,
    /// Losses of the change together with those of the last hours. They decided.
    pub losses: Losses,
    /// Time for which changes have been held without a break.
    pub held_for: Duration,
}

/// User that a held change affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedUser {
    /// SCIM `id` of the user.
    pub id: Box<str>,
    /// Kinds of change for the user.
    pub kinds: ChangeKinds,
}

/// Outcome of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// The change was published, with this number of users.
    Published(usize),
    /// No change is held.
    NothingHeld,
    /// Another change is held by now.
    AnotherHeld(ChangeId),
    /// The change could not be published.
    Failed(String),
}

impl MassChangeGuard {
    /// Holds the change of a refused load. The change is logged as an error if it is the first one,
    /// or at least twice as large as the one logged last.
    pub(in crate::directory) fn hold(&self, verdict: Verdict) {
        let (held_since, mut reported) = match self.held.load().as_ref() {
            Some(held) => (held.held_since, held.reported),
            None => {
                self.store.metrics.count_held();
                (self.store.clock.monotonic(), None)
            }
        };
        let Verdict { id, change, own_losses, losses, .. } = verdict;
        // An operator who knows of a small change must see when it grows.
        let known = match reported {
            Some(ReportedChange { size, .. }) => size,
            None => 0,
        };
        if losses.affected() >= known.saturating_mul(2) {
            reported = Some(self.report(id, &losses));
        } else {
            tracing::debug!("the change is still held back as {id}: {losses}");
        }
        let held = HeldChange { id, change, own_losses, losses, held_since, reported };
        self.held.store(Some(Arc::new(held)));
    }

    /// Ends the hold.
    pub(in crate::directory) fn release(&self) {
        self.held.store(None);
    }

    /// Reports whether a change is held.
    pub(in crate::directory) fn is_holding(&self) -> bool {
        self.held.load().is_some()
    }

    /// Returns the change that is held, if any.
    pub(in crate::directory) fn held(&self) -> Option<Arc<HeldChange>> {
        self.held.load_full()
    }

    /// Reports whether `held` is the change that the log reported last. Another one is logged now.
    pub(in crate::directory) fn check_reported(&self, held: &HeldChange) -> bool {
        if held.reported.is_some_and(|reported| reported.id == held.id) {
            return true;
        }
        tracing::warn!(
            "not approved: the change that is held back is not the one that the log has reported; \
             the following line reports it"
        );
        let reported = Some(self.report(held.id, &held.losses));
        self.held.store(Some(Arc::new(HeldChange { reported, ..held.clone() })));
        false
    }

    /// Logs a held change as an error.
    fn report(&self, id: ChangeId, losses: &Losses) -> ReportedChange {
        let served = match self.store.servable() {
            Some(_) => "the earlier snapshot is still served",
            None => "no snapshot is served, because the earlier one is older than --max-stale",
        };
        tracing::error!(
            change = %id,
            "a change is held back as {id}: it exceeds --max-change, together with the changes of \
             the last two hours; {served}: {losses}; if the change is correct, approve it with \
             `personio-scim approve` or SIGUSR1, or raise --max-change (SCIM_MAX_CHANGE)"
        );
        ReportedChange { id, size: losses.affected() }
    }

    /// Describes the held change, if any.
    pub(in crate::directory) fn held_change(&self) -> Option<HeldChangeSummary> {
        let held = self.held()?;
        let held_for = self.store.clock.monotonic().saturating_sub(held.held_since);
        Some(HeldChangeSummary {
            id: held.id,
            own_losses: held.own_losses,
            losses: held.losses,
            held_for,
        })
    }

    /// Returns all users that the held change affects, or `None` if another change is held by now.
    pub(in crate::directory) fn affected_users(&self, id: ChangeId) -> Option<Vec<AffectedUser>> {
        let held = self.held()?;
        if held.id != id {
            return None;
        }
        let mut users = Vec::with_capacity(held.change.users.len());
        for (id, kinds) in &held.change.users {
            users.push(AffectedUser { id: id.clone(), kinds: *kinds });
        }
        Some(users)
    }
}
