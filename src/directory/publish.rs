//! Outcome of a load: its snapshot is published, or the load is held where it would take something
//! from too many users at once. After the restore at the start, every change of the current
//! snapshot goes through this module, one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::block_in_place;

use crate::directory::guard::Verdict;
use crate::directory::persistence::PendingState;
use crate::directory::snapshot::PreviousState;
use crate::directory::{
    Directory, LoadOutcome, LoadResult, LoadedDirectory, Snapshot, SourceError, SyncState, lock,
};

/// Reason why a snapshot is published.
pub(super) enum PublishReason {
    /// The load found the same data as before.
    Unchanged,
    /// The change is within the limit of the mass-change guard.
    WithinLimit(Box<Verdict>),
    /// An operator approved the change.
    Approved(Box<Verdict>),
}

impl Directory {
    /// Publishes the result of a load, or holds it. `served` is the sync state of the snapshot that
    /// was current when the load began. The result is discarded if a change was approved during the
    /// load, because it was based on the snapshot before the approval.
    pub(super) async fn publish_or_hold(
        &self,
        result: LoadResult,
        served: Option<Arc<dyn SyncState>>,
        started: SignedDuration,
        approvals: u64,
    ) -> Result<LoadOutcome, SourceError> {
        let _publish_guard = self.0.publish_lock.lock().await;
        if self.0.approvals.load(Relaxed) != approvals {
            tracing::info!(
                "this load is discarded, because a change was approved while it ran; the next load \
                 is published"
            );
            self.reset_source();
            return Ok(LoadOutcome::Superseded);
        }
        let outcome = match (result, self.current_if_unchanged(served.as_ref())) {
            (LoadResult::Changed(loaded), _) => self.guard_and_publish(*loaded, started).await?,
            (LoadResult::Unchanged(sync_state), Some(snapshot)) => {
                self.0.failed_load.store(None);
                let remapped = Arc::new(snapshot.reloaded_at(started));
                let remapped =
                    self.make_current(remapped, Some(sync_state), PublishReason::Unchanged).await;
                LoadOutcome::Published(remapped.users().all().len())
            }
            // The load found the same data as before, but the day has changed since, or the current
            // snapshot has been replaced.
            (LoadResult::Unchanged(sync_state), None) => {
                let Some(remapped) = self.remap(Some(&sync_state)) else {
                    let reason = "the records cannot be mapped to users again";
                    return Err(SourceError::internal(reason));
                };
                self.guard_and_publish(remapped, started).await?
            }
        };
        self.0.failed_load.store(None);
        self.0.debounce.mark_load_succeeded();
        // The time to live counts from here and not from the start of the load. Otherwise a load
        // that takes longer than the time to live would be followed by the next one at once.
        let fresh_until = self.0.clock.monotonic().saturating_add(self.0.freshness.cache_ttl);
        self.0.fresh_until.set(fresh_until);
        Ok(outcome)
    }

    /// Returns the current snapshot if it is still the one of the sync state `served` and its
    /// mapping is valid today.
    fn current_if_unchanged(&self, served: Option<&Arc<dyn SyncState>>) -> Option<Arc<Snapshot>> {
        if !Arc::ptr_eq(&self.sync_state()?, served?) || self.0.held_load.load().is_some() {
            return None;
        }
        let snapshot = self.0.current.load_full()?;
        if snapshot.is_valid_at(self.0.clock.now()) { Some(snapshot) } else { None }
    }

    /// Sets the source back to the sync state of the current snapshot.
    fn reset_source(&self) {
        if let Some(served) = self.sync_state() {
            self.0.source.restore_current(&served);
        }
    }

