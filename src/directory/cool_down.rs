//! Cool-down after a failed load: a pause until the next one, which protects the source during an
//! outage.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::clock::Clock;
use crate::directory::SourceError;

/// Longest cool-down after a failed load. A load that took long to fail has a cool-down of the same
/// length, up to this limit.
const MAX_COOL_DOWN: Duration = Duration::from_secs(600);

/// Last load, if it failed.
#[derive(Debug, Clone)]
pub struct LastFailure {
    /// Reason of the failure.
    pub reason: SourceError,
    /// Time since the failure.
    pub age: Duration,
    /// Time since the first failure after the last successful load.
    pub failing_for: Duration,
}

/// Last load, if it failed. All times are on the monotonic clock.
#[derive(Debug)]
struct FailedLoad {
    failed_at: Duration,
    /// Time of the first failure since the last successful load.
    first_failed_at: Duration,
    /// End of the cool-down: the earliest start of the next load.
    cool_down_ends: Duration,
    reason: SourceError,
}

/// Cool-down after a failed load.
pub(super) struct CoolDown {
    failed: ArcSwapOption<FailedLoad>,
    /// Shortest cool-down.
    min: Duration,
    clock: Arc<dyn Clock>,
}

impl CoolDown {
    pub(super) fn new(min: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { failed: ArcSwapOption::empty(), min, clock }
    }

    /// Reports whether no load may start now.
    pub(super) fn is_on(&self) -> bool {
        self.left().is_some_and(|left| !left.is_zero())
    }

    /// Returns the time until a load may start, or `None` if the last load did not fail.
    pub(super) fn left(&self) -> Option<Duration> {
        let ends = self.failed.load().as_ref()?.cool_down_ends;
        Some(ends.saturating_sub(self.clock.monotonic()))
    }

    /// Describes the last load, if it failed.
    pub(super) fn last_failure(&self) -> Option<LastFailure> {
        let failed = self.failed.load_full()?;
        let now = self.clock.monotonic();
        Some(LastFailure {
            reason: failed.reason.clone(),
            age: now.saturating_sub(failed.failed_at),
            failing_for: now.saturating_sub(failed.first_failed_at),
        })
    }

    /// Starts the cool-down after a load that failed after `duration`, and logs the failure.
    pub(super) fn start(&self, reason: &SourceError, duration: Duration) {
        let failed_at = self.clock.monotonic();
        // A load that took long to fail is not repeated at once.
        let cool_down = duration.clamp(self.min, MAX_COOL_DOWN.max(self.min));
        tracing::error!(
            "the load failed, and the next one starts in {} s at the earliest: {reason}",
            cool_down.as_secs()
        );
        let first_failed_at = match self.failed.load().as_ref() {
            Some(earlier) => earlier.first_failed_at,
            None => failed_at,
        };
        self.failed.store(Some(Arc::new(FailedLoad {
            failed_at,
            first_failed_at,
            cool_down_ends: failed_at + cool_down,
            reason: reason.clone(),
        })));
    }

    /// Ends the cool-down after a successful load.
    pub(super) fn clear(&self) {
        self.failed.store(None);
    }
}
