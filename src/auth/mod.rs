//! Authentication of clients: by tokens of their own, by tokens of other issuers and by the
//! networks that they come from. Addresses that present wrong tokens are throttled.
//!
//! The module decides about a token and an address. It does not know how either was sent or which
//! resource is requested.

mod client_ip;
mod client_name;
mod failed_auth_throttle;
mod jwks;
mod jwt;
mod token_format;
mod token_hash;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::runtime::Handle;
use url::Url;

pub use crate::auth::client_ip::{InvalidNetwork, Networks};
pub use crate::auth::client_name::{ClientName, InvalidClientName};
use crate::auth::failed_auth_throttle::FailedAuthThrottle;
use crate::auth::jwks::{JwksCache, JwksClient};
pub use crate::auth::jwt::{Algorithm, Issuer};
pub use crate::auth::token_format::{Wrapping, unwrap_token};
pub use crate::auth::token_hash::TokenHash;

use crate::clock::Clock;

/// Settings of authentication.
#[derive(Debug, Clone, Default)]
pub struct AuthSettings {
    /// Clients with a token of their own.
    pub clients: Vec<Client>,
    /// Issuers whose signed tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// Proxies whose `X-Forwarded-For` is used.
    pub trusted_proxies: Networks,
    /// Token that webhooks must present. Without it, webhooks are off.
    pub webhook_token: Option<TokenHash>,
}

impl AuthSettings {
    /// Reports whether any client can present an accepted token.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty() || !self.issuers.is_empty()
    }
}

/// Client with a token of its own.
#[derive(Debug, Clone)]
pub struct Client {
    /// Name in logs and metrics.
    pub name: ClientName,
    /// Hash of the token that the client presents.
    pub token: TokenHash,
    /// Time from which the token is not accepted.
    pub expires: Option<Timestamp>,
    /// Networks from which the token is accepted. Without them, it is accepted from every address.
    pub networks: Option<Networks>,
    /// Scope that limits what the client sees.
    pub scope: Option<ScopeId>,
    /// Paging of lists that are requested without a position.
    pub default_paging: DefaultPaging,
}

/// Paging of a list that a client requests with neither `startIndex` nor `cursor`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DefaultPaging {
    /// By index (RFC 7644 §3.4.2.4).
    #[default]
    Index,
    /// By cursor (RFC 9865): the first page has a cursor for the next one.
    Cursor,
}

/// Client whose request may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedClient {
    /// Name of the client or of the issuer of its token.
    pub name: ClientName,
    /// Scope that limits what the client sees.
    pub scope: Option<ScopeId>,
    /// Paging of lists that are requested without a position.
    pub default_paging: DefaultPaging,
}

/// Identity of a scope. What it limits is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeId(pub [u8; 12]);

/// Reason why a request is refused. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FailureReason {
    /// The request has no token.
    #[error("a valid bearer token is required")]
    Missing,
    /// The token belongs to no client, or its signature is invalid.
    #[error("the bearer token is not valid")]
    Unknown,
    /// The token has expired.
    #[error("the token has expired; a new one is required")]
    Expired,
    /// The token is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token lacks the required scope.
    #[error("the token does not have the scope that is required here")]
    Scope,
    /// The token is not accepted from this address.
    #[error("this token is not accepted from this address")]
    Network,
    /// The address has presented too many wrong tokens. A wrong token is answered with this variant
    /// for the given time.
    #[error("too many wrong tokens came from this address; ask again later")]
    Throttled(Duration),
    /// No cached key verifies the token, and the limit on fetches of the issuer's keys is reached.
    /// A request may succeed after the given time.
    #[error("the key of this token is not known yet; ask again later")]
    KeyNotCached(Duration),
    /// The issuer does not answer, so the token cannot be verified. A request may succeed after the
    /// given time.
    #[error("the token cannot be checked now, because its issuer does not answer; ask again later")]
    IssuerUnavailable(Duration),
}

impl FailureReason {
    /// Returns the reason in one to four words, for the request log.
    #[must_use]
    pub fn short_reason(self) -> &'static str {
        match self {
            Self::Missing => "no token",
            Self::Unknown => "wrong token",
            Self::Expired => "expired",
            Self::NotYetValid => "not valid yet",
            Self::Scope => "scope missing",
            Self::Network => "address not allowed",
            Self::Throttled(_) => "throttled",
            Self::KeyNotCached(_) => "key not cached",
            Self::IssuerUnavailable(_) => "issuer does not answer",
        }
    }
}

/// Refused request: the client and its address, as far as they are known, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFailure {
    /// Client that the token belongs to.
    pub client: Option<ClientName>,
    /// Address of the client, as far as proxies are trusted.
    pub address: Option<IpAddr>,
    /// Reason of the refusal.
    pub reason: FailureReason,
}

/// Authenticator of clients. Clones share their state.
#[derive(Clone)]
pub struct Authenticator(Arc<AuthenticatorInner>);

