//! Clock that moves only when a test moves it. The unit tests in `src/` use this file as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Clock;

/// Longest real time for which [`TestClock::settle`] waits.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Clock that moves only when a test moves it. Clones share their time.
#[derive(Debug, Clone)]
pub struct TestClock(Arc<watch::Sender<TestTime>>);

#[derive(Debug)]
struct TestTime {
    now: Timestamp,
    monotonic: Duration,
    /// Deadlines of the futures that wait, by their number.
    deadlines: BTreeMap<u64, Duration>,
    next_number: u64,
}

impl TestClock {
    /// Creates a clock at this calendar time.
    pub fn at(now: &str) -> Self {
        Self(Arc::new(watch::Sender::new(TestTime {
            now: now.parse().unwrap(),
            monotonic: Duration::ZERO,
            deadlines: BTreeMap::new(),
            next_number: 0,
        })))
    }

    /// Sets the calendar time. Ages do not change, as after a correction of the system clock.
    pub fn set(&self, now: &str) {
        self.0.send_modify(|time| time.now = now.parse().unwrap());
    }

    /// Advances the calendar time and all ages.
    pub fn pass(&self, duration: Duration) {
        self.0.send_modify(|time| {
            time.now += duration;
            time.monotonic += duration;
        });
    }

    /// Advances all ages. The calendar time stays, and with it the times in resources.
    pub fn age(&self, duration: Duration) {
        self.0.send_modify(|time| time.monotonic += duration);
    }

    /// Returns the number of tasks that wait for this clock.
    pub fn waiting(&self) -> usize {
        self.0.borrow().deadlines.len()
    }

    /// Waits until exactly `tasks` tasks wait for this clock, each for a time that has not come.
    /// The tasks that the last move of the clock has woken have done their work then.
    pub async fn settle(&self, tasks: usize) {
        let mut times = self.0.subscribe();
        let settled = times.wait_for(|time| {
            time.deadlines.len() == tasks
                && time.deadlines.values().all(|deadline| *deadline > time.monotonic)
        });
        if timeout(SETTLE_TIMEOUT, settled).await.is_err() {
            panic!("{tasks} tasks were expected to wait: {:?}", self.0.borrow());
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    fn monotonic(&self) -> Duration {
        self.0.borrow().monotonic
    }

    fn wait_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let waiter = Waiter::new(self.clone(), deadline);
        let mut times = self.0.subscribe();
        Box::pin(async move {
            let _ = times.wait_for(|time| time.monotonic >= deadline).await;
            drop(waiter);
        })
    }
}

/// Registration of a future that waits.
struct Waiter {
    clock: TestClock,
    number: u64,
}

impl Waiter {
    fn new(clock: TestClock, deadline: Duration) -> Self {
        let mut number = 0;
        clock.0.send_modify(|time| {
            number = time.next_number;
            time.next_number += 1;
            time.deadlines.insert(number, deadline);
        });
        Self { clock, number }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.clock.0.send_modify(|time| {
            time.deadlines.remove(&self.number);
        });
    }
}
