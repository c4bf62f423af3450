//! Outcome of a load: its snapshot is published, or the load is held where it would take something
//! from too many users at once. After the restore at the start, every change of the current
//! snapshot goes through this module, one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::block_in_place;

use crate::directory::guard::Verdict;
use crate::directory::persistence::Keepsake;
use crate::directory::snapshot::Earlier;
use crate::directory::{Directory, Loaded, Memory, News, Outcome, Snapshot, SourceError, lock};

/// Reason why a snapshot is published.
pub(super) enum Reason {
    /// The load found the same data as before.
    Unchanged,
    /// The change is within the limit of the mass-change guard.
    WithinBounds(Box<Verdict>),
    /// An operator approved the change.
    Approved(Box<Verdict>),
}

impl Directory {
    /// Publishes the result of a load, or holds it. `served` is the sync state of the snapshot that
    /// was current when the load began. The result is discarded if a change was approved during the
    /// load, because it was based on the snapshot before the approval.
    pub(super) async fn land(
        &self,
        news: News,
        served: Option<Arc<dyn Memory>>,
        started: SignedDuration,
        approvals: u64,
    ) -> Result<Outcome, SourceError> {
        let _turn = self.0.publishing.lock().await;
        if self.0.approvals.load(Relaxed) != approvals {
            tracing::info!(
                "this load is discarded, because a change was approved while it ran; the next load \
                 is published"
            );
            self.reset_source();
            return Ok(Outcome::Overtaken);
        }
        let outcome = match (news, self.unchanged(served.as_ref())) {
            (News::Loaded(loaded), _) => self.judged(*loaded, started).await?,
            (News::Same(memory), Some(snapshot)) => {
                self.0.failure.store(None);
                let again = Arc::new(snapshot.found_again(started));
                let again = self.serve(again, Some(memory), Reason::Unchanged).await;
                Outcome::Published(again.users().all().len())
            }
            // The load found the same data as before, but the day has changed since, or the current
            // snapshot has been replaced.
            (News::Same(memory), None) => {
                let Some(again) = self.made_again(Some(&memory)) else {
                    let reason = "users cannot be mapped again because of an internal error";
                    return Err(SourceError::new(reason.to_owned()));
                };
                self.judged(again, started).await?
            }
        };
        self.0.failure.store(None);
        self.0.notices.load_lands();
        self.0.fresh.insert((), ()).await;
        // The cache does its pending work now. Otherwise the work waits for the next use, which may
        // be much later.
        self.0.fresh.run_pending_tasks().await;
        Ok(outcome)
    }

    /// Returns the current snapshot if it is still the one of the sync state `served` and its
    /// mapping is valid today.
    fn unchanged(&self, served: Option<&Arc<dyn Memory>>) -> Option<Arc<Snapshot>> {
        if !Arc::ptr_eq(&self.memory()?, served?) || self.0.held.load().is_some() {
            return None;
        }
        let snapshot = self.0.last_good.load_full()?;
        if snapshot.is_of_today(self.0.clock.now()) { Some(snapshot) } else { None }
    }

    /// Sets the source back to the sync state of the current snapshot.
    fn reset_source(&self) {
        if let Some(served) = self.memory() {
            self.0.source.served(&served);
        }
    }

    /// Runs a load through the mass-change guard, and publishes or holds it.
    ///
    /// # Errors
    /// Returns the flaw of an incomplete load that would be the first snapshot, or the reason why
    /// no snapshot can be made of the load.
    async fn judged(
        &self,
        mut loaded: Loaded,
        started: SignedDuration,
    ) -> Result<Outcome, SourceError> {
        if self.0.last_good.load().is_none()
            && self.0.max_change.is_bound()
            && let Some(flaw) = loaded.flaw.take()
        {
            self.0.flawed.store(true, Relaxed);
            self.forget_singles().await;
            return Err(flaw);
        }
        // The day may have changed since the users were mapped.
        if !self.is_of_today(&loaded) {
            loaded = self.made_again(loaded.memory.as_ref()).unwrap_or(loaded);
        }
        let verdict = self.judge(&loaded);
        if verdict.is_too_much {
            self.hold_back(loaded, started, verdict);
            // The source goes back to the state of the current snapshot. Otherwise the next load
            // would take a mistake in Personio for the truth.
            self.reset_source();
            return Ok(Outcome::HeldBack);
        }
        if self.0.held.load().is_some() {
            tracing::info!(
                "a change is no longer held back: the newest load is within --max-change and is \
                 published"
            );
        }
        // The failure is cleared before the snapshot becomes visible, so that no status shows both.
        self.0.failure.store(None);
        let snapshot =
            self.publish(loaded, started, Reason::WithinBounds(Box::new(verdict))).await?;
        self.0.held.store(None);
        Ok(Outcome::Published(snapshot.users().all().len()))
    }

    /// Compares a load with the current snapshot.
    pub(super) fn judge(&self, loaded: &Loaded) -> Verdict {
        let now = self.0.clock.monotonic();
        let is_held = self.0.held.load().is_some();
        block_in_place(|| self.0.guard.judge(self.0.max_change, loaded, now, is_held))
    }

    /// Makes a snapshot of a load and publishes it. The caller holds the publishing lock.
    pub(super) async fn publish(
        &self,
        loaded: Loaded,
        started: SignedDuration,
        reason: Reason,
    ) -> Result<Arc<Snapshot>, SourceError> {
        let previous = self.0.last_good.load_full();
        let memory = loaded.memory.clone();
        let earlier = match &previous {
            Some(previous) => Earlier::Served(previous),
            None => Earlier::Unknown,
        };
        let clock = &*self.0.clock;
        let snapshot = block_in_place(|| Snapshot::new(loaded, earlier, started, clock))?;
        Ok(self.serve(Arc::new(snapshot), memory, reason).await)
    }

