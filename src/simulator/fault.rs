//! What goes wrong on purpose, and when.
//!
//! Faults are asked in the order they were added; the first that is due acts, and those after it do not
//! see the request. How an action looks on the wire is in `broken`.

use std::time::Duration;

use serde_json::Value;

use crate::simulator::route::{Endpoint, Route};

/// Something that goes wrong for some requests.
#[derive(Debug, Clone)]
pub struct Fault {
    /// `None`: every endpoint.
    pub endpoint: Option<Endpoint>,
    /// Only requests whose path names this person.
    pub person: Option<String>,
    /// Let this many matching requests pass first.
    pub skip: usize,
    /// Then act this often; `None`: until healed.
    pub times: Option<usize>,
    /// What happens.
    pub action: Action,
}

impl Fault {
    /// A fault of one endpoint, until healed.
    #[must_use]
    pub fn on(endpoint: Endpoint, action: Action) -> Self {
        Self { endpoint: Some(endpoint), ..Self::everywhere(action) }
    }

    /// A fault of every endpoint, the token included, until healed.
    #[must_use]
    pub fn everywhere(action: Action) -> Self {
        Self { endpoint: None, person: None, skip: 0, times: None, action }
    }

    /// Act only this often.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Let this many matching requests pass first.
    #[must_use]
    pub fn skip(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Act only on requests whose path names this person.
    #[must_use]
    pub fn person(self, id: impl Into<String>) -> Self {
        Self { person: Some(id.into()), ..self }
    }

    fn matches(&self, route: &Route) -> bool {
        self.endpoint.is_none_or(|endpoint| endpoint == route.endpoint())
            && self.person.as_deref().is_none_or(|id| route.person() == Some(id))
    }
}

/// What a fault does.
#[derive(Debug, Clone)]
pub enum Action {
    /// This status with Personio's problem body.
    Status(u16),
    /// This status with a gateway's HTML page.
    Html(u16),
    /// This status, content type and body.
    Body(u16, &'static str, String),
    /// 404 of something that does not exist (`common.resource_not_found`).
    NotFoundResource,
    /// 404 of a route that does not exist (`apinot_found`, with `_meta.path`).
    NotFoundRoute,
    /// Waits, then answers normally.
    Delay(Duration),
    /// Never answers.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// The normal answer, cut in the middle, with a `Content-Length` that fits.
    TruncatedJson,
    /// The normal answer, but the connection is closed in the middle of the body.
    TruncatedBody,
    /// 200 with valid JSON of another shape.
    WrongJson,
    /// 200 with a page of nothing and no next page.
    EmptyListing,
    /// The normal answer with only so many entries, and no next page.
    ShortListing(usize),
    /// 429.
    TooManyRequests {
        /// Seconds for a `Retry-After` header; Personio sends none.
        retry_after: Option<u64>,
    },
    /// 200 with an empty page padded to this many bytes.
    Oversized(usize),
    /// The normal answer with other bytes in every place of `old`, whatever becomes of the JSON.
    Substitute {
        /// Text as it is in the answer.
        old: String,
        /// Bytes that take its place.
        new: Vec<u8>,
    },
    /// The normal answer, in whose first entries an attribute has another value.
    OddEntries {
        /// Number of entries.
        entries: usize,
        /// The attribute.
        attribute: String,
        /// Its value.
        value: Value,
    },
    /// 200 with a page of new ids, and always a next page with a fresh cursor.
    EndlessListing,
    /// The employments of another person.
    EmploymentsOf {
        /// Id of the other person.
        person: String,
        /// Whether they say whose they are.
        names_person: bool,
    },
}

/// All faults, with how often each has seen a matching request.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(Fault, usize)>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with this request, if anything.
    pub(super) fn strike(&mut self, route: &Route) -> Option<Action> {
        for (fault, seen) in self.0.iter_mut().filter(|(fault, _)| fault.matches(route)) {
            let turn = *seen;
            *seen += 1;
            let due = turn >= fault.skip && fault.times.is_none_or(|times| turn - fault.skip < times);
            if due {
                return Some(fault.action.clone());
            }
        }
        None
    }
}
