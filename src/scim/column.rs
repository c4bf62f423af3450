//! The values of each attribute for all resources side by side. A filter tests each distinct value once,
//! and then only looks up who has which: it does not go through the resources themselves.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde_json::Number;

use super::bits::Bits;
use super::resource::{Content, Resource, Value};
use super::text::Case;
use super::{AttributeId, ResourceType};

/// The columns of all attributes.
#[derive(Debug)]
pub(super) struct Columns {
    /// For each attribute; none where somebody has it in an unusual shape, which only the resource tells.
    columns: Box<[Option<Column>]>,
    elements: Box<[Option<Elements>]>,
}

/// The values of an attribute that everybody has at most once, or of one within the elements of another.
#[derive(Debug)]
pub(super) struct Column {
    /// For each resource or element the number of its value.
    codes: Box<[u32]>,
    /// In the case that counts.
    texts: Box<str>,
    /// For each value where its text ends; it begins where the one before ends.
    ends: Box<[u32]>,
    /// For each value what it is; empty if all are texts.
    kinds: Box<[Kind]>,
}

/// Where the elements of a multi-valued attribute are: those of a resource come one after the other.
#[derive(Debug)]
pub(super) struct Elements {
    /// For each resource the number of its first element, and at last the number of elements.
    starts: Box<[u32]>,
}

/// The code of who has no value.
pub(super) const ABSENT: u32 = u32::MAX;

#[derive(Debug, Clone)]
enum Kind {
    Text,
    Boolean(bool),
    Number(Number),
    DateTime(Timestamp),
    Nested,
}

impl Columns {
    /// The columns of these resources.
    pub(super) fn new(kind: &ResourceType, all: &[Arc<Resource>]) -> Self {
        let mut builder = Builder {
            kind,
            columns: kind.ids().map(|id| Some(ColumnBuilder::new(Case::of(kind.get(id).case_exact)))).collect(),
            elements: kind.ids().map(|id| kind.get(id).multi_valued.then(Vec::new)).collect(),
            counts: vec![0; kind.len()],
        };
        for (place, resource) in all.iter().enumerate() {
            builder.members(resource.value(), place);
        }
        let Builder { columns, elements, counts, .. } = builder;
        let elements: Box<[_]> = elements
            .into_iter()
            .zip(&counts)
            .map(|(starts, count)| {
                let mut starts = starts?;
                starts.resize(all.len() + 1, *count);
                Some(Elements { starts: starts.into() })
            })
            .collect();
        let length = |id: AttributeId| {
            let holder = kind.holder(id).and_then(|holder| counts.get(usize::from(holder.0)));
            holder.map_or(all.len(), |count| *count as usize)
        };
        let columns = kind.ids().zip(columns).map(|(id, column)| Some(column?.finish(length(id))));
        Self { columns: columns.collect(), elements }
    }

    pub(super) fn column(&self, id: AttributeId) -> Option<&Column> {
        self.columns.get(usize::from(id.0))?.as_ref()
    }

    /// Where the elements of this attribute are; none if it is not multi-valued.
    pub(super) fn elements(&self, id: AttributeId) -> Option<&Elements> {
        self.elements.get(usize::from(id.0))?.as_ref()
    }
}

impl Column {
    pub(super) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The codes of the values that contain a text, if all values are texts. The text is searched as a whole,
    /// which is much faster than one value after the other.
    pub(super) fn containing(&self, part: &str) -> Option<Bits> {
        if !self.kinds.is_empty() {
            return None;
        }
        if part.is_empty() {
            return Some(Bits::all(self.ends.len()));
        }
        let mut found = Bits::none(self.ends.len());
        let finder = Finder::new(part);
        let mut ends = self.ends.iter().map(|end| *end as usize).enumerate();
        let mut from = 0;
        while let Some(at) = finder.find(self.texts.as_bytes().get(from..).unwrap_or_default()) {
            let at = from + at;
            let Some((code, end)) = ends.find(|(_, end)| *end > at) else { break };
            if at + part.len() <= end {
                found.insert(code);
            }
            // What begins later in this value is beyond its end too.
            from = end;
        }
        Some(found)
    }

    /// The values, in the order of their codes; texts are in the case that counts.
    pub(super) fn values(&self) -> impl Iterator<Item = Content<'_>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(code, end)| {
            let text = self.texts.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            match self.kinds.get(code) {
                None | Some(Kind::Text) => Content::Text(text),
                Some(Kind::Boolean(value)) => Content::Boolean(*value),
                Some(Kind::Number(number)) => Content::Number(number),
                Some(Kind::DateTime(moment)) => Content::DateTime(*moment, text),
                Some(Kind::Nested) => Content::Nested,
            }
        })
    }
}

impl Elements {
    /// How many elements there are.
    pub(super) fn count(&self) -> usize {
        self.starts.last().map_or(0, |count| *count as usize)
    }

    /// How many resources there are, with elements or without.
    pub(super) fn holder_count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The resources that have one of these elements.
    pub(super) fn holders(&self, elements: &Bits) -> Bits {
        let mut found = Bits::none(self.holder_count());
        let mut ends = self.starts.iter().skip(1).map(|end| *end as usize).enumerate().peekable();
        for element in elements.numbers() {
            while ends.next_if(|(_, end)| *end <= element).is_some() {}
            if let Some((place, _)) = ends.peek() {
                found.insert(*place);
            }
        }
        found
    }
}

