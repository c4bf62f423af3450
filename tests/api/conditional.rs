//! Tests of entity tags and 304 (RFC 7644 §3.14).

use personio_scim::mapping::GroupKind;
use reqwest::Method;

use crate::harness::{SHORT_TTL, Setup, TestResponse, TestServer, send_request};

async fn get_if_none_match(bridge: &TestServer, path: &str, known: &str) -> TestResponse {
    send_request(bridge.request(Method::GET, path).header("If-None-Match", known)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_matching_entity_tag_returns_304() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(3) }.start();
    let users = bridge.all_users().await;
    let path = format!("/Users/{}", users[1]["id"].as_str().unwrap());
    let first = bridge.get(&path).await;
    let tag = first.header("etag").to_owned();
    assert_eq!(tag, users[1]["meta"]["version"].as_str().unwrap());
    assert_eq!(first.header("content-location"), users[1]["meta"]["location"].as_str().unwrap());

    let strong = tag.trim_start_matches("W/");
    for known in [&tag, strong, "*", &format!("W/\"other\", {tag}"), &format!("{tag},\"x\"")] {
        let again = get_if_none_match(&bridge, &path, known).await;
        assert_eq!(
            (again.status.as_u16(), again.text.as_str(), again.header("etag")),
            (304, "", tag.as_str()),
            "{known}"
        );
        assert_eq!(
            again.header("content-location"),
            first.header("content-location"),
            "RFC 9110 §15.4.5"
        );
    }
    for other in ["W/\"other\"", "", "no tag", "\"\""] {
        assert_eq!(get_if_none_match(&bridge, &path, other).await.status, 200, "{other}");
    }
    let head = send_request(bridge.request(Method::HEAD, &path)).await;
    assert_eq!(
        (head.status.as_u16(), head.header("etag"), head.text.as_str()),
        (200, tag.as_str(), "")
    );
    assert_eq!(get_if_none_match(&bridge, "/Users/1", "*").await.status, 404);

    bridge.simulator.with_world(|world| {
        world.persons.iter_mut().for_each(|person| person.preferred_name = Some("New".into()))
    });
    bridge.reloaded().await;
    assert_eq!(
        get_if_none_match(&bridge, &path, &tag).await.status,
        200,
        "what has changed is sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_returns_304_until_the_directory_changes() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) }.start();
    let path = "/Users?filter=active+eq+true&count=5";
    let tag = bridge.get(path).await.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(get_if_none_match(&bridge, path, &tag).await.status, 304);
    assert_eq!(get_if_none_match(&bridge, path, "*").await.status, 304);

    bridge.reloaded().await;
    let again = get_if_none_match(&bridge, path, &tag).await;
    assert_eq!(
        (again.status.as_u16(), again.text.as_str()),
        (304, ""),
        "a refresh without changes"
    );
    for other in [
        "/Users?filter=active+eq+true&count=6",
        "/Users?filter=active+eq+true&count=5&startIndex=2",
        "/Users?filter=active+eq+false&count=5",
        "/Users?filter=active+eq+true&count=5&sortBy=id",
        "/Users?filter=active+eq+true&count=5&sortOrder=descending",
        "/Users?filter=active+eq+true&count=5&attributes=id",
        "/Users?filter=active+eq+true&count=5&excludedAttributes=id",
        "/Users?filter=active+eq+true&count=5&cursor",
        "/Groups?filter=displayName+pr&count=5",
        "/?filter=active+eq+true&count=5",
    ] {
        assert_eq!(
            get_if_none_match(&bridge, other, &tag).await.status,
            200,
            "{other} is another list"
        );
    }
    bridge.simulator.with_world(|world| world.persons[0].preferred_name = Some("New".into()));
    bridge.reloaded().await;
    assert_eq!(get_if_none_match(&bridge, path, &tag).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_root_lists_return_304() {
    let mut setup = Setup::persons(60);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let groups = bridge.list("/Groups", &[]).await;
    let group = format!("/Groups/{}", groups["Resources"][0]["id"].as_str().unwrap());
    for path in [&*group, "/Groups", "/", "/scim/v2", "/?count=3"] {
        let first = bridge.get(path).await;
        let again = get_if_none_match(&bridge, path, first.header("etag")).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{path}");
        for header in ["etag", "content-location"] {
            assert_eq!(again.header(header), first.header(header), "{path}");
        }
    }
    let everything = bridge.get("/").await.header("etag").to_owned();
    assert_eq!(get_if_none_match(&bridge, "/Users", &everything).await.status, 200);
    assert_eq!(get_if_none_match(&bridge, "/Groups", &everything).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_headers_of_get() {
    let mut setup = Setup::persons(60);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let (users, groups) = (bridge.list("/Users", &[]).await, bridge.list("/Groups", &[]).await);
    let of = |path: &str, list: &serde_json::Value| {
        format!("{path}/{}", list["Resources"][0]["id"].as_str().unwrap())
    };
    let (user, group) = (of("/Users", &users), of("/Groups", &groups));
    for path in [
        "/",
        "/Groups",
        &group,
        &user,
        "/ServiceProviderConfig",
        "/Users?count=x",
        "/Users?count=7",
        "/Users?sortBy=title&cursor=&count=7",
    ] {
        let (get, head) =
            (bridge.get(path).await, send_request(bridge.request(Method::HEAD, path)).await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        let [get, head] = [get, head].map(|mut answer| {
            answer.headers.remove("date");
            answer.headers.remove("x-request-id").unwrap();
            answer.headers
        });
        assert_eq!(head, get, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_page_answered_by_304_begins_a_paging_session() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let tag = bridge.get("/Users?count=20").await.header("etag").to_owned();
    bridge.simulator.with_world(|world| world.persons[0].preferred_name = Some("New".into()));
    bridge.reloaded().await;
    bridge.get("/Users?count=20").await;
    let now = bridge.get("/Users?count=20").await.header("etag").to_owned();
    assert_ne!(now, tag);
    let request = bridge.request(Method::GET, "/Users?count=20").header("User-Agent", "other");
    assert_eq!(send_request(request.header("If-None-Match", &now)).await.status, 304);
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    assert_eq!(bridge.reloaded().await.len(), 50);
    let request =
        bridge.request(Method::GET, "/Users?count=20&startIndex=21").header("User-Agent", "other");
    assert_eq!(send_request(request).await.json()["totalResults"], 60);
}
