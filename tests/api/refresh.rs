//! Tests of the upstream cost of a refresh, and of data that must survive although a refresh
//! requests less.

use std::time::Duration;

use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedEmployment, SimulatedEndpoint, SimulatedPerson,
};
use serde_json::{Value, json};

use crate::harness::{
    AFTER_COOL_DOWN, REFRESH_DEBOUNCE, SHORT_TTL, Setup, TestServer, by_id, wait_until,
};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Starts a server with `persons` persons that has loaded once and reads employments again after an
/// hour.
async fn settled(persons: usize) -> (TestServer, Vec<Value>) {
    let setup = Setup { cache_ttl: SHORT_TTL, employment_recheck: HOUR, ..Setup::persons(persons) };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    (bridge, users)
}

/// Changes the person at this index, and returns the id.
fn change(bridge: &TestServer, place: usize, change: impl FnOnce(&mut SimulatedPerson)) -> String {
    bridge.simulator.with_world(|world| {
        change(&mut world.persons[place]);
        world.persons[place].id.clone()
    })
}

/// Returns the numbers of requests for pages of persons, single persons and employments.
fn counts(bridge: &TestServer) -> (usize, usize, usize) {
    let count = |endpoint| bridge.simulator.request_count(endpoint);
    (
        count(SimulatedEndpoint::Persons),
        count(SimulatedEndpoint::Person),
        count(SimulatedEndpoint::Employments),
    )
}

