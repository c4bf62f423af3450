//! Publisher: runs a load, and publishes its result or holds it where it would take something from
//! too many users at once. After the restore at the start, every change of the current snapshot goes
//! through this module, one at a time.
//!
//! The part is generic over the source, because it keeps the source's sync state: that of the
//! current snapshot and that of the held load. All other parts see it as [`Publish`].

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::block_in_place;

use crate::directory::cool_down::CoolDown;
use crate::directory::guard::{MassChangeGuard, Verdict};
use crate::directory::persistence::{DecodedState, PendingState, Persistence, other_version};
use crate::directory::scopes::{PreviousScopes, ScopeLosses};
use crate::directory::single_users::SingleUsers;
use crate::directory::snapshot::PreviousState;
use crate::directory::store::Store;
use crate::directory::{
    ApprovalOutcome, InvalidState, LoadOutcome, LoadProgress, LoadResult, Loaded, Snapshot, Source,
    SourceError, SyncState, WriteStatus,
};

/// Changes of the current snapshot, whatever the source is.
pub(super) trait Publish: Send + Sync {
    /// Makes the snapshot of the state file the current one, if there is one. A snapshot that is too
    /// old is not served, but the mass-change guard compares the first load with it.
    fn restore(&self);
    /// Loads all users, and publishes or holds the result. `started` is a time on the monotonic
    /// clock.
    fn load<'a>(
        &'a self,
        started: Duration,
        progress: &'a LoadProgress,
    ) -> BoxFuture<'a, Result<LoadOutcome, SourceError>>;
    /// Performs the day rollover: maps all users again from the sync state, if the date has changed
    /// the result. No request is sent to the source, and the age of the data stays the same.
    fn roll_over(&self) -> BoxFuture<'_, ()>;
    /// Publishes the held load if its change has this id or, without an id, if it is the change that
    /// the log reported last. Another change stays held, and is logged.
    fn approve<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, ApprovalOutcome>;
    /// Returns the state of persistence, or `None` if no state file is configured.
    fn write_status(&self) -> Option<WriteStatus>;
}

/// Publisher of the loads of one source.
pub(super) struct Publisher<S: Source> {
    pub(super) source: Arc<S>,
    pub(super) store: Arc<Store>,
    pub(super) guard: Arc<MassChangeGuard>,
    pub(super) single_users: Arc<SingleUsers>,
    pub(super) cool_down: Arc<CoolDown>,
    /// State file, if one is configured.
    pub(super) persistence: Option<Persistence>,
    /// Sync state of the current snapshot. A load reads it without waiting for the publishing lock,
    /// which a day rollover can hold for seconds.
    pub(super) served: ArcSwap<Served<S::State>>,
    /// Publishing lock, with the load that the guard refused. The current snapshot changes only while
    /// it is held. No other lock is held while it is awaited.
    pub(super) held: AsyncMutex<Option<HeldLoad<S::State>>>,
}

/// Sync state of the current snapshot; `None` before the first one.
pub(super) struct Served<T> {
    pub(super) state: Option<Arc<T>>,
    /// Number of approved changes. A load that sees it change was based on an outdated snapshot.
    pub(super) approvals: u64,
}

/// Load that is newer than the current snapshot and is not served, because it would take something
/// from too many users.
pub(super) struct HeldLoad<T> {
    loaded: Loaded<T>,
    /// Start of the load, on the monotonic clock.
    started: SignedDuration,
}

/// Reason why a snapshot is published.
enum PublishReason {
    /// The load found the same data as before.
    Unchanged,
    /// The change is within the limit of the mass-change guard.
    WithinLimit(Box<Verdict>),
    /// An operator approved the change.
    Approved(Box<Verdict>),
}

impl<S: Source> Publish for Publisher<S> {
    fn restore(&self) {
        let Some(persistence) = &self.persistence else { return };
        let Some(content) = persistence.read() else { return };
        match self.decode(&content) {
            Ok(snapshot) => {
                self.log_restored(&snapshot);
                self.store.restore(Arc::new(snapshot));
            }
            Err(reason) => persistence.set_aside(&reason),
        }
    }

    fn load<'a>(
        &'a self,
        started: Duration,
        progress: &'a LoadProgress,
    ) -> BoxFuture<'a, Result<LoadOutcome, SourceError>> {
        let started = SignedDuration::try_from(started).unwrap_or_default();
        self.load_and_publish(started, progress).boxed()
    }

    fn roll_over(&self) -> BoxFuture<'_, ()> {
        self.remap_for_today().boxed()
    }

    fn approve<'a>(&'a self, id: Option<&'a str>) -> BoxFuture<'a, ApprovalOutcome> {
        self.publish_held(id).boxed()
    }

    fn write_status(&self) -> Option<WriteStatus> {
        Some(self.persistence.as_ref()?.write_status())
    }
}

