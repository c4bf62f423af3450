//! Settings of the simulator: credential, rate limit, delay, and deviations of shape.
//!
//! The deviations, called quirks, are differences from the documented shape that real accounts
//! show. Failures on purpose are in `fault`.

use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::route::SimulatedEndpoint;

/// Settings at the start. Methods of [`Simulator`](crate::simulator::Simulator) change rate limit,
/// delay and quirks later.
#[derive(Debug, Clone)]
pub struct SimulatorOptions {
    /// `client_id` that the token endpoint accepts.
    pub client_id: String,
    /// `client_secret` that the token endpoint accepts.
    pub client_secret: String,
    /// Rate limit of every endpoint. `None` means no limit and no `x-ratelimit-…` headers.
    pub rate: Option<SimulatedRateLimit>,
    /// Delay before every response.
    pub latency: Duration,
    /// Lifetime of a token.
    pub token_lifetime: Duration,
    /// Deviations of shape.
    pub quirks: Quirks,
    /// Time of the simulator's clock at the start. The clock appears only in error bodies.
    pub now: Timestamp,
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            client_id: "demo".to_owned(),
            client_secret: "demo-secret".to_owned(),
            rate: Some(SimulatedRateLimit::default()),
            latency: Duration::ZERO,
            token_lifetime: Duration::from_secs(24 * 60 * 60),
            quirks: Quirks::default(),
            now: Timestamp::constant(1_767_225_600, 0),
        }
    }
}

/// Parameters of a token bucket. Every endpoint has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedRateLimit {
    /// Number of requests that the bucket regains every second.
    pub per_second: f64,
    /// Capacity of the bucket in requests. A capacity below 1 rejects every request.
    pub burst: f64,
}

impl Default for SimulatedRateLimit {
    /// Returns the rate limit observed on `/v2/persons`.
    fn default() -> Self {
        Self { per_second: 30.0, burst: 100.0 }
    }
}

/// Deviations from the documented shape, all off by default.
///
/// The deviations that concern pages apply to every listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Lower-case enumeration values: `active` instead of `ACTIVE`, `string` instead of `STRING`.
    pub lowercase_enums: bool,
    /// JSON key `last_working_date` instead of `last_working_day` in a termination.
    pub last_working_date_key: bool,
    /// `null` instead of an absent key for an unknown value.
    pub null_instead_of_absent: bool,
    /// Keys of a person or an employment that this credential may not read. They are left out.
    pub hidden_attributes: Vec<String>,
    /// Shape of the link to the next page.
    pub next_link: NextLinkForm,
    /// Cursors with `+`, `/` and `=`, which the link percent-encodes.
    pub awkward_cursors: bool,
    /// Endless listings: every page has a next link. The response to a request with a cursor
    /// repeats this cursor.
    pub repeating_cursor: bool,
    /// Overlapping pages: the last entry of a page is repeated as the first entry of the next page.
    /// Pages with a limit of 1 do not overlap.
    pub overlapping_pages: bool,
    /// Order of employments with the oldest first instead of the newest.
    pub employments_oldest_first: bool,
    /// JSON numbers instead of strings for numeric ids.
    pub numeric_ids: bool,
    /// Endpoints that return status 404 for requests without the header `Beta: true`.
    pub beta_endpoints: Vec<SimulatedEndpoint>,
    /// Ids of persons who are inactive, with all employments, whatever their status is.
    pub inactive: Vec<String>,
    /// Ids of org units that the list leaves out. A read of the single unit still returns it.
    pub unlisted_org_units: Vec<String>,
}

/// Shape of `_meta.links.next`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextLinkForm {
    /// Object `{"href": "http://…"}`, absent on the last page.
    #[default]
    Object,
    /// URL as a string instead of an object.
    BareString,
    /// Object with a relative URL: `{"href": "/v2/…"}`.
    RelativeHref,
    /// Object as in [`NextLinkForm::Object`], but `null` on the last page.
    NullOnLastPage,
    /// Object with a URL on the origin `https://evil.example`.
    OtherOrigin,
    /// Object with a URL whose path does not exist.
    WrongPath,
}
