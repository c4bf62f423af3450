//! Tests of scopes: names, filters, pruned schemas and cut resources.

use serde_json::{Value, json};

use super::*;
use crate::scim::{
    ENTERPRISE_USER_SCHEMA, EncodedContent, PERSONIO_USER_SCHEMA, Resource, ResourceContent,
    ResourceType, ResourceUrls, SchemaRegistry, USER_SCHEMA,
};

fn registry() -> Arc<SchemaRegistry> {
    let urls = ResourceUrls::new("https://scim.example.com");
    Arc::new(SchemaRegistry::new(&urls, 1000, &[]).unwrap())
}

fn resources(resource_type: &Arc<ResourceType>, all: &[Value]) -> ResourceSet {
    let encode = |content| Arc::new(Resource::new(resource_type, content).unwrap());
    ResourceSet::new(resource_type, all.iter().map(encode).collect())
}

/// Returns a boss, a worker in the department of the boss, and a person without a name.
fn users() -> Vec<Value> {
    let user = |id: &str, name: &str, department: &str, title: &str| {
        json!({
            "schemas": [USER_SCHEMA, ENTERPRISE_USER_SCHEMA, PERSONIO_USER_SCHEMA],
            "id": id,
            "externalId": id,
            "userName": format!("{id}@example.com"),
            "name": {"familyName": name},
            "displayName": name,
            "title": title,
            "active": true,
            "emails": [{"value": format!("{id}@example.com"), "type": "work", "primary": true}],
            "groups": [{"value": department, "display": department}],
            ENTERPRISE_USER_SCHEMA: {
                "department": department,
                "manager": {"value": "1", "displayName": "Boss"},
            },
            PERSONIO_USER_SCHEMA: {"hireDate": "2020-01-01", "managerEmail": "1@example.com"},
            "meta": {
                "resourceType": "User",
                "created": "2020-01-01T00:00:00.000Z",
                "location": format!("https://scim.example.com/Users/{id}"),
            },
        })
    };
    vec![
        user("1", "Boss", "Board", "CEO"),
        user("2", "Worker", "Board", "Engineer"),
        user("3", "3@example.com", "Field", "Engineer"),
    ]
}

fn groups() -> Vec<Value> {
    let group = |id: &str, members: &[(&str, &str)]| {
        let members: Vec<Value> = members
            .iter()
            .map(|(id, display)| json!({"value": id, "type": "User", "display": display}))
            .collect();
        json!({"schemas": [GROUP_URN], "id": id, "displayName": id, "members": members})
    };
    vec![
        group("Board", &[("1", "Boss"), ("2", "Worker")]),
        group("Field", &[("3", "3@example.com")]),
    ]
}

const GROUP_URN: &str = crate::scim::GROUP_SCHEMA;

fn names(names: &str) -> Vec<String> {
    names
        .split_whitespace()
        .map(|name| {
            name.replace("E:", &format!("{ENTERPRISE_USER_SCHEMA}:"))
                .replace("P:", &format!("{PERSONIO_USER_SCHEMA}:"))
        })
        .collect()
}

fn only(attributes: &str) -> AttributeSelection {
    AttributeSelection::Only(names(attributes))
}

fn all_but(attributes: &str) -> AttributeSelection {
    AttributeSelection::AllBut(names(attributes))
}

/// Returns the users and groups that a scope shows, without `schemas` and `meta`.
fn shown(filter: Option<&str>, attributes: AttributeSelection) -> (Vec<Value>, Vec<Value>) {
    let registry = registry();
    let definition = ScopeDefinition { filter: filter.map(str::to_owned), attributes };
    let bound = Scope::new(&definition, &registry).unwrap().bind(&registry).unwrap();
    let users = resources(&registry.types.user, &users());
    let groups = resources(&registry.types.group, &groups());
    let selected = bound.select(&users, &groups);
    let types = &bound.schema_registry().types;
    (encoded(&types.user, selected.users()), encoded(&types.group, selected.groups()))
}

fn encoded(resource_type: &Arc<ResourceType>, all: Vec<CutResource<'_>>) -> Vec<Value> {
    let mut encoded = Vec::new();
    for cut in all {
        let content = EncodedContent::new(resource_type, &cut).unwrap();
        let resource = content.into_resource(cut.meta()).unwrap();
        let mut json: Value = serde_json::from_str(resource.json()).unwrap();
        let members = json.as_object_mut().unwrap();
        members.remove("schemas");
        members.remove("meta");
        encoded.push(json);
    }
    encoded
}

