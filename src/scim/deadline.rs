//! Deadline of a running query.

use std::time::{Duration, Instant};

/// Time at which a running query is stopped. It is a limit on work, so it goes by the machine's
/// time and not by the clock of dates and ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Instant);

/// Error of a query that was stopped at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query was stopped at its deadline")]
pub struct DeadlineExceeded;

impl Deadline {
    /// Returns the deadline of a query that begins now and may take `time`.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// Reports whether the deadline is over at `now`.
    #[must_use]
    pub fn is_over(self, now: Instant) -> bool {
        now > self.0
    }
}

/// Fails if there is a deadline and it is over.
pub(in crate::scim) fn check(deadline: Option<Deadline>) -> Result<(), DeadlineExceeded> {
    match deadline {
        Some(deadline) if deadline.is_over(Instant::now()) => Err(DeadlineExceeded),
        Some(_) | None => Ok(()),
    }
}
