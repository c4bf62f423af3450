//! Failures on purpose, with the requests that they apply to.
//!
//! A request goes through the faults in the order in which they were added. The first fault that is
//! due acts, and later faults do not count the request. `broken_response` writes the failures to
//! the wire.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::simulator::route::{SimulatedEndpoint, SimulatedRoute};

/// Failure of selected requests.
#[derive(Debug, Clone)]
pub struct InjectedFault {
    /// Endpoint to which the fault applies. `None` means every endpoint.
    pub endpoint: Option<SimulatedEndpoint>,
    /// Id of the person that the path must contain. `None` means every path.
    pub person: Option<String>,
    /// Number of matching requests that pass before the fault acts.
    pub skip: usize,
    /// Number of matching requests for which the fault then acts. `None` means all of them until
    /// the fault is removed.
    pub times: Option<usize>,
    /// Failure that the fault causes.
    pub action: FaultAction,
}

impl InjectedFault {
    /// Creates a fault of one endpoint that acts until it is removed.
    #[must_use]
    pub fn on(endpoint: SimulatedEndpoint, action: FaultAction) -> Self {
        Self { endpoint: Some(endpoint), ..Self::everywhere(action) }
    }

    /// Creates a fault of every endpoint, including the token, that acts until it is removed.
    #[must_use]
    pub fn everywhere(action: FaultAction) -> Self {
        Self { endpoint: None, person: None, skip: 0, times: None, action }
    }

    /// Limits the fault to this number of requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Lets this number of matching requests pass first.
    #[must_use]
    pub fn skip(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// Limits the fault to requests whose path contains the id of this person.
    #[must_use]
    pub fn person(self, id: impl Into<String>) -> Self {
        Self { person: Some(id.into()), ..self }
    }

    fn matches(&self, route: &SimulatedRoute) -> bool {
        if let Some(endpoint) = self.endpoint
            && endpoint != route.endpoint()
        {
            return false;
        }
        self.person.is_none() || route.person_id() == self.person.as_deref()
    }
}

/// Gate at which responses wait until it is opened. Clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct ResponseGate(watch::Sender<bool>);

impl ResponseGate {
    /// Creates a closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self::default()
    }

    /// Lets all responses pass, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the gate is open.
    pub(super) async fn opened(&self) {
        // `self` has a sender, so that the channel stays open.
        let _ = self.0.subscribe().wait_for(|is_open| *is_open).await;
    }
}

/// Kind of failure that a fault causes.
#[derive(Debug, Clone)]
pub enum FaultAction {
    /// Given status with the error body of Personio.
    Status(u16),
    /// Given status with the HTML page of a gateway.
    HtmlError(u16),
    /// Given status, content type and body.
    CustomBody(u16, &'static str, String),
    /// Status 404 of a missing resource (`common.resource_not_found`).
    NotFoundResource,
    /// Status 404 of a missing route (`apinot_found`, with `_meta.path`).
    NotFoundRoute,
    /// Normal response after a delay.
    Delay(Duration),
    /// Normal response once the gate is open.
    Hold(ResponseGate),
    /// Request that stays open without a response.
    Hang,
    /// Connection that is closed without a response.
    ConnectionReset,
    /// First half of the normal response, with a `Content-Length` that matches this half.
    TruncatedJson,
    /// Normal response whose connection is closed in the middle of the body.
    TruncatedBody,
    /// Status 200 with valid JSON of another shape.
    WrongJson,
    /// Status 200 with an empty page and no next link.
    EmptyListing,
    /// Normal response, cut to this number of entries and without a next link.
    ShortListing(usize),
    /// Status 429.
    TooManyRequests {
        /// Seconds in a `Retry-After` header. Personio itself sends no such header.
        retry_after: Option<u64>,
    },
    /// Status 200 with an empty page that is padded to this number of bytes.
    Oversized(usize),
    /// Normal response with every occurrence of `old` replaced. The result may be invalid JSON.
    Substitute {
        /// Text to search for in the response.
        old: String,
        /// Bytes that replace the text.
        new: Vec<u8>,
    },
    /// Normal response whose first entries have another value of an attribute.
    ChangedEntries {
        /// Number of entries that are changed.
        entries: usize,
        /// Key of the attribute.
        attribute: String,
        /// Value of the attribute.
        value: Value,
    },
    /// Normal listing in which each entry has the name of the one before it.
    OtherNames,
    /// Status 200 with a page of new ids and, on every page, a next link with a new cursor.
    EndlessListing,
    /// Employments of another person.
    EmploymentsOf {
        /// Id of the other person.
        person: String,
        /// True for employments that refer to the other person, false for employments without a
        /// person.
        refers_to_person: bool,
    },
}

/// List of faults, each with the number of matching requests that it has counted.
#[derive(Debug, Default)]
pub(super) struct FaultList(Vec<(InjectedFault, usize)>);

impl FaultList {
    pub(super) fn add(&mut self, fault: InjectedFault) {
        self.0.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Counts the request and returns the failure of the first fault that is due, if any.
    pub(super) fn next_action(&mut self, route: &SimulatedRoute) -> Option<FaultAction> {
        for (fault, seen) in &mut self.0 {
            if !fault.matches(route) {
                continue;
            }
            let earlier = *seen;
            *seen += 1;
            let Some(acted) = earlier.checked_sub(fault.skip) else { continue };
            let is_due = match fault.times {
                Some(times) => acted < times,
                None => true,
            };
            if is_due {
                return Some(fault.action.clone());
            }
        }
        None
    }
}
