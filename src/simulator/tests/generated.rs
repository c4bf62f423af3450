//! Tests of the generated company.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use crate::simulator::tests::{now, world};
use crate::simulator::{SimulatedEmployment, SimulatedPerson, World};

#[test]
fn equal_seeds_generate_equal_companies() {
    assert_eq!(World::generate(500, 7, now()), World::generate(500, 7, now()));
    assert_ne!(World::generate(500, 7, now()).persons, World::generate(500, 8, now()).persons);
}

#[test]
fn company_has_the_requested_number_of_persons() {
    for size in [0, 1, 2, 9, 10, 11, 40, 1_000] {
        let world = world(size);
        assert_eq!(world.persons.len(), size);
        assert_eq!(
            (world.legal_entities.len(), world.workplaces.len(), world.cost_centers.len()),
            (3, 5, 8)
        );
    }
    assert_eq!(World::empty(), World::default());
}

#[test]
fn ids_and_addresses_are_unique_and_addresses_are_ascii() {
    let persons = world(20_000).persons;
    let ids: Vec<u64> = persons.iter().map(|person| person.id.parse().unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
    assert!(ids.last().unwrap() - ids[0] > 40_000, "with gaps");
    let addresses: Vec<&str> =
        persons.iter().filter_map(|person| person.email.as_deref()).collect();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len());
    for address in addresses {
        let (first, last) = address.strip_suffix("@example.com").unwrap().split_once('.').unwrap();
        assert!(first.len() > 1 && last.len() > 1, "{address}");
        assert!(
            address
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.@".contains(c)),
            "{address}"
        );
    }
}

/// Asserts that the share of persons who pass, in percent, is in a range.
#[track_caller]
fn assert_share(
    persons: &[SimulatedPerson],
    name: &str,
    expected: RangeInclusive<f64>,
    passes: impl Fn(&SimulatedPerson) -> bool,
) {
    let count = persons.iter().filter(|person| passes(person)).count();
    let percent = count as f64 * 100.0 / persons.len() as f64;
    assert!(expected.contains(&percent), "{name}: {percent}");
}

/// Reports whether the current employment passes.
fn current(person: &SimulatedPerson, passes: impl Fn(&SimulatedEmployment) -> bool) -> bool {
    person.employments.first().is_some_and(passes)
}

fn has_status(person: &SimulatedPerson, status: &str) -> bool {
    current(person, |employment| employment.status.as_deref() == Some(status))
}

/// Reports whether the generator has left something out.
fn is_sparse(person: &SimulatedPerson) -> bool {
    person.email.is_none()
        || person.last_name.is_none()
        || current(person, |employment| employment.position.is_none())
        || person.employments.is_empty()
}

#[test]
fn shares_of_statuses_and_attributes_are_within_their_ranges() {
    let persons = world(20_000).persons;
    assert_share(&persons, "active", 83.0..=87.0, |p| has_status(p, "ACTIVE"));
    assert_share(&persons, "leave", 2.0..=4.0, |p| has_status(p, "LEAVE"));
    assert_share(&persons, "onboarding", 1.5..=2.5, |p| has_status(p, "ONBOARDING"));
    assert_share(&persons, "left", 8.5..=11.5, |p| has_status(p, "INACTIVE"));
    assert_share(&persons, "inactive", 8.5..=11.5, |p| p.status.as_deref() == Some("INACTIVE"));
    assert_share(&persons, "external", 4.0..=6.0, |p| {
        current(p, |it| it.employment_type.as_deref() == Some("EXTERNAL"))
    });
    assert_share(&persons, "two employments", 4.0..=6.0, |p| p.employments.len() == 2);
    assert_share(&persons, "preferred name", 28.0..=32.0, |p| p.preferred_name.is_some());
    assert_share(&persons, "sparse", 1.5..=2.5, is_sparse);
    assert_share(&persons, "two cost centres", 13.0..=17.0, |p| {
        current(p, |it| it.cost_centers.len() == 2)
    });
    assert_share(&persons, "job", 84.0..=90.0, |p| current(p, |it| it.job.is_some()));
    assert_share(&persons, "not ASCII", 30.0..=70.0, |p| {
        !p.last_name.as_deref().unwrap_or_default().is_ascii()
    });
}

