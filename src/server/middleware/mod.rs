//! Steps around the handlers, outermost first: request log and tracing span, then admission, which
//! consists of authentication and the request body.

pub(crate) mod admit;
pub(crate) mod authenticate;
pub(crate) mod credentials;
#[cfg(feature = "otlp")]
pub(crate) mod otel_span;
pub(crate) mod request_body;
pub(crate) mod request_log;
