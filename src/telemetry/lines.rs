//! Lines on their way to standard error. Whoever has one does not wait until it is written: a thread of its own writes
//! them, many at once where there are many. None is lost, unless the process is killed within milliseconds.

use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So many bytes may wait. Then whoever has another line waits.
const MOST: usize = 1024 * 1024;
/// The first line waits so long for others: to wake the thread for each would cost more than to write it.
const PATIENCE: Duration = Duration::from_millis(5);

/// Where lines are put.
pub(super) struct Lines(Arc<Shared>);

/// The thread that writes them. Whatever waits when this goes is written then.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// There is a line, or there will be none any more.
    news: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    /// The thread has nothing to do.
    is_idle: bool,
    /// There will be no more.
    is_over: bool,
}

/// Writes lines to `to` from now on.
pub(super) fn start(to: impl Write + Send + 'static) -> io::Result<(Lines, Writer)> {
    let shared = Arc::<Shared>::default();
    let thread = thread::Builder::new().name("log".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || shared.write(to)
    })?;
    Ok((Lines(Arc::clone(&shared)), Writer { shared, thread: Some(thread) }))
}

impl Lines {
    pub(super) fn put(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.is_over {
            // The process ends, and something is said about that.
            drop(waiting);
            let _ = io::stderr().write_all(line);
            return;
        }
        while waiting.text.len() >= MOST && !waiting.is_over {
            waiting = self.0.room.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.text.extend_from_slice(line);
        if std::mem::take(&mut waiting.is_idle) {
            drop(waiting);
            self.0.news.notify_one();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut to: impl Write) {
        let mut text = Vec::new();
        while self.take(&mut text) {
            write_all(&mut to, &text);
            text.clear();
        }
    }

    /// Waits for lines and takes them, with an empty vector for the next ones in their place. Tells whether there are any.
    fn take(&self, text: &mut Vec<u8>) -> bool {
        let mut waiting = self.waiting();
        if waiting.text.is_empty() {
            waiting.is_idle = true;
            let news = self.news.wait_while(waiting, |waiting| waiting.text.is_empty() && !waiting.is_over);
            waiting = news.unwrap_or_else(PoisonError::into_inner);
            if !waiting.is_over {
                drop(waiting);
                thread::sleep(PATIENCE);
                waiting = self.waiting();
            }
        }
        std::mem::swap(&mut waiting.text, text);
        waiting.is_idle = false;
        drop(waiting);
        self.room.notify_all();
        !text.is_empty()
    }
}

/// Writes these lines. What cannot be written costs one line at a time: the disk may have room again for the next.
fn write_all(to: &mut impl Write, mut text: &[u8]) {
    // Whether the end of a line is missing of which the beginning was written.
    let (mut is_torn, mut is_begun) = (false, false);
    while !text.is_empty() {
        let rest = if is_torn { &b"\n"[..] } else { text };
        match to.write(rest) {
            Ok(0) => return,
            Ok(_) if is_torn => (is_torn, is_begun) = (false, false),
            Ok(count) => {
                is_begun = rest.get(count - 1) != Some(&b'\n');
                text = text.get(count..).unwrap_or_default();
            }
            // A pipe that somebody else has told not to wait.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                thread::sleep(PATIENCE);
            }
            Err(_) => {
                let end = text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1);
                text = text.get(end..).unwrap_or_default();
                is_torn = is_begun;
            }
        }
    }
    let _ = to.flush();
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.waiting().is_over = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes slowly, into a place that can be looked at.
    #[derive(Clone, Default)]
    struct Slow(Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
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
    fn every_line_is_written_once_and_in_order_however_many_there_are() {
        let slow = Slow::default();
        let (lines, writer) = start(slow.clone()).unwrap();
        let lines = Arc::new(lines);
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let lines = Arc::clone(&lines);
                thread::spawn(move || {
                    let rest = "x".repeat(100);
                    (0..10_000).for_each(|number| lines.put(format!("{thread} {number} {rest}\n").as_bytes()));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        drop(writer);
        let text = String::from_utf8(slow.0.lock().unwrap().clone()).unwrap();
        let mut next = [0; 4];
        for line in text.lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(rest.split(' ').next().unwrap().parse::<usize>().unwrap(), *next, "{line}");
            *next += 1;
        }
        assert_eq!(next, [10_000; 4]);
    }

    #[test]
    fn a_line_is_written_although_no_other_follows() {
        let slow = Slow::default();
        let (lines, _writer) = start(slow.clone()).unwrap();
        for count in 1..=3 {
            lines.put(b"line\n");
            let began = std::time::Instant::now();
            while slow.0.lock().unwrap().len() < 5 * count {
                assert!(began.elapsed() < Duration::from_secs(20), "line {count} is not written");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Writes a few bytes at a time, and fails as told before each.
    struct Failing {
        written: Vec<u8>,
        failures: Vec<Option<ErrorKind>>,
    }

    impl Write for Failing {
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
    fn what_cannot_be_written_costs_a_line_and_what_must_wait_none() {
        let (full, later) = (Some(ErrorKind::StorageFull), Some(ErrorKind::WouldBlock));
        for (mut failures, expected) in [
            (vec![], "one\ntwo\nthree\n"),
            (vec![later, None, later, later], "one\ntwo\nthree\n"),
            // Behind its first three bytes the line is lost, and so is its end.
            (vec![None, full], "one\ntwo\nthree\n"),
            (vec![full], "two\nthree\n"),
            (vec![full, full], "three\n"),
            (vec![None, full, full], "one\nthree\n"),
            (vec![full, full, full], ""),
        ] {
            failures.reverse();
            let mut failing = Failing { written: Vec::new(), failures };
            write_all(&mut failing, b"one\ntwo\nthree\n");
            let written = String::from_utf8(failing.written).unwrap();
            assert_eq!(written, expected);
        }
    }
}
