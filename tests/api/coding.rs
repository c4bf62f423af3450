//! Tests of compressed responses (RFC 9110 §8.4.1, §12.5.3) and of the response cache.

use std::io::Read;

use personio_scim::scim::SEARCH_REQUEST_SCHEMA;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::harness::{SHORT_TTL, Setup, TestServer};

/// Response as received, with its content coding.
struct Raw {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Raw {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns the decoded body.
    fn decoded(&self) -> Vec<u8> {
        let mut decoded = Vec::new();
        match self.header("content-encoding") {
            "" => decoded.extend_from_slice(&self.body),
            "gzip" => drop(
                flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut decoded).unwrap(),
            ),
            "br" => drop(
                brotli::Decompressor::new(&self.body[..], 4096).read_to_end(&mut decoded).unwrap(),
            ),
            "zstd" => decoded = zstd::decode_all(&self.body[..]).unwrap(),
            other => panic!("{other}"),
        }
        decoded
    }
}

/// Sends a request unchanged. The client of the other tests requests gzip and decodes it.
async fn raw(request: reqwest::RequestBuilder) -> Raw {
    let request = request.build().unwrap();
    let http = reqwest::Client::builder().no_gzip().build().unwrap();
    let response = http.execute(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Raw { status, headers, body: response.bytes().await.unwrap().to_vec() }
}

async fn get(bridge: &TestServer, path: &str, accept: &[(&str, &str)]) -> Raw {
    let request = bridge.request(Method::GET, path);
    raw(accept.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_client_gets_its_preferred_content_coding_and_the_same_content() {
    let bridge = Setup::persons(60).start();
    let id = bridge.all_users().await[7]["id"].as_str().unwrap().to_owned();
    for path in [
        "/scim/v2/Users",
        "/scim/v2/Users?filter=active+eq+true&attributes=userName",
        &format!("/scim/v2/Users/{id}"),
        "/scim/v2/Schemas",
        "/openapi.json",
    ] {
        let plain = get(&bridge, path, &[]).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        let vary =
            if path == "/openapi.json" { "Accept-Encoding" } else { "Accept, Accept-Encoding" };
        assert_eq!(plain.header("vary"), vary, "{path}");
        for (accept, coding) in [
            ("gzip", "gzip"),
            ("br", "br"),
            ("zstd", "zstd"),
            ("gzip, deflate", "gzip"),
            ("GZIP;q=0.5, br;q=0.9", "br"),
            ("gzip;q=0, zstd;q=0.1", "zstd"),
            ("identity", ""),
            ("", ""),
            ("deflate", ""),
            ("gzip;q=0", ""),
            ("gzip;q=0.1, identity", ""),
            ("identity;q=0, deflate", ""),
            ("nonsense;;q", ""),
        ] {
            // The second response comes from the response cache.
            for _ in 0..2 {
                let coded = get(&bridge, path, &[("Accept-Encoding", accept)]).await;
                assert_eq!(
                    (coded.status, coded.header("content-encoding")),
                    (200, coding),
                    "{path} {accept}"
                );
                assert_eq!(
                    coded.header("content-length"),
                    coded.body.len().to_string(),
                    "{path} {accept}"
                );
                assert_eq!(coded.header("vary"), vary, "{path} {accept}");
                assert_eq!(
                    coded.header("etag"),
                    plain.header("etag"),
                    "weak, so that it is that of all codings"
                );
                assert_eq!(coded.header("content-type"), plain.header("content-type"));
                assert!(coded.decoded() == plain.body, "{path} {accept}");
                assert!(
                    coding.is_empty() || coded.body.len() < plain.body.len(),
                    "{path} {accept}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matching_entity_tag_returns_304_in_every_coding() {
    let bridge = Setup::persons(20).start();
    let tag = get(&bridge, "/Users", &[]).await.header("etag").to_owned();
    let known = get(&bridge, "/Users", &[("If-None-Match", &tag), ("Accept-Encoding", "br")]).await;
    assert_eq!(
        (known.status, &known.body[..], known.header("content-encoding")),
        (304, &b""[..], "")
    );
    assert_eq!(
        (known.header("etag"), known.header("vary")),
        (tag.as_str(), "Accept, Accept-Encoding")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_compressed_and_a_head_has_no_body() {
    let bridge = Setup::persons(20).start();
    let body = json!({"schemas": [SEARCH_REQUEST_SCHEMA]}).to_string();
    let search = bridge
        .request(Method::POST, "/Users/.search")
        .body(body)
        .header("Content-Type", "application/json");
    let found = raw(search.header("Accept-Encoding", "gzip")).await;
    assert_eq!((found.status, found.header("content-encoding")), (200, "gzip"));
    assert!(found.decoded() == get(&bridge, "/Users", &[]).await.body);

    let head = bridge.request(Method::HEAD, "/Users").header("Accept-Encoding", "gzip");
    let head = raw(head).await;
    assert_eq!((head.status, head.header("content-encoding"), head.body.len()), (200, "gzip", 0));
}

/// Checks that small bodies and errors have no content coding.
#[tokio::test(flavor = "multi_thread")]
async fn small_bodies_and_errors_are_not_compressed() {
    let bridge = Setup::persons(3).start();
    for path in ["/Users?count=0", "/Users?filter=nonsense", "/Users/0"] {
        let answer = get(&bridge, path, &[("Accept-Encoding", "gzip, br, zstd")]).await;
        assert_eq!(answer.header("content-encoding"), "", "{path}");
        assert!(answer.body.starts_with(b"{\"schemas\""), "{path}");
    }
}

/// Checks that cached responses belong to the current snapshot, in every content coding.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_no_cached_response_is_stale() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) }.start();
    let paths =
        ["/Users", "/Users?filter=nickName+eq+%22New%22", "/Users?sortBy=displayName&count=5"];
    let codings = ["", "gzip", "zstd"];
    for (path, coding) in paths.iter().flat_map(|path| codings.map(|coding| (path, coding))) {
        let before = get(&bridge, path, &[("Accept-Encoding", coding)]).await;
        assert!(!String::from_utf8(before.decoded()).unwrap().contains("\"New\""));
    }
    bridge.simulator.with_world(|world| {
        world.persons.iter_mut().for_each(|person| person.preferred_name = Some("New".into()));
    });
    bridge.reloaded().await;
    for (path, coding) in paths.iter().flat_map(|path| codings.map(|coding| (path, coding))) {
        let after = get(&bridge, path, &[("Accept-Encoding", coding)]).await;
        assert!(String::from_utf8(after.decoded()).unwrap().contains("\"New\""), "{path} {coding}");
    }
}

/// Checks that equivalent queries share a cached response and different queries do not.
#[tokio::test(flavor = "multi_thread")]
async fn cached_responses_are_shared_only_by_equivalent_queries() {
    let bridge = Setup::persons(40).start();
    let same = [
        "/Users?filter=active+eq+true&count=5",
        "/scim/v2/Users?COUNT=5&Filter=active%20eq%20true",
        "/Users/?count=%35&filter=active+eq+true&startIndex=1&unheard=of",
    ];
    let first = get(&bridge, same[0], &[]).await;
    for path in same {
        let again = get(&bridge, path, &[]).await;
        assert!(again.body == first.body && again.header("etag") == first.header("etag"), "{path}");
    }
    let others = [
        "/Users?filter=active+eq+true&count=6",
        "/Users?filter=active+eq+true&count=5&startIndex=2",
        "/Users?filter=active+eq+false&count=5",
        "/Users?filter=active+eq+true&count=5&attributes=userName",
        "/Users?filter=active+eq+true&count=5&excludedAttributes=userName",
        "/Users?filter=active+eq+true&count=5&sortBy=userName",
        "/Users?filter=active+eq+true&count=5&sortBy=userName&sortOrder=descending",
        "/Groups?filter=displayName+pr&count=5",
        "/?filter=displayName+pr&count=5",
        "/Users?filter=active+eq+true&count=5&cursor",
    ];
    let mut tags = vec![first.header("etag").to_owned()];
    for path in others {
        let [other, again] = [get(&bridge, path, &[]).await, get(&bridge, path, &[]).await];
        assert_eq!(other.status, 200, "{path}");
        assert!(other.body == again.body || path.ends_with("cursor"), "{path}");
        assert!(!tags.contains(&other.header("etag").to_owned()), "{path}");
        tags.push(other.header("etag").to_owned());
    }
}
