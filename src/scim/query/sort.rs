//! Sorting (RFC 7644 §3.4.2.3): how resources are ordered by one attribute, and the order of a whole set.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Number;

use crate::scim::resource::number;
use crate::scim::resource::{Resource, Value};
use crate::scim::store::case_fold::Case;
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// The order by one attribute.
#[derive(Debug)]
pub(in crate::scim) struct Order {
    /// The places of the resources, ascending; equal ones in the list's own order, those without a value
    /// last (RFC 7644 §3.4.2.3).
    pub(in crate::scim) ascending: Box<[u32]>,
    /// For each place the same number as for all places with an equal value, larger for larger values.
    pub(in crate::scim) ranks: Box<[u32]>,
}

impl Order {
    pub(in crate::scim) fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Self {
        let sorting = Sorting::new(kind, id);
        let numbered = (0..).zip(all);
        let mut keyed: Vec<(Option<Key<'_>>, u32)> =
            numbered.map(|(place, resource)| (sorting.key(resource), place)).collect();
        keyed.sort_by(|(one, _), (other, _)| compare(one.as_ref(), other.as_ref()));
        let mut ranks = vec![0; all.len()];
        let mut rank = 0;
        let mut earlier: Option<&Option<Key<'_>>> = None;
        for (key, place) in &keyed {
            if earlier.is_some_and(|earlier| compare(earlier.as_ref(), key.as_ref()).is_ne()) {
                rank += 1;
            }
            earlier = Some(key);
            if let Some(slot) = ranks.get_mut(*place as usize) {
                *slot = rank;
            }
        }
        Self { ascending: keyed.iter().map(|(_, place)| *place).collect(), ranks: ranks.into() }
    }
}

/// How resources are ordered by one attribute.
pub(in crate::scim) struct Sorting {
    way: Box<[AttributeId]>,
    kind: AttributeType,
    case: Case,
    /// Of the elements on the way, the one where this is true comes first.
    primary: Option<AttributeId>,
}

/// What a resource is sorted by.
pub(in crate::scim) enum Key<'a> {
    /// In the case that counts.
    Text(Cow<'a, str>),
    Boolean(Option<bool>),
    Number(Option<Number>),
    DateTime(Option<Timestamp>, Cow<'a, str>),
}

impl Sorting {
    pub(in crate::scim) fn new(kind: &ResourceType, id: AttributeId) -> Self {
        let attribute = kind.get(id);
        let primary = attribute.parent.and_then(|parent| kind.sub_attribute(parent, "primary"));
        Self { way: kind.way(id), kind: attribute.kind, case: Case::of(attribute.case_exact), primary }
    }

    /// By the value that counts: "the primary … or else the first value in the list" (RFC 7644 §3.4.2.3).
    pub(in crate::scim) fn key<'a>(&self, resource: &'a Resource) -> Option<Key<'a>> {
        let mut value = resource.value();
        for id in &self.way {
            value = self.element(value)?.get(*id)?;
        }
        let value = self.element(value).filter(|value| !value.is_empty())?;
        let text = || match value.text().unwrap_or_default() {
            Cow::Borrowed(text) => self.case.fold(text),
            Cow::Owned(text) => Cow::Owned(self.case.fold(&text).into_owned()),
        };
        Some(match self.kind {
            AttributeType::Boolean => Key::Boolean(value.boolean()),
            AttributeType::Decimal | AttributeType::Integer => Key::Number(value.number()),
            AttributeType::DateTime => Key::DateTime(value.date_time(), text()),
            AttributeType::String | AttributeType::Reference | AttributeType::Complex => Key::Text(text()),
        })
    }

    fn element<'a>(&self, value: Value<'a>) -> Option<Value<'a>> {
        if !value.is_array() {
            return Some(value);
        }
        let primary = |element: &Value<'_>| {
            self.primary.and_then(|id| element.get(id)).and_then(Value::boolean).unwrap_or_default()
        };
        value.parts().find(primary).or_else(|| value.parts().next())
    }
}

/// Ascending: what has no value comes last.
pub(in crate::scim) fn compare(one: Option<&Key<'_>>, other: Option<&Key<'_>>) -> Ordering {
    match (one, other) {
        (Some(one), Some(other)) => one.compare(other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

impl Key<'_> {
    /// Both are of attributes of the same type.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (Self::Boolean(one), Self::Boolean(other)) => one.cmp(other),
            (Self::Number(Some(one)), Self::Number(Some(other))) => {
                number::compare(one, other).unwrap_or(Ordering::Equal)
            }
            (Self::Number(one), Self::Number(other)) => one.is_some().cmp(&other.is_some()),
            (Self::DateTime(one, text), Self::DateTime(other, other_text)) => {
                one.cmp(other).then_with(|| text.cmp(other_text))
            }
            (Self::Text(_) | Self::Boolean(_) | Self::Number(_) | Self::DateTime(..), _) => Ordering::Equal,
        }
    }
}
