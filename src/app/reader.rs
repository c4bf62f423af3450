//! Parts between Personio and a snapshot, without a server, for commands that read once.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{StartError, Tuning, base_url, personio_client};
use crate::clock::Clock;
use crate::config::{CheckSettings, ClientScope, ReadingSettings};
use crate::diagnostics::preflight::{NamedScope, Preflight};
use crate::directory::{LoadProgress, MaxChange, Snapshot, SourceError};
use crate::scim::{BoundScope, ResourceTypes, ResourceUrls, SchemaRegistry, Scope};
use crate::sync::source::{PersonioSource, RecordLifetimes};

/// Reader that loads the directory once.
pub struct OneShotReader {
    source: PersonioSource,
    schema_registry: Arc<SchemaRegistry>,
    /// Scope that limits the users and attributes.
    scope: Option<BoundScope>,
    max_change: MaxChange,
    clock: Arc<dyn Clock>,
}

/// Creates the preflight of `check`: it finds out which data the credential can read, for a server
/// with the same settings.
///
/// # Errors
/// Returns an error when no HTTPS client can be built.
pub fn preflight(
    checking: CheckSettings,
    clock: Arc<dyn Clock>,
    tuning: Tuning,
) -> Result<Preflight, StartError> {
    let CheckSettings { reading, max_results, credential, scopes, .. } = checking;
    let mut named_scopes = Vec::with_capacity(scopes.len());
    for ClientScope { client, definition } in scopes {
        named_scopes.push(NamedScope { client: client.as_str().to_owned(), definition });
    }
    let urls = ResourceUrls::new(&base_url(reading.public_url.as_str()));
    let client = personio_client(reading.personio, &clock, tuning)?;
    let has_mass_change_guard = reading.max_change < 1.0;
    Ok(Preflight::new(
        client,
        reading.policy,
        urls,
        clock,
        has_mass_change_guard,
        max_results,
        credential,
    )
    .with_scopes(named_scopes))
}

impl OneShotReader {
    /// Creates a reader. It sends no request yet.
    ///
    /// # Errors
    /// Returns an error when a schema document is invalid or no HTTPS client can be built.
    pub fn new(
        reading: ReadingSettings,
        clock: Arc<dyn Clock>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let urls = ResourceUrls::new(&base_url(reading.public_url.as_str()));
        let attributes = reading.policy.custom_attribute_definitions();
        let schema_registry = Arc::new(SchemaRegistry::new(&urls, 0, &attributes)?);
        let scope = match &reading.scope {
            Some(definition) => {
                Some(Scope::new(definition, &schema_registry)?.bind(&schema_registry)?)
            }
            None => None,
        };
        let client = personio_client(reading.personio, &clock, tuning)?;
        // There are no records of an earlier load whose age could matter.
        let lifetimes =
            RecordLifetimes { recheck_interval: Duration::ZERO, max_valid_age: Duration::ZERO };
        let source = PersonioSource::new(
            client,
            reading.policy,
            Arc::clone(&schema_registry),
            urls,
            Arc::clone(&clock),
            lifetimes,
        );
        let max_change = MaxChange(reading.max_change);
        Ok(Self { source, schema_registry, scope, max_change, clock })
    }

    /// Returns the resource types of what this reader loads.
    #[must_use]
    pub fn types(&self) -> &ResourceTypes {
        match &self.scope {
            Some(scope) => &scope.schema_registry().types,
            None => &self.schema_registry.types,
        }
    }

    /// Loads all users, as a server that starts now would serve them, or those that the scope shows.
    ///
    /// # Errors
    /// Returns an error when the load fails, or when a server would not serve its result.
    pub async fn read(&self, progress: &LoadProgress) -> Result<Snapshot, SourceError> {
        self.source.sign_in().await?;
        let loaded = self.source.load_once(progress).await?;
        let full = Snapshot::of_single_load(loaded, self.max_change, &*self.clock)?;
        match &self.scope {
            Some(scope) => full.shown_by(scope, &*self.clock),
            None => Ok(full),
        }
    }
}
