//! Attributes of a user: for each one, its source in Personio and its extraction from a person.
//!
//! The [`table`] has one row for each attribute of the schemas. The mapping, the explanations and
//! the coverage of `check`, and the lists in the documents are made of the same rows, and a test
//! compares the rows with the schemas. An attribute without a row does not leave the server, except
//! for the [`custom`] attributes that the company chose.

pub(crate) mod custom;
#[cfg(test)]
mod documents;
pub(crate) mod elements;
pub(crate) mod fields;
pub(crate) mod input;
pub(crate) mod table;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

use crate::mapping::attributes::custom::{CustomText, describe_custom_attribute};
use crate::mapping::attributes::fields::PersonioField;
use crate::mapping::attributes::input::MappingInput;
use crate::mapping::{AttributeOverride, OverridableAttribute};
use crate::personio::LookupKind;
use crate::scim::{AttributeType, format_timestamp};

/// Row of the table: an attribute of a schema.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attribute {
    /// Name in the schema.
    pub(crate) name: &'static str,
    pub(crate) content: Content,
    /// Fields that the credential must be able to read.
    pub(crate) fields: &'static [PersonioField],
    /// Kinds of look-ups that contain the names in the values.
    pub(crate) lookups: &'static [LookupKind],
}

/// Content of an attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    /// Simple attribute.
    Simple(Leaf),
    /// Complex attribute with one value. Its sub-attributes are extracted one by one.
    Object(&'static [SubAttribute]),
    /// Complex attribute with several values.
    List {
        sub_attributes: &'static [SubAttribute],
        /// Returns the values, as JSON objects.
        elements: fn(&MappingInput<'_>) -> Vec<Value>,
    },
}

/// Sub-attribute of a complex attribute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SubAttribute {
    /// Name in the schema.
    pub(crate) name: &'static str,
    pub(crate) leaf: Leaf,
}

/// Simple attribute or sub-attribute, as far as its values are concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaf {
    pub(crate) extraction: Extraction,
    pub(crate) source: Source,
    pub(crate) sensitivity: Sensitivity,
    /// Name by which the mapping file can override the attribute.
    pub(crate) overridable: Option<OverridableAttribute>,
}

