//! Tests of `sortBy` and `sortOrder` (RFC 7644 §3.4.2.3).

use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as EXTENSION,
};
use serde_json::Value;

use crate::harness::{Setup, ids};

/// Returns the value at a path through objects and through the first elements of arrays.
fn at<'v>(user: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(user, |value, name| {
        let value = value.get(name)?;
        Some(value.as_array().map_or(value, |elements| &elements[0]))
    })
}

/// Sorts users as the RFC requires, with code independent of the server: users without a value are
/// last in ascending order and first in descending order, and equal ones keep the order of the
/// list.
fn sorted(users: &[Value], path: &[&str], exact: bool, descending: bool) -> Vec<String> {
    let key = |user: &Value| {
        at(user, path).map(|value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if exact { text } else { text.to_lowercase() }
        })
    };
    let (mut present, mut absent): (Vec<&Value>, Vec<&Value>) =
        users.iter().partition(|user| key(user).is_some());
    // Stable insertion sort, sufficient for a short list.
    for end in 1..present.len() {
        let mut place = end;
        while place > 0 {
            let (one, other) = (key(present[place - 1]), key(present[place]));
            if if descending { one >= other } else { one <= other } {
                break;
            }
            present.swap(place - 1, place);
            place -= 1;
        }
    }
    if descending {
        std::mem::swap(&mut present, &mut absent);
    }
    present.into_iter().chain(absent).map(|user| user["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_by_any_attribute_in_both_directions() {
    let bridge = Setup::persons(120).start();
    let users = bridge.all_users().await;
    let rows: &[(&str, &[&str], bool)] = &[
        ("userName", &["userName"], false),
        ("USERNAME", &["userName"], false),
        ("id", &["id"], true),
        ("name.familyName", &["name", "familyName"], false),
        ("title", &["title"], false),
        ("active", &["active"], false),
        ("emails", &["emails", "value"], false),
        ("emails.value", &["emails", "value"], false),
        ("meta.created", &["meta", "created"], true),
        ("meta.lastModified", &["meta", "lastModified"], true),
        ("urn:ietf:params:scim:schemas:core:2.0:User:displayName", &["displayName"], false),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
            &[ENTERPRISE, "department"],
            false,
        ),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
            &[ENTERPRISE, "manager", "value"],
            true,
        ),
        (
            "urn:ietf:params:scim:schemas:extension:personio:2.0:User:hireDate",
            &[EXTENSION, "hireDate"],
            false,
        ),
    ];
    for (sort_by, path, exact) in rows {
        for (order, descending) in [("ascending", false), ("Descending", true)] {
            let page = bridge.list("/Users", &[("sortBy", sort_by), ("sortOrder", order)]).await;
            assert_eq!(ids(&page), sorted(&users, path, *exact, descending), "{sort_by} {order}");
        }
        let page = bridge.list("/Users", &[("sortBy", sort_by)]).await;
        assert_eq!(ids(&page), sorted(&users, path, *exact, false), "ascending is the default");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sorted_pages_partition_the_list_with_and_without_a_filter() {
    let bridge = Setup::persons(120).start();
    for filter in [None, Some("active eq true"), Some("title pr and not (active eq false)")] {
        for order in ["ascending", "descending"] {
            let mut parameters = vec![("sortBy", "title"), ("sortOrder", order)];
            parameters.extend(filter.map(|filter| ("filter", filter)));
            let whole = bridge.list("/Users", &parameters).await;
            let whole = ids(&whole);
            for size in ["1", "7", "50", "200"] {
                let mut walked: Vec<String> = Vec::new();
                while walked.len() < whole.len() {
                    let start = (walked.len() + 1).to_string();
                    let page = [parameters.as_slice(), &[("count", size), ("startIndex", &start)]]
                        .concat();
                    let page = bridge.list("/Users", &page).await;
                    assert_eq!(page["totalResults"], whole.len());
                    walked.extend(ids(&page).into_iter().map(str::to_owned));
                }
                assert_eq!(walked, whole, "{filter:?} {order} {size}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsortable_attribute_is_refused() {
    let bridge = Setup::persons(3).start();
    for (query, scim_type, detail) in [
        ("sortBy=shoeSize", "invalidPath", "sortBy: there is no attribute `shoeSize` in User"),
        (
            "sortBy=department",
            "invalidPath",
            "sortBy: there is no attribute `department` in User; did you mean `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`?",
        ),
        ("sortBy=familyName", "invalidPath", "did you mean `name.familyName`?"),
        ("sortBy=name", "invalidPath", "sortBy: name is complex"),
        ("sortBy=%20", "invalidPath", "sortBy: there is no attribute"),
        ("sortBy=id&sortOrder=up", "invalidValue", "sortOrder must be ascending or descending"),
    ] {
        let actual = bridge.get(&format!("/Users?{query}")).await.scim_error(400, Some(scim_type));
        assert!(actual.contains(detail), "{query}: {actual}");
    }
    assert_eq!(
        bridge.get("/Users?sortBy=&sortOrder=").await.json(),
        bridge.get("/Users").await.json()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sorting_by_an_absent_attribute_keeps_the_order() {
    let bridge = Setup::persons(60).start();
    let users = bridge.list("/Users", &[]).await;
    for sort_by in [
        "profileUrl",
        "addresses.country",
        "phoneNumbers",
        "urn:ietf:params:scim:schemas:core:2.0:User:name.middleName",
    ] {
        for order in ["ascending", "descending"] {
            let page = bridge.list("/Users", &[("sortBy", sort_by), ("sortOrder", order)]).await;
            assert_eq!(page, users, "{sort_by} {order}");
        }
    }
}
