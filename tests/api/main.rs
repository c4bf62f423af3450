//! Integration tests of the running server. Each test starts the server on a free port with the
//! simulator as a real HTTP upstream, and asserts the responses to clients and the number of
//! requests to Personio.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that meets something unexpected fails by panicking; nothing outside sees this crate"
)]

mod approve;
mod auth;
mod background;
mod campaign;
mod check;
mod clients;
mod coding;
mod commands;
mod conditional;
mod connection;
mod crash;
mod cursors;
mod directory;
mod discovery;
mod endless;
mod errors;
mod export;
mod filters;
mod first_load;
mod groups;
mod guard;
mod harness;
mod health;
mod held;
mod internal_errors;
mod jwt;
mod laws;
mod leavers;
mod limits;
mod listing;
mod manual;
mod mapping;
mod media_type;
mod metrics;
mod midnight;
mod odd_values;
mod openapi;
mod privacy;
mod process;
mod projection;
mod races;
mod refresh;
mod reload;
mod remap;
mod scopes;
mod search;
mod service_manager;
mod sorting;
mod state;
mod status;
mod tls;
mod token;
#[cfg(feature = "otlp")]
mod traces;
mod translation;
mod traps;
mod upstream;
mod versions;
mod webhooks;
