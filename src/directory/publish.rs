//! What becomes of a load: it is published, or held back where it would take something from too many users
//! at once. Whatever changes what is served comes through here, one at a time.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};

use jiff::SignedDuration;
use tokio::task::block_in_place;

use crate::directory::guard::Verdict;
use crate::directory::persistence::Keepsake;
use crate::directory::snapshot::Earlier;
use crate::directory::{Directory, Loaded, Memory, News, Outcome, Snapshot, SourceError};

/// Why a snapshot is served from now on.
pub(super) enum Reason {
    /// It has the account states of the one before.
    Unchanged,
    /// It is within bounds.
    WithinBounds(Box<Verdict>),
    /// Somebody has approved it.
    Approved(Box<Verdict>),
}

impl Directory {
    /// Serves what was loaded, or holds it back.
    /// Of a load during which something was approved nothing is served: it went by what was served before that.
    /// `served` is what was served when the load began.
    pub(super) async fn land(
        &self,
        news: News,
        served: Option<Arc<dyn Memory>>,
        started: SignedDuration,
        approvals: u64,
    ) -> Result<Outcome, SourceError> {
        let _turn = self.0.publishing.lock().await;
        if self.0.approvals.load(Relaxed) != approvals {
            tracing::info!("a change was approved during this load, which is not served; the next one is");
            self.memory().inspect(|served| self.0.source.served(served));
            return Ok(Outcome::Overtaken);
        }
        let outcome = match (news, self.unchanged(served.as_ref())) {
            (News::Loaded(loaded), _) => self.judged(*loaded, started).await?,
            (News::Same(memory), Some(snapshot)) => {
                self.0.failure.store(None);
                let again = Arc::new(snapshot.found_again(started));
                Outcome::Published(self.serve(again, Some(memory), Reason::Unchanged).await.users().all().len())
            }
            // Meanwhile another day has come, or something else has changed what is served.
            (News::Same(memory), None) => {
                let fault = || SourceError::new("users cannot be made anew, a fault of this program".to_owned());
                self.judged(self.made_again(Some(&memory)).ok_or_else(fault)?, started).await?
            }
        };
        self.0.failure.store(None);
        self.0.notices.load_lands();
        self.0.fresh.insert((), ()).await;
        // Nobody may come by for long, and what is kept is large.
        self.0.fresh.run_pending_tasks().await;
        Ok(outcome)
    }

    /// The snapshot that is served, if it is still the one made of `served`, and right today.
    fn unchanged(&self, served: Option<&Arc<dyn Memory>>) -> Option<Arc<Snapshot>> {
        let is_same = self.memory().zip(served).is_some_and(|(now, served)| Arc::ptr_eq(&now, served));
        let snapshot = self.0.last_good.load_full().filter(|_| is_same && self.0.held.load().is_none())?;
        snapshot.is_of_today(self.0.clock.now()).then_some(snapshot)
    }

    async fn judged(&self, mut loaded: Loaded, started: SignedDuration) -> Result<Outcome, SourceError> {
        if self.0.last_good.load().is_none()
            && let Some(flaw) = loaded.flaw.take().filter(|_| self.0.max_change.is_bound())
        {
            self.0.flawed.store(true, Relaxed);
            self.forget_singles().await;
            return Err(flaw);
        }
        // It may have become another day since users were made of it.
        if !self.is_of_today(&loaded) {
            loaded = self.made_again(loaded.memory.as_ref()).unwrap_or(loaded);
        }
        let verdict = self.judge(&loaded);
        if verdict.is_too_much {
            self.hold_back(loaded, started, verdict);
            // Otherwise a mistake upstream would be the truth of the next load.
            self.memory().inspect(|served| self.0.source.served(served));
            return Ok(Outcome::HeldBack);
        }
        if self.0.held.load().is_some() {
            tracing::info!("the change that was held back is within bounds now");
        }
        // Before it can be seen, so that nobody sees it beside a failure that is over.
        self.0.failure.store(None);
        let snapshot = self.publish(loaded, started, Reason::WithinBounds(Box::new(verdict))).await?;
        self.0.held.store(None);
        Ok(Outcome::Published(snapshot.users().all().len()))
    }

    /// Compares a load with what is served.
    pub(super) fn judge(&self, loaded: &Loaded) -> Verdict {
        let (now, is_held) = (self.0.clock.monotonic(), self.0.held.load().is_some());
        block_in_place(|| self.0.guard.judge(self.0.max_change, loaded, now, is_held))
    }

    /// Makes the snapshot that is served from now on. Whoever calls has the turn.
    pub(super) async fn publish(
        &self,
        loaded: Loaded,
        started: SignedDuration,
        reason: Reason,
    ) -> Result<Arc<Snapshot>, SourceError> {
        let previous = self.0.last_good.load_full();
        let memory = loaded.memory.clone();
        let earlier = previous.as_deref().map_or(Earlier::Unknown, Earlier::Served);
        let clock = &*self.0.clock;
        let snapshot = Arc::new(block_in_place(|| Snapshot::new(loaded, earlier, started, clock))?);
        Ok(self.serve(snapshot, memory, reason).await)
    }

