//! RFC 7643 and RFC 7644 as values and pure functions: resources, lists, errors, discovery.
//!
//! Nothing here knows where users come from, how they travel or what time it is. Only parsing can
//! fail; what is parsed can be carried out on any list of users.

mod error;
pub mod filter;
mod query;
mod resource;
mod schema;
mod store;

pub use crate::scim::error::{Error, InvalidQuery, ScimType, Unwritable};
pub use crate::scim::query::cursor::{Cursor, CursorKey};
pub use crate::scim::query::list_query::{ListQuery, ListResponse, Listed, Selected};
pub use crate::scim::query::pagination::Paging;
pub use crate::scim::query::projection::Projection;
pub use crate::scim::query::search_request::SearchRequest;
pub use crate::scim::resource::Resource;
pub use crate::scim::resource::etag::{Digest, digest, version};
pub use crate::scim::resource::group::{Group, Member, Membership};
pub use crate::scim::resource::meta::{Content, Meta, written_moment};
pub use crate::scim::resource::stamp::{Stamp, Stamps};
pub use crate::scim::resource::urls::Locations;
pub use crate::scim::resource::user::{Email, EnterpriseUser, Extension, Manager, Name, User, list_order};
pub use crate::scim::schema::attribute::{AttributeId, AttributeType, Returned};
pub use crate::scim::schema::registry::Vocabulary;
pub use crate::scim::schema::resource_type::{BrokenDocument, ResourceType, ResourceTypes};
pub use crate::scim::schema::{CustomAttribute, Discovery, extension_attributes, is_attribute_name};
pub use crate::scim::store::resource_set::Resources;

/// URN of the core User schema (RFC 7643 §4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the enterprise extension (RFC 7643 §4.3).
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the Group schema (RFC 7643 §4.2).
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the extension of our own.
pub const EXTENSION_USER: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";
/// URN of a list response (RFC 7644 §3.4.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of a query in a body (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// URN of an error (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// The media type of everything served (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
