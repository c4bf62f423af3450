//! State that the `Simulator` handle and the request handlers share.
//!
//! Two locks guard it: one the data, the other everything else that changes. Neither lock is held
//! across an `.await`, and no code of the simulator takes one of them while it holds the other, so
//! that the locks cannot deadlock.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::simulator::fault::FaultList;
use crate::simulator::index::WorldIndex;
use crate::simulator::options::{Quirks, SimulatorOptions};
use crate::simulator::random::Random;
use crate::simulator::rate::EndpointBuckets;
use crate::simulator::request_history::RequestHistory;
use crate::simulator::response::ErrorContext;
use crate::simulator::token::{AcceptedCredential, TokenStore};
use crate::simulator::world::World;

/// Data of the company, with the index derived from it.
pub(super) struct IndexedWorld {
    pub(super) world: World,
    pub(super) index: WorldIndex,
}

/// State that requests change, and the settings that the `Simulator` handle changes.
pub(super) struct RuntimeState {
    pub(super) record: RequestHistory,
    pub(super) tokens: TokenStore,
    pub(super) buckets: EndpointBuckets,
    pub(super) faults: FaultList,
    pub(super) quirks: Quirks,
    pub(super) latency: Duration,
    /// Source of the trace ids in error bodies.
    trace_ids: Random,
}

/// Complete state of a simulator.
pub(super) struct SimulatorState {
    pub(super) base_url: String,
    pub(super) credential: AcceptedCredential,
    /// Simulated time at the start, and the instant of the start.
    clock: (Timestamp, Instant),
    indexed_world: RwLock<IndexedWorld>,
    runtime: Mutex<RuntimeState>,
}

impl SimulatorState {
    pub(super) fn new(base_url: String, world: World, options: SimulatorOptions) -> Self {
        let index = WorldIndex::new(&world);
        let credential = AcceptedCredential {
            client_id: options.client_id,
            client_secret: options.client_secret,
            token_lifetime: options.token_lifetime,
        };
        let runtime = RuntimeState {
            record: RequestHistory::default(),
            tokens: TokenStore::default(),
            buckets: EndpointBuckets::new(options.rate),
            faults: FaultList::default(),
            quirks: options.quirks,
            latency: options.latency,
            trace_ids: Random::new(0),
        };
        let clock = (options.now, Instant::now());
        let indexed_world = RwLock::new(IndexedWorld { world, index });
        Self { base_url, credential, clock, indexed_world, runtime: Mutex::new(runtime) }
    }

    pub(super) fn indexed_world(&self) -> RwLockReadGuard<'_, IndexedWorld> {
        self.indexed_world.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn indexed_world_mut(&self) -> RwLockWriteGuard<'_, IndexedWorld> {
        self.indexed_world.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn runtime(&self) -> MutexGuard<'_, RuntimeState> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the trace id and the simulated time of the next error body.
    pub(super) fn next_error_context(&self) -> ErrorContext {
        let (start, at) = self.clock;
        let passed = SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        let traces = &mut self.runtime().trace_ids;
        ErrorContext {
            trace_id: format!("{:016x}{:016x}", traces.next(), traces.next()),
            timestamp: start.checked_add(passed).unwrap_or(start),
        }
    }
}
