//! A value that is worked out when a query first needs it, and beforehand for the next snapshot as long as queries go on
//! to need it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Number of snapshots, one after the other, for which a value is worked out although no query needs it. A client that
/// asks once in a while does not wait for it each time; what one client needed once is not worked out for ever.
const MAX_IDLE_SNAPSHOTS: u8 = 100;

/// A value that is worked out when it is needed.
#[derive(Debug, Default)]
pub(in crate::scim) struct Prepared<T> {
    value: OnceLock<T>,
    /// Number of snapshots since a query needed the value.
    idle_snapshots: AtomicU8,
}

impl<T> Prepared<T> {
    pub(in crate::scim) fn new() -> Self {
        Self { value: OnceLock::new(), idle_snapshots: AtomicU8::new(0) }
    }

    /// Returns the value for a query.
    pub(in crate::scim) fn get(&self, work_out: impl FnOnce() -> T) -> &T {
        self.idle_snapshots.store(0, Relaxed);
        self.value.get_or_init(work_out)
    }

    /// Works the value out if the `earlier` snapshot has it, and a query needed it not too long ago.
    pub(in crate::scim) fn prepare_like(&self, earlier: &Self, work_out: impl FnOnce() -> T) {
        let idle = earlier.idle_snapshots.load(Relaxed).saturating_add(1);
        if earlier.is_there() && idle <= MAX_IDLE_SNAPSHOTS && !self.is_there() {
            self.value.get_or_init(work_out);
            self.idle_snapshots.store(idle, Relaxed);
        }
    }

    /// Reports whether the value was worked out.
    pub(in crate::scim) fn is_there(&self) -> bool {
        self.value.get().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_query_needs_is_not_worked_out_for_ever() {
        let first = Prepared::new();
        first.get(|| 0);
        let mut latest = first;
        let mut follow = |times: usize| {
            for _ in 0..times {
                let next = Prepared::new();
                next.prepare_like(&latest, || 0);
                latest = next;
            }
            latest.is_there()
        };
        assert!(follow(usize::from(MAX_IDLE_SNAPSHOTS)));
        assert!(!follow(1));
        assert!(!follow(1), "nor ever again");

        let needed = Prepared::new();
        needed.get(|| 0);
        let mut latest = needed;
        for _ in 0..3 {
            for _ in 0..MAX_IDLE_SNAPSHOTS {
                let next = Prepared::new();
                next.prepare_like(&latest, || 0);
                latest = next;
            }
            assert!(latest.is_there());
            latest.get(|| unreachable!("it is there"));
        }
    }
}
