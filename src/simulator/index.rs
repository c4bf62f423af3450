//! What is worked out once whenever the world changes, so that answering is quick.
//!
//! The order of persons follows a hash of their ids: fixed, and of no use to a client.

use std::collections::{BTreeSet, HashMap};

use crate::simulator::random::hash;
use crate::simulator::world::{Named, Person, World};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Places in `World::persons`, in the order of the listing.
    order: Vec<usize>,
    /// Where in `order` a person is.
    positions: HashMap<String, usize>,
    /// Every title of a position; the world has no jobs of its own.
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

    /// The number of positions in the listing of persons.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Where in the listing a person is.
    pub(super) fn position(&self, id: &str) -> Option<usize> {
        self.positions.get(id).copied()
    }

    /// The person at a position of the listing.
    pub(super) fn at<'w>(&self, world: &'w World, position: usize) -> Option<&'w Person> {
        world.persons.get(*self.order.get(position)?)
    }

    pub(super) fn person<'w>(&self, world: &'w World, id: &str) -> Option<&'w Person> {
        self.at(world, self.position(id)?)
    }
}

/// The id of the job with this title.
pub(super) fn job_id(title: &str) -> String {
    (hash(title) % 10_000_000).to_string()
}
