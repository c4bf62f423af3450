//! From the text of a request to a query: the only place where a query can be found wrong.

use actix_web::HttpRequest;
use url::form_urlencoded;

use super::Error;
use crate::scim::{ListQuery, Paging};

/// The query for a list. Parameters that are not known are ignored, and names have no case: there
/// are clients that write `startindex`.
pub(super) fn list_query(request: &HttpRequest, max_results: usize) -> Result<ListQuery, Error> {
    let mut start_index = None;
    let mut count = None;
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        let (parameter, given) = match name.to_ascii_lowercase().as_str() {
            "startindex" => ("startIndex", &mut start_index),
            "count" => ("count", &mut count),
            "filter" => return Err(Error::FilterUnsupported),
            _ => continue,
        };
        if given.replace(value).is_some() {
            return Err(Error::Repeated(parameter));
        }
    }
    let paging = Paging::parse(start_index.as_deref(), count.as_deref(), max_results)?;
    Ok(ListQuery { paging })
}

/// What the pages of one walk have in common: all of the query but `startIndex`.
pub(super) fn walk(request: &HttpRequest) -> String {
    let parameters = form_urlencoded::parse(request.query_string().as_bytes());
    let mut common: Vec<_> = parameters.filter(|(name, _)| !name.eq_ignore_ascii_case("startIndex")).collect();
    common.sort();
    form_urlencoded::Serializer::new(String::new()).extend_pairs(common).finish()
}

/// Refuses a filter on a list that describes the server.
pub(super) fn no_filter(request: &HttpRequest) -> Result<(), Error> {
    let mut parameters = form_urlencoded::parse(request.query_string().as_bytes());
    if parameters.any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(Error::FilterForbidden);
    }
    Ok(())
}
