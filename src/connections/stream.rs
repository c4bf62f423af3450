//! Stream of a connection with its deadlines. The HTTP library reads all that a peer sends and
//! makes requests of it, even if the peer does not read the responses. This stream passes on one
//! head of a request at a time, the body while the handler wants it, and nothing while the peer
//! does not read.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use crate::connections::flow::{ConnectionState, HeadScan, Phase};
use crate::connections::protocol;
use crate::connections::registry::{Activity, Admission, CloseReason};
use crate::connections::{HEAD_TIMEOUT, WRITE_STALL_TIMEOUT};

/// Admitted connection that enforces its deadlines.
pub(super) struct GuardedStream {
    transport: StreamTransport,
    flow: Rc<ConnectionState>,
    admission: Admission,
    reading: ReadState,
    /// Time at which the peer last read something, while a response waits for it.
    blocked_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// State of the bytes from the peer.
#[derive(Default)]
struct ReadState {
    /// Bytes that were read and must not be passed on yet.
    held_bytes: Vec<u8>,
    head_scan: HeadScan,
    /// Number of bytes that were passed on since other connections were read.
    burst_bytes: usize,
    /// True if anything was read.
    has_read: bool,
    /// True if any head was complete.
    had_request: bool,
}

/// Transport below HTTP.
pub(super) enum StreamTransport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl StreamTransport {
    fn is_plain(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(_) => false,
        }
    }

    /// Has the task woken when the peer sends something. Reports false if something has arrived
    /// already, or if that is not known.
    fn wakes_when_readable(&self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Plain(transport) => transport.poll_read_ready(context).is_pending(),
            // The TLS session may hold bytes that the socket does not report.
            Self::Tls(_) => false,
        }
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(transport) => Pin::new(transport).poll_read(context, buffer),
            Self::Tls(transport) => Pin::new(transport).poll_read(context, buffer),
        }
    }
}

impl GuardedStream {
    pub(super) fn new(transport: StreamTransport, admission: Admission) -> Self {
        Self {
            transport,
            flow: ConnectionState::new(std::sync::Arc::clone(&admission.slot)),
            admission,
            reading: ReadState::default(),
            blocked_since: None,
            timer: None,
        }
    }

    pub(super) fn connection(&self) -> crate::connections::exchange::RequestConnection {
        let registry = std::sync::Arc::clone(&self.admission.registry);
        crate::connections::exchange::RequestConnection { flow: Rc::clone(&self.flow), registry }
    }

