//! Tests of refused requests: every error is a SCIM error, and every route except health requires
//! the token.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{Setup, TOKEN, send_request};

const RESOURCES: [&str; 11] = [
    "/Users",
    "/Users/1",
    "/Groups",
    "/Groups/1",
    "/ServiceProviderConfig",
    "/ResourceTypes",
    "/ResourceTypes/User",
    "/Schemas",
    "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    "/nothing",
    "/",
];

/// Paths that are not resources and require the token too.
const OTHERS: [&str; 5] = ["/.search", "/Users/.search", "/Groups/.search", "/Me", "/Bulk"];

#[tokio::test(flavor = "multi_thread")]
async fn every_route_except_health_requires_the_token() {
    let bridge = Setup::persons(3).start();
    let wrong = [
        None,
        Some("Bearer wrong-token-for-tests".to_owned()),
        Some(format!("Basic {TOKEN}")),
        Some(format!("ApiKey {TOKEN}")),
    ];
    for path in RESOURCES.into_iter().chain(OTHERS) {
        for prefix in ["", "/scim/v2"] {
            for authorization in &wrong {
                for method in [Method::GET, Method::POST, Method::HEAD] {
                    let mut request = bridge
                        .http
                        .request(method.clone(), format!("{}{prefix}{path}", bridge.origin));
                    if let Some(authorization) = authorization {
                        request = request.header("Authorization", authorization);
                    }
                    let answer = send_request(request).await;
                    // Time passes so that wrong tokens are not throttled.
                    bridge.clock.pass(Duration::from_secs(60));
                    if method == Method::HEAD {
                        assert_eq!(
                            (answer.status.as_u16(), answer.text.as_str()),
                            (401, ""),
                            "{path}"
                        );
                    } else {
                        answer.scim_error(401, None);
                    }
                    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
                }
            }
        }
    }
    let lower = bridge
        .http
        .get(format!("{}/Schemas", bridge.origin))
        .header("Authorization", format!("bearer {TOKEN}"));
    assert_eq!(send_request(lower).await.status, 200, "the name of a scheme has no case");
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_wherever_something_exists() {
    let bridge = Setup::persons(3).start();
    for path in RESOURCES.into_iter().chain([""]).filter(|path| *path != "/nothing") {
        for prefix in ["", "/scim/v2"] {
            for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let request = bridge
                    .request(method.clone(), &format!("{prefix}{path}"))
                    .body("{\"active\": false}");
                let answer =
                    send_request(request.header("Content-Type", "application/scim+json")).await;
                answer.scim_error(405, None);
                assert_eq!(answer.header("allow"), "GET, HEAD", "{method} {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_return_a_scim_error() {
    let bridge = Setup::persons(3).start();
    for path in
        ["/nothing", "/scim/v2/Nothing", "/scim/v1/Users", "/users", "/Users/1/2", "/health"]
    {
        bridge.get(path).await.scim_error(404, None);
    }
    for (path, route) in [
        ("/scim/v2/users", "/scim/v2/Users"),
        ("/scim/v2/User?filter=Users%20pr", "/scim/v2/Users"),
        ("/SCIM/V2/Users/ann-example", "/scim/v2/Users/{id}"),
        ("/scim/v2/serviceproviderconfigs", "/scim/v2/ServiceProviderConfig"),
        ("/v2/persons", "/scim/v2/Users"),
        ("/scim/v2/scim/v2/Schemas", "/scim/v2/Schemas"),
        ("/scim/v2/openapi.json", "/openapi.json"),
        ("/scim/v2/status", "/status"),
    ] {
        let detail = bridge.get(path).await.scim_error(404, None);
        assert_eq!(detail, format!("no such path; did you mean {route}?"), "{path}");
    }
    for path in ["/scim/v2/nothing", "/scim/v2/ann-example?filter=Users%20pr", "/webhooks/personio"]
    {
        let detail = bridge.get(path).await.scim_error(404, None);
        assert_eq!(detail, "no such path; SCIM is under /scim/v2", "{path}");
    }
    let detail = bridge.get("/Users/12345").await.scim_error(404, None);
    assert!(detail.contains("User") && !detail.contains("12345"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_its_own_request_id() {
    let bridge = Setup::persons(3).start();
    let mut ids = std::collections::HashSet::new();
    for path in ["/Users", "/Users/1", "/nothing", "/Schemas", "/health/live", "/Users?count=x"] {
        let answered = bridge.get(path).await;
        assert!(ids.insert(answered.header("x-request-id").to_owned()), "{path}");
    }
    let refused = send_request(
        bridge.http.get(format!("{}/Users", bridge.origin)).header("x-request-id", "mine"),
    )
    .await;
    assert!(ids.insert(refused.header("x-request-id").to_owned()));
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
}
