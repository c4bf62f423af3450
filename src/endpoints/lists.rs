//! Lists of users, of groups and of both: by the parameters of a URL or by a SearchRequest, which are
//! answered alike (RFC 7644 §3.4.2, §3.4.3).

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Error, State, auth, extract, measure, respond};
use crate::access::Caller;
use crate::directory::{Snapshot, Walk};
use crate::scim::{
    self, Cursor, InvalidQuery, ListQuery, Paging, ResourceType, ResourceTypes, Resources, ScimType, SearchRequest,
    Vocabulary,
};

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

async fn read(request: &HttpRequest, state: &web::Data<State>, listed: Listed) -> Result<HttpResponse, Error> {
    let asked = Asked::new(state, request, listed, extract::parameters(request)?)?;
    let answered = Arc::new(asked.answered(state).await?);
    let tag = answered.tag();
    let wanted = if extract::has(request, &tag) { Wanted::NotAgain } else { Wanted::Page };
    let found = answered.found(state, wanted).await?;
    // Who asks by HEAD reads no page, and so none after it.
    if found.is_followed && request.method() != Method::HEAD {
        answered.remember(state).await;
    }
    Ok(match found.json {
        Some(json) => {
            measure::rows(request, found.rows);
            respond::list(json, Some(&tag))
        }
        None => respond::not_modified(&tag).finish(),
    })
}

async fn search(request: &HttpRequest, state: &web::Data<State>, listed: Listed) -> Result<HttpResponse, Error> {
    let asked = Asked::new(state, request, listed, extract::body(request)?)?;
    let answered = Arc::new(asked.answered(state).await?);
    let found = answered.found(state, Wanted::Page).await?;
    if found.is_followed {
        answered.remember(state).await;
    }
    measure::rows(request, found.rows);
    Ok(respond::list(found.json.unwrap_or_default(), None))
}

/// A query that has been read.
struct Asked {
    listed: Listed,
    search: SearchRequest,
    query: ListQuery,
    /// What the query was read by.
    vocabulary: Arc<Vocabulary>,
    paging: Paging,
    caller: Caller,
    /// What the pages of one walk have in common.
    walk: String,
    position: Position,
}

/// Where on its walk a client is.
enum Position {
    /// On a page by number.
    Numbered(Walk),
    /// On a page by cursor.
    Cursor(extract::Place),
}

/// A query, and the snapshot that answers it.
struct Answered {
    asked: Asked,
    snapshot: Arc<Snapshot>,
}

/// Whether the client has the page already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Page,
    NotAgain,
}

/// What the client is sent.
struct Found {
    json: Option<Vec<u8>>,
    rows: usize,
    /// Whether there is a page after this one.
    is_followed: bool,
}

impl Listed {
    fn types(self, types: &ResourceTypes) -> Vec<&ResourceType> {
        match self {
            Self::Users => vec![&types.user],
            Self::Groups => vec![&types.group],
            Self::Everything => vec![&types.user, &types.group],
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
        let caller = auth::caller(request)?;
        let walk = format!("{listed:?} {}", search.walk());
        let (paging, position) = match search.cursor.as_deref() {
            None => {
                let paging = extract::paging(&search, state.max_results)?;
                // Programs that share a token mostly differ in what they say they are.
                let agent = request.headers().get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
                let walk = Walk::new([caller.name().as_bytes(), agent, walk.as_bytes()], paging.count());
                (paging, Position::Numbered(walk))
            }
            Some(cursor) => {
                let (paging, place) = extract::by_cursor(state, &search, cursor, &caller, &walk)?;
                (paging, Position::Cursor(place))
            }
        };
        let vocabulary = state.directory.vocabulary();
        let query = ListQuery::new(&search, &listed.types(&vocabulary.types), state.filter_limits, paging)?;
        Ok(Self { listed, search, query, vocabulary, paging, caller, walk, position })
    }

    async fn answered(mut self, state: &State) -> Result<Answered, Error> {
        let snapshot = match &self.position {
            Position::Numbered(walk) if self.paging.start_index() > 1 => state.directory.page(walk).await?,
            Position::Numbered(_) | Position::Cursor(extract::Place::Beginning) => state.directory.current().await?,
            Position::Cursor(extract::Place::After(digest)) => {
                state.directory.kept(digest).await.ok_or_else(|| InvalidQuery {
                    scim_type: ScimType::ExpiredCursor,
                    detail: "this cursor has expired: begin again without one".to_owned(),
                })?
            }
        };
        // It may be older than the mapping, or newer than the query.
        if !Arc::ptr_eq(&self.vocabulary, snapshot.vocabulary()) {
            let types = self.listed.types(&snapshot.vocabulary().types);
            self.query = ListQuery::new(&self.search, &types, state.filter_limits, self.paging)?;
        }
        Ok(Answered { asked: self, snapshot })
    }
}

impl Answered {
    /// What the answer is recognised by: the same for the same content and the same query.
    fn tag(&self) -> String {
        let Asked { walk, paging, position, .. } = &self.asked;
        let by_cursor = matches!(position, Position::Cursor(_));
        let page = format!("{} {} {by_cursor}", paging.start_index(), paging.count());
        let vocabulary = &self.snapshot.vocabulary().digest;
        scim::version(&scim::digest([&self.snapshot.digest()[..], vocabulary, walk.as_bytes(), page.as_bytes()]))
    }

    /// Carries the query out. One that takes long does so in a thread of its own: the worker has others to
    /// answer.
    async fn found(self: &Arc<Self>, state: &web::Data<State>, wanted: Wanted) -> Result<Found, Error> {
        let Asked { listed, query, .. } = &self.asked;
        if !query.may_take_long(&listed.of(&self.snapshot)) {
            return Ok(self.select(state, wanted));
        }
        let (this, state) = (Arc::clone(self), web::Data::clone(state));
        web::block(move || this.select(&state, wanted)).await.map_err(|_| Error::BrokeOff)
    }

    fn select(&self, state: &State, wanted: Wanted) -> Found {
        let Asked { listed, query, paging, .. } = &self.asked;
        let response = query.select(&listed.of(&self.snapshot));
        let rows = response.rows();
        // After a page of no resources comes none that would hold any.
        let end = response.ends_before_the_last().filter(|_| paging.count() > 0);
        let json = match wanted {
            Wanted::Page => Some(response.followed_by(end.and_then(|end| self.cursor(state, end))).to_json()),
            Wanted::NotAgain => None,
        };
        Found { json, rows, is_followed: end.is_some() }
    }

    /// The cursor to what comes after so many resources, if the client walks by cursors.
    fn cursor(&self, state: &State, end: usize) -> Option<String> {
        let Asked { paging, caller, walk, position, .. } = &self.asked;
        let Position::Cursor(_) = position else { return None };
        let (offset, count) = (u32::try_from(end).ok()?, u32::try_from(paging.count()).ok()?);
        let cursor = Cursor { snapshot: *self.snapshot.digest(), offset, count };
        Some(state.cursor_key.seal(&cursor, caller.name(), walk))
    }

    /// Remembers what the next page is read from.
    async fn remember(&self, state: &State) {
        let Self { asked, snapshot } = self;
        match &asked.position {
            Position::Numbered(walk) if asked.paging.start_index() == 1 => state.directory.begin(walk, snapshot).await,
            Position::Numbered(_) => {}
            Position::Cursor(extract::Place::Beginning) => state.directory.keep(snapshot).await,
            Position::Cursor(extract::Place::After(_)) => state.directory.keep_on(snapshot).await,
        }
    }
}
