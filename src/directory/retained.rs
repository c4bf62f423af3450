//! Retained snapshots: older snapshots on which paging sessions began. They are few and large, so
//! one that is no longer needed is freed at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::directory::paging_sessions::has_expired;
use crate::directory::{Snapshot, lock};
use crate::scim::Digest;

/// Maximum number of retained snapshots.
const MAX_RETAINED_SNAPSHOTS: usize = 8;

/// Retained snapshots, from the one that has been idle longest to the one used last.
#[derive(Default)]
pub(super) struct RetainedSnapshots(Mutex<Vec<RetainedSnapshot>>);

/// Snapshot that is retained for paging sessions. All times are on the monotonic clock.
struct RetainedSnapshot {
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
    /// Returns the snapshot with this digest, if it has not expired, and extends its life.
    pub(super) fn get(&self, digest: &Digest, now: Duration) -> Option<Arc<Snapshot>> {
        let mut retained = lock(&self.0);
        let position = retained
            .iter()
            .position(|entry| entry.snapshot.digest() == digest && !entry.has_expired(now))?;
        let mut entry = retained.remove(position);
        entry.last_used = now;
        let snapshot = Arc::clone(&entry.snapshot);
        retained.push(entry);
        Some(snapshot)
    }

    /// Retains a snapshot. If there are too many, the one that has been idle longest is dropped.
    pub(super) fn retain(&self, snapshot: &Arc<Snapshot>, now: Duration) {
        let snapshot = Arc::clone(snapshot);
        // A large snapshot is freed after the lock.
        let mut dropped = Vec::new();
        let mut retained = lock(&self.0);
        dropped.extend(retained.extract_if(.., |entry| {
            entry.has_expired(now) || entry.snapshot.digest() == snapshot.digest()
        }));
        retained.push(RetainedSnapshot { snapshot, retained_at: now, last_used: now });
        if retained.len() > MAX_RETAINED_SNAPSHOTS {
            dropped.push(retained.remove(0));
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
        let load = LoadedDirectory {
            groups: vec![group],
            ..LoadedDirectory::empty(Arc::new(schema_registry))
        };
        Arc::new(
            Snapshot::new(load, PreviousState::Unknown, SignedDuration::ZERO, &SystemClock::new())
                .unwrap(),
        )
    }

    #[test]
    fn snapshot_expires_when_idle_and_at_the_end_of_its_lifetime() {
        let (one, retained) = (snapshot("one"), RetainedSnapshots::default());
        let almost_idle = SESSION_IDLE_TIMEOUT - Duration::from_nanos(1);
        let last_moment = SESSION_LIFETIME - Duration::from_nanos(1);
        retained.retain(&one, Duration::ZERO);
        let mut now = Duration::ZERO;
        while now < last_moment {
            now = last_moment.min(now + almost_idle);
            assert!(retained.get(one.digest(), now).is_some(), "{now:?}");
        }
        assert!(retained.get(one.digest(), SESSION_LIFETIME).is_none());
        let weak = Arc::downgrade(&one);
        retained.retain(&one, Duration::ZERO);
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
            retained.retain(snapshot, Duration::ZERO);
        }
        assert!(
            retained.get(all[0].digest(), Duration::ZERO).is_none(),
            "the one that was idle longest is evicted at once"
        );
        for snapshot in &all[1..] {
            assert!(retained.get(snapshot.digest(), Duration::ZERO).is_some());
        }
    }
}
