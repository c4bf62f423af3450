//! Metadata of a resource (RFC 7643 §3.1), and the version of its content.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::scim::SerializationError;
use crate::scim::resource::encode::to_json_bytes;
use crate::scim::resource::etag::{digest, weak_etag};

/// Metadata of a resource (RFC 7643 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceMeta {
    resource_type: &'static str,
    /// Creation of the person in Personio, or the first load that found the group.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_timestamp")]
    pub created: Option<Timestamp>,
    /// Time of the newest change of anything in this resource, or a later time.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_timestamp")]
    pub last_modified: Option<Timestamp>,
    /// Absolute address of this resource.
    pub location: String,
    /// Weak entity tag of the content. It is empty until the resource is part of a snapshot.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl ResourceMeta {
    /// Returns the metadata of a Group that has no version and no dates yet. Personio does not
    /// report when an org unit was created.
    #[must_use]
    pub fn of_group(location: String) -> Self {
        let version = String::new();
        Self { resource_type: "Group", created: None, last_modified: None, location, version }
    }

    /// Returns the metadata of a User that has no version yet.
    #[must_use]
    pub fn of_user(
        location: String,
        created: Option<Timestamp>,
        last_modified: Option<Timestamp>,
    ) -> Self {
        Self { resource_type: "User", created, last_modified, location, version: String::new() }
    }
}

/// Formats a timestamp in UTC with exactly three fractional digits. Java's `SimpleDateFormat` reads
/// all fractional digits as a number of milliseconds, so that six or nine digits would add minutes
/// or days.
#[must_use]
pub fn format_timestamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

fn serialize_timestamp<S: Serializer>(
    timestamp: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match timestamp {
        Some(timestamp) => serializer.serialize_str(&format_timestamp(*timestamp)),
        None => serializer.serialize_none(),
    }
}

/// Content of a resource: a [`User`](crate::scim::User) or a [`Group`](crate::scim::Group).
pub trait ResourceContent: Serialize + Sized {
    /// Returns the `id`.
    fn id(&self) -> &str;

    /// Returns the `meta`.
    fn meta_mut(&mut self) -> &mut ResourceMeta;

    /// Reports whether this server sets `meta.created`, to the time at which it first saw the
    /// resource.
    fn is_dated_by_server(&self) -> bool {
        false
    }

    /// Sets `meta.version`: a weak entity tag of the whole content except `meta.lastModified`
    /// (RFC 7644 §3.14).
    ///
    /// # Errors
    /// Returns an error if the content cannot be written as JSON.
    fn with_version(mut self) -> Result<Self, SerializationError> {
        let last_modified = self.meta_mut().last_modified.take();
        self.meta_mut().version = String::new();
        let content = to_json_bytes(&self)?;
        let meta = self.meta_mut();
        meta.version = weak_etag(&digest([content.as_slice()]));
        meta.last_modified = last_modified;
        Ok(self)
    }
}
