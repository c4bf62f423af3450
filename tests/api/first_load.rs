//! Tests of the very first load when the credential lacks a right to read important attributes.

use personio_scim::simulator::{SimulatedPerson, World};

use crate::harness::{AFTER_COOL_DOWN, NOW, Setup};

fn without(what: fn(&mut SimulatedPerson), persons: usize) -> World {
    let mut world = World::generate(60, 1, NOW.parse().unwrap());
    world.persons.iter_mut().take(persons).for_each(what);
    world
}

fn status(person: &mut SimulatedPerson) {
    person.status = None;
    person.employments.iter_mut().for_each(|employment| employment.status = None);
}

fn email(person: &mut SimulatedPerson) {
    person.email = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_that_mostly_lacks_an_essential_attribute_fails() {
    for (what, attribute) in
        [(status as fn(&mut SimulatedPerson), "attribute Status"), (email, "attribute Email")]
    {
        let bridge = Setup { max_change: 0.2, ..Setup::of(without(what, 45)) }.start();
        let failure = bridge.failure().await;
        assert!(failure.contains(attribute), "{failure}");
        let answer = bridge.get("/Users").await;
        // Clients do not see advice for operators.
        let detail = answer.scim_error(503, None);
        assert!(!detail.contains(attribute), "{detail}");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        assert_eq!(bridge.health().await.0, 503, "{attribute}");
        // Single users are not served either, during the cool-down and after it.
        let one = bridge.simulator.with_world(|world| world.persons[0].id.clone());
        for _ in 0..3 {
            bridge.get(&format!("/Users/{one}")).await.scim_error(503, None);
            bridge.clock.pass(AFTER_COOL_DOWN);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_succeeds_if_permitted_or_if_fewer_lack_it() {
    for (max_change, persons) in [(1.0, 60), (0.2, 25)] {
        for what in [status as fn(&mut SimulatedPerson), email] {
            let bridge = Setup { max_change, ..Setup::of(without(what, persons)) }.start();
            bridge.ready().await;
            assert_eq!(bridge.all_users().await.len(), 60, "{max_change}");
        }
    }
}

/// Checks that a load after the first one is compared with the served data instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_losing_a_right_later_causes_a_held_change() {
    let setup =
        Setup { max_change: 0.2, cache_ttl: crate::harness::SHORT_TTL, ..Setup::persons(60) };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.iter_mut().for_each(email));
    assert_eq!(bridge.reloaded().await, users);
    let held = &bridge.health().await.1["parts"]["directory"]["heldBack"];
    assert!(held["withoutEmail"].as_u64().unwrap() > 50, "{held}");
}
