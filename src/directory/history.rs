//! History of the last loads, with their cost and outcome, for operators.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use crate::directory::{SourceError, lock};

/// Maximum number of loads in the history.
const MAX_LOADS: usize = 60;

/// Finished load.
#[derive(Debug, Clone)]
pub struct FinishedLoad {
    /// Time of its start.
    pub started_at: Timestamp,
    /// Duration.
    pub duration: Duration,
    /// Number of requests that it sent.
    pub requests: u64,
    /// Outcome.
    pub outcome: LoadOutcome,
}

/// Outcome of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadOutcome {
    /// The load was published, with this number of users.
    Published(usize),
    /// The guard held the load, because it would take something from too many users.
    Held,
    /// An operator approved a held change while the load ran. The load was discarded, because it
    /// was based on the snapshot before the approval.
    Superseded,
    /// The load failed and was discarded.
    Failed(SourceError),
}

/// Ring buffer of the last loads.
#[derive(Debug, Default)]
pub(super) struct LoadHistory(Mutex<VecDeque<FinishedLoad>>);

impl LoadHistory {
    pub(super) fn push(&self, load: FinishedLoad) {
        let mut loads = lock(&self.0);
        if loads.len() == MAX_LOADS {
            loads.pop_front();
        }
        loads.push_back(load);
    }

    /// Returns the last loads, the newest last.
    pub(super) fn all(&self) -> Vec<FinishedLoad> {
        lock(&self.0).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_keeps_the_newest_loads() {
        let history = LoadHistory::default();
        for number in 0..=MAX_LOADS {
            let (started_at, duration, outcome) =
                (Timestamp::UNIX_EPOCH, Duration::ZERO, LoadOutcome::Held);
            history.push(FinishedLoad { started_at, duration, requests: number as u64, outcome });
        }
        let loads = history.0.into_inner().unwrap();
        assert_eq!(
            (loads.len(), loads[0].requests, loads[MAX_LOADS - 1].requests),
            (MAX_LOADS, 1, MAX_LOADS as u64)
        );
    }
}
