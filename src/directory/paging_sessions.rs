//! Paging sessions: each remembers the snapshot on which a client began to page, so that all pages
//! of one list come from the same data. Snapshots are few and large, sessions are many and small,
//! so each has a cache of its own.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;

use crate::directory::{Directory, Snapshot};
use crate::scim::{Digest, digest};

/// Time after the last page until a paging session expires.
pub const SESSION_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// Time after the first page until a paging session expires.
const SESSION_LIFETIME: Duration = Duration::from_secs(3600);
/// Shortest interval at which a session that starts again on the same content is stored again.
const MIN_RESTART_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of paging sessions.
const MAX_SESSIONS: u64 = 10_000;
/// Maximum number of retained snapshots.
const MAX_RETAINED_SNAPSHOTS: u64 = 8;

/// Key of a paging session. It consists of digests, so it is small even for a long query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagingSessionKey {
    /// Digest of client, query and page size.
    with_page_size: Digest,
    /// Digest of client and query, without the page size: clients request a smaller last page.
    without_page_size: Digest,
}

/// Paging sessions and retained snapshots.
pub(super) struct PagingSessions {
    /// Sessions by the digests of their keys. Each session is stored under both digests.
    sessions: Cache<Digest, PagingSession>,
    /// Retained snapshots by the digest of their content.
    retained: Cache<Digest, Arc<Snapshot>>,
}

/// Paging session: the snapshot on which it began.
#[derive(Debug, Clone, Copy)]
struct PagingSession {
    /// Digest of the snapshot's content.
    snapshot: Digest,
    /// Start of the load of that snapshot, on the monotonic clock.
    loaded_at: Duration,
    /// Start of the session, on the monotonic clock.
    started_at: Duration,
}

impl PagingSessionKey {
    /// Creates the key for a client that pages through the results of a query in pages of `size`.
    #[must_use]
    pub fn new<'a>(client_and_query: impl IntoIterator<Item = &'a [u8]>, size: usize) -> Self {
        let without_page_size = digest(client_and_query);
        Self {
            with_page_size: digest([&without_page_size[..], &size.to_be_bytes()]),
            without_page_size,
        }
    }
}

impl PagingSessions {
    pub(super) fn new() -> Self {
        Self::with_timeouts(SESSION_IDLE_TIMEOUT, SESSION_LIFETIME)
    }

    /// Creates an empty store whose entries expire after `idle_timeout` without use, and `lifetime`
    /// after they were stored.
    fn with_timeouts(idle_timeout: Duration, lifetime: Duration) -> Self {
        // The default policy would refuse a new session while the cache is full. LRU evicts the
        // session that has been idle longest. Each session has two entries.
        let sessions =
            Cache::builder().max_capacity(2 * MAX_SESSIONS).eviction_policy(EvictionPolicy::lru());
        let retained = Cache::builder()
            .max_capacity(MAX_RETAINED_SNAPSHOTS)
            .eviction_policy(EvictionPolicy::lru());
        Self {
            sessions: sessions.time_to_idle(idle_timeout).time_to_live(lifetime).build(),
            retained: retained.time_to_idle(idle_timeout).time_to_live(lifetime).build(),
        }
    }

    /// Starts a session on `snapshot`, unless it already started on a newer one.
    pub(super) async fn start(
        &self,
        key: &PagingSessionKey,
        snapshot: &Arc<Snapshot>,
        loaded_at: Duration,
        now: Duration,
    ) {
        if self.has_just_started(key, snapshot.digest(), now).await {
            return;
        }
        self.retain(snapshot).await;
        let session = PagingSession { snapshot: *snapshot.digest(), loaded_at, started_at: now };
        for digest in [key.with_page_size, key.without_page_size] {
            let stored =
                self.sessions.entry(digest).and_compute_with(async |earlier| match earlier {
                    Some(earlier) if earlier.value().loaded_at > loaded_at => Op::Nop,
                    Some(_) | None => Op::Put(session),
                });
            stored.await;
        }
    }

    /// Reports whether the session has just started on the same content, so that nothing needs to
    /// be stored. Some clients request first pages only.
    async fn has_just_started(
        &self,
        key: &PagingSessionKey,
        content: &Digest,
        now: Duration,
    ) -> bool {
        for digest in [key.with_page_size, key.without_page_size] {
            let Some(session) = self.sessions.get(&digest).await else { return false };
            if session.snapshot != *content
                || now.saturating_sub(session.started_at) >= MIN_RESTART_INTERVAL
            {
                return false;
            }
        }
        self.retained.get(content).await.is_some()
    }

