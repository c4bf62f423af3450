//! Client of Personio's API: persons, one person, employments, and the lists of the look-ups.
//!
//! Every request is authorised, rate-limited, limited in time and size, and retried if that can
//! help. The public methods come first, then the listing loop ([`PersonioClient::list`]), then a
//! single request ([`PersonioClient::attempt`]). Look-ups and the first page for `check` have their
//! own files.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::clock::Clock;
use crate::personio::error::is_html;
use crate::personio::limits::{ListingLimits, ReadLimits};
use crate::personio::listing::{CompleteListing, ListingCollector, ParsedEntry, UnreadableEntry};
use crate::personio::lookups::{LookupCache, LookupKind};
use crate::personio::model::json;
use crate::personio::model::lenient::{
    EntryReader, FromObject, JsonObject, ReadResult, UnreadableAttribute,
};
use crate::personio::model::{Employment, ListedEmployment, LookupEntry, Person};
use crate::personio::page::{NextPage, Page, parse_envelope};
use crate::personio::rate_limit::limiter::MAX_PAUSE_WAIT;
use crate::personio::token::{CachedToken, TokenProvider, TokenState};
use crate::personio::transport::{UpstreamResponse, UpstreamTransport, trace_id};
use crate::personio::{Endpoint, Error, UpstreamMetrics};

/// Number of entries of a page. Personio allows no more.
pub(super) const PAGE_SIZE: usize = 50;
/// Maximum number of consecutive pages without entries. One more fails the listing.
const MAX_EMPTY_PAGES: usize = 2;
/// Maximum delay between two attempts of a request.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// Reason of a failed listing whose `next` link has no readable cursor.
pub(super) const NEXT_PAGE_UNKNOWN: &str = "it has a next page that cannot be found";
/// Reason of a failed listing whose pages bring no new entries.
pub(super) const PAGES_REPEAT: &str = "its pages repeat or bring nothing";

/// Header without which Personio answers 404 at endpoints that it has not released yet.
const BETA: HeaderName = HeaderName::from_static("beta");

/// Endpoint of a request, with the headers that depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTarget {
    pub(super) endpoint: Endpoint,
    /// True if requests carry `Beta: true`.
    pub(super) is_beta: bool,
}

impl From<Endpoint> for RequestTarget {
    fn from(endpoint: Endpoint) -> Self {
        Self { endpoint, is_beta: false }
    }
}

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base URL of the API: scheme, host and an optional path, without `/v2`.
    pub base_url: Url,
    /// Client id of the API credential.
    pub client_id: String,
    /// Client secret of the API credential.
    pub client_secret: SecretString,
    /// Value of the header `X-Personio-App-ID`.
    pub app_id: HeaderValue,
    /// Maximum duration of a request, including the response body.
    pub timeout: Duration,
    /// Maximum number of requests in flight.
    pub max_concurrency: usize,
    /// Retries of failed requests.
    pub retry: RetryPolicy,
    /// Size limits of the responses.
    pub limits: ReadLimits,
}

/// Number and delays of the retries of a failed request.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Maximum number of attempts after the first.
    pub max_retries: usize,
    /// Delay before the first retry. Each further delay is twice as long; all of them are jittered.
    pub initial_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_retries: 4, initial_delay: Duration::from_millis(300) }
    }
}

impl RetryPolicy {
    /// Runs `attempt`, a request to `endpoint`, and repeats it if that can help.
    ///
    /// An error of another endpoint is not retried here: the token endpoint has its own retries.
    pub(super) async fn run<T, F, R>(
        self,
        endpoint: Endpoint,
        metrics: &UpstreamMetrics,
        attempt: F,
    ) -> Result<T, Error>
    where
        F: FnMut() -> R,
        R: Future<Output = Result<T, Error>>,
    {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(self.initial_delay)
            .with_max_delay(MAX_BACKOFF)
            .with_max_times(self.max_retries)
            .with_jitter();
        attempt
            .retry(backoff)
            .when(|error: &Error| error.is_retryable() && error.endpoint() == endpoint)
            .adjust(retry_delay)
            .notify(|error, delay| {
                metrics.record_retry(error);
                tracing::debug!(?delay, "{error}; trying again");
            })
            .await
    }
}

