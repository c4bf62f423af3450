//! Who has a value: a hash table of the values of one attribute. Equality with it needs no scan.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use super::resource::{Resource, Value};
use super::text::Case;
use super::{AttributeId, AttributeType, ResourceType};

/// The values of one attribute. Each is an entry; those that are equal are a chain in the order of the list.
#[derive(Debug)]
pub(super) struct Index {
    values: Values,
    /// The first entry of each chain.
    firsts: HashTable<u32>,
    /// For each entry the next one in its chain; [`LAST`] if there is none.
    next: Box<[u32]>,
    hasher: RandomState,
}

const LAST: u32 = u32::MAX;

/// Where the values are.
#[derive(Debug)]
struct Values {
    id: AttributeId,
    is_boolean: bool,
    case: Case,
    /// For each entry the resource, and the place in it; none where everybody has at most one, which has the number of
    /// the resource.
    entries: Option<Box<[(u32, u32)]>>,
}

impl Index {
    pub(super) fn new(kind: &ResourceType, id: AttributeId, all: &[Arc<Resource>]) -> Self {
        let (hasher, attribute, way) = (RandomState::new(), kind.get(id), kind.way(id));
        let is_boolean = attribute.kind == AttributeType::Boolean;
        let mut values = Values { id, is_boolean, case: Case::of(attribute.case_exact), entries: None };
        let hash = |values: &Values, value| values.text(value).map(|text| values.hash(&hasher, &text));
        let hashes: Result<Vec<_>, _> = if kind.holder(id).is_some() {
            Err(super::resource::Several)
        } else {
            all.iter().map(|it| Ok(it.single_on(&way)?.and_then(|value| hash(&values, value)))).collect()
        };
        let hashes = hashes.unwrap_or_else(|_| {
            let (mut entries, mut hashes) = (Vec::new(), Vec::new());
            for (place, resource) in all.iter().enumerate() {
                each(resource.value(), &way, &mut |value| {
                    entries.push((narrow(place), value.place()));
                    hashes.push(hash(&values, value));
                });
            }
            values.entries = Some(entries.into());
            hashes
        });
        let (firsts, next) = chained(&values, &hashes, all);
        Self { values, firsts, next, hasher }
    }

    pub(super) fn attribute(&self) -> AttributeId {
        self.values.id
    }

    /// The first resource that has this value.
    pub(super) fn first(&self, all: &[Arc<Resource>], value: &str) -> Option<u32> {
        self.values.resource(self.first_entry(all, value)?)
    }

    /// The places of those that have this value, in the list's order; none if there are more than `most`.
    pub(super) fn places(&self, all: &[Arc<Resource>], value: &str, most: usize) -> Option<Vec<u32>> {
        let next = |entry: &u32| self.next.get(*entry as usize).copied().filter(|next| *next != LAST);
        let entries = std::iter::successors(self.first_entry(all, value), next);
        let mut places: Vec<u32> = entries.take(most + 1).filter_map(|entry| self.values.resource(entry)).collect();
        let is_complete = places.len() <= most;
        places.dedup();
        is_complete.then_some(places)
    }

    fn first_entry(&self, all: &[Arc<Resource>], value: &str) -> Option<u32> {
        let hash = self.values.hash(&self.hasher, value);
        self.firsts.find(hash, |entry| self.values.is_equal(all, *entry, value)).copied()
    }
}

/// From the last entry to the first, so that each comes before those that are in its chain already.
fn chained(values: &Values, hashes: &[Option<u64>], all: &[Arc<Resource>]) -> (HashTable<u32>, Box<[u32]>) {
    let hash = |entry: &u32| hashes.get(*entry as usize).copied().flatten();
    let mut firsts = HashTable::new();
    let mut next = vec![LAST; hashes.len()];
    for entry in (0..narrow(hashes.len())).rev() {
        let Some(own) = hash(&entry) else { continue };
        let text = values.value(all, entry).unwrap_or_default();
        let is_same = |other: &u32| hash(other) == Some(own) && values.is_equal(all, *other, &text);
        if let Some(first) = firsts.find_mut(own, is_same) {
            if let Some(next) = next.get_mut(entry as usize) {
                *next = *first;
            }
            *first = entry;
        } else {
            firsts.insert_unique(own, entry, |entry| hash(entry).unwrap_or_default());
        }
    }
    firsts.shrink_to_fit(|entry| hash(entry).unwrap_or_default());
    (firsts, next.into())
}

impl Values {
    /// What a value is looked for by; what can equal nothing is not.
    fn text<'a>(&self, value: Value<'a>) -> Option<Cow<'a, str>> {
        if self.is_boolean { value.boolean().map(|_| Cow::Borrowed(value.json())) } else { value.text() }
    }

    fn hash(&self, hasher: &RandomState, text: &str) -> u64 {
        let mut hasher = hasher.build_hasher();
        self.case.fold_into(text, |part| hasher.write(part));
        hasher.finish()
    }

    fn is_equal(&self, all: &[Arc<Resource>], entry: u32, text: &str) -> bool {
        self.value(all, entry).is_some_and(|value| self.case.compare(&value, text).is_eq())
    }

    fn value<'a>(&self, all: &'a [Arc<Resource>], entry: u32) -> Option<Cow<'a, str>> {
        let resource = all.get(self.resource(entry)? as usize)?;
        let value = match &self.entries {
            Some(entries) => resource.at(entries.get(entry as usize)?.1),
            None => resource.single(self.id)?,
        };
        self.text(value)
    }

    fn resource(&self, entry: u32) -> Option<u32> {
        match &self.entries {
            Some(entries) => entries.get(entry as usize).map(|(resource, _)| *resource),
            None => Some(entry),
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
