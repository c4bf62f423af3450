//! Tests of queries in a body (RFC 7644 §3.4.3), queries of all resource types, and unimplemented
//! endpoints.

use std::cmp::Reverse;

use personio_scim::mapping::GroupKind;
use personio_scim::scim::SEARCH_REQUEST_SCHEMA as SEARCH;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Setup, TestResponse, TestServer, encoded, ids, send_request};

/// Returns a SearchRequest with these members.
fn request(members: &Value) -> Value {
    let mut body = json!({"schemas": [SEARCH]});
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Starts a server with groups.
fn with_groups(persons: usize) -> TestServer {
    let mut setup = Setup::persons(persons);
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Office];
    setup.start()
}

/// Sends a body that `json!` cannot create.
async fn posted(bridge: &TestServer, path: &str, members: &str) -> TestResponse {
    let request = bridge
        .request(Method::POST, path)
        .header("Content-Type", "application/scim+json; charset=utf-8");
    send_request(request.body(format!("{{\"schemas\": [\"{SEARCH}\"], {members}}}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_answered_like_the_same_query_in_a_url() {
    let bridge = with_groups(60);
    let rows: &[(&[(&str, &str)], Value)] = &[
        (&[], json!({})),
        (&[("count", "7"), ("startIndex", "3")], json!({"count": 7, "startIndex": 3})),
        (&[("filter", "active eq true")], json!({"filter": "active eq true"})),
        (&[("filter", "name.familyName co \"ü\"")], json!({"Filter": "name.familyName co \"ü\""})),
        (
            &[("sortBy", "userName"), ("sortOrder", "descending")],
            json!({"sortBy": "userName", "sortOrder": "descending"}),
        ),
        (
            &[("attributes", "userName,name.familyName")],
            json!({"attributes": ["userName", "name.familyName"]}),
        ),
        (
            &[("excludedAttributes", "meta")],
            json!({"excludedAttributes": ["meta"], "attributes": null}),
        ),
        (&[("attributes", "userName,emails")], json!({"attributes": "userName,emails"})),
        (
            &[("attributes", "userName,emails,title")],
            json!({"attributes": ["userName, emails", "title"]}),
        ),
        (&[("excludedAttributes", "meta,name")], json!({"excludedAttributes": " meta , name"})),
        (&[("count", "0")], json!({"count": 0, "somethingElse": {"a": 1}})),
        (&[("cursor", ""), ("count", "5")], json!({"cursor": "", "count": 5})),
        (&[("filter", "displayName sw \"e\""), ("attributes", "displayName")], {
            json!({"FILTER": "displayName sw \"e\"", "attributes": ["", " displayName "]})
        }),
        (&[("attributes", " , ")], json!({"attributes": ["", " "]})),
        (&[("excludedAttributes", " meta ,,")], json!({"excludedAttributes": [" meta ", ""]})),
        (&[("sortBy", " displayName"), ("sortOrder", " descending ")], {
            json!({"sortBy": "displayName ", "sortOrder": "descending"})
        }),
        (&[("startIndex", "2"), ("count", "3")], json!({"startIndex": "2", "count": " 3"})),
        (&[("startIndex", "2"), ("count", "100")], json!({"startIndex": 2.0, "count": 100.0})),
        (&[("count", "100000000000000000000000")], json!({"count": 1e23})),
        (&[("startIndex", "-3"), ("count", "-1")], json!({"startIndex": -3.0, "count": -1})),
    ];
    for path in ["/Users", "/Groups", ""] {
        let list = bridge.list(&format!("{path}/"), &[]).await;
        assert!(list["totalResults"].as_u64().unwrap() > 1, "an empty list would prove nothing");
    }
    for (parameters, members) in rows {
        for path in ["/Users", "/Groups", "", "/scim/v2/Users", "/scim/v2/Groups", "/scim/v2"] {
            let bounds = ["count", "filter", "sortBy", "startIndex", "cursor"];
            let is_bounded = parameters.iter().any(|(name, _)| bounds.contains(name));
            if !is_bounded && ["", "/scim/v2"].contains(&path) {
                // GET answers such a request as a connection test, with a small page.
                continue;
            }
            let got = bridge.get(&format!("{path}/?{}", encoded(parameters))).await;
            let posted = bridge.post(&format!("{path}/.search"), &request(members)).await;
            assert_eq!(
                (got.status, got.json()),
                (posted.status, posted.json()),
                "{path} {members}"
            );
            assert!(posted.header("content-type").starts_with("application/scim+json"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_a_search_request_is_refused() {
    let bridge = Setup::persons(3).start();
    for (body, scim_type, detail) in [
        ("", "invalidSyntax", "the body is not a SearchRequest in JSON"),
        ("{", "invalidSyntax", "line 1, column 1"),
        ("[]", "invalidSyntax", "the body is not a SearchRequest"),
        (
            "{\"schemas\": [\"urn:x\"]}",
            "invalidSyntax",
            "do not name urn:ietf:params:scim:api:messages:2.0:SearchRequest",
        ),
        ("{\"schemas\": \"x\"}", "invalidSyntax", "the schemas of the body do not name"),
        ("{\"schemas\": 1}", "invalidSyntax", "do not name"),
    ] {
        let request = bridge
            .request(Method::POST, "/Users/.search")
            .header("Content-Type", "application/json");
        let actual = send_request(request.body(body)).await.scim_error(400, Some(scim_type));
        assert!(actual.contains(detail), "{body}: {actual}");
    }
    for (members, scim_type, detail) in [
        (json!({"filter": 1}), "invalidValue", "filter must be a string"),
        (json!({"filter": "x"}), "invalidFilter", "character 2: expected an operator"),
        (json!({"count": "many"}), "invalidValue", "count must be a whole number"),
        (json!({"startIndex": 1.5}), "invalidValue", "startIndex must be a whole number"),
        (json!({"startIndex": "1.5"}), "invalidValue", "startIndex must be a whole number"),
        (json!({"count": true}), "invalidValue", "count must be a whole number"),
        (json!({"filter": ""}), "invalidFilter", "expected"),
        (
            json!({"attributes": {"a": "b"}}),
            "invalidValue",
            "attributes must be an array of strings, or one string",
        ),
        (
            json!({"excludedAttributes": [1]}),
            "invalidValue",
            "excludedAttributes must be an array of strings",
        ),
        (json!({"sortBy": "x"}), "invalidPath", "there is no attribute `x`"),
    ] {
        let actual = bridge
            .post("/Users/.search", &request(&members))
            .await
            .scim_error(400, Some(scim_type));
        assert!(actual.contains(detail), "{members}: {actual}");
    }
    for (members, name) in [
        (r#""filter": "id pr", "filter": "userName pr""#, "filter"),
        (r#""filter": "id pr", "FILTER": "id pr""#, "filter"),
        (r#""startIndex": 1, "startindex": 1"#, "startIndex"),
        (r#""attributes": ["id"], "Attributes": ["id"]"#, "attributes"),
        (r#""cursor": "x", "cursor": "y""#, "cursor"),
    ] {
        let actual =
            posted(&bridge, "/Users/.search", members).await.scim_error(400, Some("invalidValue"));
        assert_eq!(actual, format!("the parameter {name} is given more than once"), "{members}");
    }
    let once =
        posted(&bridge, "/Users/.search", r#""filter": null, "filter": "id pr", "x": 1, "x": 2"#)
            .await;
    assert_eq!(once.json()["totalResults"], 3, "{}", once.text);
    let form = bridge
        .request(Method::POST, "/Users/.search")
        .header("Content-Type", "application/x-www-form-urlencoded");
    let actual = send_request(form.body("filter=x")).await.scim_error(415, None);
    assert!(actual.contains("application/scim+json"), "{actual}");
    let large = bridge.request(Method::POST, "/Users/.search").body(" ".repeat(2_000_000));
    send_request(large).await.scim_error(413, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_a_post_and_nothing_else() {
    let bridge = Setup::persons(3).start();
    for path in [
        "/.search",
        "/Users/.search",
        "/Groups/.search",
        "/scim/v2/Users/.search",
        "/scim/v2/.search",
    ] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::DELETE] {
            let answer = send_request(bridge.request(method.clone(), path)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("allow")),
                (405, "POST"),
                "{method} {path}"
            );
        }
    }
    let no_type = bridge
        .request(Method::POST, "/Users/.search")
        .body(request(&json!({"count": 1})).to_string());
    assert_eq!(send_request(no_type).await.json()["itemsPerPage"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_lists_users_and_groups() {
    let bridge = with_groups(30);
    let (users, groups) = (bridge.list("/Users", &[]).await, bridge.list("/Groups", &[]).await);
    let both = [ids(&users), ids(&groups)].concat();
    for path in ["/", "/scim/v2", "/scim/v2/"] {
        assert_eq!(ids(&bridge.list(path, &[("count", "1000")]).await), both, "{path}");
    }
    let only = |wanted: &str| [("filter", format!("meta.resourceType eq \"{wanted}\""))];
    let list = async |filter: &str| bridge.list("/", &[("filter", filter)]).await;
    assert_eq!(ids(&list(&only("Group")[0].1).await), ids(&groups));
    assert_eq!(ids(&list(&only("User")[0].1).await), ids(&users));
    // "An attribute that is not part of a type has no value there."
    assert_eq!(ids(&list("members pr").await), ids(&groups));
    assert_eq!(ids(&list("userName pr").await), ids(&users));
    assert_eq!(ids(&list("not (userName pr)").await), ids(&groups));
    assert_eq!(ids(&list("userName ne \"x\" and displayName pr").await), both);
    assert_eq!(ids(&list("emails[type eq \"home\"] or userName eq null").await), ids(&groups));

    let sorted =
        bridge.list("/", &[("sortBy", "displayName"), ("attributes", "displayName")]).await;
    let names: Vec<String> = sorted["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["displayName"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(names.is_sorted() && names.len() == both.len(), "{names:?}");
    let by_user_name = bridge.list("/", &[("sortBy", "userName")]).await;
    assert_eq!(ids(&by_user_name)[30..], ids(&groups), "what has no value comes last");
    let actual = bridge.get("/?filter=shoeSize+pr").await.scim_error(400, Some("invalidFilter"));
    assert!(actual.contains("there is no attribute `shoeSize` in User or Group"), "{actual}");
}

/// Returns the sort key of a resource in lower case.
fn key(resource: &Value, path: &[&str]) -> Option<String> {
    let value = path.iter().try_fold(resource, |value, name| value.get(name))?;
    Some(value.as_str().unwrap().to_lowercase())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_groups_are_sorted_into_one_list_of_which_pages_of_every_size_are_parts() {
    let bridge = with_groups(90);
    let everything =
        bridge.list("/", &[("count", "1000")]).await["Resources"].as_array().unwrap().clone();
    let paths: &[&[&str]] = &[
        &[],
        &["displayName"],
        &["userName"],
        &["members"],
        &["meta", "resourceType"],
        &["meta", "created"],
    ];
    for path in paths {
        for order in ["ascending", "descending"] {
            for filter in [None, Some("displayName co \"e\"")] {
                let by = path.join(".");
                let mut parameters =
                    vec![("sortBy", by.as_str()), ("sortOrder", order), ("attributes", "id")];
                parameters.extend(filter.map(|filter| ("filter", filter)));
                let mut expected: Vec<&Value> = everything.iter().collect();
                expected.retain(|one| {
                    filter.is_none() || key(one, &["displayName"]).unwrap().contains('e')
                });
                // Sorting is stable: resources with equal keys keep their order.
                match (path, order) {
                    ([], _) => {}
                    // A group has several members, and each list sorts by the first.
                    (["members"], "ascending") => expected.sort_by_key(|one| first_member(one)),
                    (["members"], _) => expected.sort_by_key(|one| Reverse(first_member(one))),
                    (path, "ascending") => {
                        expected.sort_by_key(|one| (key(one, path).is_none(), key(one, path)))
                    }
                    (path, _) => expected
                        .sort_by_key(|one| Reverse((key(one, path).is_none(), key(one, path)))),
                }
                let expected: Vec<&str> =
                    expected.iter().map(|one| one["id"].as_str().unwrap()).collect();
                for size in ["1", "7", "50", "1000"] {
                    let mut walked: Vec<String> = Vec::new();
                    while walked.len() < expected.len() {
                        let start = (walked.len() + 1).to_string();
                        let page =
                            [parameters.as_slice(), &[("count", size), ("startIndex", &start)]]
                                .concat();
                        let page = bridge.list("/", &page).await;
                        assert_eq!(page["totalResults"], expected.len(), "{by} {order}");
                        walked.extend(ids(&page).into_iter().map(str::to_owned));
                    }
                    assert_eq!(walked, expected, "{by} {order} {filter:?} {size}");
                }
            }
        }
    }
}

fn first_member(resource: &Value) -> (bool, Option<&str>) {
    let first = resource.get("members").map(|members| members[0]["value"].as_str().unwrap());
    (first.is_none(), first)
}

#[tokio::test(flavor = "multi_thread")]
async fn unimplemented_endpoints_return_501() {
    let bridge = Setup::persons(3).start();
    for path in ["/Me", "/Bulk", "/scim/v2/Me", "/scim/v2/Bulk"] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let actual =
                send_request(bridge.request(method, path).body("{}")).await.scim_error(501, None);
            assert!(actual.contains("is not implemented"), "{actual}");
        }
        let head = send_request(bridge.request(Method::HEAD, path)).await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (501, ""), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_without_schemas_is_accepted() {
    let bridge = Setup::persons(30).start();
    let expected = bridge.list("/Users", &[("filter", "active eq true"), ("count", "3")]).await;
    for schemas in [
        None,
        Some(json!(null)),
        Some(json!([])),
        Some(json!(SEARCH)),
        Some(json!(["urn:x", SEARCH])),
    ] {
        let mut body = json!({"filter": "active eq true", "count": 3});
        if let Some(schemas) = schemas {
            body["schemas"] = schemas;
        }
        let found = bridge.post("/Users/.search", &body).await;
        assert_eq!((found.status.as_u16(), found.json()), (200, expected.clone()), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_the_connection_at_the_root_reads_a_small_page() {
    let bridge = with_groups(60);
    let whole = bridge.list("/", &[("count", "10000")]).await;
    let total = whole["totalResults"].as_u64().unwrap();
    assert!(total > 60 && ids(&whole).len() as u64 == total);
    let check = async |path: &str, size: u64| {
        let page = bridge.get(path).await.json();
        let counts = (&page["totalResults"], &page["itemsPerPage"]);
        assert_eq!(counts, (&json!(total), &json!(size)), "{path}");
        assert_eq!(ids(&page).len() as u64, size, "{path}");
    };
    for path in [
        "/",
        "/scim/v2",
        "/scim/v2/",
        "/scim/v2?attributes=id",
        "/scim/v2?something=else&excludedAttributes=x",
    ] {
        check(path, 10).await;
    }
    // A request with parameters for a list is not a connection test, and gets the whole list.
    for path in ["/?count=25", "/scim/v2?count=25&attributes=id"] {
        check(path, 25).await;
    }
    for path in ["/?startIndex=1", "/?sortBy=id", "/?filter=id%20pr", "/?cursor="] {
        check(path, total).await;
    }
    // A search is never a connection test.
    for (body, size) in
        [(json!({}), total), (json!({"count": 25}), 25), (json!({"filter": "id pr"}), total)]
    {
        assert_eq!(
            bridge.post("/.search", &request(&body)).await.json()["itemsPerPage"],
            size,
            "{body}"
        );
    }
    assert_eq!(
        bridge.get("/Users").await.json()["itemsPerPage"],
        60,
        "no short pages where people are listed"
    );
    let small = Setup { max_results: 5, ..Setup::persons(20) }.start();
    assert_eq!(small.get("/scim/v2").await.json()["itemsPerPage"], 5);
}
