//! The time, as a parameter: whether a person is active depends on today, and how old data is
//! must not depend on somebody setting the computer's clock. Waiting is not its business.

use std::time::Duration;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

use jiff::Timestamp;

/// Where the program reads the time.
pub trait Clock: Send + Sync + 'static {
    /// The time of day, for dates and for what is written into resources.
    fn now(&self) -> Timestamp;
    /// The time since a fixed moment in the past, never set back: for ages.
    fn monotonic(&self) -> Duration;
}

/// The clock of the machine. Time in which the machine sleeps passes as well: data gets older then, too.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    #[cfg(target_os = "linux")]
    started: Duration,
    #[cfg(not(target_os = "linux"))]
    started: Instant,
}

impl SystemClock {
    /// A clock whose [`Clock::monotonic`] counts from now.
    #[must_use]
    pub fn new() -> Self {
        Self { started: elapsed() }
    }
}

/// The time since the machine was started. [`std::time::Instant`] would leave out when it slept.
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
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
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
