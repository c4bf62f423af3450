//! The mass-change guard: what would take something from very many users at once is not served before
//! somebody says that it is right.

use std::time::Duration;

use personio_scim::simulator::{Action, Endpoint, Fault, Person, Quirks};
use serde_json::Value;

use crate::harness::{Bridge, PAUSE_OVER, SHORT, Setup, stamp};

const PERSONIO: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";

/// A bridge that has loaded once, with the default bound.
async fn guarded(persons: usize) -> (Bridge, Vec<Value>) {
    let patient = Duration::from_secs(60);
    let bridge = Setup { cache_ttl: SHORT, refresh_wait: patient, max_change: 0.2, ..Setup::persons(persons) }.start();
    let users = bridge.everybody().await;
    (bridge, users)
}

fn everybody(bridge: &Bridge, change: impl FnMut(&mut Person)) {
    bridge.simulator.with_world(|world| world.persons.iter_mut().for_each(change));
}

/// What `/health/ready` says of the directory; fails unless it is ready.
async fn directory(bridge: &Bridge) -> Value {
    let (status, health) = bridge.health().await;
    assert_eq!(status, 200);
    let held = health["parts"]["directory"].get("heldBack").is_some();
    assert_eq!(health["status"], if held { "degraded" } else { "ok" });
    health["parts"]["directory"].clone()
}

async fn metric(bridge: &Bridge, name: &str) -> String {
    let text = bridge.get("/metrics").await.text;
    let line =
        text.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.split(' ').nth(1).unwrap().to_owned()
}

type Harm = fn(&Bridge);

