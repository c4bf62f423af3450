//! Tests of the very first load when the credential lacks a right to read important attributes.

use personio_scim::simulator::{Person, World};

use crate::harness::{NOW, PAUSE_OVER, Setup};

fn without(what: fn(&mut Person), persons: usize) -> World {
    let mut world = World::generate(60, 1, NOW.parse().unwrap());
    world.persons.iter_mut().take(persons).for_each(what);
    world
}

fn status(person: &mut Person) {
    person.status = None;
    person.employments.iter_mut().for_each(|employment| employment.status = None);
}

fn email(person: &mut Person) {
    person.email = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_company_that_mostly_lacks_what_matters_is_not_served_and_the_attribute_is_named() {
    for (what, attribute) in
        [(status as fn(&mut Person), "attribute Status"), (email, "attribute Email")]
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
            bridge.clock.pass(PAUSE_OVER);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_served_where_the_operator_says_that_it_is_so_and_where_fewer_lack_it() {
    for (max_change, persons) in [(1.0, 60), (0.2, 25)] {
        for what in [status as fn(&mut Person), email] {
            let bridge = Setup { max_change, ..Setup::of(without(what, persons)) }.start();
            bridge.ready().await;
            assert_eq!(bridge.everybody().await.len(), 60, "{max_change}");
        }
    }
}

/// Checks that a load after the first one is compared with the served data instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_loses_an_access_right_later_is_held_back() {
    let setup = Setup { max_change: 0.2, cache_ttl: crate::harness::SHORT, ..Setup::persons(60) };
    let bridge = setup.start();
    let users = bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.iter_mut().for_each(email));
    assert_eq!(bridge.reloaded().await, users);
    let held = &bridge.health().await.1["parts"]["directory"]["heldBack"];
    assert!(held["withoutEmail"].as_u64().unwrap() > 50, "{held}");
}
