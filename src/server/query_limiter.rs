//! Turns for what takes long: scans, sorting, large pages. So many are carried out at once that a processor is left for
//! those who ask for little; the others wait, and not for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use crate::auth::Caller;
use crate::server::Error;

/// Whoever has waited so long for a turn is told to come again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// A turn ends after so long. No filter that is short enough to be taken comes near it, unless the machine is overloaded.
const LONGEST: Duration = Duration::from_secs(5);

/// The turns that there are.
pub(super) struct Turns {
    number: usize,
    all: Arc<Semaphore>,
    /// Whoever asks for much waits for its own turns first, and so in front of the others with as many as there are.
    own: Mutex<HashMap<Caller, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    began: Instant,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Turn {
    /// Whether it goes on.
    pub(super) fn goes_on(&self) -> Result<(), Error> {
        if self.began.elapsed() <= LONGEST { Ok(()) } else { Err(Error::Busy) }
    }
}

impl Default for Turns {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }
}

impl Turns {
    fn new(number: usize) -> Self {
        Self { number, all: Arc::new(Semaphore::new(number)), own: Mutex::default() }
    }

    /// Waits for a turn.
    pub(super) async fn next(&self, caller: &Caller) -> Result<Turn, Error> {
        let own = self.own(caller);
        let permits = timeout(PATIENCE, async {
            Ok::<_, AcquireError>([own.acquire_owned().await?, Arc::clone(&self.all).acquire_owned().await?])
        });
        let permits = permits.await.ok().and_then(Result::ok).ok_or(Error::Busy)?;
        Ok(Turn { began: Instant::now(), _permits: permits })
    }

    /// The turns of one client. There are few, since their names are configured.
    fn own(&self, caller: &Caller) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = own.entry(caller.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.number)));
        Arc::clone(turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_turn_nor_has_one_for_ever() {
        let (turns, caller) = (Turns::new(1), Caller::named("one").unwrap());
        let first = turns.next(&caller).await.unwrap();
        let began = Instant::now();
        assert!(matches!(turns.next(&caller).await, Err(Error::Busy)));
        assert_eq!(began.elapsed(), PATIENCE);
        drop(first);
        let second = turns.next(&caller).await.unwrap();
        assert!(second.goes_on().is_ok());
        tokio::time::advance(LONGEST).await;
        assert!(second.goes_on().is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(matches!(second.goes_on(), Err(Error::Busy)));
    }

    /// However many one client has waiting, another one is next but one.
    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_all_that_another_asks_for() {
        let turns = Arc::new(Turns::new(1));
        let callers = ["busy", "other"].map(|name| Caller::named(name).unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..10)
            .map(|number| usize::from(number == 9))
            .map(|which| {
                let (turns, caller, order) = (Arc::clone(&turns), callers[which].clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    // All are there before the first is through.
                    let _turn = turns.next(&caller).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    order.lock().unwrap().push(which);
                })
            })
            .collect();
        for task in waiting {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        assert!(order.iter().position(|which| *which == 1).unwrap() <= 2, "{order:?}");
    }
}
