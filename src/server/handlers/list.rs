//! Lists of users, of groups and of both, by the query string of a GET or by the SearchRequest of a
//! POST (RFC 7644 §3.4.2, §3.4.3).
//!
//! A handler parses the request into a [`ListPageRequest`], pins the snapshot, has the query
//! executor produce the page, and returns the response.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::auth::{AuthenticatedClient, DefaultPaging, ScopeId};
use crate::directory::{PagedList, PinnedSnapshot, RequestedPage, Snapshot};
use crate::scim;
use crate::scim::{InvalidQuery, ListQuery, PageRequest, SchemaRegistry, SearchRequest};
use crate::server::middleware::{authenticate, request_log};
use crate::server::query_executor::{CursorIssuer, ListTarget, PageKey, QueryTask};
use crate::server::request::CursorPosition;
use crate::server::response_cache::{ContentCoding, EncodedBody};
use crate::server::{Error, State, request, response};

/// Number of resources in the response to a query at the root without any parameter. Clients test
/// the connection with it, and need not read all users for that.
const CONNECTION_TEST_PAGE_SIZE: usize = 10;

pub(in crate::server) async fn users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    read(&request, &state, ListTarget::Users).await
}

pub(in crate::server) async fn groups(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    read(&request, &state, ListTarget::Groups).await
}

pub(in crate::server) async fn everything(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    read(&request, &state, ListTarget::Everything).await
}

pub(in crate::server) async fn search_users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, ListTarget::Users).await
}

pub(in crate::server) async fn search_groups(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, ListTarget::Groups).await
}

pub(in crate::server) async fn search_everything(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, ListTarget::Everything).await
}

/// Handles GET and HEAD, whose response has an entity tag.
async fn read(
    request: &HttpRequest,
    state: &web::Data<State>,
    target: ListTarget,
) -> Result<HttpResponse, Error> {
    let search = request::parameters(request)?;
    let list = ListPageRequest::new(state, request, target, search)?;
    let ListedPage { key, body, pinned } = list.page(state, response::coding(request)).await?;
    // A client that sends HEAD receives no page, and so does not request the next one.
    if body.has_more && request.method() != Method::HEAD {
        Box::pin(pinned.retain()).await;
    }
    let tag = scim::weak_etag(&key.digest);
    if request::has_current(request, &tag) {
        return Ok(response::not_modified(&tag).finish());
    }
    request_log::set_resource_count(request, body.resource_count);
    Ok(response::list(body, Some(&tag)))
}

/// Handles POST to `.search`.
async fn search(
    request: &HttpRequest,
    state: &web::Data<State>,
    target: ListTarget,
) -> Result<HttpResponse, Error> {
    let search = request::body(request)?;
    let list = ListPageRequest::new(state, request, target, search)?;
    let ListedPage { body, pinned, .. } = list.page(state, response::coding(request)).await?;
    if body.has_more {
        Box::pin(pinned.retain()).await;
    }
    request_log::set_resource_count(request, body.resource_count);
    Ok(response::list(body, None))
}

/// Request for one page of a list. Its filter, attributes and sort order are text: they are checked
/// against the schema registry of the snapshot, when the page is not in the cache.
struct ListPageRequest {
    target: ListTarget,
    search: SearchRequest,
    paging: PageRequest,
    position: PagePosition,
    /// Text that all pages of the list have in common.
    list_id: String,
    client: AuthenticatedClient,
    /// `User-Agent` of the client.
    user_agent: Option<HeaderValue>,
}

/// Kind of paging, and the position in it.
#[derive(Debug, Clone, Copy)]
enum PagePosition {
    /// Page by `startIndex`.
    Index,
    /// Page by cursor.
    Cursor(CursorPosition),
}

/// Query that is bound to a schema registry.
struct BoundQuery {
    query: ListQuery,
    schema_registry: Arc<SchemaRegistry>,
}

/// Page of a list, and the snapshot that it was read from.
struct ListedPage<'a> {
    key: PageKey,
    body: EncodedBody,
    pinned: PinnedSnapshot<'a>,
}

impl ListPageRequest {
    fn new(
        state: &State,
        request: &HttpRequest,
        target: ListTarget,
        search: SearchRequest,
    ) -> Result<Self, Error> {
        let client = authenticate::client(request)?;
        let list_id = list_id(&search, target, &client);
        let (paging, position) = match search.cursor.as_deref() {
            None if is_connection_test(request, target, &search) => {
                let page_size = CONNECTION_TEST_PAGE_SIZE.min(state.lists.max_results);
                (PageRequest::at_offset(0, page_size), PagePosition::Index)
            }
            None if is_by_cursor(&client, &search) => {
                let (paging, position) =
                    request::cursor_paging(state, &search, "", &client.name, &list_id)?;
                (paging, PagePosition::Cursor(position))
            }
            None => (request::paging(&search, state.lists.max_results)?, PagePosition::Index),
            Some(cursor) => {
                let (paging, position) =
                    request::cursor_paging(state, &search, cursor, &client.name, &list_id)?;
                (paging, PagePosition::Cursor(position))
            }
        };
        let user_agent = request.headers().get(USER_AGENT).cloned();
        Ok(Self { target, search, paging, position, list_id, client, user_agent })
    }

