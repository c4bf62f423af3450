//! How often things have happened since the start. Numbers only.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Directory;

/// How often things have happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) loads_succeeded: AtomicU64,
    pub(super) loads_failed: AtomicU64,
    /// Changes that were read and not served.
    pub(super) held_back: AtomicU64,
    state_written: AtomicU64,
    state_failed: AtomicU64,
}

impl Counters {
    /// Loads that brought a snapshot.
    #[must_use]
    pub fn loads_succeeded(&self) -> u64 {
        self.loads_succeeded.load(Relaxed)
    }

    /// Loads that brought nothing.
    #[must_use]
    pub fn loads_failed(&self) -> u64 {
        self.loads_failed.load(Relaxed)
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

    /// The state file was to be written.
    pub(super) fn state_ended<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.state_written } else { &self.state_failed };
        counter.fetch_add(1, Relaxed);
    }

    /// A load has ended.
    pub(super) fn load_ended<T, E>(&self, outcome: &Result<T, E>) {
        let counter = if outcome.is_ok() { &self.loads_succeeded } else { &self.loads_failed };
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
