//! All resources of one type in their one order, with what makes finding and sorting fast.

use std::sync::Arc;

use crate::scim::query::sort::Order;
use crate::scim::resource::Resource;
use crate::scim::store::column::{Column, Columns, Elements};
use crate::scim::store::hash_index::Index;
use crate::scim::store::on_demand::Prepared;
use crate::scim::{AttributeId, ResourceType};

/// Attributes by which clients look for a few resources. Equality with one of them needs no scan.
const INDEXED: [&str; 8] = [
    "id",
    "userName",
    "externalId",
    "emails.value",
    "active",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
];

/// If more resources have a value than this, they are found faster by the column.
const FEW: usize = 1000;

/// Resources of one type.
#[derive(Debug)]
pub struct Resources {
    kind: Arc<ResourceType>,
    all: Vec<Arc<Resource>>,
    indexes: Vec<Index>,
    /// For each attribute, once somebody has sorted by it.
    orders: Box<[Prepared<Order>]>,
    columns: Columns,
}

impl Resources {
    /// These resources, all of the type `kind`, in the order in which they are listed.
    #[must_use]
    pub fn new(kind: &Arc<ResourceType>, all: Vec<Arc<Resource>>) -> Self {
        let indexed = INDEXED.iter().filter_map(|path| kind.attribute(path));
        let indexes = Index::all(kind, indexed, &all);
        let orders = kind.ids().map(|_| Prepared::new()).collect();
        Self { kind: Arc::clone(kind), indexes, columns: Columns::new(kind), all, orders }
    }

    /// Whether they are these very ones in the same order.
    #[must_use]
    pub fn are(&self, kind: &Arc<ResourceType>, all: &[Arc<Resource>]) -> bool {
        let same = self.all.iter().zip(all).all(|(one, other)| Arc::ptr_eq(one, other));
        Arc::ptr_eq(&self.kind, kind) && self.all.len() == all.len() && same
    }

    /// Works out beforehand the orders and columns that clients made `earlier` work out, so that they need not wait
    /// again, unless no client has needed them for long. Those of another type mean nothing here.
    pub fn prepare_like(&self, earlier: &Self) {
        if !Arc::ptr_eq(&self.kind, &earlier.kind) {
            return;
        }
        for ((id, order), earlier) in self.kind.ids().zip(&self.orders).zip(&earlier.orders) {
            order.prepare_like(earlier, || Order::new(&self.kind, id, &self.all));
        }
        self.columns.prepare_like(&earlier.columns, &self.kind, &self.all);
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
        let place = self.index(self.kind.known().id?)?.first(&self.all, id)?;
        self.all.get(place as usize)
    }

    /// The places of those that have this value, in the list's order; none if there is no index, or are more than a few.
    pub(in crate::scim) fn few_with(&self, id: AttributeId, value: &str) -> Option<Vec<u32>> {
        self.index(id)?.places(&self.all, value, FEW)
    }

    fn index(&self, id: AttributeId) -> Option<&Index> {
        self.indexes.iter().find(|index| index.attribute() == id)
    }

    /// The values of everybody; none if only the resources tell.
    pub(in crate::scim) fn column(&self, id: AttributeId) -> Option<&Column> {
        self.columns.column(&self.kind, &self.all, id)
    }

    /// Where the elements of everybody are; none if only the resources tell.
    pub(in crate::scim) fn elements(&self, id: AttributeId) -> Option<&Elements> {
        self.columns.elements(&self.kind, &self.all, id)
    }

    /// The order by this attribute, which must have values.
    pub(in crate::scim) fn order(&self, id: AttributeId) -> Option<&Order> {
        let order = self.orders.get(usize::from(id.0))?;
        Some(order.get(|| Order::new(&self.kind, id, &self.all)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use std::convert::Infallible;

    use super::*;
    use crate::scim::filter::{Condition, Filter, Limits, matches};
    use crate::scim::{Discovery, Locations};

    #[test]
    fn what_clients_made_one_set_work_out_the_next_one_works_out_before() {
        let types = || {
            let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
            discovery.compiled().unwrap().user
        };
        let kind = types();
        let resources = |kind| {
            let user = json!({"id": "1", "title": "a", "emails": [{"type": "work", "value": "a@x"}]});
            Resources::new(kind, vec![Arc::new(Resource::new(kind, &user).unwrap())])
        };
        let worked_out = |resources: &Resources| {
            let sorted = resources.kind.ids().zip(&resources.orders).filter(|(_, order)| order.is_there());
            let sorted: Vec<AttributeId> = sorted.map(|(id, _)| id).collect();
            (resources.columns.used(&resources.kind).collect::<Vec<_>>(), sorted)
        };
        let first = resources(&kind);
        assert_eq!(worked_out(&first), (Vec::new(), Vec::new()), "nothing is, before somebody asks");
        let filter = "title sw \"a\" and emails[type ne \"home\"] and id eq \"1\" or title pr";
        let condition = Condition::new(&Filter::parse(filter, Limits::default()).unwrap(), filter, &kind, &[&kind]);
        let Ok(found) = matches(&condition.unwrap(), &first, &|| Ok::<(), Infallible>(()));
        assert_eq!(found, [0]);
        let [id, title, kind_of_email] = ["id", "title", "emails.type"].map(|path| kind.attribute(path).unwrap());
        first.order(title);
        let mut used = vec![id, title, kind_of_email];
        used.sort_unstable();
        assert_eq!(worked_out(&first), (used, vec![title]));

        let next = resources(&kind);
        next.prepare_like(&first);
        assert_eq!(worked_out(&next), worked_out(&first));
        let other = resources(&types());
        other.prepare_like(&first);
        assert_eq!(worked_out(&other), (Vec::new(), Vec::new()));
    }
}
