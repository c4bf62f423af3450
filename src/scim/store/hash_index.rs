//! Who has a value: a hash table of the values of one attribute. Equality with it needs no scan.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::scim::resource::{Resource, Several, Value};
use crate::scim::store::case_fold::Case;
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// The values of one attribute. Each is an entry; those that are equal are a chain in the order of the list.
#[derive(Debug)]
pub(in crate::scim) struct Index {
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
    /// For each entry the resource, and the place in it; none where everybody has at most one: then the last resource is
    /// the first entry, and so on.
    entries: Option<Vec<(u32, u32)>>,
}

impl Index {
    /// The indexes of these attributes. They are made in one go: it takes longest to get hold of each resource.
    pub(in crate::scim) fn all(
        kind: &ResourceType,
        ids: impl Iterator<Item = AttributeId>,
        all: &[Arc<Resource>],
    ) -> Vec<Self> {
        let mut builders: Vec<_> = ids.map(|id| Builder::new(kind, id, all)).collect();
        for place in (0..all.len()).rev() {
            builders.iter_mut().for_each(|builder| builder.add(place));
        }
        builders.into_iter().map(Builder::finish).collect()
    }

    pub(in crate::scim) fn attribute(&self) -> AttributeId {
        self.values.id
    }

    /// The first resource that has this value.
    pub(in crate::scim) fn first(&self, all: &[Arc<Resource>], value: &str) -> Option<u32> {
        self.values.resource(all, self.first_entry(all, value)?)
    }

    /// The places of those that have this value, in the list's order; none if there are more than `most`.
    pub(in crate::scim) fn places(&self, all: &[Arc<Resource>], value: &str, most: usize) -> Option<Vec<u32>> {
        let next = |entry: &u32| self.next.get(*entry as usize).copied().filter(|next| *next != LAST);
        let entries = std::iter::successors(self.first_entry(all, value), next);
        let mut places: Vec<u32> =
            entries.take(most + 1).filter_map(|entry| self.values.resource(all, entry)).collect();
        let is_complete = places.len() <= most;
        places.dedup();
        is_complete.then_some(places)
    }

    fn first_entry(&self, all: &[Arc<Resource>], value: &str) -> Option<u32> {
        let hash = self.values.hash(&self.hasher, value);
        self.firsts.find(hash, |entry| self.values.is_equal(all, *entry, value)).copied()
    }
}

/// An index that is being made, from the last resource to the first: each value comes before those that are in its chain
/// already.
struct Builder<'a> {
    all: &'a [Arc<Resource>],
    way: Box<[AttributeId]>,
    values: Values,
    firsts: HashTable<u32>,
    next: Vec<u32>,
    /// For each entry.
    hashes: Vec<u64>,
    hasher: RandomState,
}

impl<'a> Builder<'a> {
    fn new(kind: &ResourceType, id: AttributeId, all: &'a [Arc<Resource>]) -> Self {
        let attribute = kind.get(id);
        let values = Values {
            id,
            is_boolean: attribute.kind == AttributeType::Boolean,
            case: Case::of(attribute.case_exact),
            entries: kind.holder(id).map(|_| Vec::new()),
        };
        let (next, hashes) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
        Self { all, way: kind.way(id), values, firsts: HashTable::new(), next, hashes, hasher: RandomState::new() }
    }

    /// Adds what the resource at this place has.
    fn add(&mut self, place: usize) {
        let Some(resource) = self.all.get(place) else { return };
        if self.values.entries.is_none() {
            match resource.single_on(&self.way) {
                Ok(value) => return self.push(value),
                Err(Several) => self.begin_with_entries(place),
            }
        }
        let mut values = Vec::new();
        each(resource.value(), &self.way, &mut |value| values.push(value));
        for value in values {
            self.values.entries.get_or_insert_default().push((narrow(place), value.place()));
            self.push(Some(value));
        }
    }

    /// Begins again, since the resource at this place has several values.
    fn begin_with_entries(&mut self, place: usize) {
        self.values.entries = Some(Vec::new());
        self.firsts.clear();
        self.next.clear();
        self.hashes.clear();
        (place + 1..self.all.len()).rev().for_each(|place| self.add(place));
    }

    /// Adds an entry to the chain of its value, if it can be equal to anything.
    fn push(&mut self, value: Option<Value<'_>>) {
        let Self { all, values, firsts, next, hashes, hasher, .. } = self;
        let entry = narrow(next.len());
        let Some(text) = value.and_then(|value| values.text(value)) else {
            next.push(LAST);
            return hashes.push(0);
        };
        let own = values.hash(hasher, &text);
        let hash = |entry: &u32| hashes.get(*entry as usize).copied().unwrap_or_default();
        if let Some(first) = firsts.find_mut(own, |it| hash(it) == own && values.is_equal(all, *it, &text)) {
            next.push(std::mem::replace(first, entry));
        } else {
            next.push(LAST);
            let hash = |it: &u32| if *it == entry { own } else { hash(it) };
            firsts.insert_unique(own, entry, hash);
        }
        hashes.push(own);
    }

