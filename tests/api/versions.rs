//! Literal versions and bodies of generated resources. An upgrade that changes one of them changes
//! the ETag of every resource: every client then reads all users again, and `meta.lastModified` of
//! all of them becomes the time of the upgrade.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use personio_scim::mapping::{CustomAttributePolicy, GroupKind};
use personio_scim::scim::{AttributeType, CustomAttributeDefinition};
use personio_scim::simulator::World;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::harness::{NOW, Setup, TestServer, employee_number};

/// A line for each resource: `meta.version`, SHA-256 of the body, `meta.location`.
const EXPECTED: &str = include_str!("versions.txt");

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "Resources", borrow)]
    resources: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body {
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    version: String,
    location: String,
}

/// Returns the lines of all resources of a list.
async fn lines(server: &TestServer, path: &str) -> String {
    let page = server.get(path).await.text;
    let page: Page<'_> = serde_json::from_str(&page).unwrap();
    let mut lines = String::new();
    for resource in page.resources {
        let Body { meta } = serde_json::from_str(resource.get()).unwrap();
        let version = meta.version.trim_start_matches("W/").trim_matches('"');
        let mut body = String::new();
        for byte in digest(&SHA256, resource.get().as_bytes()).as_ref() {
            write!(body, "{byte:02x}").unwrap();
        }
        writeln!(lines, "{version} {body} {}", meta.location).unwrap();
    }
    lines
}

/// Returns the lines of all users and groups.
async fn all_lines() -> String {
    let world = World::generate(200, 17, NOW.parse().unwrap());
    let mut setup = Setup { public_url: Some("https://scim.example.com"), ..Setup::of(world) };
    setup.policy.groups =
        vec![GroupKind::Department, GroupKind::Team, GroupKind::LegalEntity, GroupKind::Office];
    setup.policy.standard_attributes = employee_number("dynamic_777");
    setup.policy.custom_attributes = vec![CustomAttributePolicy {
        id: "dynamic_778".to_owned(),
        definition: CustomAttributeDefinition {
            name: "shirtSizes".to_owned(),
            attribute_type: AttributeType::String,
            multi_valued: true,
        },
    }];
    let server = setup.start();
    let mut actual = lines(&server, "/scim/v2/Users?count=200").await;
    actual.push_str(&lines(&server, "/scim/v2/Groups?count=20").await);
    actual
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes the expected lines"]
async fn write_versions_and_bodies() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/versions.txt");
    std::fs::write(path, all_lines().await).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_and_bodies_stay_the_same_across_releases() {
    let actual = all_lines().await;
    assert_eq!(actual.lines().count(), 220);
    for (actual, expected) in actual.lines().zip(EXPECTED.lines()) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual, EXPECTED);
}
