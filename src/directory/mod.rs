//! Directory: owns the current snapshot of users and groups and its life. It decides how old a
//! snapshot may be, starts loads, and lets the mass-change guard hold a load that changes too many
//! users. While no newer snapshot can be had, an older one is served; a snapshot that is too old or
//! incomplete is not served at all.
//!
//! The directory knows neither Personio nor the attributes of users beyond their account state.

mod counters;
mod error;
mod freshness;
mod guard;
mod history;
mod loader;
mod next_load;
mod paging_sessions;
mod parallel;
pub mod persistence;
mod progress;
mod progress_log;
mod publish;
mod refresh_debounce;
mod scheduler;
mod single_users;
mod snapshot;
mod source;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::timeout;

pub use crate::directory::counters::{DirectoryMetrics, OutcomeCounter};
pub use crate::directory::error::Error;
use crate::directory::freshness::FreshUntil;
pub use crate::directory::freshness::Freshness;
use crate::directory::guard::MassChangeGuard;
use crate::directory::guard::held_change::HeldLoad;
pub use crate::directory::guard::held_change::{AffectedUser, ApprovalOutcome, HeldChangeSummary};
pub use crate::directory::guard::{
    ChangeId, ChangeKind, ChangeKinds, GroupLosses, Losses, MaxChange,
};
use crate::directory::history::LoadHistory;
pub use crate::directory::history::{FinishedLoad, LoadOutcome};
use crate::directory::loader::{FailedLoad, LoadDecision, LoadFuture, RunningLoad};
pub use crate::directory::next_load::NextLoad;
use crate::directory::paging_sessions::PagingSessions;
pub use crate::directory::paging_sessions::{PagingSessionKey, SESSION_IDLE_TIMEOUT};
pub use crate::directory::persistence::WriteStatus;
use crate::directory::persistence::state_file::StateFile;
pub use crate::directory::progress::{LoadProgress, RemainingTime};
use crate::directory::refresh_debounce::RefreshDebounce;
use crate::directory::single_users::{CachedUser, SingleUsers};
pub use crate::directory::snapshot::{PreviousState, Snapshot};
pub use crate::directory::source::{
    Defects, DirectorySource, InvalidState, LoadResult, LoadedDirectory, MalformedWebhook,
    SkippedCounts, SourceError, SourceLogin, SyncState, WebhookEffect,
};

use crate::clock::Clock;
use crate::scim::{EncodedContent, Resource, SchemaRegistry};

/// Longest id, in bytes, of a user that is fetched alone.
const MAX_FETCHED_ID_BYTES: usize = 64;
/// Maximum number of concurrent single-user fetches. It is small, because the load goes first.
const MAX_CONCURRENT_SINGLE_FETCHES: usize = 4;

/// Handle of the directory. Clones share one state.
#[derive(Clone)]
pub struct Directory(Arc<DirectoryInner>);

struct DirectoryInner {
    source: Arc<dyn DirectorySource>,
    freshness: Freshness,
    clock: Arc<dyn Clock>,
    /// Runtime on which all loads run. Loads belong to no request and outlive the request that
    /// started them.
    runtime: Handle,
    max_change: MaxChange,
    /// Lock of every change of the current snapshot, so that snapshots are published one at a time.
    publish_lock: AsyncMutex<()>,
    /// End of the time for which the last load is fresh, whether it was published or held.
    fresh_until: FreshUntil,
    /// Current snapshot: the newest one, whatever its age.
    current: ArcSwapOption<Snapshot>,
    /// Sync state of the source as of the current snapshot.
    sync_state: Mutex<Option<Arc<dyn SyncState>>>,
    /// Load that is newer than the current snapshot and is not served, because it would take
    /// something from too many users.
    held_load: ArcSwapOption<HeldLoad>,
    /// Flag set when the last load was refused as incomplete and there was no earlier snapshot.
    /// Nothing is served then, single users included.
    is_incomplete: AtomicBool,
    /// Account states of the current snapshot, and the losses of the last hours.
    guard: MassChangeGuard,
    /// Number of approved changes. A load that sees it change was based on an outdated snapshot.
    approvals: AtomicU64,
    /// Snapshot for which the day rollover was last tried. A snapshot is remapped at most once.
    last_rollover: ArcSwap<Weak<Snapshot>>,
    /// State file, if one is configured.
    persistence: Option<persistence::Persistence>,
    /// Running load.
    running_load: Mutex<Option<RunningLoad>>,
    /// Last load, if it failed.
    failed_load: ArcSwapOption<FailedLoad>,
    metrics: DirectoryMetrics,
    history: LoadHistory,
    /// Time since which some users have been outdated, unverified or without look-up names, on the
    /// monotonic clock.
    incomplete_since: Mutex<Option<Duration>>,
    /// Refresh debounce: counts the webhooks that the next load covers.
    debounce: RefreshDebounce,
    /// Single users that were fetched while there was no snapshot.
    single_users: SingleUsers,
    /// Limit for concurrent single-user fetches.
    single_user_permits: Semaphore,
    /// Paging sessions and their retained snapshots.
    paging_sessions: PagingSessions,
}

