//! List queries (RFC 7644 §3.4): search request, filter, sort, page, projection.

pub(crate) mod cursor;
pub(crate) mod list_query;
pub(crate) mod pagination;
pub(crate) mod projection;
pub(crate) mod search_request;
pub(crate) mod sort;
