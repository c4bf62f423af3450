//! The requests that are made, and what comes back: persons, one person, employments, lists of
//! names. Every request is authorised, throttled, limited in time and size, and retried where that
//! can help.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use super::error::is_html;
use super::model::{Employment, Named, Person};
use super::names::{Kind, NameCache};
use super::page::{Next, Page};
use super::throttle::PATIENCE;
use super::token::{Login, Token, Tokens};
use super::transport::{Answer, Transport, trace_id};
use super::{Endpoint, Error, Traffic};
use crate::clock::Clock;

/// The largest page that Personio gives.
pub(super) const PAGE: usize = 50;
/// Empty pages in a row that are believed to lead somewhere.
const BARREN: usize = 2;

/// What a client needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the API is: scheme, host and perhaps a path, without `/v2`.
    pub base_url: Url,
    /// Of the API credential.
    pub client_id: String,
    /// Of the API credential.
    pub client_secret: SecretString,
    /// Sent as `X-Personio-App-ID`.
    pub app_id: HeaderValue,
    /// How long a request may take, answer included.
    pub timeout: Duration,
    /// Requests that may be in flight at once.
    pub max_concurrency: usize,
    /// How failures are retried.
    pub retry: Retry,
}

/// How often and after how long a failed request is sent again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts after the first.
    pub times: usize,
    /// The first wait; each further one is twice as long, and jittered.
    pub first_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: 4, first_wait: Duration::from_millis(300) }
    }
}

impl Retry {
    /// Makes an attempt at `endpoint`, and more where that can help. What failed somewhere else, for
    /// want of a token, has been tried again there.
    pub(super) async fn run<T, F, R>(self, endpoint: Endpoint, traffic: &Traffic, attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, Error>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.first_wait)
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(self.times)
            .with_jitter();
        attempt
            .retry(backoff)
            .when(|error: &Error| error.is_retryable() && error.endpoint() == endpoint)
            .adjust(|error, delay| {
                let asked = error.retry_after().unwrap_or_default();
                delay.filter(|_| asked <= PATIENCE).map(|delay| delay.max(asked))
            })
            .notify(|error, delay| {
                traffic.retried(error);
                tracing::debug!(?delay, "{error}; trying again");
            })
            .await
    }
}

/// What is told of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// For how long it is good, if that is said.
    pub lifetime: Option<Duration>,
    /// The access rights that it has, if they are said.
    pub scopes: Vec<String>,
}

/// A reader of one company's Personio.
pub struct Client {
    pub(super) settings: Settings,
    pub(super) transport: Transport,
    tokens: Tokens,
    pub(super) names: NameCache,
}