/// Returns the delay before the next attempt: at least `Retry-After`. Returns `None`, which ends
/// the attempts, if `Retry-After` is too long to wait for.
fn retry_delay(error: &Error, delay: Option<Duration>) -> Option<Duration> {
    let retry_after = error.retry_after().unwrap_or_default();
    if retry_after > MAX_PAUSE_WAIT {
        return None;
    }
    Some(delay?.max(retry_after))
}

/// Lifetime and access rights of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Lifetime, if the response contained it.
    pub lifetime: Option<Duration>,
    /// Access rights; empty if the response contained none.
    pub scopes: Vec<String>,
}

/// Read-only client of one company's Personio.
pub struct PersonioClient {
    pub(super) settings: Settings,
    pub(super) transport: UpstreamTransport,
    tokens: TokenProvider,
    pub(super) lookups: LookupCache,
    /// Malformed names of each kind, as of the last read.
    malformed_names: Mutex<Vec<MalformedNames>>,
}

/// Entries of one look-up with a malformed name, which was repaired or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedNames {
    /// Kind of the look-up.
    pub kind: LookupKind,
    /// Ids of the entries with a malformed name.
    pub ids: Vec<String>,
    /// Number of entries that cannot be read at all.
    pub unreadable: usize,
}

/// Employments of one person, and the faults of the response.
#[derive(Debug, Clone, Default)]
pub struct PersonEmployments {
    /// Employments, in no particular order.
    pub employments: Vec<Employment>,
    /// True if one of the employments names another person.
    pub names_other_person: bool,
    /// Ids of employments with a malformed date that decides when the person is active.
    pub ids_with_malformed_dates: Vec<String>,
    /// Names of malformed attributes, which were repaired or dropped.
    pub malformed: Vec<Box<str>>,
}

impl PersonEmployments {
    /// Returns the ids of the employments.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.employments.iter().map(|employment| employment.id.clone()).collect()
    }
}

