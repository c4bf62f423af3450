//! Resources in the form in which a snapshot holds them: encoded once as JSON, with the offsets of
//! their values. Responses are assembled from the JSON; filters and sorting read the values in it.
//!
//! - [`user`], [`group`], [`meta`]: the content of a resource, before it is encoded.
//! - [`content`]: the encoded content with its version; [`mod@encode`]: the writer of JSON and
//!   offsets; [`shape`]: the part of the result that resources of the same structure share.
//! - [`Resource`] and [`ResourceValue`], below: the encoded resource, and one value in it.
//! - [`etag`], [`version_stamp`], [`urls`], [`number_order`]: versions, dates, addresses, and the
//!   order of numbers.

pub(crate) mod content;
pub(crate) mod encode;
pub(crate) mod etag;
pub(crate) mod group;
pub(crate) mod meta;
pub(crate) mod number_order;
pub(crate) mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod urls;
pub(crate) mod user;
pub(crate) mod version_stamp;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Number;

use crate::scim::resource::encode::{EncodedResource, ResourceWriter};
use crate::scim::resource::shape::{Node, ResourceShape, ValueKind};
use crate::scim::{AttributeId, ResourceType, SerializationError};

/// Encoded resource. It contains only attributes that a schema of its type defines.
#[derive(Debug)]
pub struct Resource {
    shape: Arc<ResourceShape>,
    /// Whole resource in JSON.
    json: Box<str>,
    starts: ValueStarts,
}

/// Byte offset in the JSON at which the value of each node begins. A short text needs only two
/// bytes for each.
#[derive(Debug)]
enum ValueStarts {
    Short(Box<[u16]>),
    Long(Box<[u32]>),
}

impl ValueStarts {
    fn new(starts: Vec<u32>, json_length: usize) -> Self {
        if json_length > usize::from(u16::MAX) {
            return Self::Long(starts.into());
        }
        Self::Short(starts.iter().map(|start| u16::try_from(*start).unwrap_or(u16::MAX)).collect())
    }
}

impl Resource {
    /// Encodes `content` as a resource of this type.
    ///
    /// # Errors
    /// Returns an error if the content cannot be written as JSON, or is not an object.
    pub fn new(
        resource_type: &Arc<ResourceType>,
        content: &impl Serialize,
    ) -> Result<Self, SerializationError> {
        let mut writer = ResourceWriter::new(resource_type);
        writer.write(content)?;
        Self::from_writer(writer)
    }

    /// Returns the resource that was written.
    fn from_writer(writer: ResourceWriter<'_>) -> Result<Self, SerializationError> {
        let EncodedResource { resource_type, json, nodes, starts } = writer.finish()?;
        let starts = ValueStarts::new(starts, json.len());
        Ok(Self { shape: resource_type.shapes().intern(resource_type, &nodes), json, starts })
    }

    /// Returns the whole resource in JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the type of the resource.
    #[must_use]
    pub fn resource_type(&self) -> &Arc<ResourceType> {
        self.shape.resource_type()
    }

    /// Returns the text at a path such as `meta.version`.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.text_of(self.resource_type().attribute(path)?)
    }

    /// Returns `id`.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        self.well_known_text(self.resource_type().well_known().id).unwrap_or_default()
    }

    /// Returns `meta.version`.
    #[must_use]
    pub fn version(&self) -> Option<Cow<'_, str>> {
        self.well_known_text(self.resource_type().well_known().version)
    }

    /// Returns `meta.location`.
    #[must_use]
    pub fn location(&self) -> Option<Cow<'_, str>> {
        self.well_known_text(self.resource_type().well_known().location)
    }

    /// Returns `meta.created`.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.well_known_text(self.resource_type().well_known().created)?.parse().ok()
    }

    /// Returns `meta.lastModified`.
    #[must_use]
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified_text()?.parse().ok()
    }

    /// Returns the text of `meta.lastModified` in the JSON.
    #[must_use]
    pub fn last_modified_text(&self) -> Option<Cow<'_, str>> {
        self.well_known_text(self.resource_type().well_known().last_modified)
    }

    fn well_known_text(&self, id: Option<AttributeId>) -> Option<Cow<'_, str>> {
        self.text_of(id?)
    }

    /// Returns the text of an attribute that is not within a multi-valued one.
    fn text_of(&self, id: AttributeId) -> Option<Cow<'_, str>> {
        self.single_value(id)?.text()
    }

    /// Returns the value of an attribute that is not within a multi-valued one.
    pub(super) fn single_value(&self, id: AttributeId) -> Option<ResourceValue<'_>> {
        let node_index = self.shape.node_index(id)?;
        Some(self.value_at(node_index))
    }

    /// Returns the value at the end of a path.
    ///
    /// # Errors
    /// Returns an error if an array is on the path, because there may be several values.
    pub(super) fn single_value_on_path(
        &self,
        path: &[AttributeId],
    ) -> Result<Option<ResourceValue<'_>>, Several> {
        let mut found = None;
        for id in path {
            found = self.single_value(*id);
            if found.is_some_and(ResourceValue::is_array) {
                return Err(Several);
            }
        }
        Ok(found)
    }

    #[cfg(test)]
    pub(super) fn shape(&self) -> &Arc<ResourceShape> {
        &self.shape
    }

    /// Returns the resource itself as a value.
    pub(super) fn value(&self) -> ResourceValue<'_> {
        self.value_at(0)
    }

    /// Returns the value of a node, whose index must come from a value of this resource.
    pub(super) fn value_at(&self, node_index: u32) -> ResourceValue<'_> {
        ResourceValue { resource: self, node_index }
    }

    /// Returns the byte offset at which the value of a node begins, or the length of the JSON for
    /// the index after the last node.
    fn start(&self, node_index: u32) -> usize {
        let start = match &self.starts {
            ValueStarts::Short(starts) => starts.get(node_index as usize).copied().map(u32::from),
            ValueStarts::Long(starts) => starts.get(node_index as usize).copied(),
        };
        match start {
            Some(start) => start as usize,
            None => self.json.len(),
        }
    }
}

