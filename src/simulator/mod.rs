//! A believable look-alike of Personio's public API v2 over HTTP, for the demo and for tests.
//!
//! It imitates what a reading client meets: the token, persons, employments, the lists of names, limits,
//! and on request the deviations and failures seen in the wild. It leaves out everything that writes,
//! webhooks, scopes, more than one credential, and TLS. It knows nothing of this project: a client that
//! works with it has learnt nothing from it but the wire.

mod answer;
mod broken;
mod cursor;
mod directories;
mod fault;
mod generate;
mod handle;
mod index;
mod listing;
mod names;
mod options;
mod persons;
mod random;
mod rate;
mod record;
mod route;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod wire;
mod world;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

pub use crate::simulator::fault::{Action, Fault};
pub use crate::simulator::options::{NextLink, Options, Quirks, Rate};
pub use crate::simulator::record::Received;
pub use crate::simulator::route::Endpoint;
pub use crate::simulator::world::{
    CustomAttribute, Employment, Named, OrgUnit, OrgUnitKind, Person, Termination, World,
};

use crate::simulator::index::Index;
use crate::simulator::rate::Buckets;
use crate::simulator::state::Shared;

/// A handle to a running simulator; clones control the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Shared>);

impl Simulator {
    /// Builds the HTTP server on a listener that is already bound.
    ///
    /// The server must be awaited (or spawned) to run; it ends through its handle, not by signals.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub fn start(listener: TcpListener, world: World, options: Options) -> std::io::Result<(Self, Server)> {
        let base_url = base_url(listener.local_addr()?);
        let shared = Arc::new(Shared::new(base_url, world, options));
        let data = web::Data::from(Arc::clone(&shared));
        let app = move || App::new().app_data(data.clone()).default_service(web::to(handle::handle));
        let server = HttpServer::new(app)
            .workers(2)
            // A client that gives up ends its request, also one that would hang for ever.
            .h1_allow_half_closed(false)
            .shutdown_timeout(1)
            .disable_signals()
            .listen(listener)?
            .run();
        Ok((Self(shared), server))
    }

    /// Where it listens, such as `http://127.0.0.1:8080`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.0.base_url.clone()
    }

    /// Reads or changes the data while running; requests wait. The order of persons is worked out anew.
    ///
    /// Calling this from within `f` never returns.
    pub fn with_world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        let mut store = self.0.store_mut();
        let result = f(&mut store.world);
        store.index = Index::new(&store.world);
        result
    }

    /// Changes the deviations of shape; `f` must not call the simulator.
    pub fn set_quirks(&self, f: impl FnOnce(&mut Quirks)) {
        f(&mut self.0.live().quirks);
    }

    /// Sets the limit of every endpoint and fills all buckets.
    pub fn set_rate(&self, rate: Option<Rate>) {
        self.0.live().buckets = Buckets::new(rate);
    }

    /// Sets what is waited before every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.0.live().latency = latency;
    }

    /// Adds a fault behind those that are there.
    pub fn fail(&self, fault: Fault) {
        self.0.live().faults.add(fault);
    }

    /// Removes all faults; requests that hang keep hanging.
    pub fn heal(&self) {
        self.0.live().faults.clear();
    }

    /// Tokens handed out so far answer 401 from now on.
    pub fn revoke_tokens(&self) {
        self.0.live().tokens.revoke();
    }

    /// Requests received since the start or the last reset, failures and 429 included.
    #[must_use]
    pub fn requests(&self, endpoint: Endpoint) -> usize {
        self.0.live().record.requests(endpoint)
    }

    /// Answers of 429 since the start or the last reset.
    #[must_use]
    pub fn throttled(&self) -> usize {
        self.0.live().record.throttled()
    }

    /// The most requests that were being handled at once since the start or the last reset.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.0.live().record.max_in_flight()
    }

    /// Starts all counts and the log anew.
    pub fn reset_counts(&self) {
        self.0.live().record.reset();
    }

    /// The newest 10 000 requests, oldest first.
    #[must_use]
    pub fn log(&self) -> Vec<Received> {
        self.0.live().record.log()
    }
}

/// The address of a listener on this machine; one that listens everywhere is reached locally.
fn base_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{}", address.port())
    } else {
        format!("http://{address}")
    }
}
