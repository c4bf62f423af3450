//! How old data may be, and how long a request waits.

use std::time::Duration;

/// How old data may be, and how long a request waits.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// Data older than this is refreshed when somebody asks.
    pub cache_ttl: Duration,
    /// How long a request waits for that.
    pub refresh_wait: Duration,
    /// So often data is refreshed although nobody asks; nobody who asks waits for it then.
    pub refresh_every: Option<Duration>,
    /// Data older than this is not served, whatever happens.
    pub max_stale: Duration,
    /// After a failed load none is started for this long.
    pub pause: Duration,
    /// How long after a notice of a change a load begins: others may follow.
    pub soon: Duration,
}