    /// Serves `snapshot` from now on.
    async fn serve(&self, snapshot: Arc<Snapshot>, memory: Option<Arc<dyn Memory>>, reason: Reason) -> Arc<Snapshot> {
        let clock = &*self.0.clock;
        let is_held = self.0.held.load().is_some();
        match reason {
            Reason::Unchanged => {}
            Reason::WithinBounds(verdict) => self.0.guard.published(*verdict, clock.monotonic(), is_held),
            Reason::Approved(verdict) => self.0.guard.approved(*verdict),
        }
        let previous = self.0.last_good.swap(Some(Arc::clone(&snapshot)));
        self.0.counters.published.fetch_add(1, Relaxed);
        self.note_completeness(&snapshot);
        *self.0.memory.lock().unwrap_or_else(PoisonError::into_inner) = memory.clone();
        self.0.flawed.store(false, Relaxed);
        self.forget_singles().await;
        self.0.walks.tidy().await;
        self.write_down(Keepsake::new(Arc::clone(&snapshot), memory, &self.0.guard, clock));
        let age = snapshot.age(clock.monotonic()).as_secs_f64();
        let users = snapshot.users().all().len();
        tracing::info!(users, age, "{users} users are served, as they were {age:.1} s ago");
        if snapshot.exceeds_page() && !previous.is_some_and(|previous| previous.exceeds_page()) {
            let max_results = snapshot.vocabulary().max_results;
            tracing::warn!(
                "{users} users are more than the largest page holds, {max_results}: a client that does not page reads a part \
                 of them; have it page, or raise --max-results (SCIM_MAX_RESULTS)"
            );
        }
        snapshot
    }

    /// Lets go of whoever was fetched alone. The cache would do so when it is asked next, and nobody asks it any more.
    async fn forget_singles(&self) {
        self.0.single.invalidate_all();
        self.0.single.run_pending_tasks().await;
    }

    fn note_completeness(&self, snapshot: &Snapshot) {
        let is_incomplete = snapshot.outdated() + snapshot.nameless() + snapshot.unconfirmed().len() > 0;
        let mut since = self.0.incomplete.lock().unwrap_or_else(PoisonError::into_inner);
        *since = is_incomplete.then(|| since.unwrap_or(self.0.clock.monotonic()));
    }

    /// Makes users anew from what is known, if the date has changed who they are. Nothing is asked upstream,
    /// and data does not become younger.
    pub(super) async fn turn(&self) {
        let Some(due) = self.due() else { return };
        // Not on the runtime of whoever asks: it takes long.
        let directory = self.clone();
        let turned = self.0.runtime.spawn(async move { directory.turned().await });
        if turned.await.is_err() {
            self.0.turned.store(Arc::new(Arc::downgrade(&due)));
            tracing::error!("users could not be made anew at midnight, which is a fault of this program");
        }
    }

    async fn turned(&self) {
        let _turn = self.0.publishing.lock().await;
        let Some(snapshot) = self.due() else { return };
        if let Some(again) = self.made_again(self.memory().as_ref()) {
            let verdict = self.judge(&again);
            if !verdict.is_too_much {
                let reason = Reason::WithinBounds(Box::new(verdict));
                if let Err(reason) = self.publish(again, snapshot.loaded(), reason).await {
                    tracing::error!("users could not be made anew at midnight: {reason}");
                }
            } else if self.0.held.load().is_none() {
                self.hold_back(again, snapshot.loaded(), verdict);
            } else {
                // What is held back already is newer, and an operator decides on both at once.
                tracing::debug!("the new day waits as well: {}", verdict.losses);
            }
            self.compare_held_again();
        }
        // Once, whatever came of it: the next load does it as well. Not before, so that whoever asks meanwhile waits.
        self.0.turned.store(Arc::new(Arc::downgrade(&snapshot)));
    }

    pub(super) fn made_again(&self, memory: Option<&Arc<dyn Memory>>) -> Option<Loaded> {
        block_in_place(|| self.0.source.again(memory?))
    }

    /// What the source knew when it loaded what is served.
    pub(super) fn memory(&self) -> Option<Arc<dyn Memory>> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_of_today(&self, loaded: &Loaded) -> bool {
        loaded.day.as_ref().is_none_or(|day| day.contains(&self.0.clock.now()))
    }

    /// The snapshot that is served, if the date has made it wrong and nobody has tried to make it right.
    fn due(&self) -> Option<Arc<Snapshot>> {
        self.servable().filter(|snapshot| self.is_due(snapshot))
    }

    /// Whether the date has made this snapshot wrong, and nobody has tried to make it right.
    pub(super) fn is_due(&self, snapshot: &Arc<Snapshot>) -> bool {
        let is_tried = || self.0.turned.load().as_ptr() == Arc::as_ptr(snapshot);
        !snapshot.is_of_today(self.0.clock.now()) && !is_tried()
    }
}
