//! Tests of filters (RFC 7644 §3.4.2.2): a table of valid filters and one of invalid filters.

mod announced;
mod fixture;
mod invalid;
mod valid;

use std::sync::Arc;

use personio_scim::scim::filter::{Filter, FilterLimits};
use personio_scim::scim::{
    InvalidQuery, ListQuery, PageRequest, Resource, ResourceSet, ResourceType, ScimType,
    SearchRequest,
};
use personio_scim::simulator::World;
use serde_json::{Value, json};

use crate::harness::{NOW, Setup, ids};
use fixture::{CORE, ENTERPRISE, OURS};

fn complete(filter: &str) -> String {
    filter.replace("{C}", CORE).replace("{E}", ENTERPRISE).replace("{O}", OURS)
}

fn query(kind: &Arc<ResourceType>, filter: &str) -> Result<ListQuery, InvalidQuery> {
    let request = SearchRequest { filter: Some(filter.to_owned()), ..SearchRequest::default() };
    ListQuery::new(&request, &[kind], FilterLimits::default(), PageRequest::at_offset(0, 100))
}

fn found(query: &ListQuery, resources: &ResourceSet) -> String {
    let page: Value =
        serde_json::from_slice(&query.select(&[resources], None).unwrap().to_json()).unwrap();
    ids(&page).join(" ")
}

