//! Turns for what takes long: scans, sorting, large pages. So many are carried out at once that a processor is left for
//! those who ask for little; the others wait, and not for ever.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Error;

/// Whoever has waited so long for a turn is told to come again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turns that there are.
pub(super) struct Turns(Arc<Semaphore>);

/// A turn, until it is dropped.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Default for Turns {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(processors.saturating_sub(1).max(1))))
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn next(&self) -> Result<Turn, Error> {
        let permit = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let permit = permit.ok().and_then(Result::ok).ok_or(Error::Busy)?;
        Ok(Turn { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_is_told_to_come_again() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let first = turns.next().await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(matches!(turns.next().await, Err(Error::Busy)));
        assert_eq!(began.elapsed(), PATIENCE);
        drop(first);
        assert!(turns.next().await.is_ok());
    }
}
