//! What is done by the clock, so that nobody who asks has to wait for it: loads, where they are wanted
//! (otherwise nothing is asked upstream while nobody asks us), and the flip at midnight.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::directory::{Directory, Inner};

/// How often the date is looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Directory {
    /// Begins to load every [`Freshness::refresh_every`](crate::directory::Freshness::refresh_every), if that is
    /// wanted, and to look at the date, until the directory is gone.
    pub fn keep_fresh(&self) {
        let freshness = self.0.freshness;
        self.0.runtime.spawn(keep_of_today(Arc::downgrade(&self.0)));
        if let Some(every) = freshness.refresh_every {
            self.0.runtime.spawn(keep_fresh(Arc::downgrade(&self.0), every, freshness.pause));
        }
    }
}

/// Clocks can be set, so it does not sleep until midnight. To look costs nothing.
async fn keep_of_today(directory: Weak<Inner>) {
    loop {
        sleep(LOOK).await;
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        directory.turn().await;
    }
}

/// The first load is whichever is under way. One that takes longer than `every` is followed by the next
/// at once, and one that fails as soon as the pause is over: nobody else would begin it.
async fn keep_fresh(directory: Weak<Inner>, every: Duration, pause: Duration) {
    loop {
        // Whoever waits must not keep a directory that is gone.
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
