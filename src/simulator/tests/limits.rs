//! Tests of the rate limit, of delays, and of the counter of concurrent requests.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::simulator::SimulatedRateLimit;
use crate::simulator::tests::{SimulatedEndpoint, SimulatorOptions, SimulatorProbe, world};

#[tokio::test]
async fn every_response_has_rate_limit_headers() {
    let probe = SimulatorProbe::start(world(1), SimulatorOptions::default()).await;
    for path in ["/v2/persons", "/v2/persons/77", "/v2/nothing"] {
        let response = probe.send(path).await.unwrap();
        for (name, value) in [
            ("replenish-rate", "30"),
            ("burst-capacity", "100"),
            ("requested-tokens", "1"),
            ("remaining", "99"),
        ] {
            assert_eq!(response.headers()[format!("x-ratelimit-{name}")], value, "{path}");
        }
    }
    probe.simulator.set_rate_limit(None);
    assert!(
        !probe.send("/v2/persons").await.unwrap().headers().contains_key("x-ratelimit-remaining")
    );
}

#[tokio::test]
async fn empty_bucket_returns_429_until_it_refills() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe.simulator.set_rate_limit(Some(SimulatedRateLimit { per_second: 5.0, burst: 2.0 }));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let response = probe.send("/v2/persons").await.unwrap();
        assert!(!response.headers().contains_key("retry-after"));
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(probe.get("/v2/workplaces").await.0, 200, "each endpoint has a bucket of its own");
    assert_eq!(
        (
            probe.simulator.request_count(SimulatedEndpoint::Persons),
            probe.simulator.throttled_count()
        ),
        (4, 2)
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(probe.get("/v2/persons").await.0, 200);
}

#[tokio::test]
async fn concurrent_requests_are_counted() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe.simulator.set_latency(Duration::from_millis(200));
    let start = Instant::now();
    join_all((0..5).map(|_| probe.get("/v2/persons"))).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(probe.simulator.max_concurrent_requests(), 5);
    probe.simulator.reset_history();
    probe.get("/v2/persons").await;
    assert_eq!(probe.simulator.max_concurrent_requests(), 1);
}
