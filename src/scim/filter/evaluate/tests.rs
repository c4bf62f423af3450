//! Plans are held to asking each resource.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scim::filter::evaluate::*;
use crate::scim::filter::{Filter, Limits};
use crate::scim::{AttributeType, CustomAttribute, Discovery, EXTENSION_USER, Locations, Resource, ResourceType};

const FILTERS: &[&str] = &[
    "title pr",
    "title eq \"a\"",
    "title ne \"a\"",
    "title co \"A\"",
    "title eq null",
    "title gt \"a\" or title lt \"a\"",
    "active eq true",
    "active ne true",
    "name pr",
    "name.familyName eq \"a\"",
    "not (name.familyName ne \"a\" and title pr)",
    "name[familyName eq \"a\"]",
    "name[familyName ne \"a\" or givenName eq null]",
    "name[not (familyName eq \"a\")]",
    "title co \"\" or title co \"b\" and active ne true",
    "not (title co \"ab\" or title co \"ba\" or title co \"a\")",
    "schemas co \"A\"",
    "meta.created co \"-05-\"",
    "meta.created gt \"2026-01-01T00:00:00Z\"",
    "meta.created ne \"2026-01-01T00:00:00Z\"",
    "meta.created sw \"2026\"",
    "emails pr",
    "emails eq null",
    "emails co \"a\"",
    "emails.value ne \"a\"",
    "emails.primary eq true",
    "emails.primary ne true",
    "emails[value eq \"a\"]",
    "emails[value ne \"a\"]",
    "emails[not (value eq \"a\")]",
    "emails[value eq \"a\" and primary eq true]",
    "emails[value eq null or primary ne false]",
    "emails[primary eq true].value ne \"a\"",
    "emails[value pr] and not (emails[primary pr] or active eq false)",
    "schemas eq \"a\"",
    "schemas ne \"a\"",
    "schemas pr",
    "name.givenName sw \"a\" or name.givenName ew \"\\\"\"",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User:badge gt 2",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User:badge ne 3",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User:tags eq \"A\"",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User:tags ne \"a\"",
    "urn:ietf:params:scim:schemas:extension:personio:2.0:User pr",
];

/// Values that an attribute has, or has in an unusual shape.
fn odd() -> impl Strategy<Value = Value> {
    let scalar = prop::sample::select(vec![
        json!("a"),
        json!("A"),
        json!("b"),
        json!("\"b\""),
        json!(""),
        json!("2026-01-01T00:00:00Z"),
        json!("2026-05-01T00:00:00Z"),
        json!(true),
        json!(false),
        json!(null),
        json!(3),
        json!(3.0),
        json!(1e300),
        json!({}),
        json!([]),
    ]);
    let list = prop::collection::vec(scalar.clone(), 0..3).prop_map(Value::from);
    prop_oneof![12 => scalar, 1 => list]
}

fn user() -> impl Strategy<Value = Value> {
    let email = prop_oneof![
        9 => (odd(), odd()).prop_map(|(value, primary)| json!({"value": value, "primary": primary})),
        1 => odd(),
    ];
    let emails = prop::collection::vec(email, 0..3).prop_map(Value::from);
    let emails = prop_oneof![14 => emails, 1 => odd()];
    let name = (odd(), odd()).prop_map(|(family, given)| json!({"familyName": family, "givenName": given}));
    let name = prop_oneof![9 => name, 1 => odd()];
    let schemas = prop::collection::vec(odd(), 0..3).prop_map(Value::from);
    let tags = prop_oneof![9 => prop::collection::vec(odd(), 0..3).prop_map(Value::from), 1 => odd()];
    let extension = (odd(), tags).prop_map(|(badge, tags)| json!({"badge": badge, "tags": tags}));
    let extension = prop_oneof![14 => extension, 1 => odd()];
    let rest = (odd(), schemas, extension);
    (odd(), odd(), name, emails, rest).prop_map(|(title, active, name, emails, (created, schemas, extension))| {
        let meta = json!({"created": created});
        json!({"title": title, "active": active, "name": name, "emails": emails, "meta": meta, "schemas": schemas,
            EXTENSION_USER: extension})
    })
}

