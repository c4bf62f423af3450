//! Rare changes that affect a few persons of a company.
//!
//! The changes are a new employment that begins today, a hire that was withdrawn, and an e-mail
//! address of a person who left that another person gets.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::simulator::generate::origin;
use crate::simulator::random::Random;
use crate::simulator::world::{SimulatedEmployment, SimulatedPerson, SimulatedTermination, World};

/// Number of persons at the start of the list that never change, because they lead the others.
const UNCHANGED_LEADING_PERSONS: usize = 60;
/// Number of persons in the company for each person with a given change.
const PERSONS_PER_CHANGE: usize = 150;

impl World {
    /// Returns the company with rare changes that identity systems often handle wrongly.
    ///
    /// Each change affects a few persons in a thousand, for a demonstration. Equal arguments give
    /// an equal company.
    #[must_use]
    pub fn with_rare_changes(mut self, seed: u64, now: Timestamp) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let today = TimeZone::UTC.to_datetime(now).date();
        let count = self.persons.len() / PERSONS_PER_CHANGE;
        let Some(others) = self.persons.get_mut(UNCHANGED_LEADING_PERSONS..) else { return self };
        for person in others.iter_mut().filter(|person| is_steady(person)).step_by(2).take(count) {
            start_new_employment_today(person, today, &mut random);
        }
        for person in others.iter_mut().filter(|person| has_not_started(person)).take(count) {
            withdraw_hire(person);
        }
        let addresses = addresses_of_leavers(others, count);
        let newcomers = others.iter_mut().rev().filter(|person| is_steady(person));
        for (newcomer, address) in newcomers.zip(addresses) {
            newcomer.email = Some(address);
        }
        self
    }

    /// Gives a random person another family name. `now` becomes the time of the last change.
    ///
    /// Equal numbers give equal persons and names.
    pub fn rename_random_person(&mut self, number: u64, now: Timestamp) {
        if self.persons.is_empty() {
            return;
        }
        let mut random = Random::new(number ^ 0xc4a6e);
        let index = random.below(self.persons.len());
        let Some(origin) = origin(&mut random) else { return };
        let Some(person) = self.persons.get_mut(index) else { return };
        person.last_name = Some(random.pick_text(origin.family).to_owned());
        person.updated_at = Some(now);
    }
}

/// Returns the e-mail addresses of the first persons who left, at most `count` of them.
fn addresses_of_leavers(persons: &[SimulatedPerson], count: usize) -> Vec<String> {
    let mut addresses = Vec::with_capacity(count);
    for person in persons {
        if addresses.len() == count {
            break;
        }
        if has_status(person, "INACTIVE")
            && let Some(email) = &person.email
        {
            addresses.push(email.clone());
        }
    }
    addresses
}

/// Reports whether the current employment has this status.
fn has_status(person: &SimulatedPerson, status: &str) -> bool {
    match person.employments.first() {
        Some(employment) => employment.status.as_deref() == Some(status),
        None => false,
    }
}

/// Reports whether the person has a single employment, which is active and has no end.
fn is_steady(person: &SimulatedPerson) -> bool {
    let [employment] = person.employments.as_slice() else { return false };
    has_status(person, "ACTIVE")
        && employment.employment_end_date.is_none()
        && employment.termination.is_none()
}

/// Reports whether the person has a single employment, which has not started yet.
fn has_not_started(person: &SimulatedPerson) -> bool {
    person.employments.len() == 1 && has_status(person, "ONBOARDING")
}

/// Replaces an employment by an external one in the past and an internal one that starts today.
///
/// The external employment ended one to three days ago. Personio reports the internal one as
/// `ONBOARDING` on its first day.
fn start_new_employment_today(person: &mut SimulatedPerson, today: Date, random: &mut Random) {
    let Some(employment) = person.employments.pop() else { return };
    let days_ago = 1 + random.below(3);
    let ended = today.saturating_sub(i64::try_from(days_ago).unwrap_or(1).days());
    let next = SimulatedEmployment {
        id: random.uuid(),
        status: Some("ONBOARDING".to_owned()),
        employment_type: Some("INTERNAL".to_owned()),
        employment_start_date: Some(today),
        probation_end_date: None,
        contract_end_date: None,
        created_at: employment.updated_at,
        ..employment.clone()
    };
    let earlier = SimulatedEmployment {
        status: Some("INACTIVE".to_owned()),
        employment_type: Some("EXTERNAL".to_owned()),
        employment_end_date: Some(ended),
        contract_end_date: None,
        ..employment
    };
    person.employments = vec![next, earlier];
}

/// Ends an employment on the day before it starts.
fn withdraw_hire(person: &mut SimulatedPerson) {
    let Some(employment) = person.employments.first_mut() else { return };
    let day = employment.employment_start_date.map(|start| start.saturating_sub(1.day()));
    employment.employment_end_date = day;
    employment.termination = Some(SimulatedTermination {
        termination_date: day,
        last_working_day: day,
        terminated_at: employment.updated_at,
        ..SimulatedTermination::default()
    });
}
