//! Parts between Personio and a snapshot, without a server, for commands that read once.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{StartError, Tuning, base_url, client};
use crate::clock::Clock;
use crate::config::{Checking, Reading};
use crate::diagnostics::preflight::Survey;
use crate::directory::{MaxChange, Progress, Snapshot, Source as _, SourceError};
use crate::scim::{Locations, ResourceTypes, Vocabulary};
use crate::sync::source::{Recency, Source};

/// Reader that loads the directory once.
pub struct Reader {
    source: Source,
    schema_registry: Arc<Vocabulary>,
    max_change: MaxChange,
    clock: Arc<dyn Clock>,
}

/// Creates the preflight of `check`: it finds out which data the credential can read, for a server
/// with the same settings.
///
/// # Errors
/// Returns an error when no HTTPS client can be built.
pub fn survey(
    checking: Checking,
    clock: Arc<dyn Clock>,
    tuning: Tuning,
) -> Result<Survey, StartError> {
    let Checking { reading, max_results, credential, .. } = checking;
    let locations = Locations::new(&base_url(reading.public_url.as_str()));
    let client = client(reading.personio, &clock, tuning)?;
    let guards = reading.max_change < 1.0;
    Ok(Survey::new(client, reading.policy, locations, clock, guards, max_results, credential))
}

impl Reader {
    /// Creates a reader. It sends no request yet.
    ///
    /// # Errors
    /// Returns an error when a schema document is invalid or no HTTPS client can be built.
    pub fn new(
        reading: Reading,
        clock: Arc<dyn Clock>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let locations = Locations::new(&base_url(reading.public_url.as_str()));
        let attributes = reading.policy.served_attributes();
        let vocabulary = Arc::new(Vocabulary::new(&locations, 0, &attributes)?);
        let client = client(reading.personio, &clock, tuning)?;
        // There are no records of an earlier load whose age could matter.
        let recency = Recency { recheck: Duration::ZERO, trusted: Duration::ZERO };
        let source = Source::new(
            client,
            reading.policy,
            Arc::clone(&vocabulary),
            locations,
            Arc::clone(&clock),
            recency,
        );
        Ok(Self { source, schema_registry: vocabulary, max_change: MaxChange(reading.max_change), clock })
    }

    /// Returns the resource types of what this reader loads.
    #[must_use]
    pub fn types(&self) -> &ResourceTypes {
        &self.schema_registry.types
    }

    /// Loads all users, as a server that starts now would serve them.
    ///
    /// # Errors
    /// Returns an error when the load fails, or when a server would not serve its result.
    pub async fn read(&self, progress: &Progress) -> Result<Snapshot, SourceError> {
        self.source.sign_in().await?;
        let loaded = self.source.load(progress).await?;
        Snapshot::alone(loaded, self.max_change, &*self.clock)
    }
}