static KIND: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
    let attribute = |name: &str, kind, multi_valued| CustomAttribute { name: name.to_owned(), kind, multi_valued };
    let custom = [attribute("badge", AttributeType::Decimal, false), attribute("tags", AttributeType::String, true)];
    let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &custom).unwrap();
    discovery.compiled().unwrap().user
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn columns_say_what_the_resources_say(users in prop::collection::vec(user(), 0..5)) {
        let kind = &*KIND;
        let all: Vec<_> = users.iter().map(|user| Arc::new(Resource::new(kind, user).unwrap())).collect();
        let resources = Resources::new(kind, all.clone());
        let later = Resources::new(kind, all);
        for text in FILTERS {
            let filter = Filter::parse(text, Limits::default()).unwrap();
            let condition = Condition::new(&filter, text, kind, &[kind]).unwrap();
            let go_on = || Ok::<(), Infallible>(());
            let Ok(found) = Plan::new(&condition, &resources).among(&Bits::all(users.len()), &go_on);
            later.prepare_like(&resources);
            let Ok(again) = Plan::new(&condition, &later).among(&Bits::all(users.len()), &go_on);
            prop_assert_eq!(&again, &found);
            for (at, resource) in resources.all().iter().enumerate() {
                let expected = condition.holds(resource.value());
                prop_assert_eq!(found.get(at), Some(expected), "{}: {}", text, resource.json());
            }
        }
    }
}

#[test]
fn a_search_ends_when_it_is_to() {
    let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
    let kind = discovery.compiled().unwrap().user;
    // An object instead of a text: only the resources themselves can tell.
    let user = json!({"title": {"a": "b"}, "userName": "a"});
    let all = (0..3 * SOME).map(|_| Arc::new(Resource::new(&kind, &user).unwrap())).collect();
    let resources = Resources::new(&kind, all);
    for text in ["userName co \"x\" or userName co \"y\" or userName co \"z\"", "not (title pr)"] {
        let filter = Filter::parse(text, Limits::default()).unwrap();
        let condition = Condition::new(&filter, text, &kind, &[&kind]).unwrap();
        let asked = Cell::new(0);
        let most = |most: usize| {
            let asked = &asked;
            asked.set(0);
            move || {
                asked.set(asked.get() + 1);
                if asked.get() > most { Err(()) } else { Ok(()) }
            }
        };
        assert!(matches(&condition, &resources, &most(usize::MAX)).is_ok());
        let times = asked.get();
        assert!(times > 1, "{text}: {times}");
        for fewer in 0..times {
            assert_eq!(matches(&condition, &resources, &most(fewer)), Err(()), "{text}");
            assert_eq!(asked.get(), fewer + 1, "{text}");
        }
    }
}

#[test]
fn what_has_an_index_is_answered_without_a_scan() {
    let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
    let kind = discovery.compiled().unwrap().user;
    let user = |id: &str, email: &str| {
        let emails = json!([{"value": email, "type": "work"}]);
        let user = json!({"id": id, "userName": id, "externalId": id, "title": "x", "emails": emails});
        Arc::new(Resource::new(&kind, &user).unwrap())
    };
    let resources = Resources::new(&kind, vec![user("a", "a@x"), user("b", "b@x"), user("c", "c@x")]);
    for (text, expected) in [
        ("id eq \"b\"", Some(vec![1])),
        ("userName eq \"B\"", Some(vec![1])),
        ("externalId eq \"b\"", Some(vec![1])),
        ("emails eq \"B@x\"", Some(vec![1])),
        ("emails.value eq \"b@x\"", Some(vec![1])),
        ("title eq \"x\" and id eq \"b\"", Some(vec![1])),
        ("not (title pr) and (title eq \"x\" and id eq \"b\")", Some(vec![1])),
        ("emails[type eq \"work\" and value eq \"b@x\"]", Some(vec![1])),
        ("emails[type eq \"work\"].value eq \"b@x\"", Some(vec![1])),
        ("id eq \"c\" or id eq \"a\" or userName eq \"a\"", Some(vec![0, 2])),
        ("id eq \"c\" or emails[value eq \"a@x\" or value eq \"b@x\"]", Some(vec![0, 1, 2])),
        ("title pr and (id eq \"c\" or title pr and id eq \"nobody\")", Some(vec![2])),
        ("id eq \"c\" or title eq \"x\"", None),
        ("not (id eq \"c\")", None),
        ("id ne \"c\"", None),
        ("id sw \"c\"", None),
        ("title eq \"x\"", None),
    ] {
        let filter = Filter::parse(text, Limits::default()).unwrap();
        let condition = Condition::new(&filter, text, &kind, &[&kind]).unwrap();
        assert_eq!(candidates(&condition, &resources), expected, "{text}");
    }
}
