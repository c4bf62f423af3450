//! RFC 7643 and RFC 7644 as values and pure functions: resources, lists, errors, discovery.
//!
//! Nothing here knows where users come from, how they travel or what time it is. Only parsing can
//! fail; what is parsed can be carried out on any list of users.

mod error;
mod list;
mod location;
mod paging;
mod schema;
mod user;

pub use error::{Error, ScimType};
pub use list::{ListQuery, ListResponse};
pub use location::Locations;
pub use paging::{InvalidNumber, Paging};
pub use schema::{AttributeType, CustomAttribute, Discovery, extension_attributes, is_attribute_name};
pub use user::{Email, EnterpriseUser, Extension, Manager, Meta, Name, User, list_order};

/// URN of the core User schema (RFC 7643 §4.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the enterprise extension (RFC 7643 §4.3).
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the extension of our own.
pub const EXTENSION_USER: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";
/// URN of a list response (RFC 7644 §3.4.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of an error (RFC 7644 §3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// The media type of everything served (RFC 7644 §8.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
