//! Attributes as the schema documents define them (RFC 7643 §2, §7).

use serde::Deserialize;

/// Data type of an attribute (RFC 7643 §2.3). `binary` is missing because no schema of this server
/// has such an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttributeType {
    /// Text.
    String,
    /// `true` or `false`.
    Boolean,
    /// Number with or without a fraction.
    Decimal,
    /// Number without a fraction.
    Integer,
    /// Date and time with a time zone, written as in RFC 3339.
    DateTime,
    /// URI.
    Reference,
    /// Object with sub-attributes.
    Complex,
}

impl AttributeType {
    /// Returns the name of the type in a schema document.
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

    /// Returns the type as an error text names it, with its article.
    pub(in crate::scim) fn with_article(self) -> &'static str {
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

/// Condition under which a response contains an attribute (RFC 7643 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Part of every response.
    Always,
    /// Part of no response.
    Never,
    /// Part of a response unless the request names other attributes or excludes this one.
    Default,
    /// Part of a response only if the request names the attribute.
    Request,
}

/// Index of an attribute in its resource type. The resource itself and each extension count as
/// attributes too: they contain the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeId(pub(in crate::scim) u16);

/// Attribute of a compiled resource type.
#[derive(Debug, Clone)]
pub(in crate::scim) struct SchemaAttribute {
    /// Name in the spelling of the schema.
    pub(in crate::scim) name: Box<str>,
    pub(in crate::scim) attribute_type: AttributeType,
    pub(in crate::scim) multi_valued: bool,
    pub(in crate::scim) case_exact: bool,
    pub(in crate::scim) returned: Returned,
    /// Attribute that contains this one. Only the resource itself has none.
    pub(in crate::scim) parent: Option<AttributeId>,
    pub(in crate::scim) sub_attributes: Vec<AttributeId>,
}

/// Attribute in a schema document: the members that responses or the JSON Schema depend on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::scim) struct AttributeDefinition {
    pub(in crate::scim) name: Box<str>,
    #[serde(rename = "type")]
    pub(in crate::scim) attribute_type: AttributeType,
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
