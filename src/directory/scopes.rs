//! Scopes of clients: those in force, and the snapshots of what each shows. The snapshots of scopes
//! are built together with the full snapshot, before any client sees it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use jiff::SignedDuration;

use crate::clock::Clock;
use crate::directory::snapshot::PreviousState;
use crate::directory::{LoadedContent, LoadedDirectory, Snapshot, SourceError, lock};
use crate::scim::{BoundScope, Digest, InvalidScope, SchemaRegistry, Scope, VersionStamps};

/// Scopes in force, by the digests of their definitions.
#[derive(Default)]
pub(super) struct Scopes(ArcSwap<HashMap<Digest, Arc<ActiveScope>>>);

/// Scope in force.
pub(super) struct ActiveScope {
    scope: Scope,
    /// Scope as it was resolved last. Resources are shared between loads only while they have the
    /// same resource types.
    bound: Mutex<Option<Arc<BoundScope>>>,
}

/// Users who leave the scopes of clients although they stay in the directory.
#[derive(Debug, Default)]
pub(super) struct ScopeLosses {
    /// Ids of the users.
    pub(super) users: HashSet<Box<str>>,
    /// Losses of each scope that has a filter.
    pub(super) by_scope: Vec<ScopeLoss>,
}

/// Losses of one scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScopeLoss {
    /// Number of users who leave the scope.
    pub(super) lost: usize,
    /// Number of users in the scope before.
    pub(super) total: usize,
}

/// Snapshots of what scopes show of one snapshot, by the digests of the scopes.
#[derive(Debug, Default)]
pub(super) struct ScopedSnapshots(Mutex<HashMap<Digest, Arc<Snapshot>>>);

/// Snapshot of a scope.
pub(super) struct ScopedSnapshot {
    /// Digest of the scope.
    pub(super) scope: Digest,
    pub(super) snapshot: Arc<Snapshot>,
}

/// Stamps of what a scope showed before a restart.
pub(super) struct ScopeStamps {
    pub(super) users: VersionStamps,
    pub(super) groups: VersionStamps,
}

