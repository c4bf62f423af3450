//! Steps of one request: log, rate limit, choice of a fault, delay, then the fault or the response.
//!
//! Reading endpoints check the token before they respond.

use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::{Instant, sleep};

use crate::simulator::answer::{Answer, Problem, Stamp};
use crate::simulator::directories::{MAX_LEGAL_ENTITY_PAGE_SIZE, MAX_LOOKUP_PAGE_SIZE};
use crate::simulator::fault::Action;
use crate::simulator::index::Index;
use crate::simulator::listing::empty_page;
use crate::simulator::options::Quirks;
use crate::simulator::rate::Verdict;
use crate::simulator::record::Received;
use crate::simulator::route::{Endpoint, Route};
use crate::simulator::state::Shared;
use crate::simulator::wire::Wire;
use crate::simulator::world::World;
use crate::simulator::{broken, directories, persons, token};

/// Data that a reading endpoint uses: the company, and path and query of the request.
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) index: &'a Index,
    pub(super) wire: Wire<'a>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

/// Handles a request of any method and path.
pub(super) async fn handle(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let route = Route::of(request.method(), request.path());
    let entrance = enter(&request, &body, &shared, &route);
    let _in_flight = InFlight(&shared);
    if !entrance.latency.is_zero() {
        sleep(entrance.latency).await;
    }
    let mut response = if entrance.passes {
        let asked = Asked { request: &request, body: &body, route: &route, shared: &shared };
        asked.act(entrance.action).await
    } else {
        broken::whole(Problem::too_many_requests().answer(&shared.stamp()))
    };
    if response.status().as_u16() == 429 {
        shared.live().record.throttle();
    }
    if let Some(verdict) = entrance.verdict {
        for (name, value) in verdict.headers() {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, HeaderValue::from(value));
        }
    }
    response
}

/// Decisions that are made when a request arrives.
struct Entrance {
    latency: Duration,
    verdict: Option<Verdict>,
    /// True unless the request is over the rate limit.
    passes: bool,
    action: Option<Action>,
}

/// Records the request, takes a token from its bucket and selects a fault.
///
/// A request over the rate limit is not counted by faults.
fn enter(request: &HttpRequest, body: &web::Bytes, shared: &Shared, route: &Route) -> Entrance {
    let endpoint = route.endpoint();
    let mut live = shared.live();
    live.record.enter(Received {
        endpoint,
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        app_id: header(request, "x-personio-app-id").map(str::to_owned),
        content_type: header(request, CONTENT_TYPE.as_str()).map(str::to_owned),
        body: (endpoint == Endpoint::Token).then(|| String::from_utf8_lossy(body).into_owned()),
    });
    let verdict = live.buckets.take(endpoint, Instant::now());
    let passes = match verdict {
        Some(verdict) => verdict.passes,
        None => true,
    };
    let action = if passes { live.faults.strike(route) } else { None };
    Entrance { latency: live.latency, verdict, passes, action }
}

/// Request that passed the rate limit and needs a response.
struct Asked<'a> {
    request: &'a HttpRequest,
    body: &'a web::Bytes,
    route: &'a Route,
    shared: &'a Shared,
}

