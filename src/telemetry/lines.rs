//! Queue of log lines for standard error. A thread writes the lines in batches.
//!
//! Callers do not wait until a line is written. When the reader of standard error stalls and too
//! many bytes are pending, lines are dropped after a short wait and counted, because requests must
//! be answered even if the log cannot be written. Otherwise no line is lost, unless the process is
//! killed within milliseconds.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Number of pending bytes from which lines are dropped.
const MAX_PENDING_BYTES: usize = 1024 * 1024;
/// Time for which a batch is collected. Waking the thread for each line would cost more than
/// writing it.
const BATCH_DELAY: Duration = Duration::from_millis(5);
/// Time for which a caller waits for room before its line is dropped. After that, lines are dropped
/// at once until there is room again.
const ROOM_TIMEOUT: Duration = Duration::from_millis(50);
/// Time for which the end of the process waits until pending lines are written.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Number of lines that were dropped since the process started.
static DROPPED_LINES: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that were dropped since the process started.
pub fn dropped_lines() -> u64 {
    DROPPED_LINES.load(Relaxed)
}

/// Sending half of the queue. Clones share it.
#[derive(Clone)]
pub(super) struct LogQueue(Arc<QueueState>);

/// Guard of the thread. Dropping it closes the queue and waits until pending lines are written, as
/// far as standard error accepts them.
pub(super) struct FlushGuard(Arc<QueueState>);

#[derive(Default)]
struct QueueState {
    pending: Mutex<PendingLines>,
    /// Signal for a new line or for the end of the queue.
    changed: Condvar,
    /// Signal that there is room again.
    room: Condvar,
    /// Signal that the thread has ended.
    ended: Condvar,
    /// Number of lines that this queue has dropped.
    dropped_lines: AtomicU64,
}

#[derive(Default)]
struct PendingLines {
    text: Vec<u8>,
    /// Number of dropped lines that the log has not reported yet.
    unreported_drops: u64,
    /// Flag that is set while the thread waits for lines.
    is_idle: bool,
    /// Flag that is set after a caller has waited for room without success.
    is_stalled: bool,
    /// Flag that is set when the queue is closed.
    is_closed: bool,
    /// Flag that is set when the thread has written everything and ended.
    has_ended: bool,
}

/// Starts a thread that writes lines to `to`.
pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<(LogQueue, FlushGuard)> {
    let shared = Arc::<QueueState>::default();
    thread::Builder::new().name("log".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || shared.write(to)
    })?;
    Ok((LogQueue(Arc::clone(&shared)), FlushGuard(shared)))
}

impl LogQueue {
    pub(super) fn push(&self, line: &[u8]) {
        let mut pending = self.0.pending();
        if pending.is_closed {
            let has_ended = pending.has_ended;
            drop(pending);
            // The process ends. Standard error still accepts lines if it has accepted all earlier
            // ones.
            if has_ended {
                let _ = io::stderr().write_all(line);
            }
            return;
        }
        if !pending.has_room() && !pending.is_stalled {
            let waited = self.0.room.wait_timeout_while(pending, ROOM_TIMEOUT, |pending| {
                !pending.has_room() && !pending.is_closed && !pending.is_stalled
            });
            (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if !pending.has_room() {
            pending.is_stalled = true;
            pending.unreported_drops += 1;
            self.0.dropped_lines.fetch_add(1, Relaxed);
            DROPPED_LINES.fetch_add(1, Relaxed);
            return;
        }
        pending.text.extend_from_slice(line);
        if std::mem::take(&mut pending.is_idle) {
            drop(pending);
            self.0.changed.notify_one();
        }
    }
}

/// Queue as a writer of the text format. A terminal can be paused, so its lines take the same path.
impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'l> MakeWriter<'l> for LogQueue {
    type Writer = &'l Self;

    fn make_writer(&'l self) -> Self::Writer {
        self
    }
}

impl PendingLines {
    fn has_room(&self) -> bool {
        self.text.len() < MAX_PENDING_BYTES
    }
}

impl QueueState {
    fn pending(&self) -> MutexGuard<'_, PendingLines> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut to: impl Write) {
        let mut text = Vec::new();
        while self.take(&mut text) {
            write_all(&mut to, &text);
            text.clear();
            self.report_dropped();
        }
        self.pending().has_ended = true;
        self.ended.notify_all();
    }

    /// Waits for lines and swaps them with `text`, which must be empty. Reports whether there are
    /// any lines.
    fn take(&self, text: &mut Vec<u8>) -> bool {
        let mut pending = self.pending();
        if pending.text.is_empty() {
            pending.is_idle = true;
            let waited = self
                .changed
                .wait_while(pending, |pending| pending.text.is_empty() && !pending.is_closed);
            pending = waited.unwrap_or_else(PoisonError::into_inner);
            if !pending.is_closed {
                drop(pending);
                thread::sleep(BATCH_DELAY);
                pending = self.pending();
            }
        }
        std::mem::swap(&mut pending.text, text);
        pending.is_idle = false;
        pending.is_stalled = false;
        drop(pending);
        self.room.notify_all();
        !text.is_empty()
    }

    /// Logs the number of dropped lines, after the lines before them have been written.
    fn report_dropped(&self) {
        let dropped = std::mem::take(&mut self.pending().unreported_drops);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "{dropped} lines of this log were dropped: standard error was not read in time"
            );
        }
    }
}

