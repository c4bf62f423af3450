//! Retained snapshots: older snapshots on which paging sessions began. They are few and large, so
//! one that is no longer needed is freed at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::directory::paging_sessions::has_expired;
use crate::directory::{Snapshot, lock};
use crate::scim::Digest;

/// Maximum number of retained snapshots without a scope, and of each scope.
const MAX_RETAINED_SNAPSHOTS: usize = 8;

/// Retained snapshots, from the one that has been idle longest to the one used last.
#[derive(Default)]
pub(super) struct RetainedSnapshots(Mutex<Vec<RetainedSnapshot>>);

/// Key of a retained snapshot. A client with a scope never gets the snapshot of another scope, even
/// if the content is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SnapshotKey {
    /// Digest of the scope, if there is one.
    pub(super) scope: Option<Digest>,
    /// Digest of the snapshot's content.
    pub(super) content: Digest,
}

/// Snapshot that is retained for paging sessions. All times are on the monotonic clock.
struct RetainedSnapshot {
    key: SnapshotKey,
    snapshot: Arc<Snapshot>,
    retained_at: Duration,
    last_used: Duration,
}

impl RetainedSnapshot {
    fn has_expired(&self, now: Duration) -> bool {
        has_expired(self.retained_at, self.last_used, now)
    }
}

impl RetainedSnapshots {
    /// Returns the snapshot with this key, if it has not expired, and extends its life.
    pub(super) fn get(&self, key: &SnapshotKey, now: Duration) -> Option<Arc<Snapshot>> {
        let mut retained = lock(&self.0);
        let position =
            retained.iter().position(|entry| entry.key == *key && !entry.has_expired(now))?;
        let mut entry = retained.remove(position);
        entry.last_used = now;
        let snapshot = Arc::clone(&entry.snapshot);
        retained.push(entry);
        Some(snapshot)
    }

    /// Retains a snapshot. If there are too many of its scope, the one of them that has been idle
    /// longest is dropped, so that clients of one scope do not end the sessions of another.
    pub(super) fn retain(&self, key: SnapshotKey, snapshot: &Arc<Snapshot>, now: Duration) {
        let snapshot = Arc::clone(snapshot);
        // A large snapshot is freed after the lock.
        let mut dropped = Vec::new();
        let mut retained = lock(&self.0);
        dropped.extend(retained.extract_if(.., |entry| entry.has_expired(now) || entry.key == key));
        retained.push(RetainedSnapshot { key, snapshot, retained_at: now, last_used: now });
        let of_scope = retained.iter().filter(|entry| entry.key.scope == key.scope).count();
        if of_scope > MAX_RETAINED_SNAPSHOTS
            && let Some(idle) = retained.iter().position(|entry| entry.key.scope == key.scope)
        {
            dropped.push(retained.remove(idle));
        }
        drop(retained);
        drop(dropped);
    }

    /// Drops the snapshots that have expired.
    pub(super) fn evict_expired(&self, now: Duration) {
        let mut retained = lock(&self.0);
        let expired: Vec<RetainedSnapshot> =
            retained.extract_if(.., |entry| entry.has_expired(now)).collect();
        // A large snapshot is freed after the lock.
        drop(retained);
        drop(expired);
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::directory::LoadedDirectory;
    use crate::directory::paging_sessions::{SESSION_IDLE_TIMEOUT, SESSION_LIFETIME};
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
        let load = LoadedDirectory::new(Arc::new(schema_registry), Vec::new(), vec![group]);
        Arc::new(
            Snapshot::new(load, PreviousState::Unknown, SignedDuration::ZERO, &SystemClock::new())
                .unwrap(),
        )
    }

    fn key(snapshot: &Snapshot) -> SnapshotKey {
        SnapshotKey { scope: None, content: *snapshot.digest() }
    }

    #[test]
    fn snapshot_expires_when_idle_and_at_the_end_of_its_lifetime() {
        let (one, retained) = (snapshot("one"), RetainedSnapshots::default());
        let almost_idle = SESSION_IDLE_TIMEOUT - Duration::from_nanos(1);
        let last_moment = SESSION_LIFETIME - Duration::from_nanos(1);
        retained.retain(key(&one), &one, Duration::ZERO);
        let mut now = Duration::ZERO;
        while now < last_moment {
            now = last_moment.min(now + almost_idle);
            assert!(retained.get(&key(&one), now).is_some(), "{now:?}");
        }
        assert!(retained.get(&key(&one), SESSION_LIFETIME).is_none());
        let weak = Arc::downgrade(&one);
        retained.retain(key(&one), &one, Duration::ZERO);
        drop(one);
        retained.evict_expired(almost_idle);
        assert!(weak.upgrade().is_some());
        retained.evict_expired(SESSION_IDLE_TIMEOUT);
        assert!(weak.upgrade().is_none(), "it is freed");
    }

    #[test]
    fn retained_snapshots_never_exceed_their_maximum() {
        assert_eq!(MAX_RETAINED_SNAPSHOTS, 8, "as the documents say");
        let retained = RetainedSnapshots::default();
        let all: Vec<_> =
            (0..=MAX_RETAINED_SNAPSHOTS).map(|name| snapshot(&name.to_string())).collect();
        for snapshot in &all {
            retained.retain(key(snapshot), snapshot, Duration::ZERO);
        }
        assert!(
            retained.get(&key(&all[0]), Duration::ZERO).is_none(),
            "the one that was idle longest is evicted at once"
        );
        for snapshot in &all[1..] {
            assert!(retained.get(&key(snapshot), Duration::ZERO).is_some());
        }
    }

    #[test]
    fn clients_of_one_scope_do_not_end_the_sessions_of_another() {
        let retained = RetainedSnapshots::default();
        let one = snapshot("one");
        let scoped =
            |name: &str| SnapshotKey { scope: Some(crate::scim::digest([name])), ..key(&one) };
        retained.retain(key(&one), &one, Duration::ZERO);
        retained.retain(scoped("a"), &one, Duration::ZERO);
        for number in 0..2 * MAX_RETAINED_SNAPSHOTS {
            let other = snapshot(&number.to_string());
            let key = SnapshotKey { content: *other.digest(), ..scoped("b") };
            retained.retain(key, &other, Duration::ZERO);
        }
        assert!(retained.get(&key(&one), Duration::ZERO).is_some());
        assert!(retained.get(&scoped("a"), Duration::ZERO).is_some());
        assert!(retained.get(&scoped("b"), Duration::ZERO).is_none(), "a digest alone is no key");
    }
}
