//! The absolute addresses of resources, for `meta.location` and `$ref` (RFC 7643 §3.1).

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that an id is not written with in a path (RFC 3986 §2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where the SCIM endpoints are, as clients see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    base: Arc<str>,
}

impl Locations {
    /// `base` is the SCIM base URL without a trailing slash, such as
    /// `https://scim.example.com/scim/v2`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').into() }
    }

    /// The SCIM base URL, without a trailing slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of one user.
    #[must_use]
    pub fn user(&self, id: &str) -> String {
        format!("{}/Users/{}", self.base, utf8_percent_encode(id, RESERVED))
    }

    /// The address of one group.
    #[must_use]
    pub fn group(&self, id: &str) -> String {
        format!("{}/Groups/{}", self.base, utf8_percent_encode(id, RESERVED))
    }

    /// The address of a discovery document: `ServiceProviderConfig`, `Schemas/…`, `ResourceTypes/…`.
    #[must_use]
    pub fn document(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }
}
