//! Tests of day rollovers: at midnight in the company's time zone users become active or inactive
//! without a change upstream.

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use personio_scim::clock::Clock;
use personio_scim::directory::{ApprovalOutcome, ChangeKind};
use personio_scim::mapping::ActiveUntil;
use personio_scim::scim::PERSONIO_USER_SCHEMA as PERSONIO;
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedEmployment, SimulatedEndpoint, SimulatedPerson,
    SimulatedTermination, World,
};
use serde_json::Value;

use crate::harness::{
    SHORT_TTL, Setup, TestClock, TestServer, by_id, format_timestamp, wait_until,
};

/// Returns the setup of a company with two persons, one of whom starts on 8 December.
fn setup(zone: &str, now: &str) -> Setup {
    let person = |id: &str, status: &str, start| SimulatedPerson {
        id: id.to_owned(),
        email: Some(format!("{id}@example.com")),
        employments: vec![SimulatedEmployment {
            id: format!("e{id}"),
            status: Some(status.to_owned()),
            employment_start_date: Some(start),
            ..SimulatedEmployment::default()
        }],
        ..SimulatedPerson::default()
    };
    let begins = person("1", "ONBOARDING", date(2026, 12, 8));
    let works = person("2", "ACTIVE", date(2020, 1, 1));
    let mut setup = Setup::of(World { persons: vec![begins, works], ..World::empty() });
    setup.policy.active_before_start_days = Some(14);
    setup.policy.time_zone = TimeZone::get(zone).unwrap();
    setup.clock = TestClock::at(now);
    setup
}

/// Returns the setup of a company of these persons that sets only the time zone.
fn company(persons: Vec<SimulatedPerson>, now: &str) -> Setup {
    let mut setup = Setup::of(World { persons, ..World::empty() });
    setup.clock = TestClock::at(now);
    setup
}

fn person(id: &str, email: &str, employments: Vec<SimulatedEmployment>) -> SimulatedPerson {
    SimulatedPerson {
        id: id.to_owned(),
        email: Some(email.to_owned()),
        employments,
        ..SimulatedPerson::default()
    }
}

fn employment(id: &str, status: &str, start: Date, end: Option<Date>) -> SimulatedEmployment {
    SimulatedEmployment {
        id: id.to_owned(),
        status: Some(status.to_owned()),
        employment_start_date: Some(start),
        employment_end_date: end,
        ..SimulatedEmployment::default()
    }
}

/// Returns a person with this last working day and the status ACTIVE.
fn leaver(id: &str, email: &str, last: Date) -> SimulatedPerson {
    let mut person =
        person(id, email, vec![employment(&format!("e{id}"), "ACTIVE", date(2020, 1, 1), None)]);
    person.employments[0].termination = Some(SimulatedTermination {
        termination_date: Some(date(2026, 11, 30)),
        last_working_day: Some(last),
        ..SimulatedTermination::default()
    });
    person
}