struct AuthenticatorInner {
    active: ArcSwap<ActiveSettings>,
    throttle: FailedAuthThrottle,
    clock: Arc<dyn Clock>,
    /// Runtime on which keys are fetched.
    runtime: Handle,
}

/// Settings in force and the keys of their issuers.
struct ActiveSettings {
    settings: AuthSettings,
    jwks_caches: HashMap<Url, Arc<JwksCache>>,
}

impl Authenticator {
    /// Creates an authenticator with these settings. Keys of issuers are fetched on `runtime` when
    /// they are first needed.
    ///
    /// # Errors
    /// Returns an error when there is an issuer and no HTTP client can be built for it.
    pub fn new(
        settings: AuthSettings,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Result<Self, reqwest::Error> {
        let active = ActiveSettings::new(settings, &HashMap::new(), &clock)?;
        Ok(Self(Arc::new(AuthenticatorInner {
            active: ArcSwap::from_pointee(active),
            throttle: FailedAuthThrottle::new(),
            clock,
            runtime,
        })))
    }

    /// Replaces the settings.
    ///
    /// # Errors
    /// Returns an error when no HTTP client can be built for an issuer. The old settings stay in
    /// force then.
    pub fn replace_settings(&self, settings: AuthSettings) -> Result<(), reqwest::Error> {
        let active =
            ActiveSettings::new(settings, &self.0.active.load().jwks_caches, &self.0.clock)?;
        self.0.active.store(Arc::new(active));
        Ok(())
    }

    /// Reports whether this is the address of a trusted proxy.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.0.active.load().settings.trusted_proxies.contains(address)
    }

    /// Returns the clients whose tokens expire, and the times from which the tokens are not
    /// accepted.
    #[must_use]
    pub fn token_expirations(&self) -> Vec<(ClientName, Timestamp)> {
        let mut expirations = Vec::new();
        for client in &self.0.active.load().settings.clients {
            if let Some(expires) = client.expires {
                expirations.push((client.name.clone(), expires));
            }
        }
        expirations
    }

    /// Reports whether any client has a scope.
    #[must_use]
    pub fn has_scopes(&self) -> bool {
        let settings = &self.0.active.load().settings;
        settings.clients.iter().any(|client| client.scope.is_some())
            || settings.issuers.iter().any(|issuer| issuer.client_scope.is_some())
    }

    /// Reports whether webhooks are accepted.
    #[must_use]
    pub fn has_webhooks(&self) -> bool {
        self.0.active.load().settings.webhook_token.is_some()
    }

    /// Reports whether this is the token of the webhooks.
    #[must_use]
    pub fn is_webhook_token(&self, presented: &[u8]) -> bool {
        self.0
            .active
            .load()
            .settings
            .webhook_token
            .as_ref()
            .is_some_and(|token| token.matches(presented))
    }

    /// Returns the client that presents a token, if its request may be answered. `presented` holds
    /// several readings of the same token; the first valid one counts. The connection comes from
    /// `peer`. `forwarded` holds the values of `X-Forwarded-For`, oldest first.
    ///
    /// # Errors
    /// Returns the reason when the token is missing or not accepted.
    pub async fn authenticate(
        &self,
        presented: &[Vec<u8>],
        peer: Option<IpAddr>,
        forwarded: &[&[u8]],
    ) -> Result<AuthenticatedClient, AuthFailure> {
        let active = self.0.active.load_full();
        let address =
            peer.and_then(|peer| active.settings.trusted_proxies.client_address(peer, forwarded));
        if presented.is_empty() {
            return Err(AuthFailure { client: None, address, reason: FailureReason::Missing });
        }
        // Hashes are compared first, which is fast. Verification of a JWT may take long, and its
        // future is large and therefore boxed.
        let owner = match active.find_client(presented, self.0.clock.as_ref()) {
            Some(owner) => Some(owner),
            None => Box::pin(active.find_issuer(presented, &self.0)).await,
        };
        let Some(owner) = owner else {
            // When the client's address is unknown, the attempt counts against the proxy.
            let reason = self.count_wrong_token(address.or(peer)).await;
            return Err(AuthFailure { client: None, address, reason });
        };
        let (name, scope) = (owner.name.clone(), owner.scope);
        let default_paging = owner.default_paging;
        match owner.verdict {
            Ok(()) if owner.is_accepted_from(address) => {
                Ok(AuthenticatedClient { name, scope, default_paging })
            }
            Ok(()) => {
                Err(AuthFailure { client: Some(name), address, reason: FailureReason::Network })
            }
            Err(reason) => Err(AuthFailure { client: Some(name), address, reason }),
        }
    }