impl DirectoryInner {
    /// Fetches one user from the source. Concurrent requests for the same id share one fetch.
    async fn fetch_single_user(
        self: Arc<Self>,
        id: String,
    ) -> Result<Option<Arc<Resource>>, Arc<SourceError>> {
        let now = self.clock.monotonic();
        if let Some(cached) = self.single_users.get(&id, now).await {
            self.metrics.single_user_requests.count_hit();
            return Ok(cached.user);
        }
        self.metrics.single_user_requests.count_miss();
        Ok(self.single_users.get_or_fetch(&id, now, self.fetch_single(&id)).await?.user)
    }

    /// Fetches one user from the source, as soon as fewer than [`MAX_CONCURRENT_SINGLE_FETCHES`]
    /// others are being fetched.
    async fn fetch_single(&self, id: &str) -> Result<CachedUser, SourceError> {
        let Ok(Ok(_permit)) =
            timeout(self.freshness.refresh_wait, self.single_user_permits.acquire()).await
        else {
            return Err(SourceError::upstream("too many requests for single users are waiting"));
        };
        let user = match self.source.find(id).await? {
            Some(user) => {
                let schema_registry = self.source.schema_registry();
                let content = EncodedContent::new(&schema_registry.types.user, &user)?;
                let meta = snapshot::limit_times(user.meta, self.clock.now());
                Some(Arc::new(content.into_resource(&meta)?))
            }
            None => None,
        };
        let expires = self.clock.monotonic().saturating_add(self.freshness.cache_ttl);
        Ok(CachedUser { user, expires })
    }
}

/// Locks a mutex. The state behind these mutexes is valid after a panic, too.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reports whether an id may become part of a path of the Personio API. Lists may contain other
/// ids; such users are served from the snapshot only.
fn can_be_fetched(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_FETCHED_ID_BYTES
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Last load, if it failed.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// Reason of the failure.
    pub reason: SourceError,
    /// Time since the failure.
    pub age: Duration,
    /// Time since the first failure after the last successful load.
    pub failing_for: Duration,
}

/// Running load.
#[derive(Debug, Clone)]
pub struct LoadStatus {
    /// Progress, in words.
    pub progress: String,
    /// Estimate of the remaining time.
    pub remaining: Option<RemainingTime>,
    /// Time since its start.
    pub elapsed: Duration,
}

/// State of the directory at one moment, as [`Directory::state`] returns it.
#[derive(Debug, Clone)]
pub struct DirectoryState {
    /// Snapshot that may be served, if any, and its age.
    pub snapshot: Option<(Arc<Snapshot>, Duration)>,
    /// Time for which some of the users have been outdated, unverified or without look-up names.
    pub incomplete_for: Option<Duration>,
    /// Time for which there has been no snapshot to serve.
    pub missing_for: Option<Duration>,
    /// Running load, if any.
    pub loading: Option<LoadStatus>,
    /// Last load, if it failed.
    pub failure: Option<LastFailure>,
}

