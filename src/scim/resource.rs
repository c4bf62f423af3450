//! A resource as it is served: rendered once, with an index of where its values are. Answers are put
//! together from the rendered text; filters and sorting read the values in it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Number, Value as Json};

use super::resource_type::RESOURCE;
use super::{AttributeId, AttributeType, ResourceType, Unwritable};

/// A resource. What no schema of its type announces is not in it.
#[derive(Debug)]
pub struct Resource {
    kind: Arc<ResourceType>,
    /// The whole resource in JSON.
    json: Box<str>,
    /// Its values, each before what it consists of; the first is the resource itself.
    nodes: Box<[Node]>,
    /// The values that cannot be read straight from the text.
    scalars: Box<[Scalar]>,
}

/// A value: of which attribute, and where it is in the text.
#[derive(Debug, Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// Of an object or array the number of the node after it; of a scalar its number.
    extra: u32,
    attribute: AttributeId,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A text that needs no escapes.
    Text,
    True,
    False,
    Scalar,
    Object,
    Array,
}

#[derive(Debug)]
enum Scalar {
    /// A text with escapes in its JSON.
    Text(Box<str>),
    Number(Number),
    DateTime(Timestamp),
}

impl Resource {
    /// The resource of this type that `content` is written as.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(kind: &Arc<ResourceType>, content: &impl Serialize) -> Result<Self, Unwritable> {
        let Json::Object(members) = serde_json::to_value(content)? else {
            return Err(<serde_json::Error as serde::ser::Error>::custom("it is no object").into());
        };
        let mut writer = Writer { kind, json: String::new(), nodes: Vec::new(), scalars: Vec::new() };
        writer.object(RESOURCE, &members);
        let Writer { json, nodes, scalars, .. } = writer;
        Ok(Self { kind: Arc::clone(kind), json: json.into(), nodes: nodes.into(), scalars: scalars.into() })
    }

    /// The whole resource in JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Its type.
    #[must_use]
    pub fn resource_type(&self) -> &Arc<ResourceType> {
        &self.kind
    }

    /// The text at a path such as `meta.version`, if there is one.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        let way = self.kind.way(self.kind.attribute(path)?);
        way.iter().try_fold(self.value(), |value, &id| value.get(id))?.text()
    }

    /// `meta.lastModified`.
    #[must_use]
    pub fn last_modified(&self) -> Option<Timestamp> {
        self.text("meta.lastModified")?.parse().ok()
    }

    /// Whether the attribute at this path is true.
    pub(super) fn is_true(&self, path: &str) -> bool {
        self.first(path).and_then(Value::boolean).unwrap_or_default()
    }

    /// Whether there is a value at this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.first(path).is_some_and(|value| !value.is_empty())
    }

    /// The first value at this path.
    fn first(&self, path: &str) -> Option<Value<'_>> {
        let way = self.kind.way(self.kind.attribute(path)?);
        way.iter().try_fold(self.value(), |value, &id| {
            let value = value.get(id)?;
            if value.is_array() { value.parts().next() } else { Some(value) }
        })
    }

    pub(super) fn value(&self) -> Value<'_> {
        Value { resource: self, place: 0 }
    }

    /// The value at this place, which was found before.
    pub(super) fn at(&self, place: u32) -> Value<'_> {
        Value { resource: self, place }
    }
}

