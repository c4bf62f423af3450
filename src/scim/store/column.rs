//! The values of an attribute for all resources side by side. A filter tests each distinct value once,
//! and then only looks up who has which: it does not go through the resources themselves.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde_json::Number;

use crate::scim::resource::{Content, Resource, Value};
use crate::scim::store::bit_set::Bits;
use crate::scim::store::case_fold::Case;
use crate::scim::store::on_demand::Prepared;
use crate::scim::{AttributeId, ResourceType};

/// The columns of those attributes that somebody has filtered by.
#[derive(Debug)]
pub(in crate::scim) struct Columns {
    /// For each attribute, once somebody has filtered by it; none where somebody has it in an unusual shape, which only
    /// the resource tells.
    columns: Box<[Prepared<Option<Column>>]>,
    elements: Box<[Prepared<Option<Elements>>]>,
}

/// The values of an attribute that everybody has at most once, or of one within the elements of another.
#[derive(Debug)]
pub(in crate::scim) struct Column {
    codes: Codes,
    /// In the case that counts.
    texts: Box<str>,
    /// For each value where its text ends; it begins where the one before ends.
    ends: Box<[u32]>,
    /// For each value what it is; empty if all are texts.
    kinds: Box<[Kind]>,
}

/// For each resource or element the number of its value, in as few bytes as these take. The largest number is of who
/// has none.
#[derive(Debug)]
enum Codes {
    Byte(Box<[u8]>),
    Short(Box<[u16]>),
    Long(Box<[u32]>),
}

/// Where the elements of a multi-valued attribute are: those of a resource come one after the other.
#[derive(Debug)]
pub(in crate::scim) struct Elements {
    /// For each resource the number of its first element, and at last the number of elements.
    starts: Box<[u32]>,
}

/// The code of who has no value, before codes are made short.
const ABSENT: u32 = u32::MAX;

#[derive(Debug, Clone)]
enum Kind {
    Text,
    Boolean(bool),
    Number(Number),
    DateTime(Timestamp),
    Nested,
}

impl Columns {
    /// Those of a type, of which nobody has filtered by any.
    pub(in crate::scim) fn new(kind: &ResourceType) -> Self {
        Self {
            columns: kind.ids().map(|_| Prepared::new()).collect(),
            elements: kind.ids().map(|_| Prepared::new()).collect(),
        }
    }

    /// The column of an attribute of these resources, which must always be the same ones.
    pub(in crate::scim) fn column(
        &self,
        kind: &ResourceType,
        all: &[Arc<Resource>],
        id: AttributeId,
    ) -> Option<&Column> {
        let column = self.columns.get(usize::from(id.0))?;
        column.get(|| self.make_column(kind, all, id)).as_ref()
    }

    fn make_column(&self, kind: &ResourceType, all: &[Arc<Resource>], id: AttributeId) -> Option<Column> {
        match kind.holder(id) {
            None => Column::of_resources(kind, id, all),
            Some(holder) => Column::of_elements(kind, id, holder, self.elements(kind, all, holder)?, all),
        }
    }

    /// Makes the columns that queries needed of `earlier` resources of the same type.
    pub(in crate::scim) fn prepare_like(&self, earlier: &Self, kind: &ResourceType, all: &[Arc<Resource>]) {
        for ((id, column), earlier) in kind.ids().zip(&self.columns).zip(&earlier.columns) {
            column.prepare_like(earlier, || self.make_column(kind, all, id));
        }
    }

    /// Where the elements of this attribute are; none if it is not multi-valued.
    pub(in crate::scim) fn elements(
        &self,
        kind: &ResourceType,
        all: &[Arc<Resource>],
        id: AttributeId,
    ) -> Option<&Elements> {
        let cell = self.elements.get(usize::from(id.0))?;
        cell.get(|| Elements::new(kind, id, all)).as_ref()
    }

    /// The attributes that somebody has filtered by.
    #[cfg(test)]
    pub(in crate::scim) fn used<'a>(&'a self, kind: &'a ResourceType) -> impl Iterator<Item = AttributeId> {
        kind.ids().zip(&self.columns).filter(|(_, cell)| cell.is_there()).map(|(id, _)| id)
    }
}

