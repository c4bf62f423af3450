//! Paging sessions: each remembers the snapshot on which a client began to page, so that all pages
//! of one list come from the same data. Snapshots are few and large, sessions are many and small, so
//! the snapshots are retained apart from the sessions, in `retained`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;

use crate::directory::retained::SnapshotKey;
use crate::directory::{DirectoryView, Error, Parts, Snapshot};
use crate::scim::{Digest, digest};

/// Time after the last page until a paging session expires.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Time after the first page until a paging session expires.
pub(super) const SESSION_LIFETIME: Duration = Duration::from_secs(3600);
/// Shortest interval at which a session that starts again on the same content is stored again.
const MIN_RESTART_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of paging sessions.
const MAX_SESSIONS: u64 = 10_000;

/// Key of a paging session. It consists of digests, so it is small even for a long query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PagingSessionKey {
    /// Digest of client, query and page size.
    with_page_size: Digest,
    /// Digest of client and query, without the page size: clients request a smaller last page.
    without_page_size: Digest,
}

/// Paging sessions by the digests of their keys. Each session is stored under both digests.
pub(super) struct PagingSessions(Cache<Digest, PagingSession>);

/// Paging session: the snapshot on which it began. All times are on the monotonic clock.
#[derive(Debug, Clone)]
struct PagingSession {
    /// Digest of the snapshot's content.
    snapshot: Digest,
    /// Start of the load of that snapshot.
    loaded_at: Duration,
    /// Start of the session.
    started_at: Duration,
    /// Time of the last page, in nanoseconds.
    last_used: Arc<AtomicU64>,
}

/// Reports whether something that was stored at `stored_at` and last used at `last_used` has
/// expired.
pub(super) fn has_expired(stored_at: Duration, last_used: Duration, now: Duration) -> bool {
    now.saturating_sub(last_used) >= SESSION_IDLE_TIMEOUT
        || now.saturating_sub(stored_at) >= SESSION_LIFETIME
}

/// Converts a time on the monotonic clock for an atomic number. It lasts for 584 years.
fn to_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl PagingSession {
    fn has_expired(&self, now: Duration) -> bool {
        let last_used = Duration::from_nanos(self.last_used.load(Relaxed));
        has_expired(self.started_at, last_used, now)
    }
}

impl PagingSessionKey {
    /// Creates the key for a client that pages through the results of a query in pages of `size`.
    fn new<'a>(client_and_query: impl IntoIterator<Item = &'a [u8]>, size: usize) -> Self {
        let without_page_size = digest(client_and_query);
        Self {
            with_page_size: digest([&without_page_size[..], &size.to_be_bytes()]),
            without_page_size,
        }
    }
}

impl PagingSessions {
    /// Creates an empty store.
    pub(super) fn new() -> Self {
        // The default policy would refuse a new session while the cache is full. LRU evicts the
        // session that has been idle longest. Each session has two entries.
        let sessions =
            Cache::builder().max_capacity(2 * MAX_SESSIONS).eviction_policy(EvictionPolicy::lru());
        Self(sessions.build())
    }

    /// Starts a session on the snapshot with this digest, whose load began at `loaded_at`, unless the
    /// session already started on a newer one.
    pub(super) async fn start(
        &self,
        key: &PagingSessionKey,
        snapshot: &Digest,
        loaded_at: Duration,
        now: Duration,
    ) {
        let session = PagingSession {
            snapshot: *snapshot,
            loaded_at,
            started_at: now,
            last_used: Arc::new(AtomicU64::new(to_nanoseconds(now))),
        };
        for digest in [key.with_page_size, key.without_page_size] {
            let stored = self.0.entry(digest).and_compute_with(async |earlier| match earlier {
                Some(earlier)
                    if earlier.value().loaded_at > loaded_at
                        && !earlier.value().has_expired(now) =>
                {
                    Op::Nop
                }
                Some(_) | None => Op::Put(session.clone()),
            });
            stored.await;
        }
    }

    /// Reports whether the session has just started on the same snapshot, so that nothing needs to
    /// be stored. Some clients request first pages only.
    async fn has_just_started(
        &self,
        key: &PagingSessionKey,
        snapshot: &Digest,
        now: Duration,
    ) -> bool {
        for digest in [key.with_page_size, key.without_page_size] {
            let Some(session) = self.session(&digest, now).await else { return false };
            if session.snapshot != *snapshot
                || now.saturating_sub(session.started_at) >= MIN_RESTART_INTERVAL
            {
                return false;
            }
        }
        true
    }

    /// Returns a session, if it has not expired, and extends its life.
    async fn session(&self, digest: &Digest, now: Duration) -> Option<PagingSession> {
        let session = self.0.get(digest).await?;
        if session.has_expired(now) {
            return None;
        }
        session.last_used.store(to_nanoseconds(now), Relaxed);
        Some(session)
    }