impl PersonioClient {
    /// Creates a client. It sends no request yet.
    ///
    /// # Errors
    /// If the machine has no trusted root certificates.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let transport = UpstreamTransport::new(&settings)?;
        let tokens = TokenProvider::new(&settings, Arc::clone(&clock));
        let lookups = LookupCache::new(clock);
        Ok(Self { settings, transport, tokens, lookups, malformed_names: Mutex::default() })
    }

    /// Returns the metrics of the requests sent so far.
    #[must_use]
    pub fn metrics(&self) -> &UpstreamMetrics {
        &self.transport.metrics
    }

    /// Returns the outcome of the last token request, if there was one.
    #[must_use]
    pub fn token_state(&self) -> Option<TokenState> {
        self.tokens.state()
    }

    /// Returns the endpoints that advertise an implausible rate limit, which is not used, ordered
    /// by route.
    #[must_use]
    pub fn implausible_limits(&self) -> Vec<Endpoint> {
        let mut endpoints = self.transport.implausible_limits();
        endpoints.sort_by_key(|endpoint| endpoint.route());
        endpoints
    }

    /// Returns the maximum number of requests in flight. More concurrent callers make nothing
    /// faster.
    #[must_use]
    pub fn max_concurrency(&self) -> usize {
        self.settings.max_concurrency
    }

    /// Replaces the client secret for all further token requests. Reports whether the new secret
    /// differs.
    pub fn replace_client_secret(&self, client_secret: &SecretString) -> bool {
        self.tokens.replace_client_secret(client_secret)
    }

    /// Fetches a token unless one is cached, and returns its lifetime and access rights.
    ///
    /// # Errors
    /// If no token can be fetched.
    pub async fn fetch_token_info(&self) -> Result<TokenInfo, Error> {
        let token = self.tokens.token(&self.transport).await?;
        Ok(TokenInfo { lifetime: token.lifetime, scopes: token.scopes.clone() })
    }

    /// Returns the size limits of the responses.
    #[must_use]
    pub fn limits(&self) -> &ReadLimits {
        &self.settings.limits
    }

    /// Returns the malformed names of the look-ups, as of the last read.
    #[must_use]
    pub fn malformed_lookup_names(&self) -> Vec<MalformedNames> {
        self.malformed_names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists all persons, each once.
    ///
    /// `wanted_attributes` contains the ids or global ids of the custom attributes to read; all
    /// others are skipped without being decoded. `keep` converts each person before the next page
    /// is requested, so that the memory holds only one page of full persons. Its first error ends the
    /// listing. `on_page` receives the number of entries of each page.
    ///
    /// # Errors
    /// If a page is missing, since a part of the persons must not pass for all of them. A few
    /// unreadable persons are reported in the listing; many fail it.
    pub async fn list_persons<K, E: From<Error>>(
        &self,
        wanted_attributes: &[String],
        mut keep: impl FnMut(ParsedEntry<Person>) -> Result<K, E>,
        on_page: impl Fn(usize),
    ) -> Result<CompleteListing<K>, E> {
        let request = ListingRequest {
            target: Endpoint::Persons.into(),
            url: self.url(&["persons"]),
            retry: self.settings.retry,
            limits: self.settings.limits.persons,
            wanted_attributes,
        };
        self.list(&request, on_page, |person: ParsedEntry<Person>| {
            Ok((person.value.id.clone(), keep(person)?))
        })
        .await
    }

    /// Reads one person with the wanted custom attributes. Returns `None` if Personio reports that
    /// the person does not exist.
    ///
    /// # Errors
    /// If the existence of the person is unknown, or the response is unreadable.
    pub async fn person(
        &self,
        id: &str,
        wanted_attributes: &[String],
    ) -> Result<Option<ParsedEntry<Person>>, Error> {
        let endpoint = Endpoint::Person;
        match self.object::<Person>(endpoint, &self.url(&["persons", id]), wanted_attributes).await
        {
            Ok(person) if person.value.id != id => {
                Err(Error::unreadable(endpoint, "it is about another person"))
            }
            Ok(person) => Ok(Some(person)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the ids of the persons with an e-mail address. Personio decides how case counts.
    ///
    /// # Errors
    /// If the response is unreadable or has more than one page: then the filter was not applied.
    pub async fn ids_with_email(&self, email: &str) -> Result<Vec<String>, Error> {
        let endpoint = Endpoint::Persons;
        let mut url = self.url(&["persons"]);
        url.query_pairs_mut().append_pair("email", email);
        let page = self.page(endpoint, &page_url(&url, None), self.settings.retry).await?;
        if page.next(PAGE_SIZE) != NextPage::End {
            let reason = "more persons have one e-mail address than a page holds";
            return Err(Error::unreadable(endpoint, reason));
        }
        let mut reader = EntryReader::new(&self.settings.limits, Some(&[]));
        let mut ids = Vec::new();
        for entry in &page.data {
            let Ok(EntryId(id)) = reader.entry(entry.get()) else {
                return Err(Error::unreadable(endpoint, "`id` of a person cannot be read"));
            };
            ids.push(id);
        }
        Ok(ids)
    }

    /// Reads the employments of one person.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub async fn employments(&self, person_id: &str) -> Result<PersonEmployments, Error> {
        let endpoint = Endpoint::Employments;
        let request = ListingRequest {
            target: endpoint.into(),
            url: self.url(&["persons", person_id, "employments"]),
            retry: self.settings.retry,
            limits: self.settings.limits.employments,
            wanted_attributes: &[],
        };
        let listing = self.list(&request, |_| {}, employment_by_id).await?;
        if let Some(UnreadableEntry { attribute, .. }) = listing.unreadable.first() {
            let reason = format!("`{attribute}` of an employment cannot be read");
            return Err(Error::unreadable(endpoint, reason));
        }
        let mut employments = PersonEmployments::default();
        for ParsedEntry { value, malformed } in listing.entries {
            employments.names_other_person |=
                value.person.is_some_and(|person| person != person_id);
            if value.has_malformed_dates {
                employments.ids_with_malformed_dates.push(value.employment.id.clone());
            }
            employments.malformed.extend(malformed);
            employments.employments.push(value.employment);
        }
        employments.malformed.sort_unstable();
        employments.malformed.dedup();
        Ok(employments)
    }

    /// Reads the list of one look-up, and notes its malformed names.
    pub(super) async fn lookup_list(
        &self,
        kind: LookupKind,
        is_beta: bool,
        retry: RetryPolicy,
    ) -> Result<Vec<LookupEntry>, Error> {
        let (endpoint, path) = match kind {
            LookupKind::Department | LookupKind::Team => (Endpoint::OrgUnits, "org-units"),
            LookupKind::LegalEntity => (Endpoint::LegalEntities, "legal-entities"),
            LookupKind::Workplace => (Endpoint::Workplaces, "workplaces"),
            LookupKind::CostCenter => (Endpoint::CostCenters, "cost-centers"),
            LookupKind::Job => (Endpoint::Jobs, "jobs"),
        };
        let request = ListingRequest {
            target: RequestTarget { endpoint, is_beta },
            url: with_unit_type(self.url(&[path]), kind),
            retry,
            limits: self.settings.limits.names,
            wanted_attributes: &[],
        };
        let listing = self.list(&request, |_| {}, lookup_entry_by_id).await?;
        let mut malformed =
            MalformedNames { kind, ids: Vec::new(), unreadable: listing.unreadable.len() };
        let mut entries = Vec::with_capacity(listing.entries.len());
        for read in listing.entries {
            if !read.malformed.is_empty() {
                malformed.ids.push(read.value.id.clone());
            }
            entries.push(read.value);
        }
        self.note_malformed_names(malformed);
        Ok(entries)
    }

    /// Reads one department or team.
    pub(super) async fn org_unit(
        &self,
        kind: LookupKind,
        id: &str,
        is_beta: bool,
    ) -> Result<LookupEntry, Error> {
        let endpoint = Endpoint::OrgUnit;
        let url = with_unit_type(self.url(&["org-units", id]), kind);
        let unit: ParsedEntry<LookupEntry> =
            self.object(RequestTarget { endpoint, is_beta }, &url, &[]).await?;
        if unit.value.id != id {
            return Err(Error::unreadable(endpoint, "it is about another unit"));
        }
        Ok(unit.value)
    }

    /// Replaces the malformed names of one kind.
    fn note_malformed_names(&self, names: MalformedNames) {
        let mut malformed_names =
            self.malformed_names.lock().unwrap_or_else(PoisonError::into_inner);
        malformed_names.retain(|earlier| earlier.kind != names.kind);
        if !names.ids.is_empty() || names.unreadable > 0 {
            malformed_names.push(names);
        }
    }

    pub(super) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.settings.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v2").extend(path);
        }
        url
    }

    /// Reads a whole listing by its cursors. An entry on two pages counts once, the later one.
    /// `keep` returns the id of an entry and the part of it to keep.
    async fn list<T: FromObject, K, E: From<Error>>(
        &self,
        request: &ListingRequest<'_>,
        on_page: impl Fn(usize),
        mut keep: impl FnMut(ParsedEntry<T>) -> Result<(String, K), E>,
    ) -> Result<CompleteListing<K>, E> {
        let endpoint = request.target.endpoint;
        let mut collector = ListingCollector::new(request.limits);
        // Only hashes are stored, because Personio decides on the length of a cursor.
        let cursor_hasher = RandomState::new();
        let mut cursor_hashes = HashSet::new();
        let mut url = page_url(&request.url, None);
        let mut pages_without_news = 0;
        loop {
            let text = self.text(request.target, &url, request.retry).await?;
            collector
                .count_page(text.len())
                .map_err(|reason| Error::unreadable(endpoint, reason))?;
            let page = Page::parse(&text).map_err(|reason| Error::unreadable(endpoint, reason))?;
            drop(text);
            on_page(page.data.len());
            let earlier_entries = collector.len();
            self.collect_entries(&page, request.wanted_attributes, &mut collector, &mut keep)?;
            collector.check_entries().map_err(|reason| Error::unreadable(endpoint, reason))?;
            let has_news = collector.len() > earlier_entries;
            pages_without_news = if has_news { 0 } else { pages_without_news + 1 };
            let cursor = match page.next(PAGE_SIZE) {
                NextPage::Cursor(cursor) => cursor,
                NextPage::End => {
                    let listing = collector.finish();
                    return Ok(listing.map_err(|reason| Error::unreadable(endpoint, reason))?);
                }
                NextPage::Unknown => {
                    return Err(Error::unreadable(endpoint, NEXT_PAGE_UNKNOWN).into());
                }
            };
            // A cursor can lead to its own page, or in a circle. Both have been observed.
            let is_repeated_page = !has_news && !page.data.is_empty();
            if is_repeated_page || pages_without_news > MAX_EMPTY_PAGES {
                return Err(Error::unreadable(endpoint, PAGES_REPEAT).into());
            }
            url = page_url(&request.url, Some(&cursor));
            if !cursor_hashes.insert(cursor_hasher.hash_one(&cursor)) {
                return Err(Error::unreadable(endpoint, "its cursors repeat").into());
            }
        }
    }

    /// Adds the entries of a page to `collector`.
    fn collect_entries<T: FromObject, K, E>(
        &self,
        page: &Page,
        wanted_attributes: &[String],
        collector: &mut ListingCollector<K>,
        keep: &mut impl FnMut(ParsedEntry<T>) -> Result<(String, K), E>,
    ) -> Result<(), E> {
        let mut reader = EntryReader::new(&self.settings.limits, Some(wanted_attributes));
        for entry in &page.data {
            match reader.entry::<T>(entry.get()) {
                Ok(value) => {
                    let (id, kept) =
                        keep(ParsedEntry { value, malformed: reader.take_malformed() })?;
                    collector.insert(id, kept);
                }
                Err(UnreadableAttribute(attribute)) => {
                    reader.take_malformed();
                    let id = match reader.entry(entry.get()) {
                        Ok(EntryId(id)) => Some(id),
                        Err(UnreadableAttribute(_)) => None,
                    };
                    collector.insert_unreadable(id, attribute);
                }
            }
        }
        Ok(())
    }

    /// Reads a page of a listing, with entries that are not decoded.
    ///
    /// # Errors
    /// If the request fails, or the response is not a page.
    pub(super) async fn page(
        &self,
        endpoint: Endpoint,
        url: &Url,
        retry: RetryPolicy,
    ) -> Result<Page, Error> {
        let text = self.text(endpoint.into(), url, retry).await?;
        Page::parse(&text).map_err(|reason| Error::unreadable(endpoint, reason))
    }

    /// Reads a response that is a single object.
    ///
    /// # Errors
    /// If the request fails, or the object cannot be read; the reason names the attribute at fault.
    pub(super) async fn object<T: FromObject>(
        &self,
        target: impl Into<RequestTarget>,
        url: &Url,
        wanted_attributes: &[String],
    ) -> Result<ParsedEntry<T>, Error> {
        let target: RequestTarget = target.into();
        let endpoint = target.endpoint;
        let text = self.text(target, url, self.settings.retry).await?;
        parse_envelope(&text, |_| ()).map_err(|reason| Error::unreadable(endpoint, reason))?;
        let mut reader = EntryReader::new(&self.settings.limits, Some(wanted_attributes));
        match reader.entry(&text) {
            Ok(value) => Ok(ParsedEntry { value, malformed: reader.take_malformed() }),
            Err(UnreadableAttribute(attribute)) => {
                Err(Error::unreadable(endpoint, format!("its `{attribute}` cannot be read")))
            }
        }
    }

    /// Returns the body of a response of 200, with retries.
    async fn text(
        &self,
        target: RequestTarget,
        url: &Url,
        retry: RetryPolicy,
    ) -> Result<String, Error> {
        let metrics = &self.transport.metrics;
        let response = retry.run(target.endpoint, metrics, || self.attempt(target, url)).await?;
        Ok(json::text(response.body))
    }

    /// Sends a request once. After a 401 it renews the token and sends the request once more.
    async fn attempt(&self, target: RequestTarget, url: &Url) -> Result<UpstreamResponse, Error> {
        let token = self.tokens.token(&self.transport).await?;
        let mut response = self.send_authorised(target, url, &token).await?;
        if response.status == StatusCode::UNAUTHORIZED
            && let Some(token) = self.tokens.renew(&self.transport, &token).await?
        {
            response = self.send_authorised(target, url, &token).await?;
        }
        require_ok(target.endpoint, response)
    }

    async fn send_authorised(
        &self,
        target: RequestTarget,
        url: &Url,
        token: &CachedToken,
    ) -> Result<UpstreamResponse, Error> {
        let bearer = format!("Bearer {}", token.secret.secret());
        let Ok(mut authorization) = HeaderValue::from_str(&bearer) else {
            return Err(Error::unreadable(Endpoint::Token, "its token cannot be sent in a header"));
        };
        authorization.set_sensitive(true);
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(AUTHORIZATION, authorization);
        if target.is_beta {
            request.headers_mut().insert(BETA, HeaderValue::from_static("true"));
        }
        self.transport.exchange(target.endpoint, request).await
    }
}

