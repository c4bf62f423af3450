//! Tests of background refreshes: they run without requests where they are configured, and not
//! elsewhere.

use std::time::{Duration, Instant};

use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, TestServer, loads, wait_until};

/// Interval between refreshes in these tests.
const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

fn setup(persons: usize) -> Setup {
    // The time to live is over at once, so requests would wait without the background refresh.
    let mut setup = Setup {
        refresh_every: Some(REFRESH_INTERVAL),
        cache_ttl: Duration::from_nanos(1),
        ..Setup::persons(persons)
    };
    setup.tuning.cool_down = REFRESH_INTERVAL;
    setup
}

/// Makes every request to Personio hang, so that the next load is the only one until a request
/// times out.
async fn hang(bridge: &TestServer) {
    bridge.simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    tokio::time::sleep(3 * REFRESH_INTERVAL).await;
    bridge.simulator.reset_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn background_refresh_runs_without_requests() {
    let bridge = setup(30).start();
    bridge.ready().await;
    let (start, before) = (Instant::now(), loads(&bridge));
    wait_until("five more loads", async || loads(&bridge) >= before + 5).await;
    assert!(
        start.elapsed() >= 4 * REFRESH_INTERVAL,
        "not more often than wanted: {:?}",
        start.elapsed()
    );
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    wait_until("the change is served", async || bridge.all_users().await.len() == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_that_take_longer_than_the_interval_do_not_overlap() {
    let bridge = setup(30).start();
    bridge.ready().await;
    bridge.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::Delay(5 * REFRESH_INTERVAL),
    ));
    let before = loads(&bridge);
    tokio::time::sleep(14 * REFRESH_INTERVAL).await;
    let more = loads(&bridge) - before;
    assert!((1..=4).contains(&more), "{more} loads");
    wait_until("the next", async || loads(&bridge) > before + more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_do_not_wait_for_a_hanging_background_load() {
    let bridge = setup(30).start();
    let users = bridge.all_users().await;
    hang(&bridge).await;
    let start = Instant::now();
    for user in &users {
        bridge.users("?count=1").await;
        assert_eq!(
            &bridge.get(&format!("/Users/{}", user["id"].as_str().unwrap())).await.json(),
            user
        );
    }
    assert_eq!(bridge.all_users().await, users);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(bridge.simulator.received_requests().is_empty(), "nothing else was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_begin_no_load_of_their_own() {
    let bridge = Setup { refresh_every: Some(Duration::from_secs(3600)), ..setup(30) }.start();
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    for _ in 0..5 {
        assert_eq!(bridge.reloaded().await, users);
    }
    assert!(bridge.simulator.received_requests().is_empty(), "they leave that to the background");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_too_old_is_not_served_with_background_refresh() {
    let setup = Setup {
        max_stale: Duration::from_secs(3600),
        refresh_wait: Duration::from_millis(100),
        ..setup(30)
    };
    let bridge = setup.start();
    bridge.ready().await;
    hang(&bridge).await;
    bridge.clock.pass(Duration::from_secs(3601));
    bridge.get("/Users").await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_background_load_is_repeated_after_the_cool_down() {
    let bridge = setup(30).start();
    let users = bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.failure().await;
    bridge.simulator.reset_history();
    // The clock stands still, so the cool-down lasts until the test moves it.
    for _ in 0..8 {
        tokio::time::sleep(REFRESH_INTERVAL / 2).await;
        assert_eq!(bridge.all_users().await, users);
    }
    assert!(bridge.simulator.received_requests().is_empty(), "an outage is not made worse");
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    wait_until("it is tried again", async || loads(&bridge) > 0).await;
    wait_until("it is well", async || bridge.health().await.1["status"] == "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_first_load_is_repeated_without_requests() {
    let setup = Setup { refresh_every: Some(Duration::from_secs(3600)), ..setup(30) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    bridge.simulator.clear_faults();
    bridge.simulator.reset_history();
    bridge.clock.pass(AFTER_COOL_DOWN);
    wait_until("it is tried again long before the next time", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Employments) == 30
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_background_refresh_no_request_causes_no_load() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) }.start();
    bridge.all_users().await;
    bridge.simulator.reset_history();
    tokio::time::sleep(Duration::from_secs(1)).await;
    bridge.clock.pass(Duration::from_secs(3600));
    for _ in 0..3 {
        assert_eq!(bridge.get("/health/live").await.status, 200);
        assert_eq!(bridge.health().await.0, 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "{:?}",
        bridge.simulator.received_requests()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn background_refresh_ends_with_the_server() {
    let bridge = setup(30).start();
    bridge.ready().await;
    let simulator = bridge.simulator.clone();
    drop(bridge);
    for _ in 0..20 {
        simulator.reset_history();
        tokio::time::sleep(5 * REFRESH_INTERVAL).await;
        if simulator.received_requests().is_empty() {
            return;
        }
    }
    panic!("loads go on although there is nobody to serve");
}