/// What a value is, for comparisons.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Text(&'a str),
    Boolean(bool),
    Number(&'a Number),
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
    #[expect(clippy::indexing_slicing, reason = "places come from the same resource, and the first is always there")]
    fn node(self) -> &'a Node {
        &self.resource.nodes[self.place as usize]
    }

    pub(super) fn place(self) -> u32 {
        self.place
    }

    pub(super) fn attribute(self) -> AttributeId {
        self.node().attribute
    }

    pub(super) fn json(self) -> &'a str {
        let node = self.node();
        self.resource.json.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    pub(super) fn is_array(self) -> bool {
        self.node().shape == Shape::Array
    }

    pub(super) fn is_object(self) -> bool {
        self.node().shape == Shape::Object
    }

    /// The members of an object, or the elements of an array.
    pub(super) fn parts(self) -> impl Iterator<Item = Value<'a>> {
        let node = self.node();
        let end = if matches!(node.shape, Shape::Object | Shape::Array) { node.extra } else { self.place + 1 };
        let mut place = self.place + 1;
        std::iter::from_fn(move || {
            let part = Value { place, ..self };
            let node = (place < end).then(|| part.node())?;
            place = if matches!(node.shape, Shape::Object | Shape::Array) { node.extra } else { place + 1 };
            Some(part)
        })
    }

    /// The member of an object that is this attribute.
    pub(super) fn get(self, id: AttributeId) -> Option<Value<'a>> {
        self.parts().find(|part| part.attribute() == id)
    }

    pub(super) fn content(self) -> Content<'a> {
        let node = self.node();
        let quoted = || self.resource.json.get(node.start as usize + 1..node.end as usize - 1).unwrap_or_default();
        match node.shape {
            Shape::Text => Content::Text(quoted()),
            Shape::True => Content::Boolean(true),
            Shape::False => Content::Boolean(false),
            Shape::Object | Shape::Array => Content::Nested,
            Shape::Scalar => match self.resource.scalars.get(node.extra as usize) {
                Some(Scalar::Text(text)) => Content::Text(text),
                Some(Scalar::Number(number)) => Content::Number(number),
                // A moment's text needs no escapes.
                Some(Scalar::DateTime(moment)) => Content::DateTime(*moment, quoted()),
                None => Content::Nested,
            },
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        match self.content() {
            Content::Text(text) | Content::DateTime(_, text) => Some(text),
            Content::Boolean(_) | Content::Number(_) | Content::Nested => None,
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        if let Content::Boolean(value) = self.content() { Some(value) } else { None }
    }

    pub(super) fn number(self) -> Option<&'a Number> {
        if let Content::Number(number) = self.content() { Some(number) } else { None }
    }

    pub(super) fn date_time(self) -> Option<Timestamp> {
        if let Content::DateTime(moment, _) = self.content() { Some(moment) } else { None }
    }

    /// "Unassigned" attributes (RFC 7643 §2.5), and what has nothing else in it.
    pub(super) fn is_empty(self) -> bool {
        match self.node().shape {
            Shape::Object | Shape::Array => self.parts().all(Value::is_empty),
            Shape::Text | Shape::Scalar => self.text() == Some(""),
            Shape::True | Shape::False => false,
        }
    }
}

/// Writes a resource and notes where its values are.
struct Writer<'k> {
    kind: &'k ResourceType,
    json: String,
    nodes: Vec<Node>,
    scalars: Vec<Scalar>,
}

impl Writer<'_> {
    fn object(&mut self, holder: AttributeId, members: &Map<String, Json>) {
        self.nested(holder, Shape::Object, |writer| {
            writer.json.push('{');
            let start = writer.json.len();
            for (name, value) in members {
                // "Unassigned attributes, null, and the empty array are equivalent" (RFC 7643 §2.5).
                if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
                    continue;
                }
                let Some(id) = writer.kind.sub_attribute(holder, name) else { continue };
                if writer.json.len() > start {
                    writer.json.push(',');
                }
                writer.json.push('"');
                writer.json.push_str(name);
                writer.json.push_str("\":");
                writer.value(id, value);
            }
            writer.json.push('}');
        });
    }

    fn value(&mut self, id: AttributeId, value: &Json) {
        match value {
            Json::Object(members) => self.object(id, members),
            Json::Array(elements) => self.nested(id, Shape::Array, |writer| {
                writer.json.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        writer.json.push(',');
                    }
                    writer.value(id, element);
                }
                writer.json.push(']');
            }),
            Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => self.scalar(id, value),
        }
    }

    fn nested(&mut self, attribute: AttributeId, shape: Shape, write: impl FnOnce(&mut Self)) {
        let (place, start) = (self.nodes.len(), self.length());
        self.nodes.push(Node { start, end: start, extra: 0, attribute, shape });
        write(self);
        let (end, extra) = (self.length(), number(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(place) {
            (node.end, node.extra) = (end, extra);
        }
    }

    fn scalar(&mut self, attribute: AttributeId, value: &Json) {
        let start = self.length();
        self.json.push_str(&value.to_string());
        let end = self.length();
        let (shape, scalar) = match value {
            Json::Bool(true) => (Shape::True, None),
            Json::Bool(false) => (Shape::False, None),
            Json::Number(number) => (Shape::Scalar, Some(Scalar::Number(number.clone()))),
            Json::String(text) => match self.date_time(attribute, text) {
                Some(moment) => (Shape::Scalar, Some(Scalar::DateTime(moment))),
                None if end - start > number(text.len()) + 2 => {
                    (Shape::Scalar, Some(Scalar::Text(text.as_str().into())))
                }
                None => (Shape::Text, None),
            },
            // Not a value: nothing finds it.
            Json::Null | Json::Array(_) | Json::Object(_) => return,
        };
        let extra = number(self.scalars.len());
        self.scalars.extend(scalar);
        self.nodes.push(Node { start, end, extra, attribute, shape });
    }

    fn date_time(&self, attribute: AttributeId, text: &str) -> Option<Timestamp> {
        if self.kind.get(attribute).kind == AttributeType::DateTime { text.parse().ok() } else { None }
    }

    fn length(&self) -> u32 {
        number(self.json.len())
    }
}

/// No resource comes near the limit; one that did would be read as empty beyond it.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
