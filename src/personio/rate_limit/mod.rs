//! Rate limiting of requests to Personio: one token bucket for each endpoint (`bucket`), and the
//! queues in which requests wait for their tokens (`limiter`).

pub(crate) mod bucket;
pub(crate) mod limiter;
