//! The requests that are made, and what comes back: persons, one person, employments, lists of
//! names. Every request is authorised, throttled, limited in time and size, and retried where that
//! can help.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::clock::Clock;
use crate::personio::error::is_html;
use crate::personio::limits::{Limits, ListingLimits};
use crate::personio::listing::{Collected, Listing, Read, UnreadableEntry};
use crate::personio::lookups::{Kind, NameCache};
use crate::personio::model::json;
use crate::personio::model::lenient::{FromObject, Object, Reader, Unreadable};
use crate::personio::model::{Employment, ListedEmployment, Named, Person};
use crate::personio::page::{Next, Page, envelope};
use crate::personio::rate_limit::limiter::PATIENCE;
use crate::personio::token::{Login, Token, Tokens};
use crate::personio::transport::{Answer, Transport, trace_id};
use crate::personio::{Endpoint, Error, Traffic};

/// The largest page that Personio gives.
pub(super) const PAGE: usize = 50;
/// Number of empty pages in a row after which the next one is still read.
const MAX_EMPTY_PAGES: usize = 2;

/// Header without which Personio answers 404 at endpoints that it has not released yet.
const BETA: HeaderName = HeaderName::from_static("beta");

/// An endpoint, and how it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    /// Whether requests carry `Beta: true`.
    pub(super) is_beta: bool,
}

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, is_beta: false }
    }
}

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
    /// How much is read at most.
    pub limits: Limits,
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
    /// For each kind the names that were odd when they were last read.
    odd_names: Mutex<Vec<OddNames>>,
}

/// Names of one kind that could not be read or taken as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddNames {
    /// Kind of the names.
    pub kind: Kind,
    /// Ids of the entries with an odd name.
    pub ids: Vec<String>,
    /// Number of entries that cannot be read at all.
    pub unreadable: usize,
}

/// Employments of one person, as they are answered.
#[derive(Debug, Clone, Default)]
pub struct Employments {
    /// The employments, in no order.
    pub employments: Vec<Employment>,
    /// Whether one of them says that it is another person's.
    pub has_foreign: bool,
    /// Ids of those with an odd date that decides when the person is active.
    pub undated: Vec<String>,
    /// Names of their attributes whose values could not be taken as they are.
    pub odd: Vec<Box<str>>,
}

impl Employments {
    /// Returns the ids of the employments.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.employments.iter().map(|employment| employment.id.clone()).collect()
    }
}

impl Client {
    /// A client that has not asked anything yet.
    ///
    /// # Errors
    /// When the machine offers no certificates to trust.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let transport = Transport::new(&settings)?;
        let tokens = Tokens::new(&settings, Arc::clone(&clock));
        let odd_names = Mutex::default();
        Ok(Self { settings, transport, tokens, names: NameCache::new(clock), odd_names })
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

