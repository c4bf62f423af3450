//! Tests of the token endpoint and of requests with a token.

use std::time::Duration;

use reqwest::Method;

use crate::simulator::tests::{
    FORM_MEDIA_TYPE, SimulatorOptions, SimulatorProbe, VALID_TOKEN_REQUEST, read, world,
};

#[tokio::test]
async fn token_stays_equal_until_it_is_revoked() {
    let mut probe = SimulatorProbe::start_without_rate_limit(1).await;
    let (status, body) = probe.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await;
    assert_eq!(status, 200);
    assert!(probe.token.starts_with("papi-"));
    assert_eq!(body["access_token"], probe.token);
    assert_eq!(body["token_type"], "Bearer");
    assert!(body["scope"].as_str().unwrap().contains("personio:persons:read"));
    assert!((86_390..=86_400).contains(&body["expires_in"].as_u64().unwrap()));

    probe.simulator.revoke_tokens();
    assert_eq!(probe.get("/v2/persons").await.0, 401);
    let old = probe.token.clone();
    probe.renew_token().await;
    assert_ne!(probe.token, old);
    assert_eq!(probe.get("/v2/persons").await.0, 200);
}

#[tokio::test]
async fn token_expires_after_its_lifetime() {
    let options = SimulatorOptions {
        rate: None,
        token_lifetime: Duration::from_millis(1_600),
        ..SimulatorOptions::default()
    };
    let mut probe = SimulatorProbe::start(world(1), options).await;
    assert_eq!(probe.get("/v2/persons").await.0, 200);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let (_, body) = probe.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await;
    assert_eq!(body["access_token"], probe.token);
    assert!(body["expires_in"].as_u64().unwrap() <= 1);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(probe.get("/v2/persons").await.0, 401);
    probe.renew_token().await;
    assert_eq!(probe.get("/v2/persons").await.0, 200);
}

#[tokio::test]
async fn invalid_token_request_returns_400() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let json =
        r#"{"grant_type":"client_credentials","client_id":"demo","client_secret":"demo-secret"}"#;
    for (content_type, body, error) in [
        ("application/json", json, "invalid_request"),
        ("text/plain", VALID_TOKEN_REQUEST, "invalid_request"),
        (FORM_MEDIA_TYPE, "", "invalid_request"),
        (FORM_MEDIA_TYPE, "grant_type=client_credentials", "invalid_request"),
        (
            FORM_MEDIA_TYPE,
            "grant_type=password&client_id=demo&client_secret=demo-secret",
            "unsupported_grant_type",
        ),
        (
            FORM_MEDIA_TYPE,
            "grant_type=client_credentials&client_id=demo&client_secret=wrong",
            "invalid_client",
        ),
        (
            FORM_MEDIA_TYPE,
            "grant_type=client_credentials&client_id=wrong&client_secret=demo-secret",
            "invalid_client",
        ),
    ] {
        let (status, response) = probe.request_token(content_type, body).await;
        assert_eq!(
            (status, response["error"].as_str()),
            (400, Some(error)),
            "{content_type} {body}"
        );
        for key in ["error_description", "error_uri", "timestamp", "trace_id"] {
            assert!(response[key].is_string(), "{key}");
        }
    }
}

#[tokio::test]
async fn basic_authentication_is_not_accepted() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let request =
        probe.request(Method::POST, "/v2/auth/token").basic_auth("demo", Some("demo-secret"));
    let request =
        request.header("Content-Type", FORM_MEDIA_TYPE).body("grant_type=client_credentials");
    assert_eq!(read(request.send().await.unwrap()).await.0, 400);
}

#[tokio::test]
async fn requests_without_a_valid_token_return_401() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    for path in [
        "/v2/persons",
        "/v2/persons/1",
        "/v2/persons/1/employments",
        "/v2/org-units?type=team",
        "/v2/jobs",
    ] {
        for authorization in ["", "Bearer", "Bearer papi-wrong", &probe.token] {
            let request = probe.request(Method::GET, path).header("Authorization", authorization);
            let response = request.send().await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            let (status, body) = read(response).await;
            assert_eq!(status, 401, "{path} {authorization}");
            assert!(body["personio_trace_id"].is_string() && body["timestamp"].is_string());
            assert!(
                body["errors"][0]["title"].is_string() && body["errors"][0]["detail"].is_string()
            );
        }
    }
}
