//! Data about a resource (RFC 7643 §3.1), and the version of its content.

use jiff::Timestamp;
use serde::Serialize;

use super::Unwritable;
use super::render::written;
use super::version::{digest, version};

/// Data about the resource (RFC 7643 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    resource_type: &'static str,
    /// When the person came into being upstream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Not older than the newest change of anything in this resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
    /// The absolute address of this resource.
    pub location: String,
    /// A weak entity tag of the content; empty until the user is part of a snapshot.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl Meta {
    /// The data of a Group that has no version yet. When it came into being is not known.
    #[must_use]
    pub fn of_group(location: String) -> Self {
        Self { resource_type: "Group", created: None, last_modified: None, location, version: String::new() }
    }

    /// The data of a User that has no version yet.
    #[must_use]
    pub fn of_user(location: String, created: Option<Timestamp>, last_modified: Option<Timestamp>) -> Self {
        Self { resource_type: "User", created, last_modified, location, version: String::new() }
    }
}

/// What a resource is made of.
pub trait Content: Serialize + Sized {
    /// Its `id`.
    fn id(&self) -> &str;

    /// Its `meta`.
    fn meta_mut(&mut self) -> &mut Meta;

    /// The same with `meta.version`: a weak entity tag of everything in it but `meta.lastModified`
    /// (RFC 7644 §3.14).
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    fn versioned(mut self) -> Result<Self, Unwritable> {
        let last_modified = self.meta_mut().last_modified.take();
        self.meta_mut().version = String::new();
        let content = written(&self)?;
        let meta = self.meta_mut();
        meta.version = version(&digest([content.as_slice()]));
        meta.last_modified = last_modified;
        Ok(self)
    }
}
