//! Loads from the source. At most one runs at a time, and all requests that need newer data share
//! it. A load belongs to no request: it continues after the request that started it has ended.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::SignedDuration;

use crate::directory::history::{Outcome, PastLoad};
use crate::directory::{Directory, Progress, Snapshot, SourceError, progress_log};

/// Longest cool-down after a failed load. A load that took long to fail has a cool-down of the same
/// length, up to this limit.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

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

impl Directory {
    /// Returns the running load, or starts one. The caller has found `newest` too old. If a load
    /// has been published since then, its snapshot is returned instead.
    pub(super) fn refresh(&self, newest: Option<&Arc<Snapshot>>) -> Refresh {
        let mut slot = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = slot.as_ref() {
            return Refresh::UnderWay(flight.clone());
        }
        if let Some(landed) = self.servable().filter(|landed| newest.is_none_or(|newest| !Arc::ptr_eq(newest, landed)))
        {
            return Refresh::Done(landed);
        }
        // While the last load is fresh and held, another load would be held as well, whatever the
        // age of the current snapshot.
        if self.0.held.load().is_some() && self.0.fresh.contains_key(&()) {
            return Refresh::Paused;
        }
        self.take_off(&mut slot).map_or(Refresh::Paused, Refresh::UnderWay)
    }

    /// Starts a load, unless the cool-down after a failed load is still on. The caller holds the
    /// lock of `slot` and has checked that no load is running.
    pub(super) fn take_off(&self, slot: &mut Option<Flight>) -> Option<Flight> {
        let now = self.0.clock.monotonic();
        if self.0.failure.load().as_ref().is_some_and(|failure| now < failure.until) {
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
        let log = self.servable().is_none().then(|| {
            tracing::info!("all persons are being read from Personio; until that is done, lists are answered with 503");
            self.0.runtime.spawn(progress_log::log(Arc::clone(&progress), Arc::clone(&self.0.clock), started))
        });
        let load = async {
            let approvals = self.0.approvals.load(Relaxed);
            let served = self.memory();
            let news = self.0.source.load_after(&progress, served.clone()).await?;
            self.land(news, served, SignedDuration::try_from(started).unwrap_or_default(), approvals).await
        };
        // A panic must not leave the slot occupied: no other load could start.
        let outcome = AssertUnwindSafe(load).catch_unwind().await.unwrap_or_else(|_| Err(broke_off()));
        if let Some(log) = log {
            log.abort();
        }
        let took = self.0.clock.monotonic().saturating_sub(started);
        self.0.counters.load_ended(outcome.is_ok(), took, self.0.clock.now());
        if let Err(reason) = &outcome {
            self.failed(reason, took);
        }
        let (requests, ended) = (progress.requests(), outcome.clone().unwrap_or_else(Outcome::Failed));
        self.0.history.note(PastLoad { began, took, requests, outcome: ended });
        // The slot is emptied last, so that no request starts a load while this outcome is not yet
        // visible.
        self.0.flight.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.map(|_| ())
    }

    fn failed(&self, reason: &SourceError, took: Duration) {
        tracing::error!("the directory could not be loaded: {reason}");
        let at = self.0.clock.monotonic();
        // A load that took long to fail is not repeated at once.
        let pause = took.clamp(self.0.freshness.pause, LONGEST_PAUSE.max(self.0.freshness.pause));
        let since = self.0.failure.load().as_ref().map_or(at, |earlier| earlier.since);
        self.0.failure.store(Some(Arc::new(Failure { at, since, until: at + pause, reason: reason.clone() })));
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
    SourceError::new("the load broke off, which is a fault of this program".to_owned())
}
