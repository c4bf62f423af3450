//! Single users that are fetched before the first snapshot. Each is fetched once for all concurrent
//! requests.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::directory::snapshot;
use crate::directory::source::SourceAccess;
use crate::directory::store::Store;
use crate::directory::{Error, SourceError};
use crate::scim::{EncodedContent, Resource};

/// Maximum number of users in the cache.
const MAX_CACHED_USERS: u64 = 10_000;
/// Longest id, in bytes, of a user that is fetched alone.
const MAX_FETCHED_ID_BYTES: usize = 64;
/// Maximum number of concurrent fetches. It is small, because the load goes first.
const MAX_CONCURRENT_FETCHES: usize = 4;

/// Fetches single users, and keeps them for as long as a load is fresh.
pub(super) struct SingleUsers {
    source: Arc<dyn SourceAccess>,
    store: Arc<Store>,
    cache: UserCache,
    /// Limit for concurrent fetches.
    permits: Semaphore,
    /// Runtime of the fetches. A fetch continues after the request that started it has ended.
    runtime: Handle,
}

/// User that was fetched alone; `None` if the source has no such user.
type FetchedUser = Option<Arc<Resource>>;

impl SingleUsers {
    pub(super) fn new(source: Arc<dyn SourceAccess>, store: Arc<Store>, runtime: Handle) -> Self {
        let permits = Semaphore::new(MAX_CONCURRENT_FETCHES);
        Self { source, store, cache: UserCache::new(), permits, runtime }
    }

    /// Returns the user with this id, if it is cached and has not expired.
    pub(super) async fn cached(&self, id: &str) -> Option<FetchedUser> {
        Some(self.cache.get(id, self.store.clock.monotonic()).await?.user)
    }

    /// Returns the user with this id, from the cache or from the source. Returns `None` if the user
    /// cannot be fetched alone, or not in time.
    pub(super) async fn fetch(self: &Arc<Self>, id: &str) -> Result<Option<FetchedUser>, Error> {
        // An id that cannot be fetched alone needs the list.
        if !can_be_fetched(id) {
            return Ok(None);
        }
        let limits = self.store.limits;
        let fetch = self.runtime.spawn(Arc::clone(self).cached_or_fetched(id.to_owned()));
        match timeout(limits.refresh_wait, fetch).await {
            Ok(Ok(Ok(user))) => Ok(Some(user)),
            Ok(Ok(Err(reason))) => {
                let reason = SourceError::clone(&reason);
                if reason.is_internal() {
                    return Err(Error::Internal(reason));
                }
                Err(Error::Unavailable { reason, retry_after: limits.cool_down })
            }
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Removes all users. They are not used again once there is a snapshot.
    pub(super) async fn clear(&self) {
        self.cache.clear().await;
    }

    async fn cached_or_fetched(
        self: Arc<Self>,
        id: String,
    ) -> Result<FetchedUser, Arc<SourceError>> {
        let now = self.store.clock.monotonic();
        let requests = &self.store.metrics.single_user_requests;
        if let Some(cached) = self.cache.get(&id, now).await {
            requests.count_hit();
            return Ok(cached.user);
        }
        requests.count_miss();
        Ok(self.cache.get_or_fetch(&id, now, self.fetch_from_source(&id)).await?.user)
    }

    /// Fetches one user from the source, as soon as fewer than [`MAX_CONCURRENT_FETCHES`] others are
    /// being fetched.
    async fn fetch_from_source(&self, id: &str) -> Result<CachedUser, SourceError> {
        let limits = self.store.limits;
        let Ok(Ok(_permit)) = timeout(limits.refresh_wait, self.permits.acquire()).await else {
            return Err(SourceError::upstream("too many requests for single users are waiting"));
        };
        let user = match self.source.find(id).await? {
            Some(user) => {
                let schema_registry = self.source.schema_registry();
                let content = EncodedContent::new(&schema_registry.types.user, &user)?;
                let meta = snapshot::limit_times(user.meta, self.store.clock.now());
                Some(Arc::new(content.into_resource(&meta)?))
            }
            None => None,
        };
        let expires = self.store.clock.monotonic().saturating_add(limits.cache_ttl);
        Ok(CachedUser { user, expires })
    }
}

/// Reports whether an id may become part of a path of the Personio API. Lists may contain other
/// ids; such users are served from the snapshot only.
fn can_be_fetched(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_FETCHED_ID_BYTES
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Cache of users by their id.
struct UserCache(Cache<String, CachedUser>);

/// User that was fetched alone.
#[derive(Debug, Clone)]
struct CachedUser {
    /// User; `None` if the source has no such user.
    user: Option<Arc<Resource>>,
    /// Time until which it is used, on the monotonic clock.
    expires: Duration,
}

impl UserCache {
    fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_CACHED_USERS).build())
    }

    /// Returns the user with this id, if it is cached and has not expired.
    async fn get(&self, id: &str, now: Duration) -> Option<CachedUser> {
        let cached = self.0.get(id).await?;
        if now < cached.expires { Some(cached) } else { None }
    }

    /// Returns the cached user with this id, or that which `fetch` returns. Concurrent calls with
    /// the same id share one fetch.
    async fn get_or_fetch(
        &self,
        id: &str,
        now: Duration,
        fetch: impl Future<Output = Result<CachedUser, SourceError>>,
    ) -> Result<CachedUser, Arc<SourceError>> {
        let removal = self.0.entry_by_ref(id).and_compute_with(|cached| {
            let has_expired = cached.is_some_and(|cached| cached.value().expires <= now);
            std::future::ready(if has_expired { Op::Remove } else { Op::Nop })
        });
        removal.await;
        self.0.try_get_with_by_ref(id, fetch).await
    }

    /// Removes all users and frees their memory. The cache alone would do it at its next use, and
    /// with a snapshot it is not used again.
    async fn clear(&self) {
        self.0.invalidate_all();
        self.0.run_pending_tasks().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn number_of_cached_users_is_bounded() {
        let users = UserCache::new();
        let missing = CachedUser { user: None, expires: Duration::MAX };
        for number in 0..3 * MAX_CACHED_USERS {
            users.0.insert(number.to_string(), missing.clone()).await;
        }
        users.0.run_pending_tasks().await;
        let count = users.0.entry_count();
        assert!((1..=MAX_CACHED_USERS).contains(&count), "{count}");
    }

    #[tokio::test]
    async fn user_is_fetched_again_when_it_has_expired() {
        let (users, second) = (UserCache::new(), Duration::from_secs(1));
        let mut fetches = 0;
        for (now, expected_fetches) in [(0, 1), (1, 1), (9, 1), (10, 2), (19, 2), (20, 3)] {
            let now = second * now;
            let fetch = async {
                fetches += 1;
                Ok(CachedUser { user: None, expires: now + 10 * second })
            };
            let fetched = users.get_or_fetch("1", now, fetch).await.unwrap();
            assert_eq!(fetches, expected_fetches, "{now:?}");
            assert!(users.get("1", fetched.expires - second).await.is_some());
            assert!(users.get("1", fetched.expires).await.is_none());
        }
    }
}
