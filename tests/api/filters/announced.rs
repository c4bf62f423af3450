//! Test that filters accept every attribute that `/Schemas` announces, and every attribute that
//! resources have in common.

use std::collections::BTreeSet;

use personio_scim::mapping::GroupKind;
use personio_scim::scim::GROUP_SCHEMA;
use serde_json::{Value, json};

use super::fixture::{CORE, ENTERPRISE, OURS};
use crate::harness::{Setup, TestServer};

/// Path to an attribute: the names of the members, from the resource down.
type AttributePath = Vec<String>;

/// Returns all attributes and sub-attributes of a schema, with their names in filters.
fn announced(schema: &Value, prefix: &str, above: &[&str]) -> Vec<(String, AttributePath)> {
    let mut all = Vec::new();
    for attribute in schema["attributes"].as_array().unwrap() {
        let name = attribute["name"].as_str().unwrap();
        let steps = |more: &[&str]| {
            [above, &[name], more].concat().into_iter().map(str::to_owned).collect()
        };
        all.push((format!("{prefix}{name}"), steps(&[])));
        for sub in attribute["subAttributes"].as_array().into_iter().flatten() {
            let sub = sub["name"].as_str().unwrap();
            all.push((format!("{prefix}{name}.{sub}"), steps(&[sub])));
        }
    }
    all
}

/// Returns the values at the end of the path, through all elements of lists, if they are present
/// (RFC 7643 §2.5).
fn values<'v>(value: &'v Value, steps: &[String]) -> Vec<&'v Value> {
    match (value, steps) {
        (Value::Array(elements), _) => {
            elements.iter().flat_map(|element| values(element, steps)).collect()
        }
        (Value::Null, []) => Vec::new(),
        (Value::String(text), []) if text.is_empty() => Vec::new(),
        (Value::Object(members), [])
            if members.values().all(|member| values(member, &[]).is_empty()) =>
        {
            Vec::new()
        }
        (_, []) => vec![value],
        (_, [first, rest @ ..]) => {
            value.get(first).map(|value| values(value, rest)).unwrap_or_default()
        }
    }
}

async fn found(bridge: &TestServer, path: &str, filter: &str) -> BTreeSet<String> {
    let page = bridge.list(path, &[("filter", filter), ("count", "1000")]).await;
    page["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["id"].to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_announced_attribute_can_be_filtered() {
    let mut setup = Setup::persons(60);
    setup.policy.groups =
        vec![GroupKind::Department, GroupKind::Team, GroupKind::LegalEntity, GroupKind::Office];
    let bridge = setup.start();
    let common = ["schemas", "id", "externalId", "meta"].map(|name| json!({"name": name}));
    let common = json!({"attributes": common});
    let meta = ["resourceType", "created", "lastModified", "location", "version"]
        .map(|name| json!({"name": name}));
    let meta = json!({"attributes": meta});
    let mut seen = 0;
    for (path, core, extensions) in
        [("/Users", CORE, [ENTERPRISE, OURS].as_slice()), ("/Groups", GROUP_SCHEMA, &[])]
    {
        let mut all = announced(&common, "", &[]);
        all.extend(announced(&meta, "meta.", &["meta"]));
        let core = bridge.get(&format!("/Schemas/{core}")).await.json();
        all.extend(announced(&core, "", &[]));
        for urn in extensions {
            all.push(((*urn).to_owned(), vec![(*urn).to_owned()]));
            let extension = bridge.get(&format!("/Schemas/{urn}")).await.json();
            all.extend(announced(&extension, &format!("{urn}:"), &[urn]));
        }
        let resources = bridge.list(path, &[("count", "1000")]).await;
        let resources = resources["Resources"].as_array().unwrap();
        for (name, steps) in all {
            let having: BTreeSet<String> = resources
                .iter()
                .filter(|resource| !values(resource, &steps).is_empty())
                .map(|resource| resource["id"].to_string())
                .collect();
            assert_eq!(found(&bridge, path, &format!("{name} pr")).await, having, "{path} {name}");
            let first = resources
                .iter()
                .flat_map(|resource| values(resource, &steps))
                .find(|value| !value.is_object());
            if let Some(value) = first {
                assert!(
                    !found(&bridge, path, &format!("{name} eq {value}")).await.is_empty(),
                    "{path} {name} {value}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 45, "only {seen} attributes have values");
}
