//! Cache of encoded response bodies. Each page is compressed once for all clients that request it.
//!
//! Nothing in the cache expires because data has changed: the key is a digest of the content as
//! well as of the query, so a page of newer content has another key.

mod content_coding;

use std::time::Duration;

use bytes::Bytes;
use moka::future::Cache;

pub use crate::server::response_cache::content_coding::ContentCoding;

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
}

type BodyCache = Cache<(Digest, ContentCoding), EncodedBody>;

impl Default for ResponseCache {
    fn default() -> Self {
        Self {
            small_bodies: body_cache(SMALL_BODIES_CAPACITY_BYTES),
            large_bodies: body_cache(LARGE_BODIES_CAPACITY_BYTES),
        }
    }
}

fn body_cache(capacity_bytes: u64) -> BodyCache {
    Cache::builder()
        .max_capacity(capacity_bytes)
        .weigher(|_, body: &EncodedBody| {
            u32::try_from(body.bytes.len() + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
        })
        .time_to_idle(MAX_IDLE_TIME)
        .build()
}

impl ResponseCache {
    /// Returns the body for a digest in a content coding.
    pub async fn get(&self, digest: &Digest, coding: ContentCoding) -> Option<EncodedBody> {
        let key = (*digest, coding);
        match self.small_bodies.get(&key).await {
            Some(body) => Some(body),
            None => self.large_bodies.get(&key).await,
        }
    }

    /// Inserts a body, unless it is too large.
    pub async fn insert(&self, digest: &Digest, coding: ContentCoding, body: &EncodedBody) {
        let length = body.bytes.len();
        if length > MAX_CACHED_BODY_BYTES {
            return;
        }
        let bodies =
            if length <= MAX_SMALL_BODY_BYTES { &self.small_bodies } else { &self.large_bodies };
        bodies.insert((*digest, coding), body.clone()).await;
    }

    /// Drops bodies that have not been used for a while. Without requests for pages, nothing else
    /// does.
    pub async fn evict_idle(&self) {
        self.small_bodies.run_pending_tasks().await;
        self.large_bodies.run_pending_tasks().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_of_more_than_4_mebibytes_are_not_cached() {
        let cache = ResponseCache::default();
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
        let cache = ResponseCache::default();
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
            let size = bodies.weighted_size();
            assert!(size > capacity / 2 && size <= capacity, "{size} of {capacity}");
        }
    }
}
