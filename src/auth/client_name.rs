//! Names of clients and issuers: for logs, for metrics and as keys of state that the server holds
//! for each client.

use std::fmt;
use std::sync::Arc;

/// Maximum length of a name in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Configured name of a client or an issuer. There are few names, and a name contains nothing of a
/// token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientName(Arc<str>);

/// Error for a text that is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {MAX_NAME_BYTES} letters, digits, points, hyphens and underscores, and is not `none`"
)]
pub struct InvalidClientName;

impl ClientName {
    /// Checks a name.
    ///
    /// # Errors
    /// Returns an error when the name is empty, too long, contains other characters or is `none`.
    pub fn parse(name: &str) -> Result<Self, InvalidClientName> {
        // Metrics use `none` as the name for requests without a client.
        let is_none = name.eq_ignore_ascii_case("none");
        let has_valid_length = (1..=MAX_NAME_BYTES).contains(&name.len());
        if is_none || !has_valid_length || !name.bytes().all(is_allowed) {
            return Err(InvalidClientName);
        }
        Ok(Self(name.into()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name with shared ownership, without copying the text.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

/// Reports whether a name may contain this byte.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
