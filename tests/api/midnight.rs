//! Days change in the company's time zone, and with them who is active, without anything upstream.

use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use personio_scim::clock::Clock;
use personio_scim::simulator::{Action, Employment, Endpoint, Fault, Person, World};
use serde_json::Value;

use crate::harness::{Bridge, SHORT, Setup, TestClock, by_id};

/// A company with somebody who begins on this day, and somebody else.
fn setup(zone: &str, now: &str) -> Setup {
    let person = |id: &str, status: &str, start| Person {
        id: id.to_owned(),
        email: Some(format!("{id}@example.com")),
        employments: vec![Employment {
            id: format!("e{id}"),
            status: Some(status.to_owned()),
            employment_start_date: Some(start),
            ..Employment::default()
        }],
        ..Person::default()
    };
    let begins = person("1", "ONBOARDING", date(2026, 12, 8));
    let works = person("2", "ACTIVE", date(2020, 1, 1));
    let mut setup = Setup::of(World { persons: vec![begins, works], ..World::empty() });
    setup.policy.active_before_start_days = Some(14);
    setup.policy.time_zone = TimeZone::get(zone).unwrap();
    setup.clock = TestClock::at(now);
    setup
}

async fn one(bridge: &Bridge, id: &str) -> Value {
    by_id(&bridge.everybody().await, id).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_midnight_of_the_company_somebody_becomes_active_without_a_request() {
    // The 24th of November is the fourteenth day before.
    for (zone, now) in [("Europe/Berlin", "2026-11-23T22:59:58Z"), ("America/New_York", "2026-11-24T04:59:58Z")] {
        let bridge = setup(zone, now).start();
        let (before, other) = (one(&bridge, "1").await, one(&bridge, "2").await);
        assert_eq!(before["active"], false);
        bridge.simulator.reset_counts();
        bridge.clock.pass(Duration::from_secs(1));
        assert_eq!(one(&bridge, "1").await, before, "{zone}");
        bridge.clock.pass(Duration::from_secs(1));
        let by_id = bridge.get("/Users/1").await.json();
        assert_eq!(by_id["active"], true, "{zone}");
        assert_eq!(one(&bridge, "1").await, by_id);
        assert_ne!(by_id["meta"]["version"], before["meta"]["version"]);
        assert_eq!(by_id["meta"]["lastModified"], Clock::now(&bridge.clock).to_string());
        assert_eq!(one(&bridge, "2").await, other, "nobody else is touched");
        let found = bridge.users("?filter=active+eq+true").await;
        assert_eq!(found["totalResults"], 2);
        assert!(bridge.simulator.log().is_empty(), "Personio was asked nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn midnight_makes_data_no_younger() {
    let mut setup = setup("Europe/Berlin", "2026-11-23T22:00:00Z");
    (setup.max_stale, setup.cache_ttl) = (Duration::from_secs(2 * 3600), SHORT);
    let bridge = setup.start();
    bridge.everybody().await;
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Status(403)));
    bridge.clock.pass(Duration::from_secs(2 * 3600));
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(one(&bridge, "1").await["active"], true, "midnight comes while Personio is down, too");
    bridge.clock.pass(Duration::from_secs(1));
    bridge.get("/Users").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_in_the_day_in_which_it_began() {
    let bridge = setup("Europe/Berlin", "2026-11-23T22:59:59Z").start();
    assert_eq!(bridge.users("?startIndex=1&count=1").await["Resources"][0]["active"], false);
    bridge.clock.pass(Duration::from_secs(1));
    assert_eq!(one(&bridge, "1").await["active"], true);
    assert_eq!(bridge.users("?startIndex=2&count=1").await["Resources"][0]["id"], "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_and_forth_leaves_dates_of_change_in_order() {
    let bridge = Setup { cache_ttl: SHORT, ..setup("Europe/Berlin", "2026-11-23T23:30:00Z") }.start();
    let first = one(&bridge, "1").await;
    assert_eq!(first["active"], true);
    bridge.clock.set("2026-11-23T10:00:00Z");
    tokio::time::sleep(2 * SHORT).await;
    let second = one(&bridge, "1").await;
    assert_eq!(second["active"], false, "a load goes by the day that the clock says");
    let moment = |user: &Value| user["meta"]["lastModified"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(moment(&second) > moment(&first), "{second}");
    bridge.clock.set("2026-11-24T10:00:00Z");
    let third = one(&bridge, "1").await;
    assert_eq!(third["active"], true);
    assert!(moment(&third) > moment(&second));
    assert_eq!(bridge.health().await.1["status"], "ok");
}
