//! Directory: owns the current snapshot of users and groups and its life. It decides how old a
//! snapshot may be, starts loads, and lets the mass-change guard hold a load that changes too many
//! users. While no newer snapshot can be had, an older one is served; a snapshot that is too old or
//! incomplete is not served at all.
//!
//! The directory knows neither Personio nor the attributes of users beyond their account state.
//!
//! The parts: `store` has the snapshots and their freshness, `loader` starts loads, `publisher` runs
//! a load and changes the current snapshot, `guard` compares loads, `persistence` writes the state
//! file, `paging_sessions` and `single_users` serve requests, and `scheduler` acts by the clock. A
//! request that finds a fresh snapshot takes no lock. The slot of the running load is locked while a
//! load is started; the publishing lock is never awaited meanwhile.

mod cool_down;
mod counters;
mod error;
mod freshness;
mod guard;
mod history;
mod loader;
mod paging_sessions;
mod parallel;
pub mod persistence;
mod progress;
mod progress_log;
mod publisher;
mod refresh_debounce;
mod retained;
mod scheduler;
mod scopes;
mod single_users;
mod snapshot;
mod source;
mod status;
mod store;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

pub use crate::directory::cool_down::LastFailure;
pub use crate::directory::counters::{DirectoryMetrics, OutcomeCounter};
pub use crate::directory::error::Error;
pub use crate::directory::freshness::Freshness;
#[cfg(test)]
pub(crate) use crate::directory::guard::TestAccountStates;
pub use crate::directory::guard::held_change::{AffectedUser, ApprovalOutcome, HeldChangeSummary};
pub use crate::directory::guard::{
    ChangeId, ChangeKind, ChangeKinds, GroupLosses, Losses, MaxChange,
};
pub use crate::directory::history::{FinishedLoad, LoadOutcome};
pub use crate::directory::paging_sessions::{
    PagedList, PinnedSnapshot, RequestedPage, SESSION_IDLE_TIMEOUT, SnapshotError,
};
pub use crate::directory::persistence::WriteStatus;
pub use crate::directory::progress::{LoadProgress, RemainingTime};
pub use crate::directory::snapshot::{PreviousState, Snapshot};
pub use crate::directory::source::{
    Defects, InvalidState, LoadQuality, LoadResult, Loaded, LoadedContent, LoadedDirectory,
    MalformedWebhook, SkippedCounts, Source, SourceAccess, SourceError, SourceLogin, SyncState,
    WebhookEffect,
};
pub use crate::directory::status::{DirectoryState, LoadStatus, NextLoad};
pub use crate::directory::view::DirectoryView;

use crate::clock::Clock;
use crate::directory::cool_down::CoolDown;
use crate::directory::guard::MassChangeGuard;
use crate::directory::history::LoadHistory;
use crate::directory::loader::{LoadDecision, Loader, RunningLoad};
use crate::directory::paging_sessions::PagingSessions;
use crate::directory::persistence::Persistence;
use crate::directory::persistence::state_file::StateFile;
use crate::directory::publisher::{Publish, Publisher, Served};
use crate::directory::refresh_debounce::RefreshDebounce;
use crate::directory::scopes::PreviousScopes;
use crate::directory::single_users::SingleUsers;
use crate::directory::store::Store;
use crate::scim::{Digest, Resource, SchemaRegistry, Scope};

/// Handle of the directory. Clones share one state.
#[derive(Clone)]
pub struct Directory(Arc<Parts>);

/// Parts of the directory.
struct Parts {
    source: Arc<dyn SourceAccess>,
    store: Arc<Store>,
    guard: Arc<MassChangeGuard>,
    publisher: Arc<dyn Publish>,
    loader: Arc<Loader>,
    single_users: Arc<SingleUsers>,
    paging_sessions: PagingSessions,
    /// Runtime of everything that belongs to no request and outlives the request that started it.
    runtime: Handle,
}

