//! The values of one attribute for all resources side by side. A filter tests each distinct value once,
//! and then only looks up who has which: it does not go through the resources themselves.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Number;

use super::resource::{Content, Resource, Value};
use super::{AttributeId, ResourceType};

/// The values of an attribute that everybody has at most once, or of one within the elements of another.
#[derive(Debug)]
pub(super) struct Column {
    /// For each resource or element the number of its value.
    codes: Box<[u32]>,
    /// The values.
    texts: Box<str>,
    distinct: Box<[Distinct]>,
}

/// Where the elements of a multi-valued attribute are: those of a resource come one after the other.
#[derive(Debug)]
pub(super) struct Elements {
    /// For each resource the number of its first element, and at last the number of elements.
    starts: Box<[u32]>,
}

/// The code of who has no value.
pub(super) const ABSENT: u32 = u32::MAX;

#[derive(Debug)]
struct Distinct {
    /// Where its text ends; it begins where the one before ends.
    end: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Boolean(bool),
    Number(Number),
    DateTime(Timestamp),
    Nested,
}

impl Column {
    /// The column of an attribute of `holders`: resources or elements. None if somebody has it in an
    /// unusual shape, which only a look at the resource tells.
    pub(super) fn new<'a>(holders: impl Iterator<Item = Value<'a>>, way: &[AttributeId]) -> Option<Self> {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let (mut codes, mut texts, mut distinct) = (Vec::new(), String::new(), Vec::new());
        for holder in holders {
            let mut value = Some(holder);
            for id in way {
                if value.is_some_and(Value::is_array) {
                    return None;
                }
                value = value.and_then(|value| value.get(*id));
            }
            if value.is_some_and(Value::is_array) {
                return None;
            }
            codes.push(match value.filter(|value| !value.is_empty()) {
                None => ABSENT,
                Some(value) => {
                    // Who has something nested has something: it makes no difference what.
                    let key = if value.is_object() { "{}" } else { value.json() };
                    let next = u32::try_from(distinct.len()).ok()?;
                    *numbers.entry(key).or_insert_with(|| {
                        distinct.push(Distinct::new(value, &mut texts));
                        next
                    })
                }
            });
        }
        Some(Self { codes: codes.into(), texts: texts.into(), distinct: distinct.into() })
    }

    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The values, in the order of their codes.
    pub(super) fn values(&self) -> impl Iterator<Item = Content<'_>> {
        let mut start = 0;
        self.distinct.iter().map(move |distinct| {
            let text = self.texts.get(start..distinct.end as usize).unwrap_or_default();
            start = distinct.end as usize;
            match &distinct.kind {
                Kind::Text => Content::Text(text),
                Kind::Boolean(value) => Content::Boolean(*value),
                Kind::Number(number) => Content::Number(number),
                Kind::DateTime(moment) => Content::DateTime(*moment, text),
                Kind::Nested => Content::Nested,
            }
        })
    }
}

impl Distinct {
    fn new(value: Value<'_>, texts: &mut String) -> Self {
        let kind = match value.content() {
            Content::Text(text) => {
                texts.push_str(text);
                Kind::Text
            }
            Content::DateTime(moment, text) => {
                texts.push_str(text);
                Kind::DateTime(moment)
            }
            Content::Boolean(value) => Kind::Boolean(value),
            Content::Number(number) => Kind::Number(number.clone()),
            Content::Nested => Kind::Nested,
        };
        // Beyond the limit texts would read as empty; no directory comes near it.
        Self { end: u32::try_from(texts.len()).unwrap_or(u32::MAX), kind }
    }
}

impl Elements {
    /// Where the elements of `id` are. None if somebody has it in an unusual shape.
    pub(super) fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Option<Self> {
        let way = kind.way(id);
        let mut starts = Vec::with_capacity(all.len() + 1);
        let mut count: u32 = 0;
        for resource in all {
            starts.push(count);
            let array = way.iter().try_fold(resource.value(), |value, id| value.get(*id));
            if array.is_some_and(|array| !array.is_array()) {
                return None;
            }
            count += u32::try_from(array.map_or(0, |array| array.parts().count())).ok()?;
        }
        starts.push(count);
        Some(Self { starts: starts.into() })
    }

    /// The numbers of the elements of a resource.
    pub(super) fn of(&self, place: usize) -> std::ops::Range<usize> {
        let start = |place: usize| self.starts.get(place).map_or(0, |start| *start as usize);
        start(place)..start(place + 1)
    }
}
