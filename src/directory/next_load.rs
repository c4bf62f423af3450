//! The time of the next load, for those who look after the server.

use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::Directory;

/// The next load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextLoad {
    /// It is under way.
    UnderWay,
    /// It begins by itself after this time.
    In(Duration),
    /// It begins with the first request after this time.
    WithRequestIn(Duration),
}

impl Directory {
    /// Returns when the next load begins.
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

    /// Returns for how long the server has run.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.clock.monotonic()
    }
}
