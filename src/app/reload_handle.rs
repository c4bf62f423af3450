//! What can be changed while the server runs: who may ask, the secret for Personio, the certificate, the mapping. Everything else that
//! is configured stays as it was at the start.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::app::{StartError, told};
use crate::auth::Access;
use crate::config::Config;
use crate::directory::Directory;
use crate::scim::{Locations, Vocabulary};
use crate::server;
use crate::sync::source::Source;
use crate::tls::Served;

/// The parts of a running server that take new settings.
#[derive(Clone)]
pub struct Live {
    pub(super) access: Access,
    pub(super) tls: Option<Arc<Served>>,
    pub(super) source: Arc<Source>,
    pub(super) directory: Directory,
    pub(super) locations: Locations,
    pub(super) max_results: usize,
    pub(super) settings: Arc<ArcSwap<Vec<server::Setting>>>,
}

impl Live {
    /// From now on these settings hold, as far as they can while the server runs.
    ///
    /// # Errors
    /// When they cannot; then the old ones hold on.
    pub fn adopt(&self, config: Config) -> Result<(), StartError> {
        let Config { personio, scim } = config;
        let vocabulary = Vocabulary::new(&self.locations, self.max_results, &scim.policy.served_attributes())?;
        let (clients, issuers) = (scim.rules.clients.len(), scim.rules.issuers.len());
        self.access.replace(scim.rules).map_err(StartError::Client)?;
        self.settings.store(Arc::new(told(scim.told)));
        if let (Some(served), Some(pair)) = (&self.tls, scim.tls) {
            served.adopt(pair);
        }
        let has_new_secret = self.source.adopt_secret(&personio.client_secret);
        let has_new_mapping = !self.source.has(&scim.policy);
        if has_new_mapping {
            self.source.adopt(scim.policy, Arc::new(vocabulary));
        }
        if has_new_secret || has_new_mapping {
            // People are served by the new mapping once they have been read for it. Whether a secret is right
            // shows now and not when the token ends.
            self.directory.refresh_soon();
        }
        tracing::info!(
            clients,
            issuers,
            has_new_secret,
            has_new_mapping,
            "the settings were read again: {clients} clients and {issuers} issuers may ask"
        );
        Ok(())
    }
}
