//! Tests of `/Users` and `/Groups`: pages, order, and the variants that clients rely on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use personio_scim::scim::LIST_RESPONSE_SCHEMA;
use reqwest::Method;
use serde_json::{Value, json};
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{SHORT_TTL, Setup, encoded, send_request};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_all_its_members_and_no_others() {
    let bridge = Setup::persons(30).start();
    for (query, total, start, items) in [
        ("", 30, 1, 30),
        ("?startIndex=11&count=5", 30, 11, 5),
        ("?startindex=11&COUNT=5", 30, 11, 5),
        ("?startIndex=0&count=5", 30, 1, 5),
        ("?startIndex=-7&count=5", 30, 1, 5),
        ("?startIndex=28&count=100", 30, 28, 3),
        ("?startIndex=31&count=5", 30, 31, 0),
        ("?startIndex=4000000000000000000000", 30, i32::MAX as usize, 0),
        ("?count=0", 30, 1, 0),
        ("?count=-1", 30, 1, 0),
        ("?count=99999999999999999999999", 30, 1, 30),
        ("?count=5&unheard=of&x", 30, 1, 5),
        ("?attributes=userName&sortBy=userName", 30, 1, 30),
    ] {
        for prefix in ["/scim/v2", ""] {
            let page = bridge.get(&format!("{prefix}/Users{query}")).await.json();
            assert_eq!(page["schemas"], json!([LIST_RESPONSE_SCHEMA]));
            let numbers = (&page["totalResults"], &page["startIndex"], &page["itemsPerPage"]);
            assert_eq!(numbers, (&json!(total), &json!(start), &json!(items)), "{query}");
            assert_eq!(page["Resources"].as_array().unwrap().len(), items);
            assert_eq!(page.as_object().unwrap().len(), 5, "no other members");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn non_numeric_and_duplicate_parameters_are_refused() {
    let bridge = Setup::persons(3).start();
    for (query, detail) in [
        ("?startIndex=one", "startIndex must be a whole number"),
        ("?startIndex=", "startIndex must be a whole number"),
        ("?count=1.5", "count must be a whole number"),
        ("?count=0x10", "count must be a whole number"),
        ("?count=1&Count=2", "count is given more than once"),
        ("?cursor=&cursor=", "cursor is given more than once"),
        ("?sortBy=id&SortBy=id", "sortBy is given more than once"),
    ] {
        for path in ["/scim/v2/Users", "/Groups"] {
            let actual =
                bridge.get(&format!("{path}{query}")).await.scim_error(400, Some("invalidValue"));
            assert!(actual.contains(detail), "{query}: {actual}");
        }
    }
    let id = bridge.all_users().await[0]["id"].as_str().unwrap().to_owned();
    let one = bridge.get(&format!("/Users/{id}?sortBy=id&SortBy=id")).await;
    assert!(one.scim_error(400, Some("invalidValue")).contains("sortBy is given more than once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameter_names_ignore_case() {
    let bridge = Setup::persons(20).start();
    let plain = bridge.get("/Users?count=5").await.json();
    for query in [
        "sortBy=userName",
        "sortBy=userName&sortOrder=descending",
        "excludedAttributes=name",
        "attributes=name",
        "cursor=",
        "filter=active+eq+false",
    ] {
        let shouted: Vec<String> = query
            .split('&')
            .map(|parameter| parameter.split_once('=').unwrap())
            .map(|(name, value)| format!("{}={value}", name.to_uppercase()))
            .collect();
        let answered = bridge.get(&format!("/Users?COUNT=5&{}", shouted.join("&"))).await.json();
        assert_eq!(
            answered,
            bridge.get(&format!("/Users?count=5&{query}")).await.json(),
            "{query}"
        );
        assert_ne!(answered, plain, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_attribute_name_is_shortened_in_the_error() {
    let bridge = Setup::persons(3).start();
    for (name, shown) in [
        (format!("a{}z", "ü".repeat(98)), format!("`a{}z`", "ü".repeat(98))),
        (format!("a{}z", "ü".repeat(3000)), format!("`a{}…{}z`", "ü".repeat(49), "ü".repeat(49))),
    ] {
        let answer = bridge.get(&format!("/Users?{}", encoded(&[("sortBy", &name)]))).await;
        let actual = answer.scim_error(400, Some("invalidPath"));
        assert!(actual.contains(&shown) && actual.chars().count() < 200, "{actual}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_mean_nothing_are_ignored_and_names_have_no_case() {
    let bridge = Setup::persons(5).start();
    let page = bridge.get("/Users?startIndex=2&count=2&attributes=userName").await.json();
    for query in [
        "startIndex=2&count=2&attributes=userName&colour=blue&colour=red&=&x",
        "STARTINDEX=2&Count=2&ATTRIBUTES=userName",
        "startindex=2&count=2&attributes=username&sortby=&SortOrder=",
    ] {
        assert_eq!(bridge.get(&format!("/Users?{query}")).await.json(), page, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_every_size_return_every_user_once_in_order() {
    let bridge = Setup::persons(120).start();
    let users = bridge.all_users().await;
    let created: Vec<_> =
        users.iter().map(|user| user["meta"]["created"].as_str().unwrap()).collect();
    assert!(created.is_sorted(), "by creation");
    for size in [1, 7, 50, 100, 120, 200] {
        let mut walked: Vec<Value> = Vec::new();
        loop {
            let page =
                bridge.users(&format!("?startIndex={}&count={size}", walked.len() + 1)).await;
            let rows = page["Resources"].as_array().unwrap();
            assert_eq!(rows.len(), (120 - walked.len()).min(size), "no short pages");
            if rows.is_empty() {
                break;
            }
            walked.extend(rows.clone());
        }
        assert_eq!(walked, users, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_does_not_depend_on_the_upstream_order() {
    // Users sort by creation, then by id; numeric ids sort as numbers. Users without a creation
    // date are last.
    let expected = ["40", "9", "10", "100", "7"];
    let person = |id: &str| match id {
        "40" => json!({"id": id, "created_at": "2019-01-01T00:00:00Z"}),
        "7" => json!({ "id": id }),
        _ => json!({"id": id, "created_at": "2020-01-01T00:00:00Z"}),
    };
    let page = |ids: &[&str]| {
        let persons: Vec<Value> = ids.iter().map(|id| person(id)).collect();
        ResponseTemplate::new(200).set_body_json(json!({"_data": persons, "_meta": {"links": {}}}))
    };
    let orders = [
        page(&["7", "100", "9", "40", "10"]),
        page(&["10", "40", "9", "100", "7"]),
        page(&expected),
    ];
    let loads = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&loads);

    // The simulator always lists in the same order, so this test uses a mock upstream.
    let upstream = MockServer::start().await;
    let token = json!({"access_token": "papi-x", "token_type": "Bearer", "expires_in": 86_400});
    let nothing =
        ResponseTemplate::new(200).set_body_json(json!({"_data": [], "_meta": {"links": {}}}));
    Mock::given(path("/v2/auth/token"))
        .respond_with(ResponseTemplate::new(200).set_body_json(token))
        .mount(&upstream)
        .await;
    let in_turn = move |_: &Request| orders[asked.fetch_add(1, Ordering::Relaxed) % 3].clone();
    Mock::given(path("/v2/persons")).respond_with(in_turn).mount(&upstream).await;
    Mock::given(any()).respond_with(nothing).mount(&upstream).await;

    let setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(0) };
    let simulator = setup.simulator();
    let bridge = setup.start_over(&upstream.uri(), simulator);
    let users = bridge.all_users().await;
    assert_eq!(users.iter().map(|user| user["id"].as_str().unwrap()).collect::<Vec<_>>(), expected);
    // The server loads when it starts. On a busy machine that data is older than `SHORT_TTL` when
    // the first request arrives, and the request causes another load. Each later request causes one
    // load.
    let first = loads.load(Ordering::Relaxed);
    assert!((1..=2).contains(&first), "{first} loads for the start and one request");
    for refreshes in 1..=3 {
        assert_eq!(bridge.reloaded().await, users);
        assert_eq!(loads.load(Ordering::Relaxed), first + refreshes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_the_cap() {
    let bridge = Setup { max_results: 100, ..Setup::persons(110) }.start();
    for query in ["", "?count=5000"] {
        let page = bridge.users(query).await;
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(110), &json!(100)));
        assert_eq!(page["Resources"].as_array().unwrap().len(), 100);
    }
    let rest = bridge.users("?startIndex=101&count=5000").await;
    assert_eq!((&rest["startIndex"], &rest["itemsPerPage"]), (&json!(101), &json!(10)));
    assert_eq!(bridge.get("/ServiceProviderConfig").await.json()["filter"]["maxResults"], 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_has_what_clients_read_without_asking() {
    let bridge = Setup::persons(300).start();
    for user in bridge.all_users().await {
        assert!(
            user["name"].is_object() && user["active"].is_boolean() && user["userName"].is_string(),
            "{user}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_an_empty_list() {
    let bridge = Setup::persons(3).start();
    let empty = json!({
        "schemas": [LIST_RESPONSE_SCHEMA],
        "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": [],
    });
    for path in ["/Groups", "/scim/v2/Groups", "/scim/v2/Groups?count=100&startIndex=1"] {
        assert_eq!(bridge.get(path).await.json(), empty);
    }
    bridge.get("/Groups/1").await.scim_error(404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_answers_as_get_without_a_body() {
    let bridge = Setup::persons(3).start();
    bridge.all_users().await;
    for (path, status) in
        [("/scim/v2/Users", 200), ("/Users/1", 404), ("/Schemas", 200), ("/health/live", 200)]
    {
        let get = bridge.get(path).await;
        let head = send_request(bridge.request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (status, ""), "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailing_slashes_and_any_accept_header_are_accepted() {
    let bridge = Setup::persons(3).start();
    let id = bridge.all_users().await[0]["id"].as_str().unwrap().to_owned();
    for path in [
        "/Users/",
        "/scim/v2/Users/?count=1",
        &format!("/scim/v2/Users/{id}/"),
        "/Groups/",
        "/Schemas/",
    ] {
        for accept in ["application/scim+json", "application/json", "*/*", "text/html", ""] {
            let answer =
                send_request(bridge.request(Method::GET, path).header("accept", accept)).await;
            assert_eq!(answer.status, 200, "{path} {accept}");
        }
    }
}
