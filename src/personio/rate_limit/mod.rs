//! Rate limits of Personio: one token bucket for each endpoint.

pub(crate) mod bucket;
pub(crate) mod limiter;
