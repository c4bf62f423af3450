//! Personio look-alike over HTTP, for the demo and for tests.
//!
//! The simulator implements the parts of Personio's public API v2 that a reading client uses: the
//! token endpoint, persons, employments, look-up lists and rate limits. Quirks and faults add
//! deviations and failures that real accounts show. Endpoints that write, webhooks, checks of
//! scopes, a second credential and TLS are missing.
//!
//! This module uses no other module of the crate. Tests against it therefore check the wire format,
//! and not an understanding of Personio that client and simulator share.
//!
//! Reading order: `handle` (the steps of a request), `route`, the endpoints in `token`, `persons`
//! and `lookups`, then `listing` (pages) and `wire` (JSON). `world` defines the data, and
//! `generate` creates it. `options` holds the settings, and `fault` and `broken_response` the
//! failures.

mod broken_response;
mod cursor;
mod fault;
mod generate;
mod handle;
mod index;
mod listing;
mod lookups;
mod options;
mod persons;
mod random;
mod rate;
mod request_history;
mod response;
mod route;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod wire;
mod word_lists;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

pub use crate::simulator::fault::{FaultAction, InjectedFault, ResponseGate};
pub use crate::simulator::options::{NextLinkForm, Quirks, SimulatedRateLimit, SimulatorOptions};
pub use crate::simulator::request_history::ReceivedRequest;
pub use crate::simulator::route::SimulatedEndpoint;
pub use crate::simulator::world::{
    SimulatedCustomAttribute, SimulatedEmployment, SimulatedLookupEntry, SimulatedOrgUnit,
    SimulatedOrgUnitType, SimulatedPerson, SimulatedTermination, World,
};

use crate::simulator::index::WorldIndex;
use crate::simulator::rate::EndpointBuckets;
use crate::simulator::state::SimulatorState;

/// Handle to a running simulator. Clones control the same simulator.
#[derive(Clone)]
pub struct Simulator(Arc<SimulatorState>);

impl Simulator {
    /// Creates the simulator and its HTTP server on a listener that is already bound.
    ///
    /// The server runs while it is awaited or spawned. Its `ServerHandle` stops it; signals do not.
    ///
    /// # Errors
    /// Returns an I/O error when the listener has no local address or cannot be used by the server.
    pub fn start(
        listener: TcpListener,
        world: World,
        options: SimulatorOptions,
    ) -> std::io::Result<(Self, Server)> {
        let base_url = base_url(listener.local_addr()?);
        let shared = Arc::new(SimulatorState::new(base_url, world, options));
        let data = web::Data::from(Arc::clone(&shared));
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).default_service(web::to(handle::handle))
        });
        let server = server
            .workers(2)
            // Cancels a request when its client closes the connection. Without this setting, a
            // request that hangs on purpose would never end.
            .h1_allow_half_closed(false)
            .shutdown_timeout(1)
            .disable_signals()
            .listen(listener)?
            .run();
        Ok((Self(shared), server))
    }

    /// Returns the base URL, such as `http://127.0.0.1:8080`, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.0.base_url.clone()
    }

    /// Calls `f` with the data, rebuilds the index, and returns the result of `f`.
    ///
    /// `f` can read and change the data. Requests for data wait until this is done. A nested call
    /// from within `f` deadlocks, because the lock is not reentrant.
    pub fn with_world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let mut store = self.0.indexed_world_mut();
        let result = f(&mut store.world);
        store.index = WorldIndex::new(&store.world);
        result
    }

    /// Calls `f` with the current deviations of shape, which `f` can change.
    ///
    /// `f` must not call a method of the simulator: it runs while a lock is held.
    pub fn set_quirks(&self, f: impl FnOnce(&mut Quirks)) {
        f(&mut self.0.runtime().quirks);
    }

    /// Sets the rate limit of every endpoint and fills all buckets. `None` removes the limit.
    pub fn set_rate_limit(&self, rate: Option<SimulatedRateLimit>) {
        self.0.runtime().buckets = EndpointBuckets::new(rate);
    }

    /// Sets the delay before every response.
    pub fn set_latency(&self, latency: Duration) {
        self.0.runtime().latency = latency;
    }

    /// Adds a fault after the existing ones.
    pub fn add_fault(&self, fault: InjectedFault) {
        self.0.runtime().faults.add(fault);
    }

    /// Removes all faults. Requests that already hang continue to hang.
    pub fn clear_faults(&self) {
        self.0.runtime().faults.clear();
    }

    /// Revokes the current token. Requests that present it get status 401.
    pub fn revoke_tokens(&self) {
        self.0.runtime().tokens.revoke();
    }

    /// Returns the number of requests to an endpoint since the start or the last reset.
    ///
    /// Requests that failed or got status 429 are included.
    #[must_use]
    pub fn request_count(&self, endpoint: SimulatedEndpoint) -> usize {
        self.0.runtime().record.requests(endpoint)
    }

    /// Returns the number of responses with status 429 since the start or the last reset.
    #[must_use]
    pub fn throttled_count(&self) -> usize {
        self.0.runtime().record.throttled()
    }

    /// Returns the largest number of concurrent requests since the start or the last reset.
    #[must_use]
    pub fn max_concurrent_requests(&self) -> usize {
        self.0.runtime().record.max_in_flight()
    }

    /// Resets all counters and clears the log. Requests in flight remain counted as in flight.
    pub fn reset_history(&self) {
        self.0.runtime().record.reset();
    }

    /// Returns the newest 10,000 requests, oldest first.
    #[must_use]
    pub fn received_requests(&self) -> Vec<ReceivedRequest> {
        self.0.runtime().record.log()
    }
}

/// Returns the URL of a listener. A listener on all addresses is reached at 127.0.0.1.
fn base_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}
