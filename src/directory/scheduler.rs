//! Tasks that run by the clock, so that no request waits for them: background refreshes, if they
//! are configured, and the day rollover. Without background refreshes nothing is requested from
//! Personio while no client sends requests.

use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::clock::Clock;
use crate::directory::{Directory, DirectoryInner};

/// Interval at which the date is checked and expired snapshots are dropped.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

impl Directory {
    /// Starts the tasks that perform the day rollover and, if
    /// [`Freshness::refresh_every`](crate::directory::Freshness::refresh_every) is set, the
    /// background refreshes. They end when the directory is dropped.
    pub fn start_tasks(&self) {
        let freshness = self.0.freshness;
        let clock = &self.0.clock;
        self.0.runtime.spawn(tick(Arc::downgrade(&self.0), Arc::clone(clock)));
        if let Some(interval) = freshness.refresh_every {
            self.0.runtime.spawn(refresh_periodically(
                Arc::downgrade(&self.0),
                Arc::clone(clock),
                interval,
                freshness.cool_down,
            ));
        }
    }
}

/// Drops expired snapshots, checks the date and performs the day rollover, at a short interval. It
/// does not wait until midnight, because the system clock can be set in the meantime, and a check is
/// cheap.
async fn tick(directory: Weak<DirectoryInner>, clock: Arc<dyn Clock>) {
    loop {
        clock.wait(TICK_INTERVAL).await;
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        directory.0.paging_sessions.evict_expired(clock.monotonic());
        directory.roll_over().await;
    }
}

/// Loads once in each `interval`, beginning with the load that is already running, if any. A load
/// that takes longer than `interval` is followed by the next one at once. A failed load is repeated
/// after `cool_down`.
async fn refresh_periodically(
    directory: Weak<DirectoryInner>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    cool_down: Duration,
) {
    loop {
        // The task holds a weak reference while it sleeps, so that it does not keep a dropped
        // directory alive.
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        let started_at = clock.monotonic();
        let load = directory.running_or_new_load();
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
