//! A query for a list and its answer (RFC 7644 §3.4.2).

use std::sync::Arc;

use serde::Serialize;

use super::{Paging, User};

/// What a client asks of a list, read and checked: carrying it out cannot fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// The part of the list.
    pub paging: Paging,
}

impl ListQuery {
    /// The answer of this query over `users`, which are in the list's stable order.
    #[must_use]
    pub fn select(self, users: &[Arc<User>]) -> ListResponse<'_> {
        let resources = users.get(self.paging.range(users.len())).unwrap_or_default();
        ListResponse::new(users.len(), self.paging.start_index(), resources)
    }
}

/// A list response. `itemsPerPage` is the number of resources in this page, never the number asked
/// for: a client that steps by it must not skip anybody.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListResponse<'a, T = Arc<User>> {
    schemas: [&'static str; 1],
    total_results: usize,
    start_index: usize,
    items_per_page: usize,
    #[serde(rename = "Resources")]
    resources: &'a [T],
}

impl<'a, T> ListResponse<'a, T> {
    /// The page `resources`, which begins at the 1-based `start_index` of `total_results` matches.
    #[must_use]
    pub fn new(total_results: usize, start_index: usize, resources: &'a [T]) -> Self {
        Self { schemas: [super::LIST_RESPONSE], total_results, start_index, items_per_page: resources.len(), resources }
    }
}
