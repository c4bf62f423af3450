//! Tests of the media types of all responses: `application/scim+json`, or `application/json` for a
//! client that prefers it (RFC 7644 §3.8).

use std::time::Duration;

use personio_scim::scim::SEARCH_REQUEST_SCHEMA;
use personio_scim::simulator::{FaultAction, InjectedFault};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Setup, TOKEN, TestResponse, TestServer, send_request};

const SCIM_JSON: &str = "application/scim+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// Request, and the expected properties of the response.
struct MediaTypeRow {
    method: Method,
    path: String,
    authorization: String,
    content_type: &'static str,
    body: Vec<u8>,
    status: u16,
    vary: &'static str,
}

fn row(method: Method, path: &str, status: u16) -> MediaTypeRow {
    let vary = if status < 400 { "Accept, Accept-Encoding" } else { "Accept" };
    MediaTypeRow {
        method,
        path: path.to_owned(),
        authorization: format!("Bearer {TOKEN}"),
        content_type: "application/json",
        body: Vec::new(),
        status,
        vary,
    }
}

async fn send(bridge: &TestServer, row: &MediaTypeRow, accept: Option<&str>) -> TestResponse {
    let mut request =
        bridge.http.request(row.method.clone(), format!("{}{}", bridge.origin, row.path));
    request = request
        .header("Authorization", &row.authorization)
        .header("Content-Type", row.content_type);
    if let Some(accept) = accept {
        request = request.header("Accept", accept);
    }
    send_request(request.body(row.body.clone())).await
}

/// Asserts that each response has the media type that the client prefers, and the same content with
/// every preference.
async fn check(bridge: &TestServer, rows: &[MediaTypeRow]) {
    for row in rows {
        let mut texts = Vec::new();
        for (accept, media_type) in [
            (None, SCIM_JSON),
            (Some("*/*"), SCIM_JSON),
            (Some("application/scim+json"), SCIM_JSON),
            (Some("application/scim+json, application/json;q=0.5"), SCIM_JSON),
            (Some("application/json"), JSON),
            (Some("application/json;q=0.9, */*;q=0.8"), JSON),
        ] {
            let answer = send(bridge, row, accept).await;
            let what = format!("{} {} {accept:?}: {answer:?}", row.method, row.path);
            assert_eq!(answer.status, row.status, "{what}");
            assert_eq!(answer.header("content-type"), media_type, "{what}");
            assert_eq!(answer.headers.get_all("vary").iter().count(), 1, "{what}");
            assert_eq!(answer.header("vary"), row.vary, "{what}");
            texts.push(answer.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{} {}: the body is the same", row.method, row.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_media_type_that_the_client_prefers() {
    let bridge = Setup::persons(60).start();
    let id = bridge.all_users().await[0]["id"].as_str().unwrap().to_owned();
    let search = json!({"schemas": [SEARCH_REQUEST_SCHEMA]}).to_string().into_bytes();
    let (get, post) = (Method::GET, Method::POST);
    let wrong = || "Bearer a-wrong-token-of-somebody".to_owned();
    let rows = [
        row(get.clone(), "/scim/v2/Users", 200),
        row(Method::HEAD, "/scim/v2/Users", 200),
        row(get.clone(), "/scim/v2/Users?count=1", 200),
        row(get.clone(), &format!("/scim/v2/Users/{id}"), 200),
        row(get.clone(), "/scim/v2/Groups", 200),
        row(get.clone(), "/scim/v2/Schemas", 200),
        row(get.clone(), "/scim/v2/ServiceProviderConfig", 200),
        MediaTypeRow { body: search, ..row(post.clone(), "/scim/v2/Users/.search", 200) },
        row(get.clone(), "/scim/v2/Users?filter=nonsense", 400),
        MediaTypeRow { authorization: String::new(), ..row(get.clone(), "/scim/v2/Users", 401) },
        row(get.clone(), "/scim/v2/Schemas?filter=id%20pr", 403),
        row(get.clone(), "/scim/v2/Users/0", 404),
        row(get.clone(), "/scim/v2/nothing", 404),
        row(get.clone(), "/nothing", 404),
        row(Method::DELETE, &format!("/scim/v2/Users/{id}"), 405),
        MediaTypeRow {
            body: vec![b' '; 1024 * 1024 + 1],
            ..row(post.clone(), "/scim/v2/Users/.search", 413)
        },
        MediaTypeRow { content_type: "text/plain", ..row(post, "/scim/v2/Users/.search", 415) },
        row(get.clone(), "/scim/v2/Me", 501),
    ];
    check(&bridge, &rows).await;
    for _ in 0..5 {
        send(
            &bridge,
            &MediaTypeRow { authorization: wrong(), ..row(get.clone(), "/Users", 401) },
            None,
        )
        .await;
    }
    check(&bridge, &[MediaTypeRow { authorization: wrong(), ..row(get, "/Users", 429) }]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_503_has_the_media_type_that_the_client_prefers() {
    let setup = Setup { refresh_wait: Duration::ZERO, ..Setup::persons(3) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    check(
        &bridge,
        &[row(Method::GET, "/scim/v2/Users", 503), row(Method::GET, "/scim/v2/Users/1", 503)],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_tags_and_content_codings_are_those_of_both_media_types() {
    let bridge = Setup::persons(60).start();
    let id = bridge.all_users().await[0]["id"].as_str().unwrap().to_owned();
    for path in ["/scim/v2/Users".to_owned(), format!("/scim/v2/Users/{id}")] {
        let tag = bridge.get(&path).await.header("etag").to_owned();
        for accept in ["application/scim+json", "application/json"] {
            let request = || bridge.request(Method::GET, &path).header("Accept", accept);
            assert_eq!(send_request(request()).await.header("etag"), tag, "{path} {accept}");
            let known = send_request(request().header("If-None-Match", &tag)).await;
            assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""), "{path} {accept}");
            assert_eq!(known.header("vary"), "Accept, Accept-Encoding", "{path} {accept}");
        }
    }
    // The response cache holds the bytes for both media types.
    for (accept, media_type) in [("application/scim+json", SCIM_JSON), ("application/json", JSON)] {
        let request =
            bridge.request(Method::GET, "/scim/v2/Users?count=50").header("Accept", accept);
        let coded = send_request(request.header("Accept-Encoding", "br")).await;
        assert_eq!(
            (coded.header("content-type"), coded.header("content-encoding")),
            (media_type, "br")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn non_scim_responses_have_one_media_type() {
    let bridge = Setup::persons(3).start();
    bridge.ready().await;
    for (path, media_type, vary) in [
        ("/openapi.json", JSON, "Accept-Encoding"),
        ("/health/ready", JSON, ""),
        ("/status", "text/html; charset=utf-8", ""),
        ("/metrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", ""),
    ] {
        for accept in ["application/scim+json", "application/json"] {
            let answer =
                send_request(bridge.request(Method::GET, path).header("Accept", accept)).await;
            assert_eq!(
                (answer.header("content-type"), answer.header("vary")),
                (media_type, vary),
                "{path} {accept}"
            );
        }
    }
}
