//! A resource as it is served: rendered once, with a note of where its values are. Answers are put
//! together from the rendered text; filters and sorting read the values in it.

pub(crate) mod encode;
pub(crate) mod etag;
pub(crate) mod group;
pub(crate) mod meta;
pub(crate) mod number;
pub(crate) mod shape;
pub(crate) mod stamp;
#[cfg(test)]
mod tests;
pub(crate) mod urls;
pub(crate) mod user;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Number;

use crate::scim::resource::encode::{Rendered, render};
use crate::scim::resource::shape::{Layout, Node, Shape};
use crate::scim::{AttributeId, ResourceType, Unwritable};

/// A resource. What no schema of its type announces is not in it.
#[derive(Debug)]
pub struct Resource {
    layout: Arc<Layout>,
    /// The whole resource in JSON.
    json: Box<str>,
    starts: Starts,
}

/// Where each value of the layout begins, in as few bytes as the text allows.
#[derive(Debug)]
enum Starts {
    Short(Box<[u16]>),
    Long(Box<[u32]>),
}

impl Resource {
    /// The resource of this type that `content` is written as.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(kind: &Arc<ResourceType>, content: &impl Serialize) -> Result<Self, Unwritable> {
        let Rendered { json, nodes, starts } = render(kind, content)?;
        let starts = if json.len() <= usize::from(u16::MAX) {
            Starts::Short(starts.iter().map(|start| u16::try_from(*start).unwrap_or(u16::MAX)).collect())
        } else {
            Starts::Long(starts.into())
        };
        Ok(Self { layout: kind.layouts().shared(kind, &nodes), json, starts })
    }

    /// The whole resource in JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its type.
    #[must_use]
    pub fn resource_type(&self) -> &Arc<ResourceType> {
        self.layout.resource_type()
    }

    /// The text at a path such as `meta.version`, if there is one.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.text_of(self.resource_type().attribute(path)?)
    }

    /// `id`.
    #[must_use]
    pub fn id(&self) -> Cow<'_, str> {
        self.known(self.resource_type().known().id).unwrap_or_default()
    }

    /// `meta.version`.
    #[must_use]
    pub fn version(&self) -> Option<Cow<'_, str>> {
        self.known(self.resource_type().known().version)
    }

    /// `meta.location`.
    #[must_use]
    pub fn location(&self) -> Option<Cow<'_, str>> {
        self.known(self.resource_type().known().location)
    }

    /// `meta.created`.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.known(self.resource_type().known().created)?.parse().ok()
    }

    /// `meta.lastModified`.
    #[must_use]
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified_text()?.parse().ok()
    }

    /// `meta.lastModified` as it is written.
    #[must_use]
    pub fn last_modified_text(&self) -> Option<Cow<'_, str>> {
        self.known(self.resource_type().known().last_modified)
    }

    fn known(&self, id: Option<AttributeId>) -> Option<Cow<'_, str>> {
        self.text_of(id?)
    }

    /// The text of an attribute that is not within a multi-valued one.
    pub(super) fn text_of(&self, id: AttributeId) -> Option<Cow<'_, str>> {
        self.single(id)?.text()
    }

    /// The value of an attribute that is not within a multi-valued one.
    pub(super) fn single(&self, id: AttributeId) -> Option<Value<'_>> {
        self.layout.place(id).map(|place| self.at(place))
    }

    /// The same on the `way` to it; an error if there is an array on it, where there may be several.
    pub(super) fn single_on(&self, way: &[AttributeId]) -> Result<Option<Value<'_>>, Several> {
        let mut found = None;
        for id in way {
            found = self.single(*id);
            if found.is_some_and(Value::is_array) {
                return Err(Several);
            }
        }
        Ok(found)
    }

    #[cfg(test)]
    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(super) fn value(&self) -> Value<'_> {
        Value { resource: self, place: 0 }
    }

    /// The value at this place, which was found before.
    pub(super) fn at(&self, place: u32) -> Value<'_> {
        Value { resource: self, place }
    }

    /// Where the value at this place begins; where the resource ends if it is none.
    fn start(&self, place: u32) -> usize {
        let start = match &self.starts {
            Starts::Short(starts) => starts.get(place as usize).map(|start| usize::from(*start)),
            Starts::Long(starts) => starts.get(place as usize).map(|start| *start as usize),
        };
        start.unwrap_or(self.json.len())
    }
}