    /// Returns the limits of what is read.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Returns the names that were odd when they were last read.
    #[must_use]
    pub fn odd_names(&self) -> Vec<OddNames> {
        self.odd_names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All persons, each once, with those custom attributes whose ids or global ids are `wanted`: all others are
    /// skipped without being decoded. Of each person there remains what `keep` makes of it, before the next page
    /// is asked for. `on_page` hears how many each page brought.
    ///
    /// # Errors
    /// When any page is missing: part of the persons is worse than none. One person who cannot be read is told of;
    /// many fail the listing.
    pub async fn persons<K>(
        &self,
        wanted: &[String],
        mut keep: impl FnMut(Read<Person>) -> Result<K, Error>,
        on_page: impl Fn(usize),
    ) -> Result<Listing<K>, Error> {
        let request = ListRequest {
            target: Endpoint::Persons.into(),
            url: self.url(&["persons"]),
            retry: self.settings.retry,
            limits: self.settings.limits.persons,
            wanted,
        };
        self.list(&request, on_page, |person: Read<Person>| Ok((person.value.id.clone(), keep(person)?))).await
    }

    /// One person, with those custom attributes; `None` if Personio says that there is none.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn person(&self, id: &str, wanted: &[String]) -> Result<Option<Read<Person>>, Error> {
        let endpoint = Endpoint::Person;
        match self.object::<Person>(endpoint, &self.url(&["persons", id]), wanted).await {
            Ok(person) if person.value.id != id => {
                Err(Error::Unreadable { endpoint, reason: "it is about another person".to_owned() })
            }
            Ok(person) => Ok(Some(person)),
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
        let page = self.page(Endpoint::Persons, &paged(&url, None), self.settings.retry).await?;
        if page.next(PAGE) != Next::End {
            let reason = "more persons have one e-mail address than a page holds".to_owned();
            return Err(Error::Unreadable { endpoint: Endpoint::Persons, reason });
        }
        let mut reader = Reader::new(&self.settings.limits, Some(&[]));
        let mut ids = Vec::new();
        for entry in &page.data {
            let Ok(EntryId(id)) = reader.entry(entry.get()) else {
                let reason = "`id` of a person cannot be read".to_owned();
                return Err(Error::Unreadable { endpoint: Endpoint::Persons, reason });
            };
            ids.push(id);
        }
        Ok(ids)
    }

    /// The employments of one person.
    ///
    /// # Errors
    /// When any of them cannot be read.
    pub async fn employments(&self, person_id: &str) -> Result<Employments, Error> {
        let endpoint = Endpoint::Employments;
        let request = ListRequest {
            target: endpoint.into(),
            url: self.url(&["persons", person_id, "employments"]),
            retry: self.settings.retry,
            limits: self.settings.limits.employments,
            wanted: &[],
        };
        let by_id = |read: Read<ListedEmployment>| Ok((read.value.employment.id.clone(), read));
        let listing = self.list(&request, |_| {}, by_id).await?;
        if let Some(UnreadableEntry { attribute, .. }) = listing.unreadable.first() {
            let reason = format!("`{attribute}` of an employment cannot be read");
            return Err(Error::Unreadable { endpoint, reason });
        }
        let mut employments = Employments::default();
        for Read { value, odd } in listing.entries {
            employments.has_foreign |= value.person.is_some_and(|person| person != person_id);
            if value.has_odd_dates {
                employments.undated.push(value.employment.id.clone());
            }
            employments.odd.extend(odd);
            employments.employments.push(value.employment);
        }
        employments.odd.sort_unstable();
        employments.odd.dedup();
        Ok(employments)
    }

    /// The list of one kind.
    pub(super) async fn named(&self, kind: Kind, is_beta: bool, retry: Retry) -> Result<Vec<Named>, Error> {
        let (endpoint, path) = match kind {
            Kind::Department | Kind::Team => (Endpoint::OrgUnits, "org-units"),
            Kind::LegalEntity => (Endpoint::LegalEntities, "legal-entities"),
            Kind::Workplace => (Endpoint::Workplaces, "workplaces"),
            Kind::CostCenter => (Endpoint::CostCenters, "cost-centers"),
        };
        let url = of_type(self.url(&[path]), kind);
        let target = Target { endpoint, is_beta };
        let request = ListRequest { target, url, retry, limits: self.settings.limits.names, wanted: &[] };
        let by_id = |read: Read<Named>| Ok((read.value.id.clone(), read));
        let listing = self.list(&request, |_| {}, by_id).await?;
        let mut odd = OddNames { kind, ids: Vec::new(), unreadable: listing.unreadable.len() };
        let mut named = Vec::with_capacity(listing.entries.len());
        for read in listing.entries {
            if !read.odd.is_empty() {
                odd.ids.push(read.value.id.clone());
            }
            named.push(read.value);
        }
        self.note_odd_names(odd);
        Ok(named)
    }

    /// One department or team.
    pub(super) async fn org_unit(&self, kind: Kind, id: &str, is_beta: bool) -> Result<Named, Error> {
        let endpoint = Endpoint::OrgUnit;
        let url = of_type(self.url(&["org-units", id]), kind);
        let unit = self.object::<Named>(Target { endpoint, is_beta }, &url, &[]).await?.value;
        if unit.id != id {
            return Err(Error::Unreadable { endpoint, reason: "it is about another unit".to_owned() });
        }
        Ok(unit)
    }

    fn note_odd_names(&self, odd: OddNames) {
        let mut noted = self.odd_names.lock().unwrap_or_else(PoisonError::into_inner);
        noted.retain(|known| known.kind != odd.kind);
        if !odd.ids.is_empty() || odd.unreadable > 0 {
            noted.push(odd);
        }
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
    async fn list<T: FromObject, K>(
        &self,
        request: &ListRequest<'_>,
        on_page: impl Fn(usize),
        mut keep: impl FnMut(Read<T>) -> Result<(String, K), Error>,
    ) -> Result<Listing<K>, Error> {
        let ListRequest { target, limits, .. } = *request;
        let endpoint = target.endpoint;
        let unreadable = |reason: &str| Error::Unreadable { endpoint, reason: reason.to_owned() };
        let mut collected = Collected::new(limits);
        let mut cursors = HashSet::new();
        let mut page_url = paged(&request.url, None);
        let mut empty_pages = 0;
        loop {
            let text = self.text(target, &page_url, request.retry).await?;
            collected.count_page(text.len()).map_err(|limit| unreadable(&limit))?;
            let page = Page::read(&text).map_err(|reason| unreadable(&reason))?;
            drop(text);
            on_page(page.data.len());
            let known = collected.len();
            let mut reader = Reader::new(&self.settings.limits, Some(request.wanted));
            for entry in &page.data {
                match reader.entry::<T>(entry.get()) {
                    Ok(value) => {
                        let (id, kept) = keep(Read { value, odd: reader.take_odd() })?;
                        collected.insert(id, kept);
                    }
                    Err(Unreadable(attribute)) => {
                        reader.take_odd();
                        let id = reader.entry::<EntryId>(entry.get()).ok();
                        collected.insert_unreadable(id.map(|EntryId(id)| id), attribute);
                    }
                }
            }
            collected.check_entries().map_err(|limit| unreadable(&limit))?;
            let is_news = collected.len() > known;
            empty_pages = if is_news { 0 } else { empty_pages + 1 };
            match page.next(PAGE) {
                Next::End => return collected.finish().map_err(|reason| unreadable(&reason)),
                Next::Lost => return Err(unreadable("it has a next page that cannot be found")),
                // A cursor that leads to itself, or round in a circle: seen in the wild.
                Next::Cursor(_) if !is_news && (!page.data.is_empty() || empty_pages > MAX_EMPTY_PAGES) => {
                    return Err(unreadable("its pages repeat or bring nothing"));
                }
                Next::Cursor(cursor) => {
                    page_url = paged(&request.url, Some(&cursor));
                    if !cursors.insert(cursor) {
                        return Err(unreadable("its cursors repeat"));
                    }
                }
            }
        }
    }

    /// A page of a list, with entries that are not decoded.
    ///
    /// # Errors
    /// When it cannot be read, or its envelope is not that of a list.
    pub(super) async fn page(&self, endpoint: Endpoint, url: &Url, retry: Retry) -> Result<Page, Error> {
        let text = self.text(endpoint.into(), url, retry).await?;
        Page::read(&text).map_err(|reason| Error::Unreadable { endpoint, reason })
    }

    /// An answer that is one object.
    ///
    /// # Errors
    /// When it cannot be read; the reason names the attribute at fault.
    pub(super) async fn object<T: FromObject>(
        &self,
        target: impl Into<Target>,
        url: &Url,
        wanted: &[String],
    ) -> Result<Read<T>, Error> {
        let target: Target = target.into();
        let endpoint = target.endpoint;
        let text = self.text(target, url, self.settings.retry).await?;
        envelope(&text, |_| ()).map_err(|reason| Error::Unreadable { endpoint, reason })?;
        let mut reader = Reader::new(&self.settings.limits, Some(wanted));
        match reader.entry(&text) {
            Ok(value) => Ok(Read { value, odd: reader.take_odd() }),
            Err(Unreadable(attribute)) => {
                let reason = format!("its `{attribute}` cannot be read");
                Err(Error::Unreadable { endpoint, reason })
            }
        }
    }

    /// The body of an answer of 200.
    async fn text(&self, target: Target, url: &Url, retry: Retry) -> Result<String, Error> {
        let traffic = &self.transport.traffic;
        let answer = retry.run(target.endpoint, traffic, || self.attempt(target, url)).await?;
        Ok(json::text(answer.body))
    }

    /// One request. A 401 renews the token once and asks once more.
    async fn attempt(&self, target: Target, url: &Url) -> Result<Answer, Error> {
        let token = self.tokens.get(&self.transport).await?;
        let mut answer = self.authorised(target, url, &token).await?;
        if answer.status == StatusCode::UNAUTHORIZED
            && let Some(token) = self.tokens.renewed(&self.transport, &token).await?
        {
            answer = self.authorised(target, url, &token).await?;
        }
        accepted(target.endpoint, answer)
    }

    async fn authorised(&self, target: Target, url: &Url, token: &Token) -> Result<Answer, Error> {
        let unreadable =
            |_| Error::Unreadable { endpoint: Endpoint::Token, reason: "its token is no header value".into() };
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", token.secret.secret())).map_err(unreadable)?;
        authorization.set_sensitive(true);
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(AUTHORIZATION, authorization);
        if target.is_beta {
            request.headers_mut().insert(BETA, HeaderValue::from_static("true"));
        }
        self.transport.exchange(target.endpoint, request).await
    }
}

/// A listing that is to be read.
struct ListRequest<'r> {
    target: Target,
    url: Url,
    retry: Retry,
    limits: ListingLimits,
    /// Ids and global ids of the custom attributes that are read.
    wanted: &'r [String],
}

/// Id of an entry of which something else cannot be read.
struct EntryId(String);

impl FromObject for EntryId {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self(object.id("id", reader)?))
    }
}

/// The address with the type of unit that it is about, if the kind has one.
fn of_type(mut url: Url, kind: Kind) -> Url {
    if let Some(unit_type) = kind.org_unit_type() {
        url.query_pairs_mut().append_pair("type", unit_type);
    }
    url
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
