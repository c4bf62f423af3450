//! Filters (RFC 7644 §3.4.2.2): a table of those that make sense and one of those that do not.

mod fixture;
mod invalid;
mod valid;

use std::sync::Arc;

use personio_scim::scim::filter::{Filter, Limits};
use personio_scim::scim::{ListQuery, Paging, ResourceType, SearchRequest};
use serde_json::Value;

use crate::harness::{Setup, ids};
use fixture::{CORE, ENTERPRISE, OURS};

fn complete(filter: &str) -> String {
    filter.replace("{C}", CORE).replace("{E}", ENTERPRISE).replace("{O}", OURS)
}

fn query(kind: &Arc<ResourceType>, filter: &str) -> Result<ListQuery, String> {
    let request = SearchRequest { filter: Some(filter.to_owned()), ..SearchRequest::default() };
    ListQuery::new(&request, &[kind], Limits::default(), Paging::after(0, 100)).map_err(|error| error.detail)
}

#[test]
fn a_filter_finds_whom_the_rfc_says() {
    let kind = fixture::user_type();
    let users = fixture::resources(&kind);
    let mut wrong = Vec::new();
    for (filter, expected) in valid::VALID {
        let filter = complete(filter);
        let found = query(&kind, &filter).map(|query| {
            let page: Value = serde_json::from_slice(&query.select(&[&users]).to_json()).unwrap();
            ids(&page).join(" ")
        });
        if found.as_deref() != Ok(*expected) {
            wrong.push(format!("{filter}: expected {expected:?}, found {found:?}"));
        }
        // Written again, it says the same.
        let read = Filter::parse(&filter, Limits::default()).unwrap();
        assert_eq!(Filter::parse(&read.to_string(), Limits::default()), Ok(read), "{filter}");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), valid::VALID.len(), wrong.join("\n"));
}

#[test]
fn a_filter_that_makes_no_sense_is_told_where_and_why() {
    let kind = fixture::user_type();
    let mut wrong = Vec::new();
    for (filter, place, part) in invalid::INVALID {
        let filter = complete(filter);
        let said = query(&kind, &filter).err().unwrap_or_else(|| "nothing".to_owned());
        let there = *place == 0 || said.starts_with(&format!("filter, character {place}: "));
        if !there || !said.contains(part) {
            wrong.push(format!("{filter}: expected {place} {part:?}, found {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), invalid::INVALID.len(), wrong.join("\n"));
}

#[test]
fn the_tables_are_large_and_say_nothing_twice() {
    let mut filters: Vec<&str> = valid::VALID.iter().map(|(filter, _)| *filter).collect();
    filters.extend(invalid::INVALID.iter().map(|(filter, ..)| *filter));
    let all = filters.len();
    filters.sort_unstable();
    filters.dedup();
    assert_eq!(filters.len(), all, "a row is there twice");
    assert!(valid::VALID.len() >= 300 && invalid::INVALID.len() >= 150, "{all}");
}

#[test]
fn what_is_too_long_or_too_deep_is_not_read() {
    let kind = fixture::user_type();
    let said = |filter: &str| query(&kind, filter).err().unwrap_or_default();
    let nested = |depth: usize| format!("{}title pr{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(said(&nested(50)), "");
    assert_eq!(said(&nested(51)), "filter, character 51: the filter is nested deeper than 50");
    assert_eq!(said(&nested(5000)), "filter, character 51: the filter is nested deeper than 50");
    let negated = |depth: usize| format!("{}title pr{}", "not (".repeat(depth), ")".repeat(depth));
    assert_eq!(said(&negated(50)), "");
    assert!(said(&negated(51)).ends_with("nested deeper than 50"));
    let in_brackets = |depth: usize| format!("emails[{}type pr{}]", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(said(&in_brackets(49)), "");
    assert!(said(&in_brackets(50)).ends_with("nested deeper than 50"));

    let long = |length: usize| format!("userName eq \"{}\"", "x".repeat(length - 14));
    assert_eq!(said(&long(10 * 1024)), "");
    assert_eq!(said(&long(10 * 1024 + 1)), "the filter has 10241 bytes; at most 10240 are read");
    // So many tests side by side are no depth.
    assert_eq!(said(&vec!["title pr"; 600].join(" and ")), "");
    assert_eq!(said(&vec!["title pr"; 600].join(" or ")), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_comes_through_a_url_in_every_spelling() {
    let bridge = Setup::persons(60).start();
    let users = bridge.everybody().await;
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
        assert_eq!((page.status.as_u16(), ids(&page.json())), (200, expected), "{query}: {}", page.text);
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
