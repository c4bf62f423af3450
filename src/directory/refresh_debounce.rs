//! Refresh debounce: a webhook causes a load a few seconds later, however fresh the data is.
//! Webhooks arrive in bursts, out of order and more than once. All of a burst share one load,
//! because a webhook is only a hint that something has changed.

use std::sync::Mutex;

use crate::directory::lock;

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
    pub(super) fn count_webhook(&self) -> bool {
        self.update(|count| {
            count.received += 1;
            !std::mem::replace(&mut count.is_task_running, true)
        })
    }

    /// Reports whether a successful load covers all webhooks. If so, the task must end.
    pub(super) fn is_settled(&self) -> bool {
        self.update(|count| {
            count.is_task_running = count.loaded < count.received;
            !count.is_task_running
        })
    }

    fn update<R>(&self, f: impl FnOnce(&mut WebhookCounts) -> R) -> R {
        f(&mut lock(&self.0))
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
