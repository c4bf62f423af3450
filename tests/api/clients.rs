//! Requests of common SCIM clients, as they send them, and the parts of the responses that their
//! code reads.

use std::collections::HashSet;

use personio_scim::auth::DefaultPaging;
use personio_scim::mapping::GroupKind;
use personio_scim::simulator::SimulatedEndpoint;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{
    SHORT_TTL, Setup, TOKEN, TestResponse, TestServer, auth_settings, encoded, http, ids,
    send_request,
};

/// Reads the parts of a list that every client needs: the numbers as integers and the resources as
/// an array.
#[track_caller]
fn list(answer: &TestResponse) -> (u64, Vec<Value>) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let media_types = ["application/scim+json; charset=utf-8", "application/json; charset=utf-8"];
    assert!(media_types.contains(&answer.header("content-type")), "{:?}", answer.headers);
    let list = answer.json();
    assert_eq!(list["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    let members: Vec<&String> = list.as_object().unwrap().keys().collect();
    assert_eq!(members, ["schemas", "totalResults", "startIndex", "itemsPerPage", "Resources"]);
    let resources = list["Resources"].as_array().unwrap().clone();
    assert_eq!(
        list["itemsPerPage"].as_u64(),
        Some(resources.len() as u64),
        "the size of this page"
    );
    assert!(list["startIndex"].as_u64().is_some_and(|start| start >= 1));
    (list["totalResults"].as_u64().unwrap(), resources)
}

/// Asserts the attributes of a user that every client reads.
#[track_caller]
fn user(user: &Value) {
    assert!(
        user["id"].is_string() && user["userName"].is_string() && user["externalId"].is_string(),
        "{user}"
    );
    assert!(
        user["name"].is_object() && user["active"].is_boolean() && user["displayName"].is_string(),
        "{user}"
    );
    assert!(
        user.get("emails")
            .is_none_or(|emails| emails[0]["value"].is_string() && emails[0]["primary"] == true)
    );
    assert!(
        user["meta"]["location"]
            .as_str()
            .is_some_and(|location| location.ends_with(user["id"].as_str().unwrap()))
    );
}

async fn get_with_headers(
    bridge: &TestServer,
    path: &str,
    headers: &[(&str, &str)],
) -> TestResponse {
    let request = bridge.request(Method::GET, &format!("/scim/v2{path}"));
    send_request(
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)),
    )
    .await
}

/// Returns all users page by page. The number of the first resource is appended to `path`.
async fn read_pages(
    bridge: &TestServer,
    path: &str,
    first: usize,
    step: usize,
    headers: &[(&str, &str)],
) -> Vec<Value> {
    let mut walked = Vec::new();
    loop {
        let (total, page) = list(
            &get_with_headers(bridge, &format!("{path}{}", first + walked.len()), headers).await,
        );
        assert!(
            page.len() == step || walked.len() + page.len() == total as usize,
            "no short pages"
        );
        page.iter().for_each(user);
        walked.extend(page);
        if walked.len() >= total as usize {
            let ids: HashSet<_> = walked.iter().map(|user| user["id"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), total as usize, "nobody twice, nobody missing");
            return walked;
        }
    }
}