/// Error of reading a single value where a resource may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Several;

/// Decoded value, for comparisons.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DecodedValue<'a> {
    Text(Cow<'a, str>),
    Boolean(bool),
    Number(Number),
    /// Date and time, and its text.
    DateTime(Timestamp, &'a str),
    /// Object or array.
    Nested,
}

/// Value in a resource, still encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResourceValue<'a> {
    resource: &'a Resource,
    node_index: u32,
}

impl<'a> ResourceValue<'a> {
    fn node(self) -> &'a Node {
        self.resource.shape.node(self.node_index)
    }

    pub(super) fn node_index(self) -> u32 {
        self.node_index
    }

    pub(super) fn attribute(self) -> AttributeId {
        self.node().attribute
    }

    pub(super) fn json(self) -> &'a str {
        let node = self.node();
        let start = self.resource.start(self.node_index);
        let next_start = self.resource.start(node.next_sibling);
        let end = next_start.saturating_sub(node.bytes_to_next as usize);
        self.resource.json.get(start..end).unwrap_or_default()
    }

    pub(super) fn is_array(self) -> bool {
        self.node().kind == ValueKind::Array
    }

    pub(super) fn is_object(self) -> bool {
        self.node().kind == ValueKind::Object
    }

    /// Returns the members of an object, or the elements of an array.
    pub(super) fn children(self) -> impl Iterator<Item = ResourceValue<'a>> {
        let end = self.node().next_sibling;
        let mut next = self.node_index + 1;
        std::iter::from_fn(move || {
            if next >= end {
                return None;
            }
            let part = ResourceValue { node_index: next, ..self };
            next = part.node().next_sibling;
            Some(part)
        })
    }

    /// Returns the member of an object with this attribute id.
    pub(super) fn member(self, id: AttributeId) -> Option<ResourceValue<'a>> {
        self.children().find(|part| part.attribute() == id)
    }

    /// Decodes the value.
    pub(super) fn decode(self) -> DecodedValue<'a> {
        match self.node().kind {
            ValueKind::Text => DecodedValue::Text(Cow::Borrowed(self.quoted())),
            ValueKind::EscapedText => match self.unescaped() {
                Some(text) => DecodedValue::Text(Cow::Owned(text)),
                None => DecodedValue::Nested,
            },
            ValueKind::DateTime => {
                let text = self.quoted();
                match text.parse() {
                    Ok(timestamp) => DecodedValue::DateTime(timestamp, text),
                    Err(_) => DecodedValue::Text(Cow::Borrowed(text)),
                }
            }
            ValueKind::Boolean => DecodedValue::Boolean(self.json() == "true"),
            ValueKind::Number => match self.json().parse() {
                Ok(number) => DecodedValue::Number(number),
                Err(_) => DecodedValue::Nested,
            },
            ValueKind::Object | ValueKind::Array => DecodedValue::Nested,
        }
    }

    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self.node().kind {
            ValueKind::Text | ValueKind::DateTime => Some(Cow::Borrowed(self.quoted())),
            ValueKind::EscapedText => self.unescaped().map(Cow::Owned),
            ValueKind::Boolean | ValueKind::Number | ValueKind::Object | ValueKind::Array => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        if self.node().kind == ValueKind::Boolean { Some(self.json() == "true") } else { None }
    }

    pub(super) fn number(self) -> Option<Number> {
        if self.node().kind == ValueKind::Number { self.json().parse().ok() } else { None }
    }

    pub(super) fn date_time(self) -> Option<Timestamp> {
        if self.node().kind == ValueKind::DateTime { self.quoted().parse().ok() } else { None }
    }

    /// Reports whether the value counts as unassigned (RFC 7643 §2.5): an empty text, or an object
    /// or array of such values only.
    pub(super) fn is_empty(self) -> bool {
        match self.node().kind {
            ValueKind::Object | ValueKind::Array => self.children().all(ResourceValue::is_empty),
            ValueKind::Text | ValueKind::DateTime => self.json() == "\"\"",
            ValueKind::EscapedText | ValueKind::Boolean | ValueKind::Number => false,
        }
    }

    /// Returns the text between the quotes, which must have no escapes.
    fn quoted(self) -> &'a str {
        let json = self.json();
        json.get(1..json.len().saturating_sub(1)).unwrap_or_default()
    }

    fn unescaped(self) -> Option<String> {
        serde_json::from_str(self.json()).ok()
    }
}

/// Converts a length, offset or index to `u32`. No directory and no resource comes near the limit;
/// values beyond it would be read as empty.
pub(super) fn saturating_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
