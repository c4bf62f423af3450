//! Lists of users, of groups and of both: by the parameters of a URL or by a SearchRequest, which are
//! answered alike (RFC 7644 §3.4.2, §3.4.3).

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{HeaderValue, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::auth::Caller;
use crate::directory::{Snapshot, Walk};
use crate::scim;
use crate::scim::{
    Cursor, Digest, InvalidQuery, ListQuery, Paging, ResourceType, ResourceTypes, Resources, ScimType, SearchRequest,
    Vocabulary,
};
use crate::server::middleware::{authenticate, request_log};
use crate::server::response_cache::{Answer, Coding};
use crate::server::{Error, State, request, response};

/// What is listed.
#[derive(Clone, Copy)]
enum Listed {
    Users,
    Groups,
    Everything,
}

pub(in crate::server) async fn users(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Users).await
}

pub(in crate::server) async fn groups(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Groups).await
}

pub(in crate::server) async fn everything(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    read(&request, &state, Listed::Everything).await
}

pub(in crate::server) async fn search_users(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Users).await
}

pub(in crate::server) async fn search_groups(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Groups).await
}

pub(in crate::server) async fn search_everything(
    request: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    search(&request, &state, Listed::Everything).await
}

async fn read(request: &HttpRequest, state: &web::Data<State>, listed: Listed) -> Result<HttpResponse, Error> {
    let coding = response::coding(request);
    let asked = Asked::new(state, request, listed, request::parameters(request)?)?;
    let Answered { answer, question, snapshot } = asked.answered(state, coding).await?;
    let tag = scim::version(&question);
    // Who asks by HEAD reads no page, and so none after it.
    if answer.is_followed && request.method() != Method::HEAD {
        Box::pin(asked.remember(state, &snapshot)).await;
    }
    if request::has(request, &tag) {
        return Ok(response::not_modified(&tag).finish());
    }
    request_log::rows(request, answer.rows);
    Ok(response::list(answer, Some(&tag)))
}

async fn search(request: &HttpRequest, state: &web::Data<State>, listed: Listed) -> Result<HttpResponse, Error> {
    let coding = response::coding(request);
    let asked = Asked::new(state, request, listed, request::body(request)?)?;
    let Answered { answer, snapshot, .. } = asked.answered(state, coding).await?;
    if answer.is_followed {
        Box::pin(asked.remember(state, &snapshot)).await;
    }
    request_log::rows(request, answer.rows);
    Ok(response::list(answer, None))
}

/// A page of no more than so many is compressed at once.
const FEW: usize = 20;

/// Number of resources in the answer to a query at the root that asks for nothing in particular. Clients test
/// the connection that way, and must not have to read the whole company for it.
const CONNECTION_TEST_PAGE_SIZE: usize = 10;

/// A query as it was asked. What is right about it shows when it is read.
struct Asked {
    listed: Listed,
    search: SearchRequest,
    paging: Paging,
    caller: Caller,
    /// What the client says that it is.
    agent: Option<HeaderValue>,
    /// What the pages of one walk have in common.
    walk: String,
    position: Position,
}

/// Where on its walk a client is.
#[derive(Debug, Clone, Copy)]
enum Position {
    /// On a page by number.
    Numbered,
    /// On a page by cursor.
    Cursor(request::Place),
}

/// An answer, and what it answers.
struct Answered {
    answer: Answer,
    /// The same for the same content and the same query.
    question: Digest,
    snapshot: Arc<Snapshot>,
}

/// An answer that is to be worked out.
struct Task {
    query: ListQuery,
    listed: Listed,
    snapshot: Arc<Snapshot>,
    paging: Paging,
    /// Who walks by cursors, and through what.
    cursors: Option<(Caller, String)>,
}