impl Directory {
    /// Creates an empty directory, whose loads run on `runtime`.
    #[must_use]
    pub fn new(
        source: Arc<dyn DirectorySource>,
        freshness: Freshness,
        max_change: MaxChange,
        state_file: Option<StateFile>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(DirectoryInner {
            source,
            freshness,
            clock,
            runtime,
            fresh_until: FreshUntil::default(),
            max_change,
            publish_lock: AsyncMutex::default(),
            current: ArcSwapOption::empty(),
            sync_state: Mutex::default(),
            held_load: ArcSwapOption::empty(),
            is_incomplete: AtomicBool::new(false),
            guard: MassChangeGuard::default(),
            approvals: AtomicU64::default(),
            last_rollover: ArcSwap::default(),
            persistence: state_file.map(persistence::Persistence::new),
            running_load: Mutex::default(),
            failed_load: ArcSwapOption::empty(),
            metrics: DirectoryMetrics::default(),
            history: LoadHistory::default(),
            incomplete_since: Mutex::default(),
            debounce: RefreshDebounce::default(),
            single_users: SingleUsers::new(),
            single_user_permits: Semaphore::new(MAX_CONCURRENT_SINGLE_FETCHES),
            paging_sessions: PagingSessions::new(),
        }))
    }

    /// Returns the schema registry of the current snapshot, or that of the source before the first
    /// snapshot.
    #[must_use]
    pub fn schema_registry(&self) -> Arc<SchemaRegistry> {
        match self.0.current.load().as_ref() {
            Some(newest) => Arc::clone(newest.schema_registry()),
            None => self.0.source.schema_registry(),
        }
    }

    /// Starts the first load, unless a load is running or the cool-down after a failed load is on.
    pub fn start_first_load(&self) {
        let newest = self.0.current.load_full();
        let _ = self.join_or_start_load(newest.as_ref());
    }

    /// Returns the snapshot to serve, if no waiting is necessary.
    #[must_use]
    pub fn current_without_waiting(&self) -> Option<Arc<Snapshot>> {
        let fresh = self.current_if_fresh()?;
        // With background refreshes no request waits for a load, so none waits for the day rollover
        // either.
        let may_wait = self.0.freshness.refresh_every.is_none() && self.needs_rollover(&fresh);
        if may_wait {
            return None;
        }
        self.0.metrics.snapshot_requests.count_hit();
        Some(fresh)
    }

    /// Returns the current snapshot if it is fresh. With background refreshes every snapshot that
    /// may be served counts as fresh.
    fn current_if_fresh(&self) -> Option<Arc<Snapshot>> {
        // Freshness is checked before the snapshot is read, so that a load published in between
        // can only make the snapshot newer.
        let is_fresh = self.0.freshness.refresh_every.is_some() || self.is_last_load_fresh();
        if is_fresh { self.current_if_servable() } else { None }
    }

    /// Reports whether the last load is younger than the time to live.
    fn is_last_load_fresh(&self) -> bool {
        self.0.fresh_until.is_fresh(self.0.clock.monotonic())
    }

    /// Returns the snapshot to serve. A fresh one is returned at once. Otherwise the request waits
    /// for a load, up to [`Freshness::refresh_wait`], and then gets the last good snapshot. With
    /// background refreshes no request waits while there is a snapshot to serve.
    ///
    /// # Errors
    /// Returns an error when no snapshot may be served.
    pub async fn current(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(ready) = self.current_without_waiting() {
            return Ok(ready);
        }
        let requested_at = Instant::now();
        if self.0.freshness.refresh_every.is_none() {
            // The day rollover continues after this request stops waiting for it.
            let _ = timeout(self.0.freshness.refresh_wait, self.roll_over()).await;
        }
        let newest = self.0.current.load_full();
        if let Some(fresh) = self.current_if_fresh() {
            self.0.metrics.snapshot_requests.count_hit();
            return Ok(fresh);
        }
        self.0.metrics.snapshot_requests.count_miss();
        match self.join_or_start_load(newest.as_ref()) {
            LoadDecision::AlreadyNewer(snapshot) => Ok(snapshot),
            LoadDecision::Refused => self.current_or_error(),
            LoadDecision::Running(running) => {
                match timeout(self.remaining_wait(&running, requested_at), running.outcome).await {
                    // The published snapshot may already be too old, or the load may be held.
                    Ok(Ok(()) | Err(_)) | Err(_) => self.current_or_error(),
                }
            }
        }
    }

    /// Returns one user. Before the first snapshot, only that user is fetched from the source.
    ///
    /// # Errors
    /// Returns an error when neither a snapshot nor the source can tell whether there is such a
    /// user.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        // A load that was refused as a whole must not be served one user at a time either.
        if self.0.current.load().is_some() || self.0.is_incomplete.load(Relaxed) {
            return Ok(self.current().await?.users().find(id).cloned());
        }
        match self.join_or_start_load(None) {
            LoadDecision::AlreadyNewer(snapshot) => return Ok(snapshot.users().find(id).cloned()),
            // An id that cannot be fetched alone needs the list, which is not there yet.
            LoadDecision::Running(_) | LoadDecision::Refused if !can_be_fetched(id) => {
                return self.find_in_fallback(id);
            }
            LoadDecision::Refused => {
                let now = self.0.clock.monotonic();
                return match self.0.single_users.get(id, now).await {
                    Some(cached) => Ok(cached.user),
                    None => self.find_in_fallback(id),
                };
            }
            LoadDecision::Running(_) => {}
        }
        let single = self.0.runtime.spawn(Arc::clone(&self.0).fetch_single_user(id.to_owned()));
        match timeout(self.0.freshness.refresh_wait, single).await {
            Ok(Ok(Ok(user))) => Ok(user),
            Ok(Ok(Err(reason))) => {
                let reason = SourceError::clone(&reason);
                if reason.is_internal() {
                    return Err(Error::Internal(reason));
                }
                Err(Error::Unavailable { reason, retry_after: self.0.freshness.cool_down })
            }
            Ok(Err(_)) | Err(_) => self.find_in_fallback(id),
        }
    }

    /// Returns one user of the snapshot to serve when no fresh one is available.
    fn find_in_fallback(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        let snapshot = self.current_or_error()?;
        Ok(snapshot.users().find(id).cloned())
    }

    /// Returns the state of the directory.
    #[must_use]
    pub fn state(&self) -> DirectoryState {
        let now = self.0.clock.monotonic();
        let running = lock(&self.0.running_load);
        DirectoryState {
            snapshot: self
                .current_if_servable()
                .map(|snapshot| (Arc::clone(&snapshot), snapshot.age(now))),
            incomplete_for: lock(&self.0.incomplete_since).map(|at| now.saturating_sub(at)),
            missing_for: self.missing_for(now),
            loading: running.as_ref().map(|running| running.loading(now)),
            failure: self.0.failed_load.load().as_ref().map(|failure| failure.last_failure(now)),
        }
    }

    /// Returns the time for which there has been no snapshot to serve: since the start, or since
    /// the last snapshot became too old.
    fn missing_for(&self, now: Duration) -> Option<Duration> {
        if self.current_if_servable().is_some() {
            return None;
        }
        match self.0.current.load().as_ref() {
            Some(newest) => {
                let too_old_for = newest.age(now).saturating_sub(self.0.freshness.max_stale);
                Some(too_old_for.min(now))
            }
            None => Some(now),
        }
    }

    /// Returns the last known state of the login at the source.
    #[must_use]
    pub fn login(&self) -> Option<SourceLogin> {
        self.0.source.login()
    }

    /// Returns a condition of the source that does no harm yet and that an operator should know.
    #[must_use]
    pub fn source_warning(&self) -> Option<String> {
        self.0.source.warning()
    }

    /// Returns the current snapshot, unless it is too old to be served.
    fn current_if_servable(&self) -> Option<Arc<Snapshot>> {
        let now = self.0.clock.monotonic();
        let newest = self.0.current.load_full()?;
        if newest.age(now) <= self.0.freshness.max_stale { Some(newest) } else { None }
    }

    /// Returns how long a request waits for a load. While there is a snapshot to serve, the time
    /// counts from the start of the load and not from the request, so that a slow load does not
    /// delay every request.
    fn remaining_wait(&self, running: &RunningLoad, requested_at: Instant) -> Duration {
        let wait = self.0.freshness.refresh_wait.saturating_sub(requested_at.elapsed());
        if self.current_if_servable().is_none() {
            return wait;
        }
        // A snapshot restored from the state file is served at once, until the first load has
        // succeeded.
        if self.0.metrics.loads.ended.succeeded() == 0 {
            return Duration::ZERO;
        }
        wait.saturating_sub(self.0.clock.monotonic().saturating_sub(running.started))
    }

    /// Returns the snapshot to serve when no fresh one is available, or the reason why there is
    /// none.
    fn current_or_error(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.current_if_servable() {
            return Ok(snapshot);
        }
        let running = lock(&self.0.running_load).clone();
        if let Some(running) = running {
            let taken = self.0.clock.monotonic().saturating_sub(running.started);
            let retry_after = running.progress.retry_after(taken);
            return Err(Error::Loading { progress: running.progress.to_string(), retry_after });
        }
        let cool_down = self.0.freshness.cool_down;
        if let Some(failure) = self.0.failed_load.load_full() {
            let remaining = failure.cool_down_ends.saturating_sub(self.0.clock.monotonic());
            return Err(Error::Unavailable {
                reason: failure.reason.clone(),
                retry_after: remaining.max(Duration::from_secs(1)),
            });
        }
        if let Some(held) = self.0.held_load.load_full() {
            return Err(Error::Held {
                id: held.id,
                losses: Box::new(held.losses),
                retry_after: cool_down,
            });
        }
        let reason = SourceError::upstream("no snapshot has been loaded yet");
        Err(Error::Unavailable { reason, retry_after: cool_down })
    }
}
