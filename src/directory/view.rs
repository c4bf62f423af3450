//! View of the directory: the snapshots that one client sees. It is the only way from a request to
//! users, groups and schemas, so that no handler can read more than its client may see.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::retained::SnapshotKey;
use crate::directory::scopes::ActiveScope;
use crate::directory::snapshot::PreviousState;
use crate::directory::{Directory, Error, Parts, Snapshot};
use crate::scim::{Digest, Resource, SchemaRegistry};

/// Time after which a client retries whose scope has no snapshot yet.
const SCOPE_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Directory as one client sees it.
#[derive(Clone)]
pub struct DirectoryView<'d> {
    directory: &'d Directory,
    visibility: Visibility,
}

/// Part of the directory that a view shows.
#[derive(Clone)]
enum Visibility {
    Everything,
    Scope(Arc<ActiveScope>),
    /// Scope that is not in force, with its digest. It shows nothing.
    Nothing(Digest),
}

impl Directory {
    /// Returns the view of a client with the scope that has this digest, or of a client without a
    /// scope.
    #[must_use]
    pub fn view(&self, scope: Option<&Digest>) -> DirectoryView<'_> {
        let visibility = match scope {
            None => Visibility::Everything,
            Some(digest) => match self.0.store.scopes.get(digest) {
                Some(scope) => Visibility::Scope(scope),
                None => Visibility::Nothing(*digest),
            },
        };
        DirectoryView { directory: self, visibility }
    }
}

impl<'d> DirectoryView<'d> {
    pub(super) fn parts(&self) -> &'d Parts {
        &self.directory.0
    }

    /// Returns the schema registry of the current snapshot, or that of the source before the first
    /// snapshot.
    ///
    /// # Errors
    /// Returns an error when the scope cannot be resolved yet.
    pub fn schema_registry(&self) -> Result<Arc<SchemaRegistry>, Error> {
        let scope = match &self.visibility {
            Visibility::Everything => return Ok(self.directory.schema_registry()),
            Visibility::Scope(scope) => scope,
            Visibility::Nothing(_) => return Err(scope_unavailable()),
        };
        if let Some(newest) = self.parts().store.newest() {
            return Ok(Arc::clone(self.visible(newest)?.schema_registry()));
        }
        match scope.bind(&self.parts().source.schema_registry()) {
            Ok(bound) => Ok(Arc::clone(bound.schema_registry())),
            Err(_) => Err(scope_unavailable()),
        }
    }

    /// Returns the snapshot to serve, if no waiting is necessary.
    #[must_use]
    pub fn current_without_waiting(&self) -> Option<Arc<Snapshot>> {
        self.visible(self.directory.current_without_waiting()?).ok()
    }

    /// Returns the snapshot to serve. A fresh one is returned at once. Otherwise the request waits
    /// for a load, up to [`Freshness::refresh_wait`](crate::directory::Freshness::refresh_wait),
    /// and then gets the last good snapshot.
    ///
    /// # Errors
    /// Returns an error when no snapshot may be served.
    pub async fn current(&self) -> Result<Arc<Snapshot>, Error> {
        match self.directory.current().await {
            Ok(full) => self.visible(full),
            Err(error) => Err(self.without_details(error)),
        }
    }

    /// Returns one user. Before the first snapshot, only that user is fetched from the source,
    /// unless the client has a scope: whether a user is visible is known with all users only.
    ///
    /// # Errors
    /// Returns an error when neither a snapshot nor the source can tell whether there is such a
    /// user.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        match &self.visibility {
            Visibility::Everything => self.directory.find(id).await,
            Visibility::Scope(_) | Visibility::Nothing(_) => {
                Ok(self.current().await?.users().find(id).cloned())
            }
        }
    }

    /// Returns the snapshot with this content, if it is still retained or is the current one.
    pub(super) fn retained(&self, content: &Digest) -> Option<Arc<Snapshot>> {
        let store = &self.parts().store;
        // The look-up extends the life of the retained snapshot, even if the current one is used.
        let retained = store.retained(&self.key(*content));
        if let Some(servable) = store.servable()
            && let Ok(current) = self.visible(servable)
            && current.digest() == content
        {
            return Some(current);
        }
        retained
    }

    /// Returns the key under which a snapshot of this view is retained.
    pub(super) fn key(&self, content: Digest) -> SnapshotKey {
        let scope = match &self.visibility {
            Visibility::Everything => None,
            Visibility::Scope(scope) => Some(*scope.digest()),
            Visibility::Nothing(digest) => Some(*digest),
        };
        SnapshotKey { scope, content }
    }

    /// Returns the snapshot of what the view shows of a full one.
    fn visible(&self, full: Arc<Snapshot>) -> Result<Arc<Snapshot>, Error> {
        match &self.visibility {
            Visibility::Everything => Ok(full),
            Visibility::Scope(scope) => {
                let clock = &*self.parts().store.clock;
                let built = full.scoped().get_or_build(&full, scope, PreviousState::Unknown, clock);
                built.map_err(|_| scope_unavailable())
            }
            Visibility::Nothing(_) => Err(scope_unavailable()),
        }
    }

    /// Removes the details of an error, such as numbers of users, for a client with a scope.
    fn without_details(&self, error: Error) -> Error {
        if let Visibility::Everything = self.visibility {
            return error;
        }
        match error {
            Error::Loading { retry_after, .. }
            | Error::Held { retry_after, .. }
            | Error::Unavailable { retry_after, .. } => Error::ScopeUnavailable { retry_after },
            Error::Internal(_) | Error::ScopeUnavailable { .. } => error,
        }
    }
}

fn scope_unavailable() -> Error {
    Error::ScopeUnavailable { retry_after: SCOPE_RETRY_AFTER }
}
