//! Request bodies. Only searches and webhooks need one, yet there are clients that send one with every GET: it is read
//! before the request is answered, so that the connection stays usable.

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

/// The body of a POST.
pub(super) struct Body(pub(super) Vec<u8>);

/// Reads the body, and forgets it unless it is a POST's.
///
/// # Errors
/// Those of the request; a body that is too large, too slow or broken is answered here.
pub(super) async fn read(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.method() == Method::CONNECT || request.headers().contains_key(UPGRADE) {
        // What would be a tunnel has no body that ends.
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let mut payload = request.take_payload();
    let keep = request.method() == Method::POST;
    let read = async {
        let (mut size, mut body) = (0, Vec::new());
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Error::BrokenBody)?;
            size += chunk.len();
            if size > LIMIT {
                return Err(Error::LargeBody);
            }
            if keep {
                body.extend_from_slice(&chunk);
            }
        }
        Ok(body)
    };
    match tokio::time::timeout(PATIENCE, read).await.unwrap_or(Err(Error::SlowBody)) {
        Ok(body) => {
            if keep {
                request.extensions_mut().insert(Body(body));
            }
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(error) => Ok(request.into_response(error.error_response()).map_into_right_body()),
    }
}
