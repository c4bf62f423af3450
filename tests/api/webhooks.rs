//! Tests of Personio's webhooks: authentication, accepted payloads, and the cost of one load.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    AFTER_COOL_DOWN, REFRESH_DEBOUNCE, SHORT_TTL, Setup, TOKEN, TestResponse, TestServer, loads,
    send_request, wait_until,
};

const WEBHOOK_TOKEN: &str = "a-webhook-token-for-tests";
/// Duration of a slow load, in real time.
const LOAD_TIME: Duration = Duration::from_millis(300);

fn setup(persons: usize) -> Setup {
    Setup { webhook_token: Some(WEBHOOK_TOKEN), ..Setup::persons(persons) }
}

/// Starts a server, waits for its first load and resets the request counts of the simulator.
async fn loaded(setup: Setup) -> TestServer {
    let bridge = setup.start();
    bridge.ready().await;
    bridge.simulator.reset_history();
    bridge
}

fn request(
    bridge: &TestServer,
    method: Method,
    authorization: Option<&str>,
) -> reqwest::RequestBuilder {
    let request = bridge.http.request(method, format!("{}/webhooks/personio", bridge.origin));
    authorization.into_iter().fold(request, |request, value| request.header("Authorization", value))
}

async fn send(bridge: &TestServer, body: impl Into<reqwest::Body>) -> TestResponse {
    send_request(request(bridge, Method::POST, Some(WEBHOOK_TOKEN)).body(body)).await
}

fn webhook_body(event: &str) -> String {
    let payload = json!({"person_id": "1220426"});
    json!({"company_id": 1, "event_name": event, "occurred_at": "2026-11-23T10:00:00Z", "payload": payload}).to_string()
}