#[test]
fn hidden_attributes_and_references_are_cut() {
    let email = json!([{"value": "2@example.com"}]);
    let board = json!([{"value": "Board", "display": "Board"}]);
    let boss = json!({"value": "1", "displayName": "Boss"});
    for (filter, attributes, expected) in [
        ("id eq \"2\"", only("displayName"), json!({"id": "2", "displayName": "Worker"})),
        ("id eq \"3\"", only("displayName"), json!({"id": "3"})),
        (
            "id eq \"3\"",
            only("displayName userName"),
            json!({"id": "3", "displayName": "3@example.com", "userName": "3@example.com"}),
        ),
        (
            "id eq \"2\"",
            only("E:department emails.value"),
            json!({"id": "2", "emails": email, ENTERPRISE_USER_SCHEMA: {"department": "Board"}}),
        ),
        // The manager is hidden, and with it the address of the manager.
        (
            "id eq \"2\"",
            only("E:manager P:managerEmail emails.value"),
            json!({"id": "2", "emails": email}),
        ),
        (
            "id lt \"3\"",
            only("E:manager displayName"),
            json!({"id": "2", "displayName": "Worker", ENTERPRISE_USER_SCHEMA: {"manager": boss}}),
        ),
        (
            "id lt \"3\"",
            only("E:manager"),
            json!({"id": "2", ENTERPRISE_USER_SCHEMA: {"manager": {"value": "1"}}}),
        ),
        (
            "id eq \"2\"",
            only("groups name.familyName"),
            json!({"id": "2", "name": {"familyName": "Worker"}, "groups": board}),
        ),
        (
            "title eq \"Engineer\" and id eq \"2\"",
            all_but("title userName emails externalId name active groups E:department P:hireDate"),
            json!({"id": "2", "displayName": "Worker"}),
        ),
    ] {
        let (users, _) = shown(Some(filter), attributes.clone());
        let user = users.iter().find(|user| user["id"] == expected["id"]);
        assert_eq!(user, Some(&expected), "{filter} {attributes:?}");
    }
}

#[test]
fn groups_show_visible_members_only() {
    let ids = |groups: &[Value]| {
        let mut ids = Vec::new();
        for group in groups {
            let members = group["members"].as_array().unwrap().iter();
            let members: Vec<&str> = members.map(|it| it["value"].as_str().unwrap()).collect();
            ids.push(format!("{}:{}", group["id"].as_str().unwrap(), members.join(",")));
        }
        ids.join(" ")
    };
    for (filter, attributes, expected) in [
        (None, AttributeSelection::All, "Board:1,2 Field:3"),
        (Some("id eq \"2\""), AttributeSelection::All, "Board:2"),
        (Some("id eq \"2\""), only("groups"), "Board:2"),
        (Some("id eq \"2\""), only("groups.display"), ""),
        (None, all_but("groups"), ""),
        (Some("id eq \"9\""), AttributeSelection::All, ""),
    ] {
        let (_, groups) = shown(filter, attributes.clone());
        assert_eq!(ids(&groups), expected, "{filter:?} {attributes:?}");
    }
    let (_, groups) = shown(Some("id ne \"1\""), only("groups displayName"));
    assert_eq!(groups[0]["members"], json!([{"value": "2", "type": "User", "display": "Worker"}]));
    assert_eq!(groups[1]["members"], json!([{"value": "3", "type": "User"}]), "an address");
    let (_, groups) = shown(None, only("groups.value"));
    assert_eq!(groups[0].get("displayName"), None);
}

