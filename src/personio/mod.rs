//! Personio's API v2 in Personio's words: token, pages, limits, retries, and the shape of what it
//! answers. It only ever reads.
//!
//! What is not documented may turn out otherwise, so the client believes little: only `id` is
//! required, null equals absent, enum values are compared without regard to case, and a `next`
//! link gives a cursor but never a destination.

mod bucket;
mod client;
mod endpoint;
mod error;
mod json;
mod lenient;
mod limits;
mod listing;
pub mod model;
mod names;
mod page;
mod survey;
mod text;
mod throttle;
mod token;
mod traffic;
mod transport;
pub mod webhook;

pub use client::{Client, Employments, OddNames, Retry, Settings, SignedIn};
pub use endpoint::Endpoint;
pub use error::Error;
pub use lenient::is_fit_for_a_log;
pub use limits::{Limits, ListingLimits};
pub use listing::{Listing, Read, UnreadableEntry};
pub use names::{Kind, LookUp, Names};
pub use survey::{AttributeHead, FirstPage, Headcount, OddValue, ToldLimit};
pub use token::Login;
pub use traffic::Traffic;
