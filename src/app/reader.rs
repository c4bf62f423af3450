//! Everything between Personio and a snapshot, without a server: for commands that read once.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{StartError, Tuning, base_url, client};
use crate::clock::Clock;
use crate::config::{Checking, Reading};
use crate::diagnostics::preflight::Survey;
use crate::directory::{MaxChange, Progress, Snapshot, Source as _, SourceError};
use crate::scim::{Locations, ResourceTypes, Vocabulary};
use crate::sync::source::{Recency, Source};

/// Reads the directory once.
pub struct Reader {
    source: Source,
    vocabulary: Arc<Vocabulary>,
    max_change: MaxChange,
    clock: Arc<dyn Clock>,
}

/// A survey of what the credential lets through, for a server with the same environment.
///
/// # Errors
/// When the machine lacks something.
pub fn survey(checking: Checking, clock: Arc<dyn Clock>, tuning: Tuning) -> Result<Survey, StartError> {
    let Checking { reading, max_results, credential, .. } = checking;
    let locations = Locations::new(&base_url(reading.public_url.as_str()));
    let client = client(reading.personio, &clock, tuning)?;
    Ok(Survey::new(client, reading.policy, locations, clock, reading.max_change < 1.0, max_results, credential))
}

impl Reader {
    /// A reader that has not asked for anything yet.
    ///
    /// # Errors
    /// When the machine lacks something.
    pub fn new(reading: Reading, clock: Arc<dyn Clock>, tuning: Tuning) -> Result<Self, StartError> {
        let locations = Locations::new(&base_url(reading.public_url.as_str()));
        let vocabulary = Arc::new(Vocabulary::new(&locations, 0, &reading.policy.served_attributes())?);
        let client = client(reading.personio, &clock, tuning)?;
        // Nothing was read before, so nothing can be old.
        let recency = Recency { recheck: Duration::ZERO, trusted: Duration::ZERO };
        let of_policy = Arc::clone(&vocabulary);
        let source = Source::new(client, reading.policy, of_policy, locations, Arc::clone(&clock), recency);
        Ok(Self { source, vocabulary, max_change: MaxChange(reading.max_change), clock })
    }

    /// The types of what it reads.
    #[must_use]
    pub fn types(&self) -> &ResourceTypes {
        &self.vocabulary.types
    }

    /// Everybody, as a server that starts now would serve them.
    ///
    /// # Errors
    /// When a server would serve nothing.
    pub async fn read(&self, progress: &Progress) -> Result<Snapshot, SourceError> {
        self.source.sign_in().await?;
        let loaded = self.source.load(progress).await?;
        Snapshot::alone(loaded, self.max_change, &*self.clock)
    }
}
