//! Resources of one snapshot, and the indexes and columns that queries read.

pub(crate) mod bit_set;
pub(crate) mod case_fold;
pub(crate) mod column;
pub(crate) mod hash_index;
pub(crate) mod on_demand;
pub(crate) mod resource_set;