/// Writes these lines. An error drops one line at a time, because the disk may have room again for
/// the next one.
fn write_all(to: &mut impl Write, mut text: &[u8]) {
    // `is_begun`: the beginning of a line was written, but not its end. `is_torn`: the rest of such
    // a line was dropped, and its line break is still missing.
    let mut is_torn = false;
    let mut is_begun = false;
    while !text.is_empty() {
        let rest = if is_torn { &b"\n"[..] } else { text };
        match to.write(rest) {
            Ok(0) => return,
            Ok(_) if is_torn => {
                is_torn = false;
                is_begun = false;
            }
            Ok(count) => {
                is_begun = rest.get(count - 1) != Some(&b'\n');
                text = text.get(count..).unwrap_or_default();
            }
            // Another process may have switched the pipe to non-blocking mode.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                thread::sleep(BATCH_DELAY);
            }
            Err(_) => {
                text = after_first_line(text);
                is_torn = is_begun;
            }
        }
    }
    let _ = to.flush();
}

fn after_first_line(text: &[u8]) -> &[u8] {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => text.get(end + 1..).unwrap_or_default(),
        None => &[],
    }
}

impl Drop for FlushGuard {
    fn drop(&mut self) {
        let mut pending = self.0.pending();
        pending.is_closed = true;
        self.0.changed.notify_one();
        let _ = self
            .0
            .ended
            .wait_timeout_while(pending, SHUTDOWN_TIMEOUT, |pending| !pending.has_ended);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Slow writer whose output can be read.
    #[derive(Clone, Default)]
    struct SlowWriter(Arc<Mutex<Vec<u8>>>);

    impl Write for SlowWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            thread::sleep(Duration::from_micros(200));
            let most = bytes.len().min(100_000);
            self.0.lock().unwrap().extend_from_slice(&bytes[..most]);
            Ok(most)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_once_and_in_order_or_counted_as_dropped() {
        let slow = SlowWriter::default();
        let (lines, writer) = start(slow.clone()).unwrap();
        let lines = Arc::new(lines);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let lines = Arc::clone(&lines);
                thread::spawn(move || {
                    let rest = "x".repeat(100);
                    (0..10_000).for_each(|number| {
                        lines.push(format!("{thread} {number} {rest}\n").as_bytes())
                    });
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(writer);
        let text = String::from_utf8(slow.0.lock().unwrap().clone()).unwrap();
        let (mut written, mut next) = (0, [0; 4]);
        for line in text.lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            let number = rest.split(' ').next().unwrap().parse::<usize>().unwrap();
            assert!(number >= *next, "{line}");
            *next = number + 1;
            written += 1;
        }
        // On a busy machine, the writing thread may be as slow as a stalled reader.
        assert_eq!(written + lines.0.dropped_lines.load(Relaxed), 40_000);
        assert!(written > 10_000, "{written}");
    }

    #[test]
    fn single_line_is_written_without_a_following_one() {
        let slow = SlowWriter::default();
        let (lines, _writer) = start(slow.clone()).unwrap();
        for count in 1..=3 {
            lines.push(b"line\n");
            let began = Instant::now();
            while slow.0.lock().unwrap().len() < 5 * count {
                assert!(began.elapsed() < Duration::from_secs(20), "line {count} is not written");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Writer that blocks until a test releases it.
    struct StalledWriter(Arc<(Mutex<bool>, Condvar)>, SlowWriter);

    impl Write for StalledWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (flows, changed) = &*self.0;
            drop(changed.wait_while(flows.lock().unwrap(), |flows| !*flows).unwrap());
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn stalled_reader_drops_lines_without_blocking_callers() {
        let (gate, slow) = (Arc::new((Mutex::new(false), Condvar::new())), SlowWriter::default());
        let (lines, writer) = start(StalledWriter(Arc::clone(&gate), slow.clone())).unwrap();
        let line = format!("{}\n", "x".repeat(999));
        let began = Instant::now();
        let put = 3 * MAX_PENDING_BYTES / line.len();
        (0..put).for_each(|_| lines.push(line.as_bytes()));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let dropped = lines.0.dropped_lines.load(Relaxed);
        assert!(dropped > 0, "what has no room is dropped");

        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        drop(writer);
        let written = slow.0.lock().unwrap().len() / line.len();
        assert_eq!(written as u64 + dropped, put as u64, "each line is written or counted");
    }

    #[test]
    fn shutdown_does_not_wait_for_a_stalled_reader() {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (lines, writer) = start(StalledWriter(gate, SlowWriter::default())).unwrap();
        lines.push(b"line\n");
        let began = Instant::now();
        drop(writer);
        lines.push(b"the last line\n");
        assert!(began.elapsed() < 2 * SHUTDOWN_TIMEOUT, "{:?}", began.elapsed());
    }

    /// Writer that takes three bytes at a time and returns the given failures.
    struct FailingWriter {
        written: Vec<u8>,
        failures: Vec<Option<ErrorKind>>,
    }

    impl Write for FailingWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.failures.pop().flatten() {
                return Err(kind.into());
            }
            self.written.extend_from_slice(&bytes[..bytes.len().min(3)]);
            Ok(bytes.len().min(3))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn write_error_drops_one_line_and_would_block_drops_none() {
        let (full, later) = (Some(ErrorKind::StorageFull), Some(ErrorKind::WouldBlock));
        for (mut failures, expected) in [
            (vec![], "one\ntwo\nthree\n"),
            (vec![later, None, later, later], "one\ntwo\nthree\n"),
            // The first write takes three bytes. The second fails, so the rest of the line is
            // dropped.
            (vec![None, full], "one\ntwo\nthree\n"),
            (vec![full], "two\nthree\n"),
            (vec![full, full], "three\n"),
            (vec![None, full, full], "one\nthree\n"),
            (vec![full, full, full], ""),
        ] {
            failures.reverse();
            let mut failing = FailingWriter { written: Vec::new(), failures };
            write_all(&mut failing, b"one\ntwo\nthree\n");
            let written = String::from_utf8(failing.written).unwrap();
            assert_eq!(written, expected);
        }
    }
}
