//! Sending answers, whole or broken.
//!
//! Two ways of closing a connection: before anything was sent, and in the middle of a body.

use std::io;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::simulator::answer::{Answer, JSON, title};
use crate::simulator::listing::{empty_page, pairs};

/// Long enough for what was written so far to leave before the connection is closed.
const FLUSH: Duration = Duration::from_millis(20);
const CHUNK: usize = 64 * 1024;
/// Number of entries on a page of a listing without end.
const ENDLESS_PAGE: usize = 50;

pub(super) fn whole(answer: Answer) -> HttpResponse {
    start(answer.status, answer.content_type).body(answer.body)
}

/// The answer with half of its body, as if that were all.
pub(super) fn cut_short(answer: Answer) -> HttpResponse {
    let half = half(&answer);
    start(answer.status, answer.content_type).body(half)
}

/// The answer with half of its body, then the connection is closed.
pub(super) fn broken_off(answer: Answer) -> HttpResponse {
    let first = stream::iter([Ok(half(&answer))]);
    let then = stream::once(async {
        tokio::time::sleep(FLUSH).await;
        Err(closed())
    });
    let length = answer.body.len().max(1) as u64;
    start(answer.status, answer.content_type).body(SizedStream::new(length, Box::pin(first.chain(then))))
}

/// The connection is closed before anything is sent.
pub(super) fn reset() -> HttpResponse {
    let nothing = stream::iter([Err::<Bytes, _>(closed())]);
    start(200, JSON).body(SizedStream::new(1, nothing))
}

/// The page of a gateway that knows nothing of JSON.
pub(super) fn html(status: u16) -> HttpResponse {
    let title = title(status);
    let page = format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    whole(Answer::new(status, "text/html", page))
}

/// JSON that is no answer of this API.
pub(super) fn wrong_json() -> HttpResponse {
    whole(Answer::json(200, &json!({ "success": true, "data": { "unexpected": ["shape", 1, null] } })))
}

/// The listing as if it ended after so many entries; an answer that is no listing as it is.
pub(super) fn short_listing(answer: &Answer, entries: usize) -> HttpResponse {
    let mut page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(data) = page.get_mut("_data").and_then(Value::as_array_mut) {
        data.truncate(entries);
    }
    if let Some(links) = page.pointer_mut("/_meta/links").and_then(Value::as_object_mut) {
        links.remove("next");
    }
    start(answer.status, answer.content_type).body(page.to_string())
}

/// An empty page followed by spaces, `size` bytes altogether (or the page, if that is longer).
pub(super) fn oversized(size: usize, path: &str, base_url: &str) -> HttpResponse {
    let page = Bytes::from(empty_page(path, base_url).to_string());
    let padding = size.saturating_sub(page.len());
    let length = (page.len() + padding) as u64;
    let spaces = Bytes::from_static(&[b' '; CHUNK]);
    let chunks = (0..padding.div_ceil(CHUNK)).map(move |chunk| {
        let left = padding - chunk * CHUNK;
        spaces.slice(..left.min(CHUNK))
    });
    let body = stream::iter(std::iter::once(page).chain(chunks).map(Ok::<_, io::Error>));
    start(200, JSON).body(SizedStream::new(length, body))
}

/// The answer with `new` in every place of `old`.
pub(super) fn substituted(answer: &Answer, old: &str, new: &[u8]) -> HttpResponse {
    let mut body = Vec::with_capacity(answer.body.len() + new.len());
    let mut rest = &answer.body[..];
    while let Some(at) = memchr::memmem::find(rest, old.as_bytes()).filter(|_| !old.is_empty()) {
        let (before, after) = rest.split_at(at);
        body.extend_from_slice(before);
        body.extend_from_slice(new);
        rest = after.get(old.len()..).unwrap_or_default();
    }
    body.extend_from_slice(rest);
    start(answer.status, answer.content_type).body(body)
}

/// The listing with another value of an attribute in its first entries; an answer that is no listing as it is.
pub(super) fn odd_entries(answer: &Answer, entries: usize, attribute: &str, value: &Value) -> HttpResponse {
    let mut page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let data = page.get_mut("_data").and_then(Value::as_array_mut);
    for entry in data.into_iter().flatten().take(entries) {
        if let Some(members) = entry.as_object_mut() {
            members.insert(attribute.to_owned(), value.clone());
        }
    }
    start(answer.status, answer.content_type).body(page.to_string())
}

/// A page of new ids that is followed by another one.
pub(super) fn endless(path: &str, query: &str, base_url: &str) -> HttpResponse {
    let cursor = pairs(query).remove("cursor").unwrap_or_default();
    let number: usize = cursor.strip_prefix("endless-").and_then(|number| number.parse().ok()).unwrap_or_default();
    let first = number * ENDLESS_PAGE;
    let data: Vec<Value> =
        (first..first + ENDLESS_PAGE).map(|id| json!({ "id": (1_000_000 + id).to_string() })).collect();
    let next = format!("{base_url}{path}?cursor=endless-{}", number + 1);
    whole(Answer::json(200, &json!({ "_data": data, "_meta": { "links": { "next": { "href": next } } } })))
}

/// The answer whose entries do not say whose they are.
pub(super) fn without_person(mut answer: Answer) -> Answer {
    let mut page: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    for entry in page.get_mut("_data").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(members) = entry.as_object_mut() {
            members.remove("person");
        }
    }
    answer.body = Bytes::from(page.to_string());
    answer
}

fn start(status: u16, content_type: &'static str) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    builder.insert_header((CONTENT_TYPE, content_type));
    builder
}

fn half(answer: &Answer) -> Bytes {
    answer.body.slice(..answer.body.len() / 2)
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}
