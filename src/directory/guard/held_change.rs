//! Held changes: loads that the guard refused. A load is held until a later load is within the
//! limit, or until an operator approves exactly the change that was shown.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::guard::{AccountChanges, ChangeId, ChangeKinds, Losses, Verdict};
use crate::directory::publish::PublishReason;
use crate::directory::{Directory, LoadedDirectory};

/// Load that the guard refused.
#[derive(Debug)]
pub(in crate::directory) struct HeldLoad {
    loaded: LoadedDirectory,
    /// Start of the load, on the monotonic clock.
    started: SignedDuration,
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

impl Directory {
    /// Holds a load. The current snapshot stays, for as long as its age allows. The change is
    /// logged as an error if it is the first one, or at least twice as large as the one logged
    /// last.
    pub(in crate::directory) fn hold(
        &self,
        loaded: LoadedDirectory,
        started: SignedDuration,
        verdict: Verdict,
    ) {
        let earlier = self.0.held_load.load_full();
        if earlier.is_none() {
            self.0.metrics.count_held();
        }
        let (held_since, mut reported) = match &earlier {
            Some(held) => (held.held_since, held.reported),
            None => (self.0.clock.monotonic(), None),
        };
        let Verdict { id, change, own_losses, losses, .. } = verdict;
        // An operator who knows of a small change must see when it grows.
        let known = match reported {
            Some(ReportedChange { size, .. }) => size,
            None => 0,
        };
        if losses.affected() >= known.saturating_mul(2) {
            self.report(id, &losses);
            reported = Some(ReportedChange { id, size: losses.affected() });
        } else {
            tracing::debug!("the change is still held back as {id}: {losses}");
        }
        let held =
            HeldLoad { loaded, started, id, change, own_losses, losses, held_since, reported };
        self.0.held_load.store(Some(Arc::new(held)));
    }

    /// Compares the held load with the current snapshot again.
    pub(in crate::directory) fn reassess_held_load(&self) {
        let Some(held) = self.0.held_load.load_full() else { return };
        let loaded = self.remapped_held_load(&held);
        let verdict = self.compare_with_current(&loaded);
        self.hold(loaded, held.started, verdict);
    }

    /// Returns the held load, mapped for today: it may have been held for days.
    fn remapped_held_load(&self, held: &HeldLoad) -> LoadedDirectory {
        if !self.is_valid_today(&held.loaded)
            && let Some(remapped) = self.remap(held.loaded.sync_state.as_ref())
        {
            return remapped;
        }
        held.loaded.clone()
    }

    /// Publishes the held load if its change has this id. Another change stays held.
    pub async fn approve(&self, id: &str) -> ApprovalOutcome {
        let _publish_guard = self.0.publish_lock.lock().await;
        let Some(held) = self.0.held_load.load_full() else {
            tracing::info!("approval ignored: no change is held back");
            return ApprovalOutcome::NothingHeld;
        };
        let loaded = self.remapped_held_load(&held);
        let verdict = self.compare_with_current(&loaded);
        if verdict.id.to_string() != id {
            let another = verdict.id;
            tracing::warn!(
                "not approved: the change that is held back is now {another}, not {id}; look at it \
                 again: {}",
                verdict.own_losses
            );
            self.hold(loaded, held.started, verdict);
            return ApprovalOutcome::AnotherHeld(another);
        }
        tracing::warn!("the change {id} is approved and is published: {}", verdict.own_losses);
        let sync_state = loaded.sync_state.clone();
        match self.publish(loaded, held.started, PublishReason::Approved(Box::new(verdict))).await {
            Ok(snapshot) => {
                self.0.held_load.store(None);
                self.0.approvals.fetch_add(1, Relaxed);
                if let Some(approved) = sync_state {
                    self.0.source.restore_current(&approved);
                }
                ApprovalOutcome::Published(snapshot.users().all().len())
            }
            Err(reason) => {
                tracing::error!("the approved change cannot be published: {reason}");
                ApprovalOutcome::Failed(reason.to_string())
            }
        }
    }

    /// Publishes the held load if its change is the one that the log reported last. Otherwise the
    /// change is logged and stays held.
    pub async fn approve_reported(&self) -> ApprovalOutcome {
        let reported = {
            let _publish_guard = self.0.publish_lock.lock().await;
            let Some(held) = self.0.held_load.load_full() else {
                tracing::info!("approval ignored: no change is held back");
                return ApprovalOutcome::NothingHeld;
            };
            match held.reported {
                Some(reported) if reported.id == held.id => reported.id,
                Some(_) | None => {
                    self.report_unseen_change(&held);
                    return ApprovalOutcome::AnotherHeld(held.id);
                }
            }
        };
        self.approve(&reported.to_string()).await
    }

    /// Logs a held change that is not the one the log reported last.
    fn report_unseen_change(&self, held: &HeldLoad) {
        tracing::warn!(
            "not approved: the change that is held back is not the one that the log has reported; \
             the following line reports it"
        );
        self.report(held.id, &held.losses);
        let &HeldLoad { started, id, own_losses, losses, held_since, .. } = held;
        let reported = Some(ReportedChange { id, size: losses.affected() });
        let loaded = held.loaded.clone();
        let change = held.change.clone();
        let held =
            HeldLoad { loaded, started, id, change, own_losses, losses, held_since, reported };
        self.0.held_load.store(Some(Arc::new(held)));
    }

    /// Logs a held change as an error.
    fn report(&self, id: ChangeId, losses: &Losses) {
        let served = match self.current_if_servable() {
            Some(_) => "the earlier snapshot is still served",
            None => "no snapshot is served, because the earlier one is older than --max-stale",
        };
        tracing::error!(
            change = %id,
            "a change is held back as {id}: it exceeds --max-change, together with the changes of \
             the last two hours; {served}: {losses}; if the change is correct, approve it with \
             `personio-scim approve` or SIGUSR1, or raise --max-change (SCIM_MAX_CHANGE)"
        );
    }

    /// Returns the held change, if any.
    #[must_use]
    pub fn held_change(&self) -> Option<HeldChangeSummary> {
        let held = self.0.held_load.load_full()?;
        let held_for = self.0.clock.monotonic().saturating_sub(held.held_since);
        Some(HeldChangeSummary {
            id: held.id,
            own_losses: held.own_losses,
            losses: held.losses,
            held_for,
        })
    }

    /// Returns all users that the held change affects, or `None` if another change is held by now.
    #[must_use]
    pub fn affected_users(&self, id: ChangeId) -> Option<Vec<AffectedUser>> {
        let held = self.0.held_load.load_full()?;
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
