//! Log of a load while lists cannot be served yet: a line from time to time, with an estimate of
//! the remaining time.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::directory::LoadProgress;

/// Interval at which the progress is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest time between two lines.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// Longest time between two lines, even without progress.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// Progress, in percent of the load, after which another line is due.
const STEP_PERCENT: usize = 10;

/// Logs the progress of the load that began at `started`, until the task is aborted.
pub(super) async fn log(progress: Arc<LoadProgress>, clock: Arc<dyn Clock>, started: Duration) {
    let mut log = ProgressLog::default();
    loop {
        clock.wait(POLL_INTERVAL).await;
        let elapsed = clock.monotonic().saturating_sub(started);
        if let Some(line) = log.next_line(&progress, elapsed) {
            tracing::info!("reading all persons from Personio: {line}");
        }
    }
}

/// State of the log after its last line.
#[derive(Debug, Default)]
struct ProgressLog {
    /// Time of the last line since the start of the load.
    logged_at: Duration,
    /// Progress at the last line, in percent.
    logged_percent: usize,
    /// Flag set when the list was complete at the last line.
    was_listed: bool,
}

impl ProgressLog {
    /// Returns the next line, if one is due after `elapsed`.
    fn next_line(&mut self, progress: &LoadProgress, elapsed: Duration) -> Option<String> {
        let since_last_line = elapsed.saturating_sub(self.logged_at);
        let details = progress.enriched_of_total();
        let percent = match details {
            Some((done, total)) => done * 100 / total.max(1),
            None => 0,
        };
        let has_advanced =
            percent >= self.logged_percent + STEP_PERCENT || details.is_some() != self.was_listed;
        if since_last_line < MIN_INTERVAL || (!has_advanced && since_last_line < MAX_INTERVAL) {
            return None;
        }
        *self = Self { logged_at: elapsed, logged_percent: percent, was_listed: details.is_some() };
        match progress.remaining_time(elapsed) {
            Some(left) => Some(format!("{progress}, {left}")),
            None => Some(progress.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_due_after_each_tenth_within_the_intervals() {
        let (progress, mut log) = (LoadProgress::default(), ProgressLog::default());
        let mut check = |persons: usize, done: usize, seconds: u64, expected: Option<&str>| {
            if persons > 0 {
                progress.set_total(persons);
            }
            (0..done).for_each(|_| progress.add_enriched());
            let line = log.next_line(&progress, Duration::from_secs(seconds));
            assert_eq!(line.as_deref(), expected, "after {seconds} s");
        };
        check(0, 0, 9, None);
        check(0, 0, 30, None);
        check(0, 0, 60, Some("0 persons listed so far"));
        check(700, 10, 61, None);
        check(700, 0, 70, Some("10 of 700 persons read, about 81 min left"));
        check(700, 20, 90, None);
        check(700, 60, 100, Some("90 of 700 persons read, about 11 min left"));
        check(700, 0, 159, None);
        check(700, 0, 160, Some("90 of 700 persons read, about 18 min left"));
        check(700, 605, 175, Some("695 of 700 persons read, about 1 s left"));
    }
}
