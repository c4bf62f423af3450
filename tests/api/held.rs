//! Tests that a held change is not served, and does not take effect in any other way.

use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use personio_scim::directory::ChangeKind;
use personio_scim::scim::PERSONIO_USER_SCHEMA as PERSONIO;
use personio_scim::simulator::{
    FaultAction, InjectedFault, ResponseGate, SimulatedEmployment, SimulatedEndpoint,
    SimulatedPerson,
};
use reqwest::Method;

use crate::harness::{
    AFTER_COOL_DOWN, SHORT_TTL, Setup, TestClock, TestServer, by_id, first_page, wait_until,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a setup with `persons` persons and the default threshold of the guard.
fn guarded(persons: usize) -> Setup {
    Setup {
        cache_ttl: SHORT_TTL,
        max_change: 0.2,
        employment_recheck: HOUR,
        ..Setup::persons(persons)
    }
}

/// Returns the setup of [`guarded`] with one more person, who becomes active on 24 November.
fn dated(persons: usize, now: &str) -> Setup {
    let mut setup = guarded(persons);
    let newcomer = SimulatedPerson {
        id: "1".into(),
        email: Some("1@example.com".into()),
        employments: vec![SimulatedEmployment {
            id: "e1".into(),
            status: Some("ONBOARDING".into()),
            employment_start_date: Some(date(2026, 12, 8)),
            ..SimulatedEmployment::default()
        }],
        ..SimulatedPerson::default()
    };
    setup.world.persons.insert(0, newcomer);
    setup.policy.active_before_start_days = Some(14);
    setup.policy.time_zone = TimeZone::get("Europe/Berlin").unwrap();
    setup.clock = TestClock::at(now);
    setup
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrongly_inactive_user_stays_active_after_personio_recovers() {
    let setup = guarded(60);
    let bridge = setup.start();
    let users = bridge.all_users().await;
    let before = bridge.simulator.with_world(|world| {
        let before = world.persons.clone();
        world.persons.iter_mut().for_each(|person| {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        });
        before
    });
    bridge.clock.pass(HOUR);
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_change().is_some());
    bridge.simulator.with_world(|world| world.persons = before);
    for load in 1..=12 {
        bridge.clock.pass(Duration::from_secs(300));
        let now = bridge.reloaded().await;
        let lost = now
            .iter()
            .zip(&users)
            .filter(|(now, was)| was["active"] == true && now["active"] == false)
            .count();
        assert_eq!(lost, 0, "{} minutes after Personio is right again", load * 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn held_employments_are_not_reused_as_last_good_ones() {
    let bridge = guarded(60).start();
    let users = bridge.all_users().await;
    let before = bridge.simulator.with_world(|world| {
        let before = world.persons.clone();
        world.persons.iter_mut().for_each(|person| person.employments.clear());
        before
    });
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_change().is_some());
    bridge.simulator.with_world(|world| world.persons = before.clone());
    for person in before.iter().take(10) {
        bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(500))
                .person(&person.id),
        );
    }
    let now = bridge.reloaded().await;
    let bare: Vec<_> =
        now.iter().filter(|user| user.get(PERSONIO).is_none()).map(|user| &user["id"]).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_load_after_a_held_one_reads_again_what_was_different() {
    const CHANGED: usize = 30;
    let bridge = guarded(60).start();
    bridge.all_users().await;
    let changed = bridge.simulator.with_world(|world| {
        let mut changed = Vec::new();
        for person in world.persons.iter_mut().take(CHANGED) {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
            changed.push(person.id.clone());
        }
        changed
    });
    // Webhooks alone cause the first read: the list of persons is the same, and no recheck is due.
    for id in changed {
        let notice = format!(
            r#"{{"event_name": "employment.updated", "payload": {{"person_id": "{id}"}}}}"#
        );
        bridge.directory().handle_webhook(notice.as_bytes()).unwrap();
    }
    bridge.reloaded().await;
    let held = bridge.directory().held_change().unwrap();
    let deactivated = held.losses.users_with(ChangeKind::Deactivated);
    for _ in 0..2 {
        bridge.simulator.reset_history();
        bridge.reloaded().await;
        let read = bridge.simulator.request_count(SimulatedEndpoint::Employments);
        assert!((deactivated..=CHANGED).contains(&read), "{read}");
        assert_eq!(bridge.directory().held_change().unwrap().id, held.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_gone_in_a_held_load_are_checked_again() {
    let bridge = guarded(60).start();
    let users = bridge.all_users().await;
    let page = first_page(&bridge).await;
    let gone = bridge.simulator.with_world(|world| world.persons.split_off(20));
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.directory().held_change().is_some());
    bridge.simulator.with_world(|world| world.persons.extend(gone));
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::CustomBody(200, "application/json", page),
    ));
    bridge.simulator.reset_history();
    let now = bridge.reloaded().await;
    assert_eq!(
        now.len(),
        60,
        "asked for {}",
        bridge.simulator.request_count(SimulatedEndpoint::Person)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_keeps_an_approved_change() {
    let bridge = dated(119, "2026-11-23T22:00:00Z").start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    bridge.reloaded().await;
    assert_eq!(
        bridge.directory().held_change().unwrap().losses.users_with(ChangeKind::Disappeared),
        70
    );
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.approve().await;
    bridge.clock.pass(HOUR + Duration::from_secs(1));
    let active = by_id(&bridge.reloaded().await, "1")["active"].clone();
    let held = bridge.directory().held_change();
    assert!(active == true && held.is_none(), "{active} {held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_change_is_not_held_again() {
    let bridge = guarded(120).start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    bridge.reloaded().await;
    bridge.approve().await;
    bridge.reloaded().await;
    assert!(bridge.directory().held_change().is_none(), "{:?}", bridge.directory().held_change());
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_approves_no_held_change() {
    let setup = Setup { max_stale: 100 * HOUR, ..dated(60, "2026-11-23T19:30:00Z") };
    let bridge = setup.start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(51));
    assert_eq!(bridge.reloaded().await.len(), 51);
    bridge.clock.pass(HOUR);
    bridge.simulator.with_world(|world| world.persons.truncate(41));
    assert_eq!(bridge.reloaded().await.len(), 51);
    assert!(bridge.directory().held_change().is_some());
    bridge.clock.pass(2 * HOUR);
    assert_eq!(bridge.reloaded().await.len(), 51, "held back as long as nobody approves");
    assert!(bridge.directory().held_change().is_some());
    bridge.clock.pass(HOUR);
    for _ in 0..3 {
        assert_eq!(bridge.reloaded().await.len(), 51, "midnight has approved it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_older_than_two_hours_do_not_count() {
    let bridge = Setup { max_stale: 100 * HOUR, ..guarded(60) }.start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    assert_eq!(bridge.reloaded().await.len(), 50);
    bridge.clock.pass(20 * HOUR);
    bridge.simulator.with_world(|world| world.persons.truncate(40));
    let left = bridge.reloaded().await.len();
    assert_eq!(left, 40, "{:?}", bridge.directory().held_change());
}

#[tokio::test(flavor = "multi_thread")]
async fn new_persons_during_a_hold_are_read_once() {
    let bridge = guarded(60).start();
    let users = bridge.all_users().await;
    bridge.simulator.with_world(|world| {
        world.persons.truncate(30);
        world.persons.extend((1..=5).map(|id| SimulatedPerson {
            id: id.to_string(),
            email: Some(format!("{id}@example.com")),
            ..SimulatedPerson::default()
        }));
    });
    for (employments, loads) in [(5, "the first"), (0, "the second"), (0, "the third")] {
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users, "{loads} is held back");
        let asked = |endpoint| bridge.simulator.request_count(endpoint);
        assert_eq!(
            (asked(SimulatedEndpoint::Person), asked(SimulatedEndpoint::Employments)),
            (30, employments),
            "in {loads}"
        );
    }
    bridge.approve().await;
    bridge.simulator.reset_history();
    assert_eq!(bridge.reloaded().await.len(), 35);
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Person),
        0,
        "nobody is missing any more"
    );
}

fn leave(bridge: &TestServer, to: usize) {
    bridge.simulator.with_world(|world| world.persons.truncate(to));
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_add_up_in_every_two_hour_window() {
    let bridge = Setup { max_stale: 100 * HOUR, ..guarded(60) }.start();
    bridge.all_users().await;
    bridge.clock.pass(2 * HOUR - Duration::from_secs(60));
    leave(&bridge, 48);
    assert_eq!(bridge.reloaded().await.len(), 48);
    bridge.clock.pass(Duration::from_secs(120));
    leave(&bridge, 39);
    let left = bridge.reloaded().await.len();
    assert_eq!(left, 48, "21 of 60 within two minutes");
}

#[tokio::test(flavor = "multi_thread")]
async fn released_losses_still_count() {
    let bridge = Setup { max_stale: 100 * HOUR, ..guarded(60) }.start();
    bridge.all_users().await;
    let gone = bridge.simulator.with_world(|world| world.persons.split_off(40));
    assert_eq!(bridge.reloaded().await.len(), 60);
    bridge.clock.pass(3 * HOUR);
    bridge.simulator.with_world(|world| world.persons.extend(gone.into_iter().take(8)));
    assert_eq!(bridge.reloaded().await.len(), 48);
    assert!(bridge.directory().held_change().is_none());
    leave(&bridge, 39);
    let left = bridge.reloaded().await.len();
    assert_eq!(left, 48, "21 of 60 within a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_returned_person_counts_for_the_guard() {
    let bridge = guarded(120).start();
    bridge.all_users().await;
    let before = bridge.simulator.with_world(|world| world.persons.clone());
    leave(&bridge, 50);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    bridge.reloaded().await;
    bridge.approve().await;
    let active = async || {
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap()
    };
    let was = active().await;
    bridge.simulator.with_world(|world| {
        world.persons = before;
        world.persons.iter_mut().skip(50).for_each(|person| {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        });
    });
    bridge.clock.pass(HOUR);
    bridge.reloaded().await;
    let now = active().await;
    assert!(was - now <= 24, "{was} -> {now}, held {:?}", bridge.directory().held_change());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_returned_after_long_counts_for_the_guard() {
    let bridge = guarded(60).start();
    bridge.all_users().await;
    let before = bridge.simulator.with_world(|world| world.persons.clone());
    leave(&bridge, 48);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    assert_eq!(bridge.reloaded().await.len(), 60);
    bridge.clock.pass(2 * HOUR + Duration::from_secs(1));
    bridge.reloaded().await;
    let active = async || {
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap()
    };
    let was = active().await;
    bridge.simulator.with_world(|world| {
        world.persons = before;
        world.persons.iter_mut().skip(38).for_each(|person| {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        });
    });
    bridge.clock.pass(HOUR);
    bridge.reloaded().await;
    let now = active().await;
    assert!(was - now <= 12, "{was} -> {now}, held {:?}", bridge.directory().held_change());
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_unverified_deletions_are_not_held_once_verified() {
    let bridge = guarded(120).start();
    bridge.all_users().await;
    leave(&bridge, 50);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    bridge.reloaded().await;
    bridge.approve().await;
    assert_eq!(bridge.reloaded().await.len(), 120, "nobody is surely gone");
    bridge.simulator.clear_faults();
    for _ in 0..3 {
        bridge.clock.pass(Duration::from_secs(1000));
        assert_eq!(bridge.reloaded().await.len(), 50);
        assert!(
            bridge.directory().held_change().is_none(),
            "{:?}",
            bridge.directory().held_change()
        );
    }
    // The approval covers only those users.
    leave(&bridge, 38);
    assert_eq!(bridge.reloaded().await.len(), 50);
    assert_eq!(
        bridge.directory().held_change().unwrap().losses.users_with(ChangeKind::Disappeared),
        12
    );
}

/// Approves the held change while a load is running that has already requested the missing persons.
async fn approve_in_flight(bridge: &TestServer) {
    let gate = ResponseGate::closed();
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Hold(gate.clone()),
    ));
    bridge.simulator.reset_history();
    tokio::join!(bridge.reloaded(), async {
        wait_until("employments", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) > 0
        })
        .await;
        bridge.approve().await;
        gate.open();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_load_does_not_restore_approved_deletions() {
    let bridge = guarded(500).start();
    bridge.all_users().await;
    let gone: Vec<String> = bridge.simulator.with_world(|world| {
        let gone = world.persons.split_off(200);
        gone.into_iter().map(|person| person.id).collect()
    });
    assert_eq!(bridge.reloaded().await.len(), 500);
    assert!(bridge.directory().held_change().is_some());
    // The load must read one person's employments, so that it lasts.
    bridge.simulator.with_world(|world| world.persons[0].preferred_name = Some("New".into()));
    let gate = ResponseGate::closed();
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Hold(gate.clone()),
    ));
    bridge.simulator.reset_history();
    let left = || -> Vec<String> {
        let (snapshot, _) = bridge.directory().state().snapshot.unwrap();
        gone.iter().filter(|id| snapshot.users().find(id).is_some()).cloned().collect()
    };
    let (_, approved) = tokio::join!(bridge.reloaded(), async {
        wait_until("employments", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) > 0
        })
        .await;
        bridge.approve().await;
        let left_by_approval = left();
        gate.open();
        left_by_approval
    });
    let back = left().into_iter().filter(|id| !approved.contains(id)).count();
    assert_eq!(
        back,
        0,
        "of {} who were gone when it was approved are there again",
        300 - approved.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_load_does_not_revert_approved_deactivations() {
    let bridge = guarded(60).start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| {
        world.persons.iter_mut().for_each(|person| {
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        });
    });
    bridge.clock.pass(HOUR);
    bridge.reloaded().await;
    assert!(bridge.directory().held_change().is_some());
    bridge.simulator.reset_history();
    let gate = ResponseGate::closed();
    bridge.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Hold(gate.clone())).times(1),
    );
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(500)));
    let count = async || {
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap()
    };
    tokio::join!(bridge.reloaded(), async {
        wait_until("employments", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) > 0
        })
        .await;
        bridge.approve().await;
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
        gate.open();
    });
    let now = count().await;
    assert_eq!(now, 0, "all were inactive when it was approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_load_does_not_lose_approved_new_users() {
    let bridge = guarded(60).start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| {
        world.persons.truncate(40);
        world.persons.extend((1..=5).map(|id| SimulatedPerson {
            id: id.to_string(),
            email: Some(format!("{id}@example.com")),
            ..SimulatedPerson::default()
        }));
    });
    assert_eq!(bridge.reloaded().await.len(), 60);
    assert!(bridge.directory().held_change().is_some());
    // The listing is incomplete: the new persons exist but are missing from it.
    let new = bridge.simulator.with_world(|world| {
        world.persons[0].preferred_name = Some("New".into());
        world.persons.split_off(40)
    });
    let page = first_page(&bridge).await;
    bridge.simulator.with_world(|world| {
        world.persons.extend(new);
    });
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::CustomBody(200, "application/json", page),
    ));
    approve_in_flight(&bridge).await;
    let (snapshot, _) = bridge.directory().state().snapshot.unwrap();
    assert!(
        snapshot.users().find("1").is_some(),
        "1 exists and was published, {}",
        snapshot.users().all().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn gradually_missing_persons_are_held_when_deleted_together() {
    let bridge = Setup { max_stale: 100 * HOUR, ..guarded(120) }.start();
    bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    for step in 1..=5 {
        bridge.clock.pass(3 * HOUR);
        leave(&bridge, 120 - 20 * step);
        assert_eq!(bridge.reloaded().await.len(), 120);
        assert!(bridge.directory().held_change().is_none());
    }
    bridge.clock.pass(3 * HOUR);
    bridge.simulator.clear_faults();
    let left = bridge.reloaded().await.len();
    assert_eq!(left, 120, "100 of 120 disappear at once, and nobody was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_a_failed_load_are_known_during_the_next() {
    let setup =
        Setup { refresh_wait: Duration::from_millis(3000), max_concurrency: 1, ..guarded(40) };
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(403)).skip(10),
    );
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    let of = |path: &str| {
        Some(path.strip_prefix("/v2/persons/")?.strip_suffix("/employments")?.to_owned())
    };
    let id =
        bridge.simulator.received_requests().iter().find_map(|request| of(&request.path)).unwrap();
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(500)).person(&id),
    );
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Delay(Duration::from_millis(100)),
    ));
    bridge.simulator.reset_history();
    // The response does not matter: the request starts the load.
    let load = tokio::spawn(bridge.request(Method::GET, "/Users").send());
    wait_until("employments", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Employments) > 0
    })
    .await;
    let answer = bridge.get(&format!("/Users/{id}")).await;
    assert!(answer.status != 200 || answer.json().get(PERSONIO).is_some(), "{}", answer.text);
    load.abort();
}