    fn finish(self) -> Index {
        let Self { mut values, mut firsts, next, hashes, hasher, .. } = self;
        firsts.shrink_to_fit(|entry| hashes.get(*entry as usize).copied().unwrap_or_default());
        values.entries.as_mut().map(Vec::shrink_to_fit);
        Index { values, firsts, next: next.into(), hasher }
    }
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
        let resource = all.get(self.resource(all, entry)? as usize)?;
        let value = match &self.entries {
            Some(entries) => resource.at(entries.get(entry as usize)?.1),
            None => resource.single(self.id)?,
        };
        self.text(value)
    }

    fn resource(&self, all: &[Arc<Resource>], entry: u32) -> Option<u32> {
        match &self.entries {
            Some(entries) => entries.get(entry as usize).map(|(resource, _)| *resource),
            None => narrow(all.len()).checked_sub(entry + 1),
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use crate::scim::filter::{Condition, Filter, Limits, candidates, matches};
    use crate::scim::{Discovery, ENTERPRISE_USER, Locations, Resource, ResourceType, Resources};

    use super::*;

    static KIND: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
        discovery.compiled().unwrap().user
    });

    const TEXTS: [&str; 9] = ["a", "A", "ä", "Ä", "\u{212a}", "k", "\"quoted\"", "", "ΟΔΟΣ"];

    /// A value that an attribute has, seldom of another type or several.
    fn value() -> impl Strategy<Value = Json> {
        let text = prop::sample::select(TEXTS.to_vec()).prop_map(Json::from);
        let odd = prop::sample::select(vec![json!(null), json!(3), json!({}), json!(true), json!(["a", "ä"])]);
        let long = (60_usize..70).prop_map(|length| Json::from("Ä".repeat(length)));
        prop_oneof![20 => text, 1 => odd, 1 => long]
    }

    fn active() -> impl Strategy<Value = Json> {
        prop_oneof![9 => any::<bool>().prop_map(Json::from), 1 => value()]
    }

    fn user() -> impl Strategy<Value = Json> {
        let emails = prop::collection::vec(value().prop_map(|value| json!({"value": value})), 0..4);
        let one = (value(), value(), value(), active());
        (one, emails, value(), value(), value()).prop_map(|(one, emails, number, manager, department)| {
            let (id, name, external, active) = one;
            let manager = json!({"value": manager});
            json!({"id": id, "userName": name, "externalId": external, "active": active, "emails": emails,
                ENTERPRISE_USER: {"employeeNumber": number, "manager": manager, "department": department}})
        })
    }

    fn condition(text: &str) -> Condition {
        let filter = Filter::parse(text, Limits::default()).unwrap();
        Condition::new(&filter, text, &KIND, &[&KIND]).unwrap()
    }

    fn resources(users: &[Json]) -> Resources {
        Resources::new(&KIND, users.iter().map(|user| Arc::new(Resource::new(&KIND, user).unwrap())).collect())
    }

    /// The places of those for which the condition holds, by asking each.
    fn asked(condition: &Condition, resources: &Resources) -> Vec<u32> {
        let numbered = (0..).zip(resources.all());
        numbered.filter(|(_, resource)| condition.holds(resource.value())).map(|(place, _)| place).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn indexes_say_what_the_resources_say(users in prop::collection::vec(user(), 0..12)) {
            let resources = resources(&users);
            for text in TEXTS {
                let with_id = asked(&condition(&format!("id eq {}", Json::from(text))), &resources);
                let first = with_id.first().and_then(|place| resources.all().get(*place as usize));
                prop_assert!(text.is_empty() || resources.find(text).map(Arc::as_ptr) == first.map(Arc::as_ptr), "{}", text);
                let text = Json::from(text);
                let paths = ["id", "userName", "externalId", "emails.value", "emails"].map(str::to_owned);
                let extended = ["employeeNumber", "department", "manager.value"].map(|it| format!("{ENTERPRISE_USER}:{it}"));
                let tests = paths.iter().chain(&extended).map(|path| format!("{path} eq {text}"));
                for filter in tests.chain(["active eq true", "active eq false", "active eq \"FALSE\""].map(str::to_owned)) {
                    let condition = condition(&filter);
                    let few = candidates(&condition, &resources).unwrap();
                    prop_assert!(few.is_sorted());
                    prop_assert!(asked(&condition, &resources).iter().all(|place| few.contains(place)), "{}", filter);
                    let Ok(found) = matches(&condition, &resources, &|| Ok::<(), Infallible>(()));
                    prop_assert_eq!(found, asked(&condition, &resources), "{}", filter);
                }
            }
        }
    }

    #[test]
    fn what_many_have_is_left_to_the_columns() {
        let user = |number: usize| {
            let department = if number < 1000 { "Few" } else { "Many" };
            json!({"id": number.to_string(), "active": number.is_multiple_of(10), ENTERPRISE_USER: {"department": department}})
        };
        let resources = resources(&(0..10_000).map(user).collect::<Vec<_>>());
        let department = |name| format!("{ENTERPRISE_USER}:department eq \"{name}\"");
        for (text, expected) in [
            (department("few"), Some(1000)),
            (department("Many"), None),
            (department("Nobody"), Some(0)),
            ("active eq true".to_owned(), Some(1000)),
            ("active eq false".to_owned(), None),
            ("active ne true".to_owned(), None),
            (format!("active eq false and {}", department("few")), Some(1000)),
            ("active eq true and (active eq false or id eq \"30\") and id eq \"20\"".to_owned(), Some(1)),
            (format!("active eq true or {}", department("few")), Some(1900)),
            (format!("active eq true or {} or emails pr", department("few")), None),
        ] {
            let condition = condition(&text);
            assert_eq!(candidates(&condition, &resources).map(|it| it.len()), expected, "{text}");
            let Ok(found) = matches(&condition, &resources, &|| Ok::<(), Infallible>(()));
            assert_eq!(found, asked(&condition, &resources), "{text}");
        }
        let last = resources.find("9999").unwrap();
        assert!(Arc::ptr_eq(last, &resources.all()[9999]));
    }
}
