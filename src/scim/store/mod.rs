//! Resources of one type in a snapshot, and the structures by which queries find and sort them.
//!
//! - [`resource_set`]: the resources, with everything below; the only part that queries call
//!   directly.
//! - [`hash_index`]: from a value of a few attributes to the resources that have it.
//! - [`mod@column`]: the values of one attribute side by side, each distinct value once.
//! - [`on_demand`]: a structure that is built when a query first needs it.
//! - [`case_fold`]: comparison of texts.

pub(crate) mod case_fold;
pub(crate) mod column;
pub(crate) mod hash_index;
pub(crate) mod on_demand;
pub(crate) mod resource_set;