/// Goes through every resource once, and notes each of its values in its column.
struct Builder<'a> {
    kind: &'a ResourceType,
    /// None where there is no column, or can be none any more.
    columns: Vec<Option<ColumnBuilder<'a>>>,
    elements: Vec<Option<Vec<u32>>>,
    /// For each attribute how many elements were seen.
    counts: Vec<u32>,
}

impl<'a> Builder<'a> {
    /// Notes the members of an object, which is the resource or element number `at`.
    fn members(&mut self, object: Value<'a>, at: usize) {
        for member in object.parts() {
            let id = member.attribute();
            if self.kind.get(id).multi_valued {
                self.array(member, at);
            } else {
                self.value(member, at);
            }
        }
    }

    fn value(&mut self, value: Value<'a>, at: usize) {
        let id = value.attribute();
        if value.is_array() {
            self.give_up(id);
            return;
        }
        if let Some(Some(column)) = self.columns.get_mut(usize::from(id.0))
            && !value.is_empty()
        {
            column.note(at, value);
        }
        if value.is_object() {
            self.members(value, at);
        }
    }

    /// No column can tell of this attribute, nor of what is in it.
    fn give_up(&mut self, id: AttributeId) {
        if let Some(slot) = self.columns.get_mut(usize::from(id.0)) {
            *slot = None;
        }
        let kind = self.kind;
        kind.get(id).sub_attributes.iter().for_each(|id| self.give_up(*id));
    }

    fn array(&mut self, array: Value<'a>, at: usize) {
        let place = usize::from(array.attribute().0);
        let (Some(slot), Some(count)) = (self.elements.get_mut(place), self.counts.get_mut(place)) else { return };
        let Some(starts) = slot else { return };
        if !array.is_array() {
            *slot = None;
            return;
        }
        let first = *count as usize;
        starts.resize(at, *count);
        starts.push(*count);
        let mut elements = 0;
        for (offset, element) in array.parts().enumerate() {
            elements += 1;
            self.value(element, first + offset);
            if element.is_array()
                && let Some(slot) = self.elements.get_mut(place)
            {
                *slot = None;
            }
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count += elements;
        }
    }
}

struct ColumnBuilder<'a> {
    case: Case,
    codes: Vec<u32>,
    texts: String,
    ends: Vec<u32>,
    kinds: Vec<Kind>,
    numbers: HashMap<&'a str, u32>,
    /// The value that was noted last, and its number: many are the same as the one before.
    last: Option<(&'a str, u32)>,
}

/// After so many values it shows whether they repeat.
const SAMPLE: usize = 4096;

impl<'a> ColumnBuilder<'a> {
    fn new(case: Case) -> Self {
        Self {
            case,
            codes: Vec::new(),
            texts: String::new(),
            ends: Vec::new(),
            kinds: Vec::new(),
            numbers: HashMap::new(),
            last: None,
        }
    }

    fn note(&mut self, at: usize, value: Value<'a>) {
        if self.codes.len() > at {
            // There twice: the first one counts.
            return;
        }
        // Who has something nested has something: it makes no difference what.
        let key = if value.is_object() { "{}" } else { value.json() };
        let known = match self.last {
            Some((last, number)) if last == key => Some(number),
            _ if self.values_repeat() => self.numbers.get(key).copied(),
            _ => None,
        };
        let number = known.unwrap_or_else(|| self.add(key, value));
        self.last = Some((key, number));
        self.codes.resize(at, ABSENT);
        self.codes.push(number);
    }

    /// Whether it is worth the while to look for a value among those before.
    fn values_repeat(&self) -> bool {
        self.ends.len() < SAMPLE || self.ends.len() < self.codes.len() / 2
    }

    fn add(&mut self, key: &'a str, value: Value<'a>) -> u32 {
        let number = narrow(self.ends.len());
        let kind = match value.content() {
            Content::Text(text) => {
                self.texts.push_str(&self.case.fold(text));
                Kind::Text
            }
            Content::DateTime(moment, text) => {
                self.texts.push_str(&self.case.fold(text));
                Kind::DateTime(moment)
            }
            Content::Boolean(value) => Kind::Boolean(value),
            Content::Number(number) => Kind::Number(number.clone()),
            Content::Nested => Kind::Nested,
        };
        if !matches!(kind, Kind::Text) || !self.kinds.is_empty() {
            self.kinds.resize(self.ends.len(), Kind::Text);
            self.kinds.push(kind);
        }
        self.ends.push(narrow(self.texts.len()));
        if self.values_repeat() {
            self.numbers.insert(key, number);
        }
        number
    }

    fn finish(self, length: usize) -> Column {
        let Self { mut codes, texts, ends, kinds, .. } = self;
        codes.resize(length, ABSENT);
        Column { codes: codes.into(), texts: texts.into(), ends: ends.into(), kinds: kinds.into() }
    }
}

/// No directory comes near the limit.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
