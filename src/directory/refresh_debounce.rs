//! Loads that nobody waits for: soon after a notice that something has changed, however fresh the data
//! is. Notices come in bursts, out of order and more than once; a notice is a hint and costs no more
//! than one load with its neighbours.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::sleep;

use crate::directory::{Directory, Inner, Load, Malformed, Told};

/// How many notices there were, and what has come of them.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    told: u64,
    /// So many had come when the newest load began: it sees what they are about.
    covered: u64,
    /// So many have been seen by a load that succeeded.
    seen: u64,
    /// Whether somebody sees to the rest: one at a time.
    attended: bool,
}

impl Notices {
    /// A load begins; there is one at a time.
    pub(super) fn load_begins(&self) {
        self.count(|count| count.covered = count.told);
    }

    /// It has succeeded.
    pub(super) fn load_lands(&self) {
        self.count(|count| count.seen = count.covered);
    }

    /// One more; whether somebody must be found who sees to it.
    fn note(&self) -> bool {
        self.count(|count| {
            count.told += 1;
            !std::mem::replace(&mut count.attended, true)
        })
    }

    /// Whether there is nothing left to see to; whoever asks must not go on then.
    fn are_settled(&self) -> bool {
        self.count(|count| {
            count.attended = count.seen < count.told;
            !count.attended
        })
    }

    fn count<R>(&self, f: impl FnOnce(&mut Count) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Directory {
    /// Takes note of a message that comes from where users come from. It returns at once; if something
    /// has changed, a load begins soon.
    ///
    /// # Errors
    /// When the message cannot be understood.
    pub fn told(&self, message: &[u8]) -> Result<(), Malformed> {
        match self.0.source.told(message)? {
            Told::Refresh => self.refresh_soon(),
            Told::Nothing => {}
        }
        Ok(())
    }

    /// Loads anew soon, and again until it succeeds: something has changed.
    pub fn refresh_soon(&self) {
        if self.0.notices.note() {
            self.0.runtime.spawn(attend(Arc::downgrade(&self.0), self.0.freshness.soon));
        }
    }

    /// The load that is under way, or a new one however fresh the data is; none in the pause after a
    /// failure.
    pub(super) fn anew(&self) -> Option<Load> {
        let mut slot = self.0.flight.lock().unwrap_or_else(PoisonError::into_inner);
        let flight = slot.clone().or_else(|| self.take_off(&mut slot));
        flight.map(|flight| flight.load)
    }
}

/// Sees to it that a load succeeds that began after the last notice. One that was under way may have
/// missed what the notice is about, and one that fails has seen nothing: then it is tried again.
async fn attend(directory: Weak<Inner>, soon: Duration) {
    loop {
        sleep(soon).await;
        // Whoever waits must not keep a directory that is gone.
        let Some(directory) = directory.upgrade().map(Directory) else { return };
        if directory.0.notices.are_settled() {
            return;
        }
        let load = directory.anew();
        drop(directory);
        if let Some(load) = load {
            // What came of it is told by the notices that it has seen.
            let _ = load.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sees_to_all_notices_until_a_load_has_seen_them() {
        let notices = Notices::default();
        assert!(notices.note(), "somebody must be found for the first");
        assert!(!notices.note() && !notices.note(), "who sees to the others, too");
        notices.load_begins();
        notices.load_begins();
        assert!(!notices.are_settled(), "the first load has failed");
        assert!(!notices.note());
        notices.load_lands();
        assert!(!notices.are_settled(), "the last notice came when the load had begun");
        assert!(!notices.note());
        notices.load_begins();
        notices.load_lands();
        assert!(notices.are_settled());
        assert!(notices.note(), "nobody sees to anything any more");
    }
}
