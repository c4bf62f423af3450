//! Resource set: all resources of one type in their list order, with the indexes and columns that
//! make filtering and sorting fast.

use std::sync::Arc;

use crate::scim::query::sort::SortIndex;
use crate::scim::resource::Resource;
use crate::scim::store::column::{Column, ColumnSet, ElementNumbers};
use crate::scim::store::hash_index::HashIndex;
use crate::scim::store::on_demand::OnDemand;
use crate::scim::{AttributeId, ResourceType};

/// Attributes with a hash index: those by which clients search for a few resources.
const INDEXED_ATTRIBUTES: [&str; 8] = [
    "id",
    "userName",
    "externalId",
    "emails.value",
    "active",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
];

/// Largest number of index entries that a look-up follows. More resources are found faster by the
/// column.
const MAX_INDEX_CANDIDATES: usize = 1000;

/// Resources of one type.
#[derive(Debug)]
pub struct ResourceSet {
    resource_type: Arc<ResourceType>,
    /// Resources in list order.
    all: Vec<Arc<Resource>>,
    indexes: Vec<Arc<HashIndex>>,
    /// Sort index of each attribute.
    sort_indexes: Box<[OnDemand<SortIndex>]>,
    columns: ColumnSet,
}

impl ResourceSet {
    /// Builds the set of these resources, all of the type `resource_type` and in list order.
    #[must_use]
    pub fn new(resource_type: &Arc<ResourceType>, all: Vec<Arc<Resource>>) -> Self {
        Self::with_indexes(resource_type, all, Vec::new())
    }

    /// Builds the set that follows `earlier`. It takes over the indexes whose values are the same,
    /// and builds the sort indexes and columns that recent queries needed, so that the next query
    /// does not wait for them. An earlier set of another resource type has no effect.
    #[must_use]
    pub fn following(
        earlier: &Self,
        resource_type: &Arc<ResourceType>,
        all: Vec<Arc<Resource>>,
    ) -> Self {
        if !Arc::ptr_eq(resource_type, &earlier.resource_type) {
            return Self::new(resource_type, all);
        }
        let unchanged = earlier.unchanged_indexes(&all);
        let set = Self::with_indexes(resource_type, all, unchanged);
        set.prebuild_from(earlier);
        set
    }

    /// Builds the set with these indexes and those that are missing.
    fn with_indexes(
        resource_type: &Arc<ResourceType>,
        all: Vec<Arc<Resource>>,
        mut indexes: Vec<Arc<HashIndex>>,
    ) -> Self {
        let mut missing = Vec::new();
        for path in INDEXED_ATTRIBUTES {
            let Some(id) = resource_type.attribute(path) else { continue };
            if !indexes.iter().any(|index| index.attribute() == id) {
                missing.push(id);
            }
        }
        for index in HashIndex::build_all(resource_type, &missing, &all) {
            indexes.push(Arc::new(index));
        }
        Self {
            resource_type: Arc::clone(resource_type),
            all,
            indexes,
            sort_indexes: resource_type.ids().map(|_| OnDemand::new()).collect(),
            columns: ColumnSet::new(resource_type),
        }
    }

    /// Returns the indexes that are right for `all` as well, resources of the same type: an index
    /// stores positions and no values, so only the values in the same positions must be the same.
    fn unchanged_indexes(&self, all: &[Arc<Resource>]) -> Vec<Arc<HashIndex>> {
        let mut unchanged = Vec::new();
        if self.all.len() != all.len() {
            return unchanged;
        }
        let mut replaced = Vec::new();
        for (before, after) in self.all.iter().zip(all) {
            if !Arc::ptr_eq(before, after) {
                replaced.push([before, after]);
            }
        }
        for index in &self.indexes {
            let path = self.resource_type.path_ids(index.attribute());
            let has_same_entries =
                replaced.iter().all(|[before, after]| index.has_same_entries(&path, before, after));
            if has_same_entries {
                unchanged.push(Arc::clone(index));
            }
        }
        unchanged
    }

    /// Reports whether the set consists of the same objects in the same order, compared by pointer.
    #[must_use]
    pub fn is_same_set(&self, resource_type: &Arc<ResourceType>, all: &[Arc<Resource>]) -> bool {
        Arc::ptr_eq(&self.resource_type, resource_type)
            && self.all.len() == all.len()
            && self.all.iter().zip(all).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// Builds the sort indexes and columns that recent queries needed of `earlier`, a set of the
    /// same resource type.
    fn prebuild_from(&self, earlier: &Self) {
        let resource_type = &self.resource_type;
        let sort_indexes = self.sort_indexes.iter().zip(&earlier.sort_indexes);
        for (id, (sort_index, earlier)) in resource_type.ids().zip(sort_indexes) {
            sort_index.prebuild_from(earlier, || SortIndex::new(resource_type, id, &self.all));
        }
        self.columns.prebuild_from(&earlier.columns, resource_type, &self.all);
    }

    /// Returns the type of the resources.
    #[must_use]
    pub fn resource_type(&self) -> &Arc<ResourceType> {
        &self.resource_type
    }

    /// Returns all resources in list order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Resource>] {
        &self.all
    }

