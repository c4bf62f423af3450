//! All resources of one type in their one order, with what makes finding and sorting fast.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use super::column::Columns;
use super::resource::{Resource, Value};
use super::text::Case;
use super::{AttributeId, AttributeType, ResourceType, number};

/// Attributes by which one resource is looked for. Equality with one of them needs no scan.
const INDEXED: [&str; 4] = ["id", "userName", "externalId", "emails.value"];

/// Resources of one type.
#[derive(Debug)]
pub struct Resources {
    kind: Arc<ResourceType>,
    all: Vec<Arc<Resource>>,
    indexes: Vec<Index>,
    /// For each attribute, once somebody has sorted by it.
    orders: Box<[OnceLock<Order>]>,
    columns: Columns,
}

/// The values of one attribute in their order: who has them, and where in that resource.
#[derive(Debug)]
struct Index {
    id: AttributeId,
    case: Case,
    entries: Box<[(u32, u32)]>,
}

/// The order by one attribute.
#[derive(Debug)]
pub(super) struct Order {
    /// The places of the resources, ascending; equal ones in the list's own order, those without a value
    /// last (RFC 7644 §3.4.2.3).
    pub(super) ascending: Box<[u32]>,
    /// For each place the same number as for all places with an equal value, larger for larger values.
    pub(super) ranks: Box<[u32]>,
}

impl Resources {
    /// These resources, all of the type `kind`, in the order in which they are listed.
    #[must_use]
    pub fn new(kind: &Arc<ResourceType>, all: Vec<Arc<Resource>>) -> Self {
        let indexed = INDEXED.iter().filter_map(|path| kind.attribute(path));
        let indexes = indexed.map(|id| Index::new(kind, id, &all)).collect();
        let orders = kind.ids().map(|_| OnceLock::new()).collect();
        Self { kind: Arc::clone(kind), indexes, columns: Columns::new(kind, &all), all, orders }
    }

    /// Works out beforehand the orders that clients made `earlier` work out, so that they need not wait again. Those of another
    /// type mean nothing here.
    pub fn prepare_like(&self, earlier: &Self) {
        if !Arc::ptr_eq(&self.kind, &earlier.kind) {
            return;
        }
        for (id, order) in self.kind.ids().zip(&earlier.orders) {
            if order.get().is_some() {
                self.order(id);
            }
        }
    }

    /// Their type.
    #[must_use]
    pub fn resource_type(&self) -> &Arc<ResourceType> {
        &self.kind
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Arc<Resource>] {
        &self.all
    }

    /// The one with this `id`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<Resource>> {
        let index = self.kind.attribute("id").and_then(|attribute| self.index(attribute))?;
        self.all.get(*index.places(&self.all, id).first()? as usize)
    }

    pub(super) fn is_indexed(&self, id: AttributeId) -> bool {
        self.index(id).is_some()
    }

    /// The places of those that have this value, in the list's order; none if there is no index.
    pub(super) fn with(&self, id: AttributeId, value: &str) -> Option<Vec<u32>> {
        Some(self.index(id)?.places(&self.all, value))
    }

    fn index(&self, id: AttributeId) -> Option<&Index> {
        self.indexes.iter().find(|index| index.id == id)
    }

    /// The values of everybody.
    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The order by this attribute, which must have values.
    pub(super) fn order(&self, id: AttributeId) -> Option<&Order> {
        let cell = self.orders.get(usize::from(id.0))?;
        Some(cell.get_or_init(|| Order::new(&self.kind, id, &self.all)))
    }
}

impl Index {
    fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Self {
        let (way, case) = (kind.way(id), Case::of(kind.get(id).case_exact));
        let mut entries: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (place, resource) in all.iter().enumerate() {
            each(resource.value(), &way, &mut |value| entries.push((narrow(place), value.place())));
        }
        let text = |&(place, value): &(u32, u32)| text_at(all, place, value);
        entries.sort_by(|one, other| case.compare(text(one), text(other)).then(one.cmp(other)));
        Self { id, case, entries: entries.into() }
    }

