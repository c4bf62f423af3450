//! What becomes of a load: it is published, or held back where it would take something from too many users
//! at once. Whatever changes what is served comes through here, one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::block_in_place;

use super::guard::{Baseline, Held, Losses, WINDOW};
use super::snapshot::Earlier;
use super::state::Keepsake;
use super::{Directory, Loaded, Snapshot, SourceError};

/// A change that is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    /// Whom it would take something from.
    pub losses: Losses,
    /// For how long it has been held back.
    pub since: Duration,
}

impl Directory {
    /// Serves what was loaded, or holds it back; either way, what is served then.
    pub(super) async fn land(&self, loaded: Loaded, started: SignedDuration) -> Result<Arc<Snapshot>, SourceError> {
        let _turn = self.0.publishing.lock().await;
        let landed = self.judged(loaded, started).await?;
        self.0.failure.store(None);
        self.0.notices.load_lands();
        self.0.fresh.insert((), ()).await;
        // Nobody may come by for long, and what is kept is large.
        self.0.fresh.run_pending_tasks().await;
        Ok(landed)
    }

    async fn judged(&self, mut loaded: Loaded, started: SignedDuration) -> Result<Arc<Snapshot>, SourceError> {
        let bound = self.0.max_change;
        let Some(previous) = self.0.last_good.load_full() else {
            return match loaded.flaw.take().filter(|_| bound.is_bound()) {
                Some(flaw) => {
                    self.0.flawed.store(true, Relaxed);
                    self.0.single.invalidate_all();
                    Err(flaw)
                }
                None => self.publish(loaded, started).await,
            };
        };
        let baseline = self.0.baseline.load_full().map(|baseline| Arc::clone(&baseline.snapshot));
        for before in [Some(&previous), baseline.as_ref()].into_iter().flatten() {
            let losses = block_in_place(|| Losses::between(before, &loaded));
            if bound.is_exceeded_by(&losses) {
                return self.hold_back(loaded, started, losses);
            }
        }
        if self.0.held.load().is_some() {
            tracing::info!("the change that was held back is within bounds now");
        }
        self.publish(loaded, started).await
    }

    /// Goes on serving what was served, if it may still be.
    fn hold_back(&self, loaded: Loaded, started: SignedDuration, losses: Losses) -> Result<Arc<Snapshot>, SourceError> {
        let earlier = self.0.held.load().as_ref().map(|held| held.since);
        let since = earlier.unwrap_or_else(|| self.0.clock.monotonic());
        self.0.held.store(Some(Arc::new(Held { loaded, started, losses, since })));
        if earlier.is_none() {
            self.0.counters.held_back.fetch_add(1, Relaxed);
            tracing::error!(
                "a change is held back, and what was served is served on: {losses}; if that is right, let it through with \
                 `personio-scim approve` or SIGUSR1, or raise --max-change (SCIM_MAX_CHANGE)"
            );
        } else {
            tracing::debug!("the change is still held back: {losses}");
        }
        let too_old = || SourceError::new(format!("a change is held back, and what was served is too old: {losses}"));
        self.servable().ok_or_else(too_old)
    }

    /// Publishes what is held back, because an operator says that it is right.
    pub async fn approve(&self) {
        let _turn = self.0.publishing.lock().await;
        let Some(held) = self.0.held.load_full() else {
            tracing::info!("nothing is held back");
            return;
        };
        tracing::warn!("approved: {}", held.losses);
        match self.publish(held.loaded.clone(), held.started).await {
            Ok(snapshot) => self.compare_with(snapshot),
            Err(reason) => tracing::error!("what was approved cannot be published: {reason}"),
        }
    }

    /// What is held back, if anything.
    #[must_use]
    pub fn held_back(&self) -> Option<HeldBack> {
        let held = self.0.held.load_full()?;
        let since = self.0.clock.monotonic().saturating_sub(held.since);
        Some(HeldBack { losses: held.losses, since })
    }

    /// Makes the snapshot that is served from now on. Whoever calls has the turn.
    async fn publish(&self, loaded: Loaded, started: SignedDuration) -> Result<Arc<Snapshot>, SourceError> {
        let previous = self.0.last_good.load_full();
        let memory = loaded.memory.clone();
        let earlier = previous.as_deref().map_or(Earlier::Unknown, Earlier::Served);
        let clock = &*self.0.clock;
        let snapshot = Arc::new(block_in_place(|| Snapshot::new(loaded, earlier, started, clock))?);
        let is_recent = |baseline: &Baseline| clock.monotonic().saturating_sub(baseline.since) < WINDOW;
        if !self.0.baseline.load().as_deref().is_some_and(is_recent) {
            self.compare_with(previous.unwrap_or_else(|| Arc::clone(&snapshot)));
        }
        // Before it can be seen, so that nobody sees it beside a failure that is over.
        self.0.failure.store(None);
        self.0.last_good.store(Some(Arc::clone(&snapshot)));
        self.0.held.store(None);
        self.0.flawed.store(false, Relaxed);
        self.0.single.invalidate_all();
        self.0.walks.tidy().await;
        self.write_down(Keepsake::new(Arc::clone(&snapshot), memory, clock));
        let age = snapshot.age(clock.monotonic()).as_secs_f64();
        let users = snapshot.users().all().len();
        tracing::info!(users, age, "{users} users are served, as they were {age:.1} s ago");
        Ok(snapshot)
    }

    /// From now on, for a while, changes are compared with this snapshot as well.
    fn compare_with(&self, snapshot: Arc<Snapshot>) {
        self.0.baseline.store(Some(Arc::new(Baseline { snapshot, since: self.0.clock.monotonic() })));
    }

    /// Makes users anew from what is known, if the date has changed who they are. Nothing is asked upstream,
    /// and data does not become younger.
    pub(super) async fn turn(&self) {
        if self.due().is_none() {
            return;
        }
        // Not on the runtime of whoever asks: it takes long.
        let directory = self.clone();
        let turned = self.0.runtime.spawn(async move { directory.turned().await });
        if turned.await.is_err() {
            tracing::error!("users could not be made anew at midnight, which is a fault of this program");
        }
    }

    async fn turned(&self) {
        let _turn = self.0.publishing.lock().await;
        let Some((snapshot, at)) = self.due() else { return };
        // What the source knows is what is held back, and that waits for an operator.
        if self.0.held.load().is_none()
            && let Some(again) = block_in_place(|| self.0.source.again())
            && let Err(reason) = self.judged(again, snapshot.loaded()).await
        {
            tracing::error!("users could not be made anew at midnight: {reason}");
        }
        // Once, whatever came of it: the next load does it as well. Whoever asks meanwhile waits for it.
        self.0.turned.store(Some(Arc::new(at)));
    }

    /// The snapshot that is served, if the date has made it wrong, and since when.
    fn due(&self) -> Option<(Arc<Snapshot>, Timestamp)> {
        let snapshot = self.servable()?;
        let at = snapshot.turns().filter(|at| self.0.clock.now() >= *at)?;
        let is_done = self.0.turned.load().as_ref().is_some_and(|turned| **turned == at);
        (!is_done).then_some((snapshot, at))
    }
}