    /// Fails if the connection must be closed.
    fn check(&self, context: &Context<'_>) -> io::Result<()> {
        if self.admission.slot.must_close(context.waker()) {
            let text = "closed to make room for other connections";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, text));
        }
        Ok(())
    }

    /// Fails once `deadline` has passed. Until then, the task is woken at the deadline.
    fn check_deadline(
        &mut self,
        context: &mut Context<'_>,
        deadline: Instant,
        reason: CloseReason,
    ) -> io::Result<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        if timer.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.admission.registry.count_close(reason);
        // Later polls of the closed connection do not count again.
        self.flow.head_since.set(None);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Waits until the peer can send more. Fails if the peer has taken too long for the head of a
    /// request.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.reading.burst_bytes = 0;
        if self.flow.phase() == Phase::Head {
            self.admission.slot.set_activity(Activity::Waiting);
        }
        // The HTTP library responds to a late first head.
        if let (Some(since), true) = (self.flow.head_since.get(), self.reading.had_request) {
            self.check_deadline(context, since + HEAD_TIMEOUT, CloseReason::SlowRequest)?;
        }
        Poll::Pending
    }

    /// Passes on up to `count` of the held bytes.
    fn pass_held(&mut self, count: usize, buffer: &mut ReadBuf<'_>) {
        let held = std::mem::take(&mut self.reading.held_bytes);
        let (passed, rest) = held.split_at(count.min(held.len()));
        let (passed, next) = passed.split_at(self.count_passed(passed));
        buffer.put_slice(passed);
        self.reading.held_bytes.extend_from_slice(next);
        self.reading.held_bytes.extend_from_slice(rest);
    }

    /// Notes that `bytes` are passed on, up to the end of a head. Returns the number of bytes to
    /// pass on.
    fn count_passed(&mut self, bytes: &[u8]) -> usize {
        let mut passed = bytes.len();
        if self.flow.phase() == Phase::Responding {
            self.flow.body_passed(passed);
        } else {
            self.admission.slot.set_activity(Activity::Reading);
            let end = self.reading.head_scan.end(bytes);
            if let Some(end) = end {
                passed = end;
                self.reading.had_request = true;
                self.flow.head_passed();
            }
            if (self.reading.head_scan.is_begun() || end.is_some())
                && self.flow.head_since.get().is_none()
            {
                self.flow.head_since.set(Some(Instant::now()));
            }
        }
        self.reading.burst_bytes += passed;
        passed
    }

    /// Notes the outcome of a write: progress, or a wait for the peer. Fails if the peer has not
    /// read for too long.
    fn check_write<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.blocked_since.take().is_some() {
                self.admission.slot.set_blocked(None);
                self.flow.wake_reader();
            }
            return written;
        }
        let since = *self.blocked_since.get_or_insert_with(|| {
            self.admission.slot.set_blocked(Some(self.admission.registry.uptime()));
            Instant::now()
        });
        self.check_deadline(context, since + WRITE_STALL_TIMEOUT, CloseReason::SlowReader)?;
        Poll::Pending
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.check(context)?;
        let allowance = if stream.blocked_since.is_some() { 0 } else { stream.flow.allowance() };
        if allowance == 0 {
            if stream.reading.held_bytes.is_empty() && stream.transport.wakes_when_readable(context)
            {
                stream.flow.forget_reader();
            } else {
                stream.flow.hold_reader(context);
            }
            return stream.wait(context);
        }
        let limit = allowance.saturating_sub(stream.reading.burst_bytes).min(buffer.remaining());
        if limit == 0 {
            context.waker().wake_by_ref();
            stream.reading.burst_bytes = 0;
            return Poll::Pending;
        }
        if !stream.reading.held_bytes.is_empty() {
            stream.pass_held(limit, buffer);
            return Poll::Ready(Ok(()));
        }
        let earlier = buffer.filled().len();
        let read = if limit == buffer.remaining() {
            stream.transport.poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(limit));
            let read = stream.transport.poll_read(context, &mut part);
            let count = part.filled().len();
            buffer.advance(count);
            read
        };
        if read.is_pending() {
            return stream.wait(context);
        }
        ready!(read)?;
        let bytes = buffer.filled().get(earlier..).unwrap_or_default();
        let is_first = !std::mem::replace(&mut stream.reading.has_read, true);
        if is_first
            && stream.transport.is_plain()
            && bytes.first().is_some_and(|first| protocol::is_tls(*first))
        {
            stream.admission.registry.count_close(CloseReason::TlsAtPlain);
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let passed = stream.count_passed(bytes);
        stream.reading.held_bytes.extend_from_slice(bytes.get(passed..).unwrap_or_default());
        buffer.set_filled(earlier + passed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        stream.check(context)?;
        let written = match &mut stream.transport {
            StreamTransport::Plain(transport) => Pin::new(transport).poll_write(context, bytes),
            StreamTransport::Tls(transport) => Pin::new(transport).poll_write(context, bytes),
        };
        stream.check_write(context, written)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.check(context)?;
        match &mut stream.transport {
            // A TCP stream has no buffer to flush.
            StreamTransport::Plain(_) => Poll::Ready(Ok(())),
            StreamTransport::Tls(transport) => {
                let flushed = Pin::new(transport).poll_flush(context);
                stream.check_write(context, flushed)
            }
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        stream.check(context)?;
        match &mut stream.transport {
            StreamTransport::Plain(transport) => Pin::new(transport).poll_shutdown(context),
            StreamTransport::Tls(transport) => {
                let closed = Pin::new(transport).poll_shutdown(context);
                stream.check_write(context, closed)
            }
        }
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        // The HTTP library responds to a late first head and closes the connection. The tolerance
        // allows for its less exact clock.
        if let (Some(since), false) = (self.flow.head_since.get(), self.reading.had_request)
            && since.elapsed() + Duration::from_millis(600) >= HEAD_TIMEOUT
        {
            self.admission.registry.count_close(CloseReason::SlowRequest);
        }
    }
}