    /// Returns the page, from the response cache or by running the query.
    async fn page<'a>(
        &'a self,
        state: &'a web::Data<State>,
        coding: ContentCoding,
    ) -> Result<ListedPage<'a>, Error> {
        let view = authenticate::view_of(state, &self.client);
        let requested = self.requested_page();
        let mut bound = None;
        let pinned = match view.ready_snapshot_for(requested).await? {
            Some(pinned) => pinned,
            None => {
                // Invalid queries are refused before the request waits for a load.
                bound = Some(self.bind(state, view.schema_registry()?)?);
                Box::pin(view.snapshot_for(requested)).await?
            }
        };
        let key = self.page_key(pinned.snapshot(), coding);
        let body = match state.query_executor.cached(&key).await {
            Some(body) => body,
            None => {
                let task = self.query_task(state, pinned.snapshot(), bound)?;
                Box::pin(state.query_executor.run(&key, task, &self.client.name)).await?
            }
        };
        Ok(ListedPage { key, body, pinned })
    }

    /// Returns the page as the directory identifies it. The user agent is a part of a paging session,
    /// because programs that share a token mostly differ in that header.
    fn requested_page(&self) -> RequestedPage<'_> {
        let user_agent = self.user_agent.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        let client = self.client.name.as_str().as_bytes();
        let list = PagedList {
            client_and_query: [client, user_agent, self.list_id.as_bytes()],
            page_size: self.paging.count(),
        };
        match self.position {
            PagePosition::Index if self.paging.start_index() == 1 => RequestedPage::First(list),
            PagePosition::Index => RequestedPage::Later(list),
            PagePosition::Cursor(CursorPosition::Start) => RequestedPage::FirstByCursor,
            PagePosition::Cursor(CursorPosition::After(digest)) => {
                RequestedPage::LaterByCursor(digest)
            }
        }
    }

    fn bind(
        &self,
        state: &State,
        schema_registry: Arc<SchemaRegistry>,
    ) -> Result<BoundQuery, InvalidQuery> {
        let types = self.target.types(&schema_registry.types);
        let query = ListQuery::new(&self.search, &types, state.lists.filter_limits, self.paging)?;
        Ok(BoundQuery { query, schema_registry })
    }

    /// Returns the task of the query. It is bound only if `bound` is not bound to the schema
    /// registry of the snapshot: that of a retained snapshot may be older than the current one, and
    /// a load can bring a new one.
    fn query_task(
        &self,
        state: &web::Data<State>,
        snapshot: &Arc<Snapshot>,
        bound: Option<BoundQuery>,
    ) -> Result<QueryTask, InvalidQuery> {
        let schema_registry = snapshot.schema_registry();
        let bound = match bound {
            Some(bound) if Arc::ptr_eq(&bound.schema_registry, schema_registry) => bound,
            Some(_) | None => self.bind(state, Arc::clone(schema_registry))?,
        };
        let cursor_issuer = match self.position {
            PagePosition::Index => None,
            PagePosition::Cursor(_) => Some(CursorIssuer {
                state: web::Data::clone(state),
                client: self.client.name.clone(),
                list_id: self.list_id.clone(),
            }),
        };
        let snapshot = Arc::clone(snapshot);
        Ok(QueryTask::new(bound.query, self.target, snapshot, self.paging, cursor_issuer))
    }

    fn page_key(&self, snapshot: &Snapshot, coding: ContentCoding) -> PageKey {
        let is_by_cursor = matches!(self.position, PagePosition::Cursor(_));
        let digest = scim::digest([
            &snapshot.digest()[..],
            &snapshot.schema_registry().digest,
            self.list_id.as_bytes(),
            &self.paging.start_index().to_be_bytes(),
            &self.paging.count().to_be_bytes(),
            &[u8::from(is_by_cursor)],
        ]);
        PageKey { digest, coding, is_shared: !is_by_cursor }
    }
}

/// Returns the text that all pages of a list have in common. A client whose scope changes while it
/// pages must not get the rest of another list, so the scope is a part of it.
fn list_id(search: &SearchRequest, target: ListTarget, client: &AuthenticatedClient) -> String {
    let query = search.query_key(target.name());
    match client.scope {
        Some(ScopeId(scope)) => format!("{} {query}", hex::encode(scope)),
        None => query,
    }
}

/// Reports whether a list without a cursor is paged by cursor: the server chooses the method if the
/// client does not (RFC 9865).
fn is_by_cursor(client: &AuthenticatedClient, search: &SearchRequest) -> bool {
    client.default_paging == DefaultPaging::Cursor && search.start_index.is_none()
}

/// Reports whether a query at the root has no parameter that selects resources or a page. Any other
/// query without `count` gets the largest page.
fn is_connection_test(request: &HttpRequest, target: ListTarget, search: &SearchRequest) -> bool {
    let SearchRequest { filter, sort_by, start_index, count, cursor, .. } = search;
    request.method() != Method::POST
        && matches!(target, ListTarget::Everything)
        && [filter, sort_by, start_index, count, cursor].into_iter().all(Option::is_none)
}
