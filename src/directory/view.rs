//! View of the directory: the snapshots that one client sees. It is the only way from a request to
//! users, groups and schemas, so that no handler can read more than its client may see.

use std::sync::Arc;

use crate::directory::{Directory, Error, Parts, Snapshot};
use crate::scim::{Resource, SchemaRegistry};

/// Directory as one client sees it.
#[derive(Clone)]
pub struct DirectoryView<'d> {
    directory: &'d Directory,
}

impl Directory {
    /// Returns the view of a client that sees everything.
    #[must_use]
    pub fn view(&self) -> DirectoryView<'_> {
        DirectoryView { directory: self }
    }
}

impl<'d> DirectoryView<'d> {
    pub(super) fn parts(&self) -> &'d Parts {
        &self.directory.0
    }

    /// Returns the schema registry of the current snapshot, or that of the source before the first
    /// snapshot.
    #[must_use]
    pub fn schema_registry(&self) -> Arc<SchemaRegistry> {
        self.directory.schema_registry()
    }

    /// Returns the snapshot to serve, if no waiting is necessary.
    #[must_use]
    pub fn current_without_waiting(&self) -> Option<Arc<Snapshot>> {
        self.directory.current_without_waiting()
    }

    /// Returns the snapshot to serve. A fresh one is returned at once. Otherwise the request waits
    /// for a load, up to [`Freshness::refresh_wait`](crate::directory::Freshness::refresh_wait),
    /// and then gets the last good snapshot.
    ///
    /// # Errors
    /// Returns an error when no snapshot may be served.
    pub async fn current(&self) -> Result<Arc<Snapshot>, Error> {
        self.directory.current().await
    }

    /// Returns one user. Before the first snapshot, only that user is fetched from the source.
    ///
    /// # Errors
    /// Returns an error when neither a snapshot nor the source can tell whether there is such a
    /// user.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<Resource>>, Error> {
        self.directory.find(id).await
    }
}
