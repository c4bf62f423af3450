//! Cache of single users that are fetched before the first snapshot. Each is fetched once for all
//! concurrent requests.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;

use crate::directory::SourceError;
use crate::scim::Resource;

/// Maximum number of users in the cache.
const MAX_CACHED_USERS: u64 = 10_000;

/// Cache of users by their id.
pub(super) struct SingleUsers(Cache<String, CachedUser>);

/// User that was fetched alone.
#[derive(Debug, Clone)]
pub(super) struct CachedUser {
    /// User; `None` if the source has no such user.
    pub(super) user: Option<Arc<Resource>>,
    /// Time until which it is used, on the monotonic clock.
    pub(super) expires: Duration,
}

impl SingleUsers {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(MAX_CACHED_USERS).build())
    }

    /// Returns the user with this id, if it is cached and has not expired.
    pub(super) async fn get(&self, id: &str, now: Duration) -> Option<CachedUser> {
        let cached = self.0.get(id).await?;
        if now < cached.expires { Some(cached) } else { None }
    }

    /// Returns the cached user with this id, or that which `fetch` returns. Concurrent calls with
    /// the same id share one fetch.
    pub(super) async fn get_or_fetch(
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
    pub(super) async fn clear(&self) {
        self.0.invalidate_all();
        self.0.run_pending_tasks().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn number_of_cached_users_is_bounded() {
        let users = SingleUsers::new();
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
        let (users, second) = (SingleUsers::new(), Duration::from_secs(1));
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
