//! What is served while data is fresh, old, too old or not there yet, and what that costs upstream.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use personio_scim::simulator::{Action, Endpoint, Fault};
use serde_json::Value;

use crate::harness::{Bridge, PAUSE_OVER, SHORT, Setup, by_id, until};

/// Requests for persons so far.
fn loads(bridge: &Bridge) -> usize {
    bridge.simulator.requests(Endpoint::Persons)
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_data_costs_nothing() {
    let bridge = Setup::persons(30).start();
    let users = bridge.everybody().await;
    bridge.simulator.reset_counts();
    for user in &users {
        let answer = bridge.get(&format!("/Users/{}", user["id"].as_str().unwrap())).await;
        assert_eq!(&answer.json(), user);
    }
    bridge.users("?count=1").await;
    bridge.get("/Groups").await;
    assert!(bridge.simulator.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_data_is_refreshed_once_for_all_who_ask() {
    let mut setup = Setup { cache_ttl: Duration::from_millis(300), ..Setup::persons(30) };
    setup.options.latency = Duration::from_millis(10);
    let bridge = setup.start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.everybody().await.len(), 30, "still fresh");
    tokio::time::sleep(Duration::from_millis(310)).await;
    let pages = join_all((0..50).map(|_| bridge.users("?count=0"))).await;
    assert!(pages.iter().all(|page| page["totalResults"] == 20), "all waited for the new data");
    assert_eq!(loads(&bridge), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_only_so_long_and_then_gets_what_there_is() {
    let bridge = Setup { cache_ttl: SHORT, refresh_wait: Duration::from_secs(1), ..Setup::persons(3) }.start();
    let users = bridge.everybody().await;
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
    tokio::time::sleep(SHORT).await;
    let start = Instant::now();
    let asked = tokio::spawn(bridge.request(reqwest::Method::GET, "/Users").send());
    until("the refresh began", async || loads(&bridge) == 2).await;
    // The clock of ages stands still in tests: what has passed since the refresh began is told to it.
    bridge.clock.pass(Duration::from_secs(1));
    let page: Value = serde_json::from_str(&asked.await.unwrap().unwrap().text().await.unwrap()).unwrap();
    assert_eq!(page["Resources"], Value::Array(users.clone()));
    assert!(start.elapsed() >= Duration::from_secs(1), "it waited");
    assert_eq!(bridge.everybody().await, users);
    assert_eq!(loads(&bridge), 2, "the same refresh is still under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_refresh_keeps_the_old_data_and_is_followed_by_a_pause() {
    let bridge = Setup { cache_ttl: SHORT, ..Setup::persons(30) }.start();
    let users = bridge.everybody().await;
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    bridge.failure().await;
    bridge.simulator.reset_counts();
    for _ in 0..20 {
        assert_eq!(bridge.everybody().await, users);
        assert_eq!(bridge.get(&format!("/Users/{}", users[0]["id"].as_str().unwrap())).await.status, 200);
    }
    assert!(bridge.simulator.log().is_empty(), "an outage is not made worse by those who ask");
    bridge.clock.pass(PAUSE_OVER);
    assert_eq!(bridge.everybody().await, users);
    assert!(loads(&bridge) > 0, "after the pause it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_too_old_is_not_served() {
    let setup = Setup { cache_ttl: SHORT, max_stale: Duration::from_secs(3600), ..Setup::persons(30) };
    let bridge = setup.start();
    let users = bridge.everybody().await;
    bridge.simulator.fail(Fault::everywhere(Action::Status(500)));
    bridge.clock.pass(Duration::from_secs(3600));
    assert_eq!(bridge.reloaded().await, users);
    bridge.clock.pass(Duration::from_secs(1));
    let answer = bridge.get("/Users").await;
    answer.scim_error(503, None);
    assert!((1..=15).contains(&answer.header("retry-after").parse::<u64>().unwrap()), "{:?}", answer.headers);
    bridge.get(&format!("/Users/{}", users[0]["id"].as_str().unwrap())).await.scim_error(503, None);
    assert_eq!(bridge.health().await.0, 503);
    bridge.simulator.heal();
    bridge.clock.pass(PAUSE_OVER);
    assert_eq!(bridge.everybody().await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_asked_for_too_early_hears_how_far_the_load_is() {
    let setup = Setup { refresh_wait: Duration::from_millis(100), ..Setup::persons(60) };
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Employments, Action::Hang).skip(25));
    let bridge = setup.start_with(simulator);
    until("25 employments were read", async || bridge.simulator.requests(Endpoint::Employments) > 40).await;
    let answer = bridge.get("/Users").await;
    let detail = answer.scim_error(503, None);
    assert!(detail.contains("25 of 60 persons read"), "{detail}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_first_load_is_not_repeated_for_every_caller() {
    let setup = Setup::persons(30);
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Status(403)));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    bridge.simulator.reset_counts();
    for _ in 0..10 {
        bridge.get("/Users").await.scim_error(503, None);
        bridge.get("/Users/1220426").await.scim_error(503, None);
        assert_eq!(bridge.health().await.0, 503);
    }
    assert!(bridge.simulator.log().is_empty());
    // Nobody sends requests to a server that is not ready: that it is asked whether it is, must do.
    bridge.simulator.heal();
    bridge.clock.pass(PAUSE_OVER);
    bridge.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_is_no_snapshot_one_person_alone_is_fetched() {
    let setup = Setup::persons(60);
    let later = Setup::persons(60).start().everybody().await;
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
    let bridge = setup.start_with(simulator);
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let extension = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";
    let managed = later.iter().find(|user| user[enterprise]["manager"].is_object()).unwrap();
    let path = format!("/Users/{}", managed["id"].as_str().unwrap());
    until("names were read", async || bridge.simulator.requests(Endpoint::CostCenters) == 1).await;

    let answers = join_all((0..20).map(|_| bridge.get(&path))).await;
    assert_eq!((bridge.simulator.requests(Endpoint::Person), bridge.simulator.requests(Endpoint::Employments)), (1, 1));
    for answer in answers {
        let mut user = answer.json();
        for member in ["id", "externalId", "userName", "name", "displayName", "title", "active", "emails", "userType"] {
            assert_eq!(user[member], managed[member], "{member}");
        }
        let mut expected = managed.clone();
        for user in [&mut user, &mut expected] {
            let manager = user[enterprise]["manager"].as_object_mut().unwrap();
            manager.remove("displayName");
            manager.remove("$ref");
            user[extension].as_object_mut().unwrap().remove("managerEmail");
        }
        assert_eq!((&user[enterprise], &user[extension]), (&expected[enterprise], &expected[extension]));
    }
    bridge.get("/Users/1").await.scim_error(404, None);
    assert_eq!(bridge.simulator.requests(Endpoint::Person), 2);
    assert_eq!(loads(&bridge), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_must_be_certain_that_a_person_does_not_exist() {
    for (action, status) in [
        (Action::NotFoundResource, 404),
        (Action::NotFoundRoute, 503),
        (Action::Html(404), 503),
        (Action::Status(500), 503),
        (Action::Status(401), 503),
        (Action::WrongJson, 503),
    ] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
        simulator.fail(Fault::on(Endpoint::Person, action.clone()));
        let bridge = setup.start_with(simulator);
        let answer = bridge.get("/Users/1").await;
        assert_eq!(answer.status.as_u16(), status, "{action:?}: {}", answer.text);
        answer.scim_error(status, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_single_users_do_not_crowd_out_the_load() {
    let setup = Setup::persons(60);
    let ids: Vec<String> = setup.world.persons.iter().map(|person| person.id.clone()).collect();
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
    simulator.set_latency(Duration::from_millis(20));
    let bridge = setup.start_with(simulator);
    let ask = async |id: &String| bridge.get(&format!("/Users/{id}")).await.status;
    let answers = join_all(ids.iter().map(ask)).await;
    assert!(answers.iter().all(|status| *status == 200));
    let most = bridge.simulator.max_in_flight();
    assert!(most <= 4 * 2 + 6, "four at once, two requests each, and what the load itself asks: {most}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_an_id_is_asked_for_nowhere() {
    let setup = Setup::persons(3);
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
    let bridge = setup.start_with(simulator);
    for id in ["..%2F1", "%2E%2E", "a%20b", "1%2F2", "%00", "%F0%9F%A6%80", &"9".repeat(65), "1%3Fx=1", "1;2"] {
        let answer = bridge.get(&format!("/scim/v2/Users/{id}")).await;
        answer.scim_error(404, None);
    }
    assert_eq!(bridge.simulator.requests(Endpoint::Person) + bridge.simulator.requests(Endpoint::Unknown), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_moves_exactly_when_something_emitted_does() {
    let bridge = Setup { cache_ttl: SHORT, ..Setup::persons(60) }.start();
    let first = bridge.everybody().await;
    bridge.clock.pass(Duration::from_secs(600));
    bridge.simulator.with_world(|world| world.persons.iter_mut().for_each(|person| person.gender = Some("x".into())));
    assert_eq!(bridge.reloaded().await, first, "nothing that is emitted has changed");

    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let manager = |user: &Value| user[enterprise]["manager"]["value"].as_str().map(str::to_owned);
    let boss = first.iter().find_map(manager).unwrap();
    bridge.simulator.with_world(|world| {
        let person = world.persons.iter_mut().find(|person| person.id == boss).unwrap();
        person.preferred_name = Some("The Boss".to_owned());
    });
    let second = bridge.reloaded().await;
    let now = bridge.clock.clone();
    let now = personio_scim::clock::Clock::now(&now).to_string();
    for (before, after) in first.iter().zip(&second) {
        assert_eq!(before["id"], after["id"], "the order stays");
        let is_touched = after["id"] == boss.as_str() || manager(after).as_deref() == Some(&boss);
        assert_eq!(before["meta"]["version"] != after["meta"]["version"], is_touched, "{after}");
        let expected = if is_touched { Value::from(now.as_str()) } else { before["meta"]["lastModified"].clone() };
        assert_eq!(after["meta"]["lastModified"], expected);
        if is_touched && after["id"] != boss.as_str() {
            assert_eq!(after[enterprise]["manager"]["displayName"], "The Boss");
        }
    }

    // A renamed department moves its members once the names are read again.
    bridge.clock.pass(Duration::from_secs(24 * 3600));
    bridge.simulator.with_world(|world| world.org_units.iter_mut().for_each(|unit| unit.name.push_str(" (new)")));
    let third = bridge.reloaded().await;
    for (before, after) in second.iter().zip(&third) {
        let is_member = after[enterprise]["department"].is_string();
        assert_eq!(before["meta"]["version"] != after["meta"]["version"], is_member, "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_is_gone_disappears() {
    let bridge = Setup { cache_ttl: SHORT, ..Setup::persons(60) }.start();
    let users = bridge.everybody().await;
    let (gone, left) = (users[7]["id"].as_str().unwrap(), users[8]["id"].as_str().unwrap());
    bridge.simulator.with_world(|world| {
        world.persons.retain(|person| person.id != gone);
        let person = world.persons.iter_mut().find(|person| person.id == left).unwrap();
        person.status = Some("INACTIVE".to_owned());
        person.employments.iter_mut().for_each(|employment| employment.status = Some("INACTIVE".to_owned()));
    });
    let now = bridge.reloaded().await;
    assert_eq!(now.len(), 59);
    assert_eq!(by_id(&now, left)["active"], false, "a leaver stays listed");
    bridge.get(&format!("/Users/{gone}")).await.scim_error(404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_through_pages_sees_one_snapshot() {
    let bridge = Setup { cache_ttl: SHORT, ..Setup::persons(60) }.start();
    let users = bridge.everybody().await;
    let mut walked = bridge.users("?startIndex=1&count=20").await["Resources"].as_array().unwrap().clone();
    bridge.simulator.with_world(|world| world.persons.retain(|person| person.id != users[3]["id"].as_str().unwrap()));
    assert_eq!(bridge.reloaded().await.len(), 59, "another client sees the new snapshot");
    for start in [21, 41] {
        let page = bridge.users(&format!("?startIndex={start}&count=20")).await;
        assert_eq!(page["totalResults"], 60);
        walked.extend(page["Resources"].as_array().unwrap().clone());
    }
    assert_eq!(walked, users, "nobody twice, nobody missing");
    assert_eq!(bridge.users("?startIndex=1&count=20").await["totalResults"], 59, "a new walk sees the new one");
    assert_eq!(bridge.users("?startIndex=21&count=20").await["totalResults"], 59);
}