fn upstream(bridge: &TestServer) -> usize {
    [SimulatedEndpoint::Persons, SimulatedEndpoint::Person, SimulatedEndpoint::Employments]
        .into_iter()
        .map(|one| bridge.simulator.request_count(one))
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn conductorone_synchronises_all_users_one_by_one() {
    let bridge = Setup::persons(250).start();
    bridge.ready().await;
    let cost = upstream(&bridge);
    // Every GET of this client has a body.
    let get = async |path: &str| {
        let request = bridge.request(Method::GET, &format!("/scim/v2{path}"));
        let request = request
            .header("Accept", "application/scim+json")
            .header("Content-Type", "application/json");
        send_request(request.body("null\n")).await
    };
    assert_eq!(list(&get("/Users?count=1&startIndex=1").await).0, 250);
    let mut walked = Vec::new();
    for start in [1, 101, 201] {
        walked.extend(list(&get(&format!("/Users?count=100&startIndex={start}")).await).1);
    }
    assert_eq!(list(&get("/Groups?count=100&startIndex=1").await), (0, Vec::new()));
    for known in &walked {
        user(known);
        let alone = get(&format!("/Users/{}", known["id"].as_str().unwrap())).await;
        assert_eq!(&alone.json(), known);
    }
    assert_eq!(walked.len(), 250);
    assert_eq!(
        upstream(&bridge),
        cost,
        "a whole synchronisation costs Personio nothing beyond the load"
    );
}

/// Returns a server whose client pages by cursor if it asks for no position.
fn paged_by_cursor(persons: usize) -> TestServer {
    let mut auth_settings = auth_settings(None);
    auth_settings.clients[0].default_paging = DefaultPaging::Cursor;
    let mut setup = Setup {
        cache_ttl: SHORT_TTL,
        auth_settings: Some(auth_settings),
        ..Setup::persons(persons)
    };
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Team];
    setup.start()
}

