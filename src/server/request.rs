//! Parsing of requests: query string, body, paging, cursor, entity tags.

use std::borrow::Cow;

use actix_web::http::header::{CONTENT_TYPE, Header, IfNoneMatch};
use actix_web::{HttpMessage, HttpRequest};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::auth::ClientName;
use crate::scim;
use crate::scim::{Cursor, Digest, InvalidQuery, PageRequest, ScimType, SearchRequest};
use crate::server::middleware::request_body::RequestBody;
use crate::server::{Error, State};

/// Parses the query string.
pub(super) fn parameters(request: &HttpRequest) -> Result<SearchRequest, Error> {
    if request.query_string().is_empty() {
        return Ok(SearchRequest::default());
    }
    let mut parameters = Vec::new();
    for pair in request.query_string().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name, PlusMeaning::Space) else {
            return Err(not_utf8("the name of a parameter", ScimType::InvalidValue).into());
        };
        let Some(value) = decode(value, PlusMeaning::in_value(value)) else {
            let invalid = if name.eq_ignore_ascii_case("filter") {
                not_utf8("the filter", ScimType::InvalidFilter)
            } else {
                not_utf8("the value of a parameter", ScimType::InvalidValue)
            };
            return Err(invalid.into());
        };
        parameters.push((name, value));
    }
    Ok(SearchRequest::from_parameters(parameters)?)
}

/// Meaning of a raw `+` in the value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlusMeaning {
    /// Space, as HTML forms encode it.
    Space,
    /// Plus sign, as in RFC 3986.
    Literal,
}

impl PlusMeaning {
    /// Returns the meaning in `value`, which is still encoded.
    ///
    /// A form encodes a space as `+`. Other encoders (`encodeURIComponent`, curl, Spring) encode it
    /// as `%20`, and some of these leave `+` as it is. A `%20` in the same value therefore shows
    /// which encoder wrote it. The other parameters show nothing: every filter has a space, and
    /// attribute names have neither space nor plus.
    ///
    /// A value with both was written by hand if a `+` is outside of quotation marks, where only a
    /// number such as `1e+5` has one: `filter=userName+eq+%22Ann%20Lee%22`.
    fn in_value(value: &str) -> Self {
        if !value.contains("%20") || !value.contains('+') {
            return Self::Space;
        }
        match percent_decode_str(value).decode_utf8() {
            Ok(text) if has_plus_between_words(&text) => Self::Space,
            Ok(_) | Err(_) => Self::Literal,
        }
    }
}

/// Reports whether a `+` is neither within quotation marks nor part of a number.
fn has_plus_between_words(text: &str) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => is_quoted = !is_quoted,
            b'+' if !is_quoted && !is_exponent_sign(text.as_bytes(), index) => return true,
            _ => {}
        }
        is_escaped = is_quoted && byte == b'\\' && !is_escaped;
    }
    false
}

/// Reports whether the sign at `index` belongs to an exponent, as in `1e+5`.
fn is_exponent_sign(text: &[u8], index: usize) -> bool {
    let (before, after) = text.split_at(index);
    matches!(before, [.., b'0'..=b'9', b'e' | b'E']) && matches!(after, [_, b'0'..=b'9', ..])
}

/// Decodes a name or a value; `None` if it is not UTF-8. A decoder that replaces invalid bytes
/// would search for a text that the client has not sent.
fn decode(text: &str, plus: PlusMeaning) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(text.into());
    }
    let text = match plus {
        PlusMeaning::Space => Cow::Owned(text.replace('+', " ")),
        PlusMeaning::Literal => Cow::Borrowed(text),
    };
    let decoded = percent_decode_str(&text).decode_utf8().ok()?;
    Some(decoded.into_owned().into())
}

fn not_utf8(part: &str, scim_type: ScimType) -> InvalidQuery {
    InvalidQuery { scim_type, detail: format!("{part} is not valid UTF-8") }
}

/// Parses the body of a search.
pub(super) fn body(request: &HttpRequest) -> Result<SearchRequest, Error> {
    if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
        let content_type = content_type.to_str().unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case(scim::MEDIA_TYPE)
            || essence.eq_ignore_ascii_case("application/json");
        if !is_json {
            return Err(Error::UnsupportedMediaType);
        }
    }
    let extensions = request.extensions();
    let body = match extensions.get::<RequestBody>() {
        Some(RequestBody(bytes)) => bytes.as_slice(),
        None => &[],
    };
    Ok(SearchRequest::from_json(body)?)
}

/// Parses `startIndex` and `count`.
pub(super) fn paging(search: &SearchRequest, max_results: usize) -> Result<PageRequest, Error> {
    Ok(PageRequest::parse(search.start_index.as_deref(), search.count.as_deref(), max_results)?)
}

/// Position of a page by cursor.
#[derive(Debug, Clone, Copy)]
pub(super) enum CursorPosition {
    /// First page.
    Start,
    /// Later page of the snapshot with this digest.
    After(Digest),
}

