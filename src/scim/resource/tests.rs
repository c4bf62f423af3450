//! Tests of encoding and reading: a resource reads as the content that it is made from.

use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::scim::resource::*;
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::{
    AttributeType, CustomAttributeDefinition, Discovery, PERSONIO_USER_SCHEMA, ResourceUrls,
};

static USER_TYPE: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
    let (name, attribute_type) = ("badge".to_owned(), AttributeType::Decimal);
    let badge = CustomAttributeDefinition { name, attribute_type, multi_valued: false };
    let urls = ResourceUrls::new("https://scim.example.com");
    Discovery::new(&urls, 1000, &[badge]).unwrap().compile_types().unwrap().user
});

/// Returns the content without the members that a resource does not have.
fn without_cut_members(resource_type: &ResourceType, id: AttributeId, content: &Json) -> Json {
    match content {
        Json::Object(members) => {
            let mut remaining = Map::new();
            for (name, value) in members {
                let is_unassigned = value.is_null() || *value == json!([]);
                if let Some(id) = resource_type.sub_attribute(id, name)
                    && !is_unassigned
                {
                    remaining.insert(name.clone(), without_cut_members(resource_type, id, value));
                }
            }
            Json::Object(remaining)
        }
        Json::Array(elements) => {
            elements.iter().map(|element| without_cut_members(resource_type, id, element)).collect()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => content.clone(),
    }
}

/// Checks that a value of the attribute `id` reads as `expected`.
fn check(resource_type: &ResourceType, value: ResourceValue<'_>, id: AttributeId, expected: &Json) {
    assert_eq!(value.json(), expected.to_string());
    assert_eq!(value.attribute(), id);
    let parts: Vec<_> = value.children().collect();
    match expected {
        Json::Object(members) => {
            assert!(value.is_object());
            assert_eq!(parts.len(), members.len());
            for (part, (name, member)) in parts.into_iter().zip(members) {
                let member_id = resource_type.sub_attribute(id, name).unwrap();
                check(resource_type, part, member_id, member);
            }
        }
        Json::Array(elements) => {
            assert!(value.is_array());
            let elements: Vec<_> = elements.iter().filter(|element| !element.is_null()).collect();
            assert_eq!(parts.len(), elements.len());
            for (part, element) in parts.into_iter().zip(elements) {
                check(resource_type, part, id, element);
            }
        }
        Json::Bool(expected) => {
            assert_eq!(value.decode(), DecodedValue::Boolean(*expected));
            assert_eq!(value.boolean(), Some(*expected));
        }
        Json::Number(expected) => {
            assert_eq!(value.decode(), DecodedValue::Number(expected.clone()));
            assert_eq!(value.number().as_ref(), Some(expected));
        }
        Json::String(expected) => {
            assert_eq!(value.text().as_deref(), Some(&**expected));
            assert_eq!(value.is_empty(), expected.is_empty());
            let is_date_time = resource_type.get(id).attribute_type == AttributeType::DateTime;
            let timestamp = if is_date_time { expected.parse().ok() } else { None };
            let content = match timestamp {
                Some(timestamp) => DecodedValue::DateTime(timestamp, expected),
                None => DecodedValue::Text(expected.as_str().into()),
            };
            assert_eq!(value.decode(), content);
            assert_eq!(value.date_time(), timestamp);
        }
        Json::Null => panic!("null is not a value"),
    }
}

const MEMBER_NAMES: [&str; 15] = [
    "schemas",
    "id",
    "userName",
    "name",
    "familyName",
    "emails",
    "value",
    "primary",
    "meta",
    "created",
    "badge",
    "unknown",
    "un\"known",
    "TITLE",
    PERSONIO_USER_SCHEMA,
];

fn content() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        ".{0,6}".prop_map(Json::from),
        "[\"\\\\/{}\\[\\],:\n\u{1}]{0,4}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        Just(json!("2026-01-01T00:00:00.5Z")),
        prop::sample::select(vec![json!(null), json!({}), json!([])]),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        let member = (prop::sample::select(MEMBER_NAMES.to_vec()), inner.clone());
        let object = prop::collection::vec(member, 0..6).prop_map(object);
        prop_oneof![2 => object, 1 => prop::collection::vec(inner, 0..4).prop_map(Json::from)]
    })
}

fn object(members: Vec<(&'static str, Json)>) -> Json {
    let mut object = Map::new();
    for (name, value) in members {
        object.insert(name.to_owned(), value);
    }
    Json::Object(object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn resource_reads_as_its_content(
        content in content(),
        length in prop_oneof![Just(0_usize), Just(70_000)],
    ) {
        let content = json!({
            "title": "x".repeat(length),
            "unknown": [{"a": [1]}, "b"],
            "name": content,
            "meta": content,
            "emails": content,
            PERSONIO_USER_SCHEMA: content,
        });
        let resource = Resource::new(&USER_TYPE, &content).unwrap();
        let expected = without_cut_members(&USER_TYPE, ROOT_ATTRIBUTE, &content);
        prop_assert_eq!(resource.json(), expected.to_string());
        check(&USER_TYPE, resource.value(), ROOT_ATTRIBUTE, &expected);
        for id in USER_TYPE.ids().skip(1) {
            let mut found = Some(resource.value());
            for step in USER_TYPE.path_ids(id) {
                found = match found {
                    Some(value) if value.is_object() => value.member(step),
                    _ => None,
                };
            }
            let read = resource.single_value(id);
            prop_assert_eq!(read.map(ResourceValue::node_index), found.map(ResourceValue::node_index));
        }
    }
}

#[test]
fn long_resource_reads_like_a_short_one() {
    for length in [65_000, 65_519, 65_520, 65_521, 65_536, 200_000] {
        let title = "ü".repeat(length / 2);
        let content = json!({"id": "1", "title": title, "active": true, "userName": "Ann"});
        let resource = Resource::new(&USER_TYPE, &content).unwrap();
        assert_eq!(resource.json(), content.to_string());
        assert_eq!(resource.text("userName").unwrap(), "Ann");
        assert_eq!(resource.id(), "1");
        assert_eq!(resource.text("title").unwrap().len(), length / 2 * 2);
    }
}

#[test]
fn content_that_is_not_a_json_object_is_an_error() {
    assert!(Resource::new(&USER_TYPE, &json!(["a"])).is_err());
    assert!(Resource::new(&USER_TYPE, &"a").is_err());
    let with_invalid_key = HashMap::from([((1, 2), 3)]);
    assert!(Resource::new(&USER_TYPE, &with_invalid_key).is_err());
}

#[test]
fn texts_are_unescaped() {
    let content = json!({
        "id": "a\"b",
        "meta": {"version": "W/\"1\"", "lastModified": "2026-01-01T00:00:00Z"},
    });
    let resource = Resource::new(&USER_TYPE, &content).unwrap();
    assert_eq!(resource.id(), "a\"b");
    assert_eq!(resource.version().as_deref(), Some("W/\"1\""));
    assert_eq!(resource.last_modified(), "2026-01-01T00:00:00Z".parse().ok());
    assert_eq!(resource.text("META.VERSION"), resource.version());
    assert_eq!(resource.text("meta.location"), None);
}
