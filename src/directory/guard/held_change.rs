//! Held changes: loads that the guard refused. A load is held until a later load is within the
//! limit, or until an operator approves exactly the change that was shown.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::guard::{Change, ChangeId, Kinds, Losses, Verdict};
use crate::directory::publish::Reason;
use crate::directory::{Directory, Loaded};

/// Load that the guard refused.
#[derive(Debug)]
pub(in crate::directory) struct Held {
    loaded: Loaded,
    /// Start of the load, on the monotonic clock.
    started: SignedDuration,
    id: ChangeId,
    change: Change,
    /// Losses of the change alone.
    own: Losses,
    /// Losses of the change together with those of the last hours.
    pub(in crate::directory) losses: Losses,
    /// Time since which loads have been held without a break, on the monotonic clock.
    since: Duration,
    /// Change that the log reported last.
    reported: Option<Reported>,
}

/// Change as the log reported it.
#[derive(Debug, Clone, Copy)]
struct Reported {
    id: ChangeId,
    /// Number of affected users and groups.
    size: usize,
}

/// Description of a held change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// Id of the change, which an approval must name.
    pub id: ChangeId,
    /// Losses of the change alone.
    pub own: Losses,
    /// Losses of the change together with those of the last hours. They decided.
    pub losses: Losses,
    /// Time for which changes have been held without a break.
    pub since: Duration,
}

/// User that a held change affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedUser {
    /// SCIM `id` of the user.
    pub id: Box<str>,
    /// Kinds of change for the user.
    pub kinds: Kinds,
}

/// Outcome of an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// The change was published, with this number of users.
    Published(usize),
    /// No change is held.
    NothingHeld,
    /// Another change is held by now.
    Another(ChangeId),
    /// The change could not be published.
    Failed(String),
}

impl Directory {
    /// Holds a load. The current snapshot stays, for as long as its age allows. The change is
    /// logged as an error if it is the first one, or at least twice as large as the one logged
    /// last.
    pub(in crate::directory) fn hold_back(
        &self,
        loaded: Loaded,
        started: SignedDuration,
        verdict: Verdict,
    ) {
        let earlier = self.0.held.load_full();
        if earlier.is_none() {
            self.0.counters.held_back.fetch_add(1, Relaxed);
        }
        let (since, mut reported) = match &earlier {
            Some(held) => (held.since, held.reported),
            None => (self.0.clock.monotonic(), None),
        };
        let Verdict { id, change, own, losses, .. } = verdict;
        // An operator who knows of a small change must see when it grows.
        let known = match reported {
            Some(Reported { size, .. }) => size,
            None => 0,
        };
        if losses.size() >= known.saturating_mul(2) {
            report(id, &losses);
            reported = Some(Reported { id, size: losses.size() });
        } else {
            tracing::debug!("the change is still held back as {id}: {losses}");
        }
        let held = Held { loaded, started, id, change, own, losses, since, reported };
        self.0.held.store(Some(Arc::new(held)));
    }

    /// Compares the held load with the current snapshot again.
    pub(in crate::directory) fn reassess_held_load(&self) {
        let Some(held) = self.0.held.load_full() else { return };
        let loaded = self.held_today(&held);
        let verdict = self.judge(&loaded);
        self.hold_back(loaded, held.started, verdict);
    }

    /// Returns the held load, mapped for today: it may have been held for days.
    fn held_today(&self, held: &Held) -> Loaded {
        if !self.is_of_today(&held.loaded)
            && let Some(again) = self.made_again(held.loaded.memory.as_ref())
        {
            return again;
        }
        held.loaded.clone()
    }

    /// Publishes the held load if its change has this id. Another change stays held.
    pub async fn approve(&self, id: &str) -> Approval {
        let _turn = self.0.publishing.lock().await;
        let Some(held) = self.0.held.load_full() else {
            tracing::info!("nothing is held back");
            return Approval::NothingHeld;
        };
        let loaded = self.held_today(&held);
        let verdict = self.judge(&loaded);
        if verdict.id.to_string() != id {
            let another = verdict.id;
            tracing::warn!(
                "not approved: the change that is held back is {another} by now: {}",
                verdict.own
            );
            self.hold_back(loaded, held.started, verdict);
            return Approval::Another(another);
        }
        tracing::warn!("the change {id} is approved and is published: {}", verdict.own);
        let memory = loaded.memory.clone();
        match self.publish(loaded, held.started, Reason::Approved(Box::new(verdict))).await {
            Ok(snapshot) => {
                self.0.held.store(None);
                self.0.approvals.fetch_add(1, Relaxed);
                if let Some(approved) = memory {
                    self.0.source.served(&approved);
                }
                Approval::Published(snapshot.users().all().len())
            }
            Err(reason) => {
                tracing::error!("the approved change cannot be published: {reason}");
                Approval::Failed(reason.to_string())
            }
        }
    }

    /// Publishes the held load if its change is the one that the log reported last. Otherwise the
    /// change is logged and stays held.
    pub async fn approve_reported(&self) -> Approval {
        let reported = {
            let _turn = self.0.publishing.lock().await;
            let Some(held) = self.0.held.load_full() else {
                tracing::info!("nothing is held back");
                return Approval::NothingHeld;
            };
            match held.reported {
                Some(reported) if reported.id == held.id => reported.id,
                Some(_) | None => {
                    self.report_anew(&held);
                    return Approval::Another(held.id);
                }
            }
        };
        self.approve(&reported.to_string()).await
    }

    /// Logs a held change that is not the one the log reported last.
    fn report_anew(&self, held: &Held) {
        tracing::warn!(
            "not approved: the change that is held back is not the one that the log has reported; \
             the following line reports it"
        );
        report(held.id, &held.losses);
        let &Held { started, id, own, losses, since, .. } = held;
        let reported = Some(Reported { id, size: losses.size() });
        let loaded = held.loaded.clone();
        let change = held.change.clone();
        let held = Held { loaded, started, id, change, own, losses, since, reported };
        self.0.held.store(Some(Arc::new(held)));
    }

    /// Returns the held change, if any.
    #[must_use]
    pub fn held_back(&self) -> Option<HeldBack> {
        let held = self.0.held.load_full()?;
        let since = self.0.clock.monotonic().saturating_sub(held.since);
        Some(HeldBack { id: held.id, own: held.own, losses: held.losses, since })
    }

    /// Returns all users that the held change affects, or `None` if another change is held by now.
    #[must_use]
    pub fn affected_users(&self, id: ChangeId) -> Option<Vec<AffectedUser>> {
        let held = self.0.held.load_full()?;
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

fn report(id: ChangeId, losses: &Losses) {
    tracing::error!(
        change = %id,
        "a change is held back as {id}, and the earlier users are still served: {losses}; if the \
         change is correct, approve it with `personio-scim approve` or SIGUSR1, or raise \
         --max-change (SCIM_MAX_CHANGE)"
    );
}
