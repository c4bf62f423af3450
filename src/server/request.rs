//! From the text of a request to what it asks for: parameters, body, page, cursor, known entity tags.

use std::borrow::Cow;

use actix_web::http::header::{CONTENT_TYPE, Header, IfNoneMatch};
use actix_web::{HttpMessage, HttpRequest};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::auth::Caller;
use crate::scim;
use crate::scim::{Cursor, Digest, InvalidQuery, Paging, ScimType, SearchRequest};
use crate::server::middleware::request_body::Body;
use crate::server::{Error, State};

/// What the parameters of the URL ask for.
pub(super) fn parameters(request: &HttpRequest) -> Result<SearchRequest, Error> {
    if request.query_string().is_empty() {
        return Ok(SearchRequest::default());
    }
    let pairs = request.query_string().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut parameters = Vec::new();
    for (name, value) in pairs {
        let Some(name) = decoded(name, Plus::Blank) else {
            return Err(not_text("a parameter", ScimType::InvalidValue).into());
        };
        let Some(value) = decoded(value, Plus::of(value)) else {
            let invalid = if name.eq_ignore_ascii_case("filter") {
                not_text("the filter", ScimType::InvalidFilter)
            } else {
                not_text("a parameter", ScimType::InvalidValue)
            };
            return Err(invalid.into());
        };
        parameters.push((name, value));
    }
    Ok(SearchRequest::from_parameters(parameters)?)
}

/// Meaning of a raw `+` in the value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plus {
    /// A blank, as HTML forms encode it.
    Blank,
    /// A plus sign, as in RFC 3986.
    Literal,
}

impl Plus {
    /// Returns the meaning in `value`, which is still encoded.
    ///
    /// A form encodes a blank as `+`, other encoders (`encodeURIComponent`, curl, Spring) as `%20`, and some of
    /// these leave `+` as it is. So `%20` in the same value tells which encoder wrote it. The other parameters
    /// tell nothing: every filter has a blank in it, and attribute names have neither blank nor plus.
    ///
    /// A value that has both was put together by hand if a `+` is outside of quotation marks, where only a number
    /// such as `1e+5` has one: `filter=userName+eq+%22Ann%20Lee%22`.
    fn of(value: &str) -> Self {
        if !value.contains("%20") || !value.contains('+') {
            return Self::Blank;
        }
        match percent_decode_str(value).decode_utf8() {
            Ok(text) if has_plus_between_words(&text) => Self::Blank,
            Ok(_) | Err(_) => Self::Literal,
        }
    }
}

/// Reports whether a `+` is neither within quotation marks nor part of a number.
fn has_plus_between_words(text: &str) -> bool {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !is_escaped => is_quoted = !is_quoted,
            b'+' if !is_quoted && !is_in_number(text.as_bytes(), place) => return true,
            _ => {}
        }
        is_escaped = is_quoted && byte == b'\\' && !is_escaped;
    }
    false
}

/// Reports whether the sign at this place is the sign of an exponent, as in `1e+5`.
fn is_in_number(text: &[u8], sign: usize) -> bool {
    let (before, after) = text.split_at(sign);
    matches!(before, [.., b'0'..=b'9', b'e' | b'E']) && matches!(after, [_, b'0'..=b'9', ..])
}

/// The text, if it is UTF-8. A library that replaces what is not would have the client search for something
/// that it did not write.
fn decoded(text: &str, plus: Plus) -> Option<Cow<'_, str>> {
    if !text.contains(['+', '%']) {
        return Some(text.into());
    }
    let text = match plus {
        Plus::Blank => Cow::Owned(text.replace('+', " ")),
        Plus::Literal => Cow::Borrowed(text),
    };
    Some(percent_decode_str(&text).decode_utf8().ok()?.into_owned().into())
}

fn not_text(what: &str, scim_type: ScimType) -> InvalidQuery {
    InvalidQuery { scim_type, detail: format!("{what} is not UTF-8") }
}

/// What the body asks for.
pub(super) fn body(request: &HttpRequest) -> Result<SearchRequest, Error> {
    let kind = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if essence.is_some_and(|kind| kind != scim::MEDIA_TYPE && kind != "application/json") {
        return Err(Error::MediaType);
    }
    let extensions = request.extensions();
    let body = extensions.get::<Body>().map(|body| &*body.0).unwrap_or_default();
    Ok(SearchRequest::from_json(body)?)
}

/// The page by `startIndex` and `count`.
pub(super) fn paging(search: &SearchRequest, max_results: usize) -> Result<Paging, Error> {
    Ok(Paging::parse(search.start_index.as_deref(), search.count.as_deref(), max_results)?)
}

/// Where a walk with a cursor has come to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Beginning,
    After(Digest),
}

