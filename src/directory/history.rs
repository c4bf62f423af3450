//! History of the last loads, with their cost and outcome, for operators.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::directory::{Directory, SourceError, lock};

/// Maximum number of loads in the history.
const MOST: usize = 60;

/// Finished load.
#[derive(Debug, Clone)]
pub struct PastLoad {
    /// Time of its start.
    pub began: Timestamp,
    /// Duration.
    pub took: Duration,
    /// Number of requests that it sent.
    pub requests: u64,
    /// Outcome.
    pub outcome: Outcome,
}

/// Outcome of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The load was published, with this number of users.
    Published(usize),
    /// The guard held the load, because it would take something from too many users.
    HeldBack,
    /// An operator approved a held change while the load ran. The load was discarded, because it
    /// was based on the snapshot before the approval.
    Overtaken,
    /// The load failed and was discarded.
    Failed(SourceError),
}

/// Ring buffer of the last loads.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<PastLoad>>);

impl History {
    pub(super) fn note(&self, load: PastLoad) {
        let mut loads = lock(&self.0);
        if loads.len() == MOST {
            loads.pop_front();
        }
        loads.push_back(load);
    }
}

impl Directory {
    /// Returns the last loads, the newest last.
    #[must_use]
    pub fn history(&self) -> Vec<PastLoad> {
        lock(&self.0.history.0).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_the_newest_loads() {
        let history = History::default();
        for number in 0..=MOST {
            let (began, took, outcome) = (Timestamp::UNIX_EPOCH, Duration::ZERO, Outcome::HeldBack);
            history.note(PastLoad { began, took, requests: number as u64, outcome });
        }
        let loads = history.0.into_inner().unwrap();
        assert_eq!(
            (loads.len(), loads[0].requests, loads[MOST - 1].requests),
            (MOST, 1, MOST as u64)
        );
    }
}
