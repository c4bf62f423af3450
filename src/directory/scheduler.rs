//! Tasks that run by the clock, so that no request waits for them: background refreshes, if they
//! are configured, the day rollover, and the loads that webhooks cause. Without background refreshes
//! and webhooks nothing is requested from Personio while no client sends requests.
//!
//! A task holds a weak reference while it waits, so that it does not keep a dropped directory alive.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::directory::{Directory, Parts};

/// Interval at which the date is checked and expired snapshots are dropped.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

impl Directory {
    /// Starts the tasks that perform the day rollover and, if
    /// [`Freshness::refresh_every`](crate::directory::Freshness::refresh_every) is set, the
    /// background refreshes. They end when the directory is dropped.
    pub fn start_tasks(&self) {
        let parts = Arc::downgrade(&self.0);
        let store = &self.0.store;
        let clock = Arc::clone(&store.clock);
        self.0.runtime.spawn(tick(Weak::clone(&parts), Arc::clone(&clock)));
        if let Some(interval) = store.limits.refresh_every {
            let cool_down = store.limits.cool_down;
            self.0.runtime.spawn(refresh_periodically(parts, clock, interval, cool_down));
        }
    }

    /// Schedules a load, and repeats it until one succeeds.
    pub fn schedule_load(&self) {
        if self.0.loader.debounce.count_webhook() {
            let clock = Arc::clone(&self.0.store.clock);
            let delay = self.0.store.limits.refresh_debounce;
            // The delay begins with the webhook, and not when the task runs.
            let first_load_at = clock.monotonic().saturating_add(delay);
            let parts = Arc::downgrade(&self.0);
            self.0.runtime.spawn(load_until_settled(parts, clock, first_load_at, delay));
        }
    }
}

/// Drops expired snapshots, checks the date and performs the day rollover, at a short interval. It
/// does not wait until midnight, because the system clock can be set in the meantime, and a check is
/// cheap.
async fn tick(parts: Weak<Parts>, clock: Arc<dyn Clock>) {
    loop {
        clock.wait(TICK_INTERVAL).await;
        let Some(directory) = parts.upgrade().map(Directory) else { return };
        directory.0.store.evict_expired();
        directory.roll_over().await;
    }
}

/// Loads once in each `interval`, beginning with the load that is already running, if any. A load
/// that takes longer than `interval` is followed by the next one at once. A failed load is repeated
/// after `cool_down`.
async fn refresh_periodically(
    parts: Weak<Parts>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    cool_down: Duration,
) {
    loop {
        let Some(directory) = parts.upgrade() else { return };
        let started_at = clock.monotonic();
        let load = directory.loader.running_or_new();
        drop(directory);
        let loaded = match load {
            Some(load) => load.await.is_ok(),
            None => false,
        };
        if loaded {
            clock.wait_until(started_at.saturating_add(interval)).await;
        } else {
            clock.wait(cool_down).await;
        }
    }
}

/// Starts loads until one succeeds that began after the last webhook. A load that was running when
/// the webhook arrived may have missed the change, and a failed load has seen nothing.
async fn load_until_settled(
    parts: Weak<Parts>,
    clock: Arc<dyn Clock>,
    first_load_at: Duration,
    delay: Duration,
) {
    let mut next_load_at = first_load_at;
    loop {
        clock.wait_until(next_load_at).await;
        let Some(directory) = parts.upgrade() else { return };
        if directory.loader.debounce.is_settled() {
            return;
        }
        let load = directory.loader.running_or_new();
        drop(directory);
        if let Some(load) = load {
            // The outcome is visible in the counters.
            let _ = load.await;
        }
        next_load_at = clock.monotonic().saturating_add(delay);
    }
}
