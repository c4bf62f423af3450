//! Schema registry: the discovery documents, and the resource types compiled from them. The two are
//! held together, so that resources are encoded, filtered and described by the same schemas.

use crate::scim::{
    CustomAttributeDefinition, Digest, Discovery, InvalidSchemaDocument, ResourceTypes,
    ResourceUrls, digest,
};

/// Discovery documents, and the resource types compiled from them.
#[derive(Debug)]
pub struct SchemaRegistry {
    /// Documents with which the server describes itself.
    pub discovery: Discovery,
    /// Compiled types, by which resources are encoded and queries are bound.
    pub types: ResourceTypes,
    /// Digest of the schemas. It is part of a cache key, because a query can mean something else
    /// under other schemas.
    pub digest: Digest,
    /// Largest page size that the documents announce.
    pub max_results: usize,
}

impl SchemaRegistry {
    /// Builds the registry of a server at `urls` with pages of at most `max_results` and the
    /// company's `custom` attributes.
    ///
    /// # Errors
    /// Returns an error if a document in `scim-schemas/` is invalid, which a test rules out.
    pub fn new(
        urls: &ResourceUrls,
        max_results: usize,
        custom: &[CustomAttributeDefinition],
    ) -> Result<Self, InvalidSchemaDocument> {
        Self::from_discovery(Discovery::new(urls, max_results, custom)?, max_results)
    }

    /// Compiles the registry of these documents.
    pub(in crate::scim) fn from_discovery(
        discovery: Discovery,
        max_results: usize,
    ) -> Result<Self, InvalidSchemaDocument> {
        let types = discovery.compile_types()?;
        let schemas = serde_json::to_vec(&discovery.schemas)?;
        let digest = digest([schemas, serde_json::to_vec(&discovery.common)?]);
        Ok(Self { discovery, types, digest, max_results })
    }
}
