//! Request bodies. Only searches and webhooks need one, yet there are clients that send one with every GET: it is read
//! before the request is answered, so that the connection stays usable.

use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use futures_util::StreamExt;

use crate::server::Error;

/// The most that is read.
const LIMIT: usize = 1024 * 1024;
/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients on Windows write it before JSON, which must not have it (RFC 8259 §8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The body of a POST.
pub(in crate::server) struct Body(pub(in crate::server) Vec<u8>);

/// Reads the body, and forgets it unless it is a POST's.
///
/// # Errors
/// Those of the request; a body that is too large, too slow or broken is answered here.
pub(in crate::server) async fn read<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) && !request.head().upgrade() {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    // Few have one, and what all have is better small.
    Box::pin(read_first(request, payload, next)).await
}

async fn read_first<B: MessageBody + 'static>(
    request: ServiceRequest,
    mut payload: Payload,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let offers_upgrade = request.head().upgrade();
    let end = end(&request);
    let keep = request.method() == Method::POST;
    let read = async {
        let (mut size, mut body) = (0, Vec::new());
        while size < end
            && let Some(chunk) = payload.next().await
        {
            let chunk = chunk.map_err(|_| Error::BrokenBody)?;
            size += chunk.len();
            if size > LIMIT {
                return Err(Error::LargeBody);
            }
            if keep {
                body.extend_from_slice(&chunk);
            }
        }
        body.truncate(end);
        if body.starts_with(BYTE_ORDER_MARK) {
            body.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(body)
    };
    match tokio::time::timeout(PATIENCE, read).await.unwrap_or(Err(Error::SlowBody)) {
        Ok(body) => {
            if keep {
                request.extensions_mut().insert(Body(body));
            }
            let mut response = next.call(request).await?;
            if offers_upgrade {
                // The server is going to close the connection. Unasked, it would not say so.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_into_left_body())
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

/// After how many bytes the body ends, where the connection does not tell. What could become a tunnel goes on
/// for ever, and yet has the body that it announces; all other offers of an upgrade, such as the `h2c` that
/// many clients send with every request, change nothing.
fn end(request: &ServiceRequest) -> usize {
    let headers = request.headers();
    let is_connect = request.method() == Method::CONNECT;
    let is_websocket = headers.get_all(UPGRADE).any(|offer| offer.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_connect && (!is_websocket || headers.contains_key(TRANSFER_ENCODING)) {
        return usize::MAX;
    }
    let announced = headers.get(CONTENT_LENGTH).filter(|_| !is_connect);
    announced.and_then(|length| length.to_str().ok()?.trim().parse().ok()).unwrap_or_default()
}
