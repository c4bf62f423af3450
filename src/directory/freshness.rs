//! Limits for the age of served data and for the time that a request waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Limits for the age of served data and for the time that a request waits.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// Age from which on a request triggers a refresh.
    pub cache_ttl: Duration,
    /// Longest time that a request waits for a load.
    pub refresh_wait: Duration,
    /// Interval of background refreshes, if they are on. With them no request waits for a refresh.
    pub refresh_every: Option<Duration>,
    /// Age from which on data is never served.
    pub max_stale: Duration,
    /// Cool-down: shortest pause between a failed load and the next one.
    pub cool_down: Duration,
    /// Delay of the refresh debounce: time between a webhook and the load it causes, so that
    /// webhooks that arrive together share one load.
    pub refresh_debounce: Duration,
}

/// End of the time for which the last load is fresh, on the monotonic clock. Each request reads it,
/// so it is one atomic number and no lock.
#[derive(Debug, Default)]
pub(super) struct FreshUntil(AtomicU64);

impl FreshUntil {
    /// Reports whether the last load is fresh at `now`.
    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now < self.get()
    }

    /// Returns the end of the time, zero before the first load.
    pub(super) fn get(&self) -> Duration {
        // A request that finds the load fresh must also find its snapshot, which is stored first.
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }

    /// Sets the end of the time.
    pub(super) fn set(&self, end: Duration) {
        let nanoseconds = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        self.0.store(nanoseconds, Ordering::Release);
    }
}
