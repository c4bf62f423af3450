//! Tests of the documents that describe the server.

use personio_scim::directory::SESSION_IDLE_TIMEOUT;
use personio_scim::simulator::{FaultAction, InjectedFault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Setup, TestServer, send_request};

const URNS: [&str; 4] = [
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User",
    "urn:ietf:params:scim:schemas:core:2.0:Group",
];

/// Starts a server with a public URL and a working upstream.
fn public() -> TestServer {
    Setup { public_url: Some("https://idp.example.com/hr/"), ..Setup::persons(1) }.start()
}

/// Starts a server with a public URL whose upstream never answers, because the documents need no
/// upstream.
fn alone() -> TestServer {
    let setup = Setup { public_url: Some("https://idp.example.com/hr/"), ..Setup::persons(1) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    setup.start_with(simulator)
}

#[tokio::test(flavor = "multi_thread")]
async fn service_provider_config_lists_the_capabilities() {
    let config = alone().get("/scim/v2/ServiceProviderConfig").await.json();
    for (block, supported) in [
        ("patch", false),
        ("bulk", false),
        ("filter", true),
        ("changePassword", false),
        ("sort", true),
        ("etag", true),
    ] {
        assert_eq!(config[block]["supported"], supported, "{block}");
    }
    assert!(config["bulk"]["maxOperations"].is_u64() && config["bulk"]["maxPayloadSize"].is_u64());
    assert_eq!(config["filter"]["maxResults"], 10_000);
    // Some clients read only the first scheme.
    for (place, expected) in ["oauthbearertoken", "httpbasic"].into_iter().enumerate() {
        let scheme = &config["authenticationSchemes"][place];
        assert!(
            ["type", "name", "description"].iter().all(|member| scheme[*member].is_string()),
            "{scheme}"
        );
        assert_eq!((&scheme["type"], &scheme["primary"]), (&json!(expected), &json!(place == 0)));
    }
    let pagination = json!({
        "cursor": true,
        "index": true,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 10_000,
        "maxPageSize": 10_000,
        "cursorTimeout": SESSION_IDLE_TIMEOUT.as_secs(),
    });
    assert_eq!(config["pagination"], pagination);
    assert_eq!(
        config["meta"]["location"],
        "https://idp.example.com/hr/scim/v2/ServiceProviderConfig"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_block_pagination_can_be_left_out_and_cursors_go_on_working() {
    let bridge = Setup { announces_pagination: false, ..Setup::persons(3) }.start();
    let with = Setup::persons(3).start().get("/scim/v2/ServiceProviderConfig").await.json();
    let without = bridge.get("/scim/v2/ServiceProviderConfig").await.json();
    let names =
        |document: &Value| document.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut others = names(&with);
    others.retain(|name| name != "pagination");
    assert_eq!(names(&without), others);
    assert_eq!(others.len() + 1, names(&with).len());
    let page = bridge.users("?cursor&count=2").await;
    let next = page["nextCursor"].as_str().unwrap();
    assert_eq!(bridge.users(&format!("?cursor={next}")).await["itemsPerPage"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_lists_are_complete_and_readable_by_id() {
    let bridge = alone();
    for (path, ids) in
        [("ResourceTypes", ["User", "Group"].as_slice()), ("Schemas", URNS.as_slice())]
    {
        for prefix in ["/scim/v2/", "/"] {
            // These endpoints ignore paging (RFC 7644 §4).
            let list =
                bridge.get(&format!("{prefix}{path}?startIndex=2&count=1&sortBy=id")).await.json();
            assert_eq!(
                (&list["totalResults"], &list["itemsPerPage"]),
                (&json!(ids.len()), &json!(ids.len()))
            );
            let documents = list["Resources"].as_array().unwrap();
            assert_eq!(
                documents
                    .iter()
                    .map(|document| document["id"].as_str().unwrap())
                    .collect::<Vec<_>>(),
                ids
            );
            for document in documents {
                let id = document["id"].as_str().unwrap();
                assert_eq!(&bridge.get(&format!("{prefix}{path}/{id}")).await.json(), document);
                bridge.get(&format!("{prefix}{path}/{id}?filter=x")).await.scim_error(403, None);
                // UnboundID's SDK reads this list without checking that it exists.
                assert_eq!(
                    document["schemaExtensions"].is_array(),
                    path == "ResourceTypes",
                    "{id}"
                );
                assert_eq!(
                    document["meta"]["location"],
                    format!("https://idp.example.com/hr/scim/v2/{path}/{id}")
                );
            }
        }
        bridge.get(&format!("/{path}/nothing")).await.scim_error(404, None);
        bridge.get(&format!("/{path}?filter=id%20pr")).await.scim_error(403, None);
    }
    bridge.get("/ServiceProviderConfig?Filter=x").await.scim_error(403, None);
    assert_eq!(bridge.get(&format!("/Schemas/{}", URNS[1].to_uppercase())).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_served_attribute_is_in_the_schemas() {
    let bridge = Setup::persons(300).start();
    let schemas = bridge.get("/Schemas").await.json();
    let attributes = |urn: &str| -> Vec<Value> {
        let schema =
            schemas["Resources"].as_array().unwrap().iter().find(|schema| schema["id"] == urn);
        schema.unwrap()["attributes"].as_array().unwrap().clone()
    };
    let core = attributes(URNS[0]);
    for user in bridge.all_users().await {
        for (name, value) in user.as_object().unwrap() {
            match name.as_str() {
                "schemas" | "id" | "externalId" | "meta" => {}
                urn if urn.starts_with("urn:") => check(&attributes(urn), value),
                _ => check(&core, &json!({ name: value })),
            }
        }
    }
}

/// Asserts that every member of `object` is an announced attribute of the right type.
fn check(attributes: &[Value], object: &Value) {
    for (name, value) in object.as_object().unwrap() {
        let Some(attribute) =
            attributes.iter().find(|attribute| attribute["name"] == name.as_str())
        else {
            panic!("{name} is not described");
        };
        assert_eq!(attribute["multiValued"] == true, value.is_array(), "{name}");
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            match attribute["type"].as_str().unwrap() {
                "string" | "reference" => assert!(value.is_string(), "{name}"),
                "boolean" => assert!(value.is_boolean(), "{name}"),
                "decimal" => assert!(value.is_f64(), "{name}"),
                "integer" => assert!(value.is_i64(), "{name}"),
                "complex" => check(attribute["subAttributes"].as_array().unwrap(), &value),
                other => panic!("{name} is of type {other}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_attributes_of_the_core_schema_are_not_announced() {
    let schemas = alone().get("/Schemas").await.text;
    for name in [
        "phoneNumbers",
        "addresses",
        "photos",
        "ims",
        "password",
        "birth",
        "gender",
        "salary",
        "x509Certificates",
    ] {
        assert!(
            !schemas.to_lowercase().contains(&format!("\"name\":\"{}", name.to_lowercase())),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_come_from_the_settings_and_never_from_the_host_header() {
    let bridge = public();
    let request = bridge
        .request(Method::GET, "/Users")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example");
    let page = send_request(request).await;
    assert!(!page.text.contains("evil.example"));
    let user = &page.json()["Resources"][0];
    let id = user["id"].as_str().unwrap();
    assert_eq!(user["meta"]["location"], format!("https://idp.example.com/hr/scim/v2/Users/{id}"));
}
