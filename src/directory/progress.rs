//! Progress of a load, for clients and operators that wait for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Progress of one load. It holds numbers only, and no personal data.
#[derive(Debug, Default)]
pub struct Progress {
    /// Number of persons listed so far.
    listed: AtomicUsize,
    /// Number of all persons; 0 until the list is complete.
    total: AtomicUsize,
    /// Number of persons whose employments are known.
    enriched: AtomicUsize,
    /// Number of requests that the load has sent.
    cost: AtomicU64,
}

impl Progress {
    /// Adds `count` persons to those listed.
    pub fn listed(&self, count: usize) {
        self.listed.fetch_add(count, Relaxed);
    }

    /// Marks the list as complete, with `total` persons.
    pub fn complete(&self, total: usize) {
        self.total.store(total, Relaxed);
    }

    /// Adds one person whose employments are known.
    pub fn enriched(&self) {
        self.enriched.fetch_add(1, Relaxed);
    }

    /// Returns the number of persons listed so far.
    #[must_use]
    pub fn persons(&self) -> usize {
        self.listed.load(Relaxed)
    }

    /// Returns the number of persons whose employments are known and the number of all persons, or
    /// `None` before the list is complete.
    #[must_use]
    pub fn details(&self) -> Option<(usize, usize)> {
        let total = self.total.load(Relaxed);
        if total == 0 {
            return None;
        }
        Some((self.enriched.load(Relaxed), total))
    }

    /// Sets the number of requests that the load has sent.
    pub fn cost(&self, requests: u64) {
        self.cost.store(requests, Relaxed);
    }

    /// Returns the number of requests that the load has sent, as last reported.
    pub(super) fn requests(&self) -> u64 {
        self.cost.load(Relaxed)
    }

    /// Returns an estimate of the remaining time, extrapolated from the work done in `taken`, or
    /// `None` while nothing is done.
    #[must_use]
    pub fn left(&self, taken: Duration) -> Option<Left> {
        let (done, total) = self.details()?;
        if done == 0 {
            return None;
        }
        let left = total.saturating_sub(done);
        Some(Left(taken.mul_f64(left as f64 / done as f64)))
    }

    /// Returns the time after which a client should retry, extrapolated from the work done in
    /// `taken`: from 1 to 120 s, and 10 s while nothing is done.
    #[must_use]
    pub fn remaining(&self, taken: Duration) -> Duration {
        let total = self.total.load(Relaxed);
        let done = self.enriched.load(Relaxed);
        let guess = if done == 0 {
            10.0
        } else {
            taken.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64
        };
        Duration::from_secs(guess.ceil().clamp(1.0, 120.0) as u64)
    }
}

/// Estimate of the remaining time of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left(Duration);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..90 => write!(f, "about {} s left", seconds.max(1)),
            seconds => write!(f, "about {} min left", (seconds + 30) / 60),
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total.load(Relaxed) {
            0 => write!(f, "{} persons listed so far", self.listed.load(Relaxed)),
            total => write!(f, "{} of {total} persons read", self.enriched.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_is_extrapolated_from_the_work_done() {
        let progress = Progress::default();
        progress.listed(50);
        assert_eq!(progress.to_string(), "50 persons listed so far");
        assert_eq!(progress.remaining(Duration::from_secs(3)), Duration::from_secs(10));
        assert_eq!((progress.persons(), progress.details()), (50, None));
        assert_eq!(progress.left(Duration::from_secs(3)), None);
        progress.complete(90);
        (0..30).for_each(|_| progress.enriched());
        assert_eq!(progress.to_string(), "30 of 90 persons read");
        assert_eq!(progress.details(), Some((30, 90)));
        assert_eq!(progress.remaining(Duration::from_secs(10)), Duration::from_secs(20));
        assert_eq!(progress.left(Duration::from_secs(10)).unwrap().to_string(), "about 20 s left");
        assert_eq!(progress.left(Duration::from_secs(60)).unwrap().to_string(), "about 2 min left");
        assert_eq!(progress.remaining(Duration::from_secs(9999)), Duration::from_secs(120));
    }
}
