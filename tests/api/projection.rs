//! Tests of `attributes` and `excludedAttributes` (RFC 7644 §3.4.2.5, §3.9).

use personio_scim::mapping::GroupKind;
use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, GROUP_SCHEMA, PERSONIO_USER_SCHEMA as EXTENSION,
};
use serde_json::{Value, json};

use crate::harness::{Setup, encoded, ids};

/// Attributes that the URN of the core schema stands for: all except the extensions.
const CORE: &[&[&str]] = &[
    &["externalId"],
    &["userName"],
    &["name"],
    &["displayName"],
    &["nickName"],
    &["title"],
    &["userType"],
    &["active"],
    &["emails"],
    &["groups"],
    &["meta"],
];

/// Returns a user with only these paths.
fn kept(user: &Value, paths: &[&[&str]]) -> Value {
    fn keep(from: &Value, path: &[&str], to: &mut Value) {
        let [first, rest @ ..] = path else { return };
        let Some(value) = from.get(first) else { return };
        match (rest, value) {
            ([], value) => to[*first] = value.clone(),
            (rest, Value::Array(elements)) => {
                for (place, element) in elements.iter().enumerate() {
                    if !to[*first].is_array() {
                        to[*first] = json!([]);
                    }
                    if to[*first].as_array().unwrap().len() <= place {
                        to[*first].as_array_mut().unwrap().push(json!({}));
                    }
                    keep(element, rest, &mut to[*first][place]);
                }
            }
            (rest, value) => {
                if rest.first().is_some_and(|next| value.get(next).is_some()) {
                    if !to[*first].is_object() {
                        to[*first] = json!({});
                    }
                    keep(value, rest, &mut to[*first]);
                }
            }
        }
    }
    let mut left = json!({"schemas": user["schemas"], "id": user["id"]});
    paths.iter().for_each(|path| keep(user, path, &mut left));
    left
}

