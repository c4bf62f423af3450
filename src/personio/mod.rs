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
mod lenient;
pub mod model;
mod names;
mod page;
mod survey;
mod throttle;
mod token;
mod traffic;
mod transport;
pub mod webhook;

pub use client::{Client, Retry, Settings, SignedIn};
pub use endpoint::Endpoint;
pub use error::Error;
pub use names::{Kind, Names};
pub use survey::{AttributeHead, FirstPage, Headcount, ToldLimit};
pub use token::Login;
pub use traffic::Traffic;
