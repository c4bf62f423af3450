//! Tests of the directory: responses while data is fresh, stale, too old or not loaded yet, and the
//! number of upstream requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use personio_scim::directory::SESSION_IDLE_TIMEOUT;
use personio_scim::mapping::GroupKind;
use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, ERROR_SCHEMA, PERSONIO_USER_SCHEMA as PERSONIO,
};
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedEndpoint, SimulatedPerson, World,
};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{
    AFTER_COOL_DOWN, NOW, SHORT_TTL, Setup, TOKEN, TestServer, by_id, format_timestamp, loads,
    send_request, wait_until,
};

#[tokio::test(flavor = "multi_thread")]
async fn fresh_data_causes_no_upstream_request() {
    let bridge = Setup::persons(30).start();
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    for user in &users {
        let answer = bridge.get(&format!("/Users/{}", user["id"].as_str().unwrap())).await;
        assert_eq!(&answer.json(), user);
    }
    bridge.users("?count=1").await;
    bridge.get("/Groups").await;
    assert!(bridge.simulator.received_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn freshness_ends_exactly_at_the_time_to_live() {
    let (ttl, nanosecond) = (Duration::from_secs(300), Duration::from_nanos(1));
    let bridge = Setup { cache_ttl: ttl, ..Setup::persons(3) }.start();
    bridge.all_users().await;
    for number in 1..=3 {
        bridge.clock.pass(ttl - nanosecond);
        bridge.all_users().await;
        assert_eq!(loads(&bridge), number, "the data is fresh");
        bridge.clock.pass(nanosecond);
        bridge.all_users().await;
        assert_eq!(loads(&bridge), number + 1, "the data is old");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_snapshot_of_a_paging_session_is_freed_without_requests() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) }.start();
    bridge.users("?count=10").await;
    let snapshot = Arc::downgrade(&bridge.directory().state().snapshot.unwrap().0);
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.reloaded().await.len(), 20);
    assert_eq!(bridge.users("?count=10&startIndex=11").await["totalResults"], 30);
    bridge.clock.pass(SESSION_IDLE_TIMEOUT - SHORT_TTL);
    bridge.clock.settle(1).await;
    assert!(snapshot.upgrade().is_some(), "the client can go on");
    bridge.clock.pass(Duration::from_secs(1));
    wait_until("it is freed", async || snapshot.upgrade().is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_share_one_refresh_of_old_data() {
    let mut setup = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) };
    setup.options.latency = Duration::from_millis(10);
    let bridge = setup.start();
    bridge.all_users().await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    assert_eq!(bridge.all_users().await.len(), 30, "still fresh");
    bridge.clock.age(SHORT_TTL);
    let pages = join_all((0..50).map(|_| bridge.users("?count=0"))).await;
    assert!(pages.iter().all(|page| page["totalResults"] == 20), "all waited for the new data");
    assert_eq!(loads(&bridge), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_at_most_refresh_wait_and_gets_old_data() {
    let bridge =
        Setup { cache_ttl: SHORT_TTL, refresh_wait: Duration::from_secs(1), ..Setup::persons(3) }
            .start();
    let users = bridge.all_users().await;
    let before = loads(&bridge);
    bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    bridge.clock.age(SHORT_TTL);
    let start = Instant::now();
    let asked = tokio::spawn(bridge.request(reqwest::Method::GET, "/Users").send());
    wait_until("the refresh began", async || loads(&bridge) == before + 1).await;
    // The test clock stands still, so the test advances it by the time that has passed since the
    // refresh began.
    bridge.clock.pass(Duration::from_secs(1));
    let page: Value =
        serde_json::from_str(&asked.await.unwrap().unwrap().text().await.unwrap()).unwrap();
    assert_eq!(page["Resources"], Value::Array(users.clone()));
    assert!(start.elapsed() >= Duration::from_secs(1), "it waited");
    assert_eq!(bridge.all_users().await, users);
    assert_eq!(loads(&bridge), before + 1, "the same refresh is still under way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_refresh_keeps_old_data_and_starts_the_cool_down() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(30) }.start();
    let users = bridge.all_users().await;
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    assert_eq!(bridge.reloaded().await, users);
    bridge.failure().await;
    bridge.simulator.reset_history();
    for _ in 0..20 {
        assert_eq!(bridge.all_users().await, users);
        assert_eq!(
            bridge.get(&format!("/Users/{}", users[0]["id"].as_str().unwrap())).await.status,
            200
        );
    }
    assert!(
        bridge.simulator.received_requests().is_empty(),
        "an outage is not made worse by those who ask"
    );
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.all_users().await, users);
    assert!(loads(&bridge) > 0, "after the pause it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_too_old_is_not_served() {
    let setup =
        Setup { cache_ttl: SHORT_TTL, max_stale: Duration::from_secs(3600), ..Setup::persons(30) };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    bridge.simulator.add_fault(InjectedFault::everywhere(FaultAction::Status(500)));
    bridge.clock.pass(Duration::from_secs(3600));
    assert_eq!(bridge.all_users().await, users);
    bridge.clock.pass(Duration::from_secs(1));
    let answer = bridge.get("/Users").await;
    answer.scim_error(503, None);
    assert!(
        (1..=15).contains(&answer.header("retry-after").parse::<u64>().unwrap()),
        "{:?}",
        answer.headers
    );
    bridge.get(&format!("/Users/{}", users[0]["id"].as_str().unwrap())).await.scim_error(503, None);
    assert_eq!(bridge.health().await.0, 503);
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    assert_eq!(bridge.all_users().await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_before_the_first_load_reports_its_progress() {
    let setup = Setup { refresh_wait: Duration::from_millis(100), ..Setup::persons(60) };
    let simulator = setup.simulator();
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Hang).skip(25));
    let bridge = setup.start_with(simulator);
    wait_until("25 employments were read", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Employments) > 40
    })
    .await;
    let answer = bridge.get("/Users").await;
    let detail = answer.scim_error(503, None);
    assert!(detail.contains("25 of 60 persons read"), "{detail}");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_first_load_is_not_repeated_for_every_request() {
    let setup = Setup::persons(30);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(403)));
    let bridge = setup.start_with(simulator);
    bridge.failure().await;
    bridge.simulator.reset_history();
    for _ in 0..10 {
        bridge.get("/Users").await.scim_error(503, None);
        bridge.get("/Users/1220426").await.scim_error(503, None);
        assert_eq!(bridge.health().await.0, 503);
    }
    assert!(bridge.simulator.received_requests().is_empty());
    // Load balancers send only readiness probes to a server that is not ready, so the probe must
    // start the load.
    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    bridge.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_single_users_are_fetched() {
    let setup = never_loading(Setup::persons(60));
    let later = Setup::persons(60).start().all_users().await;
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    let bridge = setup.start_with(simulator);
    let managed = later.iter().find(|user| user[ENTERPRISE]["manager"].is_object()).unwrap();
    let path = format!("/Users/{}", managed["id"].as_str().unwrap());
    wait_until("names were read", async || {
        bridge.simulator.request_count(SimulatedEndpoint::CostCenters) == 1
    })
    .await;

    let answers = join_all((0..20).map(|_| bridge.get(&path))).await;
    let requests = |endpoint| bridge.simulator.request_count(endpoint);
    // Single reads: the person and the supervisor, the employments, and the persons with the same
    // address. The load lists the persons once more.
    let asked =
        [SimulatedEndpoint::Person, SimulatedEndpoint::Employments, SimulatedEndpoint::Persons]
            .map(requests);
    assert_eq!(asked, [2, 1, 2]);
    for answer in answers {
        let user = answer.json();
        let members = [
            "id",
            "externalId",
            "userName",
            "name",
            "displayName",
            "title",
            "active",
            "emails",
            "userType",
        ];
        for member in members.into_iter().chain([ENTERPRISE, PERSONIO]) {
            assert_eq!(
                without_addresses(&user)[member],
                without_addresses(managed)[member],
                "{member}"
            );
        }
    }
    bridge.get("/Users/1").await.scim_error(404, None);
    assert_eq!(requests(SimulatedEndpoint::Person), 3);
    assert_eq!(loads(&bridge), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_person_returns_404_only_when_personio_confirms_it() {
    for (action, status) in [
        (FaultAction::NotFoundResource, 404),
        (FaultAction::NotFoundRoute, 503),
        (FaultAction::HtmlError(404), 503),
        (FaultAction::Status(500), 503),
        (FaultAction::Status(401), 503),
        (FaultAction::WrongJson, 503),
    ] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Person, action.clone()));
        let bridge = setup.start_with(simulator);
        let answer = bridge.get("/Users/1").await;
        assert_eq!(answer.status.as_u16(), status, "{action:?}: {}", answer.text);
        answer.scim_error(status, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_manager_levels_a_user_with_a_manager_is_served_after_the_first_load() {
    let mut setup = never_loading(Setup::persons(60));
    setup.policy.optional.manager_levels = true;
    let (chief, report) = (setup.world.persons[0].id.clone(), setup.world.persons[1].id.clone());
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    let bridge = setup.start_with(simulator);
    wait_until("the load has begun", async || {
        bridge.simulator.request_count(SimulatedEndpoint::Persons) == 1
    })
    .await;
    bridge.get(&format!("/Users/{report}")).await.scim_error(503, None);
    assert_eq!(bridge.get(&format!("/Users/{chief}")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_single_reads_do_not_starve_the_load() {
    let setup = never_loading(Setup::persons(60));
    let ids: Vec<String> = setup.world.persons.iter().map(|person| person.id.clone()).collect();
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    simulator.set_latency(Duration::from_millis(20));
    let bridge = setup.start_with(simulator);
    let ask = async |id: &String| bridge.get(&format!("/Users/{id}")).await.status;
    let answers = join_all(ids.iter().map(ask)).await;
    assert!(answers.iter().all(|status| *status == 200));
    let most = bridge.simulator.max_concurrent_requests();
    assert!(
        most <= 4 * 2 + 7,
        "four at once, two requests each, and what the load itself asks: {most}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_ids_cause_no_upstream_request() {
    let setup = Setup { refresh_wait: Duration::from_millis(100), ..Setup::persons(3) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let bridge = setup.start_with(simulator);
    for id in ["..%2F1", "a%20b", "1%2F2", "%00", "%F0%9F%A6%80", &"9".repeat(65), "1%3Fx=1", "1;2"]
    {
        let answer = bridge.get(&format!("/scim/v2/Users/{id}")).await;
        answer.scim_error(503, None);
        assert!(
            answer.header("retry-after").parse::<u64>().unwrap() >= 1,
            "a list may hold such an id"
        );
    }
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Person)
            + bridge.simulator.request_count(SimulatedEndpoint::Unknown),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_changes_only_with_served_values() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let first = bridge.all_users().await;
    bridge.clock.pass(Duration::from_secs(600));
    bridge.simulator.with_world(|world| {
        world.persons.iter_mut().for_each(|person| person.gender = Some("x".into()))
    });
    assert_eq!(bridge.reloaded().await, first, "nothing that is emitted has changed");

    let manager = |user: &Value| user[ENTERPRISE]["manager"]["value"].as_str().map(str::to_owned);
    let boss = first.iter().find_map(manager).unwrap();
    bridge.simulator.with_world(|world| {
        let person = world.persons.iter_mut().find(|person| person.id == boss).unwrap();
        person.preferred_name = Some("The Boss".to_owned());
    });
    let second = bridge.reloaded().await;
    let now = bridge.clock.clone();
    let now = format_timestamp(personio_scim::clock::Clock::now(&now));
    for (before, after) in first.iter().zip(&second) {
        assert_eq!(before["id"], after["id"], "the order stays");
        let is_touched = after["id"] == boss.as_str() || manager(after).as_deref() == Some(&boss);
        assert_eq!(before["meta"]["version"] != after["meta"]["version"], is_touched, "{after}");
        let expected = if is_touched {
            Value::from(now.as_str())
        } else {
            before["meta"]["lastModified"].clone()
        };
        assert_eq!(after["meta"]["lastModified"], expected);
        if is_touched && after["id"] != boss.as_str() {
            assert_eq!(after[ENTERPRISE]["manager"]["displayName"], "The Boss");
        }
    }

    // A renamed department changes its members once look-ups are read again.
    bridge.clock.pass(Duration::from_secs(24 * 3600));
    bridge.simulator.with_world(|world| {
        world.org_units.iter_mut().for_each(|unit| unit.name.push_str(" (new)"))
    });
    let third = bridge.reloaded().await;
    for (before, after) in second.iter().zip(&third) {
        let is_member = after[ENTERPRISE]["department"].is_string();
        assert_eq!(before["meta"]["version"] != after["meta"]["version"], is_member, "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_deleted_persons_disappear() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let users = bridge.all_users().await;
    let (gone, left) = (users[7]["id"].as_str().unwrap(), users[8]["id"].as_str().unwrap());
    bridge.simulator.with_world(|world| {
        world.persons.retain(|person| person.id != gone);
        let person = world.persons.iter_mut().find(|person| person.id == left).unwrap();
        person.status = Some("INACTIVE".to_owned());
        person
            .employments
            .iter_mut()
            .for_each(|employment| employment.status = Some("INACTIVE".to_owned()));
    });
    let now = bridge.reloaded().await;
    assert_eq!(now.len(), 59);
    assert_eq!(by_id(&now, left)["active"], false, "a leaver stays listed");
    bridge.get(&format!("/Users/{gone}")).await.scim_error(404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paging_session_reads_one_snapshot() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let users = bridge.all_users().await;
    let mut walked =
        bridge.users("?startIndex=1&count=20").await["Resources"].as_array().unwrap().clone();
    bridge.simulator.with_world(|world| {
        world.persons.retain(|person| person.id != users[3]["id"].as_str().unwrap())
    });
    assert_eq!(bridge.reloaded().await.len(), 59, "another client sees the new snapshot");
    for start in [21, 41] {
        let page = bridge.users(&format!("?startIndex={start}&count=20")).await;
        assert_eq!(page["totalResults"], 60);
        walked.extend(page["Resources"].as_array().unwrap().clone());
    }
    assert_eq!(walked, users, "nobody twice, nobody missing");
    assert_eq!(
        bridge.users("?startIndex=1&count=20").await["totalResults"],
        59,
        "a new walk sees the new one"
    );
    assert_eq!(bridge.users("?startIndex=21&count=20").await["totalResults"], 59);

    // A client that never requests a first page starts no paging session.
    let further = "?startIndex=2&count=30&filter=id+pr";
    assert_eq!(bridge.users(further).await["totalResults"], 59);
    bridge.simulator.with_world(|world| world.persons.truncate(50));
    assert_eq!(bridge.reloaded().await.len(), 50);
    assert_eq!(bridge.users(further).await["totalResults"], 50);
}

/// Returns a page that a client with this user agent requests.
async fn page_of(bridge: &TestServer, method: Method, client: &str, query: &str) -> Value {
    let request = bridge.request(method, &format!("/Users{query}")).header("User-Agent", client);
    serde_json::from_str(&send_request(request).await.text).unwrap_or_default()
}

/// Returns `totalResults` of a further page after a person has gone since the first page.
async fn total(bridge: &TestServer, first: &str, further: &str) -> usize {
    bridge.users(first).await;
    bridge.simulator.with_world(|world| world.persons.truncate(world.persons.len() - 1));
    bridge.reloaded().await;
    usize::try_from(bridge.users(further).await["totalResults"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paging_session_is_found_by_query_for_any_page_size() {
    // A refresh reads the list of persons only.
    let hour = Duration::from_secs(3600);
    let bridge =
        Setup { cache_ttl: SHORT_TTL, employment_recheck: hour, ..Setup::persons(60) }.start();
    let old = |query: &str| (query.to_owned(), 0);
    let new = |query: &str| (query.to_owned(), 1);
    for (further, gone) in [
        old("?startIndex=21&count=20"),
        old("?startIndex=41&count=5"),
        old("?startIndex=21"),
        old("?STARTINDEX=21&count=20&unheard=of"),
        new("?startIndex=21&count=20&filter=id+pr"),
        new("?startIndex=21&count=20&sortBy=userName"),
        new("?startIndex=21&count=20&sortOrder=descending"),
        new("?startIndex=21&count=20&attributes=id"),
        new("?startIndex=21&count=20&excludedAttributes=id"),
        new("?startIndex=1&count=20"),
    ] {
        let before = bridge.reloaded().await.len();
        assert_eq!(total(&bridge, "?count=20", &further).await, before - gone, "{further}");
    }
    // A first page with all users, or with none, starts no paging session.
    for first in ["?count=0", "?count=1000", "?count=20&filter=userName+eq+%22nobody%22"] {
        let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
        let further = format!("{first}&startIndex=2");
        let expected = if first.contains("filter") { 0 } else { 59 };
        assert_eq!(total(&bridge, first, &further).await, expected, "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_paging_sessions_keep_their_own_snapshots() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let get = async |client: &'static str, query: &str| {
        page_of(&bridge, Method::GET, client, query).await["totalResults"].clone()
    };
    bridge.all_users().await;
    assert_eq!(get("one", "?count=20").await, 60);
    bridge.simulator.with_world(|world| world.persons.truncate(59));
    bridge.reloaded().await;
    assert_eq!(get("two", "?count=20").await, 59);
    assert_eq!(get("one", "?count=25&filter=id+pr").await, 59);
    bridge.simulator.with_world(|world| world.persons.truncate(58));
    bridge.reloaded().await;
    page_of(&bridge, Method::HEAD, "one", "?count=20").await;
    page_of(&bridge, Method::HEAD, "two", "?count=20").await;
    for start in [21, 41] {
        assert_eq!(
            get("one", &format!("?count=20&startIndex={start}")).await,
            60,
            "neither another nor HEAD moves it"
        );
        assert_eq!(get("two", &format!("?count=20&startIndex={start}")).await, 59);
        assert_eq!(get("one", &format!("?count=25&filter=id+pr&startIndex={start}")).await, 59);
        assert_eq!(get("three", &format!("?count=20&startIndex={start}")).await, 58);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_groups_are_modified_when_first_seen() {
    let mut setup = Setup::persons(60);
    setup.policy.groups = vec![GroupKind::Department];
    let bridge = setup.start();
    let groups = bridge.list("/Groups", &[]).await;
    let earlier = format!("meta.lastModified lt \"{NOW}\"");
    let since = format!("meta.lastModified ge \"{NOW}\"");
    assert_eq!(
        bridge.list("/Groups", &[("filter", &since)]).await,
        groups,
        "what changed while nobody looked is not known"
    );
    assert_eq!(bridge.list("/Groups", &[("filter", &earlier)]).await["totalResults"], 0);
    assert_eq!(
        bridge.list("/Users", &[("filter", &since)]).await["totalResults"],
        0,
        "of users Personio says it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_queries_return_the_same_as_fast_ones() {
    let bridge = Setup::persons(1200).start();
    bridge.ready().await;
    let users = bridge.all_users().await;
    let some = &users[700];
    let sieve = |holds: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        users.iter().filter(|user| holds(user)).cloned().collect()
    };
    for (filter, expected) in [
        ("active eq false".to_owned(), sieve(&|user| user["active"] == false)),
        (format!("id eq {}", some["id"]), vec![some.clone()]),
        (format!("id eq {} or id eq {0}", some["id"]), vec![some.clone()]),
        (format!("not (id ne {})", some["id"]), vec![some.clone()]),
    ] {
        let page = bridge.list("/Users", &[("filter", &filter)]).await;
        assert_eq!(page["Resources"], Value::from(expected), "{filter}");
    }
    let mut pages =
        bridge.list("/Users", &[("count", "1000")]).await["Resources"].as_array().unwrap().clone();
    pages.extend(
        bridge.list("/Users", &[("startIndex", "1001")]).await["Resources"]
            .as_array()
            .unwrap()
            .clone(),
    );
    assert_eq!(pages, users);
}

/// Raises the upstream timeout, so that a load waits for a request that hangs.
fn never_loading(mut setup: Setup) -> Setup {
    setup.tuning.upstream_timeout = Duration::from_secs(600);
    setup
}

/// Starts a server whose first load never ends, because the list of persons hangs.
async fn hanging(persons: usize) -> TestServer {
    hanging_with(persons, None).await
}

/// Starts a server as [`hanging`] does, with a further fault from the beginning.
async fn hanging_with(persons: usize, fault: Option<InjectedFault>) -> TestServer {
    let setup = Setup {
        public_url: Some("https://scim.example.com"),
        ..never_loading(Setup::persons(persons))
    };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    fault.into_iter().for_each(|fault| simulator.add_fault(fault));
    let bridge = setup.start_with(simulator);
    wait_until("the first load hangs", async || loads(&bridge) == 1).await;
    bridge
}

/// Returns a user without the URL of the manager, which contains the server's address.
fn without_addresses(user: &Value) -> Value {
    let mut user = user.clone();
    if let Some(Value::Object(manager)) = user.pointer_mut(&format!("/{ENTERPRISE}/manager")) {
        manager.remove("$ref");
    }
    user
}

#[tokio::test(flavor = "multi_thread")]
async fn single_users_equal_the_list_and_cost_few_requests_once() {
    let users = Setup { public_url: Some("https://scim.example.com"), ..Setup::persons(40) }
        .start()
        .all_users()
        .await;
    let bridge = hanging(40).await;
    for user in &users {
        let path = format!("/Users/{}", user["id"].as_str().unwrap());
        bridge.simulator.reset_history();
        let answer = bridge.get(&path).await;
        assert_eq!(&answer.json(), user);
        assert_eq!(bridge.get(&format!("/scim/v2{path}")).await.text, answer.text, "kept");
        let count = |endpoint| bridge.simulator.request_count(endpoint);
        let has_manager = user.pointer(&format!("/{ENTERPRISE}/manager")).is_some();
        let persons = 1 + usize::from(has_manager);
        assert_eq!(
            (
                count(SimulatedEndpoint::Persons),
                count(SimulatedEndpoint::Person),
                count(SimulatedEndpoint::Employments)
            ),
            (1, persons, 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_users_come_from_the_snapshot_once_it_exists() {
    let setup = Setup::persons(40);
    let path = format!("/Users/{}", setup.world.persons[30].id);
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Delay(Duration::from_secs(1)))
            .times(1),
    );
    let bridge = setup.start_with(simulator);
    let alone = bridge.get(&path).await.json();
    assert!(bridge.simulator.request_count(SimulatedEndpoint::Person) > 0);
    let users = bridge.all_users().await;
    bridge.simulator.reset_history();
    let user = bridge.get(&path).await.json();
    assert_eq!(&user, by_id(&users, alone["id"].as_str().unwrap()));
    assert_eq!(alone, user);
    assert!(bridge.simulator.received_requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_of_single_reads_are_not_cached() {
    let bridge = hanging(5).await;
    let path =
        format!("/Users/{}", bridge.simulator.with_world(|world| world.persons[0].id.clone()));
    for action in [
        FaultAction::ConnectionReset,
        FaultAction::Status(403),
        FaultAction::TruncatedJson,
        FaultAction::Oversized(17 << 20),
    ] {
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Person, action.clone()));
        let answer = bridge.get(&path).await;
        answer.scim_error(503, None);
        assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1, "{action:?}");
        bridge.simulator.clear_faults();
    }
    assert_eq!(bridge.get(&path).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_single_user_is_not_served() {
    let [employments, units, persons] =
        [SimulatedEndpoint::Employments, SimulatedEndpoint::OrgUnits, SimulatedEndpoint::Persons];
    for (endpoint, action) in [
        (employments, FaultAction::Status(502)),
        (employments, FaultAction::NotFoundResource),
        (employments, FaultAction::Status(403)),
        (employments, FaultAction::WrongJson),
        (employments, FaultAction::EmptyListing),
        (units, FaultAction::Status(403)),
        (persons, FaultAction::Status(403)),
        (persons, FaultAction::WrongJson),
        (persons, FaultAction::EmptyListing),
    ] {
        let bridge = hanging_with(12, Some(InjectedFault::on(endpoint, action.clone()))).await;
        let person = bridge.simulator.with_world(|world| {
            let in_unit = |person: &&SimulatedPerson| {
                person.employments.iter().any(|employment| !employment.org_units.is_empty())
            };
            world.persons.iter().find(in_unit).unwrap().id.clone()
        });
        let answer = bridge.get(&format!("/Users/{person}")).await;
        answer.scim_error(503, None);
        assert!(
            answer.header("retry-after").parse::<u64>().unwrap() >= 1,
            "{endpoint:?}: {action:?}"
        );
    }
}

type Alteration = fn(&mut World);

/// Returns the response for the first person, fetched alone, after a change of the company.
async fn alone_after(change: Alteration) -> (u16, Value) {
    let mut setup = never_loading(Setup::persons(12));
    change(&mut setup.world);
    let id = setup.world.persons[0].id.clone();
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).times(1));
    let bridge = setup.start_with(simulator);
    wait_until("the first load hangs", async || loads(&bridge) == 1).await;
    let answer = bridge.get(&format!("/Users/{id}")).await;
    (answer.status.as_u16(), answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_is_served_only_if_the_list_would_contain_it() {
    let rows: [(&str, Alteration, u16); 7] = [
        ("as it is", |_| {}, 200),
        (
            "no status at all",
            |world| {
                let person = &mut world.persons[0];
                person.status = None;
                person.employments.iter_mut().for_each(|employment| employment.status = None);
            },
            503,
        ),
        ("no address", |world| world.persons[0].email = None, 503),
        (
            "an address of two persons",
            |world| {
                world.persons[0].email =
                    world.persons[1].email.as_ref().map(|email| email.to_uppercase())
            },
            503,
        ),
        (
            "an address like a fallback",
            |world| world.persons[0].email = Some("personio-7@example.com".into()),
            503,
        ),
        (
            "an address with a comma",
            |world| world.persons[0].email = Some("a,b@example.com".into()),
            503,
        ),
        (
            "a supervisor who does not exist",
            |world| {
                world.persons[0]
                    .employments
                    .iter_mut()
                    .for_each(|employment| employment.supervisor = Some("1".into()));
            },
            200,
        ),
    ];
    for (what, change, status) in rows {
        let (found, user) = alone_after(change).await;
        assert_eq!(found, status, "{what}: {user}");
        if what.starts_with("a supervisor") {
            assert!(user[ENTERPRISE].get("manager").is_none(), "{what}: {user}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listed_id_is_readable_by_its_location() {
    let mut setup = Setup::persons(8);
    let ids =
        ["a b", "ä-1", "1;2", "1?x=1", "50%", "a/b", "1+1", &"9".repeat(200)].map(str::to_owned);
    for (person, id) in setup.world.persons.iter_mut().zip(&ids) {
        person.id.clone_from(id);
    }
    let bridge = setup.start();
    let users = bridge.all_users().await;
    assert_eq!(users.len(), ids.len());
    for user in users {
        let location = user["meta"]["location"].as_str().unwrap();
        let answer = send_request(bridge.http.get(location).bearer_auth(TOKEN)).await;
        assert_eq!((answer.status.as_u16(), &answer.json()), (200, &user), "{location}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_user_keeps_a_known_employment() {
    let wait = Duration::from_millis(300);
    let bridge = Setup { cache_ttl: SHORT_TTL, refresh_wait: wait, ..Setup::persons(12) }.start();
    bridge.ready().await;
    let users = bridge.all_users().await;
    let employed = users.iter().filter(|user| user[PERSONIO]["employmentId"].is_string());
    // The loaded data is too old to be served, and no new load succeeds.
    bridge.clock.pass(Duration::from_secs(48 * 3600));
    bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    let actions = [
        FaultAction::Status(502),
        FaultAction::Status(403),
        FaultAction::WrongJson,
        FaultAction::EmptyListing,
    ];
    for (user, action) in employed.zip(actions) {
        let id = user["id"].as_str().unwrap();
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action).person(id));
        bridge.get(&format!("/Users/{id}")).await.scim_error(503, None);
    }
    let whole = &users.last().unwrap()["id"];
    // A single person that could not be compared with the served data is not served either.
    bridge.get(&format!("/Users/{}", whole.as_str().unwrap())).await.scim_error(503, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_before_the_first_load_reports_the_listing_progress() {
    let setup = Setup { refresh_wait: Duration::from_millis(100), ..Setup::persons(120) };
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang).skip(2));
    let bridge = setup.start_with(simulator);
    wait_until("two pages are there", async || loads(&bridge) == 3).await;
    let detail = bridge.get("/Users").await.scim_error(503, None);
    assert!(detail.contains("100 persons listed so far"), "{detail}");
    assert_eq!(bridge.health().await.1["parts"]["directory"]["status"], "loading");
}

/// Returns the response to a request target sent byte by byte; client libraries would not send
/// it.
async fn raw(bridge: &TestServer, target: &str) -> String {
    let mut stream =
        TcpStream::connect(bridge.origin.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: scim\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_targets_cause_no_upstream_request() {
    let bridge = hanging(5).await;
    let long = "a".repeat(4000);
    for id in [
        "..",
        ".",
        "%2E%2E",
        "%2F",
        "..%2F..%2Fauth%2Ftoken",
        "1%0D%0AX-Injected:1",
        "%FF",
        "%252F",
        "*",
        "{id}",
        &long,
    ] {
        for base in ["/scim/v2/Users", "/Users"] {
            let answer = raw(&bridge, &format!("{base}/{id}")).await;
            let is_refused =
                ["HTTP/1.1 404 ", "HTTP/1.1 503 "].iter().any(|status| answer.starts_with(status));
            assert!(is_refused, "{id}: {answer}");
            assert!(answer.contains(ERROR_SCHEMA), "{id}: {answer}");
        }
    }
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Person)
            + bridge.simulator.request_count(SimulatedEndpoint::Unknown),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_sorts_by_creation_and_is_modified_now() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let users = bridge.all_users().await;
    let created = users[30]["meta"]["created"].as_str().unwrap();
    let newcomer = SimulatedPerson {
        id: "1".to_owned(),
        created_at: Some(created.parse().unwrap()),
        ..SimulatedPerson::default()
    };
    bridge.simulator.with_world(|world| {
        world.persons.reverse();
        world.persons.push(newcomer);
    });
    bridge.clock.pass(Duration::from_secs(3600));
    let mut seen = bridge.reloaded().await;
    let now = format_timestamp(personio_scim::clock::Clock::now(&bridge.clock));
    let user = seen.remove(30);
    assert_eq!(
        (&user["id"], &user["meta"]["lastModified"]),
        (&"1".into(), &now.into()),
        "it must not be missed"
    );
    assert_eq!(seen, users, "the order of the others, and all they are");
}

/// Change of a person.
type Change = fn(&mut SimulatedPerson);

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change_updates_meta_of_that_user_only() {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(60) }.start();
    let mut before = bridge.all_users().await;
    let leads = |id: &Value| before.iter().any(|user| user[ENTERPRISE]["manager"]["value"] == *id);
    let one = before.iter().find(|user| user["title"].is_string() && !leads(&user["id"])).unwrap();
    let id = one["id"].as_str().unwrap().to_owned();
    let changes: [(&str, Change); 6] = [
        ("title", |it| it.employments.iter_mut().for_each(|it| it.position = Some("T".into()))),
        ("name", |it| it.last_name = Some("Neu".into())),
        ("address", |it| it.email = None),
        ("status", |it| {
            it.employments.iter_mut().for_each(|it| it.status = Some("SABBATICAL".into()))
        }),
        ("manager", |it| it.employments.iter_mut().for_each(|it| it.supervisor = None)),
        ("cost centre", |it| it.employments.iter_mut().for_each(|it| it.cost_centers.clear())),
    ];
    for (what, change) in changes {
        bridge.clock.pass(Duration::from_secs(60));
        bridge
            .simulator
            .with_world(|world| change(world.persons.iter_mut().find(|it| it.id == id).unwrap()));
        let after = bridge.reloaded().await;
        let now = Value::from(format_timestamp(personio_scim::clock::Clock::now(&bridge.clock)));
        for (earlier, later) in before.iter().zip(&after) {
            if later["id"] == id.as_str() {
                assert_ne!(earlier["meta"]["version"], later["meta"]["version"], "{what}");
                assert_eq!(later["meta"]["lastModified"], now, "{what}");
            } else {
                assert_eq!(earlier, later, "{what}");
            }
        }
        before = after;
    }
}
