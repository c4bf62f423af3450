//! Client that sends correct requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::{Peer, RawResponse, ask, ask_with_retries};
use super::program::wait_for;
use super::{PERSONS, TOKEN};

/// Name of the variable with the maximum 99th percentile of response times, in milliseconds.
/// `benches/load/hostile` sets it; tests do not, because they share the machine with others.
const P99_VARIABLE: &str = "HOSTILE_P99_MS";

/// Connections that a right client uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// A kept connection and a new one in turn.
    KeptAndNew,
    /// A kept connection and a new one in turn. The new one may be refused, because others with the
    /// same token may occupy all connections.
    KeptAndRefused,
}

/// Client with a token that sends requests continuously.
pub(crate) struct RightClient {
    ended: EndOnDrop,
    answers: Arc<AtomicUsize>,
    thread: JoinHandle<Outcome>,
}

/// Guard that ends a client when it is dropped, also when its test fails.
struct EndOnDrop(Arc<AtomicBool>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Results of the requests.
#[derive(Debug, Default)]
struct Outcome {
    wrong: Vec<String>,
    refused: usize,
    times: Vec<Duration>,
}

impl RightClient {
    pub(crate) fn start(peer: &Peer, connections: Connections) -> Self {
        let (ended, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut kept = peer.connect().unwrap();
        assert_eq!(ask(&mut *kept, "/scim/v2/Users?count=0").unwrap().status, 200);
        let thread = std::thread::spawn({
            let (ended, answers, peer) = (Arc::clone(&ended), Arc::clone(&answers), peer.clone());
            move || {
                let mut outcome = Outcome::default();
                for number in 0.. {
                    if ended.load(Relaxed) {
                        break;
                    }
                    let path =
                        format!("/scim/v2/Users?startIndex={}&count=1", number % PERSONS + 1);
                    let started_at = Instant::now();
                    let is_kept = number % 2 == 0;
                    let answer = if is_kept {
                        ask(&mut *kept, &path)
                    } else {
                        ask_with_retries(&peer, &path)
                    };
                    outcome.times.push(started_at.elapsed());
                    let may_be_refused = connections == Connections::KeptAndRefused && !is_kept;
                    match answer {
                        Ok(answer) if is_right(&answer) => {}
                        Ok(answer) if may_be_refused && is_refusal(&answer) => outcome.refused += 1,
                        other => {
                            outcome.wrong.push(format!("{number}: {other:?}").replace(TOKEN, ""))
                        }
                    }
                    answers.fetch_add(1, Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
                outcome
            }
        });
        Self { ended: EndOnDrop(ended), answers, thread }
    }

    /// Waits until `count` more requests were answered.
    pub(crate) fn wait_for_answers(&self, count: usize) {
        let before = self.answers.load(Relaxed);
        wait_for("right clients are answered", Duration::from_secs(60), || {
            (self.answers.load(Relaxed) >= before + count).then_some(())
        });
    }

    /// Ends the client and asserts that all its responses were correct and in time. Returns a
    /// summary of the response times.
    pub(crate) fn end(self, what: &str) -> String {
        drop(self.ended);
        let Outcome { wrong, refused, mut times } = self.thread.join().unwrap();
        times.sort_unstable();
        let (p50, p99, slowest) =
            (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]);
        let reported = format!(
            "{} answers ({refused} refused), p50 {p50:.1?}, p99 {p99:.1?}, slowest {slowest:.1?}",
            times.len()
        );
        assert!(
            wrong.is_empty(),
            "{what}: {reported}, {} wrong: {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
        if let Ok(longest) = std::env::var(P99_VARIABLE) {
            let longest = Duration::from_millis(longest.parse().unwrap());
            assert!(p99 <= longest, "{what}: {reported}; p99 may be {longest:?}");
        }
        reported
    }
}

fn is_right(answer: &RawResponse) -> bool {
    let page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    answer.status == 200
        && page["totalResults"] == PERSONS
        && page["Resources"].as_array().is_some_and(|r| r.len() == 1)
}

/// Reports whether a response says that there are too many clients, and when to retry.
fn is_refusal(answer: &RawResponse) -> bool {
    answer.status == 503
        && answer.head.contains("retry-after: 10\r\n")
        && answer.head.contains("connection: close\r\n")
}
