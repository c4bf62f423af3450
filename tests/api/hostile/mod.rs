//! Hostile clients, right clients, and the program under test.
//!
//! - `program` runs the program and measures its memory and open files.
//! - `http` is a small HTTP client that can stop in the middle.
//! - `right_client` sends requests continuously and checks each response.
//! - `attacks` lists the requests of hostile clients.

pub(crate) mod attacks;
pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod right_client;

use std::time::Duration;

pub(crate) const TOKEN: &str = "a-token-for-tests-only";
pub(crate) const PERSONS: usize = 400;
/// Time that a right client waits for a response on a busy machine.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
