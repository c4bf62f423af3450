//! Generator of companies from a number of persons, a seed and a date.
//!
//! Equal arguments give an equal company. `tree` contains the reporting lines, `career` the
//! employments, `changes` rare changes of a few persons, `personal_attributes` the personal
//! attributes, and `ascii` the letters of e-mail addresses.

mod ascii;
mod career;
mod changes;
mod personal_attributes;
mod tree;

use std::collections::HashMap;

use jiff::Timestamp;

use crate::simulator::generate::ascii::to_ascii;
use crate::simulator::generate::career::{Calendar, Career};
use crate::simulator::generate::tree::{OrgChart, teams};
use crate::simulator::random::Random;
use crate::simulator::word_lists::{
    COST_CENTERS, DEPARTMENTS, LEADING_JOBS, LEGAL_ENTITIES, NameOrigin, ORIGINS, WORKPLACES,
};
use crate::simulator::world::{
    SimulatedLookupEntry, SimulatedOrgUnit, SimulatedOrgUnitType, SimulatedPerson, World,
};

impl World {
    /// Generates a plausible company. Equal arguments give an equal company.
    ///
    /// Only first days, planned changes, and ends of employments, contracts and probation lie after
    /// `now`.
    #[must_use]
    pub fn generate(persons: usize, seed: u64, now: Timestamp) -> Self {
        let mut random = Random::new(seed);
        let tree = OrgChart::new(persons);
        let calendar = Calendar::new(now);
        let mut people =
            PersonGenerator { calendar, ids: Vec::new(), persons_by_local_part: HashMap::new() };
        Self {
            persons: (0..persons).map(|index| people.person(index, &tree, &mut random)).collect(),
            org_units: org_units(),
            legal_entities: numbered_entries(LEGAL_ENTITIES, 301),
            workplaces: numbered_entries(WORKPLACES, 401),
            cost_centers: numbered_entries(COST_CENTERS, 501),
            jobs: jobs(),
        }
    }
}

fn numbered_entries(names: &[&str], first: usize) -> Vec<SimulatedLookupEntry> {
    let mut entries = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        entries.push(SimulatedLookupEntry::new(&(first + index).to_string(), name));
    }
    entries
}

/// Returns the jobs of those who lead, then those of the departments.
fn jobs() -> Vec<SimulatedLookupEntry> {
    let mut names = LEADING_JOBS.to_vec();
    names.extend(DEPARTMENTS.iter().map(|department| department.job));
    numbered_entries(&names, tree::FIRST_JOB_ID)
}

fn org_units() -> Vec<SimulatedOrgUnit> {
    let mut units = Vec::new();
    for (index, department) in DEPARTMENTS.iter().enumerate() {
        let id = tree::department_id(index);
        let unit = SimulatedOrgUnit::new(&id, department.name, SimulatedOrgUnitType::Department);
        let parent = department.parent.map(tree::department_id);
        units.push(SimulatedOrgUnit { parent, ..unit });
    }
    for (index, (_, name)) in teams().into_iter().enumerate() {
        let id = tree::team_id(index);
        units.push(SimulatedOrgUnit::new(&id, name, SimulatedOrgUnitType::Team));
    }
    units
}

/// Generator of persons. A person depends on the persons that were generated before.
struct PersonGenerator {
    calendar: Calendar,
    /// Ids of the persons, in the order of generation.
    ids: Vec<u64>,
    /// Number of persons by the part of their e-mail address before `@`, without a number.
    persons_by_local_part: HashMap<String, usize>,
}

impl PersonGenerator {
    fn person(&mut self, index: usize, tree: &OrgChart, random: &mut Random) -> SimulatedPerson {
        let id = self.ids.last().copied().unwrap_or(1_204_517) + 1 + random.below(37) as u64;
        self.ids.push(id);
        let seat = tree.position(index, random);
        let supervisor = seat.supervisor.and_then(|index| self.ids.get(index)).map(u64::to_string);
        let career = if seat.is_fixed_leader { Career::Steady } else { Career::random(random) };
        let employments = career.employments(&seat, supervisor, self.calendar, random);

        let woman = random.chance(50);
        let names = names(woman, random);
        let updated_at = employments.first().and_then(|employment| employment.updated_at);
        let mut person = SimulatedPerson {
            id: id.to_string(),
            email: Some(self.unique_address(names.first, names.last)),
            first_name: Some(names.first.to_owned()),
            last_name: Some(names.last.to_owned()),
            preferred_name: random.chance(30).then(|| preferred_name(id, &names)),
            gender: gender(woman, random),
            profile_picture: picture(id, random),
            status: Some(career.person_status().to_owned()),
            created_at: employments.iter().filter_map(|employment| employment.created_at).min(),
            updated_at: updated_at.map(|at| self.calendar.time_since(at, random)),
            custom_attributes: personal_attributes::attributes(index, self.calendar, random),
            employments,
        };
        if !seat.is_fixed_leader && random.chance(2) {
            remove_data(&mut person, random);
        }
        person
    }

    /// Returns an e-mail address that no other person has.
    fn unique_address(&mut self, first_name: &str, last_name: &str) -> String {
        let local = format!("{}.{}", to_ascii(first_name), to_ascii(last_name));
        let count = self.persons_by_local_part.entry(local.clone()).or_default();
        *count += 1;
        if *count == 1 {
            format!("{local}@example.com")
        } else {
            format!("{local}{count}@example.com")
        }
    }
}

/// Removes data from a person, because persons in real accounts are incomplete.
fn remove_data(person: &mut SimulatedPerson, random: &mut Random) {
    match random.below(4) {
        0 => person.email = None,
        1 => person.last_name = None,
        2 => {
            person.employments.clear();
            person.status = Some("UNSPECIFIED".to_owned());
        }
        _ => {
            for employment in &mut person.employments {
                employment.position = None;
            }
        }
    }
}

/// Random names of a person, all of one origin.
#[derive(Debug, Default)]
struct Names {
    first: &'static str,
    last: &'static str,
    short: &'static str,
}

fn names(woman: bool, random: &mut Random) -> Names {
    let Some(origin) = origin(random) else { return Names::default() };
    let first = random.pick_text(if woman { origin.women } else { origin.men });
    let last = random.pick_text(origin.family);
    let short = random.pick_text(origin.short_forms);
    Names { first, last, short }
}

/// Returns the short form, alone or as a whole name: companies use the field for both.
fn preferred_name(id: u64, names: &Names) -> String {
    if id.is_multiple_of(2) {
        names.short.to_owned()
    } else {
        format!("{} {}", names.short, names.last)
    }
}

fn picture(id: u64, random: &mut Random) -> Option<String> {
    random.chance(40).then(|| format!("https://example.com/pictures/{id}.jpg"))
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
fn origin(random: &mut Random) -> Option<&'static NameOrigin> {
    let mut left = random.below(ORIGINS.iter().map(|origin| origin.percent).sum());
    for origin in ORIGINS {
        if left < origin.percent {
            return Some(origin);
        }
        left -= origin.percent;
    }
    None
}
