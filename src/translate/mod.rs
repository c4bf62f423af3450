//! The one place where Personio's vocabulary and SCIM's meet: who is a user, which employment
//! counts, which attributes leave. What is not named here does not leave.
//!
//! It is pure but for [`source`], and knows neither how requests travel nor what is cached.

mod employment;
mod explain;
mod extension;
mod flaw;
mod groups;
mod marks;
mod named;
mod owners;
mod packed;
pub mod personal;
mod plan;
mod policy;
mod primary;
mod records;
mod refresh;
mod remembered;
pub mod source;
pub mod survey;
mod unreadable;
mod user;
mod user_name;
mod validity;

pub use explain::{Explained, Nature};
pub use groups::GroupKind;
pub use policy::{ActiveUntil, Custom, Policy};