/// Parses the cursor of a client, and returns the page that it stands for. An empty cursor requests
/// the first page (RFC 9865 §2).
pub(super) fn cursor_paging(
    state: &State,
    search: &SearchRequest,
    cursor: &str,
    client: &ClientName,
    list_id: &str,
) -> Result<(PageRequest, CursorPosition), Error> {
    let without_count = SearchRequest { count: None, ..search.clone() };
    if paging(&without_count, state.lists.max_results)?.start_index() > 1 {
        let detail = "cursor and startIndex cannot be combined";
        return Err(invalid_cursor_query(ScimType::InvalidValue, detail).into());
    }
    let count = match search.count.as_deref() {
        Some(count) => Some(PageRequest::parse_count_with_cursor(count, state.lists.max_results)?),
        None => None,
    };
    if cursor.is_empty() {
        let page_size = count.unwrap_or(state.lists.max_results);
        return Ok((PageRequest::at_offset(0, page_size), CursorPosition::Start));
    }
    let Some(cursor) = state.lists.cursor_key.open(cursor, client.as_str(), list_id) else {
        let detail = "the cursor does not belong to this query: repeat all parameters of the \
                      first page; only count may be left out";
        return Err(invalid_cursor_query(ScimType::InvalidCursor, detail).into());
    };
    let Cursor { snapshot, offset, count: page_size } = cursor;
    let page_size = page_size as usize;
    if count.is_some_and(|count| count != page_size) {
        let detail = "count must be the same on every page";
        return Err(invalid_cursor_query(ScimType::InvalidCount, detail).into());
    }
    Ok((PageRequest::at_offset(offset as usize, page_size), CursorPosition::After(snapshot)))
}

fn invalid_cursor_query(scim_type: ScimType, detail: &str) -> InvalidQuery {
    InvalidQuery { scim_type, detail: detail.to_owned() }
}

/// Reports whether `If-None-Match` has the current entity tag (RFC 9110 §13.1.2).
pub(super) fn has_current(request: &HttpRequest, tag: &str) -> bool {
    match IfNoneMatch::parse(request) {
        // The parser returns `Any` for a missing header, too.
        Ok(IfNoneMatch::Any) => request.headers().contains_key("If-None-Match"),
        Ok(IfNoneMatch::Items(tags)) => {
            let current = tag.trim_start_matches("W/").trim_matches('"');
            tags.iter().any(|tag| tag.tag() == current)
        }
        Err(_) => false,
    }
}

/// Refuses a filter on the documents that describe this server.
pub(super) fn refuse_filter(request: &HttpRequest) -> Result<(), Error> {
    let mut parameters = form_urlencoded::parse(request.query_string().as_bytes());
    if parameters.any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(Error::FilterForbidden);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn parse(query: &str) -> Result<SearchRequest, ScimType> {
        let request = TestRequest::with_uri(&format!("/Users?{query}")).to_http_request();
        parameters(&request).map_err(|error| {
            let Error::InvalidQuery(invalid) = error else { panic!("{error}") };
            invalid.scim_type
        })
    }

    #[test]
    fn parameters_are_decoded_and_invalid_utf8_is_refused() {
        for (query, filter) in [
            ("filter=id+eq+%22%C3%A4%22", Some("id eq \"ä\"")),
            ("FILTER=a%2Bb%3D+c=d&x", Some("a+b= c=d")),
            ("%66ilter=%26%25", Some("&%")),
            ("&&filter&=&", Some("")),
            ("filter=100%", Some("100%")),
            // A value with `%20` is not encoded as a form.
            ("filter=id%20eq%20%22a+b@x%22", Some("id eq \"a+b@x\"")),
            ("filter=id%20eq%20%22a%2Bb@x%22", Some("id eq \"a+b@x\"")),
            (
                "filter=x%20gt%20%222026-01-01T00:00:00+02:00%22",
                Some("x gt \"2026-01-01T00:00:00+02:00\""),
            ),
            ("filter=x%20gt%201e+5", Some("x gt 1e+5")),
            ("filter=id%20eq%20%22a%5C%22+b%22", Some("id eq \"a\\\"+b\"")),
            ("filter=id%20eq%20%22a%5C%5C%22+and%20id%20pr", Some(r#"id eq "a\\" and id pr"#)),
            // A value encoded as a form, or written by hand.
            ("filter=id+eq+%22a+b@x%22", Some("id eq \"a b@x\"")),
            ("filter=id+eq+%22a%2Bb@x%22", Some("id eq \"a+b@x\"")),
            ("filter=id+eq+%22a%20b%22", Some("id eq \"a b\"")),
            ("filter=title+pr%20and%20id%20pr", Some("title pr and id pr")),
            ("attributes=id,%20title&filter=id+eq+%22a%22", Some("id eq \"a\"")),
            ("attributes=id,+title&filter=id%20eq%20%22a+b%22", Some("id eq \"a+b\"")),
            ("", None),
        ] {
            assert_eq!(parse(query).unwrap().filter.as_deref(), filter, "{query}");
        }
        for (query, expected) in [
            ("filter=id+eq+%22%FF%22", ScimType::InvalidFilter),
            ("Filter=%C3", ScimType::InvalidFilter),
            ("sortBy=%FF", ScimType::InvalidValue),
            ("filter=id+pr&attributes=id,%ED%A0%80", ScimType::InvalidValue),
            ("%FF=1", ScimType::InvalidValue),
        ] {
            assert_eq!(parse(query), Err(expected), "{query}");
        }
    }
}