/// Each kind of loss, and the number that tells it.
const HARMS: [(&str, Harm); 5] = [
    ("disappeared", |bridge| bridge.simulator.with_world(|world| world.persons.truncate(40))),
    ("deactivated", |bridge| {
        everybody(bridge, |person| {
            person.employments.iter_mut().for_each(|employment| employment.status = Some("INACTIVE".into()));
        });
    }),
    ("withoutEmail", |bridge| {
        bridge.simulator.set_quirks(|quirks: &mut Quirks| quirks.hidden_attributes = vec!["email".to_owned()]);
    }),
    ("renamed", |bridge| {
        everybody(bridge, |person| {
            person.email = person.email.take().map(|email| email.replace('@', "@new."));
        });
    }),
    ("withoutEmployment", |bridge| everybody(bridge, |person| person.employments.clear())),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_mass_change_is_held_back_until_it_is_approved() {
    for (number, harm) in HARMS {
        let (bridge, users) = guarded(60).await;
        harm(&bridge);
        bridge.clock.pass(Duration::from_secs(60));
        for _ in 0..3 {
            assert_eq!(bridge.reloaded().await, users, "{number}");
        }
        let told = directory(&bridge).await;
        assert!(told["heldBack"][number].as_u64().unwrap() > 12, "{number}: {told}");
        assert_eq!((&told["status"], &told["heldBack"]["of"]), (&"degraded".into(), &60.into()));
        assert!(told["detail"].as_str().unwrap().contains("a change is held back"), "{told}");
        assert_eq!(metric(&bridge, "personio_scim_changes_held_back_total").await, "1", "once, not for each load");
        assert_eq!(metric(&bridge, "personio_scim_change_is_held_back").await, "1");

        bridge.clock.pass(Duration::from_secs(60));
        bridge.simulator.reset_counts();
        bridge.directory().approve().await;
        let after = bridge.users("?count=10000").await;
        assert_ne!(after["Resources"], Value::Array(users), "{number}");
        assert!(bridge.directory().held_back().is_none());
        let now = stamp(personio_scim::clock::Clock::now(&bridge.clock));
        let resources = after["Resources"].as_array().unwrap();
        if number != "disappeared" {
            assert!(resources.iter().any(|user| user["meta"]["lastModified"] == now), "dated to when it can be seen");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_within_bounds_is_served() {
    // 20 % of 60 are 12; 10 of 20 are more, but few.
    for (persons, gone, served) in [(60, 12, 48), (60, 13, 60), (20, 10, 10), (20, 11, 20)] {
        let (bridge, _) = guarded(persons).await;
        bridge.simulator.with_world(|world| world.persons.truncate(persons - gone));
        assert_eq!(bridge.reloaded().await.len(), served, "{gone} of {persons}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_load_within_bounds_releases_it() {
    let (bridge, users) = guarded(60).await;
    bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes = vec!["email".to_owned()]);
    assert_eq!(bridge.reloaded().await, users);
    assert!(directory(&bridge).await["heldBack"].is_object());
    bridge.simulator.set_quirks(|quirks| quirks.hidden_attributes.clear());
    bridge.simulator.with_world(|world| world.persons.truncate(59));
    let left: Vec<_> = users.iter().filter(|user| is_left(&bridge, user)).cloned().collect();
    assert_eq!(bridge.reloaded().await, left);
    assert!(directory(&bridge).await.get("heldBack").is_none());
    bridge.directory().approve().await;
    assert_eq!(bridge.everybody().await.len(), 59, "there is nothing to approve any more");
    // The next one is another, and counted again.
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.reloaded().await.len(), 59);
    assert_eq!(metric(&bridge, "personio_scim_changes_held_back_total").await, "2");
}

fn is_left(bridge: &Bridge, user: &Value) -> bool {
    bridge.simulator.with_world(|world| world.persons.iter().any(|person| user["id"] == person.id.as_str()))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cannot_go_a_few_at_a_time_as_they_are_confirmed() {
    let (bridge, users) = guarded(1000).await;
    // 230 of 1,000: more than a fifth, of whom 200 are confirmed in one load.
    bridge.simulator.with_world(|world| world.persons.truncate(770));
    for _ in 0..3 {
        assert_eq!(bridge.reloaded().await.len(), users.len());
    }
    assert_eq!(directory(&bridge).await["heldBack"]["disappeared"], 230);
    bridge.directory().approve().await;
    assert_eq!(bridge.everybody().await.len(), 770);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_small_parts_adds_up() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let setup = Setup { cache_ttl: SHORT, max_change: 0.2, employment_recheck: hour, ..Setup::persons(120) };
    let bridge = setup.start();
    let active = async || bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap();
    bridge.everybody().await;
    let before = active().await;
    // No person is touched, so a twelfth of the employments is read every five minutes.
    everybody(&bridge, |person| {
        person.employments.iter_mut().for_each(|employment| employment.status = Some("INACTIVE".into()));
    });
    for _ in 0..24 {
        bridge.clock.pass(5 * minute);
        bridge.reloaded().await;
        assert!(before - active().await <= 24, "a fifth of 120");
    }
    assert!(directory(&bridge).await["heldBack"]["deactivated"].as_u64().unwrap() > 24);
    assert_eq!(metric(&bridge, "personio_scim_changes_held_back_total").await, "1");
    bridge.directory().approve().await;
    assert_eq!(active().await, 0);
    bridge.clock.pass(5 * minute);
    bridge.reloaded().await;
    assert!(directory(&bridge).await.get("heldBack").is_none(), "what was approved is what is compared with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_list_changes_nothing_even_if_nobody_can_be_confirmed() {
    let (bridge, users) = guarded(120).await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge.simulator.fail(Fault::on(Endpoint::Person, Action::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(directory(&bridge).await["heldBack"]["disappeared"], 70);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_does_not_make_old_data_good_for_ever() {
    const TTL: Duration = Duration::from_secs(2);
    let hour = Duration::from_secs(3600);
    let bridge = Setup { cache_ttl: TTL, max_change: 0.2, max_stale: hour, ..Setup::persons(60) }.start();
    let users = bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.clock.pass(hour);
    tokio::time::sleep(TTL).await;
    assert_eq!(bridge.everybody().await, users);
    bridge.clock.pass(Duration::from_secs(1));
    tokio::time::sleep(TTL).await;
    let detail = bridge.get("/Users").await.scim_error(503, None);
    assert!(detail.contains("held back"), "{detail}");
    let (status, health) = bridge.health().await;
    assert_eq!((status, &health["parts"]["personio"]["status"]), (503, &"ok".into()), "no load has failed: {health}");
    assert_eq!(health["parts"]["directory"]["heldBack"]["disappeared"], 40, "it can be approved");
    bridge.simulator.reset_counts();
    bridge.get("/Users").await.scim_error(503, None);
    assert!(bridge.simulator.log().is_empty(), "no load before the time to live is over");
    bridge.directory().approve().await;
    assert_eq!(bridge.everybody().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_not_made_to_wait_and_loads_keep_their_rhythm() {
    let bridge = Setup { max_change: 0.2, cache_ttl: Duration::from_secs(2), ..Setup::persons(60) }.start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    tokio::time::sleep(Duration::from_millis(2010)).await;
    bridge.simulator.reset_counts();
    for _ in 0..20 {
        assert_eq!(bridge.everybody().await.len(), 60);
    }
    assert!(bridge.simulator.requests(Endpoint::Persons) <= 2, "no load for each who asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_that_vanish_take_nothing_from_a_few() {
    let (bridge, users) = guarded(60).await;
    bridge.simulator.with_world(|world| world.persons[5].employments.clear());
    let id = bridge.simulator.with_world(|world| world.persons[5].id.clone());
    let after = bridge.reloaded().await;
    let user = after.iter().find(|user| user["id"] == id.as_str()).unwrap();
    assert!(user.get(PERSONIO).is_none(), "one person may really have none");
    assert_eq!(after.len(), users.len());
    bridge.clock.pass(PAUSE_OVER);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_served_is_no_loss() {
    let mut setup = Setup { cache_ttl: SHORT, max_change: 0.2, ..Setup::persons(60) };
    setup.policy.require_email = true;
    setup.world.persons.iter_mut().take(15).for_each(|person| person.email = None);
    let bridge = setup.start();
    let users = bridge.everybody().await;
    assert_eq!(users.len(), 45);
    bridge.simulator.with_world(|world| world.persons.drain(..15).count());
    bridge.simulator.fail(Fault::on(Endpoint::Person, Action::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    assert!(directory(&bridge).await.get("heldBack").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_approval_nothing_is_amiss() {
    let (bridge, _) = guarded(60).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.reloaded().await;
    bridge.directory().approve().await;
    let (status, health) = bridge.health().await;
    assert_eq!((status, &health["status"], &health["parts"]["personio"]["status"]), (200, &"ok".into(), &"ok".into()));
    assert_eq!(metric(&bridge, "personio_scim_change_is_held_back").await, "0");
    assert_eq!(metric(&bridge, "personio_scim_loads_total{outcome=\"failed\"}").await, "0");
}
