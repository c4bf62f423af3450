//! Property tests: laws that hold for every filter, page, order and projection.

use std::sync::Arc;

use personio_scim::scim::USER_SCHEMA;
use personio_scim::scim::filter::{AttrPath, AttrTest, CompValue, CompareOp, Filter, FilterLimits};
use personio_scim::scim::{
    AttributeType, CustomAttributeDefinition, Discovery, ENTERPRISE_USER_SCHEMA, ListQuery,
    PERSONIO_USER_SCHEMA, PageRequest, Projection, Resource, ResourceSet, ResourceType,
    ResourceUrls, SearchRequest,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn user_type() -> Arc<ResourceType> {
    let discovery =
        Discovery::new(&ResourceUrls::new("https://scim.example.com/scim/v2"), 1000, &[]).unwrap();
    discovery.compile_types().unwrap().user
}

/// Generates paths of existing attributes, in any spelling.
fn path() -> impl Strategy<Value = String> {
    let paths = [
        "userName",
        "id",
        "externalId",
        "active",
        "title",
        "name.familyName",
        "emails",
        "emails.value",
        "emails.primary",
        "meta.created",
        "meta.lastModified",
        "schemas",
        "groups.display",
        "urn:ietf:params:scim:schemas:core:2.0:User:displayName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:orgUnits.value",
        "manager",
        "shoeSize",
    ];
    prop::sample::select(paths.to_vec()).prop_map(str::to_owned)
}

fn sortable() -> impl Strategy<Value = String> {
    path().prop_filter("it has values", |path| !["manager", "shoeSize"].contains(&path.as_str()))
}

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(vec!["Anna", "anna", "Ü", "", "7", "2026-01-01T00:00:00Z", "true", "a\"b\\c\n"])
            .prop_map(Value::from),
        2 => ".{0,6}".prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-1e9..1e9).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn test() -> impl Strategy<Value = AttrTest> {
    let compare = (prop::sample::select(CompareOp::ALL.to_vec()), literal());
    prop_oneof![
        1 => Just(AttrTest::Present),
        4 => compare.prop_map(|(operator, value)| AttrTest::Compare(operator, CompValue::new(value))),
    ]
}

/// Generates any grammatical filter, valid or not.
fn filter() -> impl Strategy<Value = Filter> {
    let plain =
        (path(), test()).prop_map(|(path, test)| Filter::AttrExp(AttrPath::new(&path), test));
    let member = prop::sample::select(vec!["value", "type", "primary", "display", "$ref"]);
    let inner = (member.clone(), test())
        .prop_map(|(name, test)| Filter::AttrExp(AttrPath::new(name), test));
    let inner = inner.prop_recursive(2, 6, 3, combined);
    let holder = prop::sample::select(vec!["emails", "groups", "name", "title"]);
    let last =
        prop::option::of((member, test()).prop_map(|(name, test)| (AttrPath::new(name), test)));
    let element = (holder, inner, last).prop_map(|(holder, inner, last)| {
        Filter::ValuePath(AttrPath::new(holder), Box::new(inner), last)
    });
    prop_oneof![3 => plain, 1 => element].prop_recursive(4, 24, 4, combined)
}