/// Listing to be read.
struct ListingRequest<'r> {
    target: RequestTarget,
    url: Url,
    retry: RetryPolicy,
    limits: ListingLimits,
    /// Ids and global ids of the custom attributes to read.
    wanted_attributes: &'r [String],
}

/// Id of an entry that is unreadable otherwise.
struct EntryId(String);

impl FromObject for EntryId {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self(object.id("id", reader)?))
    }
}

fn employment_by_id(
    read: ParsedEntry<ListedEmployment>,
) -> Result<(String, ParsedEntry<ListedEmployment>), Error> {
    Ok((read.value.employment.id.clone(), read))
}

fn lookup_entry_by_id(
    read: ParsedEntry<LookupEntry>,
) -> Result<(String, ParsedEntry<LookupEntry>), Error> {
    Ok((read.value.id.clone(), read))
}

/// Adds the parameter `type` to the URL of a department or team.
fn with_unit_type(mut url: Url, kind: LookupKind) -> Url {
    if let Some(unit_type) = kind.org_unit_type() {
        url.query_pairs_mut().append_pair("type", unit_type);
    }
    url
}

/// Returns the URL of a page.
pub(super) fn page_url(url: &Url, cursor: Option<&str>) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("limit", &PAGE_SIZE.to_string());
    if let Some(cursor) = cursor {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
    url
}

