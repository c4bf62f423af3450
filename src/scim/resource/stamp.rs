//! Versions and moments of change of resources, kept apart from their content, so that a resource that is
//! the same after a restart says so.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scim::{GROUP, Resource, Resources};

/// `meta.version` and `meta.lastModified`, and of a group `meta.created` too, which no load brings again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `meta.version`.
    pub version: String,
    /// `meta.created`, where this server dates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// `meta.lastModified`.
    pub last_modified: Option<Timestamp>,
}

impl Stamp {
    /// Returns the stamp of a resource that is or was served.
    #[must_use]
    pub fn of(resource: &Resource) -> Option<Self> {
        let is_group = resource.resource_type().schema() == GROUP;
        Some(Self {
            version: resource.version()?.into_owned(),
            created: resource.created().filter(|_| is_group),
            last_modified: resource.last_modified(),
        })
    }
}

/// The stamps of resources by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps(HashMap<String, Stamp>);

impl Stamps {
    /// Those of all `resources`.
    #[must_use]
    pub fn of(resources: &Resources) -> Self {
        let stamps = resources.all().iter();
        Self(stamps.filter_map(|resource| Some((resource.id().into_owned(), Stamp::of(resource)?))).collect())
    }

    /// The stamp of the resource with this `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Stamp> {
        self.0.get(id)
    }

    /// The same as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What [`Stamps::to_json`] was made of; nothing if it was made of something else.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}