impl Listed {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Groups => "Groups",
            Self::Everything => "Everything",
        }
    }

    /// Reports whether a query at the root neither says which resources it is about nor how many. Every other
    /// query without `count` gets as many as the largest page holds.
    fn is_connection_test(self, search: &SearchRequest) -> bool {
        let SearchRequest { filter, sort_by, start_index, count, cursor, .. } = search;
        let asked = [filter, sort_by, start_index, count, cursor];
        matches!(self, Self::Everything) && asked.iter().all(|parameter| parameter.is_none())
    }

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
        let caller = authenticate::caller(request)?;
        let walk = search.walk(listed.name());
        let (paging, position) = match search.cursor.as_deref() {
            None if *request.method() != Method::POST && listed.is_connection_test(&search) => {
                (Paging::after(0, CONNECTION_TEST_PAGE_SIZE.min(state.max_results)), Position::Numbered)
            }
            None => (request::paging(&search, state.max_results)?, Position::Numbered),
            Some(cursor) => {
                let (paging, place) = request::by_cursor(state, &search, cursor, &caller, &walk)?;
                (paging, Position::Cursor(place))
            }
        };
        let agent = request.headers().get(USER_AGENT).cloned();
        Ok(Self { listed, search, paging, caller, agent, walk, position })
    }

    /// The answer: as it was given before, or worked out.
    async fn answered(&self, state: &web::Data<State>, coding: Coding) -> Result<Answered, Error> {
        let snapshot = match self.ready(state).await? {
            Some(ready) => ready,
            None => {
                // What makes no sense is said before anybody waits.
                self.query(state, &state.directory.vocabulary())?;
                Box::pin(state.directory.current()).await?
            }
        };
        let question = self.question(&snapshot);
        let answer = match self.given(state, &question, coding).await {
            Some(given) => given,
            None => Box::pin(self.worked_out(state, &snapshot, &question, coding)).await?,
        };
        Ok(Answered { answer, question, snapshot })
    }

    /// The answer, if it was given before. Who walks by cursors is given them for nobody else, and asks once for each
    /// page.
    async fn given(&self, state: &State, question: &Digest, coding: Coding) -> Option<Answer> {
        match self.position {
            Position::Numbered => state.answers.get(question, coding).await,
            Position::Cursor(_) => None,
        }
    }

    /// Works the answer out. What takes long is done in a thread of its own, a few at a time: the worker has others to
    /// answer.
    async fn worked_out(
        &self,
        state: &web::Data<State>,
        snapshot: &Arc<Snapshot>,
        question: &Digest,
        coding: Coding,
    ) -> Result<Answer, Error> {
        let query = self.query(state, snapshot.vocabulary())?;
        // Of those who wait for the same to be compressed, the first does it for all.
        let is_compressed = coding != Coding::Identity && self.paging.count() > FEW;
        let takes_long = is_compressed || query.may_take_long(&self.listed.of(snapshot));
        let cursors = match self.position {
            Position::Numbered => None,
            Position::Cursor(_) => Some((self.caller.clone(), self.walk.clone())),
        };
        let (listed, snapshot, paging) = (self.listed, Arc::clone(snapshot), self.paging);
        let task = Task { query, listed, snapshot, paging, cursors };
        let answer = if takes_long {
            let turn = state.turns.next(&self.caller).await?;
            // Many may have waited for a turn to ask the same.
            if let Some(given) = self.given(state, question, coding).await {
                return Ok(given);
            }
            let state = web::Data::clone(state);
            let answer = web::block(move || {
                let answer = task.carried_out(&state, &|| turn.goes_on())?;
                Ok::<Answer, Error>(answer.coded(coding))
            });
            answer.await.map_err(|_| Error::BrokeOff)??
        } else {
            let Ok(answer) = task.carried_out(state, &|| Ok::<(), Infallible>(()));
            response::coded(answer, coding).await?
        };
        if matches!(self.position, Position::Numbered) {
            state.answers.keep(question, coding, &answer).await;
        }
        Ok(answer)
    }

    /// The snapshot that the walk goes through, or the one that is served at once.
    async fn ready(&self, state: &State) -> Result<Option<Arc<Snapshot>>, Error> {
        let walked = match &self.position {
            Position::Numbered if self.paging.start_index() > 1 => state.directory.page(&self.walk()).await,
            Position::Numbered | Position::Cursor(request::Place::Beginning) => None,
            Position::Cursor(request::Place::After(digest)) => {
                let kept = state.directory.kept(digest).await;
                return Ok(Some(kept.ok_or_else(|| InvalidQuery {
                    scim_type: ScimType::ExpiredCursor,
                    detail: "this cursor has expired: begin again without one".to_owned(),
                })?));
            }
        };
        Ok(walked.or_else(|| state.directory.ready()))
    }

    /// What is asked, in the words of a snapshot: it may be older than the mapping.
    fn query(&self, state: &State, vocabulary: &Vocabulary) -> Result<ListQuery, InvalidQuery> {
        ListQuery::new(&self.search, &self.listed.types(&vocabulary.types), state.filter_limits, self.paging)
    }

    fn question(&self, snapshot: &Snapshot) -> Digest {
        let by_cursor = matches!(self.position, Position::Cursor(_));
        let Self { walk, paging, .. } = self;
        let (start_index, count) = (paging.start_index().to_be_bytes(), paging.count().to_be_bytes());
        let page = [&start_index[..], &count, &[u8::from(by_cursor)]];
        let content = [&snapshot.digest()[..], &snapshot.vocabulary().digest, walk.as_bytes()];
        scim::digest(content.into_iter().chain(page))
    }

    /// Programs that share a token mostly differ in what they say they are.
    fn walk(&self) -> Walk {
        let agent = self.agent.as_ref().map(HeaderValue::as_bytes).unwrap_or_default();
        Walk::new([self.caller.name().as_bytes(), agent, self.walk.as_bytes()], self.paging.count())
    }

    /// Remembers what the next page is read from.
    async fn remember(&self, state: &State, snapshot: &Arc<Snapshot>) {
        match &self.position {
            Position::Numbered if self.paging.start_index() == 1 => state.directory.begin(&self.walk(), snapshot).await,
            Position::Numbered => {}
            Position::Cursor(request::Place::Beginning) => state.directory.keep(snapshot).await,
            Position::Cursor(request::Place::After(_)) => state.directory.keep_on(snapshot).await,
        }
    }
}

impl Task {
    fn carried_out<E>(&self, state: &State, go_on: &impl Fn() -> Result<(), E>) -> Result<Answer, E> {
        let response = self.query.select_while(&self.listed.of(&self.snapshot), go_on)?;
        let rows = response.rows();
        // After a page of no resources comes none that would hold any.
        let end = response.ends_before_the_last().filter(|_| self.paging.count() > 0);
        let json = response.followed_by(end.and_then(|end| self.cursor(state, end))).to_json();
        Ok(Answer { body: json.into(), coding: Coding::Identity, rows, is_followed: end.is_some() })
    }

    /// The cursor to what comes after so many resources, if the client walks by cursors.
    fn cursor(&self, state: &State, end: usize) -> Option<String> {
        let (caller, walk) = self.cursors.as_ref()?;
        let (offset, count) = (u32::try_from(end).ok()?, u32::try_from(self.paging.count()).ok()?);
        let cursor = Cursor { snapshot: *self.snapshot.digest(), offset, count };
        Some(state.cursor_key.seal(&cursor, caller.name(), walk))
    }
}
