//! Versions and moments of change of resources, kept apart from their content, so that a resource that is
//! the same after a restart says so.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Resources;

/// `meta.version` and `meta.lastModified`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// `meta.version`.
    pub version: String,
    /// `meta.lastModified`.
    pub last_modified: Option<Timestamp>,
}

/// The stamps of resources by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps(HashMap<String, Stamp>);

impl Stamps {
    /// Those of all `resources`.
    #[must_use]
    pub fn of(resources: &Resources) -> Self {
        let stamps = resources.all().iter().filter_map(|resource| {
            let version = resource.version()?.into_owned();
            let last_modified = resource.last_modified();
            Some((resource.id().into_owned(), Stamp { version, last_modified }))
        });
        Self(stamps.collect())
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
