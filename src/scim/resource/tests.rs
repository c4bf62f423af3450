//! A resource reads as the content that it is made of.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use crate::scim::resource::*;
use crate::scim::schema::resource_type::RESOURCE;
use crate::scim::{AttributeType, CustomAttribute, Discovery, EXTENSION_USER, Locations};

static KIND: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
    let custom = [CustomAttribute { name: "badge".into(), kind: AttributeType::Decimal, multi_valued: false }];
    let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &custom).unwrap();
    discovery.compiled().unwrap().user
});

/// What is left of content in a resource.
fn left(kind: &ResourceType, id: AttributeId, content: &Json) -> Json {
    match content {
        Json::Object(members) => {
            let known = members.iter().filter_map(|(name, value)| {
                let is_assigned = !value.is_null() && *value != json!([]);
                let id = kind.sub_attribute(id, name).filter(|_| is_assigned)?;
                Some((name.clone(), left(kind, id, value)))
            });
            Json::Object(known.collect::<Map<_, _>>())
        }
        Json::Array(elements) => elements.iter().map(|element| left(kind, id, element)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => content.clone(),
    }
}

/// Whether a value reads as it is written.
fn check(kind: &ResourceType, value: Value<'_>, id: AttributeId, expected: &Json) {
    assert_eq!((value.json(), value.attribute()), (&*expected.to_string(), id));
    let parts: Vec<_> = value.parts().collect();
    match expected {
        Json::Object(members) => {
            assert!(value.is_object());
            assert_eq!(parts.len(), members.len());
            for (part, (name, member)) in parts.into_iter().zip(members) {
                check(kind, part, kind.sub_attribute(id, name).unwrap(), member);
            }
        }
        Json::Array(elements) => {
            assert!(value.is_array());
            let elements: Vec<_> = elements.iter().filter(|element| !element.is_null()).collect();
            assert_eq!(parts.len(), elements.len());
            parts.into_iter().zip(elements).for_each(|(part, element)| check(kind, part, id, element));
        }
        Json::Bool(expected) => {
            assert_eq!((value.content(), value.boolean()), (Content::Boolean(*expected), Some(*expected)));
        }
        Json::Number(expected) => {
            assert_eq!(value.content(), Content::Number(expected.clone()));
            assert_eq!(value.number().as_ref(), Some(expected));
        }
        Json::String(expected) => {
            assert_eq!(value.text().as_deref(), Some(&**expected));
            assert_eq!(value.is_empty(), expected.is_empty());
            let moment = expected.parse().ok().filter(|_| kind.get(id).kind == AttributeType::DateTime);
            let content = match moment {
                Some(moment) => Content::DateTime(moment, expected),
                None => Content::Text(expected.as_str().into()),
            };
            assert_eq!((value.content(), value.date_time()), (content, moment));
        }
        Json::Null => panic!("null is no value"),
    }
}

fn content() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        ".{0,6}".prop_map(Json::from),
        "[\"\\\\/{}\\[\\],:\n\u{1}]{0,4}".prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        prop::sample::select(vec![json!(null), json!("2026-01-01T00:00:00.5Z"), json!({}), json!([])]),
    ];
    let names = [
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
        "unheard",
        "un\"heard",
        "TITLE",
        EXTENSION_USER,
    ];
    scalar.prop_recursive(4, 40, 6, move |inner| {
        let member = (prop::sample::select(names.to_vec()), inner.clone());
        let object = prop::collection::vec(member, 0..6);
        let object = object.prop_map(|members| {
            Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        });
        prop_oneof![2 => object, 1 => prop::collection::vec(inner, 0..4).prop_map(Json::from)]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_resource_reads_as_its_content(content in content(), length in prop_oneof![Just(0_usize), Just(70_000)]) {
            let content = json!({"title": "x".repeat(length), "unheard": [{"a": [1]}, "b"], "name": content, "meta": content,
            "emails": content, EXTENSION_USER: content});
        let resource = Resource::new(&KIND, &content).unwrap();
        let expected = left(&KIND, RESOURCE, &content);
        prop_assert_eq!(resource.json(), expected.to_string());
        check(&KIND, resource.value(), RESOURCE, &expected);
        for id in KIND.ids().skip(1) {
            let way = KIND.way(id);
            let found = way.iter().try_fold(resource.value(), |value, id| {
                if value.is_object() { value.get(*id) } else { None }
            });
            prop_assert_eq!(resource.single(id).map(Value::place), found.map(Value::place));
        }
    }
}

#[test]
fn a_long_resource_reads_as_a_short_one() {
    for length in [65_000, 65_519, 65_520, 65_521, 65_536, 200_000] {
        let content = json!({"id": "1", "title": "ü".repeat(length / 2), "active": true, "userName": "Ann"});
        let resource = Resource::new(&KIND, &content).unwrap();
        assert_eq!(resource.json(), content.to_string());
        assert_eq!((&*resource.text("userName").unwrap(), &*resource.id()), ("Ann", "1"));
        assert_eq!(resource.text("title").unwrap().len(), length / 2 * 2);
    }
}

#[test]
fn what_cannot_be_written_or_is_no_object_is_no_resource() {
    assert!(Resource::new(&KIND, &json!(["a"])).is_err());
    assert!(Resource::new(&KIND, &"a").is_err());
    assert!(Resource::new(&KIND, &std::collections::HashMap::from([((1, 2), 3)])).is_err());
}

#[test]
fn texts_are_read_as_they_are_meant() {
    let content = json!({"id": "a\"b", "meta": {"version": "W/\"1\"", "lastModified": "2026-01-01T00:00:00Z"}});
    let resource = Resource::new(&KIND, &content).unwrap();
    assert_eq!(resource.id(), "a\"b");
    assert_eq!(resource.version().as_deref(), Some("W/\"1\""));
    assert_eq!(resource.last_modified(), "2026-01-01T00:00:00Z".parse().ok());
    assert_eq!(resource.text("META.VERSION"), resource.version());
    assert_eq!(resource.text("meta.location"), None);
}
