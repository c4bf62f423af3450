//! Steps of one request: log, rate limit, choice of a fault, delay, then the fault or the response.
//!
//! Reading endpoints check the token before they respond.

use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::{Instant, sleep};

use crate::simulator::fault::FaultAction;
use crate::simulator::index::WorldIndex;
use crate::simulator::listing::empty_page;
use crate::simulator::lookups::{MAX_LEGAL_ENTITY_PAGE_SIZE, MAX_LOOKUP_PAGE_SIZE};
use crate::simulator::options::Quirks;
use crate::simulator::rate::RateLimitDecision;
use crate::simulator::request_history::ReceivedRequest;
use crate::simulator::response::{ErrorContext, PersonioProblem, SimulatedResponse};
use crate::simulator::route::{SimulatedEndpoint, SimulatedRoute};
use crate::simulator::state::SimulatorState;
use crate::simulator::wire::JsonWriter;
use crate::simulator::world::World;
use crate::simulator::{broken_response, lookups, persons, token};

/// Data that a reading endpoint uses: the company, and path and query of the request.
pub(super) struct EndpointContext<'a> {
    pub(super) world: &'a World,
    pub(super) index: &'a WorldIndex,
    pub(super) wire: JsonWriter<'a>,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

/// Handles a request of any method and path.
pub(super) async fn handle(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<SimulatorState>,
) -> HttpResponse {
    let route = SimulatedRoute::parse(request.method(), request.path());
    let decision = decide_on_arrival(&request, &body, &shared, &route);
    let _in_flight = InFlightGuard(&shared);
    if !decision.latency.is_zero() {
        sleep(decision.latency).await;
    }
    let mut response = if decision.passes {
        let admitted =
            AdmittedRequest { request: &request, body: &body, route: &route, shared: &shared };
        admitted.respond(decision.action).await
    } else {
        broken_response::complete(
            PersonioProblem::too_many_requests().into_response(&shared.next_error_context()),
        )
    };
    if response.status().as_u16() == 429 {
        shared.runtime().record.count_throttled();
    }
    if let Some(verdict) = decision.verdict {
        for (name, value) in verdict.headers() {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, HeaderValue::from(value));
        }
    }
    response
}

/// Decisions that are made when a request arrives.
struct ArrivalDecision {
    latency: Duration,
    verdict: Option<RateLimitDecision>,
    /// True unless the request is over the rate limit.
    passes: bool,
    action: Option<FaultAction>,
}

/// Records the request, takes a token from its bucket and selects a fault.
///
/// A request over the rate limit is not counted by faults.
fn decide_on_arrival(
    request: &HttpRequest,
    body: &web::Bytes,
    shared: &SimulatorState,
    route: &SimulatedRoute,
) -> ArrivalDecision {
    let endpoint = route.endpoint();
    let mut runtime = shared.runtime();
    runtime.record.record_arrival(ReceivedRequest {
        endpoint,
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        app_id: header(request, "x-personio-app-id").map(str::to_owned),
        content_type: header(request, CONTENT_TYPE.as_str()).map(str::to_owned),
        body: (endpoint == SimulatedEndpoint::Token)
            .then(|| String::from_utf8_lossy(body).into_owned()),
    });
    let verdict = runtime.buckets.take(endpoint, Instant::now());
    let passes = match verdict {
        Some(verdict) => verdict.is_allowed,
        None => true,
    };
    let action = if passes { runtime.faults.next_action(route) } else { None };
    ArrivalDecision { latency: runtime.latency, verdict, passes, action }
}

/// Request that passed the rate limit and needs a response.
struct AdmittedRequest<'a> {
    request: &'a HttpRequest,
    body: &'a web::Bytes,
    route: &'a SimulatedRoute,
    shared: &'a SimulatorState,
}

