//! State that the `Simulator` handle and the request handlers share.
//!
//! Two locks guard it: one the data, the other everything else that changes. Neither lock is held
//! across an `.await`, and no code of the simulator takes one of them while it holds the other, so
//! that the locks cannot deadlock.

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::simulator::answer::Stamp;
use crate::simulator::fault::Faults;
use crate::simulator::index::Index;
use crate::simulator::options::{Options, Quirks};
use crate::simulator::random::Random;
use crate::simulator::rate::Buckets;
use crate::simulator::record::Record;
use crate::simulator::token::{Credential, Tokens};
use crate::simulator::world::World;

/// Data of the company, with the index derived from it.
pub(super) struct Store {
    pub(super) world: World,
    pub(super) index: Index,
}

/// State that requests change, and the settings that the `Simulator` handle changes.
pub(super) struct Live {
    pub(super) record: Record,
    pub(super) tokens: Tokens,
    pub(super) buckets: Buckets,
    pub(super) faults: Faults,
    pub(super) quirks: Quirks,
    pub(super) latency: Duration,
    /// Source of the trace ids in error bodies.
    traces: Random,
}

/// Complete state of a simulator.
pub(super) struct Shared {
    pub(super) base_url: String,
    pub(super) credential: Credential,
    /// Simulated time at the start, and the instant of the start.
    clock: (Timestamp, Instant),
    store: RwLock<Store>,
    live: Mutex<Live>,
}

impl Shared {
    pub(super) fn new(base_url: String, world: World, options: Options) -> Self {
        let index = Index::new(&world);
        let credential = Credential {
            client_id: options.client_id,
            client_secret: options.client_secret,
            lifetime: options.token_lifetime,
        };
        let live = Live {
            record: Record::default(),
            tokens: Tokens::default(),
            buckets: Buckets::new(options.rate),
            faults: Faults::default(),
            quirks: options.quirks,
            latency: options.latency,
            traces: Random::new(0),
        };
        let clock = (options.now, Instant::now());
        let store = RwLock::new(Store { world, index });
        Self { base_url, credential, clock, store, live: Mutex::new(live) }
    }

    pub(super) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates the trace id and the simulated time of the next error body.
    pub(super) fn stamp(&self) -> Stamp {
        let (start, at) = self.clock;
        let passed = SignedDuration::try_from(at.elapsed()).unwrap_or_default();
        let traces = &mut self.live().traces;
        Stamp {
            trace_id: format!("{:016x}{:016x}", traces.next(), traces.next()),
            timestamp: start.checked_add(passed).unwrap_or(start),
        }
    }
}
