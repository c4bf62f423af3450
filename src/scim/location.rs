//! The absolute addresses of resources, for `meta.location` and `$ref` (RFC 7643 §3.1).

use std::sync::Arc;

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
        format!("{}/Users/{id}", self.base)
    }

    /// The address of one group.
    #[must_use]
    pub fn group(&self, id: &str) -> String {
        format!("{}/Groups/{id}", self.base)
    }

    /// The address of a discovery document: `ServiceProviderConfig`, `Schemas/…`, `ResourceTypes/…`.
    #[must_use]
    pub fn document(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }
}
