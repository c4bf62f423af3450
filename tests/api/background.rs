//! Tests of background refreshes: they run without requests where they are configured, and not
//! elsewhere.

use std::time::Duration;

use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint};

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, TestServer, loads, wait_until};

/// Interval between refreshes in these tests, on the test clock.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// Number of tasks that go by the clock: one checks the date, and one refreshes.
const TASKS: usize = 2;

fn setup(persons: usize) -> Setup {
    // The time to live is over at once, so requests would wait without the background refresh.
    Setup { refresh_every: Some(REFRESH_INTERVAL), cache_ttl: SHORT_TTL, ..Setup::persons(persons) }
}

/// Lets a refresh begin whose requests to Personio hang.
async fn hang(bridge: &TestServer) {
    bridge.simulator.add_fault(InjectedFault::everywhere(FaultAction::Hang));
    bridge.clock.settle(TASKS).await;
    bridge.simulator.reset_history();
    bridge.clock.pass(REFRESH_INTERVAL);
    wait_until("the refresh hangs", async || loads(bridge) == 1).await;
    bridge.simulator.reset_history();
}

#[tokio::test(flavor = "multi_thread")]
async fn background_refresh_runs_without_requests() {
    let bridge = setup(30).start();
    bridge.ready().await;
    let nanosecond = Duration::from_nanos(1);
    for number in 1..=5 {
        bridge.clock.settle(TASKS).await;
        bridge.clock.pass(REFRESH_INTERVAL - nanosecond);
        bridge.clock.settle(TASKS).await;
        assert_eq!(loads(&bridge), number, "not more often than wanted");
        bridge.clock.pass(nanosecond);
        wait_until("the next load", async || loads(&bridge) == number + 1).await;
    }
    bridge.clock.settle(TASKS).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    bridge.clock.pass(REFRESH_INTERVAL);
    wait_until("the change is served", async || bridge.all_users().await.len() == 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_do_not_wait_for_a_hanging_background_load() {
    let bridge = setup(30).start();
    let users = bridge.all_users().await;
    hang(&bridge).await;
    let start = std::time::Instant::now();
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
    let mut setup = setup(30);
    setup.tuning.cool_down = 8 * REFRESH_INTERVAL;
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    bridge.clock.settle(TASKS).await;
    bridge.clock.pass(REFRESH_INTERVAL);
    bridge.failure().await;
    bridge.clock.settle(TASKS).await;
    bridge.simulator.reset_history();
    for _ in 0..7 {
        bridge.clock.pass(REFRESH_INTERVAL);
        bridge.clock.settle(TASKS).await;
        assert_eq!(bridge.all_users().await, users);
    }
    assert!(bridge.simulator.received_requests().is_empty(), "an outage is not made worse");
    bridge.simulator.clear_faults();
    bridge.clock.pass(REFRESH_INTERVAL);
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
    bridge.clock.settle(TASKS).await;
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
    bridge.clock.pass(Duration::from_secs(3600));
    bridge.clock.settle(1).await;
    for _ in 0..3 {
        assert_eq!(bridge.get("/health/live").await.status, 200);
        assert_eq!(bridge.health().await.0, 200);
        bridge.clock.pass(Duration::from_secs(60));
        bridge.clock.settle(1).await;
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
    let (simulator, clock) = (bridge.simulator.clone(), bridge.clock.clone());
    drop(bridge);
    wait_until("no task waits any more", async || {
        clock.pass(REFRESH_INTERVAL);
        clock.waiting() == 0
    })
    .await;
    clock.settle(0).await;
    simulator.reset_history();
    clock.pass(REFRESH_INTERVAL);
    clock.settle(0).await;
    assert!(simulator.received_requests().is_empty(), "{:?}", simulator.received_requests());
}
