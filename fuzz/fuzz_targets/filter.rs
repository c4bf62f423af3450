//! Fuzz target: any text as a filter. Parsing it and evaluating it for a few users must not panic,
//! and the displayed filter must parse to the same filter again.
//!
//! For a minute, with stable Rust: `cargo fuzz run filter --sanitizer none -- -max_total_time=60`

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use personio_scim::scim::filter::{Filter, FilterLimits};
use personio_scim::scim::{
    Discovery, ListQuery, PageRequest, Resource, ResourceSet, ResourceUrls, SearchRequest,
};

static USERS: LazyLock<ResourceSet> = LazyLock::new(|| {
    let discovery =
        Discovery::new(&ResourceUrls::new("https://scim.example.com/scim/v2"), 1000, &[]).unwrap();
    let kind = discovery.compile_types().unwrap().user;
    let users = [
        serde_json::json!({
            "id": "1",
            "userName": "Anna@example.com",
            "name": {"familyName": "Ünal"},
            "active": true,
            "emails": [{"value": "anna@example.com", "type": "work", "primary": true}, {"value": null}],
            "meta": {"created": "2026-01-01T00:00:00Z", "lastModified": "soon"},
        }),
        serde_json::json!({"id": "2", "title": [[], {}, 3], "emails": "none"}),
    ];
    let all = users.iter().map(|user| Arc::new(Resource::new(&kind, user).unwrap()));
    ResourceSet::new(&kind, all.collect())
});

fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text, FilterLimits::default()) {
        let limits = FilterLimits { max_bytes: usize::MAX, max_depth: 50 };
        assert_eq!(Filter::parse(&filter.to_string(), limits), Ok(filter));
    }
    let request = SearchRequest { filter: Some(text.to_owned()), ..SearchRequest::default() };
    let users = &*USERS;
    if let Ok(query) = ListQuery::new(
        &request,
        &[users.resource_type()],
        FilterLimits::default(),
        PageRequest::at_offset(0, 10),
    ) {
        let response = query.select(&[users], None).expect("no deadline can be exceeded");
        std::hint::black_box(response.to_json());
    }
});
