//! RFC 7643, RFC 7644 and RFC 9865 as values and pure functions.
//!
//! Reading order:
//!
//! * `schema`: attributes, schemas, resource types and discovery.
//! * `resource`: users and groups, encoded once.
//! * `store`: a set of resources with its indexes and columns.
//! * `filter`: parsing, binding and evaluation of filters.
//! * `scope`: the part of a directory that one client may see.
//! * `query`: a list query with its sort order, page and projection; `deadline`: its time limit.
//! * `error`: invalid queries and the error body.
//!
//! This module knows no source of users, no transport, no clock and no configuration. Only parsing
//! can fail: a parsed query runs on any set of resources, until it completes or its deadline is
//! over.

mod deadline;
mod error;
pub mod filter;
mod query;
mod resource;
mod schema;
mod scope;
mod store;

pub use crate::scim::deadline::{Deadline, DeadlineExceeded};
pub use crate::scim::error::{Error, InvalidQuery, ScimType, SerializationError};
pub use crate::scim::query::cursor::{Cursor, CursorKey};
pub use crate::scim::query::list_query::{
    ListItem, ListQuery, ListResponse, PlannedQuery, SelectedResource,
};
pub use crate::scim::query::pagination::PageRequest;
pub use crate::scim::query::projection::Projection;
pub use crate::scim::query::search_request::SearchRequest;
pub use crate::scim::resource::Resource;
pub use crate::scim::resource::content::{EncodedContent, ResourceContent};
pub use crate::scim::resource::etag::{Digest, digest, weak_etag};
pub use crate::scim::resource::group::{Group, GroupMember, GroupMembership};
pub use crate::scim::resource::meta::{ResourceMeta, format_timestamp};
pub use crate::scim::resource::urls::ResourceUrls;
pub use crate::scim::resource::user::{
    AttributeValues, Email, EnterpriseUser, Manager, PersonName,
};
pub use crate::scim::resource::user::{User, compare_list_keys};
pub use crate::scim::resource::version_stamp::{VersionStamp, VersionStamps};
pub use crate::scim::schema::attribute::{AttributeId, AttributeType, Returned};
pub use crate::scim::schema::registry::SchemaRegistry;
pub use crate::scim::schema::resource_type::{InvalidSchemaDocument, ResourceType, ResourceTypes};
pub use crate::scim::schema::{
    CustomAttributeDefinition, Discovery, extension_attribute_names, is_attribute_name,
};
pub use crate::scim::scope::{
    AttributeSelection, BoundScope, CutResource, InvalidScope, Scope, ScopeDefinition,
    SelectedResources,
};
pub use crate::scim::store::resource_set::ResourceSet;

/// URN of the core User schema (RFC 7643 §4.1).
pub const USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the enterprise extension (RFC 7643 §4.3).
pub const ENTERPRISE_USER_SCHEMA: &str =
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the Group schema (RFC 7643 §4.2).
pub const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the product's own User extension.
pub const PERSONIO_USER_SCHEMA: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";
/// URN of a list response (RFC 7644 §3.4.2).
pub const LIST_RESPONSE_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of a query in a request body (RFC 7644 §3.4.3).
pub const SEARCH_REQUEST_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// URN of an error body (RFC 7644 §3.12).
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// Media type of every SCIM request and response body (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
