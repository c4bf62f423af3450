#![doc = include_str!("../docs/architecture.md")]

pub mod access;
pub mod answers;
pub mod app;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connections;
pub mod directory;
pub mod endpoints;
pub mod personio;
pub mod scim;
pub mod simulator;
pub mod telemetry;
pub mod tls;
pub mod translate;
