//! Personio's API v2 in Personio's words: token, pages, limits, retries, and the shape of what it
//! answers. It only ever reads.
//!
//! What is not documented may turn out otherwise, so the client believes little: only `id` is
//! required, null equals absent, enum values are compared without regard to case, and a `next`
//! link gives a cursor but never a destination.

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

pub use crate::personio::client::{Client, Employments, OddNames, Retry, Settings, SignedIn};
pub use crate::personio::endpoint::Endpoint;
pub use crate::personio::error::{Error, Obstacle};
pub use crate::personio::first_page::{AttributeHead, FirstPage, Headcount, OddValue, ToldLimit};
pub use crate::personio::limits::{Limits, ListingLimits};
pub use crate::personio::listing::{Listing, Read, UnreadableEntry};
pub use crate::personio::lookups::{Kind, LookUp, Names};
pub use crate::personio::metrics::Traffic;
pub use crate::personio::model::lenient::is_fit_for_a_log;
pub use crate::personio::token::Login;