    /// Runs a load through the mass-change guard, and publishes or holds it.
    ///
    /// # Errors
    /// Returns the error of the completeness check if the load would be the first snapshot, or the
    /// reason why no snapshot can be made of the load.
    async fn guard_and_publish(
        &self,
        mut loaded: LoadedDirectory,
        started: SignedDuration,
    ) -> Result<LoadOutcome, SourceError> {
        if self.0.current.load().is_none()
            && self.0.max_change.is_limited()
            && let Some(error) = loaded.completeness_error.take()
        {
            self.0.is_incomplete.store(true, Relaxed);
            self.0.single_users.clear().await;
            return Err(error);
        }
        // The day may have changed since the users were mapped.
        if !self.is_valid_today(&loaded) {
            loaded = self.remap(loaded.sync_state.as_ref()).unwrap_or(loaded);
        }
        let verdict = self.compare_with_current(&loaded);
        if verdict.exceeds_limit {
            self.hold(loaded, started, verdict);
            // The source goes back to the state of the current snapshot. Otherwise the next load
            // would take a mistake in Personio for the truth.
            self.reset_source();
            return Ok(LoadOutcome::Held);
        }
        if self.0.held_load.load().is_some() {
            tracing::info!(
                "a change is no longer held back: the newest load is within --max-change and is \
                 published"
            );
        }
        // The failure is cleared before the snapshot becomes visible, so that no status shows both.
        self.0.failed_load.store(None);
        let snapshot =
            self.publish(loaded, started, PublishReason::WithinLimit(Box::new(verdict))).await?;
        self.0.held_load.store(None);
        Ok(LoadOutcome::Published(snapshot.users().all().len()))
    }

    /// Compares a load with the current snapshot.
    pub(super) fn compare_with_current(&self, loaded: &LoadedDirectory) -> Verdict {
        let now = self.0.clock.monotonic();
        let is_held = self.0.held_load.load().is_some();
        block_in_place(|| self.0.guard.compare(self.0.max_change, loaded, now, is_held))
    }

    /// Makes a snapshot of a load and publishes it. The caller holds the publishing lock.
    pub(super) async fn publish(
        &self,
        loaded: LoadedDirectory,
        started: SignedDuration,
        reason: PublishReason,
    ) -> Result<Arc<Snapshot>, SourceError> {
        let previous = self.0.current.load_full();
        let sync_state = loaded.sync_state.clone();
        let earlier = match &previous {
            Some(previous) => PreviousState::Snapshot(previous),
            None => PreviousState::Unknown,
        };
        let clock = &*self.0.clock;
        let snapshot = block_in_place(|| Snapshot::new(loaded, earlier, started, clock))?;
        Ok(self.make_current(Arc::new(snapshot), sync_state, reason).await)
    }

    /// Makes `snapshot` the current one.
    async fn make_current(
        &self,
        snapshot: Arc<Snapshot>,
        sync_state: Option<Arc<dyn SyncState>>,
        reason: PublishReason,
    ) -> Arc<Snapshot> {
        let clock = &*self.0.clock;
        let is_held = self.0.held_load.load().is_some();
        match reason {
            PublishReason::Unchanged => {}
            PublishReason::WithinLimit(verdict) => {
                self.0.guard.record_published(*verdict, clock.monotonic(), is_held);
            }
            PublishReason::Approved(verdict) => self.0.guard.record_approved(*verdict),
        }
        let previous = self.0.current.swap(Some(Arc::clone(&snapshot)));
        self.0.metrics.count_published();
        self.update_incomplete_since(&snapshot);
        *lock(&self.0.sync_state) = sync_state.clone();
        self.0.is_incomplete.store(false, Relaxed);
        self.0.single_users.clear().await;
        self.0.paging_sessions.evict_expired(self.0.clock.monotonic());
        self.schedule_write(PendingState::new(
            Arc::clone(&snapshot),
            sync_state,
            &self.0.guard,
            clock,
        ));
        log_published(&snapshot, previous.as_deref(), snapshot.age(clock.monotonic()));
        snapshot
    }

