//! Settings that can change while the server runs: the settings of authentication, the client
//! secret for Personio, the certificate and the mapping. All others keep the values that they had
//! at the start.

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

/// Parts of a running server that accept new settings.
#[derive(Clone)]
pub struct Live {
    pub(super) access: Access,
    pub(super) tls: Option<Arc<Served>>,
    pub(super) source: Arc<Source>,
    pub(super) directory: Directory,
    pub(super) urls: Locations,
    pub(super) max_results: usize,
    pub(super) settings: Arc<ArcSwap<Vec<server::Setting>>>,
}

impl Live {
    /// Applies new settings, as far as they can change while the server runs.
    ///
    /// # Errors
    /// Returns an error when the new settings cannot be applied. The old ones stay in force then.
    pub fn apply(&self, config: Config) -> Result<(), StartError> {
        let Config { personio, scim } = config;
        let attributes = scim.policy.served_attributes();
        let vocabulary = Vocabulary::new(&self.urls, self.max_results, &attributes)?;
        let clients = scim.rules.clients.len();
        let issuers = scim.rules.issuers.len();
        self.access.replace_settings(scim.rules).map_err(StartError::Client)?;
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
            // The next load applies the new mapping to all users. It also shows now whether a new
            // secret is valid, and not only when the current access token ends.
            self.directory.refresh_soon();
        }
        tracing::info!(
            clients,
            issuers,
            has_new_secret,
            has_new_mapping,
            "the settings were read again: {clients} clients and {issuers} issuers are configured"
        );
        Ok(())
    }
}
