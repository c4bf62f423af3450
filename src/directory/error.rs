//! Why nothing can be served, and when to ask again. It knows no HTTP.

use std::time::Duration;

use crate::directory::{Losses, SourceError};

/// Why nothing can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A load is under way, and there is nothing else that may be served.
    #[error("the directory is being loaded: {progress}")]
    Loading {
        /// How far it is, in words.
        progress: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// What was served is too old, and what is newer is held back.
    #[error("what was served is too old, and a change is held back: {losses}")]
    HeldBack {
        /// Whom the change would take something from.
        losses: Box<Losses>,
        /// When to ask again.
        retry_after: Duration,
    },
    /// There is nothing that may be served.
    #[error("there is no directory that may be served: {reason}")]
    Unavailable {
        /// Why the last load failed.
        reason: SourceError,
        /// When to ask again.
        retry_after: Duration,
    },
}
