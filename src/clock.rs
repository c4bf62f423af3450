//! Time as a parameter. The date decides whether a person is active, and the age of data must not
//! depend on changes of the system clock. Tasks that run at certain times wait by the same clock, so
//! that a test can let hours pass at once.
//!
//! Time-outs of connections and requests are not part of this module: they go by the runtime.

#[cfg(test)]
#[path = "../tests/api/test_clock.rs"]
pub mod test_clock;

use std::time::Duration;
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

use futures_util::future::BoxFuture;
use jiff::Timestamp;

/// Longest time for which [`SystemClock`] sleeps before it reads the time again. The runtime does
/// not count the time in which the machine sleeps.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// Source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time of day, for dates and for time stamps in resources.
    fn now(&self) -> Timestamp;
    /// Returns the time since a fixed moment in the past, for ages. It never decreases.
    fn monotonic(&self) -> Duration;
    /// Returns a future that completes when [`Clock::monotonic`] reaches `deadline`.
    fn wait_until(&self, deadline: Duration) -> BoxFuture<'static, ()>;
    /// Returns a future that completes when `time` has passed from now on.
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.wait_until(self.monotonic().saturating_add(time))
    }
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

    fn wait_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let clock = *self;
        Box::pin(async move {
            loop {
                let remaining = deadline.saturating_sub(clock.monotonic());
                if remaining.is_zero() {
                    return;
                }
                tokio::time::sleep(remaining.min(MAX_SLEEP)).await;
            }
        })
    }
}
