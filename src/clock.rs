//! Time as a parameter. The date decides whether a person is active, and the age of data must not
//! depend on changes of the system clock. Waiting is not part of this module.

use std::time::Duration;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

use jiff::Timestamp;

/// Source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time of day, for dates and for time stamps in resources.
    fn now(&self) -> Timestamp;
    /// Returns the time since a fixed moment in the past, for ages. It never decreases.
    fn monotonic(&self) -> Duration;
}

/// Clock of the machine. On Linux, time in which the machine sleeps counts as well, because data
/// ages during that time.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    #[cfg(target_os = "linux")]
    started: Duration,
    #[cfg(not(target_os = "linux"))]
    started: Instant,
}

impl SystemClock {
    /// Creates a clock whose [`Clock::monotonic`] begins at zero now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: elapsed() }
    }
}

/// Returns the time since the machine was started, including sleep. [`std::time::Instant`] does not
/// count sleep.
#[cfg(target_os = "linux")]
fn elapsed() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn elapsed() -> Instant {
    Instant::now()
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "only this place reads the system clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        elapsed().saturating_sub(self.started)
    }

    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