/// Generates valid filters: every attribute exists and every value has its type.
fn meaningful() -> impl Strategy<Value = Filter> {
    let text = prop::sample::select(vec![
        "userName",
        "id",
        "title",
        "name.familyName",
        "emails",
        "emails.value",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:orgUnits.value",
    ]);
    let words =
        || prop::sample::select(vec!["Anna", "anna", "Ü", "a", "7", "a\"b"]).prop_map(Value::from);
    let any_operator = || prop::sample::select(CompareOp::ALL.to_vec());
    let equality = || prop::sample::select(vec![CompareOp::Eq, CompareOp::Ne]);
    let compare = |(path, operator, value): (&'static str, CompareOp, Value)| {
        Filter::AttrExp(AttrPath::new(path), AttrTest::Compare(operator, CompValue::new(value)))
    };
    let flags = prop::sample::select(vec!["active", "emails.primary"]);
    let moments = prop::sample::select(vec![
        "2026-01-01T01:00:00+01:00",
        "2025-06-30",
        "2025-06-30T12:00:00.4999999999Z",
    ]);
    let orders = prop::sample::select(vec![
        CompareOp::Eq,
        CompareOp::Ne,
        CompareOp::Gt,
        CompareOp::Ge,
        CompareOp::Le,
    ]);
    let leaf = prop_oneof![
        4 => (text.clone(), any_operator(), words()).prop_map(compare),
        1 => (flags, equality(), any::<bool>().prop_map(Value::from)).prop_map(compare),
        1 => (Just("meta.created"), orders, moments.prop_map(Value::from)).prop_map(compare),
        1 => (text, equality(), Just(Value::Null)).prop_map(compare),
        1 => prop::sample::select(vec!["name", "emails", "meta.created"])
            .prop_map(|path| Filter::AttrExp(AttrPath::new(path), AttrTest::Present)),
    ];
    let member = (any_operator(), words()).prop_map(|(operator, value)| {
        Filter::AttrExp(AttrPath::new("value"), AttrTest::Compare(operator, CompValue::new(value)))
    });
    let primary = any::<bool>().prop_map(|value| {
        Filter::AttrExp(
            AttrPath::new("primary"),
            AttrTest::Compare(CompareOp::Eq, CompValue::new(value.into())),
        )
    });
    let element = prop_oneof![member, primary].prop_recursive(2, 6, 3, combined);
    let element =
        element.prop_map(|inner| Filter::ValuePath(AttrPath::new("emails"), Box::new(inner), None));
    prop_oneof![4 => leaf, 1 => element].prop_recursive(3, 12, 3, combined)
}

fn combined(inner: BoxedStrategy<Filter>) -> impl Strategy<Value = Filter> {
    prop_oneof![
        prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::And),
        prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::Or),
        inner.prop_map(|filter| Filter::Not(Box::new(filter))),
    ]
}

/// Generates users with some of the attributes. Not every value has the announced type.
fn user() -> impl Strategy<Value = Value> {
    let text = || {
        prop::option::of(prop::sample::select(vec![
            "Anna",
            "anna",
            "ANNA",
            "Ülkü",
            "ülkü",
            "",
            "a\"b\\c\n",
            "7",
        ]))
    };
    let odd = prop_oneof![9 => Just(None), 1 => literal().prop_map(Some), 1 => Just(Some(json!([{"value": null}, 3, [], {}])))];
    let texts = (text(), text(), text(), text(), text());
    let moment = prop::option::of(prop::sample::select(vec![
        "2026-01-01T00:00:00Z",
        "2025-06-30T12:00:00.5Z",
        "soon",
    ]));
    let emails = prop::collection::vec((text(), any::<bool>()), 0..3);
    (0u32..40, texts, prop::option::of(any::<bool>()), moment, emails, odd).prop_map(
        |(id, (user_name, title, family, department, unit), active, moment, emails, odd)| {
            let mut user = Map::new();
            user.insert("schemas".into(), json!([USER_SCHEMA]));
            user.insert("id".into(), id.to_string().into());
            user.insert("userName".into(), json!(user_name));
            user.insert("title".into(), odd.unwrap_or(json!(title)));
            user.insert("name".into(), json!({"familyName": family}));
            user.insert("active".into(), json!(active));
            let emails = emails
                .into_iter()
                .map(|(value, primary)| json!({"value": value, "primary": primary}));
            user.insert("emails".into(), emails.collect());
            user.insert(ENTERPRISE_USER_SCHEMA.into(), json!({"department": department}));
            user.insert(
                PERSONIO_USER_SCHEMA.into(),
                json!({"orgUnits": [{"value": unit}], "secret": "not announced"}),
            );
            user.insert("meta".into(), json!({"created": moment, "version": "W/\"1\""}));
            user.insert("phoneNumbers".into(), json!([{"value": "not announced"}]));
            Value::Object(user)
        },
    )
}

