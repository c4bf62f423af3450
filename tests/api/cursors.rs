//! Tests of paging by cursors (RFC 9865).

use personio_scim::mapping::GroupKind;
use personio_scim::scim::SEARCH_REQUEST_SCHEMA;
use serde_json::{Value, json};

use crate::harness::{SHORT_TTL, Setup, TestServer, ids};

/// Returns all pages of a list by cursors.
async fn read_pages(bridge: &TestServer, path: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
    let mut pages = vec![bridge.list(path, &[parameters, &[("cursor", "")]].concat()).await];
    while let Some(next) = pages.last().unwrap().get("nextCursor") {
        let next = next.as_str().unwrap().to_owned();
        assert!(
            next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
            "{next}"
        );
        pages.push(bridge.list(path, &[parameters, &[("cursor", &next)]].concat()).await);
    }
    pages
}

fn all(pages: &[Value]) -> Vec<&str> {
    pages.iter().flat_map(ids).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_pages_return_every_user_once_in_order() {
    let mut setup = Setup::persons(60);
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Office];
    let bridge = setup.start();
    for (path, parameters) in [
        ("/Users", vec![]),
        ("/Users", vec![("filter", "active eq true")]),
        (
            "/Users",
            vec![("sortBy", "userName"), ("sortOrder", "descending"), ("attributes", "userName")],
        ),
        ("/Users", vec![("filter", "userName eq \"nobody\"")]),
        ("/Groups", vec![]),
        ("/Groups", vec![("filter", "id sw \"office-\""), ("sortBy", "displayName")]),
        ("/", vec![]),
        ("/", vec![("sortBy", "displayName"), ("excludedAttributes", "members")]),
    ] {
        let whole =
            bridge.list(path, &[parameters.as_slice(), &[("count", "1000")]].concat()).await;
        for (text, size) in [("1", 1), ("7", 7), ("30", 30), ("60", 60), ("100", 100)] {
            let pages =
                read_pages(&bridge, path, &[parameters.as_slice(), &[("count", text)]].concat())
                    .await;
            assert_eq!(all(&pages), ids(&whole), "{path} {parameters:?} {size}");
            assert_eq!(
                pages.len(),
                ids(&whole).len().div_ceil(size).max(1),
                "no page without anybody after the last"
            );
            for page in &pages {
                assert_eq!(page["totalResults"], whole["totalResults"]);
                assert_eq!(page["itemsPerPage"], ids(page).len());
            }
        }
        assert!(whole.get("nextCursor").is_none(), "never a cursor that was not asked for");
    }
    let unpaged = read_pages(&bridge, "/Users", &[]).await;
    assert_eq!((unpaged.len(), ids(&unpaged[0]).len()), (1, 60));
    let bare = bridge.get("/Users?cursor&count=10").await.json();
    assert!(bare["nextCursor"].is_string(), "`?cursor` without `=` too");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_pages_stay_on_their_snapshot() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let users = bridge.all_users().await;
    let first = bridge.list("/Users", &[("cursor", ""), ("count", "20")]).await;
    bridge.simulator.with_world(|world| {
        world.persons.retain(|person| person.id != users[3]["id"].as_str().unwrap())
    });
    assert_eq!(bridge.reloaded().await.len(), 59);
    let next = first["nextCursor"].as_str().unwrap();
    let second = bridge.list("/Users", &[("cursor", next), ("count", "20")]).await;
    assert_eq!(second["totalResults"], 60);
    // Without `count`, the page size of the first request applies.
    let last = bridge.list("/Users", &[("cursor", second["nextCursor"].as_str().unwrap())]).await;
    let expected: Vec<&str> = users.iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert_eq!(all(&[first.clone(), second, last]), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_another_query_is_refused() {
    let bridge = Setup::persons(60).start();
    let page = bridge
        .list("/Users", &[("cursor", ""), ("count", "20"), ("filter", "active eq true")])
        .await;
    let next = page["nextCursor"].as_str().unwrap();
    let forged = format!("{}{}", if next.starts_with('0') { '1' } else { '0' }, &next[1..]);
    let cut = &next[..next.len() - 2];
    for query in [
        format!("/Users?filter=active+eq+false&cursor={next}"),
        format!("/Users?cursor={next}"),
        format!("/Users?filter=active+eq+true&sortBy=id&cursor={next}"),
        format!("/Users?filter=active+eq+true&sortOrder=descending&cursor={next}"),
        format!("/Users?filter=active+eq+true&attributes=id&cursor={next}"),
        format!("/Users?filter=active+eq+true&excludedAttributes=title&cursor={next}"),
        format!("/?filter=active+eq+true&cursor={next}"),
        format!("/Users?filter=active+eq+true&cursor={forged}"),
        format!("/Users?filter=active+eq+true&cursor={cut}"),
        "/Users?filter=active+eq+true&cursor=x".to_owned(),
        "/Users?filter=active+eq+true&cursor=%F0%9F%A6%80".to_owned(),
    ] {
        bridge.get(&query).await.scim_error(400, Some("invalidCursor"));
    }
    let path = format!("/Users?filter=active+eq+true&cursor={next}");
    assert_eq!(bridge.get(&path).await.status, 200, "the right one is good");
    bridge.get(&format!("{path}&count=19")).await.scim_error(400, Some("invalidCount"));
    bridge.get(&format!("{path}&startIndex=2")).await.scim_error(400, Some("invalidValue"));
    for count in ["10001", "x", "", "99999999999999999999"] {
        bridge
            .get(&format!("/Users?cursor=&count={count}"))
            .await
            .scim_error(400, Some("invalidCount"));
    }
    bridge.get(&format!("{path}&count=0")).await.scim_error(400, Some("invalidCount"));
}

#[tokio::test(flavor = "multi_thread")]
async fn count_zero_returns_only_the_total() {
    let bridge = Setup::persons(60).start();
    for count in ["0", "-1", "-99999999999999999999"] {
        let page = bridge.list("/Users", &[("cursor", ""), ("count", count)]).await;
        assert_eq!(
            (&page["totalResults"], &page["itemsPerPage"]),
            (&json!(60), &json!(0)),
            "{count}"
        );
        assert!(ids(&page).is_empty() && page.get("nextCursor").is_none(), "{count}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_count_a_page_has_the_maximum_size() {
    let bridge = Setup { max_results: 100, ..Setup::persons(110) }.start();
    bridge.ready().await;
    let pages = read_pages(&bridge, "/Users", &[]).await;
    assert_eq!(pages.iter().map(|page| ids(page).len()).collect::<Vec<_>>(), [100, 10]);
    assert_eq!(read_pages(&bridge, "/Users", &[("count", "100")]).await, pages);
    bridge.get("/Users?cursor=&count=101").await.scim_error(400, Some("invalidCount"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_expires_with_its_snapshot() {
    for (newer, good) in [(7, true), (8, false)] {
        let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(12) }.start();
        let page = bridge.list("/Users", &[("cursor", ""), ("count", "10")]).await;
        for name in 0..newer {
            bridge
                .simulator
                .with_world(|world| world.persons[0].preferred_name = Some(name.to_string()));
            bridge.reloaded().await;
            // The server retains only snapshots that have a paging session.
            bridge.list("/Users", &[("cursor", ""), ("count", "10")]).await;
        }
        let next = page["nextCursor"].as_str().unwrap();
        let answer = bridge.get(&format!("/Users?count=10&cursor={next}")).await;
        if good {
            assert_eq!(answer.json()["startIndex"], 11, "eight are kept: this one and seven newer");
        } else {
            assert!(answer.scim_error(400, Some("expiredCursor")).contains("begin again"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_paging_can_begin_with_a_search() {
    let bridge = Setup::persons(30).start();
    let body = json!({"schemas": [SEARCH_REQUEST_SCHEMA], "cursor": "", "count": 10});
    let posted = bridge.post("/Users/.search", &body).await.json();
    let next = posted["nextCursor"].as_str().unwrap();
    assert_eq!(bridge.list("/Users", &[("cursor", next), ("count", "10")]).await["startIndex"], 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_survive_a_restart_with_unchanged_data() {
    let setup = || Setup {
        cache_ttl: SHORT_TTL,
        public_url: Some("https://scim.example.com"),
        ..Setup::persons(60)
    };
    let first = setup().start();
    let whole = first.all_users().await;
    let page = first.list("/Users", &[("cursor", ""), ("count", "20")]).await;
    let second = setup().start();
    assert_eq!(second.all_users().await, whole);
    let next = page["nextCursor"].as_str().unwrap();
    let page = second.list("/Users", &[("cursor", next), ("count", "20")]).await;
    assert_eq!(page["Resources"], json!(whole[20..40]));
    // From then on the cursor stays on its snapshot, as it would without the restart.
    second.simulator.with_world(|world| world.persons.truncate(50));
    assert_eq!(second.reloaded().await.len(), 50);
    let next = page["nextCursor"].as_str().unwrap();
    let page = second.list("/Users", &[("cursor", next), ("count", "20")]).await;
    assert_eq!(page["Resources"], json!(whole[40..]));
}