/// Returns a user without these paths.
fn without(user: &Value, paths: &[&[&str]]) -> Value {
    fn remove(from: &mut Value, path: &[&str]) {
        match (path, from) {
            ([last], Value::Object(members)) => {
                members.shift_remove(*last);
            }
            ([first, rest @ ..], Value::Object(members)) => {
                if let Some(value) = members.get_mut(*first) {
                    remove(value, rest);
                }
            }
            (path, Value::Array(elements)) => {
                elements.iter_mut().for_each(|element| remove(element, path))
            }
            _ => {}
        }
    }
    let mut left = user.clone();
    paths.iter().for_each(|path| remove(&mut left, path));
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_named_attributes_are_returned() {
    let bridge = Setup::persons(60).start();
    let users = bridge.all_users().await;
    let rows: &[(&str, &[&[&str]])] = &[
        ("userName", &[&["userName"]]),
        ("USERNAME,Active", &[&["userName"], &["active"]]),
        (" userName , title ", &[&["userName"], &["title"]]),
        ("name", &[&["name"]]),
        ("name.familyName", &[&["name", "familyName"]]),
        ("Name.FamilyName,name.givenname", &[&["name", "familyName"], &["name", "givenName"]]),
        ("emails", &[&["emails"]]),
        ("emails.value", &[&["emails", "value"]]),
        ("meta.version,meta.location", &[&["meta", "location"], &["meta", "version"]]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", &[&["userName"]]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.formatted", &[&["name", "formatted"]]),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", &[&[ENTERPRISE]]),
        (
            "URN:ietf:params:scim:schemas:extension:enterprise:2.0:user:DEPARTMENT",
            &[&[ENTERPRISE, "department"]],
        ),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName",
            &[&[ENTERPRISE, "manager", "displayName"]],
        ),
        (
            "urn:ietf:params:scim:schemas:extension:personio:2.0:User:orgUnits.value",
            &[&[EXTENSION, "orgUnits", "value"]],
        ),
        ("urn:ietf:params:scim:schemas:core:2.0:user", CORE),
        // Unknown names are ignored. An attribute of an extension has no short name.
        ("userName,shoeSize,department,name.shoeSize", &[&["userName"]]),
        ("shoeSize", &[]),
        ("id", &[]),
    ];
    for (attributes, paths) in rows {
        let page = bridge.list("/Users", &[("attributes", attributes)]).await;
        let expected: Vec<Value> = users.iter().map(|user| kept(user, paths)).collect();
        assert_eq!(page["Resources"], json!(expected), "{attributes}");
        let query = encoded(&[("attributes", attributes)]);
        let one = bridge
            .get(&format!("/Users/{}?{query}", users[7]["id"].as_str().unwrap()))
            .await
            .json();
        assert_eq!(one, expected[7], "{attributes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_but_the_excluded_attributes_is_returned() {
    let bridge = Setup::persons(60).start();
    let users = bridge.all_users().await;
    let rows: &[(&str, &[&[&str]])] = &[
        ("userName", &[&["userName"]]),
        ("name.familyName", &[&["name", "familyName"]]),
        ("emails.primary,emails.TYPE", &[&["emails", "primary"], &["emails", "type"]]),
        ("meta", &[&["meta"]]),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", &[&[ENTERPRISE]]),
        (
            "urn:ietf:params:scim:schemas:extension:personio:2.0:User:hireDate",
            &[&[EXTENSION, "hireDate"]],
        ),
        ("urn:ietf:params:scim:schemas:core:2.0:User", CORE),
        // Attributes that are always returned cannot be excluded. Unknown names are ignored.
        ("id,schemas,shoeSize", &[]),
        ("members", &[]),
        ("", &[]),
    ];
    for (excluded, paths) in rows {
        let page = bridge.list("/Users", &[("excludedAttributes", excluded)]).await;
        let expected: Vec<Value> = users.iter().map(|user| without(user, paths)).collect();
        assert_eq!(page["Resources"], json!(expected), "{excluded}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projection_keeps_order_and_total() {
    let bridge = Setup::persons(60).start();
    let plain = bridge
        .list("/Users", &[("filter", "active eq true"), ("sortBy", "userName"), ("count", "10")])
        .await;
    let parameters = [
        ("filter", "active eq true"),
        ("sortBy", "userName"),
        ("count", "10"),
        ("attributes", "title"),
    ];
    let page = bridge.list("/Users", &parameters).await;
    assert_eq!((ids(&page), &page["totalResults"]), (ids(&plain), &plain["totalResults"]));

    for path in ["/Users", "/Groups", "/Users/1"] {
        let both = bridge.get(&format!("{path}?attributes=id&excludedAttributes=meta")).await;
        assert!(both.scim_error(400, Some("invalidValue")).contains("exclude each other"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_projected_as_users_are() {
    let mut setup = Setup::persons(60);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let groups = bridge.list("/Groups", &[]).await["Resources"].as_array().unwrap().clone();
    assert!(!groups.is_empty());
    let core = GROUP_SCHEMA;
    let rows: [(&str, &[&[&str]]); 4] = [
        ("displayName", &[&["displayName"]]),
        ("members.value", &[&["members", "value"]]),
        (core, &[&["externalId"], &["displayName"], &["members"], &["meta"]]),
        ("urn:ietf:params:scim:schemas:core:2.0:User", &[]),
    ];
    for (attributes, paths) in rows {
        let page = bridge.list("/Groups", &[("attributes", attributes)]).await;
        let expected: Vec<Value> = groups.iter().map(|group| kept(group, paths)).collect();
        assert_eq!(page["Resources"], json!(expected), "{attributes}");
    }
    let page = bridge.list("/Groups", &[("excludedAttributes", core)]).await;
    let expected: Vec<Value> = groups.iter().map(|group| kept(group, &[])).collect();
    assert_eq!(page["Resources"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_that_are_given_several_times_are_all_returned() {
    let bridge = Setup::persons(20).start();
    for name in ["attributes", "excludedAttributes"] {
        let whole = bridge.get(&format!("/Users?{name}=userName,title,active")).await.json();
        for query in [
            "NAME=userName&NAME=title&NAME=active",
            "NAME=userName,title&name=active",
            "NAME[]=userName&NAME[]=title,active",
            "NAME%5B%5D=userName&NAME%5B%5D=title&NAME%5B%5D=active",
            "NAME%5B0%5D=userName&NAME%5B1%5D=title&NAME%5B10%5D=active",
            "NAME=&NAME=userName&NAME[]=title&NAME=active,userName",
        ] {
            let query = query.replace("NAME", name).replace("name", &name.to_lowercase());
            assert_eq!(bridge.get(&format!("/Users?{query}")).await.json(), whole, "{query}");
        }
        let one = bridge
            .get(&format!("/Users/{}?{name}=userName&{name}=title", ids(&whole)[0]))
            .await
            .json();
        assert_eq!(one.get("userName").is_some(), name == "attributes", "{one}");
    }
    for name in ["filter", "count", "startIndex", "sortBy", "sortOrder", "cursor"] {
        let detail = bridge
            .get(&format!("/Users?{name}=1&{name}=1"))
            .await
            .scim_error(400, Some("invalidValue"));
        assert_eq!(detail, format!("the parameter {name} is given more than once"));
    }
    let both = bridge.get("/Users?attributes[]=id&excludedAttributes[]=meta").await;
    assert!(both.scim_error(400, Some("invalidValue")).contains("exclude each other"));
}