impl Client {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    /// When the machine offers no certificates to trust.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let transport = Transport::new(&settings)?;
        let tokens = Tokens::new(&settings, Arc::clone(&clock));
        Ok(Self { settings, transport, tokens, names: NameCache::new(clock) })
    }

    /// What was asked of Personio so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.transport.traffic
    }

    /// Whether Personio gives us tokens, if it was asked for one.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.tokens.login()
    }

    /// Endpoints that advertise limits out of any reason, which are not used. In the order of their routes.
    #[must_use]
    pub fn implausible_limits(&self) -> Vec<Endpoint> {
        let mut endpoints = self.transport.implausible_limits();
        endpoints.sort_by_key(|endpoint| endpoint.route());
        endpoints
    }

    /// Requests that may be in flight at once: to have more ready makes nothing faster.
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.settings.max_concurrency
    }

    /// From now on tokens are fetched with this secret of the credential. Whether it is another one than before.
    pub fn adopt(&self, client_secret: &SecretString) -> bool {
        self.tokens.adopt(client_secret)
    }

    /// Asks for a token, where there is none. What is told of it is what it is good for, never the token.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn sign_in(&self) -> Result<SignedIn, Error> {
        let token = self.tokens.get(&self.transport).await?;
        Ok(SignedIn { lifetime: token.lifetime, scopes: token.scopes.clone() })
    }

    /// All persons, each once, with those custom attributes whose ids or global ids are `wanted`: all others are
    /// dropped as soon as they are read. Of each person there remains what `keep` makes of it, before the next page
    /// is asked for. `on_page` hears how many each page brought.
    ///
    /// # Errors
    /// When any page is missing: part of the persons is worse than none.
    pub async fn persons<K>(
        &self,
        wanted: &[String],
        keep: impl Fn(Person) -> Result<K, Error>,
        on_page: impl Fn(usize),
    ) -> Result<Vec<K>, Error> {
        let url = self.url(&["persons"]);
        let retry = self.settings.retry;
        self.list(Endpoint::Persons, url, retry, on_page, |mut person: Person| {
            drop_unwanted(&mut person, wanted);
            Ok((person.id.clone(), keep(person)?))
        })
        .await
    }

    /// One person, with those custom attributes; `None` if Personio says that there is none.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn person(&self, id: &str, wanted: &[String]) -> Result<Option<Person>, Error> {
        match self.get::<Person>(Endpoint::Person, &self.url(&["persons", id]), self.settings.retry).await {
            Ok(person) if person.id != id => {
                let reason = "it is about another person".to_owned();
                Err(Error::Unreadable { endpoint: Endpoint::Person, reason })
            }
            Ok(mut person) => {
                drop_unwanted(&mut person, wanted);
                Ok(Some(person))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the ids of those with this e-mail address, in whatever case Personio compares it.
    ///
    /// # Errors
    /// When it cannot be told, or when there are more than a page holds: then the filter was not applied.
    pub async fn ids_with_email(&self, email: &str) -> Result<Vec<String>, Error> {
        let mut url = self.url(&["persons"]);
        url.query_pairs_mut().append_pair("email", email);
        let page: Page<Person> = self.get(Endpoint::Persons, &paged(&url, None), self.settings.retry).await?;
        if page.next(PAGE) != Next::End {
            let reason = "more persons have one e-mail address than a page holds".to_owned();
            return Err(Error::Unreadable { endpoint: Endpoint::Persons, reason });
        }
        Ok(page.data.into_iter().map(|person| person.id).collect())
    }

    /// The employments of one person, in no order.
    ///
    /// # Errors
    /// When any of them cannot be read.
    pub async fn employments(&self, person_id: &str) -> Result<Vec<Employment>, Error> {
        let url = self.url(&["persons", person_id, "employments"]);
        let by_id = |employment: Employment| Ok((employment.id.clone(), employment));
        self.list(Endpoint::Employments, url, self.settings.retry, |_| {}, by_id).await
    }

    /// The names of one kind. Not worth many attempts: they are an ornament.
    pub(super) async fn named(&self, kind: Kind) -> Result<Vec<Named>, Error> {
        let (endpoint, path, unit_type) = match kind {
            Kind::Department => (Endpoint::OrgUnits, "org-units", Some("department")),
            Kind::Team => (Endpoint::OrgUnits, "org-units", Some("team")),
            Kind::LegalEntity => (Endpoint::LegalEntities, "legal-entities", None),
            Kind::Workplace => (Endpoint::Workplaces, "workplaces", None),
            Kind::CostCenter => (Endpoint::CostCenters, "cost-centers", None),
        };
        let mut url = self.url(&[path]);
        if let Some(unit_type) = unit_type {
            url.query_pairs_mut().append_pair("type", unit_type);
        }
        let retry = Retry { times: self.settings.retry.times.min(1), ..self.settings.retry };
        self.list(endpoint, url, retry, |_| {}, |named: Named| Ok((named.id.clone(), named))).await
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.settings.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v2").extend(path);
        }
        url
    }

    /// A whole list, by its cursors. The same entry on two pages counts once, the later one. `keep` gives the id
    /// of an entry and what is to be kept of it.
    async fn list<T: DeserializeOwned, K>(
        &self,
        endpoint: Endpoint,
        url: Url,
        retry: Retry,
        on_page: impl Fn(usize),
        keep: impl Fn(T) -> Result<(String, K), Error>,
    ) -> Result<Vec<K>, Error> {
        let unreadable = |reason: &str| Error::Unreadable { endpoint, reason: reason.to_owned() };
        let mut entries = Unique::default();
        let mut cursors = HashSet::new();
        let mut page_url = paged(&url, None);
        let mut barren = 0;
        loop {
            let page: Page<T> = self.get(endpoint, &page_url, retry).await?;
            let next = page.next(PAGE);
            on_page(page.data.len());
            let is_empty = page.data.is_empty();
            let is_news = entries.extend(page.data.into_iter().map(&keep))?;
            barren = if is_news { 0 } else { barren + 1 };
            match next {
                Next::End => return Ok(entries.entries),
                Next::Lost => return Err(unreadable("it has a next page that cannot be found")),
                // A cursor that leads to itself, or round in a circle: seen in the wild.
                Next::Cursor(_) if !is_news && (!is_empty || barren > BARREN) => {
                    return Err(unreadable("its pages repeat or bring nothing"));
                }
                Next::Cursor(cursor) => {
                    page_url = paged(&url, Some(&cursor));
                    if !cursors.insert(cursor) {
                        return Err(unreadable("its cursors repeat"));
                    }
                }
            }
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        endpoint: Endpoint,
        url: &Url,
        retry: Retry,
    ) -> Result<T, Error> {
        let answer = retry.run(endpoint, &self.transport.traffic, || self.attempt(endpoint, url)).await?;
        // The text of a JSON error can quote the value at fault, so only its place is told.
        serde_json::from_slice(&answer.body).map_err(|error| Error::Unreadable {
            endpoint,
            reason: format!("no such JSON at line {} column {}", error.line(), error.column()),
        })
    }

    /// One request. A 401 renews the token once and asks once more.
    async fn attempt(&self, endpoint: Endpoint, url: &Url) -> Result<Answer, Error> {
        let token = self.tokens.get(&self.transport).await?;
        let mut answer = self.authorised(endpoint, url, &token).await?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(token) = self.tokens.renewed(&self.transport, &token).await?
        {
            answer = self.authorised(endpoint, url, &token).await?;
        }
        accepted(endpoint, answer)
    }

    async fn authorised(&self, endpoint: Endpoint, url: &Url, token: &Token) -> Result<Answer, Error> {
        let unreadable =
            |_| Error::Unreadable { endpoint: Endpoint::Token, reason: "its token is no header value".into() };
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.secret.secret())).map_err(unreadable)?;
        authorization.set_sensitive(true);
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(AUTHORIZATION, authorization);
        self.transport.exchange(endpoint, request).await
    }
}

