//! Request bodies. Nothing here needs one, yet there are clients that send one with every GET: it
//! is read and forgotten before the request is answered, so that the connection stays usable.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::UPGRADE;
use actix_web::middleware::Next;
use actix_web::{HttpMessage, ResponseError};
use futures_util::StreamExt;

use super::Error;

/// The most that is read.
const LIMIT: usize = 1024 * 1024;
/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads and forgets the body.
///
/// # Errors
/// Those of the request; a body that is too large, too slow or broken is answered here.
pub(super) async fn drain(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE) {
        // What would be a tunnel has no body that ends.
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let mut payload = request.take_payload();
    let read = async {
        let mut size = 0;
        while let Some(chunk) = payload.next().await {
            size += chunk.map_err(|_| Error::BrokenBody)?.len();
            if size > LIMIT {
                return Err(Error::LargeBody);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, read).await.unwrap_or(Err(Error::SlowBody)) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(error) => Ok(request.into_response(error.error_response()).map_into_right_body()),
    }
}
