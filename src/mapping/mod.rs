//! The one place where Personio's vocabulary and SCIM's meet: who is a user, which employment
//! counts, which attributes leave. What is not named here does not leave.
//!
//! It is pure but for [`source`], and knows neither how requests travel nor what is cached.

pub(crate) mod attributes;
pub(crate) mod context;
pub(crate) mod employment;
pub(crate) mod groups;
pub(crate) mod person_header;
pub mod personal_data;
mod policy;
pub(crate) mod primary_employment;
pub(crate) mod user;
pub(crate) mod user_name;
pub(crate) mod validity;

pub use crate::mapping::groups::GroupKind;
pub use crate::mapping::policy::{ActiveUntil, Custom, Policy};
