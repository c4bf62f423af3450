//! What became of the last loads and what they cost, for those who look after the server.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::directory::{Directory, SourceError};

/// So many loads are remembered.
const MOST: usize = 60;

/// A load that has ended.
#[derive(Debug, Clone)]
pub struct PastLoad {
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many requests it sent.
    pub requests: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What becomes of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// So many users are served since.
    Published(usize),
    /// It would have taken something from too many.
    HeldBack,
    /// A change was approved meanwhile, so the next one counts.
    Overtaken,
    /// It brought nothing.
    Failed(SourceError),
}

/// The last loads.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<PastLoad>>);

impl History {
    pub(super) fn note(&self, load: PastLoad) {
        let mut loads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if loads.len() == MOST {
            loads.pop_front();
        }
        loads.push_back(load);
    }
}

impl Directory {
    /// The last loads, the newest last.
    #[must_use]
    pub fn history(&self) -> Vec<PastLoad> {
        self.0.history.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let history = History::default();
        for number in 0..=MOST {
            let (began, took, outcome) = (Timestamp::UNIX_EPOCH, Duration::ZERO, Outcome::HeldBack);
            history.note(PastLoad { began, took, requests: number as u64, outcome });
        }
        let loads = history.0.into_inner().unwrap();
        assert_eq!((loads.len(), loads[0].requests, loads[MOST - 1].requests), (MOST, 1, MOST as u64));
    }
}
