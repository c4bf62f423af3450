//! Tests of the generated company.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::tz::TimeZone;

use crate::simulator::tests::{now, world};
use crate::simulator::{Employment, Person, World};

#[test]
fn the_same_seed_gives_the_same_company() {
    assert_eq!(World::generate(500, 7, now()), World::generate(500, 7, now()));
    assert_ne!(World::generate(500, 7, now()).persons, World::generate(500, 8, now()).persons);
}

#[test]
fn every_size_has_its_persons() {
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
fn ids_and_addresses_are_unique_and_plain() {
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

#[test]
fn the_shares_are_believable() {
    let persons = world(20_000).persons;
    let current = |person: &Person, test: &dyn Fn(&Employment) -> bool| {
        person.employments.first().is_some_and(test)
    };
    let has_status =
        |status: &'static str| move |it: &Employment| it.status.as_deref() == Some(status);
    let share = |name: &str, passes: &dyn Fn(&Person) -> bool, expected: RangeInclusive<f64>| {
        let percent = persons.iter().filter(|person| passes(person)).count() as f64 / 200.0;
        assert!(expected.contains(&percent), "{name}: {percent}");
    };
    share("active", &|p| current(p, &has_status("ACTIVE")), 83.0..=87.0);
    share("leave", &|p| current(p, &has_status("LEAVE")), 2.0..=4.0);
    share("onboarding", &|p| current(p, &has_status("ONBOARDING")), 1.5..=2.5);
    share("left", &|p| current(p, &has_status("INACTIVE")), 8.5..=11.5);
    share("inactive", &|p| p.status.as_deref() == Some("INACTIVE"), 8.5..=11.5);
    share("external", &|p| current(p, &|it| it.kind.as_deref() == Some("EXTERNAL")), 4.0..=6.0);
    share("two employments", &|p| p.employments.len() == 2, 4.0..=6.0);
    share("preferred name", &|p| p.preferred_name.is_some(), 28.0..=32.0);
    let sparse = |p: &Person| {
        p.email.is_none()
            || p.last_name.is_none()
            || current(p, &|it| it.position.is_none())
            || p.employments.is_empty()
    };
    share("sparse", &sparse, 1.5..=2.5);
    share("two cost centres", &|p| current(p, &|it| it.cost_centers.len() == 2), 13.0..=17.0);
    share("not ASCII", &|p| !p.last_name.as_deref().unwrap_or_default().is_ascii(), 30.0..=70.0);
}

#[test]
fn dates_fit_each_other() {
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
fn a_few_have_a_rare_story_and_the_others_are_as_they_were() {
    let today = TimeZone::UTC.to_datetime(now()).date();
    let (plain, changed) = (world(1_000), world(1_000).with_changes(1, now()));
    let differs =
        plain.persons.iter().zip(&changed.persons).filter(|(one, other)| one != other).count();
    assert_eq!(differs, 18);
    assert_eq!(changed, world(1_000).with_changes(1, now()));
    assert_eq!(world(50), world(50).with_changes(1, now()));
    let addresses: Vec<_> =
        changed.persons.iter().filter_map(|person| person.email.as_deref()).collect();
    assert_eq!(
        addresses.len() - addresses.iter().collect::<BTreeSet<_>>().len(),
        6,
        "shared by two each"
    );
    let begins = |person: &&Person| {
        person.employments.first().is_some_and(|it| it.employment_start_date == Some(today))
    };
    assert_eq!(changed.persons.iter().filter(begins).count(), 6);
    let withdrawn = |person: &&Person| {
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
fn everybody_but_the_chief_reports_to_somebody_who_was_there_before() {
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
fn everybody_has_something_private_and_a_personnel_number() {
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