    /// Returns the digest of the snapshot that a session pages through. Both entries are read,
    /// because each read extends the life of an entry.
    pub(super) async fn digest(&self, key: &PagingSessionKey) -> Option<Digest> {
        let with_page_size = self.sessions.get(&key.with_page_size).await;
        let without_page_size = self.sessions.get(&key.without_page_size).await;
        Some(with_page_size.or(without_page_size)?.snapshot)
    }

    /// Returns the retained snapshot with this digest.
    pub(super) async fn retained(&self, digest: &Digest) -> Option<Arc<Snapshot>> {
        self.retained.get(digest).await
    }

    /// Retains a snapshot on which a session starts.
    pub(super) async fn retain(&self, snapshot: &Arc<Snapshot>) {
        self.retained.insert(*snapshot.digest(), Arc::clone(snapshot)).await;
        // Snapshots are large, so a surplus one is evicted at once and not at some later time.
        self.evict_expired().await;
    }

    /// Retains a snapshot on which a session continues, unless it is retained already. That happens
    /// after a restart, when a client continues with a cursor from before.
    pub(super) async fn retain_if_absent(&self, snapshot: &Arc<Snapshot>) {
        if !self.retained.contains_key(snapshot.digest()) {
            self.retain(snapshot).await;
        }
    }

    /// Evicts expired snapshots now. The cache would do it at its next use, which may be much
    /// later, and snapshots are large.
    pub(super) async fn evict_expired(&self) {
        self.retained.run_pending_tasks().await;
    }
}

impl Directory {
    /// Returns the snapshot for a further page of a list, if the session is known. All pages of a
    /// session come from the snapshot on which it began, even if a newer one has been published in
    /// between. Otherwise a user could be on no page, or on two.
    pub async fn session_snapshot(&self, key: &PagingSessionKey) -> Option<Arc<Snapshot>> {
        let digest = self.0.paging_sessions.digest(key).await?;
        self.retained(&digest).await
    }

    /// Starts a session: `snapshot` served the first page, and more pages follow.
    pub async fn start_session(&self, key: &PagingSessionKey, snapshot: &Arc<Snapshot>) {
        let now = self.0.clock.monotonic();
        self.0
            .paging_sessions
            .start(key, snapshot, now.saturating_sub(snapshot.age(now)), now)
            .await;
    }

    /// Retains a snapshot for a client that starts to page with a cursor, which carries the
    /// session.
    pub async fn retain(&self, snapshot: &Arc<Snapshot>) {
        self.0.paging_sessions.retain(snapshot).await;
    }

    /// Retains a snapshot for a client that continues with a cursor.
    pub async fn retain_if_absent(&self, snapshot: &Arc<Snapshot>) {
        self.0.paging_sessions.retain_if_absent(snapshot).await;
    }

    /// Returns the snapshot with this content, if it is still retained and not too old.
    pub async fn retained(&self, digest: &Digest) -> Option<Arc<Snapshot>> {
        // The look-up extends the life of the retained snapshot, even if the current one is used.
        let retained = self.0.paging_sessions.retained(digest).await;
        if let Some(newest) = self.current_if_servable()
            && newest.digest() == digest
        {
            return Some(newest);
        }
        let retained = retained?;
        let age = retained.age(self.0.clock.monotonic());
        if age <= self.0.freshness.max_stale { Some(retained) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use jiff::SignedDuration;
    use tokio::time::sleep;

    use super::*;
    use crate::clock::SystemClock;
    use crate::directory::LoadedDirectory;
    use crate::directory::snapshot::PreviousState;
    use crate::scim::{Group, ResourceMeta, ResourceUrls, SchemaRegistry};

    /// Returns a snapshot with one group of this name.
    fn snapshot(name: &str) -> Arc<Snapshot> {
        let schema_registry =
            SchemaRegistry::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]).unwrap();
        let meta = ResourceMeta::of_group(String::new());
        let group = Group {
            id: name.to_owned(),
            external_id: name.to_owned(),
            display_name: name.to_owned(),
            members: Vec::new(),
            meta,
        };
        let load = LoadedDirectory {
            groups: vec![group],
            ..LoadedDirectory::empty(Arc::new(schema_registry))
        };
        Arc::new(
            Snapshot::new(load, PreviousState::Unknown, SignedDuration::ZERO, &SystemClock::new())
                .unwrap(),
        )
    }

    fn session_key(query: &str, size: usize) -> PagingSessionKey {
        PagingSessionKey::new([query.as_bytes()], size)
    }

