//! Tasks that run by the clock, so that no request waits for them: background refreshes, if they
//! are configured, and the day rollover. Without background refreshes nothing is requested from
//! Personio while no client sends requests.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::directory::{Directory, Inner};

/// Interval at which the date is checked.
const LOOK: Duration = Duration::from_secs(1);

impl Directory {
    /// Starts the tasks that perform the day rollover and, if
    /// [`Freshness::refresh_every`](crate::directory::Freshness::refresh_every) is set, the
    /// background refreshes. They end when the directory is dropped.
    pub fn keep_fresh(&self) {
        let freshness = self.0.freshness;
        self.0.runtime.spawn(keep_of_today(Arc::downgrade(&self.0)));
        if let Some(every) = freshness.refresh_every {
            self.0.runtime.spawn(keep_fresh(Arc::downgrade(&self.0), every, freshness.pause));
        }
    }
}

/// Checks the date at a short interval and performs the day rollover. It does not sleep until
/// midnight, because the system clock can be set in the meantime, and a check is cheap.
async fn keep_of_today(directory: Weak<Inner>) {
    loop {
        sleep(LOOK).await;
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        directory.turn().await;
    }
}

/// Loads at the interval `every`, beginning with the load that is already running, if any. A load
/// that takes longer than `every` is followed by the next one at once. A failed load is repeated
/// after the cool-down `pause`.
async fn keep_fresh(directory: Weak<Inner>, every: Duration, pause: Duration) {
    loop {
        // The task holds a weak reference while it sleeps, so that it does not keep a dropped
        // directory alive.
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        let (began, load) = (Instant::now(), directory.anew());
        drop(directory);
        let loaded = match load {
            Some(load) => load.await.is_ok(),
            None => false,
        };
        if loaded {
            sleep_until(began + every).await;
        } else {
            sleep(pause).await;
        }
    }
}
