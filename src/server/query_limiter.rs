//! Limit on concurrent expensive queries: scans, sorting, large pages. One processor fewer than
//! there are may be busy with them, so that cheap requests find a free one. Further queries wait
//! for a permit, but not longer than [`ACQUIRE_TIMEOUT`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::auth::ClientName;
use crate::scim::Deadline;
use crate::server::Error;

/// Time that a query waits for a permit before the client gets 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time after which a running query is stopped. No filter within the limits comes near it unless
/// the machine is overloaded.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);

/// Semaphores that hand out the permits, fairly between clients.
pub(super) struct QueryLimiter {
    max_queries: usize,
    /// Permits of all clients together.
    shared: Arc<Semaphore>,
    /// Permits of each client, as many as there are in total. A client takes one of these first, so
    /// at most that many of its queries wait in the shared queue, in front of other clients.
    by_client: Mutex<HashMap<ClientName, Arc<Semaphore>>>,
}

/// Permission to run an expensive query, until it is dropped.
pub(super) struct QueryPermit {
    deadline: Deadline,
    _permits: [OwnedSemaphorePermit; 2],
}

impl QueryPermit {
    /// Returns the deadline of the query.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }
}

impl Default for QueryLimiter {
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }
}

impl QueryLimiter {
    fn new(max_queries: usize) -> Self {
        let shared = Arc::new(Semaphore::new(max_queries));
        Self { max_queries, shared, by_client: Mutex::default() }
    }

    /// Waits for a permit.
    pub(super) async fn acquire(&self, client: &ClientName) -> Result<QueryPermit, Error> {
        let of_client = self.semaphore_of(client);
        let permits = timeout(ACQUIRE_TIMEOUT, async {
            let of_client = of_client.acquire_owned().await?;
            let shared = Arc::clone(&self.shared).acquire_owned().await?;
            Ok::<_, AcquireError>([of_client, shared])
        });
        match permits.await {
            Ok(Ok(permits)) => {
                Ok(QueryPermit { deadline: Deadline::after(QUERY_TIMEOUT), _permits: permits })
            }
            Ok(Err(_)) | Err(_) => Err(Error::Overloaded),
        }
    }

    /// Returns the semaphore of one client. The map stays small, since clients are configured.
    fn semaphore_of(&self, client: &ClientName) -> Arc<Semaphore> {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let semaphore = by_client
            .entry(client.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.max_queries)));
        Arc::clone(semaphore)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_permit_and_holding_one_end_after_their_timeouts() {
        let limiter = QueryLimiter::new(1);
        let client = ClientName::parse("one").unwrap();
        let first = limiter.acquire(&client).await.unwrap();
        let start = tokio::time::Instant::now();
        assert!(matches!(limiter.acquire(&client).await, Err(Error::Overloaded)));
        assert_eq!(start.elapsed(), ACQUIRE_TIMEOUT);
        drop(first);
        let before = Instant::now();
        let deadline = limiter.acquire(&client).await.unwrap().deadline();
        assert!(!deadline.is_over(before + QUERY_TIMEOUT));
        assert!(deadline.is_over(Instant::now() + QUERY_TIMEOUT + Duration::from_millis(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_overtakes_the_waiting_queries_of_a_busy_client() {
        let limiter = Arc::new(QueryLimiter::new(1));
        let finished = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for number in 0..10 {
            let name = if number == 9 { "other" } else { "busy" };
            let client = ClientName::parse(name).unwrap();
            let (limiter, finished) = (Arc::clone(&limiter), Arc::clone(&finished));
            tasks.push(tokio::spawn(async move {
                // The first permit is held until all other tasks are waiting.
                let _permit = limiter.acquire(&client).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                finished.lock().unwrap().push(name);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let finished = finished.lock().unwrap();
        let position = finished.iter().position(|name| *name == "other").unwrap();
        assert!(position <= 2, "{finished:?}");
    }
}
