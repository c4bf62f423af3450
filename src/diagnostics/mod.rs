//! Diagnostics of the data that Personio returns, for `personio-scim check`.

pub(crate) mod contradictions;
pub(crate) mod coverage;
pub(crate) mod custom_attributes;
pub mod explanation;
pub(crate) mod findings;
pub mod preflight;
pub(crate) mod sample_values;
pub mod scopes;
