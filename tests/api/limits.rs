//! Tests of Personio's rate limits: loads use them up, seldom exceed them, and find them out where
//! Personio advertises none. The unit tests of the rate limiter test its pace in virtual time;
//! these tests run whole loads over HTTP.

use std::time::{Duration, Instant};

use personio_scim::personio::RetryPolicy;
use personio_scim::scim::PERSONIO_USER_SCHEMA as PERSONIO;
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint, SimulatedRateLimit};

use crate::harness::{Setup, wait_until};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_uses_the_rate_limit_and_rarely_exceeds_it() {
    let rate = SimulatedRateLimit { per_second: 60.0, burst: 100.0 };
    let mut setup = Setup::persons(500);
    setup.options.rate = Some(rate);
    // The pages of persons fit into the burst of their own endpoint. Their time and the time for
    // mapping depend on the machine, so the test measures only from the first request for
    // employments to the last.
    let ideal = Duration::from_secs_f64((500.0 - rate.burst) / rate.per_second);
    let bridge = setup.start();
    let asked = async |count| {
        wait_until("so many employments are asked for", async || {
            bridge.simulator.request_count(SimulatedEndpoint::Employments) >= count
        })
        .await;
        Instant::now()
    };
    let first = asked(1).await;
    let spent = asked(500).await - first;
    assert!(spent <= ideal.mul_f64(1.15), "{spent:?}, at best {ideal:?}");
    assert!(
        spent >= ideal.mul_f64(0.9),
        "{spent:?}, at best {ideal:?}: the limit is not what this test thinks"
    );
    bridge.ready().await;
    assert_eq!(bridge.all_users().await.len(), 500);
    let throttled = bridge.simulator.throttled_count();
    assert!(throttled < 10, "{throttled} answers of 429");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_as_many_requests_are_in_flight_as_configured() {
    for (max_concurrency, persons) in [(1, 20), (4, 400), (16, 400)] {
        let mut setup = Setup { max_concurrency, ..Setup::persons(persons) };
        setup.options.rate = None;
        setup.options.latency = Duration::from_millis(20);
        let bridge = setup.start();
        bridge.ready().await;
        assert_eq!(bridge.all_users().await.len(), persons);
        assert_eq!(bridge.simulator.max_concurrent_requests(), max_concurrency);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_429_responses_lose_no_employment() {
    let advertised = SimulatedRateLimit { per_second: 1e6, burst: 1e6 };
    // Without advertised limits the rate stays low for long after many 429 responses, so this row
    // has fewer of them. Both rows mostly wait.
    tokio::join!(passes_a_storm(Some(advertised), 60, 24), passes_a_storm(None, 20, 8));
}

/// Asserts that a load reads all employments although `refused` requests get status 429.
async fn passes_a_storm(rate: Option<SimulatedRateLimit>, persons: usize, refused: usize) {
    let mut setup = Setup::persons(persons);
    setup.options.rate = rate;
    setup.tuning.retry = RetryPolicy { max_retries: 4, initial_delay: Duration::from_millis(5) };
    let simulator = setup.simulator();
    let storm = FaultAction::TooManyRequests { retry_after: None };
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, storm).skip(10).times(refused),
    );
    let bridge = setup.start_with(simulator);
    wait_until("the storm has passed", async || bridge.health().await.0 == 200).await;
    let users = bridge.all_users().await;
    let employed = bridge.simulator.with_world(|world| {
        world.persons.iter().filter(|person| !person.employments.is_empty()).count()
    });
    assert_eq!(users.iter().filter(|user| user[PERSONIO].is_object()).count(), employed);
    assert_eq!(
        (
            bridge.simulator.request_count(SimulatedEndpoint::Employments),
            bridge.simulator.throttled_count()
        ),
        (persons + refused, refused)
    );
}
