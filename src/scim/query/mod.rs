//! List queries (RFC 7644 §3.4, RFC 9865).
//!
//! Reading order: `search_request` holds the parameters as the client wrote them; `list_query`
//! binds them to resource types, runs the query and encodes the list response; `sort`, `pagination`
//! and `projection` are its parts; `cursor` signs the position of the next page.

pub(crate) mod cursor;
pub(crate) mod list_query;
pub(crate) mod pagination;
pub(crate) mod projection;
pub(crate) mod search_request;
pub(crate) mod sort;
