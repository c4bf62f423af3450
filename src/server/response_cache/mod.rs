//! Cache of encoded response bodies. Each page is compressed once for all clients that request it.
//!
//! Nothing in the cache expires because data has changed: the key is a digest of the content as
//! well as of the query, so a page of newer content has another key.

mod content_coding;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;

pub use crate::server::response_cache::content_coding::ContentCoding;

use crate::clock::Clock;
use crate::scim::Digest;

/// Capacity for small bodies. Small and large bodies have separate room: the cache keeps what is
/// requested most, and a large body would never replace the many small ones whose room it needs.
const SMALL_BODIES_CAPACITY_BYTES: u64 = 12 * 1024 * 1024;
/// Capacity for large bodies.
const LARGE_BODIES_CAPACITY_BYTES: u64 = 12 * 1024 * 1024;
/// Size up to which a body counts as small.
const MAX_SMALL_BODY_BYTES: usize = 16 * 1024;
/// Size up to which a body is cached. A larger one would replace all others, and its transfer takes
/// long anyway.
const MAX_CACHED_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Estimated memory of a cache entry without its body.
const ENTRY_OVERHEAD_BYTES: usize = 256;
/// Time after its last use at which a body is dropped.
const MAX_IDLE_TIME: Duration = Duration::from_secs(600);

/// Response body, with the facts about it that the response needs.
#[derive(Debug, Clone)]
pub struct EncodedBody {
    /// Bytes as they are sent.
    pub bytes: Bytes,
    /// Content coding of the bytes.
    pub coding: ContentCoding,
    /// Number of resources in the body.
    pub resource_count: usize,
    /// Flag of a page that further resources follow.
    pub has_more: bool,
}

impl EncodedBody {
    /// Creates a body that is not compressed and not a page of resources.
    #[must_use]
    pub fn document(bytes: Bytes) -> Self {
        Self { bytes, coding: ContentCoding::Identity, resource_count: 0, has_more: false }
    }

    /// Compresses the body. A body that is too small for that stays as it is.
    #[must_use]
    pub fn encode(self, coding: ContentCoding) -> Self {
        match coding.encode(&self.bytes) {
            Some(bytes) => Self { bytes, coding, ..self },
            None => self,
        }
    }
}

/// Cache of response bodies by digest and content coding. Clones share their entries.
#[derive(Clone)]
pub struct ResponseCache {
    small_bodies: BodyCache,
    large_bodies: BodyCache,
    clock: Arc<dyn Clock>,
}

type BodyCache = Cache<(Digest, ContentCoding), Arc<CachedBody>>;

/// Body in the cache.
struct CachedBody {
    body: EncodedBody,
    /// Time of the last use on the monotonic clock, in nanoseconds.
    last_used: AtomicU64,
}

impl CachedBody {
    /// Reports whether the body has not been used for [`MAX_IDLE_TIME`].
    fn is_idle(&self, now: Duration) -> bool {
        let last_used = Duration::from_nanos(self.last_used.load(Relaxed));
        now.saturating_sub(last_used) >= MAX_IDLE_TIME
    }
}