impl Asked<'_> {
    /// Returns the response that the fault requires, or the normal response without a fault.
    async fn act(&self, action: Option<Action>) -> HttpResponse {
        let (path, base_url) = (self.request.path(), self.shared.base_url.as_str());
        match action {
            None => broken::whole(self.answer()),
            Some(Action::Status(status)) => self.problem(Problem::status(status)),
            Some(Action::Html(status)) => broken::html(status),
            Some(Action::Body(status, content_type, body)) => {
                broken::whole(Answer::new(status, content_type, body))
            }
            Some(Action::NotFoundResource) => self.problem(Problem::no_resource()),
            Some(Action::NotFoundRoute) => self.problem(Problem::no_route(path)),
            Some(Action::Delay(delay)) => {
                sleep(delay).await;
                broken::whole(self.answer())
            }
            Some(Action::Hang) => std::future::pending().await,
            Some(Action::Reset) => broken::reset(),
            Some(Action::TruncatedJson) => broken::cut_short(self.answer()),
            Some(Action::TruncatedBody) => broken::broken_off(self.answer()),
            Some(Action::WrongJson) => broken::wrong_json(),
            Some(Action::EmptyListing) => {
                broken::whole(Answer::json(200, &empty_page(path, base_url)))
            }
            Some(Action::ShortListing(entries)) => broken::short_listing(&self.answer(), entries),
            Some(Action::TooManyRequests { retry_after }) => {
                let mut response = self.problem(Problem::too_many_requests());
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Some(Action::Oversized(size)) => broken::oversized(size, path, base_url),
            Some(Action::Substitute { old, new }) => {
                broken::substituted(&self.answer(), &old, &new)
            }
            Some(Action::OddEntries { entries, attribute, value }) => {
                broken::odd_entries(&self.answer(), entries, &attribute, &value)
            }
            Some(Action::OtherNames) => broken::other_names(&self.answer()),
            Some(Action::EndlessListing) => {
                broken::endless(path, self.request.query_string(), base_url)
            }
            Some(Action::EmploymentsOf { person, names_person }) => {
                let route = Route::Employments(person);
                let answer = Asked { route: &route, ..*self }.answer();
                broken::whole(if names_person { answer } else { broken::without_person(answer) })
            }
        }
    }

    /// Creates an error response.
    fn problem(&self, problem: Problem) -> HttpResponse {
        broken::whole(problem.answer(&self.shared.stamp()))
    }

    /// Creates the normal response.
    fn answer(&self) -> Answer {
        let stamp = self.shared.stamp();
        match self.route {
            Route::Unknown => Problem::no_route(self.request.path()).answer(&stamp),
            Route::Token => self.token(&stamp),
            Route::Persons
            | Route::Person(_)
            | Route::Employments(_)
            | Route::OrgUnits
            | Route::OrgUnit(_)
            | Route::LegalEntities
            | Route::Workplaces
            | Route::CostCenters
            | Route::Jobs => self.read().unwrap_or_else(|problem| problem.answer(&stamp)),
        }
    }

    fn token(&self, stamp: &Stamp) -> Answer {
        let content_type = header(self.request, CONTENT_TYPE.as_str());
        let (credential, sent) = (&self.shared.credential, (content_type, &self.body[..]));
        let mut live = self.shared.live();
        token::answer(credential, &mut live.tokens, sent, Instant::now(), stamp)
    }

    /// Checks the token and creates the response of a reading endpoint.
    fn read(&self) -> Result<Answer, Problem> {
        let quirks = self.authorized()?;
        let is_beta = header(self.request, "beta") == Some("true");
        if !is_beta && quirks.beta.contains(&self.route.endpoint()) {
            return Err(Problem::no_route(self.request.path()));
        }
        let store = self.shared.store();
        let wire = Wire { quirks: &quirks, base_url: &self.shared.base_url };
        let (world, index) = (&store.world, &store.index);
        let (path, query) = (self.request.path(), self.request.query_string());
        let view = View { world, index, wire, path, query };
        match self.route {
            Route::Persons => persons::list(&view),
            Route::Person(id) => persons::one(&view, id),
            Route::Employments(id) => persons::employments(&view, id),
            Route::OrgUnits => directories::org_units(&view),
            Route::OrgUnit(id) => directories::org_unit(&view, id),
            Route::LegalEntities => {
                directories::list(&view, &world.legal_entities, MAX_LEGAL_ENTITY_PAGE_SIZE)
            }
            Route::Workplaces => directories::list(&view, &world.workplaces, MAX_LOOKUP_PAGE_SIZE),
            Route::CostCenters => directories::list(&view, &world.cost_centers, MAX_LOOKUP_PAGE_SIZE),
            Route::Jobs => directories::list(&view, &index.jobs, MAX_LOOKUP_PAGE_SIZE),
            Route::Token | Route::Unknown => Err(Problem::no_route(view.path)),
        }
    }

    /// Checks the token of the request and returns the current quirks.
    fn authorized(&self) -> Result<Quirks, Problem> {
        let live = self.shared.live();
        if live.tokens.accept(header(self.request, AUTHORIZATION.as_str()), Instant::now()) {
            Ok(live.quirks.clone())
        } else {
            Err(Problem::unauthorized())
        }
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// Guard that removes a request from the requests in flight when it is dropped.
///
/// The drop also happens when the client closes its connection before the response.
struct InFlight<'a>(&'a Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.live().record.leave();
    }
}
