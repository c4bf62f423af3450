//! Execution of list queries: the response cache, then the query limiter, then the query itself, on
//! the blocking pool if it is expensive.

use std::sync::Arc;

use actix_web::web;

use crate::auth::ClientName;
use crate::directory::Snapshot;
use crate::scim::{
    Cursor, Deadline, DeadlineExceeded, Digest, ListQuery, PageRequest, PlannedQuery, ResourceSet,
    ResourceType, ResourceTypes,
};
use crate::server::query_limiter::{QueryLimiter, QueryPermit};
use crate::server::response_cache::{ContentCoding, EncodedBody, ResponseCache};
use crate::server::{Error, State, response};

/// Number of resources on a page up to which its compression counts as cheap.
const MAX_CHEAP_ENCODE_RESOURCES: usize = 20;

/// Executor of list queries.
pub(super) struct QueryExecutor {
    cache: ResponseCache,
    limiter: QueryLimiter,
}

/// Identity of a page.
pub(super) struct PageKey {
    /// Digest of snapshot, schema registry, query and page: equal for equal content only.
    pub(super) digest: Digest,
    /// Content coding of the body.
    pub(super) coding: ContentCoding,
    /// Flag of a page that other requests can share. A page with a cursor is requested once, by one
    /// client.
    pub(super) is_shared: bool,
}

/// List query, with everything that it needs to run.
pub(super) struct QueryTask {
    /// Query, planned for the resources of the snapshot.
    query: PlannedQuery,
    target: ListTarget,
    snapshot: Arc<Snapshot>,
    paging: PageRequest,
    /// Issuer of the cursor to the next page, for clients that page by cursors.
    cursor_issuer: Option<CursorIssuer>,
}

/// Issuer of the cursor to the next page of one list, for one client.
pub(super) struct CursorIssuer {
    /// State that holds the key of cursors.
    pub(super) state: web::Data<State>,
    pub(super) client: ClientName,
    /// Text that all pages of the list have in common.
    pub(super) list_id: String,
}

/// Resource types that a list consists of.
#[derive(Clone, Copy)]
pub(super) enum ListTarget {
    Users,
    Groups,
    Everything,
}

impl QueryExecutor {
    /// Creates an executor that stores pages in `cache`.
    pub(super) fn new(cache: ResponseCache) -> Self {
        Self { cache, limiter: QueryLimiter::default() }
    }

    /// Returns a page from the cache.
    pub(super) async fn cached(&self, page: &PageKey) -> Option<EncodedBody> {
        if page.is_shared { self.cache.get(&page.digest, page.coding).await } else { None }
    }

    /// Runs a query, and stores its page in the cache. An expensive query waits for a permit and
    /// runs on the blocking pool, so that the worker can serve other requests.
    ///
    /// # Errors
    /// When the query waits or runs for too long.
    pub(super) async fn run(
        &self,
        page: &PageKey,
        task: QueryTask,
        client: &ClientName,
    ) -> Result<EncodedBody, Error> {
        let body = if task.is_expensive(page.coding) {
            let permit = self.limiter.acquire(client).await?;
            // Another request for this page may have finished while this one waited.
            if let Some(body) = self.cached(page).await {
                return Ok(body);
            }
            run_on_blocking_pool(task, permit, page.coding).await?
        } else {
            response::encode(task.run(None)?, page.coding).await?
        };
        if page.is_shared {
            self.cache.insert(&page.digest, page.coding, &body).await;
        }
        Ok(body)
    }
}

/// Runs a query and compresses its page while it holds a permit.
async fn run_on_blocking_pool(
    task: QueryTask,
    permit: QueryPermit,
    coding: ContentCoding,
) -> Result<EncodedBody, Error> {
    let result = web::block(move || {
        let body = task.run(Some(permit.deadline()))?.encode(coding);
        drop(permit);
        Ok(body)
    });
    match result.await {
        Ok(body) => body,
        Err(_) => Err(Error::Internal),
    }
}

impl QueryTask {
    /// Creates the task of a query over the resources of `snapshot`.
    pub(super) fn new(
        query: ListQuery,
        target: ListTarget,
        snapshot: Arc<Snapshot>,
        paging: PageRequest,
        cursor_issuer: Option<CursorIssuer>,
    ) -> Self {
        let query = query.plan(&target.resource_sets(&snapshot));
        Self { query, target, snapshot, paging, cursor_issuer }
    }

    /// Reports whether the query or the compression of its page may take long. Compression counts
    /// because the permit lets one of several waiting requests do it for all.
    fn is_expensive(&self, coding: ContentCoding) -> bool {
        let is_compressed =
            coding != ContentCoding::Identity && self.paging.count() > MAX_CHEAP_ENCODE_RESOURCES;
        is_compressed || self.query.is_expensive(&self.target.resource_sets(&self.snapshot))
    }

    /// Produces the page without compression.
    fn run(&self, deadline: Option<Deadline>) -> Result<EncodedBody, DeadlineExceeded> {
        let resource_sets = self.target.resource_sets(&self.snapshot);
        let list = self.query.run(&resource_sets, deadline)?;
        let resource_count = list.items_per_page();
        let next_offset = match list.next_offset() {
            // A client that requests pages without resources cannot reach the next one.
            Some(_) if self.paging.count() == 0 => None,
            next_offset => next_offset,
        };
        let next_cursor = next_offset.and_then(|offset| self.next_cursor(offset));
        let json = list.with_next_cursor(next_cursor).to_json();
        Ok(EncodedBody {
            bytes: json.into(),
            coding: ContentCoding::Identity,
            resource_count,
            has_more: next_offset.is_some(),
        })
    }

    /// Returns the cursor to the page that begins after `offset` resources, if the client pages by
    /// cursors.
    fn next_cursor(&self, offset: usize) -> Option<String> {
        let issuer = self.cursor_issuer.as_ref()?;
        let cursor = Cursor {
            snapshot: *self.snapshot.digest(),
            offset: u32::try_from(offset).ok()?,
            count: u32::try_from(self.paging.count()).ok()?,
        };
        let key = &issuer.state.lists.cursor_key;
        Some(key.seal(&cursor, issuer.client.as_str(), &issuer.list_id))
    }
}

impl ListTarget {
    /// Returns the name by which cursors and cache keys tell lists apart.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
            Self::Everything => "Everything",
        }
    }

    /// Returns the resource types of the list.
    pub(super) fn types(self, types: &ResourceTypes) -> Vec<&ResourceType> {
        match self {
            Self::Users => vec![&types.user],
            Self::Groups => vec![&types.group],
            Self::Everything => vec![&types.user, &types.group],
        }
    }

    /// Returns the resources of the list, in the order of [`Self::types`].
    fn resource_sets(self, snapshot: &Snapshot) -> Vec<&ResourceSet> {
        match self {
            Self::Users => vec![snapshot.users()],
            Self::Groups => vec![snapshot.groups()],
            Self::Everything => vec![snapshot.users(), snapshot.groups()],
        }
    }
}
