//! Read-only client of Personio's API v2: token, pages, rate limits, retries, and wire types.
//!
//! Read `client` first: it sends every request. `transport` is one HTTP exchange, `rate_limit`
//! delays it, and `token` authorises it. `page` and `listing` assemble the pages of a list, `model`
//! contains the wire types. `lookups` reads and caches names, `first_page` is for `check`, and
//! `webhook` parses incoming webhooks.
//!
//! Personio's real responses can deviate from its documentation, so the client assumes little. Only
//! `id` is required, null equals absent, values of enumerations are compared without regard to
//! case, and a `next` link contributes a cursor but never a destination.

mod client;
mod endpoint;
mod error;
mod first_page;
mod limits;
mod listing;
mod lookups;
mod metrics;
pub mod model;
mod page;
mod rate_limit;
mod token;
mod transport;
pub mod webhook;

pub use crate::personio::client::{
    MalformedNames, PersonEmployments, PersonioClient, RetryPolicy, Settings, TokenInfo,
};
pub use crate::personio::endpoint::Endpoint;
pub use crate::personio::error::{ConnectionFault, Error};
pub use crate::personio::first_page::{
    AdvertisedLimit, AttributeMetadata, FirstPage, MalformedValue, PersonCount,
};
pub use crate::personio::limits::{ListingLimits, ReadLimits};
pub use crate::personio::listing::{CompleteListing, ParsedEntry, UnreadableEntry};
pub use crate::personio::lookups::{LookupKind, LookupNames, LookupReport};
pub use crate::personio::metrics::UpstreamMetrics;
pub use crate::personio::model::lenient::is_loggable;
pub use crate::personio::token::TokenState;
