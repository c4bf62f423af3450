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
    pub(super) fn described(self) -> &'static str {
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
pub struct AttributeId(pub(super) u16);

/// An attribute of a resource type.
#[derive(Debug, Clone)]
pub(super) struct Attribute {
    /// As a resource writes it.
    pub(super) name: Box<str>,
    pub(super) kind: AttributeType,
    pub(super) multi_valued: bool,
    pub(super) case_exact: bool,
    pub(super) returned: Returned,
    /// What it is a part of; the resource is a part of nothing.
    pub(super) parent: Option<AttributeId>,
    pub(super) sub_attributes: Vec<AttributeId>,
}

/// An attribute in a schema document, as far as answers or their description depend on it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Definition {
    pub(super) name: Box<str>,
    #[serde(rename = "type")]
    pub(super) kind: AttributeType,
    pub(super) multi_valued: bool,
    pub(super) case_exact: bool,
    pub(super) returned: Returned,
    #[serde(default)]
    pub(super) description: Box<str>,
    #[serde(default)]
    pub(super) canonical_values: Vec<Box<str>>,
    #[serde(default)]
    pub(super) sub_attributes: Vec<Self>,
}
