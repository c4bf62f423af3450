//! Reasons why no snapshot or user can be served, with the time after which a retry makes sense.
//! They know no HTTP: the server turns them into a status.

use std::time::Duration;

use crate::directory::{ChangeId, Losses, SourceError};

/// Reason why no snapshot or user can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A load is running, and no older snapshot may be served.
    #[error("the directory is being loaded: {progress}")]
    Loading {
        /// Progress of the load, in words.
        progress: String,
        /// Time after which a retry makes sense.
        retry_after: Duration,
    },
    /// The current snapshot is older than allowed, and the guard holds the newer load.
    #[error(
        "the last snapshot is too old, and a newer change is held back as {id}: {losses}; if the \
         change is correct, approve it with `personio-scim approve`"
    )]
    Held {
        /// Id of the held change.
        id: ChangeId,
        /// Losses of the held change.
        losses: Box<Losses>,
        /// Time after which a retry makes sense.
        retry_after: Duration,
    },
    /// No snapshot may be served, and no load is running.
    #[error("there is no snapshot that may be served: {reason}")]
    Unavailable {
        /// Reason of the last failed load.
        reason: SourceError,
        /// Time after which a retry makes sense.
        retry_after: Duration,
    },
    /// There is no snapshot of what the scope of the client shows.
    #[error("there is no snapshot for the scope of this client")]
    ScopeUnavailable {
        /// Time after which a retry makes sense.
        retry_after: Duration,
    },
    /// Fault of this program while one user was fetched.
    #[error(transparent)]
    Internal(SourceError),
}
