//! Store of snapshots: the current one, its freshness, and those retained for paging sessions.
//! Reading the current snapshot takes no lock.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::Clock;
use crate::directory::freshness::FreshUntil;
use crate::directory::retained::{RetainedSnapshots, SnapshotKey};
use crate::directory::scopes::Scopes;
use crate::directory::{DirectoryMetrics, Freshness, Snapshot, lock};

/// Snapshots, and the limits of their age. Only the publisher changes the current snapshot.
pub(super) struct Store {
    /// Current snapshot: the newest one, whatever its age.
    current: ArcSwapOption<Snapshot>,
    /// Snapshots of paging sessions.
    retained: RetainedSnapshots,
    /// Scopes of clients.
    pub(super) scopes: Scopes,
    /// End of the time for which the last load is fresh, whether it was published or held.
    fresh_until: FreshUntil,
    /// Flag set when the last load was refused as incomplete and there was no earlier snapshot.
    /// Nothing is served then, single users included.
    is_refused: AtomicBool,
    /// Time since which some users have been outdated, unverified or without look-up names, on the
    /// monotonic clock.
    incomplete_since: Mutex<Option<Duration>>,
    pub(super) limits: Freshness,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: DirectoryMetrics,
}

impl Store {
    pub(super) fn new(limits: Freshness, clock: Arc<dyn Clock>) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            retained: RetainedSnapshots::default(),
            scopes: Scopes::default(),
            fresh_until: FreshUntil::default(),
            is_refused: AtomicBool::default(),
            incomplete_since: Mutex::default(),
            limits,
            clock,
            metrics: DirectoryMetrics::default(),
        }
    }

    /// Returns the current snapshot, whatever its age.
    pub(super) fn newest(&self) -> Option<Arc<Snapshot>> {
        self.current.load_full()
    }

    /// Returns the current snapshot, unless it is too old to be served.
    pub(super) fn servable(&self) -> Option<Arc<Snapshot>> {
        let newest = self.current.load_full()?;
        if newest.age(self.clock.monotonic()) <= self.limits.max_stale {
            Some(newest)
        } else {
            None
        }
    }

    /// Returns the current snapshot if it is fresh. With background refreshes every snapshot that
    /// may be served counts as fresh.
    pub(super) fn fresh(&self) -> Option<Arc<Snapshot>> {
        // Freshness is checked before the snapshot is read, so that a load published in between
        // can only make the snapshot newer.
        let is_fresh = self.limits.refresh_every.is_some() || self.is_last_load_fresh();
        if is_fresh { self.servable() } else { None }
    }

    /// Reports whether the last load is younger than the time to live.
    pub(super) fn is_last_load_fresh(&self) -> bool {
        self.fresh_until.is_fresh(self.clock.monotonic())
    }

    /// Returns the time for which the last load is still fresh.
    pub(super) fn fresh_for(&self) -> Duration {
        self.fresh_until.get().saturating_sub(self.clock.monotonic())
    }

    /// Marks the last load as fresh. The time to live counts from here and not from the start of
    /// the load. Otherwise a load that takes longer than the time to live would be followed by the
    /// next one at once.
    pub(super) fn renew_freshness(&self) {
        let now = self.clock.monotonic();
        self.fresh_until.set(now.saturating_add(self.limits.cache_ttl));
    }

    /// Makes a snapshot of the state file the current one.
    pub(super) fn restore(&self, snapshot: Arc<Snapshot>) {
        self.current.store(Some(snapshot));
    }

    /// Makes `snapshot` the current one. Returns the one before.
    pub(super) fn publish(&self, snapshot: &Arc<Snapshot>) -> Option<Arc<Snapshot>> {
        let previous = self.current.swap(Some(Arc::clone(snapshot)));
        self.metrics.count_published();
        let now = self.clock.monotonic();
        let mut since = lock(&self.incomplete_since);
        *since = if snapshot.quality().is_incomplete() { since.or(Some(now)) } else { None };
        drop(since);
        self.is_refused.store(false, Relaxed);
        self.retained.evict_expired(now);
        previous
    }

    /// Notes that a first load was refused as incomplete.
    pub(super) fn refuse(&self) {
        self.is_refused.store(true, Relaxed);
    }

    /// Reports whether users may be served from a source alone: there has been no snapshot, and no
    /// load was refused as a whole.
    pub(super) fn allows_single_users(&self) -> bool {
        self.current.load().is_none() && !self.is_refused.load(Relaxed)
    }

    /// Returns the current snapshot if the date has changed its users and the day rollover has not
    /// been tried.
    pub(super) fn awaiting_rollover(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.servable()?;
        if snapshot.awaits_rollover(self.clock.now()) { Some(snapshot) } else { None }
    }

    /// Retains a snapshot for a paging session.
    pub(super) fn retain(&self, key: SnapshotKey, snapshot: &Arc<Snapshot>) {
        self.retained.retain(key, snapshot, self.clock.monotonic());
    }

    /// Returns the snapshot with this key, if it is still retained and not too old.
    pub(super) fn retained(&self, key: &SnapshotKey) -> Option<Arc<Snapshot>> {
        let now = self.clock.monotonic();
        let retained = self.retained.get(key, now)?;
        if retained.age(now) <= self.limits.max_stale { Some(retained) } else { None }
    }

    /// Reports whether a snapshot with this key is retained, and extends its life.
    pub(super) fn is_retained(&self, key: &SnapshotKey) -> bool {
        self.retained.get(key, self.clock.monotonic()).is_some()
    }

    /// Drops the snapshots of expired paging sessions.
    pub(super) fn evict_expired(&self) {
        self.retained.evict_expired(self.clock.monotonic());
    }

    /// Returns the time for which some users have been outdated, unverified or without look-up
    /// names.
    pub(super) fn incomplete_for(&self) -> Option<Duration> {
        let since = (*lock(&self.incomplete_since))?;
        Some(self.clock.monotonic().saturating_sub(since))
    }

    /// Returns the time for which there has been no snapshot to serve: since the start, or since
    /// the last snapshot became too old.
    pub(super) fn missing_for(&self) -> Option<Duration> {
        if self.servable().is_some() {
            return None;
        }
        let now = self.clock.monotonic();
        let Some(newest) = self.newest() else { return Some(now) };
        Some(newest.age(now).saturating_sub(self.limits.max_stale).min(now))
    }
}
