//! Tests that a plan returns the same matches as testing each resource.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::scim::filter::evaluate::*;
use crate::scim::filter::{Filter, FilterLimits};
use crate::scim::{
    AttributeType, CustomAttributeDefinition, Discovery, PERSONIO_USER_SCHEMA, ResourceUrls,
};
use crate::scim::{Resource, ResourceType};

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

/// Values of usual and unusual types for any attribute.
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

fn email() -> impl Strategy<Value = Value> {
    let pair = (odd(), odd());
    prop_oneof![
        9 => pair.prop_map(|(value, primary)| json!({"value": value, "primary": primary})),
        1 => odd(),
    ]
}

fn name() -> impl Strategy<Value = Value> {
    let pair = (odd(), odd());
    prop_oneof![
        9 => pair.prop_map(|(family, given)| json!({"familyName": family, "givenName": given})),
        1 => odd(),
    ]
}

fn extension() -> impl Strategy<Value = Value> {
    let tags = prop::collection::vec(odd(), 0..3).prop_map(Value::from);
    let tags = prop_oneof![9 => tags, 1 => odd()];
    let extension = (odd(), tags).prop_map(|(badge, tags)| json!({"badge": badge, "tags": tags}));
    prop_oneof![14 => extension, 1 => odd()]
}

fn user() -> impl Strategy<Value = Value> {
    let emails = prop::collection::vec(email(), 0..3).prop_map(Value::from);
    let emails = prop_oneof![14 => emails, 1 => odd()];
    let schemas = prop::collection::vec(odd(), 0..3).prop_map(Value::from);
    let rest = (odd(), schemas, extension());
    (odd(), odd(), name(), emails, rest).prop_map(|(title, active, name, emails, rest)| {
        let (created, schemas, extension) = rest;
        json!({
            "title": title,
            "active": active,
            "name": name,
            "emails": emails,
            "meta": {"created": created},
            "schemas": schemas,
            PERSONIO_USER_SCHEMA: extension,
        })
    })
}

fn user_type(custom_attributes: &[CustomAttributeDefinition]) -> Arc<ResourceType> {
    let urls = ResourceUrls::new("https://scim.example.com");
    let discovery = Discovery::new(&urls, 1000, custom_attributes).unwrap();
    discovery.compile_types().unwrap().user
}

fn custom_attribute(
    name: &str,
    attribute_type: AttributeType,
    multi_valued: bool,
) -> CustomAttributeDefinition {
    CustomAttributeDefinition { name: name.to_owned(), attribute_type, multi_valued }
}

static USER_TYPE: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
    user_type(&[
        custom_attribute("badge", AttributeType::Decimal, false),
        custom_attribute("tags", AttributeType::String, true),
    ])
});

fn bind(text: &str, user_type: &ResourceType) -> BoundFilter {
    let filter = Filter::parse(text, FilterLimits::default()).unwrap();
    BoundFilter::new(&filter, text, user_type, &[user_type]).unwrap()
}

/// Returns the matches by columns, without the indexes and without a deadline.
fn matches_by_plan(filter: &BoundFilter, resources: &ResourceSet) -> FixedBitSet {
    let all = full_set(resources.all().len());
    Planner { resources }.plan(filter).evaluate(&all, None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn columns_give_the_same_matches_as_the_resources(
        users in prop::collection::vec(user(), 0..5),
    ) {
        let user_type = &*USER_TYPE;
        let mut all = Vec::new();
        for user in &users {
            all.push(Arc::new(Resource::new(user_type, user).unwrap()));
        }
        let resources = ResourceSet::new(user_type, all.clone());
        for text in FILTERS {
            let filter = bind(text, user_type);
            let matches = matches_by_plan(&filter, &resources);
            let later = ResourceSet::following(&resources, user_type, all.clone());
            prop_assert_eq!(&matches_by_plan(&filter, &later), &matches);
            for (index, resource) in resources.all().iter().enumerate() {
                let expected = filter.holds(resource.value());
                let json = resource.json();
                prop_assert_eq!(matches.contains(index), expected, "{}: {}", text, json);
            }
        }
    }
}

#[test]
fn evaluation_ends_at_the_deadline() {
    let user_type = user_type(&[]);
    // With an object instead of a text in `title`, there is no column, and a scan is necessary.
    let user = json!({"title": {"a": "b"}, "userName": "a"});
    let user = Arc::new(Resource::new(&user_type, &user).unwrap());
    let resources = ResourceSet::new(&user_type, vec![user; 3 * RESOURCES_PER_DEADLINE_CHECK]);
    let over = Deadline::after(Duration::ZERO);
    while !over.is_over(Instant::now()) {}
    let far = Some(Deadline::after(Duration::from_secs(3600)));
    let all = full_set(resources.all().len());
    for text in [
        "userName co \"x\"",
        "not (title pr)",
        "userName co \"x\" or userName co \"y\" or userName co \"z\"",
        "userName pr and userName co \"a\"",
        "emails[type eq \"work\"]",
    ] {
        let filter = bind(text, &user_type);
        let ended = matches(&filter, &resources, None, Some(over));
        assert_eq!(ended, Err(DeadlineExceeded), "{text}");
        let with_time = matches(&filter, &resources, None, far);
        assert_eq!(with_time, matches(&filter, &resources, None, None), "{text}");
    }
    // The deadline is checked for each candidate, and at intervals in a scan.
    let filter = bind("not (title pr)", &user_type);
    assert_eq!(matches(&filter, &resources, Some(&[0]), Some(over)), Err(DeadlineExceeded));
    assert_eq!(scan(&filter, &resources, &all, Some(over)), Err(DeadlineExceeded));
    let mut few = FixedBitSet::with_capacity(all.len());
    few.insert_range(..RESOURCES_PER_DEADLINE_CHECK - 1);
    assert!(scan(&filter, &resources, &few, Some(over)).is_ok());
    // Each operand checks the deadline on its own.
    let operands = [QueryPlan::Constant(false), QueryPlan::Constant(true)];
    assert_eq!(evaluate_or(&operands, &all, Some(over)), Err(DeadlineExceeded));
    assert_eq!(evaluate_and(&operands, &all, Some(over)), Err(DeadlineExceeded));
}

#[test]
fn indexed_attributes_give_candidates_and_others_do_not() {
    let user_type = user_type(&[]);
    let mut users = Vec::new();
    for (id, email) in [("a", "a@x"), ("b", "b@x"), ("c", "c@x")] {
        let user = json!({
            "id": id,
            "userName": id,
            "externalId": id,
            "title": "x",
            "emails": [{"value": email, "type": "work"}],
        });
        users.push(Arc::new(Resource::new(&user_type, &user).unwrap()));
    }
    let resources = ResourceSet::new(&user_type, users);
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
        let filter = bind(text, &user_type);
        assert_eq!(candidates(&filter, &resources), expected, "{text}");
    }
}