    /// Makes `snapshot` the current one.
    async fn serve(
        &self,
        snapshot: Arc<Snapshot>,
        memory: Option<Arc<dyn Memory>>,
        reason: Reason,
    ) -> Arc<Snapshot> {
        let clock = &*self.0.clock;
        let is_held = self.0.held.load().is_some();
        match reason {
            Reason::Unchanged => {}
            Reason::WithinBounds(verdict) => {
                self.0.guard.published(*verdict, clock.monotonic(), is_held);
            }
            Reason::Approved(verdict) => self.0.guard.approved(*verdict),
        }
        let previous = self.0.last_good.swap(Some(Arc::clone(&snapshot)));
        self.0.counters.published.fetch_add(1, Relaxed);
        self.note_completeness(&snapshot);
        *lock(&self.0.memory) = memory.clone();
        self.0.flawed.store(false, Relaxed);
        self.forget_singles().await;
        self.0.walks.tidy().await;
        self.write_down(Keepsake::new(Arc::clone(&snapshot), memory, &self.0.guard, clock));
        report(&snapshot, previous.as_deref(), snapshot.age(clock.monotonic()));
        snapshot
    }

    /// Drops all users that were fetched alone. The cache would do it at its next use, and with a
    /// snapshot it is not used again.
    async fn forget_singles(&self) {
        self.0.single.invalidate_all();
        self.0.single.run_pending_tasks().await;
    }

    /// Stores since when users are outdated, unverified or without look-up names.
    fn note_completeness(&self, snapshot: &Snapshot) {
        let incomplete = snapshot.outdated() + snapshot.nameless() + snapshot.unconfirmed().len();
        let is_incomplete = incomplete > 0;
        let mut since = lock(&self.0.incomplete);
        if !is_incomplete {
            *since = None;
        } else if since.is_none() {
            *since = Some(self.0.clock.monotonic());
        }
    }

    /// Performs the day rollover: maps all users again from the sync state, if the date has changed
    /// the result. No request is sent to Personio, and the age of the data stays the same.
    pub(super) async fn turn(&self) {
        let Some(due) = self.due() else { return };
        // The work takes long, so it runs on the runtime of the loads and not on that of the
        // request.
        let directory = self.clone();
        let turned = self.0.runtime.spawn(async move { directory.turned().await });
        if turned.await.is_err() {
            self.0.turned.store(Arc::new(Arc::downgrade(&due)));
            tracing::error!(
                "the users could not be mapped again at midnight because of an internal error; the \
                 next load does it"
            );
        }
    }

    /// Performs the day rollover under the publishing lock.
    async fn turned(&self) {
        let _turn = self.0.publishing.lock().await;
        let Some(snapshot) = self.due() else { return };
        if let Some(again) = self.made_again(self.memory().as_ref()) {
            let verdict = self.judge(&again);
            if !verdict.is_too_much {
                let reason = Reason::WithinBounds(Box::new(verdict));
                if let Err(reason) = self.publish(again, snapshot.loaded(), reason).await {
                    tracing::error!(
                        "the users could not be mapped again at midnight; the next load does it: \
                         {reason}"
                    );
                }
            } else if self.0.held.load().is_none() {
                self.hold_back(again, snapshot.loaded(), verdict);
            } else {
                // The held load is newer, and the operator decides on both changes at once.
                tracing::debug!(
                    "the users as of today are not published while a change is held back: {}",
                    verdict.losses
                );
            }
            self.reassess_held_load();
        }
        // The rollover is tried once for a snapshot, whatever the outcome: the next load includes
        // it. The mark is set last, so that requests wait until then.
        self.0.turned.store(Arc::new(Arc::downgrade(&snapshot)));
    }

    /// Maps the users of a sync state again for today, without a request to Personio.
    pub(super) fn made_again(&self, memory: Option<&Arc<dyn Memory>>) -> Option<Loaded> {
        block_in_place(|| self.0.source.again(memory?))
    }

    /// Returns the sync state of the current snapshot.
    pub(super) fn memory(&self) -> Option<Arc<dyn Memory>> {
        lock(&self.0.memory).clone()
    }

    /// Reports whether the mapping of a load is valid today.
    pub(super) fn is_of_today(&self, loaded: &Loaded) -> bool {
        loaded.day.as_ref().is_none_or(|day| day.contains(&self.0.clock.now()))
    }

    /// Returns the current snapshot if it needs the day rollover and has not had one.
    fn due(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.servable()?;
        if self.is_due(&snapshot) { Some(snapshot) } else { None }
    }

    /// Reports whether a snapshot needs the day rollover and has not had one.
    pub(super) fn is_due(&self, snapshot: &Arc<Snapshot>) -> bool {
        !snapshot.is_of_today(self.0.clock.now())
            && self.0.turned.load().as_ptr() != Arc::as_ptr(snapshot)
    }
}

/// Logs a snapshot that has just become the current one.
fn report(snapshot: &Snapshot, previous: Option<&Snapshot>, age: Duration) {
    let users = snapshot.users().all().len();
    let age = age.as_secs_f64();
    tracing::info!(users, age, "{users} users are served, as they were {age:.1} s ago");
    if snapshot.exceeds_page() && !previous.is_some_and(Snapshot::exceeds_page) {
        let max_results = snapshot.vocabulary().max_results;
        tracing::warn!(
            "{users} users are more than the largest page holds, {max_results}: a client that does \
             not page reads a part of them; configure it to page, or raise --max-results \
             (SCIM_MAX_RESULTS)"
        );
    }
}
