//! How the simulator behaves: credential, limits, delays, and the deviations of shape seen in the wild.
//!
//! What goes wrong on purpose is not here but in `fault`.

use std::time::Duration;

use jiff::Timestamp;

use crate::simulator::route::Endpoint;

/// Everything that can be chosen at the start; most of it can be changed later.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only `client_id` that gets a token.
    pub client_id: String,
    /// Its `client_secret`.
    pub client_secret: String,
    /// `None`: no limit and no `x-ratelimit-…` headers.
    pub rate: Option<Rate>,
    /// Waited before every answer.
    pub latency: Duration,
    /// How long a token is good for.
    pub token_lifetime: Duration,
    /// Deviations of shape.
    pub quirks: Quirks,
    /// What the simulator's clock shows at the start; it only appears in error bodies.
    pub now: Timestamp,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "demo".to_owned(),
            client_secret: "demo-secret".to_owned(),
            rate: Some(Rate::default()),
            latency: Duration::ZERO,
            token_lifetime: Duration::from_secs(24 * 60 * 60),
            quirks: Quirks::default(),
            now: Timestamp::constant(1_767_225_600, 0),
        }
    }
}

/// A token bucket; every endpoint has its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests that come back every second.
    pub per_second: f64,
    /// Requests a full bucket holds; below 1 nothing is ever let through.
    pub burst: f64,
}

impl Default for Rate {
    /// As seen on `/v2/persons`.
    fn default() -> Self {
        Self { per_second: 30.0, burst: 100.0 }
    }
}

/// Deviations of shape, all off by default. Those about pages apply to every listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// `active` instead of `ACTIVE`, `string` instead of `STRING`.
    pub lowercase_enums: bool,
    /// `last_working_date` instead of `last_working_day` in a termination.
    pub last_working_date: bool,
    /// What is not known is `null` instead of left out.
    pub null_instead_of_absent: bool,
    /// Keys of a person or an employment that this credential may not read: they are left out.
    pub hidden_attributes: Vec<String>,
    /// The shape of the link to the next page.
    pub next_link: NextLink,
    /// Cursors contain `+`, `/` and `=`, percent-encoded in the link.
    pub awkward_cursors: bool,
    /// There is always a next page, and its cursor is the one that was just sent.
    pub repeating_cursor: bool,
    /// The last entry of a page is again the first of the next; needs a limit above 1.
    pub overlap: bool,
    /// Employments come with the oldest first instead of the newest.
    pub employments_oldest_first: bool,
    /// Ids that are numbers come as JSON numbers.
    pub numeric_ids: bool,
    /// Endpoints that do not exist for requests without the header `Beta: true`.
    pub beta: Vec<Endpoint>,
    /// Ids of org units that lists leave out. They can be read one by one.
    pub unlisted_org_units: Vec<String>,
}

/// The shape of `_meta.links.next`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextLink {
    /// `{"href": "http://…"}`, absent on the last page.
    #[default]
    Object,
    /// The address itself instead of an object.
    BareString,
    /// `{"href": "/v2/…"}`.
    RelativeHref,
    /// As `Object`, but `null` on the last page.
    NullOnLastPage,
    /// The address is on `https://evil.example`.
    OtherOrigin,
    /// The address has a path that does not exist.
    WrongPath,
}