#[test]
fn dates_of_persons_and_employments_are_consistent() {
    let today = TimeZone::UTC.to_datetime(now()).date();
    for person in world(5_000).persons {
        assert!(person.created_at <= person.updated_at && person.updated_at < Some(now()));
        for employment in &person.employments {
            let start = employment.employment_start_date.unwrap();
            assert!(
                employment.created_at <= employment.updated_at
                    && employment.updated_at < Some(now())
            );
            assert!(employment.employment_end_date.is_none_or(|end| start < end));
            match employment.status.as_deref() {
                Some("ONBOARDING") => assert!(start > today),
                Some("INACTIVE") => assert!(employment.employment_end_date.unwrap() < today),
                _ => assert!(
                    start < today && employment.employment_end_date.is_none_or(|end| end >= today)
                ),
            }
            if let Some(termination) = &employment.termination {
                assert!(start < termination.last_working_day.unwrap());
                assert!(termination.last_working_day <= termination.termination_date);
                assert_eq!(termination.termination_date, employment.employment_end_date);
            }
        }
    }
}

#[test]
fn rare_changes_affect_the_expected_number_of_persons() {
    let today = TimeZone::UTC.to_datetime(now()).date();
    let (plain, changed) = (world(1_000), world(1_000).with_rare_changes(1, now()));
    let differs =
        plain.persons.iter().zip(&changed.persons).filter(|(one, other)| one != other).count();
    assert_eq!(differs, 18);
    assert_eq!(changed, world(1_000).with_rare_changes(1, now()));
    assert_eq!(world(50), world(50).with_rare_changes(1, now()));
    let addresses: Vec<_> =
        changed.persons.iter().filter_map(|person| person.email.as_deref()).collect();
    assert_eq!(
        addresses.len() - addresses.iter().collect::<BTreeSet<_>>().len(),
        6,
        "shared by two each"
    );
    let begins = |person: &&SimulatedPerson| {
        person.employments.first().is_some_and(|it| it.employment_start_date == Some(today))
    };
    assert_eq!(changed.persons.iter().filter(begins).count(), 6);
    let withdrawn = |person: &&SimulatedPerson| {
        person.employments.first().is_some_and(|it| {
            it.employment_end_date < it.employment_start_date && it.termination.is_some()
        })
    };
    assert_eq!(
        changed
            .persons
            .iter()
            .filter(|person| person.employments.len() == 1)
            .filter(withdrawn)
            .count(),
        6
    );
}

#[test]
fn supervisors_precede_their_reports_and_only_the_chief_has_none() {
    let persons = world(2_000).persons;
    let mut seen = BTreeSet::new();
    for (index, person) in persons.iter().enumerate() {
        for employment in &person.employments {
            match &employment.supervisor {
                None => assert_eq!(index, 0),
                Some(supervisor) => assert!(seen.contains(supervisor)),
            }
        }
        seen.insert(person.id.clone());
    }
}

#[test]
fn every_person_has_a_date_of_birth_and_a_personnel_number() {
    let persons = world(1_000).persons;
    for person in &persons {
        let with_id =
            |id: &str| person.custom_attributes.iter().find(|attribute| attribute.id == id);
        assert!(with_id("date_of_birth").is_some());
        assert_eq!(with_id("dynamic_777").unwrap().label.as_deref(), Some("Personalnummer"));
    }
    let shirts = persons
        .iter()
        .flat_map(|person| &person.custom_attributes)
        .filter(|it| it.id == "dynamic_778");
    assert!(shirts.clone().count() > 200 && shirts.into_iter().all(|shirt| shirt.value.is_array()));
}

#[test]
fn a_renamed_person_has_another_name_and_a_new_time_of_change() {
    let before = world(1_000);
    let mut renamed = 0;
    for number in 0..50 {
        let mut after = before.clone();
        after.rename_random_person(number, now());
        let mut changed = Vec::new();
        for (old, new) in before.persons.iter().zip(&after.persons) {
            if old != new {
                changed.push((old, new));
            }
        }
        let [(old, new)] = changed.as_slice() else { panic!("{} persons", changed.len()) };
        assert_eq!((&old.id, new.updated_at), (&new.id, Some(now())));
        renamed += usize::from(old.last_name != new.last_name);
    }
    assert!(renamed > 40, "{renamed} of 50 names differ");
    World::empty().rename_random_person(1, now());
}
