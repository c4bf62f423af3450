//! Lists of users, of groups and of both: by the parameters of a URL or by a SearchRequest, which are
//! answered alike (RFC 7644 §3.4.2, §3.4.3).

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};

use super::auth::Caller;
use super::extract::{self, Place};
use super::{Error, State, respond};
use crate::directory::{Page, Snapshot};
use crate::scim::{self, Cursor, InvalidQuery, ListQuery, Paging, ResourceType, Resources, ScimType, SearchRequest};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Users,
    Groups,
    Everything,
}

pub(super) async fn users(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Users).await
}

pub(super) async fn groups(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Groups).await
}

pub(super) async fn everything(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Everything).await
}

pub(super) async fn search_users(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Users).await
}

pub(super) async fn search_groups(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Groups).await
}

pub(super) async fn search_everything(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Everything).await
}

async fn read(request: &HttpRequest, state: &State, listed: Listed) -> Result<HttpResponse, Error> {
    let page = Asked::new(state, request, listed, extract::parameters(request)?)?.page(state).await?;
    let tag = page.tag();
    if extract::has(request, &tag) {
        return Ok(respond::not_modified(&tag).finish());
    }
    Ok(respond::list(page.response(state), Some(&tag)))
}

async fn search(request: &HttpRequest, state: &State, listed: Listed) -> Result<HttpResponse, Error> {
    let page = Asked::new(state, request, listed, extract::body(request)?)?.page(state).await?;
    Ok(respond::list(page.response(state), None))
}

/// A query that has been read.
struct Asked {
    listed: Listed,
    query: ListQuery,
    paging: Paging,
    caller: Caller,
    /// What the pages of one walk have in common.
    walk: String,
    by_cursor: Option<Place>,
}

/// A query, and the snapshot that answers it.
struct Answered {
    asked: Asked,
    snapshot: Arc<Snapshot>,
}

impl Listed {
    fn types(self, state: &State) -> Vec<&ResourceType> {
        match self {
            Self::Users => vec![&state.types.user],
            Self::Groups => vec![&state.types.group],
            Self::Everything => vec![&state.types.user, &state.types.group],
        }
    }

    fn of(self, snapshot: &Snapshot) -> Vec<&Resources> {
        match self {
            Self::Users => vec![snapshot.users()],
            Self::Groups => vec![snapshot.groups()],
            Self::Everything => vec![snapshot.users(), snapshot.groups()],
        }
    }
}

impl Asked {
    fn new(state: &State, request: &HttpRequest, listed: Listed, search: SearchRequest) -> Result<Self, Error> {
        let caller = request.extensions().get::<Caller>().cloned().unwrap_or_default();
        let walk = format!("{listed:?} {}", search.walk());
        let (paging, by_cursor) = match search.cursor.as_deref() {
            None => (extract::paging(&search, state.max_results)?, None),
            Some(cursor) => extract::by_cursor(state, &search, cursor, &caller, &walk)?,
        };
        let query = ListQuery::new(&search, &listed.types(state), state.filter_limits, paging)?;
        Ok(Self { listed, query, paging, caller, walk, by_cursor })
    }

    async fn page(self, state: &State) -> Result<Answered, Error> {
        let walk = format!("{} {} {}", self.caller.name(), self.paging.count(), self.walk);
        let snapshot = match &self.by_cursor {
            None if self.paging.start_index() > 1 => state.directory.page(walk, Page::Further).await?,
            None | Some(Place::Beginning) => state.directory.page(walk, Page::First).await?,
            Some(Place::After(digest)) => state.directory.kept(digest).await.ok_or_else(|| InvalidQuery {
                scim_type: ScimType::ExpiredCursor,
                detail: "this cursor has expired: begin again without one".to_owned(),
            })?,
        };
        Ok(Answered { asked: self, snapshot })
    }
}

impl Answered {
    /// What the answer is recognised by: the same for the same content and the same query.
    fn tag(&self) -> String {
        let Asked { walk, paging, by_cursor, .. } = &self.asked;
        let page = format!("{} {} {}", paging.start_index(), paging.count(), by_cursor.is_some());
        scim::version(&scim::digest([self.snapshot.digest(), walk.as_bytes(), page.as_bytes()]))
    }

    fn response(&self, state: &State) -> Vec<u8> {
        let Asked { listed, query, paging, caller, walk, by_cursor } = &self.asked;
        let response = query.select(&listed.of(&self.snapshot));
        let next = by_cursor.as_ref().and_then(|_| {
            let offset = u32::try_from(response.ends_before_the_last()?).ok()?;
            let count = u32::try_from(paging.count()).ok()?;
            let cursor = Cursor { snapshot: *self.snapshot.digest(), offset, count };
            Some(state.cursor_key.seal(&cursor, caller.name(), walk))
        });
        response.followed_by(next).to_json()
    }
}
