//! Values that are computed when a query first needs them. The next snapshot computes them before a
//! query comes, as long as queries continue to need them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Number of successive snapshots for which a value is computed although no query needs it. An
/// occasional query then finds the value ready, but a value that was needed once is not computed
/// forever.
const MAX_IDLE_SNAPSHOTS: u8 = 100;

/// Value that is computed when a query first needs it.
#[derive(Debug, Default)]
pub(in crate::scim) struct OnDemand<T> {
    value: OnceLock<T>,
    /// Number of snapshots since a query needed the value.
    idle_snapshots: AtomicU8,
}

impl<T> OnDemand<T> {
    pub(in crate::scim) fn new() -> Self {
        Self { value: OnceLock::new(), idle_snapshots: AtomicU8::new(0) }
    }

    /// Returns the value for a query, and computes it if no query needed it before.
    pub(in crate::scim) fn get(&self, compute: impl FnOnce() -> T) -> &T {
        self.idle_snapshots.store(0, Relaxed);
        self.value.get_or_init(compute)
    }

    /// Computes the value if the `earlier` snapshot has it and a query needed it recently.
    pub(in crate::scim) fn prebuild_from(&self, earlier: &Self, compute: impl FnOnce() -> T) {
        let idle = earlier.idle_snapshots.load(Relaxed).saturating_add(1);
        if earlier.is_computed() && idle <= MAX_IDLE_SNAPSHOTS && !self.is_computed() {
            self.value.get_or_init(compute);
            self.idle_snapshots.store(idle, Relaxed);
        }
    }

    /// Reports whether the value is computed.
    pub(in crate::scim) fn is_computed(&self) -> bool {
        self.value.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the value of the last of `count` snapshots that follow `earlier`.
    fn after_idle_snapshots(earlier: OnDemand<u8>, count: u8) -> OnDemand<u8> {
        let mut latest = earlier;
        for _ in 0..count {
            let next = OnDemand::new();
            next.prebuild_from(&latest, || 0);
            latest = next;
        }
        latest
    }

    #[test]
    fn value_that_no_query_needs_is_dropped_after_100_snapshots() {
        let first = OnDemand::new();
        first.get(|| 0);
        let at_limit = after_idle_snapshots(first, MAX_IDLE_SNAPSHOTS);
        assert!(at_limit.is_computed());
        let beyond_limit = after_idle_snapshots(at_limit, 1);
        assert!(!beyond_limit.is_computed());
        let later = after_idle_snapshots(beyond_limit, 1);
        assert!(!later.is_computed(), "a dropped value does not come back without a query");
    }

    #[test]
    fn query_restarts_the_count_of_idle_snapshots() {
        let mut latest = OnDemand::new();
        latest.get(|| 0);
        for _ in 0..3 {
            latest = after_idle_snapshots(latest, MAX_IDLE_SNAPSHOTS);
            assert!(latest.is_computed());
            latest.get(|| unreachable!("the value is computed already"));
        }
    }
}