/// Returns a response of 200, and converts any other status into an error.
fn require_ok(endpoint: Endpoint, response: UpstreamResponse) -> Result<UpstreamResponse, Error> {
    let status = response.status.as_u16();
    let body = &response.body;
    match response.status {
        StatusCode::OK => Ok(response),
        // A 404 in HTML has an error of its own, since a wrong base URL is its usual cause.
        code if code != StatusCode::NOT_FOUND && is_html(body) => {
            Err(Error::Intercepted { endpoint, status })
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(Error::Intercepted { endpoint, status }),
        StatusCode::UNAUTHORIZED => Err(Error::Unauthorized { endpoint, trace_id: trace_id(body) }),
        StatusCode::FORBIDDEN => Err(Error::Forbidden { endpoint, trace_id: trace_id(body) }),
        StatusCode::NOT_FOUND if is_missing_resource(body) => Err(Error::NotFound { endpoint }),
        StatusCode::NOT_FOUND => Err(Error::UnknownRoute { endpoint, trace_id: trace_id(body) }),
        _ => Err(Error::Rejected { endpoint, status, trace_id: trace_id(body) }),
    }
}

/// Reports whether a 404 is about a resource.
///
/// A 404 of a route (wrong base URL, gateway) must not look like a deleted person. Its error type
/// ends in `apinot_found`, and it names the path.
fn is_missing_resource(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct ErrorBody {
        errors: Vec<ErrorEntry>,
    }
    #[derive(serde::Deserialize)]
    struct ErrorEntry {
        #[serde(rename = "type", default)]
        error_type: String,
    }
    let Ok(ErrorBody { errors }) = serde_json::from_slice(body) else { return false };
    errors.iter().any(|error| error.error_type.ends_with("common.resource_not_found"))
}
