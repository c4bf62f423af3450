//! Versions and dates of resources, stored apart from the content, so that a resource that is
//! unchanged after a restart keeps them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scim::{GROUP_SCHEMA, Resource, ResourceSet};

/// `meta.version` and `meta.lastModified` of a resource. The stamp of a group also has
/// `meta.created`, because Personio does not report it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStamp {
    /// `meta.version`.
    pub version: String,
    /// `meta.created`, if this server sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// `meta.lastModified`.
    pub last_modified: Option<Timestamp>,
}

impl VersionStamp {
    /// Returns the stamp of a resource. A resource without a version has none.
    #[must_use]
    pub fn of(resource: &Resource) -> Option<Self> {
        let is_group = resource.resource_type().schema() == GROUP_SCHEMA;
        Some(Self {
            version: resource.version()?.into_owned(),
            created: if is_group { resource.created() } else { None },
            last_modified: resource.last_modified(),
        })
    }
}

/// Stamps by the ids of their resources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStamps(HashMap<String, VersionStamp>);

impl VersionStamps {
    /// Returns the stamps of all `resources`.
    #[must_use]
    pub fn of(resources: &ResourceSet) -> Self {
        let mut stamps = HashMap::new();
        for resource in resources.all() {
            if let Some(stamp) = VersionStamp::of(resource) {
                stamps.insert(resource.id().into_owned(), stamp);
            }
        }
        Self(stamps)
    }

    /// Returns the stamps of the resources that are not the very ones of `others`.
    #[must_use]
    pub fn of_other_than(resources: &ResourceSet, others: &ResourceSet) -> Self {
        let mut stamps = HashMap::new();
        for resource in resources.all() {
            let id = resource.id();
            let is_shared = others.find(&id).is_some_and(|other| Arc::ptr_eq(other, resource));
            if !is_shared && let Some(stamp) = VersionStamp::of(resource) {
                stamps.insert(id.into_owned(), stamp);
            }
        }
        Self(stamps)
    }

    /// Returns the stamp of the resource with this `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&VersionStamp> {
        self.0.get(id)
    }

    /// Returns the stamps as JSON, for the state file.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Parses the JSON of [`VersionStamps::to_json`].
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}
