//! Content of a resource, and its encoding before it has dates.

use std::sync::Arc;

use serde::Serialize;

use crate::scim::resource::encode::ResourceWriter;
use crate::scim::resource::etag::{digest_joined, weak_etag};
use crate::scim::{Resource, ResourceMeta, ResourceType, SerializationError};

/// Content of a resource: a [`User`](crate::scim::User) or a [`Group`](crate::scim::Group). It
/// serializes to all members but `meta`, which comes last.
pub trait ResourceContent: Serialize {
    /// Returns the `id`.
    fn id(&self) -> &str;

    /// Returns the `meta`.
    fn meta(&self) -> &ResourceMeta;

    /// Drops the content, and returns the `meta`.
    fn into_meta(self) -> ResourceMeta;

    /// Reports whether this server sets `meta.created`, to the time at which it first saw the
    /// resource.
    fn is_dated_by_server(&self) -> bool {
        false
    }
}

/// Encoded content with its version. `meta`, whose dates depend on whether the version has changed,
/// is still missing.
pub struct EncodedContent<'t> {
    writer: ResourceWriter<'t>,
    version: String,
}

impl<'t> EncodedContent<'t> {
    /// Encodes the content, without `meta`, as a resource of this type.
    ///
    /// # Errors
    /// Returns an error if the content cannot be written as JSON.
    pub fn new(
        resource_type: &'t Arc<ResourceType>,
        content: &impl ResourceContent,
    ) -> Result<Self, SerializationError> {
        let mut writer = ResourceWriter::new(resource_type);
        writer.write(content)?;
        let version = version(writer.text(), content.meta())?;
        Ok(Self { writer, version })
    }

    /// Returns `meta.version`: a weak entity tag of the whole content except `meta.lastModified`
    /// (RFC 7644 §3.14). It covers the `meta` of the content, and not another one that the resource
    /// is made with.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Releases the memory that is not used, for an encoded content that is stored for a while.
    pub fn shrink_to_fit(&mut self) {
        self.writer.shrink_to_fit();
    }

    /// Adds `meta` with the version, and returns the resource.
    ///
    /// # Errors
    /// Returns an error if `meta` cannot be written as JSON.
    pub fn into_resource(mut self, meta: &ResourceMeta) -> Result<Resource, SerializationError> {
        self.writer.write(&meta.with_version(&self.version))?;
        Resource::from_writer(self.writer)
    }
}

/// Returns the version of the object `body` with `meta` as its last member.
fn version(body: &[u8], meta: &ResourceMeta) -> Result<String, SerializationError> {
    let meta = serde_json::to_vec(&meta.covered_by_version())?;
    let members = body.strip_suffix(b"}").unwrap_or_default();
    let meta_member = meta.strip_prefix(b"{").unwrap_or_default();
    Ok(weak_etag(&digest_joined(&[members, b",", meta_member])))
}
