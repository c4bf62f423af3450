//! State of the directory at one moment, for operators.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::directory::{
    AffectedUser, ChangeId, Directory, DirectoryMetrics, FinishedLoad, HeldChangeSummary,
    LastFailure, RemainingTime, Snapshot, SourceLogin, WriteStatus,
};

/// Running load.
#[derive(Debug, Clone)]
pub struct LoadStatus {
    /// Progress, in words.
    pub progress: String,
    /// Estimate of the remaining time.
    pub remaining: Option<RemainingTime>,
    /// Time since its start.
    pub elapsed: Duration,
}

/// State of the directory at one moment, as [`Directory::state`] returns it.
#[derive(Debug, Clone)]
pub struct DirectoryState {
    /// Snapshot that may be served, if any, and its age.
    pub snapshot: Option<(Arc<Snapshot>, Duration)>,
    /// Time for which some of the users have been outdated, unverified or without look-up names.
    pub incomplete_for: Option<Duration>,
    /// Time for which there has been no snapshot to serve.
    pub missing_for: Option<Duration>,
    /// Running load, if any.
    pub loading: Option<LoadStatus>,
    /// Last load, if it failed.
    pub failure: Option<LastFailure>,
}

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
    /// Returns the state of the directory.
    #[must_use]
    pub fn state(&self) -> DirectoryState {
        // The running load is read first: if there is none, the outcome of the last one is visible.
        let running = self.0.loader.running();
        let store = &self.0.store;
        let now = store.clock.monotonic();
        DirectoryState {
            snapshot: store.servable().map(|snapshot| (Arc::clone(&snapshot), snapshot.age(now))),
            incomplete_for: store.incomplete_for(),
            missing_for: store.missing_for(),
            loading: running.map(|running| running.status(now)),
            failure: self.0.loader.cool_down.last_failure(),
        }
    }

    /// Returns the expected start of the next load.
    #[must_use]
    pub fn next_load(&self) -> NextLoad {
        let loader = &self.0.loader;
        if loader.running().is_some() {
            return NextLoad::Running;
        }
        let store = &self.0.store;
        let refresh_every = store.limits.refresh_every;
        if let Some(left) = loader.cool_down.left() {
            return match refresh_every {
                Some(_) => NextLoad::After(left),
                None => NextLoad::WithRequestAfter(left),
            };
        }
        let Some(interval) = refresh_every else {
            return NextLoad::WithRequestAfter(store.fresh_for());
        };
        let since_start = match self.history().pop() {
            Some(last) => store.clock.now().duration_since(last.started_at),
            None => SignedDuration::ZERO,
        };
        let since_start = Duration::try_from(since_start).unwrap_or_default();
        NextLoad::After(interval.saturating_sub(since_start))
    }

    /// Returns the last loads, the newest last.
    #[must_use]
    pub fn history(&self) -> Vec<FinishedLoad> {
        self.0.loader.history.all()
    }

    /// Returns the counters of the directory.
    #[must_use]
    pub fn metrics(&self) -> &DirectoryMetrics {
        &self.0.store.metrics
    }

    /// Returns the time since the server was started.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.0.store.clock.monotonic()
    }

    /// Returns the last known state of the login at the source.
    #[must_use]
    pub fn login(&self) -> Option<SourceLogin> {
        self.0.source.login()
    }

    /// Returns a condition of the source that does no harm yet and that an operator should know.
    #[must_use]
    pub fn source_warning(&self) -> Option<String> {
        self.0.source.warning()
    }

    /// Returns the held change, if any.
    #[must_use]
    pub fn held_change(&self) -> Option<HeldChangeSummary> {
        self.0.guard.held_change()
    }

    /// Returns all users that the held change affects, or `None` if another change is held by now.
    #[must_use]
    pub fn affected_users(&self, id: ChangeId) -> Option<Vec<AffectedUser>> {
        self.0.guard.affected_users(id)
    }

    /// Returns the state of persistence, or `None` if no state file is configured.
    #[must_use]
    pub fn state_write_status(&self) -> Option<WriteStatus> {
        self.0.publisher.write_status()
    }
}
