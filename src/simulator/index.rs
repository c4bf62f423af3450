//! Data derived from the world each time the world changes, so that requests avoid scans.
//!
//! Persons are listed in the order of a hash of their ids. The order is fixed, but it follows
//! neither ids nor dates, so that no client can rely on it.

use std::collections::HashMap;

use crate::simulator::random::stable_hash;
use crate::simulator::world::{SimulatedPerson, World};

#[derive(Debug, Default)]
pub(super) struct WorldIndex {
    /// Indices into `World::persons`, in the order of the listing.
    order: Vec<usize>,
    /// Index into `order` by person id.
    position_by_id: HashMap<String, usize>,
}

impl WorldIndex {
    pub(super) fn new(world: &World) -> Self {
        let mut hashes = Vec::with_capacity(world.persons.len());
        for (index, person) in world.persons.iter().enumerate() {
            hashes.push((stable_hash(&person.id), index));
        }
        hashes.sort_unstable();
        let mut order = Vec::with_capacity(hashes.len());
        let mut position_by_id = HashMap::with_capacity(hashes.len());
        for (position, (_, index)) in hashes.into_iter().enumerate() {
            order.push(index);
            if let Some(person) = world.persons.get(index) {
                position_by_id.insert(person.id.clone(), position);
            }
        }
        Self { order, position_by_id }
    }

    /// Returns the number of positions in the listing of persons.
    pub(super) fn person_count(&self) -> usize {
        self.order.len()
    }

    /// Returns the position of a person in the listing.
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.position_by_id.get(id).copied()
    }

    /// Returns the person at a position of the listing.
    pub(super) fn person_at<'w>(
        &self,
        world: &'w World,
        position: usize,
    ) -> Option<&'w SimulatedPerson> {
        world.persons.get(*self.order.get(position)?)
    }

    pub(super) fn person_by_id<'w>(
        &self,
        world: &'w World,
        id: &str,
    ) -> Option<&'w SimulatedPerson> {
        self.person_at(world, self.position(id)?)
    }
}