    fn places(&self, all: &[Arc<Resource>], value: &str) -> Vec<u32> {
        let order = |&(place, at): &(u32, u32)| self.case.compare(text_at(all, place, at), value);
        let start = self.entries.partition_point(|entry| order(entry).is_lt());
        let found = self.entries.get(start..).unwrap_or_default().iter().take_while(|entry| order(entry).is_eq());
        let mut places: Vec<u32> = found.map(|(place, _)| *place).collect();
        places.dedup();
        places
    }
}

fn text_at(all: &[Arc<Resource>], place: u32, value: u32) -> &str {
    all.get(place as usize).and_then(|resource| resource.at(value).text()).unwrap_or_default()
}

impl Order {
    fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Self {
        let sorting = Sorting::new(kind, id);
        let mut keyed: Vec<(Option<Value<'_>>, u32)> =
            all.iter().enumerate().map(|(place, resource)| (sorting.key(resource), narrow(place))).collect();
        keyed.sort_by(|(one, _), (other, _)| sorting.compare(*one, *other));
        let mut ranks = vec![0; all.len()];
        let mut rank = 0;
        let mut earlier = None;
        for (key, place) in &keyed {
            if earlier.is_some_and(|earlier| sorting.compare(earlier, *key).is_ne()) {
                rank += 1;
            }
            earlier = Some(*key);
            if let Some(slot) = ranks.get_mut(*place as usize) {
                *slot = rank;
            }
        }
        Self { ascending: keyed.into_iter().map(|(_, place)| place).collect(), ranks: ranks.into() }
    }
}

/// How resources are ordered by one attribute.
pub(super) struct Sorting {
    way: Box<[AttributeId]>,
    kind: AttributeType,
    case: Case,
    /// Of the elements on the way, the one where this is true comes first.
    primary: Option<AttributeId>,
}

impl Sorting {
    pub(super) fn new(kind: &ResourceType, id: AttributeId) -> Self {
        let attribute = kind.get(id);
        let primary = attribute.parent.and_then(|parent| kind.sub_attribute(parent, "primary"));
        Self { way: kind.way(id), kind: attribute.kind, case: Case::of(attribute.case_exact), primary }
    }

    /// The value that counts: "the primary … or else the first value in the list" (RFC 7644 §3.4.2.3).
    pub(super) fn key<'a>(&self, resource: &'a Resource) -> Option<Value<'a>> {
        let mut value = resource.value();
        for id in &self.way {
            value = self.element(value)?.get(*id)?;
        }
        self.element(value).filter(|value| !value.is_empty())
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

    /// Ascending: what has no value comes last.
    pub(super) fn compare(&self, one: Option<Value<'_>>, other: Option<Value<'_>>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) => self.compare_values(one, other),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
    }

    fn compare_values(&self, one: Value<'_>, other: Value<'_>) -> Ordering {
        let by_text = || self.case.compare(one.text().unwrap_or_default(), other.text().unwrap_or_default());
        match self.kind {
            AttributeType::Boolean => one.boolean().cmp(&other.boolean()),
            AttributeType::Decimal | AttributeType::Integer => match (one.number(), other.number()) {
                (Some(one), Some(other)) => number::compare(one, other).unwrap_or(Ordering::Equal),
                (one, other) => one.is_some().cmp(&other.is_some()),
            },
            AttributeType::DateTime => one.date_time().cmp(&other.date_time()).then_with(by_text),
            AttributeType::String | AttributeType::Reference | AttributeType::Complex => by_text(),
        }
    }
}

/// Calls `found` for every value on the way.
fn each<'a>(value: Value<'a>, way: &[AttributeId], found: &mut impl FnMut(Value<'a>)) {
    if value.is_array() {
        return value.parts().for_each(|element| each(element, way, found));
    }
    match way {
        [] => found(value),
        [first, rest @ ..] => {
            if let Some(value) = value.get(*first) {
                each(value, rest, found);
            }
        }
    }
}

/// No directory comes near the limit.
fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