/// Reads all pages as a client that adds the cursor of the next page to `first`, the query of the
/// first page. The data of every person changes after each page.
async fn read_by_cursor(bridge: &TestServer, path: &str, first: &str) -> Vec<Value> {
    let mut read = Vec::new();
    let mut query = first.to_owned();
    loop {
        let page = get_with_headers(bridge, &format!("{path}?{query}"), &[]).await.json();
        read.extend(page["Resources"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page.get("nextCursor") else {
            assert_eq!(page["totalResults"], read.len(), "{path}?{query}");
            return read;
        };
        query = format!("{first}&cursor={}", cursor.as_str().unwrap());
        bridge.simulator.with_world(|world| {
            world.persons.rotate_left(1);
            world.persons.iter_mut().for_each(|person| person.last_name = Some("New".to_owned()));
        });
        bridge.reloaded().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conductorone_http_reads_everybody_by_cursor() {
    for total in [1, 99, 100, 101, 200] {
        // The first request can have no cursor or an empty one, which later requests can repeat.
        for first in ["count=100", "count=100&cursor="] {
            let bridge = paged_by_cursor(total);
            let read = read_by_cursor(&bridge, "/Users", first).await;
            read.iter().for_each(user);
            let ids: HashSet<_> = read.iter().map(|user| user["id"].as_str().unwrap()).collect();
            assert_eq!((read.len(), ids.len()), (total, total), "{first}");
        }
    }
    let bridge = paged_by_cursor(30);
    let provider = bridge.get("/ServiceProviderConfig").await.json();
    assert_eq!(provider["pagination"]["defaultPaginationMethod"], "cursor");
    for (query, by_cursor) in [
        ("count=10", true),
        ("count=10&filter=id+pr&sortBy=userName", true),
        ("count=10&startIndex=1", false),
        ("count=10&startIndex=11", false),
    ] {
        let page = get_with_headers(&bridge, &format!("/Users?{query}"), &[]).await.json();
        assert_eq!(page.get("nextCursor").is_some(), by_cursor, "{query}");
    }
    // A client without this setting gets a cursor only if it asks for one.
    let bridge = Setup::persons(30).start();
    let page = get_with_headers(&bridge, "/Users?count=10", &[]).await.json();
    assert!(page.get("nextCursor").is_none());
    let provider = bridge.get("/ServiceProviderConfig").await.json();
    assert_eq!(provider["pagination"]["defaultPaginationMethod"], "index");
}

#[tokio::test(flavor = "multi_thread")]
async fn conductorone_http_reads_the_members_of_every_group() {
    let bridge = paged_by_cursor(250);
    let users = read_by_cursor(&bridge, "/Users", "count=100").await;
    let groups = read_by_cursor(&bridge, "/Groups", "count=5").await;
    let mut grants = 0;
    for group in &groups {
        let id = group["id"].as_str().unwrap();
        assert_eq!(group["externalId"], id.split_once('-').unwrap().1);
        let alone = get_with_headers(&bridge, &format!("/Groups/{id}"), &[]).await.json();
        for member in alone["members"].as_array().unwrap() {
            let user = users.iter().find(|user| user["id"] == member["value"]).unwrap();
            let mut memberships = user["groups"].as_array().unwrap().iter();
            assert!(memberships.any(|membership| membership["value"] == id), "{user}");
            assert_eq!(member["type"], "User");
            grants += 1;
        }
    }
    let memberships = users.iter().filter_map(|user| user.get("groups")?.as_array());
    assert_eq!(grants, memberships.map(Vec::len).sum::<usize>());
    assert!(groups.len() > 5 && grants > 250, "{} groups, {grants} grants", groups.len());
}

/// Checks that the configuration of baton-http names attributes that exist, and all simple ones.
#[tokio::test(flavor = "multi_thread")]
async fn conductorone_http_configuration_names_every_simple_attribute() {
    let configuration = include_str!("../../docs/clients/c1-baton-http.yaml");
    let schemas = Setup::persons(1).start().get("/Schemas").await.json();
    let mut simple = HashSet::new();
    let mut all = HashSet::new();
    for schema in schemas["Resources"].as_array().unwrap() {
        let urn = schema["id"].as_str().unwrap();
        if urn.ends_with(":Group") {
            continue;
        }
        let is_core = urn.contains(":core:");
        let prefix = if is_core { "item".to_owned() } else { format!("item[\"{urn}\"]") };
        for attribute in schema["attributes"].as_array().unwrap() {
            let path = format!("{prefix}.{}", attribute["name"].as_str().unwrap());
            if attribute["type"] != "complex" {
                simple.insert(path.clone());
            }
            all.insert(path);
        }
    }
    all.insert("item.id".to_owned());
    let mut named = HashSet::new();
    let (users, _) = configuration.split_once("\n  group:\n").unwrap();
    for part in users.split("item").skip(1) {
        let path = part.split_once("].").map_or(part, |(urn, _)| urn);
        let (start, rest) = if part.starts_with("[\"") {
            (format!("item{path}]."), &part[path.len() + 2..])
        } else if let Some(rest) = part.strip_prefix('.') {
            ("item.".to_owned(), rest)
        } else {
            continue;
        };
        let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        let path = format!("{start}{name}");
        assert!(all.contains(&path), "{path} does not exist");
        named.insert(path);
    }
    for path in &simple {
        assert!(named.contains(path), "add a line for {path} to docs/clients/c1-baton-http.yaml");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_imports_in_steps_of_a_hundred() {
    let bridge = Setup::persons(250).start();
    let headers = [("Accept", "application/scim+json")];
    assert_eq!(
        list(&get_with_headers(&bridge, "/Users?startIndex=1&count=2", &headers).await).1.len(),
        2
    );
    let walked = read_pages(&bridge, "/Users?count=100&startIndex=", 1, 100, &headers).await;
    assert_eq!(
        read_pages(&bridge, "/Users?count=100&startIndex=", 1, 100, &headers).await,
        walked,
        "the same order always"
    );
    let name = walked[120]["userName"].as_str().unwrap();
    let query = encoded(&[
        ("filter", &format!("userName eq \"{name}\"")),
        ("startIndex", "1"),
        ("count", "100"),
    ]);
    assert_eq!(
        list(&get_with_headers(&bridge, &format!("/Users?{query}"), &headers).await),
        (1, vec![walked[120].clone()])
    );
    list(&get_with_headers(&bridge, "/Groups?startIndex=1&count=100", &headers).await);
    // The client looks up the URNs that it does not know.
    let announced: HashSet<Value> =
        schemas(&bridge).await.iter().map(|schema| schema["id"].clone()).collect();
    assert!(
        walked
            .iter()
            .flat_map(|user| user["schemas"].as_array().unwrap())
            .all(|urn| announced.contains(urn))
    );
}

async fn schemas(bridge: &TestServer) -> Vec<Value> {
    list(&get_with_headers(bridge, "/Schemas", &[]).await).1
}

#[tokio::test(flavor = "multi_thread")]
async fn sailpoint_discovers_then_reads_changes() {
    let bridge = Setup::persons(120).start();
    for path in ["/ServiceProviderConfig", "/ResourceTypes/User", "/ResourceTypes/Group"] {
        assert_eq!(get_with_headers(&bridge, path, &[]).await.status, 200, "{path}");
    }
    for schema in schemas(&bridge).await {
        let id = schema["id"].as_str().unwrap();
        assert_eq!(get_with_headers(&bridge, &format!("/Schemas/{id}"), &[]).await.json(), schema);
    }
    assert_eq!(list(&get_with_headers(&bridge, "/ResourceTypes", &[]).await).0, 2);
    let query =
        "/Users?attributes=userName,name,active,emails,meta.lastModified&count=50&startIndex=";
    let mut everybody = Vec::new();
    for start in [1, 51, 101] {
        everybody.extend(list(&get_with_headers(&bridge, &format!("{query}{start}"), &[]).await).1);
    }
    let mut moments: Vec<&str> =
        everybody.iter().map(|user| user["meta"]["lastModified"].as_str().unwrap()).collect();
    moments.sort_unstable();
    // Every notation of the time of the middle user, with and without a fraction of a second and a
    // zone, finds the same users.
    let since = moments[60].trim_end_matches(".000Z");
    let changed = moments.iter().filter(|moment| **moment > moments[60]).count() as u64;
    for written in [
        format!("{since}Z"),
        since.to_owned(),
        format!("{since}.000Z"),
        format!("{since}.0000000+00:00"),
    ] {
        let filter = format!("userName pr and meta.lastModified gt \"{written}\"");
        let answer =
            get_with_headers(&bridge, &format!("/Users?{}", encoded(&[("filter", &filter)])), &[])
                .await;
        assert_eq!(list(&answer).0, changed, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn oracle_reconciles_in_batches_of_two_hundred() {
    let bridge = Setup::persons(450).start();
    assert_eq!(list(&get_with_headers(&bridge, "/Users?count=1", &[]).await).1.len(), 1);
    assert_eq!(read_pages(&bridge, "/Users?count=200&startIndex=", 1, 200, &[]).await.len(), 450);
}

#[tokio::test(flavor = "multi_thread")]
async fn midpoint_reads_the_schemas_then_finds_accounts_and_groups() {
    let mut setup = Setup::persons(120);
    setup.policy.groups = vec![GroupKind::Department, GroupKind::Team];
    let bridge = setup.start();
    // The client's library requires every characteristic of every attribute, and every block of the
    // configuration.
    fn check(attribute: &Value) {
        for flag in ["multiValued", "required", "caseExact"] {
            assert!(attribute[flag].is_boolean(), "{flag}: {attribute}");
        }
        for word in ["name", "type", "mutability", "returned", "uniqueness", "description"] {
            assert!(attribute[word].is_string(), "{word}: {attribute}");
        }
        attribute["subAttributes"].as_array().into_iter().flatten().for_each(check);
    }
    for schema in schemas(&bridge).await {
        schema["attributes"].as_array().unwrap().iter().for_each(check);
    }
    let config = get_with_headers(&bridge, "/ServiceProviderConfig", &[]).await.json();
    for block in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        assert!(config[block]["supported"].is_boolean(), "{block}");
    }
    assert!(config["authenticationSchemes"][0]["type"].is_string());

    let everybody = read_pages(&bridge, "/Users?count=50&startIndex=", 1, 50, &[]).await;
    let (one, shown) = (&everybody[33], everybody[33]["displayName"].as_str().unwrap());
    let query = encoded(&[("filter", &format!("displayName eq \"{shown}\""))]).replace("%20", "+");
    assert!(
        list(&get_with_headers(&bridge, &format!("/Users?{query}"), &[]).await).1.contains(one)
    );
    let member = one["id"].as_str().unwrap();
    let groups: Vec<&str> = one["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["value"].as_str().unwrap())
        .collect();
    for group in &groups {
        let filter = format!("id eq \"{group}\" and members eq \"{member}\"");
        let answer =
            get_with_headers(&bridge, &format!("/Groups?{}", encoded(&[("filter", &filter)])), &[])
                .await;
        assert_eq!(ids(&answer.json()), [*group]);
    }
    let query = encoded(&[
        ("filter", &format!("members.value eq \"{member}\"")),
        ("excludedAttributes", "members"),
    ]);
    let found = get_with_headers(&bridge, &format!("/Groups?{query}"), &[]).await.json();
    assert_eq!(ids(&found), groups);
    assert!(found["Resources"][0].get("members").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn syncope_stops_at_the_first_short_page() {
    let bridge = Setup::persons(120).start();
    let headers = [("Accept", "application/json"), ("Content-Type", "application/json")];
    let answer = get_with_headers(
        &bridge,
        "/Users?startIndex=1&count=1&attributes=userName,id,name",
        &headers,
    )
    .await;
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    let (total, first) = list(&answer);
    let mut members: Vec<&str> = first[0].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        (total, members.as_slice()),
        (120, ["id", "name", "schemas", "userName"].as_slice())
    );
    let walked = read_pages(&bridge, "/Users?count=50&startIndex=", 1, 50, &headers).await;
    let name = walked[7]["userName"].as_str().unwrap().to_uppercase();
    let query = encoded(&[("filter", &format!("username eq \"{name}\""))]);
    assert_eq!(
        list(&get_with_headers(&bridge, &format!("/Users?{query}"), &headers).await).1,
        [walked[7].clone()]
    );
    assert_eq!(
        list(&get_with_headers(&bridge, "/Users", &headers).await).1.len(),
        120,
        "without paging everybody"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_reads_all_users_at_once_and_deletes_are_refused() {
    let bridge = Setup::persons(450).start();
    let headers = [("Accept", "application/scim+json"), ("Content-Type", "application/scim+json")];
    let (total, everybody) = list(&get_with_headers(&bridge, "/Users", &headers).await);
    assert_eq!((total, everybody.len()), (450, 450));
    everybody.iter().for_each(user);
    list(&get_with_headers(&bridge, "/Groups", &headers).await);
    let id = everybody[0]["id"].as_str().unwrap();
    let deleted =
        send_request(bridge.request(Method::DELETE, &format!("/scim/v2/Users/{id}"))).await;
    deleted.scim_error(405, None);
    assert_eq!(deleted.header("allow"), "GET, HEAD");
}

#[tokio::test(flavor = "multi_thread")]
async fn helloid_begins_at_zero() {
    let bridge = Setup::persons(120).start();
    let everybody = list(&get_with_headers(&bridge, "/Users", &[]).await).1;
    let (total, page) =
        list(&get_with_headers(&bridge, "/Users?startIndex=0&count=500", &[]).await);
    assert_eq!((total, &page), (120, &everybody));
    assert!(
        page.iter()
            .filter(|user| user["name"].get("familyName").is_some())
            .all(|user| user["name"]["formatted"].is_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sap_cloud_identity_reads_all_users_then_changes() {
    let bridge = Setup::persons(250).start();
    // SAP Identity Provisioning sends the token as the password of a technical user.
    let get = async |query: String| {
        let request = http().get(format!("{}/scim/v2/Users?{query}", bridge.origin));
        send_request(
            request.basic_auth("scim", Some(TOKEN)).header("Accept", "application/scim+json"),
        )
        .await
    };
    let mut everybody = Vec::new();
    for start in [1, 101, 201] {
        let (total, page) = list(&get(format!("startIndex={start}&count=100")).await);
        assert_eq!(total, 250);
        everybody.extend(page);
    }
    everybody.iter().for_each(user);
    // Values that a value mapping of the transformation must contain.
    let types: HashSet<&str> =
        everybody.iter().filter_map(|user| user["userType"].as_str()).collect();
    assert!(types.is_subset(&HashSet::from(["Employee", "Contractor"])), "{types:?}");
    // Delta read: users modified after the last successful job.
    let modified = |user: &Value| user["meta"]["lastModified"].as_str().unwrap().to_owned();
    let mut times: Vec<String> = everybody.iter().map(modified).collect();
    times.sort_unstable();
    let last_job = &times[200];
    let later: Vec<Value> =
        everybody.iter().filter(|user| modified(user) > *last_job).cloned().collect();
    assert!(!later.is_empty() && later.len() < 50);
    let filter = format!("meta.lastModified gt \"{last_job}\"");
    let (total, changed) =
        list(&get(encoded(&[("filter", &filter), ("startIndex", "1"), ("count", "100")])).await);
    assert_eq!((total as usize, changed), (later.len(), later));
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_tests_the_connection_and_matches() {
    let mut setup = Setup::persons(120);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let everybody = list(&get_with_headers(&bridge, "/Users", &[]).await).1;
    let one = everybody.iter().find(|user| user.get("emails").is_some()).unwrap();
    let (name, mail) =
        (one["userName"].as_str().unwrap(), one["emails"][0]["value"].as_str().unwrap());
    let external = one["externalId"].as_str().unwrap();
    for (filter, found) in [
        ("userName eq \"b7d1bb2c-5a4f-4b4c-a5d1-nobody\"".to_owned(), vec![]),
        (format!("userName eq \"{name}\""), vec![one.clone()]),
        (format!("externalId eq \"{external}\""), vec![one.clone()]),
        (format!("emails[type eq \"work\"].value eq \"{mail}\""), vec![one.clone()]),
        (format!("emails[type eq \"home\"].value eq \"{mail}\""), vec![]),
        (
            "meta.lastModified gt \"0001-01-01T00:00:00.0000000Z\" and userName eq \"nobody\""
                .to_owned(),
            vec![],
        ),
    ] {
        let query = encoded(&[("filter", &filter)]);
        // The inbound client writes `startindex`.
        let answer =
            get_with_headers(&bridge, &format!("/Users?{query}&startindex=1&count=100"), &[]).await;
        assert_eq!(list(&answer).1, found, "{filter}");
    }
    let groups =
        list(&get_with_headers(&bridge, "/Groups?excludedAttributes=members&count=100", &[]).await)
            .1;
    assert!(!groups.is_empty() && groups.iter().all(|group| group.get("members").is_none()));
    let id = groups[0]["id"].as_str().unwrap();
    let query = encoded(&[
        ("excludedAttributes", "members"),
        ("filter", &format!("displayName eq {}", groups[0]["displayName"])),
    ]);
    assert!(
        list(&get_with_headers(&bridge, &format!("/Groups?{query}"), &[]).await)
            .1
            .iter()
            .any(|group| group["id"] == id)
    );
    assert!(
        get_with_headers(&bridge, &format!("/Groups/{id}?excludedAttributes=members"), &[])
            .await
            .json()
            .get("members")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_searches_by_post_without_user_names_in_the_url() {
    let bridge = Setup::persons(60).start();
    let everybody = list(&get_with_headers(&bridge, "/Users/", &[]).await).1;
    let name = everybody[5]["name"]["familyName"].as_str().unwrap();
    let search = |filter: String| {
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "filter": filter,
            "attributes": ["userName"],
            "count": 10,
        })
    };
    let found = bridge
        .post("/scim/v2/Users/.search/", &search(format!("name.familyName eq \"{name}\"")))
        .await;
    assert!(
        list(&found)
            .1
            .iter()
            .any(|user| user["id"] == everybody[5]["id"] && user.get("name").is_none())
    );
    let response =
        bridge.post("/scim/v2/Users/.search", &search("name.familyName = x".to_owned())).await;
    assert!(
        response
            .scim_error(400, Some("invalidFilter"))
            .contains("character 17: expected an operator")
    );
}