/// Returns the ids of the persons whose employments were requested.
fn requested_person_ids(bridge: &TestServer) -> Vec<String> {
    let of = |path: &str| {
        path.strip_prefix("/v2/persons/")?.strip_suffix("/employments").map(str::to_owned)
    };
    bridge.simulator.received_requests().iter().filter_map(|request| of(&request.path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_without_changes_costs_the_pages_alone() {
    let (bridge, users) = settled(230).await;
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(counts(&bridge), (5, 0, 0));
    assert_eq!(bridge.simulator.received_requests().len(), 5, "no names, no token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_reads_only_persons_that_may_have_changed() {
    let (bridge, _) = settled(120).await;
    let touched = change(&bridge, 3, |person| person.preferred_name = Some("Preferred".to_owned()));
    let rehired = change(&bridge, 4, |person| {
        person.employments.push(SimulatedEmployment {
            id: "rehired".to_owned(),
            status: Some("ACTIVE".to_owned()),
            position: Some("Again".to_owned()),
            employment_start_date: Some(jiff::civil::date(2026, 11, 1)),
            ..SimulatedEmployment::default()
        });
    });
    let hired = "99".to_owned();
    let newcomer = SimulatedPerson {
        id: hired.clone(),
        email: Some("new@example.com".to_owned()),
        ..SimulatedPerson::default()
    };
    bridge.simulator.with_world(|world| world.persons.push(newcomer));
    let users = bridge.reloaded().await;
    let mut expected = [touched.clone(), rehired.clone(), hired];
    let mut seen = requested_person_ids(&bridge);
    expected.sort();
    seen.sort();
    assert_eq!(seen, expected);
    assert_eq!(users.len(), 121);
    assert_eq!(by_id(&users, &touched)["nickName"], "Preferred");
    assert_eq!(by_id(&users, &rehired)[PERSONIO]["employmentId"], "rehired");
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_are_read_again_within_the_hour_evenly_over_the_refreshes() {
    let (bridge, _) = settled(120).await;
    let promoted =
        change(&bridge, 77, |person| person.employments[0].position = Some("Promoted".to_owned()));
    let mut last = Value::Null;
    for _ in 0..12 {
        bridge.simulator.reset_history();
        bridge.clock.pass(5 * MINUTE);
        let users = bridge.reloaded().await;
        assert_eq!(counts(&bridge), (3, 0, 10), "a twelfth in five minutes");
        last = by_id(&users, &promoted)["title"].clone();
    }
    assert_eq!(last, "Promoted", "although the person was not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_long_pause_all_employments_are_read() {
    let (bridge, users) = settled(60).await;
    bridge.clock.pass(HOUR);
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(counts(&bridge), (2, 0, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pause_does_not_cause_a_load_of_hours() {
    let setup = Setup {
        cache_ttl: SHORT_TTL,
        employment_recheck: HOUR,
        max_concurrency: 2,
        ..Setup::persons(60)
    };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.clock.pass(2 * HOUR);
    let promoted = change(&bridge, 5, |person| {
        person.preferred_name = Some("Promoted".to_owned());
        person.employments[0].position = Some("Promoted".to_owned());
    });
    bridge.simulator.reset_history();
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Delay(Duration::from_millis(20)),
    ));
    let (now, ()) = tokio::join!(bridge.reloaded(), async {
        wait_until("it reads employments", async || counts(&bridge).2 > 10).await;
        bridge.clock.pass(5 * MINUTE + Duration::from_secs(1));
    });
    let first = requested_person_ids(&bridge);
    assert!((11..60).contains(&first.len()), "{} are read, the rest waits", first.len());
    assert!(first.contains(&promoted), "what has changed does not wait");
    assert_eq!(by_id(&now, &promoted)["title"], "Promoted");
    assert!(now.iter().filter(|user| !users.contains(user)).count() >= 1 && now.len() == 60);
    assert_eq!(bridge.health().await.1["status"], "ok", "nobody counts as unreadable");

    bridge.simulator.clear_faults();
    bridge.simulator.reset_history();
    assert_eq!(bridge.reloaded().await, now);
    let mut all = [first, requested_person_ids(&bridge)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 60, "the rest comes first in the next");
    assert!(requested_person_ids(&bridge).len() < 60, "and nobody twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_employments_keep_the_last_good_ones_and_are_retried() {
    for action in [
        FaultAction::NotFoundResource,
        FaultAction::Status(403),
        FaultAction::Status(500),
        FaultAction::HtmlError(502),
        FaultAction::TruncatedJson,
        FaultAction::WrongJson,
        FaultAction::ConnectionReset,
    ] {
        let (bridge, users) = settled(60).await;
        let id = change(&bridge, 7, |person| person.last_name = Some("Changed".to_owned()));
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action.clone()));
        let now = bridge.reloaded().await;
        let (before, after) = (by_id(&users, &id), by_id(&now, &id));
        assert_eq!(
            after["name"]["familyName"], "Changed",
            "what is known of the person is served: {action:?}"
        );
        for member in ["title", "active", ENTERPRISE, PERSONIO] {
            assert_eq!(after[member], before[member], "{action:?}");
        }
        bridge.simulator.clear_faults();
        bridge.simulator.reset_history();
        bridge.reloaded().await;
        assert_eq!(requested_person_ids(&bridge), [id], "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_right_removes_no_employments_and_costs_few_requests() {
    let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(200) };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    for status in [401, 403] {
        bridge.simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Employments,
            FaultAction::Status(status),
        ));
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users, "{status}");
        let request_count = requested_person_ids(&bridge).len();
        assert!(
            (11..100).contains(&request_count),
            "given up after some in a row: {request_count}"
        );
        bridge.simulator.clear_faults();
    }
    bridge.simulator.reset_history();
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(counts(&bridge).2, 200, "all are read again once that can be");
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_expire_with_max_stale() {
    let setup = Setup {
        cache_ttl: SHORT_TTL,
        employment_recheck: HOUR,
        max_stale: 2 * HOUR,
        ..Setup::persons(60)
    };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(403)));
    for _ in 0..2 {
        bridge.clock.pass(HOUR);
        assert_eq!(bridge.reloaded().await, users);
        let health = bridge.health().await.1;
        assert_eq!(
            (&health["status"], &health["parts"]["personio"]["status"]),
            (&"degraded".into(), &"degraded".into())
        );
        assert_eq!(health["parts"]["personio"]["detail"], "60 users cannot be read in full");
    }
    bridge.clock.pass(HOUR);
    assert_eq!(
        bridge.reloaded().await,
        users,
        "the load fails, and the last one is still good enough"
    );
    bridge.failure().await;
    bridge.clock.pass(2 * HOUR + MINUTE);
    bridge.get("/Users").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_read_by_a_failed_load_are_not_read_again() {
    // One request at a time: with more, the load could end before it has processed a response that
    // has arrived.
    let setup = Setup { employment_recheck: HOUR, max_concurrency: 1, ..Setup::persons(60) };
    let simulator = setup.simulator();
    // All requests from the 31st on fail, which counts as an outage.
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(403)).skip(30),
    );
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    bridge.simulator.clear_faults();
    bridge.simulator.reset_history();
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.all_users().await.len(), 60);
    assert_eq!(counts(&bridge), (2, 0, 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_rereads_only_the_named_person() {
    let token = "a-webhook-token-for-tests";
    let setup =
        Setup { employment_recheck: HOUR, webhook_token: Some(token), ..Setup::persons(60) };
    let bridge = setup.start();
    bridge.ready().await;
    let id =
        change(&bridge, 9, |person| person.employments[0].position = Some("Promoted".to_owned()));
    bridge.simulator.reset_history();
    let notice =
        format!(r#"{{"event_name": "employment.updated", "payload": {{"person_id": "{id}"}}}}"#);
    let request = bridge
        .http
        .post(format!("{}/webhooks/personio", bridge.origin))
        .header("Authorization", token);
    // The first load fails. The dirty set must survive it.
    bridge.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)).times(1),
    );
    assert!(request.body(notice).send().await.unwrap().status().is_success());
    bridge.clock.age(REFRESH_DEBOUNCE);
    bridge.failure().await;
    // The task of the debounce waits again, next to that of the scheduler.
    bridge.clock.settle(2).await;
    bridge.clock.pass(AFTER_COOL_DOWN);
    crate::harness::wait_until("the promotion is served", async || {
        bridge.get(&format!("/Users/{id}")).await.json()["title"] == "Promoted"
    })
    .await;
    assert_eq!(requested_person_ids(&bridge), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_name_survives_a_list_without_it() {
    let (bridge, users) = settled(12).await;
    bridge.clock.pass(24 * HOUR);
    for endpoint in [
        SimulatedEndpoint::OrgUnits,
        SimulatedEndpoint::LegalEntities,
        SimulatedEndpoint::Workplaces,
        SimulatedEndpoint::CostCenters,
        SimulatedEndpoint::Jobs,
    ] {
        bridge.simulator.add_fault(InjectedFault::on(endpoint, FaultAction::EmptyListing));
    }
    assert_eq!(bridge.reloaded().await, users);
    assert!(bridge.simulator.request_count(SimulatedEndpoint::OrgUnits) >= 2, "they were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_name_survives_a_list_with_only_its_id() {
    let (bridge, users) = settled(12).await;
    let ids = bridge
        .simulator
        .with_world(|world| world.workplaces.iter().map(|it| it.id.clone()).collect::<Vec<_>>());
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "name": null})).collect();
    let body = json!({"_data": data, "_meta": {"links": {}}}).to_string();
    bridge.clock.pass(24 * HOUR);
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Workplaces,
        FaultAction::CustomBody(200, "application/json", body),
    ));
    assert_eq!(bridge.reloaded().await, users);
    assert!(users.iter().any(|user| user[PERSONIO]["office"].is_string()));
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Workplaces), 1, "they were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_persons_do_not_block_others() {
    let setup = Setup { cache_ttl: SHORT_TTL, employment_recheck: HOUR, ..Setup::persons(300) };
    let simulator = setup.simulator();
    for person in setup.world.persons.iter().step_by(23) {
        simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(403))
                .person(&person.id),
        );
    }
    let bridge = setup.start_with(simulator);
    bridge.all_users().await;
    for name in ["First", "Second"] {
        let id = change(&bridge, 200, |person| {
            person.preferred_name = Some(name.to_owned());
            person.employments[0].position = Some(name.to_owned());
        });
        let users = bridge.reloaded().await;
        let user = by_id(&users, &id);
        assert_eq!((&user["nickName"], &user["title"]), (&name.into(), &name.into()));
        assert!(bridge.health().await.1["parts"]["personio"]["status"] != "down");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_employments_of_employed_persons_fail_the_load() {
    let setup = Setup::persons(60);
    let simulator = setup.simulator();
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::EmptyListing));
    let bridge = setup.start_with(simulator);
    let failure = bridge.failure().await;
    assert!(
        failure.contains("an employment is missing that the list of persons names"),
        "{failure}"
    );
    bridge.get("/Users").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_employments_are_read_immediately() {
    let setup = Setup {
        cache_ttl: SHORT_TTL,
        employment_recheck: HOUR,
        max_stale: 2 * HOUR,
        max_concurrency: 2,
        ..Setup::persons(60)
    };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.simulator.with_world(|world| {
        for person in &mut world.persons {
            person.employments[0].position = Some("Promoted".to_owned());
        }
    });
    bridge.clock.pass(240 * HOUR);
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Employments,
        FaultAction::Delay(Duration::from_millis(20)),
    ));
    let (now, ()) = tokio::join!(bridge.reloaded(), async {
        wait_until("it reads", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) > 70
        })
        .await;
        bridge.clock.pass(Duration::from_secs(301));
    });
    let health = bridge.health().await.1;
    bridge.simulator.clear_faults();
    let last = bridge.reloaded().await;
    let old =
        now.iter().filter(|user| **user != *by_id(&last, user["id"].as_str().unwrap())).count();
    assert_eq!(old, 0, "of {} have employments ten days old: {health}", users.len());
}
