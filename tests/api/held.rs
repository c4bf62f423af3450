//! What was held back is not served, and must not become the truth by another way either.

use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use personio_scim::simulator::{Action, Employment, Endpoint, Fault, Person};

use crate::harness::{SHORT, Setup, TestClock, by_id, first_page};

const PERSONIO: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";
const HOUR: Duration = Duration::from_secs(3600);

/// The guard of default size over so many persons.
fn guarded(persons: usize) -> Setup {
    Setup { cache_ttl: SHORT, max_change: 0.2, employment_recheck: HOUR, ..Setup::persons(persons) }
}

/// The same, with one more person, who becomes active on the 24th of November.
fn dated(persons: usize, now: &str) -> Setup {
    let mut setup = guarded(persons);
    let newcomer = Person {
        id: "1".into(),
        email: Some("1@example.com".into()),
        employments: vec![Employment {
            id: "e1".into(),
            status: Some("ONBOARDING".into()),
            employment_start_date: Some(date(2026, 12, 8)),
            ..Employment::default()
        }],
        ..Person::default()
    };
    setup.world.persons.insert(0, newcomer);
    setup.policy.active_before_start_days = Some(14);
    setup.policy.time_zone = TimeZone::get("Europe/Berlin").unwrap();
    setup.clock = TestClock::at(now);
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_wrongly_inactive_is_not_deactivated_once_personio_is_right_again() {
    let setup = guarded(60);
    let bridge = setup.start();
    let users = bridge.everybody().await;
    let before = bridge.simulator.with_world(|world| {
        let before = world.persons.clone();
        world.persons.iter_mut().for_each(|person| {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        });
        before
    });
    bridge.clock.pass(HOUR);
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_back().is_some());
    bridge.simulator.with_world(|world| world.persons = before);
    for load in 1..=12 {
        bridge.clock.pass(Duration::from_secs(300));
        let now = bridge.reloaded().await;
        let lost = now.iter().zip(&users).filter(|(now, was)| was["active"] == true && now["active"] == false).count();
        assert_eq!(lost, 0, "{} minutes after Personio is right again", load * 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_no_last_good_enrichment() {
    let bridge = guarded(60).start();
    let users = bridge.everybody().await;
    let before = bridge.simulator.with_world(|world| {
        let before = world.persons.clone();
        world.persons.iter_mut().for_each(|person| person.employments.clear());
        before
    });
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_back().is_some());
    bridge.simulator.with_world(|world| world.persons = before.clone());
    for person in before.iter().take(10) {
        bridge.simulator.fail(Fault::on(Endpoint::Employments, Action::Status(500)).person(&person.id));
    }
    let now = bridge.reloaded().await;
    let bare: Vec<_> = now.iter().filter(|user| user.get(PERSONIO).is_none()).map(|user| &user["id"]).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_gone_then_is_asked_for_again() {
    let bridge = guarded(60).start();
    let users = bridge.everybody().await;
    let page = first_page(&bridge).await;
    let gone = bridge.simulator.with_world(|world| world.persons.split_off(20));
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_back().is_some());
    bridge.simulator.with_world(|world| world.persons.extend(gone));
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Body(200, "application/json", page)));
    bridge.simulator.reset_counts();
    let now = bridge.reloaded().await;
    assert_eq!(now.len(), 60, "asked for {}", bridge.simulator.requests(Endpoint::Person));
}

#[tokio::test(flavor = "multi_thread")]
async fn midnight_does_not_hold_back_what_was_approved() {
    let bridge = dated(119, "2026-11-23T22:00:00Z").start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge.simulator.fail(Fault::on(Endpoint::Person, Action::Status(500)));
    bridge.reloaded().await;
    assert_eq!(bridge.directory().held_back().unwrap().losses.disappeared, 70);
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Status(403)));
    bridge.directory().approve().await;
    bridge.clock.pass(HOUR + Duration::from_secs(1));
    let active = by_id(&bridge.reloaded().await, "1")["active"].clone();
    let held = bridge.directory().held_back();
    assert!(active == true && held.is_none(), "{active} {held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_is_not_held_back_again() {
    let bridge = guarded(120).start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge.simulator.fail(Fault::on(Endpoint::Person, Action::Status(500)));
    bridge.reloaded().await;
    bridge.directory().approve().await;
    bridge.reloaded().await;
    assert!(bridge.directory().held_back().is_none(), "{:?}", bridge.directory().held_back());
}

#[tokio::test(flavor = "multi_thread")]
async fn midnight_approves_nothing() {
    let setup = Setup { max_stale: 100 * HOUR, ..dated(60, "2026-11-23T19:30:00Z") };
    let bridge = setup.start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(51));
    assert_eq!(bridge.reloaded().await.len(), 51);
    bridge.clock.pass(HOUR);
    bridge.simulator.with_world(|world| world.persons.truncate(41));
    assert_eq!(bridge.reloaded().await.len(), 51);
    assert!(bridge.directory().held_back().is_some());
    bridge.clock.pass(2 * HOUR);
    assert_eq!(bridge.reloaded().await.len(), 51, "held back as long as nobody approves");
    assert!(bridge.directory().held_back().is_some());
    bridge.clock.pass(HOUR);
    for _ in 0..3 {
        assert_eq!(bridge.reloaded().await.len(), 51, "midnight has approved it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_add_up_over_two_hours_only() {
    let bridge = Setup { max_stale: 100 * HOUR, ..guarded(60) }.start();
    bridge.everybody().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    assert_eq!(bridge.reloaded().await.len(), 50);
    bridge.clock.pass(20 * HOUR);
    bridge.simulator.with_world(|world| world.persons.truncate(40));
    let left = bridge.reloaded().await.len();
    assert_eq!(left, 40, "{:?}", bridge.directory().held_back());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_new_meanwhile_is_read_once() {
    let bridge = guarded(60).start();
    let users = bridge.everybody().await;
    bridge.simulator.with_world(|world| {
        world.persons.truncate(30);
        world.persons.extend((1..=5).map(|id| Person {
            id: id.to_string(),
            email: Some(format!("{id}@example.com")),
            ..Person::default()
        }));
    });
    for (employments, loads) in [(5, "the first"), (0, "the second"), (0, "the third")] {
        bridge.simulator.reset_counts();
        assert_eq!(bridge.reloaded().await, users, "{loads} is held back");
        let asked = |endpoint| bridge.simulator.requests(endpoint);
        assert_eq!((asked(Endpoint::Person), asked(Endpoint::Employments)), (30, employments), "in {loads}");
    }
    bridge.directory().approve().await;
    bridge.simulator.reset_counts();
    assert_eq!(bridge.reloaded().await.len(), 35);
    assert_eq!(bridge.simulator.requests(Endpoint::Person), 0, "nobody is missing any more");
}
