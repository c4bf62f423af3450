//! Generator of companies from a number of persons, a seed and a date.
//!
//! Equal arguments give an equal company. `tree` contains the reporting lines, `career` the
//! employments, `changes` rare changes of a few persons, `private` the personal attributes, and
//! `ascii` the letters of e-mail addresses.

mod ascii;
mod career;
mod changes;
mod private;
mod tree;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::simulator::generate::ascii::ascii;
use crate::simulator::generate::career::{Calendar, Career};
use crate::simulator::generate::tree::{Tree, teams};
use crate::simulator::names::{COST_CENTERS, DEPARTMENTS, LEGAL_ENTITIES, ORIGINS, Origin, WORKPLACES};
use crate::simulator::random::Random;
use crate::simulator::world::{Named, OrgUnit, OrgUnitKind, Person, World};

impl World {
    /// Generates a plausible company. Equal arguments give an equal company.
    ///
    /// Only first days, planned changes, and ends of employments, contracts and probation lie after
    /// `now`.
    #[must_use]
    pub fn generate(persons: usize, seed: u64, now: Timestamp) -> Self {
        let mut random = Random::new(seed);
        let tree = Tree::new(persons);
        let mut people = People { calendar: Calendar::new(now), ids: Vec::new(), addresses: HashMap::new() };
        let persons = (0..persons).map(|index| people.person(index, &tree, &mut random)).collect();
        Self {
            persons,
            org_units: org_units(),
            legal_entities: numbered(LEGAL_ENTITIES, 301),
            workplaces: numbered(WORKPLACES, 401),
            cost_centers: numbered(COST_CENTERS, 501),
        }
    }
}

fn numbered(names: &[&str], first: usize) -> Vec<Named> {
    names
        .iter()
        .enumerate()
        .map(|(at, name)| Named { id: (first + at).to_string(), name: (*name).to_owned() })
        .collect()
}

fn org_units() -> Vec<OrgUnit> {
    let departments = DEPARTMENTS.iter().enumerate().map(|(at, department)| OrgUnit {
        id: tree::department_id(at),
        name: department.name.to_owned(),
        kind: OrgUnitKind::Department,
    });
    let teams = teams().into_iter().enumerate().map(|(at, (_, name))| OrgUnit {
        id: tree::team_id(at),
        name: name.to_owned(),
        kind: OrgUnitKind::Team,
    });
    departments.chain(teams).collect()
}

/// Generator of persons. A person depends on the persons that were generated before.
struct People {
    calendar: Calendar,
    /// Ids of the persons, in the order of generation.
    ids: Vec<u64>,
    /// Number of persons by the part of their e-mail address before `@`, without a number.
    addresses: HashMap<String, usize>,
}

impl People {
    fn person(&mut self, index: usize, tree: &Tree, random: &mut Random) -> Person {
        let id = self.ids.last().copied().unwrap_or(1_204_517) + 1 + random.below(37) as u64;
        self.ids.push(id);
        let seat = tree.seat(index, random);
        let supervisor = seat.supervisor.and_then(|index| self.ids.get(index)).map(u64::to_string);
        let career = if seat.leads { Career::Steady } else { Career::any(random) };
        let employments = career.employments(&seat, supervisor, self.calendar, random);

        let woman = random.chance(50);
        let origin = origin(random);
        let first_name = random.word(origin.map_or(&[], |it| if woman { it.women } else { it.men }));
        let last_name = random.word(origin.map_or(&[], |it| it.family));
        let short = random.word(origin.map_or(&[], |it| it.short));
        let updated_at = employments.first().and_then(|employment| employment.updated_at);
        let mut person = Person {
            id: id.to_string(),
            email: Some(self.address(first_name, last_name)),
            first_name: Some(first_name.to_owned()),
            last_name: Some(last_name.to_owned()),
            preferred_name: random.chance(30).then(|| short.to_owned()),
            gender: gender(woman, random),
            profile_picture: random.chance(40).then(|| format!("https://example.com/pictures/{id}.jpg")),
            status: Some(career.person_status().to_owned()),
            created_at: employments.iter().filter_map(|employment| employment.created_at).min(),
            updated_at: updated_at.map(|at| self.calendar.between(at, random)),
            custom_attributes: private::attributes(index, self.calendar, random),
            employments,
        };
        if !seat.leads && random.chance(2) {
            leave_out(&mut person, random);
        }
        person
    }

    /// Returns an e-mail address that no other person has.
    fn address(&mut self, first_name: &str, last_name: &str) -> String {
        let local = format!("{}.{}", ascii(first_name), ascii(last_name));
        let count = self.addresses.entry(local.clone()).or_default();
        *count += 1;
        if *count == 1 { format!("{local}@example.com") } else { format!("{local}{count}@example.com") }
    }
}

/// Removes data from a person, because persons in real accounts are incomplete.
fn leave_out(person: &mut Person, random: &mut Random) {
    match random.below(4) {
        0 => person.email = None,
        1 => person.last_name = None,
        2 => {
            person.employments.clear();
            person.status = Some("UNSPECIFIED".to_owned());
        }
        _ => person.employments.iter_mut().for_each(|employment| employment.position = None),
    }
}

fn gender(woman: bool, random: &mut Random) -> Option<String> {
    let gender = match random.below(100) {
        0..90 => Some(if woman { "FEMALE" } else { "MALE" }),
        90..93 => Some("DIVERSE"),
        _ => None,
    };
    gender.map(str::to_owned)
}

/// Returns a random origin of names, weighted by its share.
fn origin(random: &mut Random) -> Option<&'static Origin> {
    let mut left = random.below(ORIGINS.iter().map(|origin| origin.share).sum());
    ORIGINS.iter().find(|origin| {
        let here = left < origin.share;
        left = left.saturating_sub(origin.share);
        here
    })
}