    /// Returns the digest of the snapshot that a session pages through. Both entries are read,
    /// because each read extends the life of an entry.
    pub(super) async fn digest(&self, key: &PagingSessionKey, now: Duration) -> Option<Digest> {
        let with_page_size = self.session(&key.with_page_size, now).await;
        let without_page_size = self.session(&key.without_page_size, now).await;
        Some(with_page_size.or(without_page_size)?.snapshot)
    }
}

/// List that a client pages through by `startIndex`, with the page size. Most lists fit on one page,
/// so the key of the session is made only when it is needed.
#[derive(Debug, Clone, Copy)]
pub struct PagedList<'a> {
    /// Texts that identify client and query.
    pub client_and_query: [&'a [u8]; 3],
    /// Page size.
    pub page_size: usize,
}

/// Requested page of a list, which decides from which snapshot it is read.
#[derive(Debug, Clone, Copy)]
pub enum RequestedPage<'a> {
    /// First page by `startIndex`.
    First(PagedList<'a>),
    /// Later page by `startIndex`.
    Later(PagedList<'a>),
    /// First page by cursor.
    FirstByCursor,
    /// Later page by cursor. The cursor has the digest of the snapshot.
    LaterByCursor(Digest),
}

/// Snapshot from which a requested page is read.
pub struct PinnedSnapshot<'a> {
    view: DirectoryView<'a>,
    page: RequestedPage<'a>,
    snapshot: Arc<Snapshot>,
}

/// Reason for which a requested page has no snapshot.
#[derive(Debug)]
pub enum SnapshotError {
    /// The snapshot of the cursor is no longer retained, or too old.
    Expired,
    /// No snapshot may be served.
    Unavailable(Error),
}

impl PagedList<'_> {
    fn session_key(&self) -> PagingSessionKey {
        PagingSessionKey::new(self.client_and_query, self.page_size)
    }
}

impl PinnedSnapshot<'_> {
    /// Returns the snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    fn key(&self) -> SnapshotKey {
        self.view.key(*self.snapshot.digest())
    }

    /// Retains the snapshot for the next page, and starts the session if this is the first page.
    /// It is called after the page was read, if more pages follow.
    pub async fn retain(&self) {
        let store = &self.view.parts().store;
        match &self.page {
            RequestedPage::First(list) => self.start_session(&list.session_key()).await,
            // The look-up of the session has extended its life.
            RequestedPage::Later(_) => {}
            RequestedPage::FirstByCursor => store.retain(self.key(), &self.snapshot),
            // After a restart the snapshot is not retained, if the cursor is from before.
            RequestedPage::LaterByCursor(_) if store.is_retained(&self.key()) => {}
            RequestedPage::LaterByCursor(_) => store.retain(self.key(), &self.snapshot),
        }
    }

    /// Starts a session: the snapshot served the first page, and more pages follow.
    async fn start_session(&self, key: &PagingSessionKey) {
        let Parts { store, paging_sessions, .. } = self.view.parts();
        let (snapshot, now) = (&self.snapshot, store.clock.monotonic());
        let has_just_started = paging_sessions.has_just_started(key, snapshot.digest(), now).await;
        if has_just_started && store.is_retained(&self.key()) {
            return;
        }
        store.retain(self.key(), snapshot);
        let loaded_at = now.saturating_sub(snapshot.age(now));
        paging_sessions.start(key, snapshot.digest(), loaded_at, now).await;
    }
}

