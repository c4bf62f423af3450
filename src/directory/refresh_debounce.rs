//! Refresh debounce: a webhook causes a load a few seconds later, however fresh the data is.
//! Webhooks arrive in bursts, out of order and more than once. All of a burst share one load,
//! because a webhook is only a hint that something has changed.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::directory::{
    Directory, DirectoryInner, LoadFuture, MalformedWebhook, WebhookEffect, lock,
};

/// Counters of webhooks and of the loads that covered them.
#[derive(Debug, Default)]
pub(super) struct RefreshDebounce(Mutex<WebhookCounts>);

/// Numbers of webhooks. Each is less than or equal to the one before.
#[derive(Debug, Default)]
struct WebhookCounts {
    /// Number of webhooks received.
    received: u64,
    /// Number of webhooks received before the newest load began. That load sees their changes.
    covered: u64,
    /// Number of webhooks covered by a load that succeeded.
    loaded: u64,
    /// Flag set while a task runs that loads until all webhooks are covered. There is at most one.
    is_task_running: bool,
}

impl RefreshDebounce {
    /// Marks the start of a load, which covers all webhooks received so far.
    pub(super) fn mark_load_started(&self) {
        self.update(|count| count.covered = count.received);
    }

    /// Marks the success of the load that began last.
    pub(super) fn mark_load_succeeded(&self) {
        self.update(|count| count.loaded = count.covered);
    }

    /// Counts one webhook. Returns `true` if the caller must start the task.
    fn count_webhook(&self) -> bool {
        self.update(|count| {
            count.received += 1;
            !std::mem::replace(&mut count.is_task_running, true)
        })
    }

    /// Reports whether a successful load covers all webhooks. If so, the task must end.
    fn is_settled(&self) -> bool {
        self.update(|count| {
            count.is_task_running = count.loaded < count.received;
            !count.is_task_running
        })
    }

    fn update<R>(&self, f: impl FnOnce(&mut WebhookCounts) -> R) -> R {
        f(&mut lock(&self.0))
    }
}

impl Directory {
    /// Handles a webhook from the source. Returns at once; if something has changed, a load begins
    /// after [`Freshness::refresh_debounce`](crate::directory::Freshness::refresh_debounce).
    ///
    /// # Errors
    /// Returns an error when the message cannot be parsed.
    pub fn handle_webhook(&self, message: &[u8]) -> Result<(), MalformedWebhook> {
        match self.0.source.handle_webhook(message)? {
            WebhookEffect::Refresh => self.schedule_load(),
            WebhookEffect::Ignored => {}
        }
        Ok(())
    }

    /// Schedules a load, and repeats it until one succeeds.
    pub fn schedule_load(&self) {
        if self.0.debounce.count_webhook() {
            let clock = Arc::clone(&self.0.clock);
            let delay = self.0.freshness.refresh_debounce;
            // The delay begins with the webhook, and not when the task runs.
            let first_load_at = clock.monotonic().saturating_add(delay);
            self.0.runtime.spawn(load_until_settled(
                Arc::downgrade(&self.0),
                clock,
                first_load_at,
                delay,
            ));
        }
    }

    /// Returns the running load, or starts one however fresh the data is. Returns `None` during the
    /// cool-down after a failed load.
    pub(super) fn running_or_new_load(&self) -> Option<LoadFuture> {
        let mut slot = lock(&self.0.running_load);
        let running = match slot.as_ref() {
            Some(running) => running.clone(),
            None => self.start_load(&mut slot)?,
        };
        Some(running.outcome)
    }
}

/// Starts loads until one succeeds that began after the last webhook. A load that was running when
/// the webhook arrived may have missed the change, and a failed load has seen nothing.
async fn load_until_settled(
    directory: Weak<DirectoryInner>,
    clock: Arc<dyn Clock>,
    first_load_at: Duration,
    delay: Duration,
) {
    let mut next_load_at = first_load_at;
    loop {
        clock.wait_until(next_load_at).await;
        // The task holds a weak reference while it sleeps, so that it does not keep a dropped
        // directory alive.
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        if directory.0.debounce.is_settled() {
            return;
        }
        let load = directory.running_or_new_load();
        drop(directory);
        if let Some(load) = load {
            // The outcome is visible in the counters.
            let _ = load.await;
        }
        next_load_at = clock.monotonic().saturating_add(delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_runs_until_a_load_covers_all_webhooks() {
        let debounce = RefreshDebounce::default();
        assert!(debounce.count_webhook(), "the first webhook starts the task");
        assert!(
            !debounce.count_webhook() && !debounce.count_webhook(),
            "the task handles the others as well"
        );
        debounce.mark_load_started();
        debounce.mark_load_started();
        assert!(!debounce.is_settled(), "the first load has failed");
        assert!(!debounce.count_webhook());
        debounce.mark_load_succeeded();
        assert!(!debounce.is_settled(), "the last webhook came after the load had begun");
        assert!(!debounce.count_webhook());
        debounce.mark_load_started();
        debounce.mark_load_succeeded();
        assert!(debounce.is_settled());
        assert!(debounce.count_webhook(), "the task has ended");
    }
}
