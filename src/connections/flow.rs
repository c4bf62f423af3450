//! State that the stream of a connection shares with the request that is being answered on it. Both
//! are on the same thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};

use memchr::memchr;
use tokio::time::Instant;

use crate::connections::registry::{Activity, ConnectionSlot};

/// Maximum number of bytes of a body of unknown length that are passed on at once. Requests can
/// follow the body, and the HTTP library queues all that are in these bytes.
const MAX_UNKNOWN_BODY_BURST_BYTES: usize = 512;
/// Maximum number of other bytes that are passed on before other connections are read.
const MAX_BURST_BYTES: usize = 8 * 1024;

/// State that a stream and a request share.
pub(super) struct ConnectionState {
    pub(super) slot: Arc<ConnectionSlot>,
    phase: Cell<Phase>,
    wants_body: Cell<bool>,
    is_last_response: Cell<bool>,
    /// Start of a head whose request is not being answered yet.
    pub(super) head_since: Cell<Option<Instant>>,
    /// Number of bytes of the body that were not passed on yet, if its length is known.
    body_left: Cell<Option<u64>>,
    /// Waker of a reader that waits for permission to pass on bytes which have arrived. A reader
    /// for which nothing has arrived is woken by the socket.
    reader_waker: RefCell<Option<Waker>>,
}

/// Position of the stream in the exchange of a request and its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of a request is read.
    Head,
    /// A whole head was passed on, and the server has not begun to answer it.
    Parsing,
    /// A request is being answered.
    Responding,
}

impl ConnectionState {
    pub(super) fn new(slot: Arc<ConnectionSlot>) -> Rc<Self> {
        Rc::new(Self {
            slot,
            phase: Cell::new(Phase::Head),
            wants_body: Cell::new(false),
            is_last_response: Cell::new(false),
            head_since: Cell::new(Some(Instant::now())),
            body_left: Cell::new(None),
            reader_waker: RefCell::new(None),
        })
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Notes that a whole head was passed on.
    pub(super) fn head_passed(&self) {
        self.phase.set(Phase::Parsing);
    }

    /// Notes that the server begins to answer a request.
    pub(super) fn begin_response(&self, body_length: Option<u64>) {
        self.phase.set(Phase::Responding);
        self.head_since.set(None);
        self.wants_body.set(false);
        self.body_left.set(body_length);
        self.slot.set_activity(Activity::Answering);
    }

    /// Notes that a response is complete or was abandoned.
    pub(super) fn end_response(&self) {
        self.phase.set(Phase::Head);
        let is_held = self.reader_waker.borrow().is_some();
        self.slot.set_activity(if is_held { Activity::Reading } else { Activity::Waiting });
        self.wake_reader();
    }

    /// Has the connection closed after the response.
    pub(super) fn close_after_response(&self) {
        self.is_last_response.set(true);
    }

    /// Reports whether the connection is closed after the response.
    pub(super) fn is_last_response(&self) -> bool {
        self.is_last_response.get()
    }

    /// Notes whether the request waits for more of its body.
    pub(super) fn want_body(&self, wants_body: bool) {
        self.wants_body.set(wants_body);
        if wants_body {
            self.wake_reader();
        }
    }

    /// Returns the maximum number of bytes that the stream may pass on now.
    pub(super) fn allowance(&self) -> usize {
        match self.phase.get() {
            Phase::Head => MAX_BURST_BYTES,
            Phase::Parsing => 0,
            Phase::Responding if !self.wants_body.get() => 0,
            Phase::Responding => match self.body_left.get() {
                None => MAX_UNKNOWN_BODY_BURST_BYTES,
                Some(left) => usize::try_from(left).unwrap_or(usize::MAX).min(MAX_BURST_BYTES),
            },
        }
    }

    /// Notes that `count` bytes of a body were passed on.
    pub(super) fn body_passed(&self, count: usize) {
        if let Some(left) = self.body_left.get() {
            self.body_left.set(Some(left.saturating_sub(count as u64)));
        }
    }

    /// Has the reader woken when it may pass on bytes again.
    pub(super) fn hold_reader(&self, context: &Context<'_>) {
        let mut held = self.reader_waker.borrow_mut();
        match &mut *held {
            Some(waker) => waker.clone_from(context.waker()),
            None => *held = Some(context.waker().clone()),
        }
    }

    /// Notes that the socket wakes the reader.
    pub(super) fn forget_reader(&self) {
        self.reader_waker.borrow_mut().take();
    }

    /// Wakes the reader if it waits for permission.
    pub(super) fn wake_reader(&self) {
        let held = self.reader_waker.borrow_mut().take();
        if let Some(waker) = held {
            waker.wake();
        }
    }
}

/// Scanner that finds the end of a head in a stream of bytes: an empty line that is not at its
/// beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum HeadScan {
    /// Only line ends were seen. They are allowed before a request line (RFC 9112 §2.2).
    #[default]
    Start,
    /// Position in a line.
    Line,
    /// Position at the beginning of a line.
    LineStart,
    /// Position after a carriage return at the beginning of a line.
    Return,
}

impl HeadScan {
    /// Reports whether any byte of a head was seen.
    pub(super) fn is_begun(self) -> bool {
        self != Self::Start
    }

    /// Scans `bytes`. Returns the position after the head if its end is in them.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut position = 0;
        while let Some(rest @ [first, ..]) = bytes.get(position..) {
            match (*self, *first) {
                (Self::Start, b'\r' | b'\n') => position += 1,
                (Self::LineStart, b'\r') => {
                    position += 1;
                    *self = Self::Return;
                }
                (Self::LineStart | Self::Return, b'\n') => {
                    *self = Self::Start;
                    return Some(position + 1);
                }
                (Self::Start | Self::Line | Self::LineStart | Self::Return, _) => {
                    if let Some(line_end) = memchr(b'\n', rest) {
                        position += line_end + 1;
                        *self = Self::LineStart;
                    } else {
                        position = bytes.len();
                        *self = Self::Line;
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_ends_with_an_empty_line_in_any_split() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\n\r\nnext", Some(18)),
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Some(27)),
            ("GET / HTTP/1.1\n\nnext", Some(16)),
            ("GET / HTTP/1.1\n\r\nnext", Some(17)),
            ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Some(22)),
            ("GET / HTTP/1.1\r\nA: \r\r\n\r\n", Some(24)),
            ("GET / HTTP/1.1\r\n", None),
            ("GET / HTTP/1.1\r\n\rA\r\n", None),
            ("\r\n\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(HeadScan::default().end(bytes.as_bytes()), expected, "{bytes:?}");
            // The result is the same if each byte arrives alone.
            let mut scan = HeadScan::default();
            let found =
                (0..bytes.len()).find(|at| scan.end(&bytes.as_bytes()[*at..=*at]).is_some());
            assert_eq!(found.map(|at| at + 1), expected, "{bytes:?}");
        }
    }
}
