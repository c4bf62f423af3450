//! How the server is: before, during and after loads.

use personio_scim::simulator::{Action, Endpoint, Fault};
use serde_json::json;

use crate::harness::{PAUSE_OVER, SHORT, Setup, answer, until};

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_snapshot_and_liveness_does_not() {
    let setup = Setup { cache_ttl: SHORT, ..Setup::persons(30) };
    let simulator = setup.simulator();
    simulator.fail(Fault::on(Endpoint::Persons, Action::Hang));
    let bridge = setup.start_with(simulator);
    let (status, body) = bridge.health().await;
    assert_eq!(
        (status, &body["status"], &body["parts"]["directory"]["status"]),
        (503, &json!("down"), &json!("loading"))
    );
    assert_eq!(body["pid"], std::process::id(), "the bridge runs in this process");
    assert_eq!(
        answer(bridge.http.get(format!("{}/health/live", bridge.origin))).await.status,
        200,
        "no token is needed"
    );

    bridge.simulator.heal();
    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Status(403)));
    until("the hanging load has failed", async || bridge.health().await.1["parts"]["personio"]["status"] == "down")
        .await;
    assert_eq!(bridge.get("/health/live").await.status, 200, "a restart would not mend it");

    bridge.simulator.heal();
    bridge.clock.pass(PAUSE_OVER);
    bridge.ready().await;
    let (status, body) = bridge.health().await;
    assert_eq!((status, &body["status"], &body["parts"]["directory"]["users"]), (200, &json!("ok"), &json!(30)));

    bridge.simulator.fail(Fault::on(Endpoint::Persons, Action::Status(500)));
    bridge.reloaded().await;
    let failure = bridge.failure().await;
    let (status, body) = bridge.health().await;
    assert_eq!((status, &body["status"]), (200, &json!("degraded")), "there is still something to serve");
    assert!(failure.contains("500") && failure.contains("/v2/persons"), "{failure}");
    let text = body.to_string();
    let names = bridge.simulator.with_world(|world| world.persons.clone());
    for person in names {
        for text_of in [person.email, person.last_name].into_iter().flatten() {
            assert!(!text.contains(&text_of), "{text_of}");
        }
    }
}