/// Loads.
impl<S: Source> Publisher<S> {
    async fn load_and_publish(
        &self,
        started: SignedDuration,
        progress: &LoadProgress,
    ) -> Result<LoadOutcome, SourceError> {
        let base = self.served.load_full();
        let result = self.source.load(base.state.clone(), progress).await?;
        let state = Arc::clone(result.state());
        let mut held = self.held.lock().await;
        let outcome = if self.served.load().approvals == base.approvals {
            self.publish_or_hold(result, base.state.as_ref(), started, &mut held).await
        } else {
            tracing::info!(
                "this load is discarded, because a change was approved while it ran; the next load \
                 is published"
            );
            Ok(LoadOutcome::Superseded)
        };
        if !matches!(outcome, Ok(LoadOutcome::Published(_))) {
            // The source goes back to the state of the current snapshot. Otherwise the next load
            // would take a mistake in Personio for the truth.
            self.source.discard(&state, self.served.load().state.as_deref());
        }
        outcome
    }

    /// Publishes the result of a load, or holds it. `base` is the sync state of the snapshot that
    /// was current when the load began.
    async fn publish_or_hold(
        &self,
        result: LoadResult<S::State>,
        base: Option<&Arc<S::State>>,
        started: SignedDuration,
        held: &mut Option<HeldLoad<S::State>>,
    ) -> Result<LoadOutcome, SourceError> {
        let state = match result {
            LoadResult::Changed(loaded) => {
                return self.guard_and_publish(*loaded, started, held).await;
            }
            LoadResult::Unchanged(state) => state,
        };
        if held.is_none()
            && let Some(snapshot) = self.current_if_unchanged(base)
        {
            self.cool_down.clear();
            let snapshot = Arc::new(snapshot.reloaded_at(started));
            self.make_current(&snapshot, state, PublishReason::Unchanged).await;
            return Ok(LoadOutcome::Published(snapshot.users().all().len()));
        }
        // The load found the same data as before, but the day has changed since, or the current
        // snapshot has been replaced.
        let remapped = self.map_again(&state)?;
        self.guard_and_publish(remapped, started, held).await
    }

    /// Returns the current snapshot if it is still the one of the sync state `base` and its mapping
    /// is valid today.
    fn current_if_unchanged(&self, base: Option<&Arc<S::State>>) -> Option<Arc<Snapshot>> {
        if !Arc::ptr_eq(self.served.load().state.as_ref()?, base?) {
            return None;
        }
        let snapshot = self.store.newest()?;
        if snapshot.is_valid_at(self.store.clock.now()) { Some(snapshot) } else { None }
    }

    /// Runs a load through the mass-change guard, and publishes or holds it.
    ///
    /// # Errors
    /// Returns the error of the completeness check if the load would be the first snapshot, or the
    /// reason why no snapshot can be made of the load.
    async fn guard_and_publish(
        &self,
        mut loaded: Loaded<S::State>,
        started: SignedDuration,
        held: &mut Option<HeldLoad<S::State>>,
    ) -> Result<LoadOutcome, SourceError> {
        if self.store.newest().is_none()
            && self.guard.is_limited()
            && let Some(error) = loaded.directory.completeness_error.take()
        {
            self.store.refuse();
            self.single_users.clear().await;
            return Err(error);
        }
        self.remap_if_outdated(&mut loaded)?;
        let verdict = self.compare(&loaded);
        if verdict.exceeds_limit {
            self.guard.hold(verdict);
            *held = Some(HeldLoad { loaded, started });
            return Ok(LoadOutcome::Held);
        }
        if held.is_some() {
            tracing::info!(
                "a change is no longer held back: the newest load is within --max-change and is \
                 published"
            );
        }
        // The failure is cleared before the snapshot becomes visible, so that no status shows both.
        self.cool_down.clear();
        let reason = PublishReason::WithinLimit(Box::new(verdict));
        let snapshot = self.publish(loaded, started, reason).await?;
        *held = None;
        self.guard.release();
        Ok(LoadOutcome::Published(snapshot.users().all().len()))
    }

    /// Compares a load with the current snapshot.
    fn compare(&self, loaded: &Loaded<S::State>) -> Verdict {
        block_in_place(|| {
            let directory = &loaded.directory;
            let scope_losses = match self.store.newest() {
                Some(current) => self.store.scopes.losses(directory, &current),
                None => ScopeLosses::default(),
            };
            self.guard.compare(directory, &scope_losses)
        })
    }

