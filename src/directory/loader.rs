//! Loader: starts loads. At most one runs at a time, and all requests that need newer data share
//! it. A load belongs to no request: it continues after the request that started it has ended.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;

use crate::directory::cool_down::CoolDown;
use crate::directory::guard::MassChangeGuard;
use crate::directory::history::{FinishedLoad, LoadHistory, LoadOutcome};
use crate::directory::publisher::Publish;
use crate::directory::refresh_debounce::RefreshDebounce;
use crate::directory::store::Store;
use crate::directory::{LoadProgress, LoadStatus, Snapshot, SourceError, lock, progress_log};

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
    pub(super) fn status(&self, now: Duration) -> LoadStatus {
        let elapsed = now.saturating_sub(self.started);
        let remaining = self.progress.remaining_time(elapsed);
        LoadStatus { progress: self.progress.to_string(), remaining, elapsed }
    }
}

/// Decision on a request for newer data.
pub(super) enum LoadDecision {
    /// A newer snapshot is already there.
    AlreadyNewer(Arc<Snapshot>),
    /// A load is running.
    Running(RunningLoad),
    /// No load may start now: the cool-down is on, or the last load is fresh and held.
    Refused,
}

/// Starter of loads.
pub(super) struct Loader {
    pub(super) publisher: Arc<dyn Publish>,
    pub(super) store: Arc<Store>,
    pub(super) guard: Arc<MassChangeGuard>,
    pub(super) cool_down: Arc<CoolDown>,
    /// Slot of the running load. Nothing is awaited while its lock is held.
    pub(super) running: Mutex<Option<RunningLoad>>,
    pub(super) debounce: RefreshDebounce,
    pub(super) history: LoadHistory,
    /// Runtime on which all loads run.
    pub(super) runtime: Handle,
}

impl Loader {
    /// Returns the running load, if any.
    pub(super) fn running(&self) -> Option<RunningLoad> {
        lock(&self.running).clone()
    }

    /// Returns the running load, or starts one. The caller has found `newest` too old. If a load
    /// has been published since then, its snapshot is returned instead.
    pub(super) fn join_or_start(self: &Arc<Self>, newest: Option<&Arc<Snapshot>>) -> LoadDecision {
        let mut slot = lock(&self.running);
        if let Some(running) = slot.as_ref() {
            return LoadDecision::Running(running.clone());
        }
        if let Some(newer) = self.store.servable()
            && newest.is_none_or(|newest| !Arc::ptr_eq(newest, &newer))
        {
            return LoadDecision::AlreadyNewer(newer);
        }
        // While the last load is fresh and held, another load would be held as well, whatever the
        // age of the current snapshot.
        if self.guard.is_holding() && self.store.is_last_load_fresh() {
            return LoadDecision::Refused;
        }
        match self.start(&mut slot) {
            Some(running) => LoadDecision::Running(running),
            None => LoadDecision::Refused,
        }
    }

    /// Returns the running load, or starts one however fresh the data is. Returns `None` during the
    /// cool-down after a failed load.
    pub(super) fn running_or_new(self: &Arc<Self>) -> Option<LoadFuture> {
        let mut slot = lock(&self.running);
        let running = match slot.as_ref() {
            Some(running) => running.clone(),
            None => self.start(&mut slot)?,
        };
        Some(running.outcome)
    }

    /// Starts a load, unless the cool-down after a failed load is still on. The caller has checked
    /// that no load is running.
    fn start(self: &Arc<Self>, slot: &mut Option<RunningLoad>) -> Option<RunningLoad> {
        if self.cool_down.is_on() {
            return None;
        }
        let started = self.store.clock.monotonic();
        let progress = Arc::new(LoadProgress::default());
        self.debounce.mark_load_started();
        let task = self.runtime.spawn(Arc::clone(self).run(started, Arc::clone(&progress)));
        let load = task.map(|ended| ended.unwrap_or_else(|_| Err(load_panicked())));
        let running = RunningLoad { started, progress, outcome: load.boxed().shared() };
        *slot = Some(running.clone());
        Some(running)
    }

    /// Runs one load, from the first request until the snapshot is published or held. The age of
    /// the data counts from the start of its load, because Personio may change a person just after
    /// the load has read them.
    async fn run(
        self: Arc<Self>,
        started: Duration,
        progress: Arc<LoadProgress>,
    ) -> Result<(), SourceError> {
        let clock = &self.store.clock;
        let started_at = clock.now();
        // Without a snapshot all requests wait for this load, so its progress is logged.
        let log = if self.store.servable().is_none() {
            tracing::info!(
                "all persons are being read from Personio; until that is done, requests for lists \
                 get 503"
            );
            let log = progress_log::log(Arc::clone(&progress), Arc::clone(clock), started);
            Some(self.runtime.spawn(log))
        } else {
            None
        };
        // A panic must not leave the slot occupied: no other load could start.
        let load = AssertUnwindSafe(self.publisher.load(started, &progress)).catch_unwind();
        let outcome = load.await.unwrap_or_else(|_| Err(load_panicked()));
        if let Some(log) = log {
            log.abort();
        }
        let duration = clock.monotonic().saturating_sub(started);
        match &outcome {
            Ok(LoadOutcome::Published(_) | LoadOutcome::Held) => self.note_success(),
            Ok(LoadOutcome::Superseded | LoadOutcome::Failed(_)) => {}
            Err(reason) => self.cool_down.start(reason, duration),
        }
        self.store.metrics.loads.count(outcome.is_ok(), duration, clock.now());
        self.history.push(FinishedLoad {
            started_at,
            duration,
            requests: progress.requests(),
            outcome: outcome.clone().unwrap_or_else(LoadOutcome::Failed),
        });
        // The slot is emptied last, so that no request starts a load while this outcome is not yet
        // visible.
        lock(&self.running).take();
        outcome.map(|_| ())
    }

    /// Notes that a load read everything. It was published or held.
    fn note_success(&self) {
        self.cool_down.clear();
        self.debounce.mark_load_succeeded();
        self.store.renew_freshness();
    }
}

fn load_panicked() -> SourceError {
    SourceError::internal("the load panicked, and the log has the place")
}
