//! Data about a resource (RFC 7643 §3.1), and the version of its content.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::scim::Unwritable;
use crate::scim::resource::encode::written;
use crate::scim::resource::etag::{digest, version};

/// Data about the resource (RFC 7643 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    resource_type: &'static str,
    /// Creation of the person in Personio, or the moment at which this server first saw the group.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "with_milliseconds")]
    pub created: Option<Timestamp>,
    /// Not older than the newest change of anything in this resource.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "with_milliseconds")]
    pub last_modified: Option<Timestamp>,
    /// The absolute address of this resource.
    pub location: String,
    /// A weak entity tag of the content; empty until the user is part of a snapshot.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl Meta {
    /// The data of a Group that has no version yet. Personio does not tell when a unit was created.
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

/// Writes a moment with exactly three digits after the point, always in UTC. Java's `SimpleDateFormat` reads all
/// digits there as milliseconds, so that six or nine of them become minutes or days.
#[must_use]
pub fn written_moment(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn with_milliseconds<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => serializer.serialize_str(&written_moment(*moment)),
        None => serializer.serialize_none(),
    }
}

/// What a resource is made of.
pub trait Content: Serialize + Sized {
    /// Its `id`.
    fn id(&self) -> &str;

    /// Its `meta`.
    fn meta_mut(&mut self) -> &mut Meta;

    /// Whether `meta.created` is the moment at which this server first saw the resource.
    fn is_dated_by_server(&self) -> bool {
        false
    }

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
