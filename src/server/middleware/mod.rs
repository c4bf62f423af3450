//! Steps that every request goes through: request log, authentication, bodies.

pub(crate) mod authenticate;
pub(crate) mod credentials;
#[cfg(feature = "otlp")]
pub(crate) mod otel_span;
pub(crate) mod request_body;
pub(crate) mod request_log;