/// Extraction of a value from a person. `None` means that the user lacks the attribute.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "only tests and the documents that they write need the types")
)]
pub(crate) enum Extraction {
    /// Text of Personio.
    Text(for<'i> fn(&'i MappingInput<'i>) -> Option<&'i str>),
    /// Text made of other values.
    Composed(for<'i> fn(&'i MappingInput<'i>) -> Option<String>),
    /// Name of the unit with the extracted id.
    NameOf(LookupKind, for<'i> fn(&'i MappingInput<'i>) -> Option<&'i str>),
    /// Address of a resource.
    Reference(for<'i> fn(&'i MappingInput<'i>) -> Option<String>),
    /// Date, served as a text.
    Date(fn(&MappingInput<'_>) -> Option<Date>),
    /// Date and time.
    Timestamp(fn(&MappingInput<'_>) -> Option<Timestamp>),
    /// `true` or `false`.
    Boolean(fn(&MappingInput<'_>) -> bool),
    /// Member of the elements of a [`Content::List`], which extracts it.
    Element(AttributeType),
    /// Value made of the other attributes when the resource is encoded.
    Encoded(AttributeType),
}

/// Source of a value, in the terms of Personio's API.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Same source for every person.
    Fixed(&'static str),
    /// Source that depends on the person.
    PerPerson {
        /// All sources, for documents.
        summary: &'static str,
        /// Returns the source of a value of the attribute.
        describe: fn(&MappingInput<'_>, &Value) -> String,
    },
}

/// Sensitivity of an attribute: the part of its values that may be shown in masked output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// Value that is the same for all users and may be shown.
    Fixed,
    /// Value out of a small set, for example a status. A single letter can reveal it.
    SmallSet,
    /// Value out of a large set, for example a name.
    LargeSet,
}

impl Attribute {
    /// Creates the row of a simple attribute with values out of a large set.
    const fn simple(name: &'static str, source: &'static str, extraction: Extraction) -> Self {
        let leaf = Leaf::new(source, extraction);
        Self { name, content: Content::Simple(leaf), fields: &[], lookups: &[] }
    }

    /// Creates the row of a complex attribute with one value.
    const fn object(name: &'static str, sub_attributes: &'static [SubAttribute]) -> Self {
        Self { name, content: Content::Object(sub_attributes), fields: &[], lookups: &[] }
    }

    /// Creates the row of a complex attribute with several values.
    const fn list(
        name: &'static str,
        sub_attributes: &'static [SubAttribute],
        elements: fn(&MappingInput<'_>) -> Vec<Value>,
    ) -> Self {
        let content = Content::List { sub_attributes, elements };
        Self { name, content, fields: &[], lookups: &[] }
    }

    /// Sets the fields that the credential must be able to read.
    const fn needs(mut self, fields: &'static [PersonioField]) -> Self {
        self.fields = fields;
        self
    }

    /// Sets the kinds of look-ups that contain the names in the values.
    const fn with_names_of(mut self, lookups: &'static [LookupKind]) -> Self {
        self.lookups = lookups;
        self
    }

    /// Sets the sensitivity of a simple attribute.
    const fn sensitivity(mut self, sensitivity: Sensitivity) -> Self {
        if let Content::Simple(leaf) = self.content {
            self.content = Content::Simple(Leaf { sensitivity, ..leaf });
        }
        self
    }

    /// Marks a simple attribute as one that the mapping file can override.
    const fn overridable(mut self, attribute: OverridableAttribute) -> Self {
        if let Content::Simple(leaf) = self.content {
            self.content = Content::Simple(Leaf { overridable: Some(attribute), ..leaf });
        }
        self
    }

    /// Replaces the source of a simple attribute by one that depends on the person.
    const fn described_by(mut self, describe: fn(&MappingInput<'_>, &Value) -> String) -> Self {
        if let Content::Simple(leaf) = self.content {
            self.content = Content::Simple(leaf.described_by(describe));
        }
        self
    }

    /// Returns the sub-attributes of a complex attribute.
    pub(crate) fn sub_attributes(&self) -> &'static [SubAttribute] {
        match self.content {
            Content::Simple(_) => &[],
            Content::Object(sub_attributes) | Content::List { sub_attributes, .. } => {
                sub_attributes
            }
        }
    }

    /// Extracts the value of the attribute.
    pub(crate) fn value(&self, input: &MappingInput<'_>) -> Option<Value> {
        match self.content {
            Content::Simple(leaf) => leaf.value(input),
            Content::Object(sub_attributes) => {
                let mut members = Map::new();
                for SubAttribute { name, leaf } in sub_attributes {
                    if let Some(value) = leaf.value(input) {
                        members.insert((*name).to_owned(), value);
                    }
                }
                if members.is_empty() { None } else { Some(Value::Object(members)) }
            }
            Content::List { elements, .. } => {
                let elements = elements(input);
                if elements.is_empty() { None } else { Some(Value::Array(elements)) }
            }
        }
    }

    /// Extracts the value of a simple attribute that has a text.
    pub(crate) fn text(&self, input: &MappingInput<'_>) -> Option<String> {
        into_text(self.value(input)?)
    }
}

impl SubAttribute {
    /// Creates a sub-attribute with values out of a large set.
    const fn new(name: &'static str, source: &'static str, extraction: Extraction) -> Self {
        Self { name, leaf: Leaf::new(source, extraction) }
    }

    /// Creates a sub-attribute whose value is the same for all users.
    const fn fixed(name: &'static str, extraction: Extraction) -> Self {
        let leaf = Leaf::new(Source::SAME_FOR_ALL, extraction);
        Self { name, leaf: Leaf { sensitivity: Sensitivity::Fixed, ..leaf } }
    }

    /// Sets the sensitivity.
    const fn sensitivity(self, sensitivity: Sensitivity) -> Self {
        Self { name: self.name, leaf: Leaf { sensitivity, ..self.leaf } }
    }

    /// Replaces the source by one that depends on the person.
    const fn described_by(self, describe: fn(&MappingInput<'_>, &Value) -> String) -> Self {
        Self { name: self.name, leaf: self.leaf.described_by(describe) }
    }

    /// Extracts the value of a sub-attribute that has a text.
    pub(crate) fn text(&self, input: &MappingInput<'_>) -> Option<String> {
        into_text(self.leaf.value(input)?)
    }
}

impl Leaf {
    const fn new(source: &'static str, extraction: Extraction) -> Self {
        let source = Source::Fixed(source);
        Self { extraction, source, sensitivity: Sensitivity::LargeSet, overridable: None }
    }

    const fn described_by(mut self, describe: fn(&MappingInput<'_>, &Value) -> String) -> Self {
        self.source = Source::PerPerson { summary: self.source.summary(), describe };
        self
    }

    /// Extracts the value, unless the attribute is one that the row does not extract. The first
    /// source that yields a value is used: the custom attribute of an override, then Personio's own
    /// field.
    pub(crate) fn value(&self, input: &MappingInput<'_>) -> Option<Value> {
        let Some(chosen) = self.find_override(input) else { return self.extraction.value(input) };
        if let Some(source) = &chosen.source {
            let mapper = input.context.attribute_mapper;
            match mapper.custom_text(input.person, chosen, source) {
                CustomText::Usable { text, .. } => return Some(Value::String(text)),
                CustomText::Unusable | CustomText::Absent if !source.has_fallback => return None,
                CustomText::Unusable | CustomText::Absent => {}
            }
        }
        let text = into_text(self.extraction.value(input)?)?;
        Some(Value::String(chosen.new_values.get(&text).cloned().unwrap_or(text)))
    }

    /// Returns the source of `value`, a value of the attribute in the user made of `input`, in the
    /// terms of Personio's API.
    pub(crate) fn describe_source(&self, input: &MappingInput<'_>, value: &Value) -> String {
        let Some(chosen) = self.find_override(input) else {
            return self.source.describe(input, value);
        };
        let mapper = input.context.attribute_mapper;
        let custom = chosen.source.as_ref().map(|source| CustomValue {
            text: mapper.custom_text(input.person, chosen, source),
            id: &source.id,
        });
        let (mut description, is_renamed) = match custom {
            Some(CustomValue { text: CustomText::Usable { is_renamed, .. }, id }) => {
                (describe_custom_attribute(id), is_renamed)
            }
            Some(_) | None => {
                let own_value = self.extraction.value(input);
                (self.source.describe(input, value), own_value.as_ref() != Some(value))
            }
        };
        if is_renamed {
            description += &format!(", and values.{}", chosen.attribute.name());
        }
        description
    }

    /// Returns the company's choice for this attribute.
    fn find_override<'i>(&self, input: &'i MappingInput<'_>) -> Option<&'i AttributeOverride> {
        input.context.attribute_mapper.find_override(self.overridable?)
    }
}

/// Value of the custom attribute with this id.
struct CustomValue<'a> {
    text: CustomText,
    id: &'a str,
}

fn into_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

impl Extraction {
    /// Extracts the value from Personio's own fields.
    fn value(&self, input: &MappingInput<'_>) -> Option<Value> {
        match self {
            Self::Text(text) => text(input).map(Value::from),
            Self::Composed(text) | Self::Reference(text) => text(input).map(Value::String),
            Self::NameOf(kind, id) => input.context.name(*kind, id(input)).map(Value::from),
            Self::Date(date) => date(input).map(|date| Value::String(date.to_string())),
            Self::Timestamp(timestamp) => {
                timestamp(input).map(|timestamp| Value::String(format_timestamp(timestamp)))
            }
            Self::Boolean(boolean) => Some(Value::Bool(boolean(input))),
            Self::Element(_) | Self::Encoded(_) => None,
        }
    }

    /// Returns the type of the values.
    #[cfg(test)]
    fn attribute_type(self) -> AttributeType {
        match self {
            Self::Text(_) | Self::Composed(_) | Self::NameOf(..) | Self::Date(_) => {
                AttributeType::String
            }
            Self::Reference(_) => AttributeType::Reference,
            Self::Timestamp(_) => AttributeType::DateTime,
            Self::Boolean(_) => AttributeType::Boolean,
            Self::Element(attribute_type) | Self::Encoded(attribute_type) => attribute_type,
        }
    }
}

impl Source {
    /// Source of values that do not come from Personio.
    const SAME_FOR_ALL: &str = "the same for all users";
    /// Source of values that only the mapping file gives.
    pub(crate) const MAPPING_FILE: &str = "the custom attribute that the mapping file names";

    /// Returns the source of `value`, a value of the attribute in the user made of `input`.
    fn describe(&self, input: &MappingInput<'_>, value: &Value) -> String {
        match self {
            Self::Fixed(text) => (*text).to_owned(),
            Self::PerPerson { describe, .. } => describe(input, value),
        }
    }

    /// Returns the sources of all values of the attribute.
    const fn summary(&self) -> &'static str {
        match self {
            Self::Fixed(summary) | Self::PerPerson { summary, .. } => summary,
        }
    }
}