/// Converts a time on the monotonic clock for an atomic number. It lasts for 584 years.
fn to_nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn body_cache(capacity_bytes: u64) -> BodyCache {
    Cache::builder()
        .max_capacity(capacity_bytes)
        .weigher(|_, cached: &Arc<CachedBody>| {
            u32::try_from(cached.body.bytes.len() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        })
        .build()
}

impl ResponseCache {
    /// Creates an empty cache, whose bodies age by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            small_bodies: body_cache(SMALL_BODIES_CAPACITY_BYTES),
            large_bodies: body_cache(LARGE_BODIES_CAPACITY_BYTES),
            clock,
        }
    }

    /// Returns the body for a digest in a content coding.
    pub async fn get(&self, digest: &Digest, coding: ContentCoding) -> Option<EncodedBody> {
        let key = (*digest, coding);
        let cached = match self.small_bodies.get(&key).await {
            Some(cached) => cached,
            None => self.large_bodies.get(&key).await?,
        };
        cached.last_used.store(to_nanoseconds(self.clock.monotonic()), Relaxed);
        Some(cached.body.clone())
    }

    /// Inserts a body, unless it is too large.
    pub async fn insert(&self, digest: &Digest, coding: ContentCoding, body: &EncodedBody) {
        let length = body.bytes.len();
        if length > MAX_CACHED_BODY_BYTES {
            return;
        }
        let bodies =
            if length <= MAX_SMALL_BODY_BYTES { &self.small_bodies } else { &self.large_bodies };
        let last_used = AtomicU64::new(to_nanoseconds(self.clock.monotonic()));
        let cached = Arc::new(CachedBody { body: body.clone(), last_used });
        bodies.insert((*digest, coding), cached).await;
    }

    /// Drops bodies that have not been used for a while, and frees their memory. Nothing else does:
    /// an idle body is as valid as any other.
    pub async fn evict_idle(&self) {
        let now = self.clock.monotonic();
        for bodies in [&self.small_bodies, &self.large_bodies] {
            for (key, cached) in bodies {
                if cached.is_idle(now) {
                    bodies.invalidate(&*key).await;
                }
            }
            bodies.run_pending_tasks().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::test_clock::TestClock;

    fn cache() -> (ResponseCache, TestClock) {
        let clock = TestClock::at("2026-11-23T10:00:00Z");
        (ResponseCache::new(Arc::new(clock.clone())), clock)
    }

    #[tokio::test]
    async fn body_is_dropped_when_it_is_idle() {
        let (cache, clock) = cache();
        let (used, idle) = (crate::scim::digest([b"used"]), crate::scim::digest([b"idle"]));
        for (digest, length) in [(&used, 10), (&idle, 10), (&used, 100_000), (&idle, 100_000)] {
            let body = EncodedBody::document(Bytes::from(vec![b' '; length]));
            cache.insert(digest, ContentCoding::Identity, &body).await;
        }
        clock.pass(MAX_IDLE_TIME - Duration::from_nanos(1));
        cache.evict_idle().await;
        assert_eq!((cache.small_bodies.entry_count(), cache.large_bodies.entry_count()), (2, 2));
        // The first look-up finds the small body, and the second one the large body.
        assert!(cache.get(&used, ContentCoding::Identity).await.is_some());
        cache.small_bodies.invalidate(&(used, ContentCoding::Identity)).await;
        assert!(cache.get(&used, ContentCoding::Identity).await.is_some());
        clock.pass(Duration::from_nanos(1));
        cache.evict_idle().await;
        assert_eq!((cache.small_bodies.entry_count(), cache.large_bodies.entry_count()), (0, 1));
        assert!(cache.get(&idle, ContentCoding::Identity).await.is_none());
        assert!(cache.get(&used, ContentCoding::Identity).await.is_some());
    }

    #[tokio::test]
    async fn bodies_of_more_than_4_mebibytes_are_not_cached() {
        let (cache, _) = cache();
        for (length, is_cached) in [(4 << 20, true), ((4 << 20) + 1, false)] {
            let digest = crate::scim::digest([&u64::to_be_bytes(length)]);
            let body = EncodedBody::document(Bytes::from(vec![b' '; length as usize]));
            cache.insert(&digest, ContentCoding::Identity, &body).await;
            let cached = cache.get(&digest, ContentCoding::Identity).await;
            assert_eq!(cached.is_some(), is_cached, "{length}");
        }
    }

    #[tokio::test]
    async fn many_different_bodies_stay_within_the_capacity() {
        let (cache, _) = cache();
        for (length, count) in [(1000_u64, 30_000_u32), (200_000, 300), (5_000_000, 3)] {
            for number in 0..count {
                let digest =
                    crate::scim::digest([&number.to_be_bytes()[..], &length.to_be_bytes()]);
                let body = EncodedBody::document(Bytes::from(vec![b' '; length as usize]));
                cache.insert(&digest, ContentCoding::Identity, &body).await;
            }
        }
        cache.evict_idle().await;
        for (bodies, capacity) in [
            (&cache.small_bodies, SMALL_BODIES_CAPACITY_BYTES),
            (&cache.large_bodies, LARGE_BODIES_CAPACITY_BYTES),
        ] {
            let size: usize = bodies.iter().map(|(_, cached)| cached.body.bytes.len()).sum();
            let capacity = usize::try_from(capacity).unwrap();
            assert!(size > capacity / 2 && size <= capacity, "{size} of {capacity}");
        }
    }
}
