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
        let pause = self.0.failure.load_full().map(|failure| failure.until.saturating_sub(self.0.clock.monotonic()));
        let last = self.history().pop();
        let since_began =
            last.as_ref().map_or(SignedDuration::ZERO, |load| self.0.clock.now().duration_since(load.began));
        let since_began = Duration::try_from(since_began).unwrap_or_default();
        let took = last.map_or(Duration::ZERO, |load| load.took);
        match (pause, freshness.refresh_every) {
            (Some(pause), Some(_)) => NextLoad::In(pause),
            (Some(pause), None) => NextLoad::WithRequestIn(pause),
            (None, Some(every)) => NextLoad::In(every.saturating_sub(since_began)),
            (None, None) => NextLoad::WithRequestIn((freshness.cache_ttl + took).saturating_sub(since_began)),
        }
    }

    /// Returns the time since the server was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.clock.monotonic()
    }
}
