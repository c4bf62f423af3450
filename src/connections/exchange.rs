//! Request and response, tied to their connection. The body of a request is read only while the
//! handler wants it, and the response is written in parts.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_http::body::{BodySize, MessageBody};
use actix_http::error::PayloadError;
use actix_http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_http::{ConnectionType, Payload, Request, Response};
use actix_web::HttpRequest;
use bytes::Bytes;
use futures_util::Stream;

use crate::connections::flow::ConnectionState;
use crate::connections::registry::{BodyRegistration, ConnectionRegistry};

/// Number of bytes of a large response that the HTTP library gets at once, since it copies them.
const MAX_PART_BYTES: usize = 32 * 1024;
/// Maximum number of bytes of a small response or of the last part of a large one. A small rest
/// would cost a system call of its own.
const MAX_LAST_PART_BYTES: usize = 48 * 1024;
/// Maximum number of bytes that are read and discarded of a body that the handler did not need.
const MAX_DISCARDED_BYTES: usize = 16 * 1024;
/// Maximum number of attempts to read more of such a body. Bytes that have not arrived by then are
/// not awaited.
const MAX_DISCARD_READS: usize = 8;

/// Connection of a request.
#[derive(Clone)]
pub(super) struct RequestConnection {
    pub(super) flow: Rc<ConnectionState>,
    pub(super) registry: Arc<ConnectionRegistry>,
}

/// Notes that `request` presents a valid token, so that its connection is known from now on.
/// Reports whether there is room for it. If not, the caller must refuse the request, and the
/// connection is closed after the response.
#[must_use]
pub fn accept_token(request: &HttpRequest) -> bool {
    let Some(connection) = request.conn_data::<RequestConnection>() else { return true };
    let has_room = connection.registry.make_known(&connection.flow.slot);
    if !has_room {
        connection.flow.close_after_response();
    }
    has_room
}

/// Request body that the handler and this module share.
#[derive(Clone)]
struct SharedRequestBody(Rc<RefCell<BodyReader>>);

struct BodyReader {
    payload: Payload,
    flow: Rc<ConnectionState>,
    is_complete: bool,
}

impl Stream for SharedRequestBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.borrow_mut();
        let next = Pin::new(&mut body.payload).poll_next(context);
        body.flow.want_body(next.is_pending());
        let next = ready!(next);
        body.is_complete = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// Response that is being sent.
pub(super) struct SentBody<B> {
    content: ResponseContent<B>,
    size: BodySize,
    // These fields are dropped with the response. While an unread body exists, the HTTP library
    // closes the connection after the response instead of reading on.
    _unread: Option<SharedRequestBody>,
    _sending: Option<BodyRegistration>,
    _answering: Option<ResponseGuard>,
}

enum ResponseContent<B> {
    Whole(Bytes),
    Parts(Pin<Box<B>>),
}

/// Guard of a request that is being answered. It ends the response on drop.
struct ResponseGuard(Rc<ConnectionState>);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.end_response();
    }
}

/// Request whose response is not ready yet.
pub(super) struct Exchange {
    connection: Option<RequestConnection>,
    answering: Option<ResponseGuard>,
    body: Option<SharedRequestBody>,
}

impl Exchange {
    /// Begins to answer `request`. The handler gets a shared body in place of the original one.
    pub(super) fn begin(request: &mut Request) -> Self {
        let Some(connection) = request.conn_data::<RequestConnection>().cloned() else {
            return Self { connection: None, answering: None, body: None };
        };
        let flow = Rc::clone(&connection.flow);
        let mut body = None;
        if matches!(request.payload(), Payload::None) {
            flow.begin_response(Some(0));
        } else {
            flow.begin_response(body_length(request));
            let payload = request.take_payload();
            let content = BodyReader { payload, flow: Rc::clone(&flow), is_complete: false };
            let shared = SharedRequestBody(Rc::new(RefCell::new(content)));
            *request.payload() = Payload::Stream { payload: Box::pin(shared.clone()) };
            body = Some(shared);
        }
        Self { connection: Some(connection), answering: Some(ResponseGuard(flow)), body }
    }

    /// Prepares the response for sending.
    pub(super) async fn end<B: MessageBody>(
        self,
        mut response: Response<B>,
    ) -> Response<SentBody<B>> {
        let Self { connection, answering, body } = self;
        let unread = match body {
            Some(mut body) => {
                let is_complete = body.discard_received().await;
                if is_complete { None } else { Some(body) }
            }
            None => None,
        };
        let must_close = match &connection {
            Some(connection) => connection.flow.is_last_response(),
            None => false,
        };
        if unread.is_some() || must_close {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response.map_body(|_, body| {
            let size = body.size();
            let (content, sending) = match body.try_into_bytes() {
                Ok(bytes) => {
                    let sending = match connection {
                        Some(RequestConnection { flow, registry })
                            if bytes.len() > MAX_LAST_PART_BYTES =>
                        {
                            Some(registry.send(&flow.slot, &bytes))
                        }
                        Some(_) | None => None,
                    };
                    (ResponseContent::Whole(bytes), sending)
                }
                Err(body) => (ResponseContent::Parts(Box::pin(body)), None),
            };
            SentBody { content, size, _unread: unread, _sending: sending, _answering: answering }
        })
    }
}

impl SharedRequestBody {
    /// Discards the rest of a body that the handler did not need, if it is small and has arrived.
    /// Reports whether the body is complete.
    async fn discard_received(&mut self) -> bool {
        let (mut reads, mut size) = (0, 0);
        std::future::poll_fn(|context| {
            while !self.0.borrow().is_complete {
                match Pin::new(&mut *self).poll_next(context) {
                    Poll::Ready(Some(Ok(part))) => size += part.len(),
                    Poll::Ready(_) => {}
                    Poll::Pending if reads < MAX_DISCARD_READS => {
                        reads += 1;
                        // The connection is read before the next poll.
                        context.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Pending => break,
                }
                if size > MAX_DISCARDED_BYTES {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
        self.0.borrow().is_complete
    }
}

impl<B: MessageBody> MessageBody for SentBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.get_mut().content {
            ResponseContent::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            ResponseContent::Whole(bytes) if bytes.len() <= MAX_LAST_PART_BYTES => {
                Poll::Ready(Some(Ok(std::mem::take(bytes))))
            }
            ResponseContent::Whole(bytes) => Poll::Ready(Some(Ok(bytes.split_to(MAX_PART_BYTES)))),
            ResponseContent::Parts(body) => body.as_mut().poll_next(context),
        }
    }
}

/// Returns the length of the body of `request`, if the head contains it.
fn body_length(request: &Request) -> Option<u64> {
    let headers = request.head().headers();
    if headers.contains_key(TRANSFER_ENCODING) {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