/// An attribute has more values than one, or may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Several;

/// What a value is, for comparisons.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    Boolean(bool),
    Number(Number),
    /// And how it is written.
    DateTime(Timestamp, &'a str),
    /// An object or an array.
    Nested,
}

/// A value in a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value<'a> {
    resource: &'a Resource,
    place: u32,
}

impl<'a> Value<'a> {
    fn node(self) -> &'a Node {
        self.resource.layout.node(self.place)
    }

    pub(super) fn place(self) -> u32 {
        self.place
    }

    pub(super) fn attribute(self) -> AttributeId {
        self.node().attribute
    }

    pub(super) fn json(self) -> &'a str {
        let node = self.node();
        let end = self.resource.start(node.after).saturating_sub(node.tail as usize);
        self.resource.json.get(self.resource.start(self.place)..end).unwrap_or_default()
    }

    pub(super) fn is_array(self) -> bool {
        self.node().shape == Shape::Array
    }

    pub(super) fn is_object(self) -> bool {
        self.node().shape == Shape::Object
    }

    /// The members of an object, or the elements of an array.
    pub(super) fn parts(self) -> impl Iterator<Item = Value<'a>> {
        let end = self.node().after;
        let mut place = self.place + 1;
        std::iter::from_fn(move || {
            let part = (place < end).then_some(Value { place, ..self })?;
            place = part.node().after;
            Some(part)
        })
    }

    /// The member of an object that is this attribute.
    pub(super) fn get(self, id: AttributeId) -> Option<Value<'a>> {
        self.parts().find(|part| part.attribute() == id)
    }

    pub(super) fn content(self) -> Content<'a> {
        match self.node().shape {
            Shape::Text => Content::Text(Cow::Borrowed(self.quoted())),
            Shape::Escaped => self.unescaped().map_or(Content::Nested, |text| Content::Text(text.into())),
            Shape::DateTime => {
                let text = self.quoted();
                text.parse().map_or(Content::Text(Cow::Borrowed(text)), |moment| Content::DateTime(moment, text))
            }
            Shape::Boolean => Content::Boolean(self.json() == "true"),
            Shape::Number => self.json().parse().map_or(Content::Nested, Content::Number),
            Shape::Object | Shape::Array => Content::Nested,
        }
    }

    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self.node().shape {
            Shape::Text | Shape::DateTime => Some(Cow::Borrowed(self.quoted())),
            Shape::Escaped => self.unescaped().map(Cow::Owned),
            Shape::Boolean | Shape::Number | Shape::Object | Shape::Array => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        (self.node().shape == Shape::Boolean).then(|| self.json() == "true")
    }

    pub(super) fn number(self) -> Option<Number> {
        if self.node().shape == Shape::Number { self.json().parse().ok() } else { None }
    }

    pub(super) fn date_time(self) -> Option<Timestamp> {
        if self.node().shape == Shape::DateTime { self.quoted().parse().ok() } else { None }
    }

    /// "Unassigned" attributes (RFC 7643 §2.5), and what has nothing else in it.
    pub(super) fn is_empty(self) -> bool {
        match self.node().shape {
            Shape::Object | Shape::Array => self.parts().all(Value::is_empty),
            Shape::Text | Shape::DateTime => self.json() == "\"\"",
            Shape::Escaped | Shape::Boolean | Shape::Number => false,
        }
    }

    /// A text that needs no escapes.
    fn quoted(self) -> &'a str {
        let json = self.json();
        json.get(1..json.len().saturating_sub(1)).unwrap_or_default()
    }

    fn unescaped(self) -> Option<String> {
        serde_json::from_str(self.json()).ok()
    }
}
