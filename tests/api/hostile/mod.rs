//! Hostile and right clients, and the program that they meet.
//!
//! - `program` runs the program and measures what it takes.
//! - `http` is a small HTTP client that can stop in the middle.
//! - `right_client` asks all the time and checks each answer.
//! - `attacks` lists what hostile clients send.

pub(crate) mod attacks;
pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod right_client;

use std::time::Duration;

pub(crate) const TOKEN: &str = "a-token-for-tests-only";
pub(crate) const PERSONS: usize = 400;
/// Time that a right client waits for an answer on a busy machine.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