    /// Returns the resource with this `id`.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Arc<Resource>> {
        self.all.get(self.position(id)?)
    }

    /// Returns the position of the resource with this `id` in the list.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<usize> {
        let index = self.index(self.resource_type.well_known().id?)?;
        Some(index.first(&self.all, id)? as usize)
    }

    /// Returns the positions of the resources that have this value, in list order. The result is
    /// `None` if the attribute has no index, or more than [`MAX_INDEX_CANDIDATES`] entries have the
    /// value.
    pub(in crate::scim) fn index_candidates(
        &self,
        id: AttributeId,
        value: &str,
    ) -> Option<Vec<u32>> {
        self.index(id)?.positions(&self.all, value, MAX_INDEX_CANDIDATES)
    }

    fn index(&self, id: AttributeId) -> Option<&HashIndex> {
        Some(self.indexes.iter().find(|index| index.attribute() == id)?)
    }

    /// Reports whether both sets have the same index of this attribute.
    #[cfg(test)]
    pub(super) fn shares_index(&self, other: &Self, id: AttributeId) -> bool {
        let index = |set: &Self| set.index(id).map(std::ptr::from_ref);
        index(self) == index(other)
    }

    /// Returns the column of an attribute. The result is `None` if only the resources can be
    /// tested.
    pub(in crate::scim) fn column(&self, id: AttributeId) -> Option<&Column> {
        self.columns.column(&self.resource_type, &self.all, id)
    }

    /// Returns the elements of a multi-valued attribute. The result is `None` if only the resources
    /// can be tested.
    pub(in crate::scim) fn elements(&self, id: AttributeId) -> Option<&ElementNumbers> {
        self.columns.elements(&self.resource_type, &self.all, id)
    }

    /// Returns the sort index of an attribute, which must have values of its own.
    pub(in crate::scim) fn sort_index(&self, id: AttributeId) -> Option<&SortIndex> {
        let sort_index = self.sort_indexes.get(usize::from(id.0))?;
        Some(sort_index.get(|| SortIndex::new(&self.resource_type, id, &self.all)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::filter::{BoundFilter, Filter, FilterLimits, matches};
    use crate::scim::{Discovery, ResourceUrls};

    fn user_type() -> Arc<ResourceType> {
        let discovery = Discovery::new(&ResourceUrls::new("https://scim.example.com"), 1000, &[]);
        discovery.unwrap().compile_types().unwrap().user
    }

    fn set_of_one_user(user_type: &Arc<ResourceType>) -> ResourceSet {
        let emails = json!([{"type": "work", "value": "a@x"}]);
        let user = json!({"id": "1", "title": "a", "emails": emails});
        ResourceSet::new(user_type, vec![Arc::new(Resource::new(user_type, &user).unwrap())])
    }

    fn built_sort_indexes(resources: &ResourceSet) -> Vec<AttributeId> {
        let sort_indexes = resources.resource_type.ids().zip(&resources.sort_indexes);
        sort_indexes.filter(|(_, index)| index.is_computed()).map(|(id, _)| id).collect()
    }

    fn built_columns(resources: &ResourceSet) -> Vec<AttributeId> {
        resources.columns.built(&resources.resource_type)
    }

    #[test]
    fn next_set_prepares_the_columns_and_sort_indexes_that_queries_used() {
        let user_type = user_type();
        let first = set_of_one_user(&user_type);
        assert_eq!(built_columns(&first), [], "nothing is built before a query");
        assert_eq!(built_sort_indexes(&first), []);

        let text = "title sw \"a\" and emails[type ne \"home\"] and id eq \"1\" or title pr";
        let filter = Filter::parse(text, FilterLimits::default()).unwrap();
        let condition = BoundFilter::new(&filter, text, &user_type, &[&user_type]).unwrap();
        assert_eq!(matches(&condition, &first, None, None).unwrap(), [0]);
        let ids = ["id", "title", "emails.type"].map(|path| user_type.attribute(path).unwrap());
        let [id, title, email_type] = ids;
        first.sort_index(title);
        let mut used = vec![id, title, email_type];
        used.sort_unstable();
        assert_eq!(built_columns(&first), used);
        assert_eq!(built_sort_indexes(&first), [title]);

        let next = set_of_one_user(&user_type);
        let next = ResourceSet::following(&first, &user_type, next.all);
        assert_eq!(built_columns(&next), used);
        assert_eq!(built_sort_indexes(&next), [title]);
        let other = set_of_one_user(&self::user_type());
        let of_other_type = ResourceSet::following(&first, &other.resource_type, other.all);
        assert_eq!(built_columns(&of_other_type), []);
        assert_eq!(built_sort_indexes(&of_other_type), []);
    }
}
