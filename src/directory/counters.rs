//! How often things have happened since the start. Numbers only.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::histogram::Histogram;

use crate::directory::Directory;

/// Where the time that loads take is cut, in seconds.
const LOADS: [f64; 10] = [0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];

/// How often things have happened since the start.
#[derive(Debug)]
pub struct Counters {
    loads_succeeded: AtomicU64,
    loads_failed: AtomicU64,
    load_seconds: Histogram,
    /// In seconds since 1970; 0 before the first.
    last_success: AtomicI64,
    last_failure: AtomicI64,
    /// Snapshots that were published.
    pub(super) published: AtomicU64,
    /// Changes that were read and not served.
    pub(super) held_back: AtomicU64,
    state_written: AtomicU64,
    state_failed: AtomicU64,
    /// Requests that were answered from the snapshot at once, or not.
    pub(super) snapshot: Hits,
    /// Users that were asked for one by one and were known, or not.
    pub(super) single: Hits,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            loads_succeeded: AtomicU64::default(),
            loads_failed: AtomicU64::default(),
            load_seconds: Histogram::new(LOADS),
            last_success: AtomicI64::default(),
            last_failure: AtomicI64::default(),
            published: AtomicU64::default(),
            held_back: AtomicU64::default(),
            state_written: AtomicU64::default(),
            state_failed: AtomicU64::default(),
            snapshot: Hits::default(),
            single: Hits::default(),
        }
    }
}

/// How often something that is kept was there.
#[derive(Debug, Default)]
pub struct Hits {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Hits {
    /// How often it was.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    /// How often it was not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Relaxed)
    }

    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }
}

impl Counters {
    /// Loads that brought all users, whether they are served or held back.
    #[must_use]
    pub fn loads_succeeded(&self) -> u64 {
        self.loads_succeeded.load(Relaxed)
    }

    /// Loads that brought nothing.
    #[must_use]
    pub fn loads_failed(&self) -> u64 {
        self.loads_failed.load(Relaxed)
    }

    /// How long loads took, in seconds.
    #[must_use]
    pub fn load_seconds(&self) -> &Histogram {
        &self.load_seconds
    }

    /// When a load last succeeded, in seconds since 1970.
    #[must_use]
    pub fn last_success(&self) -> Option<i64> {
        Some(self.last_success.load(Relaxed)).filter(|moment| *moment != 0)
    }

    /// When a load last failed, in seconds since 1970.
    #[must_use]
    pub fn last_failure(&self) -> Option<i64> {
        Some(self.last_failure.load(Relaxed)).filter(|moment| *moment != 0)
    }

    /// Snapshots that were published.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Changes that were read and not served.
    #[must_use]
    pub fn held_back(&self) -> u64 {
        self.held_back.load(Relaxed)
    }

    /// How often the state file was written.
    #[must_use]
    pub fn state_written(&self) -> u64 {
        self.state_written.load(Relaxed)
    }

    /// How often the state file could not be written.
    #[must_use]
    pub fn state_failed(&self) -> u64 {
        self.state_failed.load(Relaxed)
    }

    /// Requests that were answered from the snapshot at once; the others began a load or waited for one.
    #[must_use]
    pub fn snapshot(&self) -> &Hits {
        &self.snapshot
    }

    /// Users that were asked for one by one, while there was no snapshot, and were known; the others were fetched.
    #[must_use]
    pub fn single(&self) -> &Hits {
        &self.single
    }

    /// The state file was to be written.
    pub(super) fn state_ended<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.state_written } else { &self.state_failed };
        counter.fetch_add(1, Relaxed);
    }

    /// A load has ended.
    pub(super) fn load_ended(&self, has_succeeded: bool, took: Duration, now: Timestamp) {
        let (counter, last) = if has_succeeded {
            (&self.loads_succeeded, &self.last_success)
        } else {
            (&self.loads_failed, &self.last_failure)
        };
        last.store(now.as_second(), Relaxed);
        self.load_seconds.observe(took.as_secs_f64());
        counter.fetch_add(1, Relaxed);
    }
}

impl Directory {
    /// How often things have happened since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }
}
