//! Data derived from the world each time the world changes, so that requests avoid scans.
//!
//! Persons are listed in the order of a hash of their ids. The order is fixed, but it follows
//! neither ids nor dates, so that no client can rely on it.

use std::collections::{BTreeSet, HashMap};

use crate::simulator::random::hash;
use crate::simulator::world::{Named, Person, World};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Indices into `World::persons`, in the order of the listing.
    order: Vec<usize>,
    /// Index into `order` by person id.
    positions: HashMap<String, usize>,
    /// Jobs, one for each title of a position, because the world has no jobs of its own.
    pub(super) jobs: Vec<Named>,
}

impl Index {
    pub(super) fn new(world: &World) -> Self {
        let mut order: Vec<(u64, usize)> =
            world.persons.iter().enumerate().map(|(place, person)| (hash(&person.id), place)).collect();
        order.sort_unstable();
        let order: Vec<usize> = order.into_iter().map(|(_, place)| place).collect();
        let positions = order
            .iter()
            .enumerate()
            .filter_map(|(position, place)| Some((world.persons.get(*place)?.id.clone(), position)))
            .collect();
        let employments = world.persons.iter().flat_map(|person| &person.employments);
        let titles: BTreeSet<&str> = employments.filter_map(|employment| employment.position.as_deref()).collect();
        let jobs = titles.into_iter().map(|title| Named { id: job_id(title), name: title.to_owned() }).collect();
        Self { order, positions, jobs }
    }

    /// Returns the number of positions in the listing of persons.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns the position of a person in the listing.
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// Returns the person at a position of the listing.
    pub(super) fn at<'w>(&self, world: &'w World, position: usize) -> Option<&'w Person> {
        world.persons.get(*self.order.get(position)?)
    }

    pub(super) fn person<'w>(&self, world: &'w World, id: &str) -> Option<&'w Person> {
        self.at(world, self.position(id)?)
    }
}

/// Returns the id of the job with this title.
pub(super) fn job_id(title: &str) -> String {
    (hash(title) % 10_000_000).to_string()
}
