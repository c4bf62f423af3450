//! Tests that `/openapi.json` describes all routes and nothing else. `tests/conformance/openapi.py`
//! compares the responses with it.

use std::collections::BTreeSet;
use std::time::Duration;

use personio_scim::mapping::{CustomAttributePolicy, GroupKind};
use personio_scim::scim::{AttributeType, CustomAttributeDefinition};
use personio_scim::scim::{PERSONIO_USER_SCHEMA as EXTENSION, SEARCH_REQUEST_SCHEMA};
use personio_scim::simulator::{FaultAction, InjectedFault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Setup, TOKEN, TestServer, send_request};

const WEBHOOK_TOKEN: &str = "a-webhook-token-for-tests";
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Returns the setup of a company in which every optional feature is switched on.
fn everything() -> Setup {
    let mut setup = Setup { webhook_token: Some(WEBHOOK_TOKEN), ..Setup::persons(30) };
    setup.policy.groups = vec![GroupKind::Department];
    let custom = |id: &str, name: &str, kind, multi_valued| CustomAttributePolicy {
        id: id.to_owned(),
        definition: CustomAttributeDefinition {
            name: name.to_owned(),
            attribute_type: kind,
            multi_valued,
        },
    };
    setup.policy.custom_attributes = vec![
        custom("dynamic_777", "staffNumber", AttributeType::Integer, false),
        custom("dynamic_778", "shirtSizes", AttributeType::String, true),
    ];
    setup
}

async fn document(bridge: &TestServer) -> Value {
    let answer = bridge.get("/openapi.json").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
    answer.json()
}

fn paths(document: &Value) -> BTreeSet<&str> {
    document["paths"].as_object().unwrap().keys().map(String::as_str).collect()
}

/// Returns the URLs at which a path of the document is served.
fn addresses(document: &Value, path: &str) -> Vec<String> {
    let own = document["paths"][path]["servers"].as_array();
    let servers = own.unwrap_or_else(|| document["servers"].as_array().unwrap());
    servers.iter().map(|server| format!("{}{path}", server["url"].as_str().unwrap())).collect()
}

