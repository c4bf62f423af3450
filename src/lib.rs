#![doc = include_str!("../docs/architecture.md")]

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connections;
pub mod diagnostics;
pub mod directory;
mod http_client;
pub mod mapping;
pub mod personio;
pub mod scim;
pub mod server;
pub mod simulator;
pub mod spelling;
pub mod sync;
pub mod telemetry;
pub mod tls;
