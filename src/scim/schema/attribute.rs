//! Attributes as the schema documents define them (RFC 7643 §2, §7).

use serde::Deserialize;

/// The type of an attribute (RFC 7643 §2.3). Nothing served is `binary`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttributeType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A number with or without a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// A moment, as RFC 3339 writes it.
    DateTime,
    /// A URI.
    Reference,
    /// An object of further attributes.
    Complex,
}

impl AttributeType {
    /// The type's name in a schema document.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }

    /// The type in a sentence.
    pub(in crate::scim) fn described(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Boolean => "a boolean",
            Self::Decimal => "a number",
            Self::Integer => "a whole number",
            Self::DateTime => "a date-time",
            Self::Reference => "a reference",
            Self::Complex => "complex",
        }
    }
}

/// When an attribute is part of an answer (RFC 7643 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Whatever is asked for.
    Always,
    /// Never.
    Never,
    /// Unless other attributes are asked for, or this one is excluded.
    Default,
    /// Only if it is asked for.
    Request,
}

/// The number of an attribute in its resource type. The resource itself counts as an attribute, and so
/// does each extension: they hold others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeId(pub(in crate::scim) u16);

/// An attribute of a resource type.
#[derive(Debug, Clone)]
pub(in crate::scim) struct Attribute {
    /// As a resource writes it.
    pub(in crate::scim) name: Box<str>,
    pub(in crate::scim) kind: AttributeType,
    pub(in crate::scim) multi_valued: bool,
    pub(in crate::scim) case_exact: bool,
    pub(in crate::scim) returned: Returned,
    /// What it is a part of; the resource is a part of nothing.
    pub(in crate::scim) parent: Option<AttributeId>,
    pub(in crate::scim) sub_attributes: Vec<AttributeId>,
}

/// An attribute in a schema document, as far as answers or their description depend on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::scim) struct Definition {
    pub(in crate::scim) name: Box<str>,
    #[serde(rename = "type")]
    pub(in crate::scim) kind: AttributeType,
    pub(in crate::scim) multi_valued: bool,
    pub(in crate::scim) case_exact: bool,
    pub(in crate::scim) returned: Returned,
    #[serde(default)]
    pub(in crate::scim) description: Box<str>,
    #[serde(default)]
    pub(in crate::scim) canonical_values: Vec<Box<str>>,
    #[serde(default)]
    pub(in crate::scim) sub_attributes: Vec<Self>,
}