impl AdmittedRequest<'_> {
    /// Returns the response that the fault requires, or the normal response without a fault.
    async fn respond(&self, action: Option<FaultAction>) -> HttpResponse {
        let (path, base_url) = (self.request.path(), self.shared.base_url.as_str());
        match action {
            None => broken_response::complete(self.normal_response()),
            Some(FaultAction::Status(status)) => self.problem(PersonioProblem::status(status)),
            Some(FaultAction::HtmlError(status)) => broken_response::html_error(status),
            Some(FaultAction::CustomBody(status, content_type, body)) => {
                broken_response::complete(SimulatedResponse::new(status, content_type, body))
            }
            Some(FaultAction::NotFoundResource) => self.problem(PersonioProblem::no_resource()),
            Some(FaultAction::NotFoundRoute) => self.problem(PersonioProblem::no_route(path)),
            Some(FaultAction::Delay(delay)) => {
                sleep(delay).await;
                broken_response::complete(self.normal_response())
            }
            Some(FaultAction::Hold(gate)) => {
                gate.opened().await;
                broken_response::complete(self.normal_response())
            }
            Some(FaultAction::Hang) => std::future::pending().await,
            Some(FaultAction::ConnectionReset) => broken_response::connection_reset(),
            Some(FaultAction::TruncatedJson) => {
                broken_response::truncated_json(self.normal_response())
            }
            Some(FaultAction::TruncatedBody) => {
                broken_response::truncated_body(self.normal_response())
            }
            Some(FaultAction::WrongJson) => broken_response::wrong_json(),
            Some(FaultAction::EmptyListing) => {
                broken_response::complete(SimulatedResponse::json(200, &empty_page(path, base_url)))
            }
            Some(FaultAction::ShortListing(entries)) => {
                broken_response::short_listing(&self.normal_response(), entries)
            }
            Some(FaultAction::TooManyRequests { retry_after }) => {
                let mut response = self.problem(PersonioProblem::too_many_requests());
                if let Some(seconds) = retry_after {
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Some(FaultAction::Oversized(size)) => broken_response::oversized(size, path, base_url),
            Some(FaultAction::Substitute { old, new }) => {
                broken_response::substituted(&self.normal_response(), &old, &new)
            }
            Some(FaultAction::ChangedEntries { entries, attribute, value }) => {
                broken_response::odd_entries(&self.normal_response(), entries, &attribute, &value)
            }
            Some(FaultAction::OtherNames) => broken_response::other_names(&self.normal_response()),
            Some(FaultAction::EndlessListing) => {
                broken_response::endless_listing(path, self.request.query_string(), base_url)
            }
            Some(FaultAction::EmploymentsOf { person, refers_to_person }) => {
                let route = SimulatedRoute::Employments(person);
                let response = AdmittedRequest { route: &route, ..*self }.normal_response();
                broken_response::complete(if refers_to_person {
                    response
                } else {
                    broken_response::without_person(response)
                })
            }
        }
    }

    /// Creates an error response.
    fn problem(&self, problem: PersonioProblem) -> HttpResponse {
        broken_response::complete(problem.into_response(&self.shared.next_error_context()))
    }

    /// Creates the normal response.
    fn normal_response(&self) -> SimulatedResponse {
        let error_context = self.shared.next_error_context();
        match self.route {
            SimulatedRoute::Unknown => {
                PersonioProblem::no_route(self.request.path()).into_response(&error_context)
            }
            SimulatedRoute::Token => self.token_response(&error_context),
            SimulatedRoute::Persons
            | SimulatedRoute::Person(_)
            | SimulatedRoute::Employments(_)
            | SimulatedRoute::OrgUnits
            | SimulatedRoute::OrgUnit(_)
            | SimulatedRoute::LegalEntities
            | SimulatedRoute::Workplaces
            | SimulatedRoute::CostCenters
            | SimulatedRoute::Jobs => {
                self.read_response().unwrap_or_else(|problem| problem.into_response(&error_context))
            }
        }
    }

    fn token_response(&self, error_context: &ErrorContext) -> SimulatedResponse {
        let content_type = header(self.request, CONTENT_TYPE.as_str());
        let (credential, sent) = (&self.shared.credential, (content_type, &self.body[..]));
        let mut runtime = self.shared.runtime();
        token::respond(credential, &mut runtime.tokens, sent, Instant::now(), error_context)
    }

    /// Checks the token and creates the response of a reading endpoint.
    fn read_response(&self) -> Result<SimulatedResponse, PersonioProblem> {
        let quirks = self.authorize()?;
        let is_beta = header(self.request, "beta") == Some("true");
        if !is_beta && quirks.beta_endpoints.contains(&self.route.endpoint()) {
            return Err(PersonioProblem::no_route(self.request.path()));
        }
        let indexed_world = self.shared.indexed_world();
        let wire = JsonWriter { quirks: &quirks, base_url: &self.shared.base_url };
        let (world, index) = (&indexed_world.world, &indexed_world.index);
        let (path, query) = (self.request.path(), self.request.query_string());
        let view = EndpointContext { world, index, wire, path, query };
        match self.route {
            SimulatedRoute::Persons => persons::list(&view),
            SimulatedRoute::Person(id) => persons::get(&view, id),
            SimulatedRoute::Employments(id) => persons::list_employments(&view, id),
            SimulatedRoute::OrgUnits => lookups::list_org_units(&view),
            SimulatedRoute::OrgUnit(id) => lookups::get_org_unit(&view, id),
            SimulatedRoute::LegalEntities => {
                lookups::list(&view, &world.legal_entities, MAX_LEGAL_ENTITY_PAGE_SIZE)
            }
            SimulatedRoute::Workplaces => {
                lookups::list(&view, &world.workplaces, MAX_LOOKUP_PAGE_SIZE)
            }
            SimulatedRoute::CostCenters => {
                lookups::list(&view, &world.cost_centers, MAX_LOOKUP_PAGE_SIZE)
            }
            SimulatedRoute::Jobs => lookups::list(&view, &world.jobs, MAX_LOOKUP_PAGE_SIZE),
            SimulatedRoute::Token | SimulatedRoute::Unknown => {
                Err(PersonioProblem::no_route(view.path))
            }
        }
    }

    /// Checks the token of the request and returns the current quirks.
    fn authorize(&self) -> Result<Quirks, PersonioProblem> {
        let runtime = self.shared.runtime();
        if runtime.tokens.accepts(header(self.request, AUTHORIZATION.as_str()), Instant::now()) {
            Ok(runtime.quirks.clone())
        } else {
            Err(PersonioProblem::unauthorized())
        }
    }
}

fn header<'r>(request: &'r HttpRequest, name: &str) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

/// Guard that removes a request from the requests in flight when it is dropped.
///
/// The drop also happens when the client closes its connection before the response.
struct InFlightGuard<'a>(&'a SimulatorState);

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.0.runtime().record.record_departure();
    }
}
