//! Hash index of one attribute: from a value to the resources that have it, so that an `eq` filter
//! does not read all resources.
//!
//! The index stores no values. Its hash table has entry numbers only, and reads the values of an
//! entry from its resource.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::scim::resource::{Resource, ResourceValue, Several, saturating_u32};
use crate::scim::store::case_fold::CaseSensitivity;
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// Index of one attribute. Each value of each resource is an entry; entries with equal values form
/// a chain in the order of the list.
#[derive(Debug)]
pub(in crate::scim) struct HashIndex {
    values: IndexedValues,
    /// First entry of each chain.
    firsts: HashTable<u32>,
    /// Entry after each entry in its chain, or [`END_OF_CHAIN`].
    next: Box<[u32]>,
    hasher: RandomState,
}

const END_OF_CHAIN: u32 = u32::MAX;

/// Entries of an index, and the way in which their values are read and compared.
#[derive(Debug)]
struct IndexedValues {
    id: AttributeId,
    is_boolean: bool,
    case: CaseSensitivity,
    /// Value of each entry. It is `None` if no resource has more than one value: then every
    /// resource has one entry, and the last resource has the first one.
    references: Option<Vec<ValueReference>>,
}

/// Reference to a value in a resource.
#[derive(Debug)]
struct ValueReference {
    /// Position of the resource in the list.
    position: u32,
    node_index: u32,
}

impl HashIndex {
    /// Builds the indexes of several attributes in one pass, because fetching each resource from
    /// memory takes the most time.
    pub(in crate::scim) fn build_all(
        resource_type: &ResourceType,
        ids: &[AttributeId],
        resources: &[Arc<Resource>],
    ) -> Vec<Self> {
        let mut builders = Vec::new();
        for id in ids {
            builders.push(HashIndexBuilder::new(resource_type, *id, resources));
        }
        for position in (0..resources.len()).rev() {
            for builder in &mut builders {
                builder.add(position);
            }
        }
        builders.into_iter().map(HashIndexBuilder::finish).collect()
    }

    pub(in crate::scim) fn attribute(&self) -> AttributeId {
        self.values.id
    }

    /// Reports whether `after` has the same entries in this index as `before`, in the same
    /// position. `path` leads to the attribute of the index.
    pub(in crate::scim) fn has_same_entries(
        &self,
        path: &[AttributeId],
        before: &Resource,
        after: &Resource,
    ) -> bool {
        if self.values.references.is_none() {
            let values = [before, after].map(|resource| resource.single_value_on_path(path));
            let [Ok(before), Ok(after)] = values else { return false };
            return self.values.is_same(before, after);
        }
        let [mut before_values, mut after_values] = [Vec::new(), Vec::new()];
        collect_values(before.value(), path, &mut before_values);
        collect_values(after.value(), path, &mut after_values);
        before_values.len() == after_values.len()
            && before_values.into_iter().zip(after_values).all(|(before, after)| {
                before.node_index() == after.node_index()
                    && self.values.is_same(Some(before), Some(after))
            })
    }

    /// Returns the position of the first resource that has this value.
    pub(in crate::scim) fn first(&self, resources: &[Arc<Resource>], value: &str) -> Option<u32> {
        self.values.position(resources, self.first_entry(resources, value)?)
    }

    /// Returns the positions of the resources that have this value, in ascending order. The result
    /// is `None` if more than `max` entries have it.
    pub(in crate::scim) fn positions(
        &self,
        resources: &[Arc<Resource>],
        value: &str,
        max: usize,
    ) -> Option<Vec<u32>> {
        let mut positions = Vec::new();
        let mut next_entry = self.first_entry(resources, value);
        while let Some(entry) = next_entry {
            if positions.len() == max {
                return None;
            }
            positions.extend(self.values.position(resources, entry));
            next_entry = match self.next.get(entry as usize) {
                Some(&END_OF_CHAIN) | None => None,
                Some(next) => Some(*next),
            };
        }
        // A resource that has the value twice has two entries.
        positions.dedup();
        Some(positions)
    }

    fn first_entry(&self, resources: &[Arc<Resource>], value: &str) -> Option<u32> {
        let hash = self.values.hash(&self.hasher, value);
        self.firsts.find(hash, |entry| self.values.is_equal(resources, *entry, value)).copied()
    }
}

/// Builder of an index, from the last resource to the first: each new entry becomes the first one
/// of its chain.
struct HashIndexBuilder<'a> {
    resources: &'a [Arc<Resource>],
    path: Box<[AttributeId]>,
    values: IndexedValues,
    firsts: HashTable<u32>,
    next: Vec<u32>,
    /// Hash of the value of each entry.
    hashes: Vec<u64>,
    hasher: RandomState,
}