/// Earlier state of what scopes showed.
#[derive(Clone, Copy)]
pub(super) enum PreviousScopes<'a> {
    Unknown,
    /// Snapshots of the scopes of this snapshot.
    Snapshot(&'a Snapshot),
    /// Stamps by the digests of the scopes.
    Stamped(&'a HashMap<Digest, ScopeStamps>),
}

/// Reason why a scope has no snapshot.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScopeError {
    /// The attributes of the snapshot are those of another mapping.
    #[error(transparent)]
    Unbound(#[from] InvalidScope),
    /// A resource cannot be encoded.
    #[error(transparent)]
    Encode(#[from] SourceError),
}

impl ActiveScope {
    fn new(scope: Scope) -> Self {
        Self { scope, bound: Mutex::default() }
    }

    pub(super) fn digest(&self) -> &Digest {
        self.scope.digest()
    }

    /// Resolves the scope against a registry.
    pub(super) fn bind(
        &self,
        registry: &Arc<SchemaRegistry>,
    ) -> Result<Arc<BoundScope>, InvalidScope> {
        let mut last = lock(&self.bound);
        if let Some(bound) = &*last
            && bound.is_bound_to(registry)
        {
            return Ok(Arc::clone(bound));
        }
        let bound = Arc::new(self.scope.bind(registry)?);
        *last = Some(Arc::clone(&bound));
        Ok(bound)
    }
}

impl Scopes {
    /// Returns the scope with this digest.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<ActiveScope>> {
        self.0.load().get(digest).cloned()
    }

    /// Returns all scopes.
    pub(super) fn all(&self) -> Vec<Arc<ActiveScope>> {
        self.0.load().values().cloned().collect()
    }

    /// Adds scopes. One that is in force stays as it is.
    pub(super) fn add(&self, scopes: Vec<Scope>) {
        let mut active = HashMap::clone(&self.0.load());
        for scope in scopes {
            let known = active.get(scope.digest());
            if known.is_none_or(|known| known.scope != scope) {
                active.insert(*scope.digest(), Arc::new(ActiveScope::new(scope)));
            }
        }
        self.0.store(Arc::new(active));
    }

    /// Drops all scopes but those with these digests.
    pub(super) fn retain(&self, digests: &[Digest]) {
        let mut active = HashMap::clone(&self.0.load());
        active.retain(|digest, _| digests.contains(digest));
        self.0.store(Arc::new(active));
    }

    /// Returns the users of a load who leave a scope that `current` shows them in. A scope that is
    /// new has no users before, and so loses none.
    pub(super) fn losses(&self, loaded: &LoadedDirectory, current: &Snapshot) -> ScopeLosses {
        let mut losses = ScopeLosses::default();
        for scope in self.all() {
            if !scope.scope.has_filter() {
                continue;
            }
            let Some(shown) = current.scoped().get(scope.digest()) else { continue };
            let Ok(bound) = scope.bind(&loaded.schema_registry) else { continue };
            let mut lost = 0;
            for user in &loaded.users {
                // An unchanged user stays in the scope.
                let LoadedContent::Mapped(user) = user else { continue };
                if shown.users().position(&user.id).is_some() && !bound.matches(user) {
                    lost += 1;
                    losses.users.insert(user.id.as_str().into());
                }
            }
            losses.by_scope.push(ScopeLoss { lost, total: shown.users().all().len() });
        }
        losses
    }

    /// Builds the snapshots of all scopes of `full`, which clients do not see yet. A scope whose
    /// snapshot cannot be built shows nothing.
    pub(super) fn build_all(
        &self,
        full: &Snapshot,
        previous: PreviousScopes<'_>,
        clock: &dyn Clock,
    ) {
        for scope in self.all() {
            let snapshot = match previous {
                PreviousScopes::Snapshot(previous) => previous.scoped().get(scope.digest()),
                PreviousScopes::Unknown | PreviousScopes::Stamped(_) => None,
            };
            let earlier = match (&snapshot, previous) {
                (Some(snapshot), _) => PreviousState::Snapshot(snapshot),
                (None, PreviousScopes::Stamped(stamps)) => match stamps.get(scope.digest()) {
                    Some(ScopeStamps { users, groups }) => PreviousState::Stamped { users, groups },
                    None => PreviousState::Unknown,
                },
                (None, _) => PreviousState::Unknown,
            };
            if let Err(error) = full.scoped().get_or_build(full, &scope, earlier, clock) {
                log_unbuilt(&error);
            }
        }
    }
}

impl ScopedSnapshots {
    /// Returns the snapshot of a scope, if it has been built.
    pub(super) fn get(&self, scope: &Digest) -> Option<Arc<Snapshot>> {
        lock(&self.0).get(scope).cloned()
    }

    /// Returns all snapshots.
    pub(super) fn all(&self) -> Vec<ScopedSnapshot> {
        let mut all = Vec::new();
        for (scope, snapshot) in &*lock(&self.0) {
            all.push(ScopedSnapshot { scope: *scope, snapshot: Arc::clone(snapshot) });
        }
        all
    }

    /// Returns the snapshot of what a scope shows of `full`, which these snapshots belong to, and
    /// builds it if necessary.
    pub(super) fn get_or_build(
        &self,
        full: &Snapshot,
        scope: &ActiveScope,
        earlier: PreviousState<'_>,
        clock: &dyn Clock,
    ) -> Result<Arc<Snapshot>, ScopeError> {
        if let Some(built) = self.get(scope.digest()) {
            return Ok(built);
        }
        let bound = scope.bind(full.schema_registry())?;
        // Requests of other scopes read their snapshots meanwhile, so the lock is not held.
        let built = Arc::new(Snapshot::of_scope(full, &bound, earlier, clock)?);
        Ok(Arc::clone(lock(&self.0).entry(*scope.digest()).or_insert(built)))
    }

    /// Returns copies whose load began at `load_started`.
    pub(super) fn reloaded_at(&self, load_started: SignedDuration) -> Self {
        let mut reloaded = HashMap::new();
        for (scope, snapshot) in &*lock(&self.0) {
            reloaded.insert(*scope, Arc::new(snapshot.reloaded_at(load_started)));
        }
        Self(Mutex::new(reloaded))
    }

    /// Drops the snapshots of scopes that are not in force.
    pub(super) fn retain(&self, scopes: &Scopes) {
        lock(&self.0).retain(|scope, _| scopes.get(scope).is_some());
    }
}

fn log_unbuilt(error: &ScopeError) {
    match error {
        ScopeError::Unbound(_) => tracing::info!(
            "the scope of a client needs attributes that the current snapshot does not have; the \
             client gets 503 until the next load"
        ),
        ScopeError::Encode(error) => {
            tracing::error!("a client with a scope gets 503: {error}");
        }
    }
}
