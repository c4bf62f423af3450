//! Who may ask: clients by their tokens, tokens of other issuers, the networks they come from, and what becomes
//! of those who guess. It decides about a token and an address, and does not know how either was sent or what is
//! asked for.

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

pub use crate::auth::client_ip::{Networks, NotANetwork};
pub use crate::auth::client_name::{Caller, NotAName};
use crate::auth::failed_auth_throttle::Slow;
use crate::auth::jwks::{Keys, Way};
pub use crate::auth::jwt::{Algorithm, Issuer};
pub use crate::auth::token_format::{Wrapping, unwrap_token};
pub use crate::auth::token_hash::Token;

use crate::clock::Clock;

/// Who may ask, as it is configured.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Clients with a token of their own.
    pub clients: Vec<Client>,
    /// Whose signed tokens are accepted.
    pub issuers: Vec<Issuer>,
    /// Who is believed when they say for whom they ask.
    pub trusted_proxies: Networks,
    /// What webhooks must present; without it there are none.
    pub webhook_token: Option<Token>,
}

impl Rules {
    /// Reports whether any client can present an accepted token.
    #[must_use]
    pub fn has_clients(&self) -> bool {
        !self.clients.is_empty() || !self.issuers.is_empty()
    }
}

/// A client with a token of its own.
#[derive(Debug, Clone)]
pub struct Client {
    /// What it is called.
    pub caller: Caller,
    /// What it presents.
    pub token: Token,
    /// From then on the token is not accepted any more.
    pub expires: Option<Timestamp>,
    /// From where alone it is accepted.
    pub networks: Option<Networks>,
}

/// Why somebody may not ask, in words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no token.
    #[error("a valid bearer token is required")]
    Missing,
    /// It is nobody's, or its signature is not good.
    #[error("the bearer token is not valid")]
    Unknown,
    /// It was good.
    #[error("the token has expired; a new one is required")]
    Expired,
    /// It will be good.
    #[error("the token is not valid yet")]
    Early,
    /// It is good for something else.
    #[error("the token does not have the scope that is required here")]
    Scope,
    /// It is good, but not from there.
    #[error("this token is not accepted from this address")]
    Network,
    /// Too many wrong ones came from there; for so long there is no other answer to a wrong one.
    #[error("too many wrong tokens came from this address; ask again later")]
    Slowed(Duration),
    /// Its key is not known, and the issuer's keys were read too recently to read them again; ask again after this long.
    #[error("the key of this token is not known yet; ask again later")]
    KeyUnread(Duration),
    /// Nobody can tell; ask again after this long.
    #[error("the token cannot be checked now, because its issuer does not answer; ask again later")]
    Uncheckable(Duration),
}

impl Refusal {
    /// The reason in a word or two, for whoever runs the server.
    #[must_use]
    pub fn in_short(self) -> &'static str {
        match self {
            Self::Missing => "no token",
            Self::Unknown => "wrong token",
            Self::Expired => "expired",
            Self::Early => "not valid yet",
            Self::Scope => "scope",
            Self::Network => "network",
            Self::Slowed(_) => "slowed",
            Self::KeyUnread(_) => "unknown key",
            Self::Uncheckable(_) => "issuer does not answer",
        }
    }
}

/// Who was refused, where that is known, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Whose token it is.
    pub caller: Option<Caller>,
    /// From where it came, as far as proxies can be believed.
    pub address: Option<IpAddr>,
    /// Why it is not accepted.
    pub why: Refusal,
}

/// Decides who may ask. It is shared, not copied, by cloning.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    active: ArcSwap<Active>,
    slow: Slow,
    clock: Arc<dyn Clock>,
    /// The runtime that keys are fetched on.
    runtime: Handle,
}

/// The rules that hold, and the keys of their issuers.
struct Active {
    rules: Rules,
    keys: HashMap<Url, Arc<Keys>>,
}

impl Access {
    /// Access by these rules. Keys of issuers are fetched on `runtime` when they are first needed.
    ///
    /// # Errors
    /// When there is an issuer and no way to talk TLS to it.
    pub fn new(rules: Rules, clock: Arc<dyn Clock>, runtime: Handle) -> Result<Self, reqwest::Error> {
        let active = Active::new(rules, &HashMap::new(), &clock)?;
        Ok(Self(Arc::new(Inner { active: ArcSwap::from_pointee(active), slow: Slow::new(), clock, runtime })))
    }

    /// From now on these rules hold.
    ///
    /// # Errors
    /// As for [`Access::new`]; then the old ones hold on.
    pub fn replace(&self, rules: Rules) -> Result<(), reqwest::Error> {
        let active = Active::new(rules, &self.0.active.load().keys, &self.0.clock)?;
        self.0.active.store(Arc::new(active));
        Ok(())
    }

