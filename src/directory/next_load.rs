//! Prediction of the start of the next load, for operators.

use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::Directory;

/// Start of the next load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLoad {
    /// A load is running.
    UnderWay,
    /// The load starts by itself after this time.
    In(Duration),
    /// The load starts with the first request after this time.
    WithRequestIn(Duration),
}

impl Directory {
    /// Returns the expected start of the next load.
    #[must_use]
    pub fn next_load(&self) -> NextLoad {
        let state = self.state();
        if state.loading.is_some() {
            return NextLoad::UnderWay;
        }
        let freshness = self.0.freshness;
        if let Some(failure) = self.0.failure.load_full() {
            let pause = failure.until.saturating_sub(self.0.clock.monotonic());
            return match freshness.refresh_every {
                Some(_) => NextLoad::In(pause),
                None => NextLoad::WithRequestIn(pause),
            };
        }
        let mut since_began = SignedDuration::ZERO;
        let mut took = Duration::ZERO;
        if let Some(last) = self.history().pop() {
            since_began = self.0.clock.now().duration_since(last.began);
            took = last.took;
        }
        let since_began = Duration::try_from(since_began).unwrap_or_default();
        match freshness.refresh_every {
            Some(every) => NextLoad::In(every.saturating_sub(since_began)),
            None => {
                let fresh_for = freshness.cache_ttl + took;
                NextLoad::WithRequestIn(fresh_for.saturating_sub(since_began))
            }
        }
    }

    /// Returns the time since the server was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.clock.monotonic()
    }
}
