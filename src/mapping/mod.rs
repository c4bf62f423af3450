//! Mapping of Personio's data to SCIM users and groups. It decides which persons are users, which
//! employment is the primary one, and which attributes leave the server. An attribute that is not
//! named here does not leave.
//!
//! The module knows neither HTTP nor caches, and the current date is a parameter. Its only side
//! effect is a warning in the log about a custom attribute.

pub(crate) mod attributes;
pub(crate) mod context;
pub(crate) mod employment;
pub(crate) mod groups;
mod language_tag;
pub(crate) mod person_header;
pub mod personal_data;
mod policy;
pub(crate) mod primary_employment;
pub(crate) mod standard_attributes;
pub(crate) mod user;
pub(crate) mod user_name;
pub(crate) mod validity;

pub use crate::mapping::groups::GroupKind;
pub use crate::mapping::person_header::DisplayNameRule;
pub use crate::mapping::policy::{
    ActiveUntil, CustomAttributePolicy, MappingPolicy, OptionalContent, ServedEmployments,
    StandardAttributePolicy,
};
pub use crate::mapping::standard_attributes::{
    AttributeOverride, CustomSource, OverridableAttribute, ValueForm,
};
