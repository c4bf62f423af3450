//! Loads from the source. At most one runs at a time, and all requests that need newer data share
//! it. A load belongs to no request: it continues after the request that started it has ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::SignedDuration;

use crate::directory::history::{Outcome, PastLoad};
use crate::directory::{
    Directory, LastFailure, Loading, Progress, Snapshot, SourceError, lock, progress_log,
};

/// Longest cool-down after a failed load. A load that took long to fail has a cool-down of the same
/// length, up to this limit.
const MAX_COOL_DOWN: Duration = Duration::from_secs(600);

/// Last load, if it failed. All times are on the monotonic clock.
#[derive(Debug)]
pub(super) struct Failure {
    /// Time of the failure.
    pub(super) at: Duration,
    /// Time of the first failure since the last successful load.
    pub(super) since: Duration,
    /// End of the cool-down: the earliest start of the next load.
    pub(super) until: Duration,
    pub(super) reason: SourceError,
}

impl Failure {
    /// Describes the failure for operators. `now` is a time on the monotonic clock.
    pub(super) fn last_failure(&self, now: Duration) -> LastFailure {
        LastFailure {
            reason: self.reason.clone(),
            ago: now.saturating_sub(self.at),
            since: now.saturating_sub(self.since),
        }
    }
}

/// Future that resolves when a load has ended. Clones share the outcome.
pub(super) type Load = Shared<BoxFuture<'static, Result<(), SourceError>>>;

/// Running load.
#[derive(Clone)]
pub(super) struct Flight {
    /// Start, on the monotonic clock.
    pub(super) started: Duration,
    pub(super) progress: Arc<Progress>,
    pub(super) load: Load,
}

impl Flight {
    /// Describes the load for operators. `now` is a time on the monotonic clock.
    pub(super) fn loading(&self, now: Duration) -> Loading {
        let since = now.saturating_sub(self.started);
        let left = self.progress.left(since);
        Loading { progress: self.progress.to_string(), left, since }
    }
}

impl Directory {
    /// Returns the running load, or starts one. The caller has found `newest` too old. If a load
    /// has been published since then, its snapshot is returned instead.
    pub(super) fn refresh(&self, newest: Option<&Arc<Snapshot>>) -> Refresh {
        let mut slot = lock(&self.0.flight);
        if let Some(flight) = slot.as_ref() {
            return Refresh::UnderWay(flight.clone());
        }
        if let Some(landed) = self.servable()
            && newest.is_none_or(|newest| !Arc::ptr_eq(newest, &landed))
        {
            return Refresh::Done(landed);
        }
        // While the last load is fresh and held, another load would be held as well, whatever the
        // age of the current snapshot.
        if self.0.held.load().is_some() && self.0.fresh.contains_key(&()) {
            return Refresh::Paused;
        }
        match self.take_off(&mut slot) {
            Some(flight) => Refresh::UnderWay(flight),
            None => Refresh::Paused,
        }
    }

    /// Starts a load, unless the cool-down after a failed load is still on. The caller holds the
    /// lock of `slot` and has checked that no load is running.
    pub(super) fn take_off(&self, slot: &mut Option<Flight>) -> Option<Flight> {
        let now = self.0.clock.monotonic();
        if let Some(failure) = self.0.failure.load().as_ref()
            && now < failure.until
        {
            return None;
        }
        let progress = Arc::new(Progress::default());
        self.0.notices.load_begins();
        let task = self.0.runtime.spawn(self.clone().load(now, Arc::clone(&progress)));
        let load = task.map(|ended| ended.unwrap_or_else(|_| Err(broke_off())));
        let flight = Flight { started: now, progress, load: load.boxed().shared() };
        *slot = Some(flight.clone());
        Some(flight)
    }

    /// Runs one load, from the first request until the snapshot is published or held. The age of
    /// the data counts from the start of its load, because Personio may change a person just after
    /// the load has read them.
    async fn load(self, started: Duration, progress: Arc<Progress>) -> Result<(), SourceError> {
        let began = self.0.clock.now();
        // Without a snapshot all requests wait for this load, so its progress is logged.
        let log = if self.servable().is_none() {
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
        let load = AssertUnwindSafe(self.read_and_land(started, &progress)).catch_unwind();
        let outcome = load.await.unwrap_or_else(|_| Err(broke_off()));
        if let Some(log) = log {
            log.abort();
        }
        let took = self.0.clock.monotonic().saturating_sub(started);
        self.0.counters.load_ended(outcome.is_ok(), took, self.0.clock.now());
        if let Err(reason) = &outcome {
            self.failed(reason, took);
        }
        self.0.history.note(PastLoad {
            began,
            took,
            requests: progress.requests(),
            outcome: outcome.clone().unwrap_or_else(Outcome::Failed),
        });
        // The slot is emptied last, so that no request starts a load while this outcome is not yet
        // visible.
        lock(&self.0.flight).take();
        outcome.map(|_| ())
    }

    /// Reads all persons, and publishes or holds the result.
    async fn read_and_land(
        &self,
        started: Duration,
        progress: &Progress,
    ) -> Result<Outcome, SourceError> {
        let approvals = self.0.approvals.load(Relaxed);
        let served = self.memory();
        let news = self.0.source.load_after(progress, served.clone()).await?;
        let started = SignedDuration::try_from(started).unwrap_or_default();
        self.land(news, served, started, approvals).await
    }

    fn failed(&self, reason: &SourceError, took: Duration) {
        let at = self.0.clock.monotonic();
        // A load that took long to fail is not repeated at once.
        let pause = took.clamp(self.0.freshness.pause, MAX_COOL_DOWN.max(self.0.freshness.pause));
        tracing::error!(
            "the load failed, and the next one starts in {} s at the earliest: {reason}",
            pause.as_secs()
        );
        let since = match self.0.failure.load().as_ref() {
            Some(earlier) => earlier.since,
            None => at,
        };
        let failure = Failure { at, since, until: at + pause, reason: reason.clone() };
        self.0.failure.store(Some(Arc::new(failure)));
    }
}

/// Outcome of a request for newer data.
pub(super) enum Refresh {
    /// A newer snapshot is already there.
    Done(Arc<Snapshot>),
    /// A load is running.
    UnderWay(Flight),
    /// No load may start now: the cool-down is on, which protects Personio during an outage, or the
    /// last load is fresh and held.
    Paused,
}

fn broke_off() -> SourceError {
    SourceError::new("the load was aborted by an internal error of this program".to_owned())
}