/// The page that a cursor stands for, and where that is; an empty cursor begins a walk (RFC 9865 §2).
pub(super) fn by_cursor(
    state: &State,
    search: &SearchRequest,
    cursor: &str,
    caller: &Caller,
    walk: &str,
) -> Result<(Paging, Place), Error> {
    let invalid = |scim_type, detail: &str| InvalidQuery { scim_type, detail: detail.to_owned() };
    if paging(&SearchRequest { count: None, ..search.clone() }, state.max_results)?.start_index() > 1 {
        return Err(invalid(ScimType::InvalidValue, "cursor and startIndex exclude each other").into());
    }
    let count = search.count.as_deref().map(|count| Paging::page_size(count, state.max_results)).transpose()?;
    if cursor.is_empty() {
        return Ok((Paging::after(0, count.unwrap_or(state.max_results)), Place::Beginning));
    }
    let opened = state.cursor_key.open(cursor, caller.name(), walk);
    let Cursor { snapshot, offset, count: size } = opened.ok_or_else(|| {
        invalid(ScimType::InvalidCursor, "this cursor is not one of this query: only count may be left out")
    })?;
    let size = size as usize;
    if count.is_some_and(|count| count != size) {
        return Err(invalid(ScimType::InvalidCount, "count must be the same on every page").into());
    }
    Ok((Paging::after(offset as usize, size), Place::After(snapshot)))
}

/// Whether the client already has what this entity tag stands for (RFC 9110 §13.1.2).
pub(super) fn has(request: &HttpRequest, tag: &str) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key("If-None-Match"),
        Ok(IfNoneMatch::Items(tags)) => {
            let opaque = tag.trim_start_matches("W/").trim_matches('"');
            tags.iter().any(|known| known.tag() == opaque)
        }
        Err(_) => false,
    }
}

/// Refuses a filter on a list that describes the server.
pub(super) fn no_filter(request: &HttpRequest) -> Result<(), Error> {
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

    fn read(query: &str) -> Result<SearchRequest, ScimType> {
        let request = TestRequest::with_uri(&format!("/Users?{query}")).to_http_request();
        parameters(&request).map_err(|error| {
            let Error::InvalidQuery(invalid) = error else { panic!("{error}") };
            invalid.scim_type
        })
    }

    #[test]
    fn parameters_are_decoded_and_what_is_no_text_is_refused() {
        for (query, filter) in [
            ("filter=id+eq+%22%C3%A4%22", Some("id eq \"ä\"")),
            ("FILTER=a%2Bb%3D+c=d&x", Some("a+b= c=d")),
            ("%66ilter=%26%25", Some("&%")),
            ("&&filter&=&", Some("")),
            ("filter=100%", Some("100%")),
            // With `%20` in it, a value was not encoded as a form.
            ("filter=id%20eq%20%22a+b@x%22", Some("id eq \"a+b@x\"")),
            ("filter=id%20eq%20%22a%2Bb@x%22", Some("id eq \"a+b@x\"")),
            ("filter=x%20gt%20%222026-01-01T00:00:00+02:00%22", Some("x gt \"2026-01-01T00:00:00+02:00\"")),
            ("filter=x%20gt%201e+5", Some("x gt 1e+5")),
            ("filter=id%20eq%20%22a%5C%22+b%22", Some("id eq \"a\\\"+b\"")),
            ("filter=id%20eq%20%22a%5C%5C%22+and%20id%20pr", Some("id eq \"a\\\\\" and id pr")),
            // A form, or put together by hand.
            ("filter=id+eq+%22a+b@x%22", Some("id eq \"a b@x\"")),
            ("filter=id+eq+%22a%2Bb@x%22", Some("id eq \"a+b@x\"")),
            ("filter=id+eq+%22a%20b%22", Some("id eq \"a b\"")),
            ("filter=title+pr%20and%20id%20pr", Some("title pr and id pr")),
            ("attributes=id,%20title&filter=id+eq+%22a%22", Some("id eq \"a\"")),
            ("attributes=id,+title&filter=id%20eq%20%22a+b%22", Some("id eq \"a+b\"")),
            ("", None),
        ] {
            assert_eq!(read(query).unwrap().filter.as_deref(), filter, "{query}");
        }
        for (query, expected) in [
            ("filter=id+eq+%22%FF%22", ScimType::InvalidFilter),
            ("Filter=%C3", ScimType::InvalidFilter),
            ("sortBy=%FF", ScimType::InvalidValue),
            ("filter=id+pr&attributes=id,%ED%A0%80", ScimType::InvalidValue),
            ("%FF=1", ScimType::InvalidValue),
        ] {
            assert_eq!(read(query), Err(expected), "{query}");
        }
    }
}