    /// Stores since when users are outdated, unverified or without look-up names.
    fn update_incomplete_since(&self, snapshot: &Snapshot) {
        let incomplete =
            snapshot.outdated() + snapshot.without_lookup_name() + snapshot.unverified().len();
        let is_incomplete = incomplete > 0;
        let mut since = lock(&self.0.incomplete_since);
        if !is_incomplete {
            *since = None;
        } else if since.is_none() {
            *since = Some(self.0.clock.monotonic());
        }
    }

    /// Performs the day rollover: maps all users again from the sync state, if the date has changed
    /// the result. No request is sent to Personio, and the age of the data stays the same.
    pub(super) async fn roll_over(&self) {
        let Some(snapshot) = self.current_if_rollover_needed() else { return };
        // The work takes long, so it runs on the runtime of the loads and not on that of the
        // request.
        let directory = self.clone();
        let rollover = self.0.runtime.spawn(async move { directory.roll_over_locked().await });
        if rollover.await.is_err() {
            self.0.last_rollover.store(Arc::new(Arc::downgrade(&snapshot)));
            tracing::error!(
                "internal error: the day rollover failed; joiners and leavers of today change only \
                 with the next load"
            );
        }
    }

    /// Performs the day rollover under the publishing lock.
    async fn roll_over_locked(&self) {
        let _publish_guard = self.0.publish_lock.lock().await;
        let Some(snapshot) = self.current_if_rollover_needed() else { return };
        if let Some(remapped) = self.remap(self.sync_state().as_ref()) {
            let verdict = self.compare_with_current(&remapped);
            if !verdict.exceeds_limit {
                let reason = PublishReason::WithinLimit(Box::new(verdict));
                if let Err(reason) = self.publish(remapped, snapshot.load_started(), reason).await {
                    tracing::error!(
                        "the day rollover failed; joiners and leavers of today change only with \
                         the next load: {reason}"
                    );
                }
            } else if self.0.held_load.load().is_none() {
                self.hold(remapped, snapshot.load_started(), verdict);
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
        self.0.last_rollover.store(Arc::new(Arc::downgrade(&snapshot)));
    }

    /// Maps the users of a sync state again for today, without a request to Personio.
    pub(super) fn remap(&self, sync_state: Option<&Arc<dyn SyncState>>) -> Option<LoadedDirectory> {
        block_in_place(|| self.0.source.remap(sync_state?))
    }

    /// Returns the sync state of the current snapshot.
    pub(super) fn sync_state(&self) -> Option<Arc<dyn SyncState>> {
        lock(&self.0.sync_state).clone()
    }

    /// Reports whether the mapping of a load is valid today.
    pub(super) fn is_valid_today(&self, loaded: &LoadedDirectory) -> bool {
        loaded.valid_during.as_ref().is_none_or(|day| day.contains(&self.0.clock.now()))
    }

    /// Returns the current snapshot if it needs the day rollover and has not had one.
    fn current_if_rollover_needed(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.current_if_servable()?;
        if self.needs_rollover(&snapshot) { Some(snapshot) } else { None }
    }

    /// Reports whether a snapshot needs the day rollover and has not had one.
    pub(super) fn needs_rollover(&self, snapshot: &Arc<Snapshot>) -> bool {
        !snapshot.is_valid_at(self.0.clock.now())
            && self.0.last_rollover.load().as_ptr() != Arc::as_ptr(snapshot)
    }
}

/// Logs a snapshot that has just become the current one.
fn log_published(snapshot: &Snapshot, previous: Option<&Snapshot>, age: Duration) {
    let users = snapshot.users().all().len();
    let age = age.as_secs_f64();
    tracing::info!(users, age, "{users} users are served, as they were {age:.1} s ago");
    if snapshot.exceeds_page() && !previous.is_some_and(Snapshot::exceeds_page) {
        let max_results = snapshot.schema_registry().max_results;
        tracing::warn!(
            "{users} users are more than the largest page holds, {max_results}: a client that does \
             not page reads a part of them; configure it to page, or raise --max-results \
             (SCIM_MAX_RESULTS)"
        );
    }
}