pub(super) fn drop_unwanted(person: &mut Person, wanted: &[String]) {
    person.custom_attributes.retain(|attribute| {
        wanted.contains(&attribute.id) || attribute.global_id.as_ref().is_some_and(|id| wanted.contains(id))
    });
}

/// The address of a page.
pub(super) fn paged(url: &Url, cursor: Option<&str>) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("limit", &PAGE.to_string());
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
    url
}

/// Entries with distinct ids, in the order in which they first came.
struct Unique<K> {
    entries: Vec<K>,
    places: HashMap<String, usize>,
}

impl<K> Default for Unique<K> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new() }
    }
}

impl<K> Unique<K> {
    /// Adds a page; tells whether it brought anything new. What came before is replaced.
    fn extend(&mut self, page: impl Iterator<Item = Result<(String, K), Error>>) -> Result<bool, Error> {
        let known = self.entries.len();
        for entry in page {
            let (id, entry) = entry?;
            let place = *self.places.entry(id).or_insert(self.entries.len());
            match self.entries.get_mut(place) {
                Some(earlier) => *earlier = entry,
                None => self.entries.push(entry),
            }
        }
        Ok(self.entries.len() > known)
    }
}

/// The answer, if it is one of 200; what its status says otherwise.
fn accepted(endpoint: Endpoint, answer: Answer) -> Result<Answer, Error> {
    let trace_id = || trace_id(&answer.body);
    match answer.status {
        StatusCode::OK => Ok(answer),
        // A 404 in HTML has its own message: most often the base URL is wrong.
        status if status != StatusCode::NOT_FOUND && is_html(&answer.body) => {
            Err(Error::Intercepted { endpoint, status: status.as_u16() })
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(Error::Intercepted { endpoint, status: answer.status.as_u16() })
        }
        StatusCode::UNAUTHORIZED => Err(Error::Unauthorized { endpoint, trace_id: trace_id() }),
        StatusCode::FORBIDDEN => Err(Error::Forbidden { endpoint, trace_id: trace_id() }),
        StatusCode::NOT_FOUND if is_missing_resource(&answer.body) => Err(Error::NotFound { endpoint }),
        StatusCode::NOT_FOUND => Err(Error::UnknownRoute { endpoint, trace_id: trace_id() }),
        status => Err(Error::Rejected { endpoint, status: status.as_u16(), trace_id: trace_id() }),
    }
}

/// Whether a 404 is about a resource. One about a route (a wrong base URL, a gateway) must not look
/// like a deleted person: its type ends in `apinot_found` and it names the path.
fn is_missing_resource(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Problem {
        errors: Vec<Entry>,
    }
    #[derive(serde::Deserialize)]
    struct Entry {
        #[serde(rename = "type", default)]
        kind: String,
    }
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    problem.is_some_and(|problem| problem.errors.iter().any(|error| error.kind.ends_with("common.resource_not_found")))
}
