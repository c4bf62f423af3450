//! Request bodies. Only searches and webhooks need one, but some clients send one with every GET.
//! The body is read before the request is handled, so that the connection stays usable.

use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use futures_util::StreamExt;

use crate::server::Error;

/// Maximum size of a body.
pub(in crate::server) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Time within which a body must arrive.
pub(in crate::server) const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Byte order mark. Clients on Windows write it before JSON, which must not have it (RFC 8259
/// §8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Body of a POST, as an extension of the request.
pub(in crate::server) struct RequestBody(pub(in crate::server) Vec<u8>);

/// Reads the body, keeps that of a POST as [`RequestBody`], and passes the request on.
///
/// # Errors
/// When the rest of the service fails. A body that is too large, too slow or unreadable is refused
/// with a response instead.
pub(in crate::server) async fn read<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) && !request.head().upgrade() {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    // Few requests have a body, and the box keeps the future of the others small.
    Box::pin(read_and_call(request, payload, next)).await
}

async fn read_and_call<B: MessageBody + 'static>(
    request: ServiceRequest,
    mut payload: Payload,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let offers_upgrade = request.head().upgrade();
    let max_length = max_length(&request);
    let is_kept = request.method() == Method::POST;
    let body = read_payload(&mut payload, max_length, is_kept);
    let body = tokio::time::timeout(READ_TIMEOUT, body).await;
    match body.unwrap_or(Err(Error::BodyTimeout)) {
        Ok(body) => {
            if is_kept {
                request.extensions_mut().insert(RequestBody(body));
            }
            let mut response = next.call(request).await?;
            if offers_upgrade {
                // The server closes the connection, and would not announce that by itself.
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_into_left_body())
        }
        Err(error) => Ok(request.error_response(error).map_into_right_body()),
    }
}

/// Reads a payload to its end, or to `max_length`. The bytes are returned if the body is kept, and
/// dropped otherwise.
async fn read_payload(
    payload: &mut Payload,
    max_length: usize,
    is_kept: bool,
) -> Result<Vec<u8>, Error> {
    let mut length = 0;
    let mut body = Vec::new();
    while length < max_length
        && let Some(chunk) = payload.next().await
    {
        let chunk = chunk.map_err(|_| Error::BodyUnreadable)?;
        length += chunk.len();
        if length > MAX_BODY_BYTES {
            return Err(Error::BodyTooLarge);
        }
        if is_kept {
            body.extend_from_slice(&chunk);
        }
    }
    body.truncate(max_length);
    if body.starts_with(BYTE_ORDER_MARK) {
        body.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(body)
}

/// Returns the length at which the body ends, where the payload does not end by itself. The payload
/// of a request that could become a tunnel never ends, but its body has the announced length. Other
/// offers of an upgrade change nothing, such as the `h2c` that many clients send with every
/// request.
fn max_length(request: &ServiceRequest) -> usize {
    let headers = request.headers();
    if request.method() == Method::CONNECT {
        return 0;
    }
    let mut upgrades = headers.get_all(UPGRADE);
    let is_websocket = upgrades.any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_websocket || headers.contains_key(TRANSFER_ENCODING) {
        return usize::MAX;
    }
    let Some(length) = headers.get(CONTENT_LENGTH) else { return 0 };
    let Ok(length) = length.to_str() else { return 0 };
    length.trim().parse().unwrap_or(0)
}