impl<'a> HashIndexBuilder<'a> {
    fn new(resource_type: &ResourceType, id: AttributeId, resources: &'a [Arc<Resource>]) -> Self {
        let attribute = resource_type.get(id);
        let is_multi_valued = resource_type.enclosing_multi_valued(id).is_some();
        Self {
            resources,
            path: resource_type.path_ids(id),
            values: IndexedValues {
                id,
                is_boolean: attribute.attribute_type == AttributeType::Boolean,
                case: CaseSensitivity::from_case_exact(attribute.case_exact),
                references: if is_multi_valued { Some(Vec::new()) } else { None },
            },
            firsts: HashTable::new(),
            next: Vec::with_capacity(resources.len()),
            hashes: Vec::with_capacity(resources.len()),
            hasher: RandomState::new(),
        }
    }

    /// Adds the values of the resource at this position.
    fn add(&mut self, position: usize) {
        let Some(resource) = self.resources.get(position) else { return };
        if self.values.references.is_none() {
            match resource.single_value_on_path(&self.path) {
                Ok(value) => return self.push(value),
                Err(Several) => self.restart_with_references(position),
            }
        }
        let mut values = Vec::new();
        collect_values(resource.value(), &self.path, &mut values);
        let position = saturating_u32(position);
        for value in values {
            let reference = ValueReference { position, node_index: value.node_index() };
            self.values.references.get_or_insert_default().push(reference);
            self.push(Some(value));
        }
    }

    /// Restarts the build with references, because the resource at this position has several
    /// values.
    fn restart_with_references(&mut self, position: usize) {
        self.values.references = Some(Vec::new());
        self.firsts.clear();
        self.next.clear();
        self.hashes.clear();
        for later_position in (position + 1..self.resources.len()).rev() {
            self.add(later_position);
        }
    }

    /// Adds an entry to the chain of its value. An entry without a comparable value is in no chain.
    fn push(&mut self, value: Option<ResourceValue<'_>>) {
        let Self { resources, values, firsts, next, hashes, hasher, .. } = self;
        let entry = saturating_u32(next.len());
        let Some(text) = value.and_then(|value| values.text(value)) else {
            next.push(END_OF_CHAIN);
            return hashes.push(0);
        };
        let hash = values.hash(hasher, &text);
        hashes.push(hash);
        let first = firsts.find_mut(hash, |known| {
            let is_same_hash = entry_hash(hashes, *known) == hash;
            is_same_hash && values.is_equal(resources, *known, &text)
        });
        if let Some(first) = first {
            next.push(std::mem::replace(first, entry));
        } else {
            next.push(END_OF_CHAIN);
            firsts.insert_unique(hash, entry, |known| entry_hash(hashes, *known));
        }
    }

    fn finish(self) -> HashIndex {
        let Self { mut values, mut firsts, next, hashes, hasher, .. } = self;
        firsts.shrink_to_fit(|entry| entry_hash(&hashes, *entry));
        if let Some(references) = &mut values.references {
            references.shrink_to_fit();
        }
        HashIndex { values, firsts, next: next.into(), hasher }
    }
}

fn entry_hash(hashes: &[u64], entry: u32) -> u64 {
    hashes.get(entry as usize).copied().unwrap_or_default()
}

impl IndexedValues {
    /// Returns the text by which a value is found. A value that equals no literal has none.
    fn text<'a>(&self, value: ResourceValue<'a>) -> Option<Cow<'a, str>> {
        if !self.is_boolean {
            return value.text();
        }
        value.boolean()?;
        Some(Cow::Borrowed(value.json()))
    }

    /// Reports whether two values are found by the same text.
    fn is_same(&self, one: Option<ResourceValue<'_>>, other: Option<ResourceValue<'_>>) -> bool {
        let [one, other] = [one, other].map(|value| value.and_then(|value| self.text(value)));
        one == other
    }

    fn hash(&self, hasher: &RandomState, text: &str) -> u64 {
        let mut hasher = hasher.build_hasher();
        self.case.hash_folded(text, &mut hasher);
        hasher.finish()
    }

    fn is_equal(&self, resources: &[Arc<Resource>], entry: u32, text: &str) -> bool {
        match self.entry_text(resources, entry) {
            Some(entry_text) => self.case.compare(&entry_text, text).is_eq(),
            None => false,
        }
    }

    fn entry_text<'a>(&self, resources: &'a [Arc<Resource>], entry: u32) -> Option<Cow<'a, str>> {
        let resource = resources.get(self.position(resources, entry)? as usize)?;
        let value = match &self.references {
            Some(references) => resource.value_at(references.get(entry as usize)?.node_index),
            None => resource.single_value(self.id)?,
        };
        self.text(value)
    }

    /// Returns the position of the resource of an entry.
    fn position(&self, resources: &[Arc<Resource>], entry: u32) -> Option<u32> {
        match &self.references {
            Some(references) => Some(references.get(entry as usize)?.position),
            None => saturating_u32(resources.len()).checked_sub(entry + 1),
        }
    }
}

