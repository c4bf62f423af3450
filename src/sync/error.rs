//! Failure of a load or of the read of one person: of Personio, of this program, or of a limit.

use crate::directory::SourceError;
use crate::personio;
use crate::sync::record_codec::CodecError;

/// Reason why a load or the read of one person fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// Failed request to Personio, or a response that is not used.
    #[error(transparent)]
    Personio(#[from] personio::Error),
    /// Record that this program cannot encode or decode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// More data than the limit of one load.
    #[error("persons and employments take more than {limit} bytes, the limit of one load")]
    TooLarge {
        /// Maximum number of bytes.
        limit: usize,
    },
}

impl From<LoadError> for SourceError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Personio(error) => upstream_error(&error),
            LoadError::Codec(error) => error.into(),
            LoadError::TooLarge { .. } => Self::upstream(error.to_string()),
        }
    }
}

/// Converts a Personio error to the text for logs, health checks and responses.
pub(crate) fn upstream_error(error: &personio::Error) -> SourceError {
    let mut text = error.to_string();
    if matches!(error, personio::Error::Unreachable { .. }) {
        text.push_str(" (run `personio-scim check` where this server runs, to find out why)");
    }
    SourceError::upstream(text)
}
