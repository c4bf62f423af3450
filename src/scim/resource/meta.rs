//! Metadata of a resource (RFC 7643 §3.1).

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Metadata of a resource (RFC 7643 §3.1), without the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceMeta {
    resource_type: &'static str,
    /// Creation of the person in Personio, or the first load that found the group.
    pub created: Option<Timestamp>,
    /// Time of the newest change of anything in this resource, or a later time.
    pub last_modified: Option<Timestamp>,
    /// Absolute address of this resource.
    pub location: String,
}

impl ResourceMeta {
    /// Returns the metadata of a Group that has no dates yet. Personio does not report when an org
    /// unit was created.
    #[must_use]
    pub fn of_group(location: String) -> Self {
        Self { resource_type: "Group", created: None, last_modified: None, location }
    }

    /// Returns the metadata of a User.
    #[must_use]
    pub fn of_user(
        location: String,
        created: Option<Timestamp>,
        last_modified: Option<Timestamp>,
    ) -> Self {
        Self { resource_type: "User", created, last_modified, location }
    }

    /// Returns `meta` as the resource contains it.
    pub(super) fn with_version<'a>(&'a self, version: &'a str) -> MetaMember<'a> {
        let Self { resource_type, created, last_modified, ref location } = *self;
        let version = Some(version);
        MetaMember { meta: MetaJson { resource_type, created, last_modified, location, version } }
    }

    /// Returns the part of `meta` that the version covers: all but `lastModified` and the version.
    pub(super) fn covered_by_version(&self) -> MetaMember<'_> {
        let Self { resource_type, created, ref location, .. } = *self;
        let (last_modified, version) = (None, None);
        MetaMember { meta: MetaJson { resource_type, created, last_modified, location, version } }
    }
}

/// Object with `meta` as its only member.
#[derive(Serialize)]
pub(super) struct MetaMember<'a> {
    meta: MetaJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetaJson<'a> {
    resource_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_timestamp")]
    created: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_timestamp")]
    last_modified: Option<Timestamp>,
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
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
        Some(timestamp) => serializer.collect_str(&format_args!("{timestamp:.3}")),
        None => serializer.serialize_none(),
    }
}
