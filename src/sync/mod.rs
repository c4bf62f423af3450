//! Reading side: the persons and employments that a load reads, and the data that stays between
//! loads.

mod active_mapping;
pub(crate) mod completeness_check;
pub(crate) mod dirty_set;
pub(crate) mod employment_owners;
pub(crate) mod error;
pub(crate) mod failure_budget;
pub(crate) mod lookup_ids;
pub(crate) mod record_codec;
mod record_mapping;
pub(crate) mod records;
pub(crate) mod refresh;
pub(crate) mod refresh_plan;
pub mod source;
pub(crate) mod sync_state;