    /// Makes a snapshot of a load and publishes it. The caller holds the publishing lock.
    async fn publish(
        &self,
        loaded: Loaded<S::State>,
        started: SignedDuration,
        reason: PublishReason,
    ) -> Result<Arc<Snapshot>, SourceError> {
        let previous = self.store.newest();
        let earlier = match &previous {
            Some(previous) => PreviousState::Snapshot(previous),
            None => PreviousState::Unknown,
        };
        let Loaded { directory, state, .. } = loaded;
        let clock = &*self.store.clock;
        let scopes = &self.store.scopes;
        let snapshot = block_in_place(|| {
            let snapshot = Snapshot::new(directory, earlier, started, clock)?;
            let earlier = match &previous {
                Some(previous) => PreviousScopes::Snapshot(previous),
                None => PreviousScopes::Unknown,
            };
            scopes.build_all(&snapshot, earlier, clock);
            Ok::<_, SourceError>(snapshot)
        })?;
        let snapshot = Arc::new(snapshot);
        self.make_current(&snapshot, state, reason).await;
        Ok(snapshot)
    }

    /// Makes `snapshot` the current one, with its sync state.
    async fn make_current(
        &self,
        snapshot: &Arc<Snapshot>,
        state: Arc<S::State>,
        reason: PublishReason,
    ) {
        let mut approvals = self.served.load().approvals;
        match reason {
            PublishReason::Unchanged => {}
            PublishReason::WithinLimit(verdict) => self.guard.record_published(*verdict),
            PublishReason::Approved(verdict) => {
                self.guard.record_approved(*verdict);
                approvals += 1;
            }
        }
        let previous = self.store.publish(snapshot);
        let served = Served { state: Some(Arc::clone(&state)), approvals };
        self.served.store(Arc::new(served));
        self.single_users.clear().await;
        self.schedule_write(snapshot, state);
        log_published(snapshot, previous.as_deref(), self.age(snapshot));
    }

    fn age(&self, snapshot: &Snapshot) -> Duration {
        snapshot.age(self.store.clock.monotonic())
    }
}

/// Remapping on another day.
impl<S: Source> Publisher<S> {
    async fn remap_for_today(&self) {
        let mut held = self.held.lock().await;
        let Some(snapshot) = self.store.awaiting_rollover() else { return };
        let served = self.served.load_full();
        if let Some(state) = &served.state {
            match self.map_again(state) {
                Ok(remapped) => {
                    self.publish_remapped(remapped, &snapshot, &mut held).await;
                    self.reassess(&mut held);
                }
                Err(error) => log_failed_remapping(&error),
            }
        }
        // The rollover is tried once for a snapshot, whatever the outcome: the next load includes
        // it. The mark is set last, so that requests wait until then.
        snapshot.mark_rollover_tried();
    }

    /// Publishes the users of `snapshot` as of today, or holds them.
    async fn publish_remapped(
        &self,
        remapped: Loaded<S::State>,
        snapshot: &Snapshot,
        held: &mut Option<HeldLoad<S::State>>,
    ) {
        let started = snapshot.load_started();
        let verdict = self.compare(&remapped);
        if !verdict.exceeds_limit {
            let reason = PublishReason::WithinLimit(Box::new(verdict));
            if let Err(reason) = self.publish(remapped, started, reason).await {
                tracing::error!(
                    "the day rollover failed; joiners and leavers of today change only with the \
                     next load: {reason}"
                );
            }
        } else if held.is_none() {
            self.guard.hold(verdict);
            *held = Some(HeldLoad { loaded: remapped, started });
        } else {
            // The held load is newer, and the operator decides on both changes at once.
            tracing::debug!(
                "the users as of today are not published while a change is held back: {}",
                verdict.losses
            );
        }
    }

    /// Maps the users of a sync state again for today, without a request to the source. Unchanged
    /// users are those of the current snapshot.
    fn map_again(&self, state: &Arc<S::State>) -> Result<Loaded<S::State>, SourceError> {
        let served = self.served.load_full();
        block_in_place(|| self.source.remap(state, served.state.as_ref()))
    }

    /// Maps a load again, if the day has changed since it was mapped, or if its unchanged users are
    /// those of a snapshot that is no longer the current one.
    fn remap_if_outdated(&self, loaded: &mut Loaded<S::State>) -> Result<(), SourceError> {
        let is_valid = loaded.directory.is_valid_at(self.store.clock.now());
        if !is_valid || !loaded.is_based_on(self.served.load().state.as_ref()) {
            *loaded = self.map_again(&loaded.state)?;
        }
        Ok(())
    }
}

