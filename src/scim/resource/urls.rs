//! Absolute addresses of resources, for `meta.location` and `$ref` (RFC 7643 §3.1).

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are percent-encoded in a path: all but the unreserved ones (RFC 3986 §2.3).
const ENCODED_CHARACTERS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Addresses of the SCIM endpoints, as clients see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUrls {
    base: Arc<str>,
}

impl ResourceUrls {
    /// Returns the addresses below the SCIM base URL `base`, such as
    /// `https://scim.example.com/scim/v2`. A trailing slash is removed.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').into() }
    }

    /// Returns the SCIM base URL, without a trailing slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Returns the address of a user.
    #[must_use]
    pub fn user(&self, id: &str) -> String {
        format!("{}/Users/{}", self.base, utf8_percent_encode(id, ENCODED_CHARACTERS))
    }

    /// Returns the address of a group.
    #[must_use]
    pub fn group(&self, id: &str) -> String {
        format!("{}/Groups/{}", self.base, utf8_percent_encode(id, ENCODED_CHARACTERS))
    }

    /// Returns the address of a discovery document: `ServiceProviderConfig`, `Schemas/…`,
    /// `ResourceTypes/…`.
    #[must_use]
    pub fn document(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }
}
