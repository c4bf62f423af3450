//! Turns for what takes long: scans, sorting, large pages. So many are carried out at once that a processor is left for
//! those who ask for little; the others wait, and not for ever.

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::Error;
use crate::scim::{InvalidQuery, ScimType};

/// Whoever has waited so long for a turn is told to come again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// A turn ends after so long. No filter that is short enough to be taken comes near it on a machine that is not
/// overloaded.
const LONGEST: Duration = Duration::from_secs(5);

/// The turns that there are.
pub(super) struct Turns(Arc<Semaphore>);

/// A turn, until it is dropped.
pub(super) struct Turn {
    began: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// Whether it goes on: "the server is unwilling" otherwise (RFC 7644 §3.12, `tooMany`).
    pub(super) fn goes_on(&self) -> Result<(), InvalidQuery> {
        if self.began.elapsed() <= LONGEST {
            return Ok(());
        }
        let detail = "this query takes too long: ask for less at once, or with a simpler filter".to_owned();
        Err(InvalidQuery { scim_type: ScimType::TooMany, detail })
    }
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
        Ok(Turn { began: Instant::now(), _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_turn_nor_has_one_for_ever() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let first = turns.next().await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(matches!(turns.next().await, Err(Error::Busy)));
        assert_eq!(began.elapsed(), PATIENCE);
        drop(first);
        let second = turns.next().await.unwrap();
        assert!(second.goes_on().is_ok());
        tokio::time::advance(LONGEST).await;
        assert!(second.goes_on().is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(second.goes_on().unwrap_err().scim_type, ScimType::TooMany);
    }
}
