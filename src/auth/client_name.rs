//! What whoever asks is called: in logs, in metrics, and where the server remembers something for them.

use std::fmt;
use std::sync::Arc;

const LONGEST: usize = 64;

/// The name of a client or of an issuer, as it is configured: there are few, and they hold nothing of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {LONGEST} letters, digits, points, hyphens and underscores, and is not `none`")]
pub struct NotAName;

impl Caller {
    /// A caller of this name.
    ///
    /// # Errors
    /// When it is none.
    pub fn named(name: &str) -> Result<Self, NotAName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        // Metrics say so of whoever is nobody.
        let is_none = name.eq_ignore_ascii_case("none");
        if (1..=LONGEST).contains(&name.len()) && name.bytes().all(plain) && !is_none {
            Ok(Self(name.into()))
        } else {
            Err(NotAName)
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name, for whoever keeps it.
    #[must_use]
    pub fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