/// Generates users whose attributes need not have the announced type.
fn odd_user() -> impl Strategy<Value = Value> {
    let members = [
        "value",
        "type",
        "primary",
        "familyName",
        "created",
        "department",
        "manager",
        "orgUnits",
        "$ref",
    ];
    let odd = literal().prop_recursive(3, 8, 3, move |inner| {
        let member = prop::sample::select(members.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((member, inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let names = [
        "schemas",
        "id",
        "externalId",
        "userName",
        "name",
        "displayName",
        "title",
        "active",
        "emails",
        "groups",
        "meta",
        ENTERPRISE_USER_SCHEMA,
        PERSONIO_USER_SCHEMA,
    ];
    prop::collection::vec(odd, names.len()).prop_map(move |values| {
        names.into_iter().map(str::to_owned).zip(values).collect::<Map<_, _>>().into()
    })
}

fn resources(kind: &Arc<ResourceType>, users: &[Value]) -> ResourceSet {
    ResourceSet::new(
        kind,
        users.iter().map(|user| Arc::new(Resource::new(kind, user).unwrap())).collect(),
    )
}

fn list_query(
    kind: &ResourceType,
    request: &SearchRequest,
    paging: PageRequest,
) -> Option<ListQuery> {
    ListQuery::new(request, &[kind], FilterLimits::default(), paging).ok()
}

fn listed(query: &ListQuery, users: &ResourceSet) -> (usize, Vec<Value>) {
    let list: Value =
        serde_json::from_slice(&query.select(&[users], None).unwrap().to_json()).unwrap();
    (list["totalResults"].as_u64().unwrap() as usize, list["Resources"].as_array().unwrap().clone())
}

fn by_filter(filter: &Filter) -> SearchRequest {
    SearchRequest { filter: Some(filter.to_string()), ..SearchRequest::default() }
}

const EVERYTHING: usize = 10_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn displayed_filters_parse_to_the_same_filter(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text, FilterLimits { max_bytes: 1_000_000, max_depth: 50 }), Ok(filter), "{}", text);
    }

    #[test]
    fn parsing_any_text_does_not_panic(text in "[a-z\\[\\]()\"\\\\. :$0-9-]{0,40}|.{0,40}") {
        if let Ok(filter) = Filter::parse(&text, FilterLimits::default()) {
            prop_assert_eq!(Filter::parse(&filter.to_string(), FilterLimits::default()), Ok(filter));
        }
        let kind = user_type();
        let request = SearchRequest { filter: Some(text), ..SearchRequest::default() };
        let _ = list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING));
    }

    #[test]
    fn not_partitions_users_and_double_negation_is_identity(filter in meaningful(), users in prop::collection::vec(user(), 0..12)) {
        let kind = user_type();
        let users = resources(&kind, &users);
        let matches = |filter: &Filter| list_query(&kind, &by_filter(filter), PageRequest::at_offset(0, EVERYTHING)).map(|query| listed(&query, &users));
        let (total, found) = matches(&filter).unwrap();
        let not = Filter::Not(Box::new(filter));
        let (others, _) = matches(&not).unwrap();
        prop_assert_eq!(total + others, users.all().len());
        prop_assert_eq!(matches(&Filter::Not(Box::new(not))).unwrap().1, found);
    }

    #[test]
    fn and_is_intersection_and_or_is_union(one in meaningful(), other in meaningful(), users in prop::collection::vec(user(), 0..12)) {
        let kind = user_type();
        let users = resources(&kind, &users);
        let total = |filter: &Filter| list_query(&kind, &by_filter(filter), PageRequest::at_offset(0, EVERYTHING)).map(|query| listed(&query, &users).0);
        let (first, second) = (total(&one).unwrap(), total(&other).unwrap());
        let both = total(&Filter::And(vec![one.clone(), other.clone()])).unwrap();
        let either = total(&Filter::Or(vec![one, other])).unwrap();
        prop_assert_eq!(both + either, first + second);
    }

    #[test]
    fn evaluating_any_filter_on_any_resource_does_not_panic(
        filter in prop_oneof![filter(), meaningful()],
        users in prop::collection::vec(prop_oneof![user(), odd_user()], 0..4),
    ) {
        let kind = user_type();
        let users = resources(&kind, &users);
        let total = |filter: &Filter| {
            let query = list_query(&kind, &by_filter(filter), PageRequest::at_offset(0, EVERYTHING))?;
            Some(listed(&query, &users).0)
        };
        if let Some(found) = total(&filter) {
            let others = total(&Filter::Not(Box::new(filter))).unwrap();
            prop_assert_eq!(found + others, users.all().len());
        }
    }

    #[test]
    fn index_and_scan_return_the_same_users(users in prop::collection::vec(user(), 0..30), value in literal()) {
        let kind = user_type();
        let users = resources(&kind, &users);
        for path in ["id", "userName", "emails.value"] {
            // The index does not evaluate negations, so the double negation causes a scan.
            let test = format!("{path} eq {value}");
            let found = |filter: String| {
                let request = SearchRequest { filter: Some(filter), ..SearchRequest::default() };
                list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING)).map(|query| listed(&query, &users))
            };
            prop_assert_eq!(found(test.clone()), found(format!("not (not ({test}))")));
            let either = format!("{test} or userName eq \"anna\"");
            prop_assert_eq!(found(either.clone()), found(format!("not (not ({either}))")));
        }
    }

    #[test]
    fn pages_of_every_size_partition_every_list(
        users in prop::collection::vec(user(), 0..30),
        filter in prop::option::of(meaningful()),
        sort_by in prop::option::of(sortable()),
        descending in any::<bool>(),
        size in 1usize..12,
    ) {
        let kind = user_type();
        let users = resources(&kind, &users);
        let request = SearchRequest {
            sort_by,
            sort_order: descending.then(|| "descending".to_owned()),
            ..filter.as_ref().map(by_filter).unwrap_or_default()
        };
        let whole = list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING)).unwrap();
        let (total, whole) = listed(&whole, &users);
        prop_assert_eq!(total, whole.len());
        let mut walked = Vec::new();
        while walked.len() < total {
            let page = list_query(&kind, &request, PageRequest::at_offset(walked.len(), size)).unwrap();
            let (again, page) = listed(&page, &users);
            prop_assert_eq!(again, total);
            prop_assert_eq!(page.len(), size.min(total - walked.len()));
            walked.extend(page);
        }
        prop_assert_eq!(walked, whole);
    }

    #[test]
    fn sorting_is_total_and_stable(users in prop::collection::vec(user(), 0..30), sort_by in sortable()) {
        let kind = user_type();
        // A number in each user makes users distinguishable.
        let users: Vec<Value> = users.into_iter().enumerate().map(|(place, mut user)| {
            user["externalId"] = format!("{place:03}").into();
            user
        }).collect();
        let users = resources(&kind, &users);
        let sorted = |order: &str| {
            let sort_order = Some(order.to_owned());
            let request = SearchRequest { sort_by: Some(sort_by.clone()), sort_order, ..SearchRequest::default() };
            listed(&list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING)).unwrap(), &users).1
        };
        let (up, down) = (sorted("ascending"), sorted("descending"));
        let names = |list: &[Value]| -> Vec<String> {
            list.iter().map(|user| user["externalId"].as_str().unwrap().to_owned()).collect()
        };
        let mut all = names(&up);
        all.sort();
        prop_assert_eq!(all, (0..users.all().len()).map(|place| format!("{place:03}")).collect::<Vec<_>>());
        // Within runs of equal values the order is the same in both directions; the runs themselves
        // are in reverse order.
        let turned: Vec<String> = names(&down);
        let mut place = 0;
        let ascending = names(&up);
        let mut rest = ascending.as_slice();
        while let Some(last) = turned.get(place) {
            let start = rest.iter().position(|name| name == last).unwrap();
            let run = &rest[start..];
            prop_assert!(run.is_sorted(), "equal ones keep the order of the list: {:?}", run);
            prop_assert_eq!(&turned[place..place + run.len()], run);
            place += run.len();
            rest = &rest[..start];
        }
    }

    #[test]
    fn projection_is_idempotent(
        user in user(),
        named in prop::collection::vec(path(), 1..4),
        excluding in any::<bool>(),
    ) {
        let kind = user_type();
        let projection = if excluding {
            Projection::new(&kind, &[], &named).unwrap()
        } else {
            Projection::new(&kind, &named, &[]).unwrap()
        };
        let write = |user: &Value| -> Value {
            let mut json = Vec::new();
            projection.write(&Resource::new(&kind, user).unwrap(), &mut json);
            serde_json::from_slice(&json).unwrap()
        };
        let once = write(&user);
        prop_assert_eq!(&write(&once), &once);
        prop_assert!(!once.to_string().contains("not announced"));
        prop_assert!(once.get("id").is_some());
    }
}