    /// Counts a wrong token against an address, and returns the reason of the refusal.
    async fn count_wrong_token(&self, address: Option<IpAddr>) -> FailureReason {
        let Some(address) = address else { return FailureReason::Unknown };
        let now = self.0.clock.monotonic();
        match Box::pin(self.0.throttle.delay_or_record(address, now)).await {
            Some(delay) => FailureReason::Throttled(delay),
            None => FailureReason::Unknown,
        }
    }
}

/// Token of a known client or issuer.
struct TokenOwner<'a> {
    /// Client or issuer that the token belongs to.
    name: &'a ClientName,
    /// Networks from which the token is accepted.
    networks: Option<&'a Networks>,
    scope: Option<ScopeId>,
    default_paging: DefaultPaging,
    verdict: Result<(), FailureReason>,
}

impl TokenOwner<'_> {
    /// Reports whether the token is accepted from an address.
    fn is_accepted_from(&self, address: Option<IpAddr>) -> bool {
        match (self.networks, address) {
            (None, _) => true,
            (Some(networks), Some(address)) => networks.contains(address),
            (Some(_), None) => false,
        }
    }
}

impl ActiveSettings {
    fn new(
        settings: AuthSettings,
        earlier_caches: &HashMap<Url, Arc<JwksCache>>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let mut jwks_caches = HashMap::new();
        for Issuer { jwks_url: url, .. } in &settings.issuers {
            // Fetched keys outlive a change of other settings, because the issuer may not answer at
            // that time.
            let cache = match earlier_caches.get(url) {
                Some(earlier) => Arc::clone(earlier),
                None => Arc::new(JwksCache::new(
                    url.clone(),
                    JwksClient::for_url(url)?,
                    Arc::clone(clock),
                )),
            };
            jwks_caches.insert(url.clone(), cache);
        }
        let now = clock.now();
        for client in &settings.clients {
            if client.has_expired(now) {
                let name = &client.name;
                tracing::warn!(client = %name, "the token of the client {name} has expired");
            }
        }
        Ok(Self { settings, jwks_caches })
    }

    /// Returns the client that one of these tokens belongs to.
    fn find_client(&self, presented: &[Vec<u8>], clock: &dyn Clock) -> Option<TokenOwner<'_>> {
        let client = presented.iter().find_map(|token| self.client_with_token(token))?;
        let expired = client.has_expired(clock.now());
        let verdict = if expired { Err(FailureReason::Expired) } else { Ok(()) };
        let networks = client.networks.as_ref();
        Some(TokenOwner {
            name: &client.name,
            networks,
            scope: client.scope,
            default_paging: client.default_paging,
            verdict,
        })
    }

    /// Returns the issuer that has signed one of these tokens.
    async fn find_issuer(
        &self,
        presented: &[Vec<u8>],
        authenticator: &AuthenticatorInner,
    ) -> Option<TokenOwner<'_>> {
        for token in presented {
            let Ok(token) = std::str::from_utf8(token) else { continue };
            let owner = self.find_issuer_of_token(token, authenticator).await;
            if owner.is_some() {
                return owner;
            }
        }
        None
    }

    /// Returns the issuer that has signed this token.
    async fn find_issuer_of_token(
        &self,
        token: &str,
        authenticator: &AuthenticatorInner,
    ) -> Option<TokenOwner<'_>> {
        let mut owner = None;
        let mut fetch_counts = HashMap::new();
        for (url, cache) in &self.jwks_caches {
            fetch_counts.insert(url, cache.fetch_count());
        }
        for issuer in &self.settings.issuers {
            if !issuer.may_have_issued(token) {
                continue;
            }
            let cache = self.jwks_caches.get(&issuer.jwks_url)?;
            let seen_fetch_count = fetch_counts.get(&issuer.jwks_url).copied().unwrap_or_default();
            let verdict = issuer.verify(token, cache, seen_fetch_count, authenticator).await;
            // The same issuer may be configured several times, for several audiences.
            if verdict == Err(FailureReason::Unknown) {
                continue;
            }
            let networks = issuer.networks.as_ref();
            let scope = issuer.client_scope;
            owner = Some(TokenOwner {
                name: &issuer.name,
                networks,
                scope,
                default_paging: DefaultPaging::Index,
                verdict,
            });
            if verdict.is_ok() {
                break;
            }
        }
        owner
    }

    /// Returns the client with this token. The token is compared with that of every client, so that
    /// the response time does not reveal which one it resembles.
    fn client_with_token(&self, presented: &[u8]) -> Option<&Client> {
        let presented = TokenHash::from_token(presented);
        let mut matching = None;
        for client in &self.settings.clients {
            if client.token == presented {
                matching = Some(client);
            }
        }
        matching
    }
}

impl Client {
    /// Creates a client whose token does not expire and is accepted from every address.
    #[must_use]
    pub fn unrestricted(name: ClientName, token: TokenHash) -> Self {
        Self {
            name,
            token,
            expires: None,
            networks: None,
            scope: None,
            default_paging: DefaultPaging::Index,
        }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}
