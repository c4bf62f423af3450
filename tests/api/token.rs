//! Tests of the Personio token: the server caches and shares it, renews it in time, and requests no
//! more tokens than needed.

use std::time::Duration;

use futures_util::future::join_all;
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};
use serde_json::json;

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, http, send_request, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_asked_for_as_a_form_and_kept_over_loads() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(12) }.start();
    bridge.all_users().await;
    bridge.reloaded().await;
    bridge.reloaded().await;
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Persons), 3);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), 1);
    let log = bridge.simulator.received_requests();
    let request = log.iter().find(|request| request.endpoint == SimulatedEndpoint::Token).unwrap();
    assert_eq!(request.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
    let body = request.body.as_deref().unwrap();
    for part in ["grant_type=client_credentials", "client_id=demo", "client_secret=demo-secret"] {
        assert!(body.contains(part), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_renewed_before_it_ends() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(12) }.start();
    bridge.all_users().await;
    let nanosecond = Duration::from_nanos(1);
    // A token of a day is renewed a minute before its end.
    bridge.clock.pass(Duration::from_secs(24 * 3600 - 60) - nanosecond);
    assert_eq!(bridge.all_users().await.len(), 12);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), 1);
    bridge.clock.pass(nanosecond);
    assert_eq!(bridge.all_users().await.len(), 12);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), 2);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Persons), 3, "none was refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_renewed_once_for_all() {
    let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) };
    setup.options.latency = Duration::from_millis(50);
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    // The tokens are revoked while employments are read, so that many requests are refused at the
    // same time.
    let (reloaded, ()) = tokio::join!(bridge.reloaded(), async {
        wait_until("employments are read", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) >= 20
        })
        .await;
        bridge.simulator.revoke_tokens();
    });
    assert_eq!(reloaded, users);
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Token), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_reported_and_not_retried() {
    let setup = Setup::persons(3);
    let simulator = setup.simulator();
    let mut wrong = Setup::persons(0);
    wrong.options.client_secret = "another".to_owned();
    let bridge = wrong.start_with(simulator);
    let answers = join_all((0..20).map(|_| bridge.get("/Users"))).await;
    for answer in answers {
        let detail = answer.scim_error(503, None);
        assert!(!detail.contains("secret"), "what is wrong is no business of the client: {detail}");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
    }
    let failure = bridge.failure().await;
    assert!(
        failure.contains("client id and the client secret") && failure.contains("invalid_client"),
        "{failure}"
    );
    assert!(
        bridge.simulator.request_count(SimulatedEndpoint::Token) <= 2,
        "once for the persons, once for the names"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_endpoint_that_fails_is_tried_a_few_times() {
    let setup = Setup::persons(3);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, FaultAction::Status(500)));
    let bridge = setup.start_with(simulator);
    bridge.get("/Users").await.scim_error(503, None);
    bridge.failure().await;
    let requests = bridge.simulator.request_count(SimulatedEndpoint::Token);
    assert!(
        (3..=6).contains(&requests),
        "three attempts for the persons, and for the names: {requests}"
    );
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.all_users().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_with_any_characters_are_encoded() {
    for secret in ["a+b/c==", "&client_id=x", "50% ünïcode \"quoted\" ", "a:b@c#d?e"] {
        let mut setup = Setup::persons(1);
        setup.options.client_id = "papi-client 1&2".to_owned();
        setup.options.client_secret = secret.to_owned();
        let bridge = setup.start();
        assert_eq!(bridge.all_users().await.len(), 1, "{secret}");
        let log = bridge.simulator.received_requests();
        let mut requests =
            log.iter().filter(|request| request.endpoint == SimulatedEndpoint::Token);
        assert_eq!(requests.next().unwrap().query, "", "nothing secret in a URL");
        assert!(requests.next().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_response_fails_the_load_without_being_quoted() {
    let json =
        |status, body: &str| FaultAction::CustomBody(status, "application/json", body.to_owned());
    for (action, expected) in [
        (json(200, "{}"), "is not used"),
        (json(200, r#"{"access_token": 7}"#), "is not used"),
        (json(200, r#"{"access_token": "MARK\nER", "expires_in": 86400}"#), "is not used"),
        (FaultAction::HtmlError(200), "something between here and Personio"),
        (FaultAction::HtmlError(403), "something between here and Personio answered 403"),
        (FaultAction::HtmlError(405), "something between here and Personio answered 405"),
        (FaultAction::HtmlError(407), "something between here and Personio answered 407"),
        (json(405, ""), "answered 405"),
        (FaultAction::TruncatedJson, "is not used"),
        (FaultAction::WrongJson, "is not used"),
        (FaultAction::Oversized(17 << 20), "is not used"),
        (
            json(400, r#"{"error": "invalid_client", "error_description": "MARKER"}"#),
            "invalid_client",
        ),
        (json(401, r#"{"errors": [{"title": "MARKER"}]}"#), "API credential"),
        (json(400, r#"{"error": {"message": "MARKER"}}"#), "API credential"),
        (json(403, ""), "API credential"),
        (FaultAction::NotFoundRoute, "base URL"),
        (FaultAction::HtmlError(404), "base URL"),
    ] {
        let setup = Setup::persons(1);
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, action.clone()));
        let bridge = setup.start_with(simulator);
        let failure = bridge.failure().await;
        assert!(failure.contains(expected) && !failure.contains("MARK"), "{action:?}: {failure}");
        assert!(
            expected == "invalid_client"
                || expected == "API credential"
                || !failure.contains("client secret"),
            "{failure}"
        );
        bridge.get("/Users").await.scim_error(503, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_usable_with_any_announced_lifetime() {
    for (member, value) in [
        ("expires_in", json!("86400")),
        ("expires_in", json!(0)),
        ("expires_in", json!(null)),
        ("expires_in", json!(u64::MAX)),
        ("token_type", json!("bearer")),
        ("something_new", json!({"a": [1]})),
    ] {
        let setup = Setup::persons(2);
        let simulator = setup.simulator();
        let token = http().post(format!("{}/v2/auth/token", simulator.base_url()));
        let token = token.header("Content-Type", "application/x-www-form-urlencoded");
        let form = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret";
        let token = send_request(token.body(form)).await.json()["access_token"].clone();
        let mut body = json!({"access_token": token});
        body[member] = value;
        simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Token,
            FaultAction::CustomBody(200, "application/json", body.to_string()),
        ));
        let bridge = setup.start_with(simulator);
        let users = bridge.get("/Users").await;
        assert_eq!(users.status, 200, "{body}: {}", bridge.health().await.1);
    }
}