async fn notify(bridge: &TestServer) {
    let answer = send(bridge, webhook_body("person.updated")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
}

/// Asserts that exactly `expected` loads have begun by the time when no load is due any more.
async fn costs(bridge: &TestServer, expected: usize, why: &str) {
    // The task of the debounce ends when a load covers all webhooks. That of the scheduler remains.
    wait_until(why, async || {
        bridge.clock.age(REFRESH_DEBOUNCE);
        bridge.clock.waiting() == 1 && bridge.directory().state().loading.is_none()
    })
    .await;
    assert_eq!(loads(bridge), expected, "{why}");
}

/// Lets the debounce pass, and waits until the load that is due then has ended.
async fn load_due(bridge: &TestServer) {
    let before = bridge.directory().history().len();
    bridge.clock.age(REFRESH_DEBOUNCE);
    wait_until("a load", async || bridge.directory().history().len() > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_webhook_token_the_route_does_not_exist() {
    let bridge = loaded(Setup::persons(3)).await;
    let path = "/webhooks/personio";
    for method in [Method::GET, Method::POST, Method::PUT] {
        let here =
            send_request(bridge.request(method.clone(), path).body(webhook_body("person.updated")))
                .await;
        let elsewhere = send_request(bridge.request(method.clone(), "/webhooks/nothing")).await;
        here.scim_error(404, None);
        assert_eq!((here.status, here.text), (elsewhere.status, elsewhere.text), "{method}");
        send_request(request(&bridge, method, None)).await.scim_error(401, None);
    }
    costs(&bridge, 0, "nothing was told").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_webhook_token_is_accepted() {
    let bridge = loaded(setup(3)).await;
    let longer = format!("{WEBHOOK_TOKEN}s");
    let upper = WEBHOOK_TOKEN.to_uppercase();
    let (scim, scim_bearer) = (TOKEN.to_owned(), format!("Bearer {TOKEN}"));
    let mut wrong = vec![None, Some(""), Some("Bearer"), Some(&WEBHOOK_TOKEN[1..])];
    wrong.extend([&longer, &upper, &scim, &scim_bearer].map(|text| Some(text.as_str())));
    for authorization in wrong {
        for method in [Method::POST, Method::GET] {
            let answer = send_request(
                request(&bridge, method, authorization).body(webhook_body("person.updated")),
            )
            .await;
            let detail = answer.scim_error(401, None);
            assert!(
                !detail.contains(WEBHOOK_TOKEN) && !answer.header("www-authenticate").is_empty(),
                "{detail}"
            );
        }
    }
    costs(&bridge, 0, "strangers were not listened to").await;
    notify(&bridge).await;
    load_due(&bridge).await;
    costs(&bridge, 1, "the token was").await;
    for authorization in [format!("Bearer {WEBHOOK_TOKEN}"), format!("\"{WEBHOOK_TOKEN}\"")] {
        let request =
            request(&bridge, Method::POST, Some(&authorization)).body(webhook_body("ping"));
        assert_eq!(send_request(request).await.status, 202, "{authorization}");
    }
    // Neither token grants access to the routes of the other.
    let users = bridge.http.get(format!("{}/Users", bridge.origin));
    assert_eq!(
        send_request(users.header("Authorization", format!("Bearer {WEBHOOK_TOKEN}"))).await.status,
        401
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_accepted_and_those_about_people_are_a_reason_to_load() {
    let bridge = loaded(setup(3)).await;
    for (event, reason) in [
        ("person.created", true),
        ("person.updated", true),
        ("person.deleted", true),
        ("employment.created", true),
        ("employment.updated", true),
        ("employment.deleted", true),
        ("employment.started", true),
        ("employment.terminated", true),
        ("employment.updated.cost-centers", true),
        ("person.abducted", true),
        ("ping", false),
        ("absence-period.created", false),
        ("attendance-period.updated", false),
        ("document.created", false),
    ] {
        bridge.simulator.reset_history();
        let answer = send(&bridge, webhook_body(event)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""), "{event}");
        if reason {
            load_due(&bridge).await;
        }
        costs(&bridge, reason.into(), event).await;
    }
    // These payloads name no person, so any person may have changed.
    for payload in
        [json!(null), json!({}), json!({"id": "x y"}), json!([1]), json!({"person": {"key": 7}})]
    {
        bridge.simulator.reset_history();
        let body = json!({"event_name": "person.updated", "payload": payload}).to_string();
        assert_eq!(send(&bridge, body).await.status, 202, "{payload}");
        load_due(&bridge).await;
        costs(&bridge, 1, "somebody has changed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_payload_is_refused_and_not_quoted() {
    let bridge = loaded(setup(3)).await;
    for body in [
        "",
        "MARKER",
        "[]",
        "{\"event_name\": 7}",
        "{\"payload\": \"MARKER\"}",
        "{\"event_name\": \"MARKER\"",
    ] {
        let detail = send(&bridge, body).await.scim_error(400, None);
        assert!(detail.contains("event_name") && !detail.contains("MARKER"), "{detail}");
    }
    send(&bridge, vec![b' '; 1_100_000]).await.scim_error(413, None);
    for method in
        [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
    {
        let answer = send_request(request(&bridge, method.clone(), Some(WEBHOOK_TOKEN))).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
        if method != Method::HEAD {
            answer.scim_error(405, None);
        }
    }
    costs(&bridge, 0, "nothing was told").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_refreshes_fresh_data() {
    let bridge = loaded(setup(30)).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.all_users().await.len(), 30, "still fresh");
    notify(&bridge).await;
    assert_eq!((loads(&bridge), bridge.all_users().await.len()), (0, 30), "it waits for others");
    load_due(&bridge).await;
    assert_eq!(bridge.all_users().await.len(), 20);
    costs(&bridge, 1, "it has seen the change").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_webhooks_cause_one_load() {
    let bridge = loaded(setup(3)).await;
    join_all((0..50).map(|_| notify(&bridge))).await;
    load_due(&bridge).await;
    costs(&bridge, 1, "all fifty together").await;
    notify(&bridge).await;
    load_due(&bridge).await;
    costs(&bridge, 2, "the next one is news").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_during_a_load_causes_another_load() {
    let bridge = loaded(setup(3)).await;
    bridge.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Delay(LOAD_TIME)).times(1),
    );
    notify(&bridge).await;
    bridge.clock.age(REFRESH_DEBOUNCE);
    wait_until("the first load has begun", async || loads(&bridge) == 1).await;
    join_all((0..5).map(|_| notify(&bridge))).await;
    bridge.clock.age(2 * REFRESH_DEBOUNCE);
    assert_eq!(loads(&bridge), 1, "one load at a time");
    wait_until("it has ended", async || bridge.directory().history().len() == 2).await;
    // The tasks of the scheduler and of the debounce wait again.
    bridge.clock.settle(2).await;
    load_due(&bridge).await;
    costs(&bridge, 2, "that load may have missed it, and one more does not").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_begun_after_the_webhook_is_sufficient() {
    let bridge = loaded(Setup { cache_ttl: SHORT_TTL, ..setup(3) }).await;
    notify(&bridge).await;
    bridge.reloaded().await;
    costs(&bridge, 1, "it saw what the notice was about").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_requests_do_not_wait_for_the_load() {
    let setup = setup(3);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    let start = Instant::now();
    for _ in 0..10 {
        notify(&bridge).await;
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(bridge.health().await.0, 503, "nothing could be loaded meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_survives_failed_loads_without_extra_requests() {
    let bridge = loaded(setup(30)).await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    notify(&bridge).await;
    load_due(&bridge).await;
    bridge.failure().await;
    let failed = loads(&bridge);
    for _ in 0..5 {
        notify(&bridge).await;
        // The tasks of the scheduler and of the debounce wait again.
        bridge.clock.settle(2).await;
        bridge.clock.age(REFRESH_DEBOUNCE);
    }
    bridge.clock.settle(2).await;
    assert_eq!(loads(&bridge), failed, "there is a pause after a failure");
    assert_eq!(bridge.all_users().await.len(), 30);

    bridge.simulator.clear_faults();
    bridge.simulator.reset_history();
    bridge.clock.pass(AFTER_COOL_DOWN);
    load_due(&bridge).await;
    assert_eq!(bridge.all_users().await.len(), 20);
    costs(&bridge, 1, "one load saw them all").await;
    assert_eq!(bridge.health().await.1["parts"]["personio"]["status"], Value::from("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_causes_one_load_during_a_hold_with_expired_data() {
    let hour = Duration::from_secs(3600);
    let bridge = loaded(Setup { max_change: 0.2, max_stale: hour, ..setup(60) }).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.clock.pass(hour + Duration::from_secs(1));
    notify(&bridge).await;
    load_due(&bridge).await;
    costs(&bridge, 1, "one load has seen it").await;
    bridge.get("/scim/v2/Users").await.scim_error(503, None);
    assert_eq!(bridge.health().await.1["parts"]["directory"]["heldBack"]["disappeared"], 40);
    costs(&bridge, 1, "whoever asks gets the same").await;
    notify(&bridge).await;
    load_due(&bridge).await;
    costs(&bridge, 2, "another notice, another load").await;
}