    /// Reports whether this is the address of a trusted proxy.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        self.0.active.load().rules.trusted_proxies.contain(address)
    }

    /// Whether there are webhooks.
    #[must_use]
    pub fn has_webhooks(&self) -> bool {
        self.0.active.load().rules.webhook_token.is_some()
    }

    /// Whether this is the token of the webhooks.
    #[must_use]
    pub fn is_webhook(&self, presented: &[u8]) -> bool {
        self.0.active.load().rules.webhook_token.as_ref().is_some_and(|token| token.is(presented))
    }

    /// Returns the client that presents one of these texts as its token, if it may ask: the same token in several
    /// forms, of which the first valid one counts. The connection comes from `peer`; `forwarded` is what came with it
    /// about for whom it is, oldest first: values of `X-Forwarded-For`.
    ///
    /// # Errors
    /// When they may not.
    pub async fn admit(
        &self,
        presented: &[Vec<u8>],
        peer: Option<IpAddr>,
        forwarded: &[&[u8]],
    ) -> Result<Caller, Refused> {
        let active = self.0.active.load_full();
        let address = peer.and_then(|peer| active.rules.trusted_proxies.origin(peer, forwarded));
        let refused = |caller, why| Refused { caller, address, why };
        if presented.is_empty() {
            return Err(refused(None, Refusal::Missing));
        }
        // What takes long, and a large future, is for those who are not simply known.
        let known = active.known(presented, self.0.clock.as_ref());
        let recognised = if known.is_some() { known } else { Box::pin(active.issued(presented, &self.0)).await };
        let Some((caller, networks, verdict)) = recognised else {
            // Somebody who cannot be told apart from the proxy counts as the proxy.
            let why = match address.or(peer) {
                Some(address) => Box::pin(self.0.slow.wrong(address, self.0.clock.monotonic())).await,
                None => None,
            };
            return Err(refused(None, why.map_or(Refusal::Unknown, Refusal::Slowed)));
        };
        let is_near = networks.is_none_or(|networks| address.is_some_and(|address| networks.contain(address)));
        match verdict.and(if is_near { Ok(()) } else { Err(Refusal::Network) }) {
            Ok(()) => Ok(caller.clone()),
            Err(why) => Err(refused(Some(caller.clone()), why)),
        }
    }
}

/// Whose token it is, from where they may ask, and whether the token is good. A token that is nobody's is nothing.
type Recognised<'a> = (&'a Caller, Option<&'a Networks>, Result<(), Refusal>);

impl Active {
    fn new(rules: Rules, known: &HashMap<Url, Arc<Keys>>, clock: &Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let mut keys = HashMap::new();
        for url in rules.issuers.iter().map(|issuer| &issuer.jwks_url) {
            // What is known outlives a change of other rules: the issuer may be down just then.
            let of_issuer = match known.get(url) {
                Some(known) => Arc::clone(known),
                None => Arc::new(Keys::new(url.clone(), Way::to(url)?, Arc::clone(clock))),
            };
            keys.insert(url.clone(), of_issuer);
        }
        let now = clock.now();
        for client in rules.clients.iter().filter(|client| client.has_expired(now)) {
            tracing::warn!(client = %client.caller, "the token of the client {} has expired", client.caller);
        }
        Ok(Self { rules, keys })
    }

    /// The client whose token this is.
    fn known(&self, presented: &[Vec<u8>], clock: &dyn Clock) -> Option<Recognised<'_>> {
        let client = presented.iter().find_map(|token| self.client(token))?;
        let expired = client.has_expired(clock.now());
        let verdict = if expired { Err(Refusal::Expired) } else { Ok(()) };
        Some((&client.caller, client.networks.as_ref(), verdict))
    }

    /// The issuer that has signed one of these tokens.
    async fn issued(&self, presented: &[Vec<u8>], access: &Inner) -> Option<Recognised<'_>> {
        let mut found = None;
        for token in presented.iter().filter_map(|token| std::str::from_utf8(token).ok()) {
            found = self.issued_token(token, access).await;
            if found.is_some() {
                break;
            }
        }
        found
    }

    /// The issuer that has signed this token.
    async fn issued_token(&self, token: &str, access: &Inner) -> Option<Recognised<'_>> {
        let mut found = None;
        for issuer in self.rules.issuers.iter().filter(|issuer| issuer.may_have_issued(token)) {
            let verdict = issuer.check(token, self.keys.get(&issuer.jwks_url)?, access).await;
            match verdict {
                // An issuer may be named several times, for several audiences.
                Err(Refusal::Unknown) => {}
                Ok(()) => return Some((&issuer.caller, issuer.networks.as_ref(), Ok(()))),
                Err(_) => found = Some((&issuer.caller, issuer.networks.as_ref(), verdict)),
            }
        }
        found
    }

    /// The client with this token. It is compared with that of every client, so that the time tells nothing of
    /// which one it resembles.
    fn client(&self, presented: &[u8]) -> Option<&Client> {
        let presented = Token::of(presented);
        self.rules
            .clients
            .iter()
            .fold(None, |found, client| if client.token == presented { Some(client) } else { found })
    }
}

impl Client {
    /// A client whose token is good at any time and from anywhere.
    #[must_use]
    pub fn simple(caller: Caller, token: Token) -> Self {
        Self { caller, token, expires: None, networks: None }
    }

    fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}
