//! Tests of an upstream that sends endless listings, huge texts, or data of another person: loads
//! fail at a limit that the error names, and no user gets the data of another one.

use personio_scim::personio::{ListingLimits, ReadLimits};
use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};
use serde_json::{Value, json};

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, TestServer, by_id};

/// Starts a server with `persons` persons and small limits, whose every list request causes a load,
/// and returns its users.
async fn start_always_loading(persons: usize, limits: ReadLimits) -> (TestServer, Vec<Value>) {
    let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(persons) };
    setup.tuning.limits = limits;
    let bridge = setup.start();
    let users = bridge.all_users().await;
    (bridge, users)
}

fn listing(entries: usize, pages: usize, bytes: usize) -> ListingLimits {
    ListingLimits { entries, pages, bytes }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_listing_of_persons_fails_at_the_limit_it_exceeds() {
    let usual = ReadLimits::default();
    for (limits, expected) in [
        (ReadLimits { persons: listing(500, 1000, usize::MAX), ..usual }, "more than 500 entries"),
        (ReadLimits { persons: listing(100_000, 7, usize::MAX), ..usual }, "more than 7 pages"),
        (
            ReadLimits { persons: listing(100_000, 1000, 100_000), ..usual },
            "larger than 100000 bytes",
        ),
        (ReadLimits { record_bytes: 100_000, ..usual }, "more than 100000 bytes"),
    ] {
        let (bridge, users) = start_always_loading(12, limits).await;
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::EndlessListing));
        assert_eq!(bridge.reloaded().await, users, "{expected}");
        let failure = bridge.failure().await;
        assert!(failure.contains(expected), "{failure}");
        assert!(bridge.simulator.request_count(SimulatedEndpoint::Persons) < 300, "{expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_employments_are_unreadable() {
    let limits =
        ReadLimits { employments: listing(120, 1000, usize::MAX), ..ReadLimits::default() };
    let (bridge, users) = start_always_loading(12, limits).await;
    let id = users[3]["id"].as_str().unwrap();
    bridge.simulator.reset_history();
    bridge.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::EndlessListing).person(id),
    );
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Employments),
        11 + 3,
        "three pages, then the limit"
    );
    assert_eq!(bridge.health().await.1["parts"]["directory"]["outdated"], 1);

    let mut setup = Setup::persons(12);
    setup.tuning.limits = limits;
    let simulator = setup.simulator();
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::EndlessListing));
    let failure = setup.start_with(simulator).failure().await;
    assert!(failure.contains("more than 120 entries"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_lookups_are_left_out() {
    let mut setup = Setup::persons(12);
    setup.tuning.limits =
        ReadLimits { names: listing(200, 1000, usize::MAX), ..ReadLimits::default() };
    let simulator = setup.simulator();
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::CostCenters, FaultAction::EndlessListing));
    let bridge = setup.start_with(simulator);
    let users = bridge.all_users().await;
    assert!(users.iter().all(|user| user[ENTERPRISE]["costCenter"].is_null()));
    assert!(users.iter().any(|user| user[ENTERPRISE]["department"].is_string()));
    assert!(bridge.simulator.request_count(SimulatedEndpoint::CostCenters) <= 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_too_long_is_absent_and_counted() {
    let (bridge, users) = start_always_loading(12, ReadLimits::default()).await;
    for bytes in [65_537, 1_000_000] {
        let value = json!({"title": "x".repeat(bytes)});
        let action =
            FaultAction::ChangedEntries { entries: 1, attribute: "position".to_owned(), value };
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action));
        let seen = bridge.reloaded().await;
        assert!(seen.len() == users.len() && seen.iter().all(|user| user["title"].is_null()));
        let defects = bridge.health().await.1["parts"]["directory"]["defects"].clone();
        assert!(defects["oddValues"].as_u64().unwrap() >= 12, "{defects}");
        assert!(
            defects["examples"].to_string().contains("employments.position.title"),
            "{defects}"
        );
        bridge.simulator.clear_faults();
    }
    let value = json!({"title": "x".repeat(65_536)});
    let action =
        FaultAction::ChangedEntries { entries: 1, attribute: "position".to_owned(), value };
    bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action));
    assert!(
        bridge
            .reloaded()
            .await
            .iter()
            .any(|user| user["title"].as_str().is_some_and(|it| it.len() == 65_536))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_fails_as_a_whole() {
    let limits = ReadLimits { response_bytes: 1_000_000, ..ReadLimits::default() };
    let (bridge, users) = start_always_loading(12, limits).await;
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::Oversized(1_000_001),
    ));
    assert_eq!(bridge.reloaded().await, users);
    let failure = bridge.failure().await;
    assert!(failure.contains("larger than 1000000 bytes, the limit of one response"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_employment_applies_only_to_its_own_person() {
    for names_person in [true, false] {
        let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(40) };
        let ids: Vec<String> = setup.world.persons.iter().map(|person| person.id.clone()).collect();
        let simulator = setup.simulator();
        let action =
            FaultAction::EmploymentsOf { person: ids[5].clone(), refers_to_person: names_person };
        let fault = InjectedFault::on(SimulatedEndpoint::Employments, action).person(&ids[7]);
        simulator.add_fault(fault.clone());
        let bridge = setup.start_with(simulator);
        let users = bridge.all_users().await;
        assert!(
            users.iter().all(|user| user["id"] != ids[7].as_str()),
            "who has only another's is left out: {names_person}"
        );
        assert!(by_id(&users, &ids[5])[PERSONIO]["employmentId"].is_string(), "{names_person}");

        bridge.simulator.clear_faults();
        let users = bridge.reloaded().await;
        assert!(by_id(&users, &ids[7])[PERSONIO]["employmentId"].is_string(), "{names_person}");
        bridge.simulator.add_fault(fault);
        assert_eq!(bridge.reloaded().await, users, "the last good one is kept: {names_person}");
        assert_eq!(bridge.health().await.1["parts"]["directory"]["outdated"], 1, "{names_person}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_employment_of_two_persons_applies_to_neither() {
    for hides_references in [false, true] {
        let mut setup = Setup::persons(40);
        let employments = setup.world.persons[5].employments.clone();
        setup.world.persons[7].employments = employments;
        if hides_references {
            setup.options.quirks.hidden_attributes =
                vec!["employments".to_owned(), "person".to_owned()];
        }
        let ids = [5, 7].map(|position| setup.world.persons[position].id.clone());
        let users = setup.start().all_users().await;
        let of_both = users.iter().filter(|user| ids.iter().any(|id| user["id"] == id.as_str()));
        let employed: Vec<bool> =
            of_both.map(|user| user[PERSONIO]["employmentId"].is_string()).collect();
        assert_eq!(
            employed,
            vec![true; usize::from(hides_references)],
            "hidden: {hides_references}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_foreign_employments_fail_the_load_even_if_all_are_known() {
    for names_person in [true, false] {
        let (bridge, users) = start_always_loading(40, ReadLimits::default()).await;
        let other = users[0]["id"].as_str().unwrap().to_owned();
        let action = FaultAction::EmploymentsOf { person: other, refers_to_person: names_person };
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action.clone()));
        assert_eq!(bridge.reloaded().await, users, "{names_person}");
        let failure = bridge.failure().await;
        assert!(failure.contains("belongs to another person"), "{failure}");
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
        assert_eq!(bridge.reloaded().await, users);

        let setup = Setup::persons(40);
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action));
        setup.start_with(simulator).get("/Users").await.scim_error(503, None);
    }
}
