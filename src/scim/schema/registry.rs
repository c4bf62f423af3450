//! What there is to say of users and groups: the documents that describe them, and the types that are compiled from
//! these. One belongs to the other; a resource is rendered, filtered and described by the same.

use crate::scim::{BrokenDocument, CustomAttribute, Digest, Discovery, Locations, ResourceTypes, digest};

/// Documents and types that belong together.
#[derive(Debug)]
pub struct Vocabulary {
    /// How the server describes itself.
    pub discovery: Discovery,
    /// By what resources are rendered and queries read.
    pub types: ResourceTypes,
    /// What the schemas are recognised by: the same query can mean something else by others.
    pub digest: Digest,
    /// Largest page that the documents announce.
    pub max_results: usize,
}

impl Vocabulary {
    /// That of a server at `locations` with pages of at most `max_results` and the company's `custom` attributes.
    ///
    /// # Errors
    /// When the documents in `scim-schemas/` are broken, which a test rules out.
    pub fn new(locations: &Locations, max_results: usize, custom: &[CustomAttribute]) -> Result<Self, BrokenDocument> {
        let discovery = Discovery::new(locations, max_results, custom)?;
        let types = discovery.compiled()?;
        let digest = digest([&serde_json::to_vec(&discovery.schemas)?[..]]);
        Ok(Self { discovery, types, digest, max_results })
    }
}
