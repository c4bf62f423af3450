//! What is served right now: one complete snapshot of the users, how old it may be, and what
//! happens while a new one cannot be had. Old data is better than wrong data, and no answer is
//! better than either.
//!
//! It does not know where users come from or which attributes they have.

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
mod snapshot;
mod source;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use moka::future::Cache;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as Turn, Semaphore};
use tokio::time::timeout;

pub use crate::directory::counters::Counters;
pub use crate::directory::error::Error;
pub use crate::directory::freshness::Freshness;
use crate::directory::guard::Guard;
use crate::directory::guard::held_change::Held;
pub use crate::directory::guard::held_change::{AffectedUser, Approval, HeldBack};
pub use crate::directory::guard::{ChangeId, GroupLosses, Kind, Kinds, Losses, MaxChange};
use crate::directory::history::History;
pub use crate::directory::history::{Outcome, PastLoad};
use crate::directory::loader::{Failure, Flight, Load, Refresh};
pub use crate::directory::next_load::NextLoad;
use crate::directory::paging_sessions::Walks;
pub use crate::directory::paging_sessions::{WALK_PAUSE, Walk};
pub use crate::directory::persistence::Keeping;
use crate::directory::persistence::state_file::StateFile;
pub use crate::directory::progress::{Left, Progress};
use crate::directory::refresh_debounce::Notices;
pub use crate::directory::snapshot::{Earlier, Snapshot};
pub use crate::directory::source::{
    Defects, Loaded, Login, Malformed, Memory, News, Skipped, Source, SourceError, Told,
};

use crate::clock::Clock;
use crate::scim::{Content, Resource, Vocabulary};

/// Single users that are kept while there is no snapshot.
const SINGLE_USERS: u64 = 10_000;
/// Longest id, in bytes, of a user that is fetched alone.
const LONGEST_FETCHED_ID: usize = 64;
/// Single users that are fetched at once.
const SINGLES_AT_ONCE: usize = 4;

/// The directory.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    source: Arc<dyn Source>,
    freshness: Freshness,
    clock: Arc<dyn Clock>,
    /// The runtime that all loads run on: they belong to no request, and outlive the one that
    /// started them.
    runtime: Handle,
    max_change: MaxChange,
    /// Whoever changes what is served has this.
    publishing: Turn<()>,
    /// Something while the last load is younger than the time to live.
    fresh: Cache<(), ()>,
    /// The newest snapshot, however old.
    last_good: ArcSwapOption<Snapshot>,
    /// What the source knew when that was loaded.
    memory: Mutex<Option<Arc<dyn Memory>>>,
    /// What was loaded since and is not served, because it would take something from too many.
    held: ArcSwapOption<Held>,
    /// Whether the last load was such that nothing is served.
    flawed: AtomicBool,
    /// Account states that are served, and what was lost within the last hours.
    guard: Guard,
    /// How often somebody has approved a change.
    approvals: AtomicU64,
    /// The last snapshot of which users were made anew for another day, or were to be.
    turned: ArcSwap<Weak<Snapshot>>,
    /// Where what is served is kept.
    state: Option<persistence::State>,
    flight: Mutex<Option<Flight>>,
    failure: ArcSwapOption<Failure>,
    counters: Counters,
    history: History,
    /// Since when some users are not as they should be, on the monotonic clock.
    incomplete: Mutex<Option<Duration>>,
    /// What was told of changes.
    notices: Notices,
    /// Users that were asked for one by one while there was no snapshot.
    single: Cache<String, Option<Arc<Resource>>>,
    /// So many of them are fetched at once: the load goes first.
    singles: Semaphore,
    /// The snapshots that clients walk through.
    walks: Walks,
}

impl Inner {
    /// Fetches one user, once for all who ask at the same time.
    async fn single(self: Arc<Self>, id: String) -> Result<Option<Arc<Resource>>, Arc<SourceError>> {
        if self.single.contains_key(&id) {
            self.counters.single.hit();
        } else {
            self.counters.single.miss();
        }
        let user = async {
            let turn = timeout(self.freshness.refresh_wait, self.singles.acquire()).await;
            let _turn = turn
                .ok()
                .and_then(Result::ok)
                .ok_or_else(|| SourceError::new("too many ask for single users".to_owned()))?;
            let user = self.source.find(&id).await?;
            let vocabulary = self.source.vocabulary();
            let Some(user) = user else { return Ok(None) };
            let mut user = user.versioned()?;
            snapshot::limit_moments(&mut user, self.clock.now());
            Ok(Some(Arc::new(Resource::new(&vocabulary.types.user, &user)?)))
        };
        self.single.try_get_with_by_ref(&id, user).await
    }
}

/// Reports whether an id may become part of a path upstream. Lists may hold others, and users who have them are read
/// from the snapshot.
fn can_be_fetched(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.len() <= LONGEST_FETCHED_ID && id.bytes().all(is_plain)
}

/// Creates the cache of single users that are fetched while there is no snapshot.
fn single_users(time_to_live: Duration) -> Cache<String, Option<Arc<Resource>>> {
    Cache::builder().time_to_live(time_to_live).max_capacity(SINGLE_USERS).build()
}

