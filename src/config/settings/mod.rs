//! Groups of settings, one file each. A field has flag, variable, default, parser and help text of
//! its setting, and a group checks its settings against each other. The order of the groups and of
//! their fields is the order of `--help`.
//!
//! A group whose name ends with `Settings` has the values that the program uses. The secrets and
//! files that a group named `…Args` names are still to be read.

pub(super) mod config_file;
pub(super) mod freshness;
pub(super) mod limits;
pub(super) mod listen;
pub(super) mod logs;
pub(super) mod monitoring;
pub(super) mod personio;
pub(super) mod state_file;
pub(super) mod tokens;
