//! Tests of deleted persons: a person who is missing from a listing is not deleted. Only a deletion
//! check proves it.

use std::time::Duration;

use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint, SimulatedPerson};
use serde_json::Value;

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, TestServer, by_id, first_page, metric};

const HOUR: Duration = Duration::from_secs(3600);

async fn settled(persons: usize) -> (TestServer, Vec<Value>) {
    let bridge = Setup {
        cache_ttl: SHORT_TTL,
        refresh_wait: HOUR,
        employment_recheck: HOUR,
        ..Setup::persons(persons)
    }
    .start();
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    (bridge, users)
}

/// Removes the persons at these indexes from the company and returns them.
fn remove(bridge: &TestServer, places: std::ops::Range<usize>) -> Vec<SimulatedPerson> {
    bridge.simulator.with_world(|world| world.persons.drain(places).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_checked_once() {
    let (bridge, users) = settled(60).await;
    let gone = remove(&bridge, 7..9);
    let left = bridge.reloaded().await;
    assert_eq!(left.len(), 58);
    assert!(gone.iter().all(|person| left.iter().all(|user| user["id"] != person.id.as_str())));
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 2);
    bridge.reloaded().await;
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 2, "they are forgotten");
    for person in gone {
        assert!(users.iter().any(|user| user["id"] == person.id.as_str()));
        bridge.get(&format!("/Users/{}", person.id)).await.scim_error(404, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_404_for_the_person_means_deleted() {
    for action in [
        FaultAction::NotFoundRoute,
        FaultAction::HtmlError(404),
        FaultAction::Status(404),
        FaultAction::Status(401),
        FaultAction::Status(403),
        FaultAction::Status(410),
        FaultAction::Status(500),
        FaultAction::HtmlError(502),
        FaultAction::ConnectionReset,
        FaultAction::TruncatedJson,
        FaultAction::WrongJson,
    ] {
        let (bridge, users) = settled(60).await;
        remove(&bridge, 7..9);
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Person, action.clone()));
        for _ in 0..2 {
            assert_eq!(bridge.reloaded().await, users, "{action:?}");
        }
        bridge.simulator.clear_faults();
        assert_eq!(bridge.reloaded().await.len(), 58, "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_missing_from_the_list_stays() {
    let (bridge, users) = settled(60).await;
    // The listing ends after one page. The other ten persons are missing from it, but exist.
    let page = first_page(&bridge).await;
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::CustomBody(200, "application/json", page),
    ));
    for _ in 0..3 {
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users);
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 10);
        assert_eq!(bridge.health().await.1["status"], "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_checks_of_many_persons_run_in_parts() {
    let (bridge, users) = settled(600).await;
    remove(&bridge, 100..350);
    assert_eq!(bridge.reloaded().await.len(), 400, "200 in one load");
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 200);
    let left = bridge.reloaded().await;
    assert_eq!((left.len(), bridge.simulator.request_count(SimulatedEndpoint::Person)), (350, 250));
    assert!(left.iter().all(|user| users.contains(user)), "the others are as they were");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_deletion_checks_stop_early() {
    let (bridge, users) = settled(200).await;
    remove(&bridge, 0..150);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(403)));
    assert_eq!(bridge.reloaded().await, users);
    let request_count = bridge.simulator.request_count(SimulatedEndpoint::Person);
    assert!((11..60).contains(&request_count), "{request_count} were asked for");
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.reloaded().await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn unverifiable_persons_do_not_hide_a_deletion() {
    let (bridge, users) = settled(120).await;
    let missing = remove(&bridge, 0..40);
    // Only the person with the highest id is really deleted. The deletion checks of the others
    // fail.
    let gone = missing.iter().map(|person| person.id.clone()).max().unwrap();
    for person in missing.iter().filter(|person| person.id != gone) {
        bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(403))
                .person(&person.id),
        );
    }
    let mut left = users;
    for _ in 0..6 {
        left = bridge.reloaded().await;
    }
    assert!(
        left.len() == 119 && left.iter().all(|user| user["id"] != gone.as_str()),
        "{}",
        left.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_for_another_person_proves_nothing() {
    let (bridge, users) = settled(60).await;
    remove(&bridge, 7..8);
    let other = users[20]["id"].as_str().unwrap();
    let body = format!(r#"{{"id": "{other}", "email": "other@example.com"}}"#);
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Person,
        FaultAction::CustomBody(200, "application/json", body),
    ));
    for _ in 0..2 {
        assert_eq!(bridge.reloaded().await, users);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_reports_the_number_of_unverified_persons() {
    let (bridge, users) = settled(60).await;
    remove(&bridge, 0..15);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Person, FaultAction::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    let reported = async || {
        let (status, health) = bridge.health().await;
        let unconfirmed = metric(&bridge, "unconfirmed_users").await;
        let parts = &health["parts"];
        assert_eq!(
            (status, &parts["directory"]["unconfirmed"]),
            (200, &unconfirmed.into()),
            "{health}"
        );
        (parts["personio"]["status"].clone(), parts["directory"]["unconfirmed"].clone())
    };
    assert_eq!(reported().await, ("degraded".into(), 15.into()));
    bridge.simulator.clear_faults();
    bridge.simulator.with_world(|world| world.persons.truncate(40));
    assert_eq!(bridge.reloaded().await.len(), 40);
    assert_eq!(reported().await, ("ok".into(), 0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlisted_existing_person_is_refreshed_like_others() {
    let bridge = Setup {
        cache_ttl: SHORT_TTL,
        employment_recheck: Duration::from_secs(3600),
        max_stale: Duration::from_secs(7200),
        ..Setup::persons(60)
    }
    .start();
    bridge.all_users().await;
    let page = first_page(&bridge).await;
    let listed: Value = serde_json::from_str(&page).unwrap();
    let ids: Vec<String> = listed["_data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].to_string().replace('"', ""))
        .collect();
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::CustomBody(200, "application/json", page),
    ));
    let mut unlisted = Vec::new();
    bridge.simulator.with_world(|world| {
        for person in world.persons.iter_mut().filter(|person| !ids.contains(&person.id)) {
            unlisted.push(person.id.clone());
            person.preferred_name = Some("Gone".into());
            person.employments.iter_mut().for_each(|it| it.status = Some("INACTIVE".into()));
        }
    });
    let mut now = Vec::new();
    for _ in 0..50 {
        bridge.clock.pass(Duration::from_secs(3600));
        now = bridge.reloaded().await;
    }
    let active = unlisted.iter().filter(|id| by_id(&now, id)["active"] == true).count();
    let health = bridge.health().await.1;
    assert_eq!(active, 0, "of {} after 50 hours: {health}", unlisted.len());
}