/// Adds every value at the end of the path to `found`.
fn collect_values<'a>(
    value: ResourceValue<'a>,
    path: &[AttributeId],
    found: &mut Vec<ResourceValue<'a>>,
) {
    if value.is_array() {
        for element in value.children() {
            collect_values(element, path, found);
        }
        return;
    }
    match path {
        [] => found.push(value),
        [first, rest @ ..] => {
            if let Some(member) = value.member(*first) {
                collect_values(member, rest, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use crate::scim::filter::{BoundFilter, Filter, FilterLimits, candidates, matches};
    use crate::scim::{
        Discovery, ENTERPRISE_USER_SCHEMA, Resource, ResourceSet, ResourceType, ResourceUrls,
    };

    use super::*;

    static USER_TYPE: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
        let discovery = Discovery::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]);
        discovery.unwrap().compile_types().unwrap().user
    });

    const TEXTS: [&str; 9] = ["a", "A", "ä", "Ä", "\u{212a}", "k", "\"quoted\"", "", "ΟΔΟΣ"];

    /// Value of an attribute: mostly a text, sometimes of another type, a list, or a long text.
    fn value() -> impl Strategy<Value = Json> {
        let text = prop::sample::select(TEXTS.to_vec()).prop_map(Json::from);
        let unusual = [json!(null), json!(3), json!({}), json!(true), json!(["a", "ä"])];
        let unusual = prop::sample::select(unusual.to_vec());
        let long = (60_usize..70).prop_map(|length| Json::from("Ä".repeat(length)));
        prop_oneof![20 => text, 1 => unusual, 1 => long]
    }

    fn active() -> impl Strategy<Value = Json> {
        prop_oneof![9 => any::<bool>().prop_map(Json::from), 1 => value()]
    }

    fn emails() -> impl Strategy<Value = Vec<Json>> {
        prop::collection::vec(value().prop_map(|value| json!({"value": value})), 0..4)
    }

    fn enterprise() -> impl Strategy<Value = Json> {
        (value(), value(), value()).prop_map(|(employee_number, manager, department)| {
            json!({
                "employeeNumber": employee_number,
                "manager": {"value": manager},
                "department": department,
            })
        })
    }

    fn user() -> impl Strategy<Value = Json> {
        let attributes = (value(), value(), value(), active(), emails(), enterprise());
        attributes.prop_map(|(id, user_name, external_id, active, emails, enterprise)| {
            json!({
                "id": id,
                "userName": user_name,
                "externalId": external_id,
                "active": active,
                "emails": emails,
                ENTERPRISE_USER_SCHEMA: enterprise,
            })
        })
    }

    fn bind(text: &str) -> BoundFilter {
        let filter = Filter::parse(text, FilterLimits::default()).unwrap();
        BoundFilter::new(&filter, text, &USER_TYPE, &[&USER_TYPE]).unwrap()
    }

    fn resources(users: &[Json]) -> ResourceSet {
        let encoded = users.iter().map(|user| Arc::new(Resource::new(&USER_TYPE, user).unwrap()));
        ResourceSet::new(&USER_TYPE, encoded.collect())
    }

    /// Returns the positions of the resources that satisfy the condition, by testing each resource.
    fn scan(condition: &BoundFilter, resources: &ResourceSet) -> Vec<u32> {
        let mut found = Vec::new();
        for (position, resource) in (0..).zip(resources.all()) {
            if condition.holds(resource.value()) {
                found.push(position);
            }
        }
        found
    }

    fn evaluate(condition: &BoundFilter, resources: &ResourceSet) -> Vec<u32> {
        let candidates = candidates(condition, resources);
        matches(condition, resources, candidates.as_deref(), None).unwrap()
    }

    /// Returns `eq` filters by every indexed attribute.
    fn equality_filters(text: &str) -> Vec<String> {
        let literal = Json::from(text);
        let mut filters = Vec::new();
        for active in ["true", "false", "\"FALSE\""] {
            filters.push(format!("active eq {active}"));
        }
        for path in ["id", "userName", "externalId", "emails.value", "emails"] {
            filters.push(format!("{path} eq {literal}"));
        }
        for name in ["employeeNumber", "department", "manager.value"] {
            filters.push(format!("{ENTERPRISE_USER_SCHEMA}:{name} eq {literal}"));
        }
        filters
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn index_agrees_with_a_scan(
            users in prop::collection::vec(user(), 0..12),
            replaced in prop::collection::vec((0..12_usize, user()), 0..3),
            later_length in 0..14_usize,
        ) {
            let first = resources(&users);
            check_against_scan(&first)?;

            let mut later = first.all().to_vec();
            for (position, user) in replaced {
                if let Some(resource) = later.get_mut(position) {
                    *resource = Arc::new(Resource::new(&USER_TYPE, &user).unwrap());
                }
            }
            later.truncate(later_length);
            check_against_scan(&ResourceSet::following(&first, &USER_TYPE, later))?;
        }
    }

    fn check_against_scan(resources: &ResourceSet) -> Result<(), TestCaseError> {
        for text in TEXTS {
            let with_id = scan(&bind(&format!("id eq {}", Json::from(text))), resources);
            let first = with_id.first().map(|position| &resources.all()[*position as usize]);
            if !text.is_empty() {
                let found = resources.find(text);
                prop_assert_eq!(found.map(Arc::as_ptr), first.map(Arc::as_ptr), "{}", text);
            }
            for filter in equality_filters(text) {
                let condition = bind(&filter);
                let expected = scan(&condition, resources);
                let candidates = candidates(&condition, resources).unwrap();
                prop_assert!(candidates.is_sorted());
                for position in &expected {
                    prop_assert!(candidates.contains(position), "{}", filter);
                }
                prop_assert_eq!(evaluate(&condition, resources), expected, "{}", filter);
            }
        }
        Ok(())
    }

    #[test]
    fn only_indexes_whose_values_change_are_built_again() {
        let users = |title: &str, department: &str| {
            let of = |id: &str, title: &str, department: &str| {
                json!({
                    "id": id,
                    "title": title,
                    "emails": [{"value": format!("{id}@example.com")}],
                    ENTERPRISE_USER_SCHEMA: {"department": department},
                })
            };
            resources(&[of("1", "a", "A"), of("2", title, department)])
        };
        let first = users("a", "A");
        let [id, emails, department] =
            ["id", "emails.value", &format!("{ENTERPRISE_USER_SCHEMA}:department")]
                .map(|path| USER_TYPE.attribute(path).unwrap());
        for (later, changed) in [(users("b", "A"), [].as_slice()), (users("a", "B"), &[department])]
        {
            let later = ResourceSet::following(&first, &USER_TYPE, later.all().to_vec());
            for attribute in [id, emails, department] {
                let is_same = first.shares_index(&later, attribute);
                assert_eq!(is_same, !changed.contains(&attribute), "{attribute:?}");
            }
        }
        let twice = [first.all(), first.all()].concat();
        let longer = ResourceSet::following(&first, &USER_TYPE, twice);
        assert!(!first.shares_index(&longer, id));
    }

    #[test]
    fn value_of_many_resources_is_left_to_the_columns() {
        let mut users = Vec::new();
        for number in 0..10_000_usize {
            let department = if number < 1000 { "Small" } else { "Large" };
            users.push(json!({
                "id": number.to_string(),
                "active": number.is_multiple_of(10),
                ENTERPRISE_USER_SCHEMA: {"department": department},
            }));
        }
        let resources = resources(&users);
        let small = format!("{ENTERPRISE_USER_SCHEMA}:department eq \"small\"");
        let nested = "active eq true and (active eq false or id eq \"30\") and id eq \"20\"";
        for (text, expected) in [
            (small.clone(), Some(1000)),
            (format!("{ENTERPRISE_USER_SCHEMA}:department eq \"Large\""), None),
            (format!("{ENTERPRISE_USER_SCHEMA}:department eq \"Missing\""), Some(0)),
            ("active eq true".to_owned(), Some(1000)),
            ("active eq false".to_owned(), None),
            ("active ne true".to_owned(), None),
            (format!("active eq false and {small}"), Some(1000)),
            (nested.to_owned(), Some(1)),
            (format!("active eq true or {small}"), Some(1900)),
            (format!("active eq true or {small} or emails pr"), None),
        ] {
            let condition = bind(&text);
            let candidates = candidates(&condition, &resources);
            assert_eq!(candidates.map(|candidates| candidates.len()), expected, "{text}");
            assert_eq!(evaluate(&condition, &resources), scan(&condition, &resources), "{text}");
        }
        let last = resources.find("9999").unwrap();
        assert!(Arc::ptr_eq(last, &resources.all()[9999]));
    }
}