    #[test]
    fn timeouts_and_limits_match_the_documents() {
        assert_eq!(
            (SESSION_IDLE_TIMEOUT, SESSION_LIFETIME, MAX_RETAINED_SNAPSHOTS),
            (Duration::from_secs(5 * 60), Duration::from_secs(60 * 60), 8)
        );
    }

    #[tokio::test]
    async fn session_expires_when_idle_and_at_the_end_of_its_lifetime() {
        let (idle_timeout, lifetime) = (Duration::from_millis(600), Duration::from_millis(1800));
        let (one, sessions) =
            (snapshot("one"), PagingSessions::with_timeouts(idle_timeout, lifetime));
        for query in ["idle", "touched"] {
            sessions.start(&session_key(query, 10), &one, Duration::ZERO, Duration::ZERO).await;
        }
        let started = Instant::now();
        while started.elapsed() < lifetime - idle_timeout / 2 {
            assert_eq!(
                sessions.digest(&session_key("touched", 10)).await,
                Some(*one.digest()),
                "{:?}",
                started.elapsed()
            );
            assert!(sessions.retained(one.digest()).await.is_some());
            sleep(idle_timeout / 8).await;
        }
        assert_eq!(sessions.digest(&session_key("idle", 10)).await, None);
        assert_eq!(
            sessions.digest(&session_key("touched", 11)).await,
            Some(*one.digest()),
            "kept with the other size"
        );
        while started.elapsed() < lifetime {
            sessions.digest(&session_key("touched", 10)).await;
            sessions.retained(one.digest()).await;
            sleep(idle_timeout / 8).await;
        }
        assert_eq!(sessions.digest(&session_key("touched", 10)).await, None, "it has expired");
        assert!(sessions.retained(one.digest()).await.is_none());
        sessions.start(&session_key("touched", 10), &one, Duration::ZERO, Duration::ZERO).await;
        sleep(idle_timeout * 2).await;
        assert!(
            sessions.retained(one.digest()).await.is_none(),
            "a snapshot expires when it is idle, too"
        );
    }

    #[tokio::test]
    async fn new_session_starts_when_the_cache_is_full() {
        let (sessions, one) = (PagingSessions::new(), snapshot("one"));
        for other in 0..2 * MAX_SESSIONS {
            let other = session_key(&other.to_string(), 10);
            sessions.start(&other, &one, Duration::ZERO, Duration::ZERO).await;
            sessions.digest(&other).await;
            sessions.digest(&other).await;
        }
        sessions.start(&session_key("mine", 10), &one, Duration::ZERO, Duration::ZERO).await;
        sessions.sessions.run_pending_tasks().await;
        assert_eq!(sessions.digest(&session_key("mine", 10)).await, Some(*one.digest()));
        assert!(sessions.sessions.entry_count() <= 2 * MAX_SESSIONS);
    }

    #[tokio::test]
    async fn retained_snapshots_never_exceed_their_maximum() {
        let sessions = PagingSessions::new();
        let all: Vec<_> =
            (0..=MAX_RETAINED_SNAPSHOTS).map(|name| snapshot(&name.to_string())).collect();
        for snapshot in &all {
            sessions.retain(snapshot).await;
        }
        assert!(
            sessions.retained(all[0].digest()).await.is_none(),
            "the one that was idle longest is evicted at once"
        );
        for snapshot in &all[1..] {
            assert!(sessions.retained(snapshot.digest()).await.is_some());
        }
    }

    #[tokio::test]
    async fn newer_snapshot_wins_and_each_page_size_is_a_session() {
        let (sessions, old, new) = (PagingSessions::new(), snapshot("old"), snapshot("new"));
        let [early, late] = [1, 2].map(Duration::from_secs);
        sessions.start(&session_key("a", 10), &new, late, Duration::ZERO).await;
        sessions.start(&session_key("a", 10), &old, early, Duration::ZERO).await;
        assert_eq!(sessions.digest(&session_key("a", 10)).await, Some(*new.digest()));
        sessions.start(&session_key("b", 10), &old, early, Duration::ZERO).await;
        sessions.start(&session_key("b", 20), &new, late, Duration::ZERO).await;
        for (size, expected) in [(10, &old), (20, &new), (5, &new)] {
            assert_eq!(
                sessions.digest(&session_key("b", size)).await,
                Some(*expected.digest()),
                "{size}"
            );
        }
        assert_eq!(sessions.digest(&session_key("c", 10)).await, None);
    }
}
