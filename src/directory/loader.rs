//! Loads from the source. At most one runs at a time, and all requests that need newer data share
//! it. A load belongs to no request: it continues after the request that started it has ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::SignedDuration;

use crate::directory::history::{FinishedLoad, LoadOutcome};
use crate::directory::{
    Directory, LastFailure, LoadProgress, LoadStatus, Snapshot, SourceError, lock, progress_log,
};

/// Longest cool-down after a failed load. A load that took long to fail has a cool-down of the same
/// length, up to this limit.
const MAX_COOL_DOWN: Duration = Duration::from_secs(600);

/// Last load, if it failed. All times are on the monotonic clock.
#[derive(Debug)]
pub(super) struct FailedLoad {
    /// Time of the failure.
    pub(super) failed_at: Duration,
    /// Time of the first failure since the last successful load.
    pub(super) first_failed_at: Duration,
    /// End of the cool-down: the earliest start of the next load.
    pub(super) cool_down_ends: Duration,
    pub(super) reason: SourceError,
}

impl FailedLoad {
    /// Describes the failure for operators. `now` is a time on the monotonic clock.
    pub(super) fn last_failure(&self, now: Duration) -> LastFailure {
        LastFailure {
            reason: self.reason.clone(),
            age: now.saturating_sub(self.failed_at),
            failing_for: now.saturating_sub(self.first_failed_at),
        }
    }
}

/// Future that resolves when a load has ended. Clones share the outcome.
pub(super) type LoadFuture = Shared<BoxFuture<'static, Result<(), SourceError>>>;

/// Running load.
#[derive(Clone)]
pub(super) struct RunningLoad {
    /// Start, on the monotonic clock.
    pub(super) started: Duration,
    pub(super) progress: Arc<LoadProgress>,
    pub(super) outcome: LoadFuture,
}

impl RunningLoad {
    /// Describes the load for operators. `now` is a time on the monotonic clock.
    pub(super) fn loading(&self, now: Duration) -> LoadStatus {
        let elapsed = now.saturating_sub(self.started);
        let remaining = self.progress.remaining_time(elapsed);
        LoadStatus { progress: self.progress.to_string(), remaining, elapsed }
    }
}

impl Directory {
    /// Returns the running load, or starts one. The caller has found `newest` too old. If a load
    /// has been published since then, its snapshot is returned instead.
    pub(super) fn join_or_start_load(&self, newest: Option<&Arc<Snapshot>>) -> LoadDecision {
        let mut slot = lock(&self.0.running_load);
        if let Some(running) = slot.as_ref() {
            return LoadDecision::Running(running.clone());
        }
        if let Some(newer) = self.current_if_servable()
            && newest.is_none_or(|newest| !Arc::ptr_eq(newest, &newer))
        {
            return LoadDecision::AlreadyNewer(newer);
        }
        // While the last load is fresh and held, another load would be held as well, whatever the
        // age of the current snapshot.
        if self.0.held_load.load().is_some() && self.is_last_load_fresh() {
            return LoadDecision::Refused;
        }
        match self.start_load(&mut slot) {
            Some(running) => LoadDecision::Running(running),
            None => LoadDecision::Refused,
        }
    }

    /// Starts a load, unless the cool-down after a failed load is still on. The caller holds the
    /// lock of `slot` and has checked that no load is running.
    pub(super) fn start_load(&self, slot: &mut Option<RunningLoad>) -> Option<RunningLoad> {
        let now = self.0.clock.monotonic();
        if let Some(failure) = self.0.failed_load.load().as_ref()
            && now < failure.cool_down_ends
        {
            return None;
        }
        let progress = Arc::new(LoadProgress::default());
        self.0.debounce.mark_load_started();
        let task = self.0.runtime.spawn(self.clone().run_load(now, Arc::clone(&progress)));
        let load = task.map(|ended| ended.unwrap_or_else(|_| Err(load_panicked())));
        let running = RunningLoad { started: now, progress, outcome: load.boxed().shared() };
        *slot = Some(running.clone());
        Some(running)
    }

    /// Runs one load, from the first request until the snapshot is published or held. The age of
    /// the data counts from the start of its load, because Personio may change a person just after
    /// the load has read them.
    async fn run_load(
        self,
        started: Duration,
        progress: Arc<LoadProgress>,
    ) -> Result<(), SourceError> {
        let started_at = self.0.clock.now();
        // Without a snapshot all requests wait for this load, so its progress is logged.
        let log = if self.current_if_servable().is_none() {
            tracing::info!(
                "all persons are being read from Personio; until that is done, requests for lists \
                 get 503"
            );
            let clock = Arc::clone(&self.0.clock);
            let log = progress_log::log(Arc::clone(&progress), clock, started);
            Some(self.0.runtime.spawn(log))
        } else {
            None
        };
        // A panic must not leave the slot occupied: no other load could start.
        let load = AssertUnwindSafe(self.load_and_publish(started, &progress)).catch_unwind();
        let outcome = load.await.unwrap_or_else(|_| Err(load_panicked()));
        if let Some(log) = log {
            log.abort();
        }
        let duration = self.0.clock.monotonic().saturating_sub(started);
        self.0.metrics.loads.count(outcome.is_ok(), duration, self.0.clock.now());
        if let Err(reason) = &outcome {
            self.record_failure(reason, duration);
        }
        self.0.history.push(FinishedLoad {
            started_at,
            duration,
            requests: progress.requests(),
            outcome: outcome.clone().unwrap_or_else(LoadOutcome::Failed),
        });
        // The slot is emptied last, so that no request starts a load while this outcome is not yet
        // visible.
        lock(&self.0.running_load).take();
        outcome.map(|_| ())
    }

    /// Reads all persons, and publishes or holds the result.
    async fn load_and_publish(
        &self,
        started: Duration,
        progress: &LoadProgress,
    ) -> Result<LoadOutcome, SourceError> {
        let approvals = self.0.approvals.load(Relaxed);
        let served = self.sync_state();
        let result = self.0.source.refresh(progress, served.clone()).await?;
        let started = SignedDuration::try_from(started).unwrap_or_default();
        self.publish_or_hold(result, served, started, approvals).await
    }

    fn record_failure(&self, reason: &SourceError, duration: Duration) {
        let failed_at = self.0.clock.monotonic();
        // A load that took long to fail is not repeated at once.
        let cool_down = duration
            .clamp(self.0.freshness.cool_down, MAX_COOL_DOWN.max(self.0.freshness.cool_down));
        tracing::error!(
            "the load failed, and the next one starts in {} s at the earliest: {reason}",
            cool_down.as_secs()
        );
        let first_failed_at = match self.0.failed_load.load().as_ref() {
            Some(earlier) => earlier.first_failed_at,
            None => failed_at,
        };
        let failure = FailedLoad {
            failed_at,
            first_failed_at,
            cool_down_ends: failed_at + cool_down,
            reason: reason.clone(),
        };
        self.0.failed_load.store(Some(Arc::new(failure)));
    }
}

/// Outcome of a request for newer data.
pub(super) enum LoadDecision {
    /// A newer snapshot is already there.
    AlreadyNewer(Arc<Snapshot>),
    /// A load is running.
    Running(RunningLoad),
    /// No load may start now: the cool-down is on, which protects Personio during an outage, or the
    /// last load is fresh and held.
    Refused,
}

fn load_panicked() -> SourceError {
    SourceError::internal("the load panicked, and the log has the place")
}