/// Builds a request with the token and the body that the path needs.
fn request(bridge: &TestServer, method: &Method, address: &str) -> reqwest::RequestBuilder {
    let (token, body) = if address.ends_with("/webhooks/personio") {
        (WEBHOOK_TOKEN.to_owned(), json!({"event_name": "person.updated"}))
    } else {
        let search = SEARCH_REQUEST_SCHEMA;
        (format!("Bearer {TOKEN}"), json!({"schemas": [search]}))
    };
    let request = bridge.http.request(method.clone(), address).header("Authorization", token);
    request.header("Content-Type", "application/scim+json").body(body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_lists_exactly_the_existing_routes() {
    let sources = [
        include_str!("../../src/server/mod.rs"),
        include_str!("../../src/server/handlers/webhook.rs"),
    ];
    let mut routes = BTreeSet::new();
    for call in ["resource(\"", "search(\""] {
        let calls = sources.iter().flat_map(|source| source.split(call).skip(1));
        routes.extend(calls.map(|call| call.split('"').next().unwrap()));
    }
    // The empty path is the SCIM root, which the server also serves at `/`.
    assert!(
        routes.remove("") && routes.len() > 15,
        "the routes are not found any more: {routes:?}"
    );
    assert_eq!(paths(&document(&everything().start()).await), routes);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_accepts_exactly_the_listed_methods() {
    let bridge = everything().start();
    bridge.ready().await;
    let document = document(&bridge).await;
    let id = |list: Value| list["Resources"][0]["id"].as_str().unwrap().to_owned();
    let user = id(bridge.users("?count=1").await);
    let group = id(bridge.list("/Groups", &[("count", "1")]).await);
    for path in paths(&document) {
        let item = &document["paths"][path];
        let at_the_root_only = [
            "/openapi.json",
            "/health/live",
            "/health/ready",
            "/metrics",
            "/status",
            "/webhooks/personio",
        ];
        let addresses = addresses(&document, path);
        assert_eq!(addresses.len(), if at_the_root_only.contains(&path) { 1 } else { 2 }, "{path}");
        for address in addresses {
            let address = address.replace("/Users/{id}", &format!("/Users/{user}"));
            let address = address.replace("/Groups/{id}", &format!("/Groups/{group}"));
            let address = address
                .replace("/ResourceTypes/{id}", "/ResourceTypes/User")
                .replace("{urn}", EXTENSION);
            for method in &METHODS {
                let status = send_request(request(&bridge, method, &address)).await.status.as_u16();
                let operation = &item[method.as_str().to_lowercase()];
                let not_implemented = path == "/Me" || path == "/Bulk";
                if operation.is_null() {
                    assert_eq!(
                        status,
                        if not_implemented { 501 } else { 405 },
                        "{method} {address} is not listed"
                    );
                } else {
                    assert!(
                        (200..300).contains(&status) || not_implemented,
                        "{method} {address}: {status}"
                    );
                    assert!(
                        operation["responses"][status.to_string()].is_object(),
                        "{method} {address}: {status}"
                    );
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_without_data_are_described() {
    let setup = Setup { refresh_wait: Duration::ZERO, ..everything() };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    let document = document(&bridge).await;
    let mut unavailable = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in
            item.as_object().unwrap().iter().filter(|(name, _)| *name != "servers")
        {
            let method: Method = method.to_uppercase().parse().unwrap();
            let status = send_request(request(&bridge, &method, &addresses(&document, path)[0]))
                .await
                .status
                .as_u16();
            assert!(
                operation["responses"][status.to_string()].is_object(),
                "{method} {path}: {status}"
            );
            unavailable += usize::from(status == 503);
        }
    }
    assert!(unavailable > 5, "{unavailable}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_resolves_and_every_component_is_used() {
    fn references<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(elements) => {
                elements.iter().for_each(|element| references(element, found))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for setup in [everything(), Setup::persons(3)] {
        let document = document(&setup.start()).await;
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            assert!(
                document.pointer(reference.strip_prefix('#').unwrap()).is_some(),
                "{reference}"
            );
        }
        for (kind, all) in document["components"].as_object().unwrap() {
            for name in all.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
                assert!(
                    found.contains(&*format!("#/components/{kind}/{name}")),
                    "{kind}/{name} is not used"
                );
            }
        }
    }
}

/// Collects the attributes of a JSON Schema of a resource, with their types.
fn described(path: &str, schema: &Value, found: &mut BTreeSet<(String, String)>) {
    let (schema, many) =
        if schema["type"] == "array" { (&schema["items"], "[]") } else { (schema, "") };
    let kind = schema["type"].as_str().unwrap();
    found.insert((
        path.to_owned(),
        format!("{kind}{many} {}", schema["format"].as_str().unwrap_or_default()),
    ));
    if kind == "object" {
        assert_eq!(schema["additionalProperties"], false, "{path}");
        for (name, member) in schema["properties"].as_object().unwrap() {
            described(&format!("{path}/{name}"), member, found);
        }
    }
}

/// Collects the attributes of a definition in `/Schemas`, with their types.
fn announced(path: &str, definition: &Value, found: &mut BTreeSet<(String, String)>) {
    let (kind, members) = match definition["type"].as_str().unwrap_or("complex") {
        "string" => ("string", ""),
        "boolean" => ("boolean", ""),
        "integer" => ("integer", ""),
        "decimal" => ("number", ""),
        "reference" => ("string", "uri"),
        "dateTime" => ("string", "date-time"),
        "complex" => ("object", ""),
        other => panic!("{path} is of type {other}"),
    };
    let many = if definition["multiValued"] == true { "[]" } else { "" };
    found.insert((path.to_owned(), format!("{kind}{many} {members}")));
    for attributes in ["attributes", "subAttributes"] {
        for attribute in definition[attributes].as_array().into_iter().flatten() {
            announced(&format!("{path}/{}", attribute["name"].as_str().unwrap()), attribute, found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_group_schemas_match_the_scim_schemas() {
    let bridge = everything().start();
    let document = document(&bridge).await;
    let common: Value =
        serde_json::from_str(include_str!("../../scim-schemas/common.json")).unwrap();
    for kind in ["User", "Group"] {
        let mut expected = BTreeSet::new();
        announced("", &common, &mut expected);
        let resource_type = bridge.get(&format!("/ResourceTypes/{kind}")).await.json();
        let core = resource_type["schema"].as_str().unwrap();
        announced("", &bridge.get(&format!("/Schemas/{core}")).await.json(), &mut expected);
        for extension in resource_type["schemaExtensions"].as_array().into_iter().flatten() {
            let urn = extension["schema"].as_str().unwrap();
            announced(
                &format!("/{urn}"),
                &bridge.get(&format!("/Schemas/{urn}")).await.json(),
                &mut expected,
            );
        }
        let schema = &document["components"]["schemas"][kind];
        let mut found = BTreeSet::new();
        described("", schema, &mut found);
        assert_eq!(found, expected);
        assert_eq!(
            schema["required"],
            json!(["schemas", "id"]),
            "of everything else a client may ask for a part"
        );
        let custom = &schema["properties"][EXTENSION]["properties"];
        assert_eq!(custom["staffNumber"]["type"].as_str(), (kind == "User").then_some("integer"));
        assert_eq!(
            custom["shirtSizes"]["items"]["type"].as_str(),
            (kind == "User").then_some("string")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_described_only_if_configured() {
    for webhook_token in [None, Some(WEBHOOK_TOKEN)] {
        let document = document(&Setup { webhook_token, ..Setup::persons(3) }.start()).await;
        assert_eq!(document["paths"]["/webhooks/personio"].is_object(), webhook_token.is_some());
        assert_eq!(
            document["components"]["securitySchemes"]["webhook"].is_object(),
            webhook_token.is_some()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_and_limits_match_the_settings() {
    let setup = Setup {
        public_url: Some("https://idp.example.com/hr/"),
        max_results: 1234,
        ..Setup::persons(3)
    };
    let document = document(&setup.start()).await;
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, expected) in [
        (
            "/Users",
            &["https://idp.example.com/hr/scim/v2/Users", "https://idp.example.com/hr/Users"][..],
        ),
        ("/health/live", &["https://idp.example.com/hr/health/live"]),
    ] {
        assert_eq!(addresses(&document, path), expected);
    }
    let components = &document["components"];
    assert_eq!(components["schemas"]["Page"]["properties"]["itemsPerPage"]["maximum"], 1234);
    assert_eq!(components["schemas"]["Page"]["properties"]["Resources"]["maxItems"], 1234);
    for filter in [
        &components["parameters"]["filter"],
        &components["schemas"]["SearchRequest"]["properties"]["filter"],
    ] {
        let description = filter["description"].as_str().unwrap();
        assert!(
            description.contains("at most 10240 bytes, and at most 50 parentheses"),
            "{description}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_requires_the_token() {
    let bridge = everything().start();
    let refused = send_request(bridge.http.get(format!("{}/openapi.json", bridge.origin))).await;
    refused.scim_error(401, None);
    send_request(bridge.request(Method::DELETE, "/openapi.json")).await.scim_error(405, None);
    bridge.get("/scim/v2/openapi.json").await.scim_error(404, None);
}