/// A load that failed, with none since that did not.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// Why.
    pub reason: SourceError,
    /// How long ago.
    pub ago: Duration,
    /// For how long no load has succeeded: since the first of them.
    pub since: Duration,
}

/// A load that is under way.
#[derive(Debug, Clone)]
pub struct Loading {
    /// How far it is, in words.
    pub progress: String,
    /// How long the rest may take.
    pub left: Option<Left>,
    /// For how long it has been under way.
    pub since: Duration,
}

/// What [`Directory::state`] tells.
#[derive(Debug, Clone)]
pub struct State {
    /// The snapshot that would be served, if any, and its age.
    pub snapshot: Option<(Arc<Snapshot>, Duration)>,
    /// For how long some of the users have been outdated or unconfirmed.
    pub incomplete: Option<Duration>,
    /// For how long there has been nothing to serve.
    pub missing: Option<Duration>,
    /// The load that is under way.
    pub loading: Option<Loading>,
    /// Why the last load failed, if it did.
    pub failure: Option<LastFailure>,
}

impl Directory {
    /// An empty directory, whose loads run on `runtime`.
    #[must_use]
    pub fn new(
        source: Arc<dyn Source>,
        freshness: Freshness,
        max_change: MaxChange,
        state: Option<StateFile>,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Inner {
            source,
            freshness,
            clock,
            runtime,
            fresh: Cache::builder().time_to_live(freshness.cache_ttl).build(),
            max_change,
            publishing: Turn::default(),
            last_good: ArcSwapOption::empty(),
            memory: Mutex::default(),
            held: ArcSwapOption::empty(),
            flawed: AtomicBool::new(false),
            guard: Guard::default(),
            approvals: AtomicU64::default(),
            turned: ArcSwap::default(),
            state: state.map(persistence::State::new),
            flight: Mutex::default(),
            failure: ArcSwapOption::empty(),
            counters: Counters::default(),
            history: History::default(),
            incomplete: Mutex::default(),
            notices: Notices::default(),
            single: single_users(freshness.cache_ttl),
            singles: Semaphore::new(SINGLES_AT_ONCE),
            walks: Walks::new(),
        }))
    }

    /// What there is to say of users and groups: of those that are served, once there are any.
    #[must_use]
    pub fn vocabulary(&self) -> Arc<Vocabulary> {
        let newest = self.0.last_good.load();
        newest.as_ref().map_or_else(|| self.0.source.vocabulary(), |newest| Arc::clone(newest.vocabulary()))
    }

    /// Starts a load unless one is under way or one has just failed.
    pub fn warm_up(&self) {
        let newest = self.0.last_good.load_full();
        let _ = self.refresh(newest.as_ref());
    }

    /// The snapshot to serve, if that is certain without waiting.
    #[must_use]
    pub fn ready(&self) -> Option<Arc<Snapshot>> {
        let fresh = self.fresh()?;
        // Where nobody waits for data, nobody waits for it to be made anew at midnight either.
        let may_wait = self.0.freshness.refresh_every.is_none() && self.is_due(&fresh);
        if may_wait {
            return None;
        }
        self.0.counters.snapshot.hit();
        Some(fresh)
    }

    /// The newest snapshot, if it is young enough, or nobody waits for a younger one.
    fn fresh(&self) -> Option<Arc<Snapshot>> {
        // In this order: what lands in between is younger.
        let is_fresh = self.0.freshness.refresh_every.is_some() || self.0.fresh.contains_key(&());
        if is_fresh { self.servable() } else { None }
    }

    /// The snapshot to serve: a fresh one, or after waiting for it as long as requests wait, the
    /// last good one. Where data is refreshed in the background, that at once.
    ///
    /// # Errors
    /// When there is none that may be served.
    pub async fn current(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(ready) = self.ready() {
            return Ok(ready);
        }
        let asked = Instant::now();
        if self.0.freshness.refresh_every.is_none() {
            // It goes on without whoever does not wait for it.
            let _ = timeout(self.0.freshness.refresh_wait, self.turn()).await;
        }
        let newest = self.0.last_good.load_full();
        if let Some(fresh) = self.fresh() {
            self.0.counters.snapshot.hit();
            return Ok(fresh);
        }
        self.0.counters.snapshot.miss();
        match self.refresh(newest.as_ref()) {
            Refresh::Done(snapshot) => Ok(snapshot),
            Refresh::Paused => self.fallback(),
            Refresh::UnderWay(flight) => match timeout(self.patience(&flight, asked), flight.load).await {
                // What has landed may be too old by now, or be held back.
                Ok(Ok(()) | Err(_)) | Err(_) => self.fallback(),
            },
        }
    }

    /// One user. While there is no snapshot, that user alone is fetched.
    ///
    /// # Errors
    /// When it cannot be told who that is, or whether there is such a user.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        // What must not be served as a whole must not be served one by one either.
        if self.0.last_good.load().is_some() || self.0.flawed.load(Relaxed) {
            return Ok(self.current().await?.users().find(id).cloned());
        }
        match self.refresh(None) {
            Refresh::Done(snapshot) => return Ok(snapshot.users().find(id).cloned()),
            // The list decides whether there is such a user.
            Refresh::UnderWay(_) | Refresh::Paused if !can_be_fetched(id) => {
                return self.fallback().map(|snapshot| snapshot.users().find(id).cloned());
            }
            Refresh::Paused => {
                let known = self.0.single.get(id).await;
                return known.map_or_else(|| self.fallback().map(|snapshot| snapshot.users().find(id).cloned()), Ok);
            }
            Refresh::UnderWay(_) => {}
        }
        let single = self.0.runtime.spawn(Arc::clone(&self.0).single(id.to_owned()));
        match timeout(self.0.freshness.refresh_wait, single).await {
            Ok(Ok(Ok(user))) => Ok(user),
            Ok(Ok(Err(reason))) => {
                Err(Error::Unavailable { reason: SourceError::clone(&reason), retry_after: self.0.freshness.pause })
            }
            Ok(Err(_)) | Err(_) => self.fallback().map(|snapshot| snapshot.users().find(id).cloned()),
        }
    }

    /// How the directory is.
    #[must_use]
    pub fn state(&self) -> State {
        let now = self.0.clock.monotonic();
        let flight = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = self.0.failure.load_full();
        State {
            snapshot: self.servable().map(|snapshot| (Arc::clone(&snapshot), snapshot.age(now))),
            incomplete: self
                .0
                .incomplete
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .map(|at| now.saturating_sub(at)),
            missing: self.missing(now),
            loading: flight.as_ref().map(|flight| {
                let since = now.saturating_sub(flight.started);
                Loading { progress: flight.progress.to_string(), left: flight.progress.left(since), since }
            }),
            failure: failure.map(|failure| LastFailure {
                reason: failure.reason.clone(),
                ago: now.saturating_sub(failure.at),
                since: now.saturating_sub(failure.since),
            }),
        }
    }

    /// For how long there has been nothing to serve: since the start, or since what there was became too old.
    fn missing(&self, now: Duration) -> Option<Duration> {
        if self.servable().is_some() {
            return None;
        }
        let newest = self.0.last_good.load();
        let since_too_old = newest.as_ref().map(|newest| newest.age(now).saturating_sub(self.0.freshness.max_stale));
        Some(since_too_old.map_or(now, |since| since.min(now)))
    }

    /// Whether the source lets us in, as it said last.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.0.source.login()
    }

    /// A condition of the source that an operator should know of and that stops nothing.
    #[must_use]
    pub fn source_warning(&self) -> Option<SourceError> {
        self.0.source.warning()
    }

    /// The newest snapshot, unless it is too old to be served.
    fn servable(&self) -> Option<Arc<Snapshot>> {
        let now = self.0.clock.monotonic();
        self.0.last_good.load_full().filter(|snapshot| snapshot.age(now) <= self.0.freshness.max_stale)
    }

    /// How long to wait for a load. Where there is something to serve meanwhile, the waiting ends
    /// for all when the load has taken that long: a slow load must not slow down every request.
    fn patience(&self, flight: &Flight, asked: Instant) -> Duration {
        let wait = self.0.freshness.refresh_wait.saturating_sub(asked.elapsed());
        if self.servable().is_none() {
            return wait;
        }
        // What was recalled after a restart is there to be served at once.
        if self.0.counters.loads_succeeded() == 0 {
            return Duration::ZERO;
        }
        wait.saturating_sub(self.0.clock.monotonic().saturating_sub(flight.started))
    }

    /// What is served when there is nothing fresh.
    fn fallback(&self) -> Result<Arc<Snapshot>, Error> {
        if let Some(snapshot) = self.servable() {
            return Ok(snapshot);
        }
        let flight = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(flight) = flight {
            let taken = self.0.clock.monotonic().saturating_sub(flight.started);
            let retry_after = flight.progress.remaining(taken);
            return Err(Error::Loading { progress: flight.progress.to_string(), retry_after });
        }
        let pause = self.0.freshness.pause;
        Err(match (self.0.failure.load_full(), self.0.held.load().as_deref()) {
            (Some(failure), _) => {
                let retry_after = failure.until.saturating_sub(self.0.clock.monotonic());
                Error::Unavailable {
                    reason: failure.reason.clone(),
                    retry_after: retry_after.max(Duration::from_secs(1)),
                }
            }
            (None, Some(held)) => Error::HeldBack { losses: Box::new(held.losses), retry_after: pause },
            (None, None) => {
                let reason = SourceError::new("nothing has been loaded yet".to_owned());
                Error::Unavailable { reason, retry_after: pause }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn however_many_single_users_are_fetched_only_so_many_are_kept() {
        let users = single_users(Duration::from_secs(300));
        for number in 0..3 * SINGLE_USERS {
            users.insert(number.to_string(), None).await;
        }
        users.run_pending_tasks().await;
        assert!((1..=SINGLE_USERS).contains(&users.entry_count()), "{}", users.entry_count());
    }
}
