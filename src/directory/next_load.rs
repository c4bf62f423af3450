//! Prediction of the start of the next load, for operators.

use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::Directory;

/// Start of the next load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLoad {
    /// A load is running.
    Running,
    /// The load starts by itself after this time.
    After(Duration),
    /// The load starts with the first request after this time.
    WithRequestAfter(Duration),
}

impl Directory {
    /// Returns the expected start of the next load.
    #[must_use]
    pub fn next_load(&self) -> NextLoad {
        let state = self.state();
        if state.loading.is_some() {
            return NextLoad::Running;
        }
        let freshness = self.0.freshness;
        if let Some(failure) = self.0.failed_load.load_full() {
            let cool_down_left = failure.cool_down_ends.saturating_sub(self.0.clock.monotonic());
            return match freshness.refresh_every {
                Some(_) => NextLoad::After(cool_down_left),
                None => NextLoad::WithRequestAfter(cool_down_left),
            };
        }
        let Some(interval) = freshness.refresh_every else {
            let now = self.0.clock.monotonic();
            return NextLoad::WithRequestAfter(self.0.fresh_until.get().saturating_sub(now));
        };
        let since_start = match self.history().pop() {
            Some(last) => self.0.clock.now().duration_since(last.started_at),
            None => SignedDuration::ZERO,
        };
        let since_start = Duration::try_from(since_start).unwrap_or_default();
        NextLoad::After(interval.saturating_sub(since_start))
    }

    /// Returns the time since the server was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.clock.monotonic()
    }
}
