//! Limits for the age of served data and for the time that a request waits.

use std::time::Duration;

/// Limits for the age of served data and for the time that a request waits.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// Age from which on a request triggers a refresh.
    pub cache_ttl: Duration,
    /// Longest time that a request waits for a load.
    pub refresh_wait: Duration,
    /// Interval of background refreshes, if they are on. With them no request waits for a refresh.
    pub refresh_every: Option<Duration>,
    /// Age from which on data is never served.
    pub max_stale: Duration,
    /// Cool-down: shortest pause between a failed load and the next one.
    pub cool_down: Duration,
    /// Delay of the refresh debounce: time between a webhook and the load it causes, so that
    /// webhooks that arrive together share one load.
    pub refresh_debounce: Duration,
}
