//! Tests of encoding and reading: a resource reads as the content that it is made from.

use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde::Serializer;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use crate::scim::resource::*;
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::{
    AttributeType, CustomAttributeDefinition, Discovery, EncodedContent, PERSONIO_USER_SCHEMA,
    ResourceContent, ResourceMeta, ResourceUrls, digest, weak_etag,
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

/// Content with any members.
struct AnyContent {
    members: Json,
    meta: ResourceMeta,
}

impl Serialize for AnyContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members.serialize(serializer)
    }
}

impl ResourceContent for AnyContent {
    fn id(&self) -> &str {
        "1"
    }

    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }

    fn into_meta(self) -> ResourceMeta {
        self.meta
    }
}

/// Returns the object with one more member, the last.
fn with_member(object: &Json, name: &str, value: Json) -> Json {
    let mut object = object.clone();
    object[name] = value;
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The versions are those of earlier releases, which hashed a serialization of their own.
    #[test]
    fn encoded_content_is_the_whole_object_and_its_version_the_digest(
        members in prop::collection::vec(
            (prop::sample::select(MEMBER_NAMES.to_vec()), content()),
            1..6,
        ),
    ) {
        let members = members.into_iter().filter(|(name, _)| *name != "meta").collect();
        let members = with_member(&object(members), "title", json!("x"));
        let created = "2026-01-01T00:00:00Z".parse().ok();
        let mut meta = ResourceMeta::of_user("https://a.example/Users/1".to_owned(), created, None);
        let covered = json!({
            "resourceType": "User",
            "created": "2026-01-01T00:00:00.000Z",
            "location": "https://a.example/Users/1",
        });
        let hashed = with_member(&members, "meta", covered).to_string();
        let version = weak_etag(&digest([&hashed]));

        let content = AnyContent { members: members.clone(), meta: meta.clone() };
        let encoded = EncodedContent::new(&USER_TYPE, &content).unwrap();
        prop_assert_eq!(encoded.version(), &version);
        meta.created = None;
        meta.last_modified = "2026-02-01T00:00:00.5Z".parse().ok();
        let resource = encoded.into_resource(&meta).unwrap();
        let whole = json!({
            "resourceType": "User",
            "lastModified": "2026-02-01T00:00:00.500Z",
            "location": "https://a.example/Users/1",
            "version": version,
        });
        let expected = Resource::new(&USER_TYPE, &with_member(&members, "meta", whole)).unwrap();
        prop_assert_eq!(resource.json(), expected.json());
        prop_assert!(resource.version().is_some_and(|read| read == version));
        prop_assert!(Arc::ptr_eq(resource.shape(), expected.shape()));
    }
}

#[test]
fn meta_is_the_first_member_if_all_others_are_cut_out() {
    let meta = ResourceMeta::of_group("https://a.example/Groups/1".to_owned());
    for members in [
        json!({}),
        json!({"emails": []}),
        json!({"title": null, "emails": [], "unknown": {"a": 1, "b": [null]}}),
    ] {
        let content = AnyContent { members, meta: meta.clone() };
        let encoded = EncodedContent::new(&USER_TYPE, &content).unwrap();
        let resource = encoded.into_resource(&meta).unwrap();
        assert!(resource.json().starts_with("{\"meta\":{\"resourceType\":"), "{}", resource.json());
        assert_eq!(resource.location().as_deref(), Some("https://a.example/Groups/1"));
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
    let raw = HashMap::from([("title", RawValue::from_string("\"a\"".to_owned()).unwrap())]);
    assert!(Resource::new(&USER_TYPE, &raw).is_err());
}

#[test]
fn values_of_every_type_are_written_as_json() {
    let numbers = HashMap::from([("badge", (1_i8, u64::MAX, 1.5_f32, f64::NAN, true, 'a'))]);
    let resource = Resource::new(&USER_TYPE, &HashMap::from([(PERSONIO_USER_SCHEMA, numbers)]));
    let expected = json!({PERSONIO_USER_SCHEMA: {"badge": [1, u64::MAX, 1.5, null, true, "a"]}});
    assert_eq!(resource.unwrap().json(), expected.to_string());
    // A name that is not a text has no node.
    let names = HashMap::from([(1_u8, "a")]);
    let resource = Resource::new(&USER_TYPE, &json!({"title": "b", "name": names})).unwrap();
    assert_eq!(resource.json(), "{\"title\":\"b\",\"name\":{}}");
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
