//! Five users whose attributes have every kind of value, and lack values in every way.

use std::sync::Arc;

use personio_scim::scim::{
    AttributeType, CustomAttributeDefinition, Discovery, Resource, ResourceSet, ResourceType,
    ResourceUrls,
};
pub use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as OURS, USER_SCHEMA as CORE,
};
use serde_json::{Value, json};

pub fn users() -> [Value; 5] {
    [anna(), bob(), carla(), dan(), eve()]
}

/// Returns a user with every attribute: two e-mail addresses, and two elements in each list.
fn anna() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE, OURS],
        "id": "1",
        "externalId": "EXT-a",
        "userName": "Anna.Meier@Example.com",
        "name": {"formatted": "Anna Meier", "familyName": "Meier", "givenName": "Anna"},
        "displayName": "Anna Meier",
        "title": "Software Engineer",
        "userType": "Employee",
        "active": true,
        "emails": [
            {"value": "anna.meier@example.com", "type": "work", "primary": true},
            {"value": "anna@home.example", "type": "home", "primary": false},
        ],
        "groups": [{
            "value": "department-10",
            "$ref": "https://scim.example.com/scim/v2/Groups/department-10",
            "display": "Engineering",
            "type": "direct",
        }],
        ENTERPRISE: {
            "employeeNumber": "007",
            "costCenter": "R&D",
            "organization": "Beispiel GmbH",
            "department": "Engineering",
            "manager": {
                "value": "3x",
                "$ref": "https://scim.example.com/scim/v2/Users/3x",
                "displayName": "Carla Ünal",
            },
        },
        OURS: {
            "employmentId": "e1-Ab",
            "employmentStatus": "ACTIVE",
            "hireDate": "2020-01-15",
            "orgUnits": [
                {"value": "10", "display": "Engineering", "type": "department"},
                {"value": "20", "display": "Platform", "type": "team"},
            ],
            "office": "München",
            "level": 3,
            "rate": 2.5,
            "remote": true,
            "badges": ["Gold", "silver"],
            "sizes": [1, 20],
        },
        "meta": {
            "resourceType": "User",
            "created": "2020-01-01T08:00:00Z",
            "lastModified": "2026-05-13T04:42:34Z",
            "location": "https://scim.example.com/scim/v2/Users/1",
            "version": "W/\"a1\"",
        },
    })
}

/// Returns an inactive user with odd characters and no e-mail address.
fn bob() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE, OURS],
        "id": "2",
        "externalId": "ext-A",
        "userName": "bob",
        "name": {"familyName": "O'Brien", "givenName": "Bob"},
        "displayName": "Bob \"The Rock\" O'Brien",
        "title": "100% Sales_Manager",
        "userType": "Contractor",
        "active": false,
        ENTERPRISE: {"employeeNumber": "7", "department": "Sales"},
        OURS: {
            "employmentStatus": "INACTIVE",
            "hireDate": "2021-06-01",
            "level": 10,
            "rate": -1,
            "remote": false,
        },
        "meta": {
            "resourceType": "User",
            "created": "2021-06-01T00:00:00.5Z",
            "lastModified": "2026-05-13T04:42:34.123456789Z",
            "location": "https://scim.example.com/scim/v2/Users/2",
            "version": "W/\"B2\"",
        },
    })
}

/// Returns a user with letters beyond ASCII and a department in another case.
fn carla() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE, OURS],
        "id": "3x",
        "externalId": "EXT-c",
        "userName": "carla.ünal@example.com",
        "name": {"formatted": "Carla Ünal", "familyName": "Ünal", "givenName": "Carla"},
        "displayName": "Carla Ünal",
        "title": "VP and Chief",
        "userType": "employee",
        "active": true,
        "emails": [{"value": "carla.ünal@example.com", "type": "work", "primary": true}],
        ENTERPRISE: {"costCenter": "Sales", "organization": "Beispiel GmbH", "department": "engineering"},
        OURS: {"hireDate": "2019-03-01", "level": 3, "rate": 1e3, "badges": ["Bronze"]},
        "meta": {
            "resourceType": "User",
            "created": "2019-03-01T00:00:00Z",
            "lastModified": "2026-05-13T04:42:34.5Z",
            "location": "https://scim.example.com/scim/v2/Users/3x",
            "version": "W/\"c3\"",
        },
    })
}

/// Returns a user with almost no attributes.
fn dan() -> Value {
    json!({
        "schemas": [CORE],
        "id": "4",
        "externalId": "4",
        "userName": "dan",
        "name": {},
        "displayName": "dan",
        "active": true,
        "meta": {
            "resourceType": "User",
            "lastModified": "2024-02-29T12:00:00Z",
            "location": "https://scim.example.com/scim/v2/Users/4",
            "version": "W/\"d4\"",
        },
    })
}

/// Returns a user with an empty title, a backslash, and an address that is not primary.
fn eve() -> Value {
    json!({
        "schemas": [CORE, ENTERPRISE],
        "id": "5",
        "externalId": "5",
        "userName": "eve\\ops",
        "name": {"familyName": "Zoë 🦀"},
        "displayName": "Eve",
        "title": "",
        "active": true,
        "emails": [{"value": "eve@example.com", "type": "other"}],
        ENTERPRISE: {"department": "R&D / Tools"},
        "meta": {
            "resourceType": "User",
            "created": "2022-12-31T23:59:59Z",
            "lastModified": "2023-01-01T00:00:00Z",
            "location": "https://scim.example.com/scim/v2/Users/5",
            "version": "W/\"e5\"",
        },
    })
}

/// Returns the resource type of these users. Its extension has an attribute of every type that a
/// company can add.
pub fn user_type() -> Arc<ResourceType> {
    let custom = [
        ("level", AttributeType::Integer, false),
        ("rate", AttributeType::Decimal, false),
        ("remote", AttributeType::Boolean, false),
        ("badges", AttributeType::String, true),
        ("sizes", AttributeType::Integer, true),
        ("not", AttributeType::String, false),
    ];
    let custom = custom.map(|(name, kind, multi_valued)| CustomAttributeDefinition {
        name: name.into(),
        attribute_type: kind,
        multi_valued,
    });
    let urls = ResourceUrls::new("https://scim.example.com/scim/v2");
    Discovery::new(&urls, 1000, &custom).unwrap().compile_types().unwrap().user
}

pub fn resources(kind: &Arc<ResourceType>) -> ResourceSet {
    ResourceSet::new(
        kind,
        users().iter().map(|user| Arc::new(Resource::new(kind, user).unwrap())).collect(),
    )
}
