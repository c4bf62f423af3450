//! RFC 7643 and RFC 7644 as values and pure functions: resources, lists, errors, discovery.
//!
//! Nothing here knows where users come from, how they travel or what time it is. Only parsing can
//! fail; what is parsed can be carried out on any list of users.

mod attribute;
mod bits;
mod column;
mod cursor;
mod error;
pub mod filter;
mod group;
mod index;
mod json_schema;
mod layout;
mod list;
mod location;
mod meta;
mod number;
mod order;
mod paging;
mod prepared;
mod projection;
mod render;
mod resource;
mod resource_type;
mod resources;
mod schema;
mod search;
mod stamp;
mod standard;
mod suggestion;
mod text;
mod user;
mod version;
mod vocabulary;

pub use attribute::{AttributeId, AttributeType, Returned};
pub use cursor::{Cursor, CursorKey};
pub use error::{Error, InvalidQuery, ScimType, Unwritable};
pub use group::{Group, Member, Membership};
pub use list::{ListQuery, ListResponse, Listed, Selected};
pub use location::Locations;
pub use meta::{Content, Meta, written_moment};
pub use paging::Paging;
pub use projection::Projection;
pub use resource::Resource;
pub use resource_type::{BrokenDocument, ResourceType, ResourceTypes};
pub use resources::Resources;
pub use schema::{CustomAttribute, Discovery, extension_attributes, is_attribute_name};
pub use search::SearchRequest;
pub use stamp::{Stamp, Stamps};
pub use user::{Email, EnterpriseUser, Extension, Manager, Name, User, list_order};
pub use version::{Digest, digest, version};
pub use vocabulary::Vocabulary;

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