#[test]
fn only_announced_attributes_are_served() {
    let kind = user_type();
    let user = json!({"id": "1", "birthday": "1990-01-01", "name": {"givenName": "A", "honorificPrefix": "Dr."}, "emails": []});
    let resource = Resource::new(&kind, &user).unwrap();
    assert_eq!(resource.json(), "{\"id\":\"1\",\"name\":{\"givenName\":\"A\"}}");
    let odd = Resource::new(&kind, &json!({"title": [[], null, {}, "x"], "active": null})).unwrap();
    assert_eq!(odd.json(), "{\"title\":[[],null,{},\"x\"]}");
}

#[test]
fn sorting_uses_the_primary_value_or_else_the_first() {
    let kind = user_type();
    let users = [
        json!({"id": "b", "emails": [{"value": "z"}, {"value": "b", "primary": true}]}),
        json!({"id": "none"}),
        json!({"id": "c", "emails": [{"value": "c", "primary": false}, {"value": "a"}]}),
        json!({"id": "a", "emails": [{"value": "A", "primary": true}, {"value": "z"}]}),
        json!({"id": "none too", "emails": [{"value": "", "primary": true}, {"value": "a"}]}),
    ];
    let users = resources(&kind, &users);
    for (sort_by, order, expected) in [
        ("emails", "ascending", ["a", "b", "c", "none", "none too"]),
        ("emails.value", "descending", ["none", "none too", "c", "b", "a"]),
    ] {
        let (sort_by, sort_order) = (Some(sort_by.to_owned()), Some(order.to_owned()));
        let request = SearchRequest { sort_by, sort_order, ..SearchRequest::default() };
        let (_, list) = listed(
            &list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING)).unwrap(),
            &users,
        );
        let ids: Vec<&str> = list.iter().map(|user| user["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{order}");
    }
}

