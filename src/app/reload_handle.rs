//! Settings that can change while the server runs: the settings of authentication, the client
//! secret for Personio, the certificate and the mapping. All others keep the values that they had
//! at the start.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::app::{StartError, displayed_settings, scopes};
use crate::auth::Authenticator;
use crate::config::Config;
use crate::directory::Directory;
use crate::scim::{Digest, ResourceUrls, SchemaRegistry};
use crate::server;
use crate::sync::source::PersonioSource;
use crate::tls::ServedCertificate;

/// Parts of a running server that accept new settings.
#[derive(Clone)]
pub struct ReloadHandle {
    pub(super) authenticator: Authenticator,
    pub(super) tls: Option<Arc<ServedCertificate>>,
    pub(super) source: Arc<PersonioSource>,
    pub(super) directory: Directory,
    pub(super) urls: ResourceUrls,
    pub(super) max_results: usize,
    pub(super) settings: Arc<ArcSwap<Vec<server::DisplayedSetting>>>,
}

impl ReloadHandle {
    /// Applies new settings, as far as they can change while the server runs.
    ///
    /// # Errors
    /// Returns an error when the new settings cannot be applied. The old ones stay in force then.
    pub fn apply(&self, config: Config) -> Result<(), StartError> {
        let Config { personio, scim, effective_settings } = config;
        let attributes = scim.policy.custom_attribute_definitions();
        let schema_registry =
            Arc::new(SchemaRegistry::new(&self.urls, self.max_results, &attributes)?);
        let scopes = scopes(&scim.scopes, &schema_registry)?;
        let scope_digests: Vec<Digest> = scopes.iter().map(|scope| *scope.digest()).collect();
        let clients = scim.auth_settings.clients.len();
        let issuers = scim.auth_settings.issuers.len();
        // A client gets its new scope only after what the scope shows has been built.
        self.directory.add_scopes(scopes);
        self.authenticator.replace_settings(scim.auth_settings).map_err(StartError::Client)?;
        self.directory.retain_scopes(&scope_digests);
        self.settings.store(Arc::new(displayed_settings(effective_settings)));
        if let (Some(served), Some(pair)) = (&self.tls, scim.tls) {
            served.replace(pair);
        }
        let has_new_secret = self.source.set_client_secret(&personio.client_secret);
        let has_new_mapping = !self.source.has_policy(&scim.policy);
        if has_new_mapping {
            self.source.set_mapping(scim.policy, schema_registry);
        }
        if has_new_secret || has_new_mapping {
            // The next load applies the new mapping to all users. It also shows now whether a new
            // secret is valid, and not only when the current access token ends.
            self.directory.schedule_load();
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
