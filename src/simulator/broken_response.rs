//! HTTP responses, complete or broken on purpose.
//!
//! A stream that ends with an error makes the server close the connection. This happens either
//! before anything is sent or in the middle of a body.

use std::io;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::simulator::listing::{empty_page, query_parameters};
use crate::simulator::response::{JSON, SimulatedResponse, reason_phrase};

/// Delay before a connection is closed, long enough for the earlier bytes to be sent.
const FLUSH_DELAY: Duration = Duration::from_millis(20);
/// Size in bytes of a chunk of padding.
const PADDING_CHUNK_BYTES: usize = 64 * 1024;
/// Number of entries on each page of an endless listing.
const ENDLESS_PAGE_SIZE: usize = 50;

pub(super) fn complete(response: SimulatedResponse) -> HttpResponse {
    start(response.status, response.content_type).body(response.body)
}

/// Returns a complete HTTP response that contains only the first half of the body.
pub(super) fn truncated_json(response: SimulatedResponse) -> HttpResponse {
    let half = first_half(&response);
    start(response.status, response.content_type).body(half)
}

/// Returns a response that sends the first half of the body and then closes the connection.
///
/// Its `Content-Length` is that of the whole body.
pub(super) fn truncated_body(response: SimulatedResponse) -> HttpResponse {
    let first = stream::iter([Ok(first_half(&response))]);
    let then = stream::once(async {
        tokio::time::sleep(FLUSH_DELAY).await;
        Err(connection_closed_error())
    });
    let length = response.body.len().max(1) as u64;
    let body = SizedStream::new(length, Box::pin(first.chain(then)));
    start(response.status, response.content_type).body(body)
}

/// Returns a response that closes the connection before anything is sent.
pub(super) fn connection_reset() -> HttpResponse {
    let nothing = stream::iter([Err::<Bytes, _>(connection_closed_error())]);
    start(200, JSON).body(SizedStream::new(1, nothing))
}

/// Returns the HTML error page of a gateway in front of the API.
pub(super) fn html_error(status: u16) -> HttpResponse {
    let title = reason_phrase(status);
    let page = format!(
        "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    complete(SimulatedResponse::new(status, "text/html", page))
}

/// Returns valid JSON of a shape that this API never sends.
pub(super) fn wrong_json() -> HttpResponse {
    let body = json!({ "success": true, "data": { "unexpected": ["shape", 1, null] } });
    complete(SimulatedResponse::json(200, &body))
}

/// Returns the listing with at most `entries` entries and without a next link.
///
/// A response that is not a listing keeps its content.
pub(super) fn short_listing(response: &SimulatedResponse, entries: usize) -> HttpResponse {
    let mut page = page_of(response);
    if let Some(data) = entries_of(&mut page) {
        data.truncate(entries);
    }
    if let Some(links) = page.pointer_mut("/_meta/links").and_then(Value::as_object_mut) {
        links.remove("next");
    }
    start(response.status, response.content_type).body(page.to_string())
}

/// Returns an empty page that is padded with spaces to `size` bytes.
///
/// A page that is longer than `size` is sent without padding.
pub(super) fn oversized(size: usize, path: &str, base_url: &str) -> HttpResponse {
    let page = Bytes::from(empty_page(path, base_url).to_string());
    let padding = size.saturating_sub(page.len());
    let length = (page.len() + padding) as u64;
    let spaces = Bytes::from_static(&[b' '; PADDING_CHUNK_BYTES]);
    let chunks = (0..padding.div_ceil(PADDING_CHUNK_BYTES)).map(move |chunk| {
        let left = padding - chunk * PADDING_CHUNK_BYTES;
        spaces.slice(..left.min(PADDING_CHUNK_BYTES))
    });
    let body = stream::iter(std::iter::once(page).chain(chunks).map(Ok::<_, io::Error>));
    start(200, JSON).body(SizedStream::new(length, body))
}

/// Returns the response with every occurrence of `old` replaced by `new`.
pub(super) fn substituted(response: &SimulatedResponse, old: &str, new: &[u8]) -> HttpResponse {
    let mut body = Vec::with_capacity(response.body.len() + new.len());
    let mut rest = &response.body[..];
    while !old.is_empty()
        && let Some(at) = memchr::memmem::find(rest, old.as_bytes())
    {
        let (before, after) = rest.split_at(at);
        body.extend_from_slice(before);
        body.extend_from_slice(new);
        rest = after.get(old.len()..).unwrap_or_default();
    }
    body.extend_from_slice(rest);
    start(response.status, response.content_type).body(body)
}

/// Returns the listing with another value of an attribute in its first entries.
///
/// A response that is not a listing keeps its content.
pub(super) fn odd_entries(
    response: &SimulatedResponse,
    entries: usize,
    attribute: &str,
    value: &Value,
) -> HttpResponse {
    let mut page = page_of(response);
    if let Some(data) = entries_of(&mut page) {
        for entry in data.iter_mut().take(entries) {
            if let Some(members) = entry.as_object_mut() {
                members.insert(attribute.to_owned(), value.clone());
            }
        }
    }
    start(response.status, response.content_type).body(page.to_string())
}

/// Returns the listing in which each entry has the name of the one before it.
///
/// A response that is not a listing keeps its content.
pub(super) fn other_names(response: &SimulatedResponse) -> HttpResponse {
    let mut page = page_of(response);
    if let Some(data) = entries_of(&mut page) {
        let mut earlier = data.last().and_then(|entry| entry.get("name")).cloned();
        for entry in data {
            if let Some(name) = entry.get_mut("name")
                && let Some(earlier) = &mut earlier
            {
                std::mem::swap(name, earlier);
            }
        }
    }
    start(response.status, response.content_type).body(page.to_string())
}

/// Returns a page of new ids with a link to another such page.
pub(super) fn endless_listing(path: &str, query: &str, base_url: &str) -> HttpResponse {
    let cursor = query_parameters(query).remove("cursor").unwrap_or_default();
    let number: usize = match cursor.strip_prefix("endless-") {
        Some(number) => number.parse().unwrap_or_default(),
        None => 0,
    };
    let first = number * ENDLESS_PAGE_SIZE;
    let mut data = Vec::with_capacity(ENDLESS_PAGE_SIZE);
    for id in first..first + ENDLESS_PAGE_SIZE {
        data.push(json!({ "id": (1_000_000 + id).to_string() }));
    }
    let next = format!("{base_url}{path}?cursor=endless-{}", number + 1);
    let page = json!({ "_data": data, "_meta": { "links": { "next": { "href": next } } } });
    complete(SimulatedResponse::json(200, &page))
}

/// Removes the reference to the person from the entries of a listing.
pub(super) fn without_person(mut response: SimulatedResponse) -> SimulatedResponse {
    let mut page = page_of(&response);
    if let Some(data) = entries_of(&mut page) {
        for entry in data {
            if let Some(members) = entry.as_object_mut() {
                members.remove("person");
            }
        }
    }
    response.body = Bytes::from(page.to_string());
    response
}

/// Parses the body of a response. Returns `null` for a body that is not JSON.
fn page_of(response: &SimulatedResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// Returns the entries of a page, or `None` if it is not a listing.
fn entries_of(page: &mut Value) -> Option<&mut Vec<Value>> {
    page.get_mut("_data")?.as_array_mut()
}

fn start(status: u16, content_type: &'static str) -> HttpResponseBuilder {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut builder = HttpResponse::build(status);
    builder.insert_header((CONTENT_TYPE, content_type));
    builder
}

fn first_half(response: &SimulatedResponse) -> Bytes {
    response.body.slice(..response.body.len() / 2)
}

fn connection_closed_error() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}