impl<'a> DirectoryView<'a> {
    /// Returns the snapshot from which a page is read, and waits for a load if necessary. All pages
    /// of a session come from the snapshot on which it began, even if a newer one has been
    /// published in between. Otherwise a user could be on no page, or on two.
    ///
    /// # Errors
    /// Returns an error when the snapshot of a cursor has expired, or no snapshot may be served.
    pub async fn snapshot_for(
        &self,
        page: RequestedPage<'a>,
    ) -> Result<PinnedSnapshot<'a>, SnapshotError> {
        if let Some(pinned) = self.ready_snapshot_for(page).await? {
            return Ok(pinned);
        }
        let snapshot = self.current().await.map_err(SnapshotError::Unavailable)?;
        Ok(PinnedSnapshot { view: self.clone(), page, snapshot })
    }

    /// Returns the snapshot from which a page is read, if no waiting is necessary.
    ///
    /// # Errors
    /// Returns an error when the snapshot of a cursor has expired.
    pub async fn ready_snapshot_for(
        &self,
        page: RequestedPage<'a>,
    ) -> Result<Option<PinnedSnapshot<'a>>, SnapshotError> {
        let Parts { store, paging_sessions, .. } = self.parts();
        let session_digest = match &page {
            RequestedPage::First(_) | RequestedPage::FirstByCursor => None,
            RequestedPage::Later(list) => {
                paging_sessions.digest(&list.session_key(), store.clock.monotonic()).await
            }
            RequestedPage::LaterByCursor(digest) => Some(*digest),
        };
        let retained = match &session_digest {
            Some(digest) => self.retained(digest),
            None => None,
        };
        if let (None, RequestedPage::LaterByCursor(_)) = (&retained, page) {
            return Err(SnapshotError::Expired);
        }
        // A later page of an unknown session is read from the current snapshot.
        let snapshot = retained.or_else(|| self.current_without_waiting());
        Ok(snapshot.map(|snapshot| PinnedSnapshot { view: self.clone(), page, snapshot }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the digest of a snapshot of this name.
    fn snapshot(name: &str) -> Digest {
        digest([name])
    }

    fn session_key(query: &str, size: usize) -> PagingSessionKey {
        PagingSessionKey::new([query.as_bytes()], size)
    }

    #[test]
    fn timeouts_match_the_documents() {
        assert_eq!(
            (SESSION_IDLE_TIMEOUT, SESSION_LIFETIME),
            (Duration::from_secs(5 * 60), Duration::from_secs(60 * 60))
        );
    }

    #[tokio::test]
    async fn session_expires_when_idle_and_at_the_end_of_its_lifetime() {
        let (one, sessions) = (snapshot("one"), PagingSessions::new());
        let (idle, touched) = (session_key("idle", 10), session_key("touched", 10));
        let nanosecond = Duration::from_nanos(1);
        for key in [&idle, &touched] {
            sessions.start(key, &one, Duration::ZERO, Duration::ZERO).await;
        }
        let digest = Some(one);
        let almost_idle = SESSION_IDLE_TIMEOUT - nanosecond;
        assert_eq!(sessions.digest(&touched, almost_idle).await, digest);
        assert_eq!(sessions.digest(&idle, SESSION_IDLE_TIMEOUT).await, None);
        // Each page extends the life of the session, up to the lifetime.
        let mut now = almost_idle;
        while now + almost_idle < SESSION_LIFETIME {
            now += almost_idle;
            assert_eq!(sessions.digest(&touched, now).await, digest, "{now:?}");
        }
        let other_size = session_key("touched", 11);
        assert_eq!(sessions.digest(&other_size, now).await, digest, "kept with the other size");
        let last_moment = SESSION_LIFETIME - nanosecond;
        assert_eq!(sessions.digest(&touched, last_moment).await, digest);
        assert_eq!(sessions.digest(&touched, SESSION_LIFETIME).await, None);
    }

    #[tokio::test]
    async fn expired_session_does_not_prevent_one_on_an_older_load() {
        let (sessions, old, new) = (PagingSessions::new(), snapshot("old"), snapshot("new"));
        let key = session_key("a", 10);
        sessions.start(&key, &new, Duration::from_secs(2), Duration::ZERO).await;
        sessions.start(&key, &old, Duration::from_secs(1), SESSION_IDLE_TIMEOUT).await;
        assert_eq!(sessions.digest(&key, SESSION_IDLE_TIMEOUT).await, Some(old));
    }

    #[tokio::test]
    async fn new_session_starts_when_the_cache_is_full() {
        let (sessions, one) = (PagingSessions::new(), snapshot("one"));
        for other in 0..2 * MAX_SESSIONS {
            let other = session_key(&other.to_string(), 10);
            sessions.start(&other, &one, Duration::ZERO, Duration::ZERO).await;
            sessions.digest(&other, Duration::ZERO).await;
            sessions.digest(&other, Duration::ZERO).await;
        }
        sessions.start(&session_key("mine", 10), &one, Duration::ZERO, Duration::ZERO).await;
        sessions.0.run_pending_tasks().await;
        assert_eq!(sessions.digest(&session_key("mine", 10), Duration::ZERO).await, Some(one));
        assert!(sessions.0.entry_count() <= 2 * MAX_SESSIONS);
    }

    #[tokio::test]
    async fn newer_snapshot_wins_and_each_page_size_is_a_session() {
        let (sessions, old, new) = (PagingSessions::new(), snapshot("old"), snapshot("new"));
        let [early, late] = [1, 2].map(Duration::from_secs);
        sessions.start(&session_key("a", 10), &new, late, Duration::ZERO).await;
        sessions.start(&session_key("a", 10), &old, early, Duration::ZERO).await;
        assert_eq!(sessions.digest(&session_key("a", 10), Duration::ZERO).await, Some(new));
        sessions.start(&session_key("b", 10), &old, early, Duration::ZERO).await;
        sessions.start(&session_key("b", 20), &new, late, Duration::ZERO).await;
        for (size, expected) in [(10, old), (20, new), (5, new)] {
            assert_eq!(
                sessions.digest(&session_key("b", size), Duration::ZERO).await,
                Some(expected),
                "{size}"
            );
        }
        assert_eq!(sessions.digest(&session_key("c", 10), Duration::ZERO).await, None);
    }
}
