//! Handlers of requests: one file for each route or family of routes.

pub(crate) mod discovery;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod status;
pub(crate) mod user;
pub(crate) mod webhook;
