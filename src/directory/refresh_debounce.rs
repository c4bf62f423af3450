//! Refresh debounce: a webhook causes a load a few seconds later, however fresh the data is.
//! Webhooks arrive in bursts, out of order and more than once. All of a burst share one load,
//! because a webhook is only a hint that something has changed.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::directory::{Directory, Inner, Load, Malformed, Told, lock};

/// Counters of webhooks and of the loads that covered them.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Count>);

/// Numbers of webhooks. Each is less than or equal to the one before.
#[derive(Debug, Default)]
struct Count {
    /// Number of webhooks received.
    told: u64,
    /// Number of webhooks received before the newest load began. That load sees their changes.
    covered: u64,
    /// Number of webhooks covered by a load that succeeded.
    seen: u64,
    /// Flag set while a task runs that loads until all webhooks are covered. There is at most one.
    attended: bool,
}

impl Notices {
    /// Marks the start of a load, which covers all webhooks received so far.
    pub(super) fn load_begins(&self) {
        self.count(|count| count.covered = count.told);
    }

    /// Marks the success of the load that began last.
    pub(super) fn load_lands(&self) {
        self.count(|count| count.seen = count.covered);
    }

    /// Counts one webhook. Returns `true` if the caller must start the task.
    fn note(&self) -> bool {
        self.count(|count| {
            count.told += 1;
            !std::mem::replace(&mut count.attended, true)
        })
    }

    /// Reports whether a successful load covers all webhooks. If so, the task must end.
    fn are_settled(&self) -> bool {
        self.count(|count| {
            count.attended = count.seen < count.told;
            !count.attended
        })
    }

    fn count<R>(&self, f: impl FnOnce(&mut Count) -> R) -> R {
        f(&mut lock(&self.0))
    }
}

impl Directory {
    /// Handles a webhook from the source. Returns at once; if something has changed, a load begins
    /// after [`Freshness::soon`](crate::directory::Freshness::soon).
    ///
    /// # Errors
    /// Returns an error when the message cannot be parsed.
    pub fn told(&self, message: &[u8]) -> Result<(), Malformed> {
        match self.0.source.told(message)? {
            Told::Refresh => self.refresh_soon(),
            Told::Nothing => {}
        }
        Ok(())
    }

    /// Schedules a load, and repeats it until one succeeds.
    pub fn refresh_soon(&self) {
        if self.0.notices.note() {
            self.0.runtime.spawn(attend(Arc::downgrade(&self.0), self.0.freshness.soon));
        }
    }

    /// Returns the running load, or starts one however fresh the data is. Returns `None` during the
    /// cool-down after a failed load.
    pub(super) fn anew(&self) -> Option<Load> {
        let mut slot = lock(&self.0.flight);
        let flight = match slot.as_ref() {
            Some(flight) => flight.clone(),
            None => self.take_off(&mut slot)?,
        };
        Some(flight.load)
    }
}

/// Starts loads until one succeeds that began after the last webhook. A load that was running when
/// the webhook arrived may have missed the change, and a failed load has seen nothing.
async fn attend(directory: Weak<Inner>, soon: Duration) {
    loop {
        sleep(soon).await;
        // The task holds a weak reference while it sleeps, so that it does not keep a dropped
        // directory alive.
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        if directory.0.notices.are_settled() {
            return;
        }
        let load = directory.anew();
        drop(directory);
        if let Some(load) = load {
            // The outcome is visible in the counters.
            let _ = load.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_runs_until_a_load_covers_all_webhooks() {
        let notices = Notices::default();
        assert!(notices.note(), "the first webhook starts the task");
        assert!(!notices.note() && !notices.note(), "the task handles the others as well");
        notices.load_begins();
        notices.load_begins();
        assert!(!notices.are_settled(), "the first load has failed");
        assert!(!notices.note());
        notices.load_lands();
        assert!(!notices.are_settled(), "the last webhook came after the load had begun");
        assert!(!notices.note());
        notices.load_begins();
        notices.load_lands();
        assert!(notices.are_settled());
        assert!(notices.note(), "the task has ended");
    }
}
