//! Which snapshot each client goes through. The snapshots are few and large, the walks many and small.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::Snapshot;
use crate::scim::Digest;

/// For how long after its last page a walk is remembered.
pub const WALK_PAUSE: Duration = Duration::from_secs(300);
/// For how long after its first.
const WALK: Duration = Duration::from_secs(3600);
/// So many walks are remembered.
const WALKS: u64 = 10_000;
/// So many snapshots are kept for them.
const KEPT: u64 = 8;

/// The walks that are under way.
pub(super) struct Walks {
    snapshot_of: Cache<String, Digest>,
    kept: Cache<Digest, Arc<Snapshot>>,
}

impl Walks {
    pub(super) fn new() -> Self {
        Self {
            snapshot_of: Cache::builder().time_to_idle(WALK_PAUSE).time_to_live(WALK).max_capacity(WALKS).build(),
            kept: Cache::builder()
                .time_to_idle(WALK_PAUSE)
                .time_to_live(WALK)
                .max_capacity(KEPT)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }

    pub(super) async fn begin(&self, walk: String, snapshot: &Arc<Snapshot>) {
        self.kept.insert(*snapshot.digest(), Arc::clone(snapshot)).await;
        self.snapshot_of.insert(walk, *snapshot.digest()).await;
    }

    pub(super) async fn digest(&self, walk: &str) -> Option<Digest> {
        self.snapshot_of.get(walk).await
    }

    pub(super) async fn kept(&self, digest: &Digest) -> Option<Arc<Snapshot>> {
        self.kept.get(digest).await
    }

    /// Lets go of what is kept for nobody: perhaps nobody comes by for long, and snapshots are large.
    pub(super) async fn tidy(&self) {
        self.kept.run_pending_tasks().await;
    }
}