#[test]
fn valid_filters_match_the_users_in_the_table() {
    let kind = fixture::user_type();
    let users = fixture::resources(&kind);
    let mut wrong = Vec::new();
    for (filter, expected) in valid::VALID {
        let filter = complete(filter);
        let found =
            query(&kind, &filter).map(|query| found(&query, &users)).map_err(|error| error.detail);
        if found.as_deref() != Ok(*expected) {
            wrong.push(format!("{filter}: expected {expected:?}, found {found:?}"));
        }
        // The displayed filter parses to the same filter.
        let read = Filter::parse(&filter, FilterLimits::default()).unwrap();
        assert_eq!(Filter::parse(&read.to_string(), FilterLimits::default()), Ok(read), "{filter}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), valid::VALID.len(), wrong.join("\n"));
}

#[test]
fn invalid_filters_report_position_and_reason() {
    let kind = fixture::user_type();
    let mut wrong = Vec::new();
    for (filter, place, part) in invalid::INVALID {
        let filter = complete(filter);
        let error = query(&kind, &filter).err();
        let outcome = error.as_ref().map_or("nothing", |error| &error.detail);
        let there = *place == 0 || outcome.starts_with(&format!("filter, character {place}: "));
        if !there
            || !outcome.contains(part)
            || error.as_ref().map(|error| error.scim_type) != Some(ScimType::InvalidFilter)
        {
            wrong.push(format!("{filter}: expected {place} {part:?}, found {error:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        invalid::INVALID.len(),
        wrong.join("\n")
    );
}

#[test]
fn too_long_or_too_deep_filters_are_refused() {
    let kind = fixture::user_type();
    let outcome =
        |filter: &str| query(&kind, filter).err().map(|error| error.detail).unwrap_or_default();
    let nested = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(outcome(&nested(50)), "");
    assert_eq!(outcome(&nested(51)), "filter, character 51: the filter is nested deeper than 50");
    assert_eq!(outcome(&nested(5000)), "filter, character 51: the filter is nested deeper than 50");
    let negated = |depth: usize| format!("{}title pr{}", "not (".repeat(depth), ")".repeat(depth));
    assert_eq!(outcome(&negated(50)), "");
    assert!(outcome(&negated(51)).ends_with("nested deeper than 50"));
    let in_brackets =
        |depth: usize| format!("emails[{}type pr{}]", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(outcome(&in_brackets(49)), "");
    assert!(outcome(&in_brackets(50)).ends_with("nested deeper than 50"));

    let long = |length: usize| format!("userName eq \"{}\"", "x".repeat(length - 14));
    assert_eq!(outcome(&long(10 * 1024)), "");
    assert_eq!(
        outcome(&long(10 * 1024 + 1)),
        "the filter has 10241 bytes; at most 10240 are allowed"
    );
    // A long chain of tests is not nested.
    assert_eq!(outcome(&vec!["title pr"; 600].join(" and ")), "");
    assert_eq!(outcome(&vec!["title pr"; 600].join(" or ")), "");
}

#[test]
fn an_error_does_not_repeat_all_of_a_long_word() {
    let kind = fixture::user_type();
    let outcome = |filter: &str| query(&kind, filter).unwrap_err().detail;
    let long = "a".repeat(9000);
    let short = format!("{}…{}", "a".repeat(50), "a".repeat(50));
    for (filter, expected) in [
        (
            format!("{long} pr"),
            format!("filter, character 1: there is no attribute `{short}` in User"),
        ),
        (
            format!("{long}[value pr]"),
            format!("filter, character 1: there is no attribute `{short}` in User"),
        ),
        (
            format!("emails[{long} pr]"),
            format!("filter, character 8: there is no sub-attribute `{short}` in emails"),
        ),
        (
            format!("title {long}"),
            format!(
                "filter, character 7: expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr), found `{short}`"
            ),
        ),
        (
            format!("active eq {}", "9".repeat(5000)),
            "filter, character 11: the number is too large".to_owned(),
        ),
    ] {
        assert_eq!(outcome(&filter), expected);
    }
    let name = "a".repeat(100);
    assert!(outcome(&format!("{name} pr")).contains(&name));
}

/// Returns a resource type with the given attributes, and two resources.
fn things(
    label_exact: bool,
    serial: &str,
    serials: [Value; 2],
) -> (Arc<ResourceType>, ResourceSet) {
    let attribute = |name: &str, kind: &str, exact: bool| json!({"name": name, "type": kind, "multiValued": false, "caseExact": exact, "returned": "default"});
    let attributes =
        [attribute("label", "string", label_exact), attribute("serial", serial, false)];
    let document = json!({"name": "Thing", "schema": "urn:example:Thing"});
    let kind = ResourceType::new(
        &document,
        &[json!({"id": "urn:example:Thing", "attributes": attributes})],
    )
    .unwrap();
    let kind = Arc::new(kind);
    let labels = ["Chair", "chair"];
    let thing = |place: usize| json!({"id": place.to_string(), "label": labels[place], "serial": serials[place]});
    let all = [0, 1].map(|place| Arc::new(Resource::new(&kind, &thing(place)).unwrap()));
    let resources = ResourceSet::new(&kind, all.into());
    (kind, resources)
}

#[test]
fn types_and_case_are_those_of_the_schema() {
    let (kind, resources) = things(false, "integer", [json!(9), json!(10)]);
    let outcome = |filter: &str| {
        query(&kind, filter).map(|query| found(&query, &resources)).map_err(|error| error.detail)
    };
    assert_eq!(outcome("label eq \"CHAIR\""), Ok("0 1".to_owned()));
    assert_eq!(outcome("label co \"C\""), Ok("0 1".to_owned()));
    assert_eq!(outcome("serial gt 9"), Ok("1".to_owned()));
    assert!(outcome("serial gt \"9\"").unwrap_err().contains("serial is a whole number"));

    let (kind, resources) = things(true, "string", [json!("9"), json!("10")]);
    let outcome = |filter: &str| {
        query(&kind, filter).map(|query| found(&query, &resources)).map_err(|error| error.detail)
    };
    assert_eq!(outcome("label eq \"CHAIR\""), Ok(String::new()));
    assert_eq!(outcome("label co \"C\""), Ok("0".to_owned()));
    assert_eq!(outcome("serial lt \"9\""), Ok("1".to_owned()));
    assert!(outcome("serial gt 9").unwrap_err().contains("serial is a string"));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_work_in_every_url_encoding() {
    let bridge = Setup::persons(60).start();
    let users = bridge.all_users().await;
    let user = users.iter().find(|user| user["userName"].as_str().unwrap().contains('@')).unwrap();
    let (id, name) = (user["id"].as_str().unwrap(), user["userName"].as_str().unwrap());
    for (query, expected) in [
        (format!("filter=userName%20eq%20%22{name}%22"), vec![id]),
        (format!("filter=userName+eq+%22{name}%22"), vec![id]),
        (format!("Filter=username+EQ+%22{}%22", name.to_uppercase().replace('@', "%40")), vec![id]),
        (format!("filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22{name}%22"), vec![id]),
        (format!("filter=externalId+eq+%22{id}%22&count=1&startIndex=1"), vec![id]),
        (format!("filter=externalId+eq+%22{id}%22&count=0"), vec![]),
        ("filter=userName+eq+%22nobody%22".to_owned(), vec![]),
    ] {
        let page = bridge.get(&format!("/scim/v2/Users?{query}")).await;
        assert_eq!(
            (page.status.as_u16(), ids(&page.json())),
            (200, expected),
            "{query}: {}",
            page.text
        );
    }
    let none = bridge.list("/Users", &[("filter", "userName eq \"nobody\"")]).await;
    assert_eq!((none["totalResults"].as_u64(), none["itemsPerPage"].as_u64()), (Some(0), Some(0)));
    for query in [
        "filter=",
        "filter=%20",
        "filter=userName+eq",
        "filter=%C3%28+pr",
        "filter=title+pr&count=1&sortBy=title&filter2=x&filter=x",
    ] {
        let kind = if query.contains("filter2") { "invalidValue" } else { "invalidFilter" };
        bridge.get(&format!("/Users?{query}")).await.scim_error(400, Some(kind));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plus_in_an_address_matches_in_every_url_encoding() {
    let mut world = World::generate(3, 1, NOW.parse().unwrap());
    world.persons[1].email = Some("ann+test@example.com".to_owned());
    let ann = world.persons[1].id.clone();
    let bridge = Setup::of(world).start();
    for (query, is_found) in [
        // curl, fetch, encodeURI and Spring leave the plus unchanged.
        ("filter=userName%20eq%20%22ann+test@example.com%22", true),
        ("filter=userName%20sw%20%22ann+%22&startIndex=1&count=1", true),
        ("filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ann+test@example.com%22", true),
        ("filter=userName%20eq%20%22ann%2Btest%40example.com%22&attributes=userName,+name", true),
        // HTML forms encode the plus.
        ("filter=userName+eq+%22ann%2Btest%40example.com%22", true),
        ("filter=userName+eq+%22ann%2Btest%40example.com%22&attributes=userName,%20name", true),
        // In such a query a plus is a space.
        ("filter=userName+eq+%22ann+test@example.com%22", false),
    ] {
        let page = bridge.get(&format!("/Users?{query}")).await;
        let expected = if is_found { vec![ann.as_str()] } else { Vec::new() };
        assert_eq!(
            (page.status.as_u16(), ids(&page.json())),
            (200, expected),
            "{query}: {}",
            page.text
        );
    }
}