#[test]
fn values_are_sorted_by_their_type() {
    let custom = [("level", AttributeType::Integer), ("rate", AttributeType::Decimal)];
    let custom = custom.map(|(name, kind)| CustomAttributeDefinition {
        name: name.into(),
        attribute_type: kind,
        multi_valued: false,
    });
    let urls = ResourceUrls::new("https://scim.example.com/scim/v2");
    let kind = Discovery::new(&urls, 1000, &custom).unwrap().compile_types().unwrap().user;
    for (way, ascending) in [
        (&[PERSONIO_USER_SCHEMA, "level"][..], json!([-3, 2, 9, 10, 100])),
        (&[PERSONIO_USER_SCHEMA, "rate"], json!([-1.5, -1, 0.25, 2, 10, 1e3])),
        (&["active"], json!([false, true])),
        (&["externalId"], json!(["A", "B", "a", "b"])),
        (&["title"], json!(["a", "B", "c", "Ü"])),
        // As text, the second value sorts first.
        (
            &["meta", "lastModified"],
            json!(["2026-05-13T04:42:34Z", "2026-05-13T04:42:34.5Z", "2026-05-13T04:42:35Z"]),
        ),
    ] {
        let ascending = ascending.as_array().unwrap();
        let expected: Vec<String> = (0..ascending.len()).map(|place| place.to_string()).collect();
        let users = ascending.iter().zip(&expected).map(|(value, id)| {
            let mut user =
                way.iter().rev().fold(value.clone(), |value, name| json!({*name: value}));
            user["id"] = id.as_str().into();
            user
        });
        let users: Vec<Value> = users.rev().collect();
        let users = resources(&kind, &users);
        let sorted = |order: &str| -> Vec<String> {
            let (sort_by, sort_order) =
                (Some(way.join(if way[0] == "meta" { "." } else { ":" })), Some(order.to_owned()));
            let request = SearchRequest { sort_by, sort_order, ..SearchRequest::default() };
            let (_, list) = listed(
                &list_query(&kind, &request, PageRequest::at_offset(0, EVERYTHING)).unwrap(),
                &users,
            );
            list.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(sorted("ascending"), expected, "{way:?}");
        assert_eq!(
            sorted("descending"),
            expected.iter().rev().cloned().collect::<Vec<_>>(),
            "{way:?}"
        );
    }
}
