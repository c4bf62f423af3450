//! Tests of health: before, during and after loads.

use std::time::Duration;

use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};
use serde_json::json;

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, send_request, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_snapshot_and_liveness_does_not() {
    let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) };
    setup.tuning.upstream_timeout = Duration::from_secs(1);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    let (status, body) = bridge.health().await;
    assert_eq!(
        (status, &body["status"], &body["parts"]["directory"]["status"]),
        (503, &json!("loading"), &json!("loading"))
    );
    assert_eq!(body["pid"], std::process::id(), "the bridge runs in this process");
    assert_eq!(
        send_request(bridge.http.get(format!("{}/health/live", bridge.origin))).await.status,
        200,
        "no token is needed"
    );

    bridge.simulator.clear_faults();
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    wait_until("the hanging load has failed", async || {
        bridge.health().await.1["parts"]["personio"]["status"] == "down"
    })
    .await;
    assert_eq!(bridge.get("/health/live").await.status, 200, "a restart would not mend it");

    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.ready().await;
    let (status, body) = bridge.health().await;
    assert_eq!(
        (status, &body["status"], &body["parts"]["directory"]["users"]),
        (200, &json!("ok"), &json!(30))
    );

    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    bridge.reloaded().await;
    let failure = bridge.failure().await;
    let (status, body) = bridge.health().await;
    assert_eq!(
        (status, &body["status"]),
        (200, &json!("degraded")),
        "there is still something to serve"
    );
    assert!(failure.contains("500") && failure.contains("/v2/persons"), "{failure}");
    let text = body.to_string();
    let names = bridge.simulator.with_world(|world| world.persons.clone());
    for person in names {
        for text_of in [person.email, person.last_name].into_iter().flatten() {
            assert!(!text.contains(&text_of), "{text_of}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_reports_since_when_it_fails() {
    let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Token,
        FaultAction::CustomBody(401, "application/json", r#"{"error":"invalid_client"}"#.into()),
    ));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.health().await;
    let part = async |name: &str| bridge.health().await.1["parts"][name].clone();
    wait_until("the second load has failed, too", async || {
        part("personio").await["detail"].as_str().unwrap().contains(" 0 s")
    })
    .await;
    let (token, personio, directory) =
        (part("token").await, part("personio").await, part("directory").await);
    assert_eq!((&token["status"], &token["sinceSeconds"]), (&json!("down"), &json!(16)), "{token}");
    assert!(
        token["detail"].as_str().unwrap().contains("check the client id and the client secret"),
        "{token}"
    );
    assert_eq!(
        (&personio["status"], &personio["sinceSeconds"]),
        (&json!("down"), &json!(16)),
        "{personio}"
    );
    assert_eq!(
        (&directory["status"], &directory["sinceSeconds"]),
        (&json!("down"), &json!(16)),
        "{directory}"
    );

    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.ready().await;
    wait_until("all is well", async || bridge.health().await.1["status"] == "ok").await;
    let (_, health) = bridge.health().await;
    assert!(!health.to_string().contains("sinceSeconds"), "{health}");
    assert_eq!(health["parts"]["token"]["status"], "ok");
}