/// Locks a mutex. The state behind these mutexes is valid after a panic, too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory {
    /// Creates an empty directory, whose loads run on `runtime`.
    #[must_use]
    pub fn new<S: Source>(
        source: Arc<S>,
        freshness: Freshness,
        max_change: MaxChange,
        state_file: Option<StateFile>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        let cool_down = Arc::new(CoolDown::new(freshness.cool_down, Arc::clone(&clock)));
        let store = Arc::new(Store::new(freshness, clock));
        let guard = Arc::new(MassChangeGuard::new(max_change, Arc::clone(&store)));
        let access: Arc<dyn SourceAccess> = Arc::clone(&source) as _;
        let single_users =
            Arc::new(SingleUsers::new(Arc::clone(&access), Arc::clone(&store), runtime.clone()));
        let persistence =
            state_file.map(|file| Persistence::new(file, Arc::clone(&store), &runtime));
        let publisher: Arc<dyn Publish> = Arc::new(Publisher {
            source,
            store: Arc::clone(&store),
            guard: Arc::clone(&guard),
            single_users: Arc::clone(&single_users),
            cool_down: Arc::clone(&cool_down),
            persistence,
            served: ArcSwap::from_pointee(Served { state: None, approvals: 0 }),
            held: AsyncMutex::default(),
        });
        let loader = Arc::new(Loader {
            publisher: Arc::clone(&publisher),
            store: Arc::clone(&store),
            guard: Arc::clone(&guard),
            cool_down,
            running: Mutex::default(),
            debounce: RefreshDebounce::default(),
            history: LoadHistory::default(),
            runtime: runtime.clone(),
        });
        Self(Arc::new(Parts {
            source: access,
            paging_sessions: PagingSessions::new(),
            store,
            guard,
            publisher,
            loader,
            single_users,
            runtime,
        }))
    }

    /// Restores the snapshot from the state file, if there is one.
    pub fn restore(&self) {
        self.0.publisher.restore();
    }

    /// Returns the schema registry of the current snapshot, or that of the source before the first
    /// snapshot.
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        match self.0.store.newest() {
            Some(newest) => Arc::clone(newest.schema_registry()),
            None => self.0.source.schema_registry(),
        }
    }

    /// Adds scopes of clients. What they show of the current snapshot is built at once.
    pub fn add_scopes(&self, scopes: Vec<Scope>) {
        let store = &self.0.store;
        store.scopes.add(scopes);
        if let Some(newest) = store.newest() {
            store.scopes.build_all(&newest, PreviousScopes::Unknown, &*store.clock);
        }
    }

    /// Drops all scopes but those with these digests. A client with another scope sees nothing.
    pub fn retain_scopes(&self, digests: &[Digest]) {
        let store = &self.0.store;
        store.scopes.retain(digests);
        if let Some(newest) = store.newest() {
            newest.scoped().retain(&store.scopes);
        }
    }

    /// Starts the first load, unless a load is running or the cool-down after a failed load is on.
    pub fn start_first_load(&self) {
        let newest = self.0.store.newest();
        let _ = self.0.loader.join_or_start(newest.as_ref());
    }

    /// Returns the snapshot to serve, if no waiting is necessary.
    fn current_without_waiting(&self) -> Option<Arc<Snapshot>> {
        let store = &self.0.store;
        let fresh = store.fresh()?;
        // With background refreshes no request waits for a load, so none waits for the day rollover
        // either.
        if store.limits.refresh_every.is_none() && fresh.awaits_rollover(store.clock.now()) {
            return None;
        }
        store.metrics.snapshot_requests.count_hit();
        Some(fresh)
    }

    /// Returns the snapshot to serve. A fresh one is returned at once. Otherwise the request waits
    /// for a load, up to [`Freshness::refresh_wait`], and then gets the last good snapshot. With
    /// background refreshes no request waits while there is a snapshot to serve.
    ///
    /// # Errors
    /// Returns an error when no snapshot may be served.
    async fn current(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(ready) = self.current_without_waiting() {
            return Ok(ready);
        }
        let requested_at = Instant::now();
        let store = &self.0.store;
        if store.limits.refresh_every.is_none() {
            // The day rollover continues after this request stops waiting for it.
            let _ = timeout(store.limits.refresh_wait, self.roll_over()).await;
        }
        let newest = store.newest();
        if let Some(fresh) = store.fresh() {
            store.metrics.snapshot_requests.count_hit();
            return Ok(fresh);
        }
        store.metrics.snapshot_requests.count_miss();
        match self.0.loader.join_or_start(newest.as_ref()) {
            LoadDecision::AlreadyNewer(snapshot) => Ok(snapshot),
            LoadDecision::Refused => self.current_or_error(),
            LoadDecision::Running(running) => {
                // The published snapshot may already be too old, or the load may be held.
                let wait = self.remaining_wait(&running, requested_at);
                let _ = timeout(wait, running.outcome).await;
                self.current_or_error()
            }
        }
    }

    /// Returns one user. Before the first snapshot, only that user is fetched from the source.
    ///
    /// # Errors
    /// Returns an error when neither a snapshot nor the source can tell whether there is such a
    /// user.
    async fn find(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        // A load that was refused as a whole must not be served one user at a time either.
        if !self.0.store.allows_single_users() {
            return Ok(self.current().await?.users().find(id).cloned());
        }
        let single_user = match self.0.loader.join_or_start(None) {
            LoadDecision::AlreadyNewer(snapshot) => return Ok(snapshot.users().find(id).cloned()),
            LoadDecision::Running(_) => self.0.single_users.fetch(id).await?,
            LoadDecision::Refused => self.0.single_users.cached(id).await,
        };
        match single_user {
            Some(user) => Ok(user),
            None => Ok(self.current_or_error()?.users().find(id).cloned()),
        }
    }

    /// Returns how long a request waits for a load. While there is a snapshot to serve, the time
    /// counts from the start of the load and not from the request, so that a slow load does not
    /// delay every request.
    fn remaining_wait(&self, running: &RunningLoad, requested_at: Instant) -> Duration {
        let store = &self.0.store;
        let wait = store.limits.refresh_wait.saturating_sub(requested_at.elapsed());
        let Some(snapshot) = store.servable() else { return wait };
        // A snapshot restored from the state file is served at once, until the first load has
        // succeeded. One that this load has just published is served when the load has ended, so
        // that a request never sees a load without its outcome.
        let started = SignedDuration::try_from(running.started).unwrap_or_default();
        if store.metrics.loads.ended.succeeded() == 0 && snapshot.load_started() != started {
            return Duration::ZERO;
        }
        wait.saturating_sub(store.clock.monotonic().saturating_sub(running.started))
    }

    /// Returns the snapshot to serve when no fresh one is available, or the reason why there is
    /// none.
    fn current_or_error(&self) -> Result<Arc<Snapshot>, Error> {
        let store = &self.0.store;
        if let Some(snapshot) = store.servable() {
            return Ok(snapshot);
        }
        if let Some(running) = self.0.loader.running() {
            let taken = store.clock.monotonic().saturating_sub(running.started);
            let retry_after = running.progress.retry_after(taken);
            return Err(Error::Loading { progress: running.progress.to_string(), retry_after });
        }
        let cool_down = &self.0.loader.cool_down;
        if let (Some(failure), Some(left)) = (cool_down.last_failure(), cool_down.left()) {
            let retry_after = left.max(Duration::from_secs(1));
            return Err(Error::Unavailable { reason: failure.reason, retry_after });
        }
        let retry_after = store.limits.cool_down;
        if let Some(held) = self.0.guard.held() {
            let losses = Box::new(held.losses);
            return Err(Error::Held { id: held.id, losses, retry_after });
        }
        let reason = SourceError::upstream("no snapshot has been loaded yet");
        Err(Error::Unavailable { reason, retry_after })
    }

    /// Handles a webhook from the source. Returns at once; if something has changed, a load begins
    /// after [`Freshness::refresh_debounce`].
    ///
    /// # Errors
    /// Returns an error when the message cannot be parsed.
    pub fn handle_webhook(&self, message: &[u8]) -> Result<(), MalformedWebhook> {
        match self.0.source.handle_webhook(message)? {
            WebhookEffect::Refresh => self.schedule_load(),
            WebhookEffect::Ignored => {}
        }
        Ok(())
    }

    /// Publishes the held load if its change has this id. Another change stays held.
    pub async fn approve(&self, id: &str) -> ApprovalOutcome {
        self.0.publisher.approve(Some(id)).await
    }

    /// Publishes the held load if its change is the one that the log reported last. Otherwise the
    /// change is logged and stays held.
    pub async fn approve_reported(&self) -> ApprovalOutcome {
        self.0.publisher.approve(None).await
    }

    /// Performs the day rollover: maps all users again for today, if the date has changed the
    /// result. No request is sent to the source, and the age of the data stays the same.
    async fn roll_over(&self) {
        let Some(snapshot) = self.0.store.awaiting_rollover() else { return };
        // The work takes long, so it runs on the runtime of the loads and not on that of the
        // request.
        let publisher = Arc::clone(&self.0.publisher);
        let rollover = self.0.runtime.spawn(async move { publisher.roll_over().await });
        if rollover.await.is_err() {
            snapshot.mark_rollover_tried();
            tracing::error!(
                "internal error: the day rollover failed; joiners and leavers of today change only \
                 with the next load"
            );
        }
    }
}
