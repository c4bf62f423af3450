//! Progress of a load, for clients and operators that wait for it.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Progress of one load. It holds numbers only, and no personal data.
#[derive(Debug, Default)]
pub struct LoadProgress {
    /// Number of persons listed so far.
    listed_count: AtomicUsize,
    /// Number of all persons; 0 until the list is complete.
    total: AtomicUsize,
    /// Number of persons whose employments are known.
    enriched_count: AtomicUsize,
    /// Number of requests that the load has sent.
    request_count: AtomicU64,
}

impl LoadProgress {
    /// Adds `count` persons to those listed.
    pub fn add_listed(&self, count: usize) {
        self.listed_count.fetch_add(count, Relaxed);
    }

    /// Marks the list as complete, with `total` persons.
    pub fn set_total(&self, total: usize) {
        self.total.store(total, Relaxed);
    }

    /// Adds one person whose employments are known.
    pub fn add_enriched(&self) {
        self.enriched_count.fetch_add(1, Relaxed);
    }

    /// Returns the number of persons listed so far.
    #[must_use]
    pub fn listed_persons(&self) -> usize {
        self.listed_count.load(Relaxed)
    }

    /// Returns the number of persons whose employments are known and the number of all persons, or
    /// `None` before the list is complete.
    #[must_use]
    pub fn enriched_of_total(&self) -> Option<(usize, usize)> {
        let total = self.total.load(Relaxed);
        if total == 0 {
            return None;
        }
        Some((self.enriched_count.load(Relaxed), total))
    }

    /// Sets the number of requests that the load has sent.
    pub fn set_requests(&self, requests: u64) {
        self.request_count.store(requests, Relaxed);
    }

    /// Returns the number of requests that the load has sent, as last reported.
    pub(super) fn requests(&self) -> u64 {
        self.request_count.load(Relaxed)
    }

    /// Returns an estimate of the remaining time, extrapolated from the work done in `elapsed`, or
    /// `None` while nothing is done.
    #[must_use]
    pub fn remaining_time(&self, elapsed: Duration) -> Option<RemainingTime> {
        let (done, total) = self.enriched_of_total()?;
        if done == 0 {
            return None;
        }
        let remaining = total.saturating_sub(done);
        Some(RemainingTime(elapsed.mul_f64(remaining as f64 / done as f64)))
    }

    /// Returns the time after which a client should retry, extrapolated from the work done in
    /// `elapsed`: from 1 to 120 s, and 10 s while nothing is done.
    #[must_use]
    pub fn retry_after(&self, elapsed: Duration) -> Duration {
        let total = self.total.load(Relaxed);
        let done = self.enriched_count.load(Relaxed);
        let seconds = if done == 0 {
            10.0
        } else {
            elapsed.as_secs_f64() * total.saturating_sub(done) as f64 / done as f64
        };
        Duration::from_secs(seconds.ceil().clamp(1.0, 120.0) as u64)
    }
}

/// Estimate of the remaining time of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemainingTime(Duration);

impl fmt::Display for RemainingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 0..90 => write!(f, "about {} s left", seconds.max(1)),
            seconds => write!(f, "about {} min left", (seconds + 30) / 60),
        }
    }
}

impl fmt::Display for LoadProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total.load(Relaxed) {
            0 => write!(f, "{} persons listed so far", self.listed_count.load(Relaxed)),
            total => write!(f, "{} of {total} persons read", self.enriched_count.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining_time_is_extrapolated_from_the_work_done() {
        let progress = LoadProgress::default();
        progress.add_listed(50);
        assert_eq!(progress.to_string(), "50 persons listed so far");
        assert_eq!(progress.retry_after(Duration::from_secs(3)), Duration::from_secs(10));
        assert_eq!((progress.listed_persons(), progress.enriched_of_total()), (50, None));
        assert_eq!(progress.remaining_time(Duration::from_secs(3)), None);
        progress.set_total(90);
        (0..30).for_each(|_| progress.add_enriched());
        assert_eq!(progress.to_string(), "30 of 90 persons read");
        assert_eq!(progress.enriched_of_total(), Some((30, 90)));
        assert_eq!(progress.retry_after(Duration::from_secs(10)), Duration::from_secs(20));
        assert_eq!(
            progress.remaining_time(Duration::from_secs(10)).unwrap().to_string(),
            "about 20 s left"
        );
        assert_eq!(
            progress.remaining_time(Duration::from_secs(60)).unwrap().to_string(),
            "about 2 min left"
        );
        assert_eq!(progress.retry_after(Duration::from_secs(9999)), Duration::from_secs(120));
    }
}
