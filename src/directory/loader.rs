//! Loads: one at a time, for all who wait for it, each belonging to nobody in particular.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use jiff::SignedDuration;

use crate::directory::history::{Outcome, PastLoad};
use crate::directory::{Directory, Progress, Snapshot, SourceError, progress_log};

/// The longest pause after a failed load.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How the last load went, if it went wrong.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: Duration,
    /// When the first of a row of them was.
    pub(super) since: Duration,
    /// When the next load may begin.
    pub(super) until: Duration,
    pub(super) reason: SourceError,
}

pub(super) type Load = Shared<BoxFuture<'static, Result<(), SourceError>>>;

/// A load that is under way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) started: Duration,
    pub(super) progress: Arc<Progress>,
    pub(super) load: Load,
}

impl Directory {
    /// The load that is under way, or a new one. Whoever asks has seen that `newest` is too old; if
    /// a load has landed since then, its snapshot is the answer.
    pub(super) fn refresh(&self, newest: Option<&Arc<Snapshot>>) -> Refresh {
        let mut slot = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = slot.as_ref() {
            return Refresh::UnderWay(flight.clone());
        }
        if let Some(landed) = self.servable().filter(|landed| newest.is_none_or(|newest| !Arc::ptr_eq(newest, landed)))
        {
            return Refresh::Done(landed);
        }
        // A load would be held back like the last one, however old what is served is.
        if self.0.held.load().is_some() && self.0.fresh.contains_key(&()) {
            return Refresh::Paused;
        }
        self.take_off(&mut slot).map_or(Refresh::Paused, Refresh::UnderWay)
    }

    /// A new load, where none is under way, unless the last one has only just failed.
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

    /// One load, from the first request to the snapshot that is published or held back. Data is as old as the
    /// moment at which its load began.
    async fn load(self, started: Duration, progress: Arc<Progress>) -> Result<(), SourceError> {
        let began = self.0.clock.now();
        // Everybody waits for it.
        let log = self.servable().is_none().then(|| {
            tracing::info!("everybody is read from Personio; until that is done, lists are answered with 503");
            self.0.runtime.spawn(progress_log::log(Arc::clone(&progress), Arc::clone(&self.0.clock), started))
        });
        let load = async {
            let approvals = self.0.approvals.load(Relaxed);
            let served = self.memory();
            let news = self.0.source.load_after(&progress, served.clone()).await?;
            self.land(news, served, SignedDuration::try_from(started).unwrap_or_default(), approvals).await
        };
        // Whatever happens, the flight must end: no other could begin.
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
        // Last, so that nobody starts a load who could have had this one's outcome.
        self.0.flight.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.map(|_| ())
    }

    fn failed(&self, reason: &SourceError, took: Duration) {
        tracing::error!("the directory could not be loaded: {reason}");
        let at = self.0.clock.monotonic();
        // What took long to fail is not begun again at once.
        let pause = took.clamp(self.0.freshness.pause, LONGEST_PAUSE.max(self.0.freshness.pause));
        let since = self.0.failure.load().as_ref().map_or(at, |earlier| earlier.since);
        self.0.failure.store(Some(Arc::new(Failure { at, since, until: at + pause, reason: reason.clone() })));
    }
}

/// What came of asking for newer data.
pub(super) enum Refresh {
    /// There is some already.
    Done(Arc<Snapshot>),
    /// It is on its way.
    UnderWay(Flight),
    /// Not now: the last load has only just failed, and an outage must not be made worse by
    /// everybody who asks.
    Paused,
}

fn broke_off() -> SourceError {
    SourceError::new("the load broke off, which is a fault of this program".to_owned())
}