impl Column {
    /// The column of an attribute that is not within the elements of another.
    fn of_resources(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Option<Self> {
        let way = kind.way(id);
        let mut builder = Builder::new(Case::of(kind.get(id).case_exact));
        for resource in all {
            builder.note(resource.single_on(&way).ok()?);
        }
        Some(builder.finish())
    }

    /// The column of an attribute of elements, or of the elements themselves.
    fn of_elements(
        kind: &ResourceType,
        id: AttributeId,
        holder: AttributeId,
        elements: &Elements,
        all: &[Arc<Resource>],
    ) -> Option<Self> {
        let way = kind.way(id);
        let within = way.get(kind.way(holder).len()..).unwrap_or_default();
        // Elements of elements are not told apart.
        if within.iter().any(|id| kind.get(*id).multi_valued) {
            return None;
        }
        let mut builder = Builder::new(Case::of(kind.get(id).case_exact));
        builder.codes.reserve(elements.count());
        for element in all.iter().filter_map(|resource| resource.single(holder)).flat_map(Value::parts) {
            let mut value = Some(element);
            for id in within {
                value = value.and_then(|value| value.get(*id));
                if value.is_some_and(Value::is_array) {
                    return None;
                }
            }
            builder.note(value);
        }
        Some(builder.finish())
    }

    /// The resources or elements whose value has one of these codes; with those without a value if `absent`.
    pub(in crate::scim) fn having(&self, values: &Bits, absent: bool) -> Bits {
        let holds = |code: usize| values.get(code).unwrap_or(absent);
        match &self.codes {
            Codes::Byte(codes) => codes.iter().map(|code| holds(usize::from(*code))).collect(),
            Codes::Short(codes) => codes.iter().map(|code| holds(usize::from(*code))).collect(),
            Codes::Long(codes) => codes.iter().map(|code| holds(*code as usize)).collect(),
        }
    }

    /// How many values there are, each counted once.
    pub(in crate::scim) fn count(&self) -> usize {
        self.ends.len()
    }

    /// How many resources or elements there are, with a value or without.
    pub(in crate::scim) fn len(&self) -> usize {
        match &self.codes {
            Codes::Byte(codes) => codes.len(),
            Codes::Short(codes) => codes.len(),
            Codes::Long(codes) => codes.len(),
        }
    }

    /// The codes of the values that contain a text, if all values are texts. The text is searched as a whole,
    /// which is much faster than one value after the other.
    pub(in crate::scim) fn containing(&self, part: &str) -> Option<Bits> {
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
    pub(in crate::scim) fn values(&self) -> impl Iterator<Item = Content<'_>> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(code, end)| {
            let text = self.texts.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            match self.kinds.get(code) {
                None | Some(Kind::Text) => Content::Text(Cow::Borrowed(text)),
                Some(Kind::Boolean(value)) => Content::Boolean(*value),
                Some(Kind::Number(number)) => Content::Number(number.clone()),
                Some(Kind::DateTime(moment)) => Content::DateTime(*moment, text),
                Some(Kind::Nested) => Content::Nested,
            }
        })
    }
}

impl Elements {
    /// None where there is something else than elements.
    fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Option<Self> {
        let way = kind.way(id);
        let (last, above) = way.split_last().filter(|_| kind.get(id).multi_valued)?;
        let mut starts = Vec::with_capacity(all.len() + 1);
        let mut count = 0;
        starts.push(count);
        for resource in all {
            resource.single_on(above).ok()?;
            if let Some(array) = resource.single(*last) {
                if !array.is_array() || array.parts().any(Value::is_array) {
                    return None;
                }
                count += narrow(array.parts().count());
            }
            starts.push(count);
        }
        Some(Self { starts: starts.into() })
    }

    /// How many elements there are.
    pub(in crate::scim) fn count(&self) -> usize {
        self.starts.last().map_or(0, |count| *count as usize)
    }

    /// How many resources there are, with elements or without.
    pub(in crate::scim) fn holder_count(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The resources that have one of these elements.
    pub(in crate::scim) fn holders(&self, elements: &Bits) -> Bits {
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

/// A column that is being made, value by value.
struct Builder<'a> {
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

impl<'a> Builder<'a> {
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

    /// Notes what the next resource or element has.
    fn note(&mut self, value: Option<Value<'a>>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return self.codes.push(ABSENT) };
        // Who has something nested has something: it makes no difference what.
        let key = if value.is_object() { "{}" } else { value.json() };
        let known = match self.last {
            Some((last, number)) if last == key => Some(number),
            _ if self.values_repeat() => self.numbers.get(key).copied(),
            _ => None,
        };
        let number = known.unwrap_or_else(|| self.add(key, value));
        self.last = Some((key, number));
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
                self.texts.push_str(&self.case.fold(&text));
                Kind::Text
            }
            Content::DateTime(moment, text) => {
                self.texts.push_str(&self.case.fold(text));
                Kind::DateTime(moment)
            }
            Content::Boolean(value) => Kind::Boolean(value),
            Content::Number(number) => Kind::Number(number),
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

    fn finish(self) -> Column {
        let Self { codes, texts, ends, kinds, .. } = self;
        Column { codes: Codes::new(&codes, ends.len()), texts: texts.into(), ends: ends.into(), kinds: kinds.into() }
    }
}

impl Codes {
    /// The same codes, which are below `count` or [`ABSENT`].
    fn new(codes: &[u32], count: usize) -> Self {
        if count <= usize::from(u8::MAX) {
            Self::Byte(codes.iter().map(|code| u8::try_from(*code).unwrap_or(u8::MAX)).collect())
        } else if count <= usize::from(u16::MAX) {
            Self::Short(codes.iter().map(|code| u16::try_from(*code).unwrap_or(u16::MAX)).collect())
        } else {
            Self::Long(codes.into())
        }
    }
}

/// No directory comes near the limit.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
