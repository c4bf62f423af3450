//! What can be changed while the server runs: who may ask, the secret for Personio. Everything else that is
//! configured stays as it was at the start.

use std::sync::Arc;

use super::StartError;
use crate::access::Access;
use crate::config::Config;
use crate::directory::Directory;
use crate::translate::source::Source;

/// The parts of a running server that take new settings.
#[derive(Clone)]
pub struct Live {
    pub(super) access: Access,
    pub(super) source: Arc<Source>,
    pub(super) directory: Directory,
}

impl Live {
    /// From now on these settings hold, as far as they can while the server runs.
    ///
    /// # Errors
    /// When they cannot; then the old ones hold on.
    pub fn adopt(&self, config: Config) -> Result<(), StartError> {
        let Config { personio, scim } = config;
        let (clients, issuers) = (scim.rules.clients.len(), scim.rules.issuers.len());
        self.access.replace(scim.rules).map_err(StartError::Client)?;
        let has_new_secret = self.source.adopt_secret(&personio.client_secret);
        if has_new_secret {
            // So that it shows now whether it is right.
            self.directory.refresh_soon();
        }
        tracing::info!(
            clients,
            issuers,
            has_new_secret,
            "the settings were read again: {clients} clients and {issuers} issuers may ask"
        );
        Ok(())
    }
}
