//! Counters of what the directory has done since the start, for the metrics. They hold numbers
//! only, and no personal data.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use crate::directory::Directory;

/// Upper bounds of the buckets of the load duration histogram, in seconds.
const LOAD_SECONDS_BUCKETS: [f64; 10] =
    [0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];

/// Counters of the directory since the start.
#[derive(Debug)]
pub struct DirectoryMetrics {
    loads_succeeded: AtomicU64,
    loads_failed: AtomicU64,
    load_seconds: Histogram,
    /// Time of the last successful load, in seconds since 1970; 0 before the first.
    last_success: AtomicI64,
    /// Time of the last failed load, in seconds since 1970; 0 before the first.
    last_failure: AtomicI64,
    /// Number of published snapshots.
    pub(super) published: AtomicU64,
    /// Number of times that a change began to be held.
    pub(super) held: AtomicU64,
    state_written: AtomicU64,
    state_failed: AtomicU64,
    /// Requests that found a fresh snapshot, and requests that did not.
    pub(super) snapshot_requests: HitCounter,
    /// Single-user requests that found a cached user, and requests that did not.
    pub(super) single_user_requests: HitCounter,
}

impl Default for DirectoryMetrics {
    fn default() -> Self {
        Self {
            loads_succeeded: AtomicU64::default(),
            loads_failed: AtomicU64::default(),
            load_seconds: Histogram::new(LOAD_SECONDS_BUCKETS),
            last_success: AtomicI64::default(),
            last_failure: AtomicI64::default(),
            published: AtomicU64::default(),
            held: AtomicU64::default(),
            state_written: AtomicU64::default(),
            state_failed: AtomicU64::default(),
            snapshot_requests: HitCounter::default(),
            single_user_requests: HitCounter::default(),
        }
    }
}

/// Hits and misses of something that is cached.
#[derive(Debug, Default)]
pub struct HitCounter {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl HitCounter {
    /// Returns the number of hits.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// Returns the number of misses.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    pub(super) fn count_hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    pub(super) fn count_miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }
}

impl DirectoryMetrics {
    /// Returns the number of loads that read all persons, whether the result was published or held.
    #[must_use]
    pub fn loads_succeeded(&self) -> u64 {
        self.loads_succeeded.load(Relaxed)
    }

    /// Returns the number of loads that failed.
    #[must_use]
    pub fn loads_failed(&self) -> u64 {
        self.loads_failed.load(Relaxed)
    }

    /// Returns the histogram of load durations in seconds.
    #[must_use]
    pub fn load_seconds(&self) -> &Histogram {
        &self.load_seconds
    }

    /// Returns the time of the last successful load in seconds since 1970.
    #[must_use]
    pub fn last_success_seconds(&self) -> Option<i64> {
        set_time(&self.last_success)
    }

    /// Returns the time of the last failed load in seconds since 1970.
    #[must_use]
    pub fn last_failure_seconds(&self) -> Option<i64> {
        set_time(&self.last_failure)
    }

    /// Returns the number of published snapshots.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Returns the number of times that a change began to be held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// Returns the number of successful writes of the state file.
    #[must_use]
    pub fn state_written(&self) -> u64 {
        self.state_written.load(Relaxed)
    }

    /// Returns the number of failed writes of the state file.
    #[must_use]
    pub fn state_failed(&self) -> u64 {
        self.state_failed.load(Relaxed)
    }

    /// Returns how many requests found a fresh snapshot. A miss is a request that started a load,
    /// waited for one, or got an older snapshot.
    #[must_use]
    pub fn snapshot_requests(&self) -> &HitCounter {
        &self.snapshot_requests
    }

    /// Returns how many single-user requests, made while there was no snapshot, found a cached
    /// user. A miss is fetched from the source.
    #[must_use]
    pub fn single_user_requests(&self) -> &HitCounter {
        &self.single_user_requests
    }

    /// Counts one write of the state file, successful or failed.
    pub(super) fn count_state_write<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.state_written } else { &self.state_failed };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts one finished load, with its duration and its time.
    pub(super) fn count_load(&self, has_succeeded: bool, duration: Duration, now: Timestamp) {
        let (counter, last) = if has_succeeded {
            (&self.loads_succeeded, &self.last_success)
        } else {
            (&self.loads_failed, &self.last_failure)
        };
        last.store(now.as_second(), Relaxed);
        self.load_seconds.observe(duration.as_secs_f64());
        counter.fetch_add(1, Relaxed);
    }
}

/// Returns a stored time in seconds since 1970, or `None` for 0, which stands for no time.
fn set_time(stored: &AtomicI64) -> Option<i64> {
    match stored.load(Relaxed) {
        0 => None,
        seconds => Some(seconds),
    }
}

impl Directory {
    /// Returns the counters of the directory.
    #[must_use]
    pub fn metrics(&self) -> &DirectoryMetrics {
        &self.0.metrics
    }
}
