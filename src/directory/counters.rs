//! Counters of what the directory has done since the start, for the metrics. They hold numbers
//! only, and no personal data.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds of the buckets of the load duration histogram, in seconds.
const LOAD_SECONDS_BUCKETS: [f64; 10] =
    [0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];

/// Counters of the directory since the start.
#[derive(Debug, Default)]
pub struct DirectoryMetrics {
    /// Loads.
    pub loads: LoadCounters,
    /// Writes of the state file.
    pub state_writes: OutcomeCounter,
    /// Requests that found a fresh snapshot. A miss is a request that started a load, waited for
    /// one, or got an older snapshot.
    pub snapshot_requests: HitCounter,
    /// Single-user requests, made while there was no snapshot, that found a cached user. A miss is
    /// fetched from the source.
    pub single_user_requests: HitCounter,
    published: AtomicU64,
    held: AtomicU64,
}

impl DirectoryMetrics {
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

    pub(super) fn count_published(&self) {
        self.published.fetch_add(1, Relaxed);
    }

    pub(super) fn count_held(&self) {
        self.held.fetch_add(1, Relaxed);
    }
}

/// Counters of loads.
#[derive(Debug)]
pub struct LoadCounters {
    /// Loads that have ended. A load that read all persons succeeded, whether the result was
    /// published or held.
    pub ended: OutcomeCounter,
    /// Durations in seconds.
    pub seconds: Histogram,
    /// Time of the last successful load, in seconds since 1970; 0 before the first.
    last_success: AtomicI64,
    /// Time of the last failed load, in seconds since 1970; 0 before the first.
    last_failure: AtomicI64,
}

impl Default for LoadCounters {
    fn default() -> Self {
        Self {
            ended: OutcomeCounter::default(),
            seconds: Histogram::new(LOAD_SECONDS_BUCKETS),
            last_success: AtomicI64::default(),
            last_failure: AtomicI64::default(),
        }
    }
}

impl LoadCounters {
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

    /// Counts one load that has ended, with its duration and its time.
    pub(super) fn count(&self, has_succeeded: bool, duration: Duration, now: Timestamp) {
        let last = if has_succeeded { &self.last_success } else { &self.last_failure };
        last.store(now.as_second(), Relaxed);
        self.seconds.observe(duration.as_secs_f64());
        self.ended.count(has_succeeded);
    }
}

/// Successes and failures of something that is attempted.
#[derive(Debug, Default)]
pub struct OutcomeCounter {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl OutcomeCounter {
    /// Returns the number of successes.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Relaxed)
    }

    /// Returns the number of failures.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    pub(super) fn count(&self, has_succeeded: bool) {
        let counter = if has_succeeded { &self.succeeded } else { &self.failed };
        counter.fetch_add(1, Relaxed);
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

/// Returns a stored time in seconds since 1970, or `None` for 0, which stands for no time.
fn set_time(stored: &AtomicI64) -> Option<i64> {
    match stored.load(Relaxed) {
        0 => None,
        seconds => Some(seconds),
    }
}