async fn one(bridge: &TestServer, id: &str) -> Value {
    by_id(&bridge.all_users().await, id).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_midnight_a_user_becomes_active_without_upstream_request() {
    // 24 November is the fourteenth day before the start.
    for (zone, now) in
        [("Europe/Berlin", "2026-11-23T22:59:58Z"), ("America/New_York", "2026-11-24T04:59:58Z")]
    {
        let bridge = setup(zone, now).start();
        let (before, other) = (one(&bridge, "1").await, one(&bridge, "2").await);
        assert_eq!(before["active"], false);
        bridge.simulator.reset_history();
        bridge.clock.pass(Duration::from_secs(1));
        assert_eq!(one(&bridge, "1").await, before, "{zone}");
        bridge.clock.pass(Duration::from_secs(1));
        let by_id = bridge.get("/Users/1").await.json();
        assert_eq!(by_id["active"], true, "{zone}");
        assert_eq!(one(&bridge, "1").await, by_id);
        assert_ne!(by_id["meta"]["version"], before["meta"]["version"]);
        assert_eq!(by_id["meta"]["lastModified"], format_timestamp(Clock::now(&bridge.clock)));
        assert_eq!(one(&bridge, "2").await, other, "nobody else is touched");
        let found = bridge.users("?filter=active+eq+true").await;
        assert_eq!(found["totalResults"], 2);
        assert!(bridge.simulator.received_requests().is_empty(), "Personio was asked nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_hire_date_ends_at_the_start_without_upstream_request() {
    // The first person is active 14 days before the start, and the second one on no day.
    for (active_before_start_days, now) in
        [(Some(14), "2026-11-23T22:59:59Z"), (None, "2026-12-07T22:59:59Z")]
    {
        let mut setup = setup("Europe/Berlin", now);
        setup.policy.active_before_start_days = active_before_start_days;
        let bridge = setup.start();
        assert_eq!(one(&bridge, "1").await[PERSONIO]["nextHireDate"], "2026-12-08", "{now}");
        bridge.simulator.reset_history();
        bridge.clock.pass(Duration::from_secs(1));
        let user = one(&bridge, "1").await;
        assert_eq!(user[PERSONIO].get("nextHireDate"), None, "{now}");
        assert_eq!(user["active"], active_before_start_days.is_some());
        assert!(bridge.simulator.received_requests().is_empty(), "{now}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_does_not_reset_the_age_of_data() {
    let mut setup = setup("Europe/Berlin", "2026-11-23T22:00:00Z");
    (setup.max_stale, setup.cache_ttl) = (Duration::from_secs(2 * 3600), SHORT_TTL);
    let bridge = setup.start();
    bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.clock.pass(Duration::from_secs(2 * 3600));
    assert_eq!(
        one(&bridge, "1").await["active"],
        true,
        "midnight comes while Personio is down, too"
    );
    bridge.clock.pass(Duration::from_secs(1));
    bridge.get("/Users").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paging_session_stays_on_its_day() {
    let bridge = setup("Europe/Berlin", "2026-11-23T22:59:59Z").start();
    assert_eq!(bridge.users("?startIndex=1&count=1").await["Resources"][0]["active"], false);
    bridge.clock.pass(Duration::from_secs(1));
    assert_eq!(one(&bridge, "1").await["active"], true);
    assert_eq!(bridge.users("?startIndex=2&count=1").await["Resources"][0]["id"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_changes_keep_last_modified_in_order() {
    let bridge =
        Setup { cache_ttl: SHORT_TTL, ..setup("Europe/Berlin", "2026-11-23T23:30:00Z") }.start();
    let first = one(&bridge, "1").await;
    assert_eq!(first["active"], true);
    bridge.clock.set("2026-11-23T10:00:00Z");
    bridge.clock.age(SHORT_TTL);
    let second = one(&bridge, "1").await;
    assert_eq!(second["active"], false, "a load goes by the day that the clock says");
    let moment = |user: &Value| {
        user["meta"]["lastModified"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap()
    };
    assert!(moment(&second) > moment(&first), "{second}");
    bridge.clock.set("2026-11-24T10:00:00Z");
    let third = one(&bridge, "1").await;
    assert_eq!(third["active"], true);
    assert!(moment(&third) > moment(&second));
    assert_eq!(bridge.health().await.1["status"], "ok");
}

/// Starts the company of [`setup`] with fifty more persons, and causes a held change.
async fn holding_back() -> TestServer {
    let mut setup = setup("Europe/Berlin", "2026-11-23T22:00:00Z");
    let works = setup.world.persons[1].clone();
    setup.world.persons.extend((3..=52).map(|id| SimulatedPerson {
        id: id.to_string(),
        email: Some(format!("{id}@example.com")),
        employments: vec![SimulatedEmployment {
            id: format!("e{id}"),
            ..works.employments[0].clone()
        }],
        ..works.clone()
    }));
    let max_stale = Duration::from_secs(3 * 24 * 3600);
    let bridge = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, max_stale, ..setup }.start();
    assert_eq!(bridge.all_users().await.len(), 52);
    bridge.simulator.with_world(|world| {
        for person in world.persons.iter_mut().skip(2).take(20) {
            person.employments[0].status = Some("INACTIVE".into());
        }
        // With this change the person's active period begins a day later.
        world.persons[0].employments[0].employment_start_date = Some(date(2026, 12, 9));
    });
    wait_until("the change is held back", async || {
        bridge.reloaded().await;
        bridge.directory().held_change().is_some()
    })
    .await;
    bridge
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_applies_to_the_served_data_during_a_hold() {
    let bridge = holding_back().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.clock.pass(Duration::from_secs(2 * 3600));
    assert_eq!(one(&bridge, "1").await["active"], true, "by the date that is served");
    assert_eq!(bridge.users("?filter=active+eq+true&count=0").await["totalResults"], 52);
    let held = bridge.directory().held_change().expect("it is still held back");
    assert_eq!(
        held.losses.users_with(ChangeKind::Deactivated),
        21,
        "the newcomer too, who has become active meanwhile"
    );
    bridge.approve().await;
    assert_eq!(one(&bridge, "1").await["active"], false, "by the date that was held back");
    assert_eq!(bridge.users("?filter=active+eq+true&count=0").await["totalResults"], 31);
    assert!(bridge.directory().held_change().is_none());
    // The approved users follow the date after the approval as well.
    bridge.clock.pass(Duration::from_secs(23 * 3600));
    assert_eq!(one(&bridge, "1").await["active"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_held_over_midnight_is_published_as_of_today() {
    let bridge = holding_back().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let shown = bridge.directory().held_change().unwrap().id;
    // Only the calendar moves, so that the approval comes before the scheduler's day rollover.
    bridge.clock.set("2026-11-25T00:00:00Z");
    let approval = bridge.directory().approve(&shown.to_string()).await;
    assert!(
        matches!(approval, ApprovalOutcome::AnotherHeld(_)),
        "another day makes it another change: {approval:?}"
    );
    bridge.approve().await;
    assert_eq!(
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"],
        32,
        "the newcomer is one of them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_background_refresh_requests_do_not_wait_for_day_rollover() {
    let setup = Setup {
        refresh_every: Some(Duration::from_secs(3600)),
        ..setup("Europe/Berlin", "2026-11-23T22:59:59Z")
    };
    let bridge = setup.start();
    bridge.ready().await;
    assert_eq!(one(&bridge, "1").await["active"], false);
    bridge.simulator.reset_history();
    bridge.clock.pass(Duration::from_secs(1));
    wait_until("the day has come", async || one(&bridge, "1").await["active"] == true).await;
    assert!(bridge.simulator.received_requests().is_empty(), "Personio was asked nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_runs_without_requests() {
    let bridge = setup("Europe/Berlin", "2026-11-23T22:59:59Z").start();
    let before = one(&bridge, "1").await["meta"]["version"].clone();
    bridge.clock.pass(Duration::from_secs(1));
    // Reading the snapshot's state does not request users, so no request triggers the rollover.
    wait_until("the snapshot is another", async || {
        let (snapshot, _) = bridge.directory().state().snapshot.unwrap();
        snapshot.users().find("1").unwrap().version().as_deref() != before.as_str()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_at_midnight_see_the_same_day() {
    let bridge = setup("Europe/Berlin", "2026-11-23T22:59:59Z").start();
    bridge.ready().await;
    bridge.clock.pass(Duration::from_secs(1));
    let all = futures_util::future::join_all((0..40).map(|_| one(&bridge, "1"))).await;
    assert!(all.iter().all(|user| user == &all[0] && user["active"] == true), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_approval_load_and_day_rollover_match_upstream() {
    let bridge = holding_back().await;
    let active = async || {
        bridge.users("?filter=active+eq+true&count=0").await["totalResults"].as_u64().unwrap()
    };
    let ask = async || {
        for _ in 0..20 {
            // The count before the approval and after it, each on either day.
            bridge.clock.age(SHORT_TTL);
            assert!([51, 52, 31, 32].contains(&active().await));
        }
    };
    let approve = async || {
        for _ in 0..10 {
            bridge.approve().await;
            active().await;
        }
    };
    let days = async || {
        for _ in 0..10 {
            bridge.clock.pass(Duration::from_secs(3 * 3600));
            active().await;
        }
    };
    tokio::join!(ask(), ask(), approve(), days());
    bridge.clock.age(SHORT_TTL);
    assert_eq!(active().await, 32);
    assert_eq!(bridge.health().await.1["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_repeats_after_the_clock_was_set_back() {
    let bridge =
        Setup { cache_ttl: SHORT_TTL, ..setup("Europe/Berlin", "2026-11-23T22:59:59Z") }.start();
    assert_eq!(by_id(&bridge.all_users().await, "1")["active"], false);
    bridge.clock.pass(Duration::from_secs(1));
    assert_eq!(by_id(&bridge.all_users().await, "1")["active"], true);
    bridge.clock.set("2026-11-23T22:59:50Z");
    assert_eq!(by_id(&bridge.reloaded().await, "1")["active"], false);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.clock.pass(Duration::from_secs(20));
    bridge.clock.settle(1).await;
    assert_eq!(by_id(&bridge.all_users().await, "1")["active"], true, "midnight again");
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_does_not_hide_a_failed_load() {
    let bridge =
        Setup { cache_ttl: SHORT_TTL, ..setup("Europe/Berlin", "2026-11-23T22:59:50Z") }.start();
    bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.reloaded().await;
    bridge.failure().await;
    bridge.clock.pass(Duration::from_secs(10));
    bridge.clock.settle(1).await;
    assert_eq!(bridge.health().await.1["parts"]["personio"]["status"], "down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_employment_applies_at_midnight_without_upstream_request() {
    let changes = person(
        "1",
        "1@example.com",
        vec![
            employment("old", "INACTIVE", date(2020, 1, 1), Some(date(2026, 11, 20))),
            employment("new", "ONBOARDING", date(2026, 11, 24), None),
        ],
    );
    let left = employment("left", "INACTIVE", date(2020, 1, 1), Some(date(2026, 11, 22)));
    let bridge =
        company(vec![changes, person("2", "2@example.com", vec![left])], "2026-11-23T22:59:59Z")
            .start();
    assert_eq!(one(&bridge, "1").await["active"], false, "Monday is no weekend");
    bridge.simulator.reset_history();
    bridge.clock.pass(Duration::from_secs(1));
    let after = one(&bridge, "1").await;
    assert_eq!((&after["active"], &after[PERSONIO]["employmentId"]), (&true.into(), &"new".into()));
    assert_eq!(one(&bridge, "2").await["active"], false, "whoever leaves is inactive at once");
    assert!(bridge.simulator.received_requests().is_empty(), "Personio was asked nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_become_inactive_after_the_last_working_day_if_configured() {
    for (until, zone, now, is_active) in [
        (Some(ActiveUntil::LastWorkingDay), "Europe/Berlin", "2026-11-23T22:59:59Z", false),
        (Some(ActiveUntil::LastWorkingDay), "Australia/Sydney", "2026-11-23T12:59:59Z", false),
        (Some(ActiveUntil::TerminationDate), "Europe/Berlin", "2026-11-23T22:59:59Z", true),
        (Some(ActiveUntil::TerminationDate), "Europe/Berlin", "2026-11-30T22:59:59Z", false),
        (None, "Europe/Berlin", "2026-11-23T22:59:59Z", true),
    ] {
        let mut setup = company(vec![leaver("1", "1@example.com", date(2026, 11, 23))], now);
        (setup.policy.active_until, setup.policy.time_zone) = (until, TimeZone::get(zone).unwrap());
        let bridge = setup.start();
        assert_eq!(one(&bridge, "1").await["active"], true, "{until:?}");
        bridge.simulator.reset_history();
        bridge.clock.pass(Duration::from_secs(1));
        assert_eq!(one(&bridge, "1").await["active"], is_active, "{until:?} {zone}");
        assert!(bridge.simulator.received_requests().is_empty(), "Personio was asked nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_passes_to_its_new_user_at_midnight() {
    let begins = vec![employment("e900", "ONBOARDING", date(2026, 11, 24), None)];
    let persons = vec![
        leaver("1", "desk@example.com", date(2026, 11, 23)),
        person("900", "DESK@example.com", begins),
    ];
    let mut setup = company(persons, "2026-11-23T22:59:59Z");
    setup.policy.active_until = Some(ActiveUntil::LastWorkingDay);
    let bridge = setup.start();
    let names = async || {
        let all = bridge.all_users().await;
        [by_id(&all, "1")["userName"].clone(), by_id(&all, "900")["userName"].clone()]
    };
    assert_eq!(names().await, ["desk@example.com", "personio-900"]);
    bridge.clock.pass(Duration::from_secs(1));
    assert_eq!(names().await, ["personio-1", "DESK@example.com"]);
    let found = bridge.list("/Users", &[("filter", "userName eq \"desk@example.com\"")]).await;
    assert_eq!(found["Resources"][0]["id"], "900");
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_remaps_nothing_without_date_dependent_users() {
    let works = |id: &str| {
        let next =
            employment(&format!("n{id}"), "INACTIVE", date(2010, 1, 1), Some(date(2012, 1, 1)));
        let own = employment(&format!("e{id}"), "ACTIVE", date(2020, 1, 1), None);
        person(id, &format!("{id}@example.com"), vec![own, next])
    };
    let begins =
        person("3", "3@example.com", vec![employment("e3", "ONBOARDING", date(2026, 12, 8), None)]);
    let mut setup = company(vec![works("1"), works("2"), begins], "2026-11-22T22:59:59Z");
    setup.policy.active_before_start_days = Some(14);
    setup.policy.active_until = Some(ActiveUntil::LastWorkingDay);
    let bridge = setup.start();
    let snapshot = async || {
        bridge.all_users().await;
        bridge.directory().state().snapshot.unwrap().0
    };
    let first = snapshot().await;
    bridge.clock.pass(Duration::from_secs(1));
    assert!(Arc::ptr_eq(&first, &snapshot().await), "a day of no date");
    bridge.clock.pass(Duration::from_secs(24 * 3600));
    assert!(!Arc::ptr_eq(&first, &snapshot().await), "the fourteenth day before");
}