#[test]
fn schemas_name_only_extensions_with_visible_values() {
    let registry = registry();
    let attributes = only("E:manager.value P:hireDate");
    let definition = ScopeDefinition { filter: Some("id eq \"2\"".to_owned()), attributes };
    let bound = Scope::new(&definition, &registry).unwrap().bind(&registry).unwrap();
    let users = resources(&registry.types.user, &users());
    let groups = resources(&registry.types.group, &[]);
    let selected = bound.select(&users, &groups);
    let cut = &selected.users()[0];
    let json = serde_json::to_value(cut).unwrap();
    assert_eq!(json["schemas"], json!([USER_SCHEMA, PERSONIO_USER_SCHEMA]));
    let discovery = &bound.schema_registry().discovery;
    let paths = bound.schema_registry().types.user.paths();
    assert_eq!(paths, names("E:manager.value P:hireDate"));
    assert!(discovery.schema(PERSONIO_USER_SCHEMA).is_some());

    let definition = ScopeDefinition { filter: None, attributes: only("displayName") };
    let bound = Scope::new(&definition, &registry).unwrap().bind(&registry).unwrap();
    let discovery = &bound.schema_registry().discovery;
    assert_eq!(discovery.schemas.len(), 2, "no extension is left");
    assert_eq!(discovery.resource_types[0]["schemaExtensions"], json!([]));
    let schema = discovery.json_schema("User").unwrap();
    let members: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(members, ["schemas", "id", "meta", "displayName"]);
    assert!(schema["properties"]["meta"]["properties"].get("created").is_none());
}

#[test]
fn whole_resources_are_known_as_such() {
    let registry = registry();
    let definition = ScopeDefinition { filter: Some("id gt \"1\"".to_owned()), ..<_>::default() };
    let bound = Scope::new(&definition, &registry).unwrap().bind(&registry).unwrap();
    assert!(Arc::ptr_eq(bound.schema_registry(), &registry));
    let mut all = users();
    all[2][ENTERPRISE_USER_SCHEMA]["manager"]["value"] = "2".into();
    let users = resources(&registry.types.user, &all);
    let groups = resources(&registry.types.group, &groups());
    let selected = bound.select(&users, &groups);
    let whole: Vec<bool> = selected.users().iter().map(CutResource::is_whole).collect();
    assert_eq!(whole, [false, true], "the manager of 2 is hidden, that of 3 is visible");
    let whole: Vec<bool> = selected.groups().iter().map(CutResource::is_whole).collect();
    assert_eq!(whole, [false, true]);
}

#[test]
fn mistakes_are_named() {
    let filter = |text: &str| ScopeDefinition { filter: Some(text.to_owned()), ..<_>::default() };
    let attributes = |attributes| ScopeDefinition { filter: None, attributes };
    for (definition, expected) in [
        (filter("title eq"), "filter, character 9: "),
        (filter("departmnt eq \"x\""), "there is no attribute `departmnt` in User; did you mean"),
        (attributes(only("department")), "attributes: there is no attribute `department`; did you"),
        (attributes(all_but("shoeSize")), "excluded_attributes: there is no attribute `shoeSize`"),
        (attributes(all_but("id")), "excluded_attributes: `id` is always returned"),
        (attributes(all_but("meta")), "excluded_attributes: `meta` is always returned"),
        (attributes(all_but("META.version")), "`meta.version` is always returned"),
        (attributes(only("P:managerEmail")), "is `emails.value` of another user: name"),
        (attributes(only("E:manager.displayName")), "is `displayName` of another user: name"),
    ] {
        let error = Scope::new(&definition, &registry()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn scope_of_another_mapping_shows_no_attribute_that_it_does_not_know() {
    let custom = crate::scim::CustomAttributeDefinition {
        name: "badge".to_owned(),
        attribute_type: crate::scim::AttributeType::String,
        multi_valued: false,
    };
    let urls = ResourceUrls::new("https://scim.example.com");
    let with_badge = Arc::new(SchemaRegistry::new(&urls, 1000, &[custom]).unwrap());
    let definition = ScopeDefinition { filter: None, attributes: all_but("title") };
    let scope = Scope::new(&definition, &registry()).unwrap();
    let bound = scope.bind(&with_badge).unwrap();
    let user_type = &bound.schema_registry().types.user;
    assert!(user_type.attribute("displayName").is_some());
    assert_eq!(user_type.attribute(&format!("{PERSONIO_USER_SCHEMA}:badge")), None);
    let by_badge = format!("{PERSONIO_USER_SCHEMA}:badge eq \"x\"");
    let definition = ScopeDefinition { filter: Some(by_badge), ..<_>::default() };
    let scope = Scope::new(&definition, &with_badge).unwrap();
    assert!(scope.bind(&with_badge).is_ok() && scope.bind(&registry()).is_err());
}