/// Held load and approval.
impl<S: Source> Publisher<S> {
    /// Compares the held load, as of today, with the current snapshot again.
    fn reassess(&self, held: &mut Option<HeldLoad<S::State>>) {
        let Some(HeldLoad { loaded, .. }) = held else { return };
        match self.remap_if_outdated(loaded) {
            Ok(()) => self.guard.hold(self.compare(loaded)),
            Err(error) => log_failed_remapping(&error),
        }
    }

    async fn publish_held(&self, id: Option<&str>) -> ApprovalOutcome {
        let mut held = self.held.lock().await;
        let (Some(load), Some(change)) = (held.take(), self.guard.held()) else {
            tracing::info!("approval ignored: no change is held back");
            return ApprovalOutcome::NothingHeld;
        };
        let reported_id = change.id.to_string();
        if id.is_none() && !self.guard.check_reported(&change) {
            *held = Some(load);
            return ApprovalOutcome::AnotherHeld(change.id);
        }
        let id = id.unwrap_or(&reported_id);
        let HeldLoad { mut loaded, started } = load;
        if let Err(error) = self.remap_if_outdated(&mut loaded) {
            log_failed_remapping(&error);
            *held = Some(HeldLoad { loaded, started });
            return ApprovalOutcome::Failed(error.to_string());
        }
        let verdict = self.compare(&loaded);
        if verdict.id.to_string() != id {
            let another = verdict.id;
            tracing::warn!(
                "not approved: the change that is held back is now {another}, not {id}; look at it \
                 again: {}",
                verdict.own_losses
            );
            self.guard.hold(verdict);
            *held = Some(HeldLoad { loaded, started });
            return ApprovalOutcome::AnotherHeld(another);
        }
        tracing::warn!("the change {id} is approved and is published: {}", verdict.own_losses);
        let state = Arc::clone(&loaded.state);
        let reason = PublishReason::Approved(Box::new(verdict));
        let published = self.publish(loaded, started, reason).await;
        self.guard.release();
        match published {
            Ok(snapshot) => {
                self.source.adopt(&state);
                ApprovalOutcome::Published(snapshot.users().all().len())
            }
            Err(reason) => {
                tracing::error!("the approved change cannot be published: {reason}");
                ApprovalOutcome::Failed(reason.to_string())
            }
        }
    }
}

/// State file.
impl<S: Source> Publisher<S> {
    /// Decodes the content of a state file, and sets the sync state and the guard to it. Returns
    /// the snapshot.
    fn decode(&self, content: &[u8]) -> Result<Snapshot, InvalidState> {
        let decoded = DecodedState::from_bytes(content)?;
        let Loaded { directory, state, .. } = self.source.decode_state(decoded.sync_state)?;
        let clock = &*self.store.clock;
        let elapsed = decoded.elapsed(clock);
        self.guard.restore(&directory, decoded.window, elapsed).ok_or_else(other_version)?;
        let snapshot = decoded.snapshot(directory, clock)?;
        let earlier = PreviousScopes::Stamped(&decoded.scopes);
        self.store.scopes.build_all(&snapshot, earlier, clock);
        self.served.store(Arc::new(Served { state: Some(state), approvals: 0 }));
        Ok(snapshot)
    }

    fn log_restored(&self, snapshot: &Snapshot) {
        let users = snapshot.users().all().len();
        let age = self.age(snapshot);
        let effect = if age <= self.store.limits.max_stale {
            "they are served until a load succeeds"
        } else {
            "they are older than --max-stale and are not served; the mass-change guard compares \
             the first load with them"
        };
        let age = age.as_secs();
        tracing::info!(
            users,
            age,
            "restored {users} users from the state file, as they were {age} s ago; {effect}"
        );
    }

    /// Schedules a write of a snapshot that was just published.
    fn schedule_write(&self, snapshot: &Arc<Snapshot>, state: Arc<S::State>) {
        let Some(persistence) = &self.persistence else { return };
        let window = match self.guard.window_bytes() {
            Ok(window) => window,
            Err(error) => {
                tracing::error!(
                    "internal error: the mass-change guard's window of losses cannot be encoded; \
                     after a restart all persons are read again: {error}"
                );
                Vec::new()
            }
        };
        let (snapshot, clock) = (Arc::clone(snapshot), &*self.store.clock);
        let state: Arc<dyn SyncState> = state;
        persistence.schedule_write(PendingState::new(snapshot, state, window, clock));
    }
}

/// Logs that the records of a load could not be mapped again.
fn log_failed_remapping(error: &SourceError) {
    tracing::error!(
        "the stored records cannot be mapped to users; the users that are served stay until a load \
         succeeds: {error}"
    );
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
