//! From the text of a request to what it asks for: parameters, body, page, cursor, known entity tags.

use actix_web::http::header::{CONTENT_TYPE, Header, IfNoneMatch};
use actix_web::{HttpMessage, HttpRequest};
use url::form_urlencoded;

use super::auth::Caller;
use super::body::Body;
use super::{Error, State};
use crate::scim::{self, Cursor, Digest, InvalidQuery, Paging, ScimType, SearchRequest};

/// What the parameters of the URL ask for.
pub(super) fn parameters(request: &HttpRequest) -> Result<SearchRequest, Error> {
    Ok(SearchRequest::from_parameters(form_urlencoded::parse(request.query_string().as_bytes()))?)
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
) -> Result<(Paging, Option<Place>), Error> {
    let invalid = |scim_type, detail: &str| InvalidQuery { scim_type, detail: detail.to_owned() };
    if paging(&SearchRequest { count: None, ..search.clone() }, state.max_results)?.start_index() > 1 {
        return Err(invalid(ScimType::InvalidValue, "cursor and startIndex exclude each other").into());
    }
    let count = search.count.as_deref().map(|count| Paging::page_size(count, state.max_results)).transpose()?;
    if cursor.is_empty() {
        return Ok((Paging::after(0, count.unwrap_or(state.max_results)), Some(Place::Beginning)));
    }
    let opened = state.cursor_key.open(cursor, caller.name(), walk);
    let Cursor { snapshot, offset, count: size } = opened.ok_or_else(|| {
        invalid(ScimType::InvalidCursor, "this cursor is not one of this query: only count may be left out")
    })?;
    let size = size as usize;
    if count.is_some_and(|count| count != size) {
        return Err(invalid(ScimType::InvalidCount, "count must be the same on every page").into());
    }
    Ok((Paging::after(offset as usize, size), Some(Place::After(snapshot))))
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
