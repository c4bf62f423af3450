//! Tests of the upstream cost of a load, and of the failures that a load survives or that end it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{
    FaultAction, InjectedFault, Quirks, SimulatedEmployment, SimulatedEndpoint, SimulatedOrgUnit,
    SimulatedOrgUnitType, SimulatedPerson, Simulator, World,
};
use serde_json::Value;

use crate::harness::{AFTER_COOL_DOWN, SHORT_TTL, Setup, TestServer, by_id};

const LOOK_UPS: [SimulatedEndpoint; 6] = [
    SimulatedEndpoint::OrgUnits,
    SimulatedEndpoint::OrgUnit,
    SimulatedEndpoint::LegalEntities,
    SimulatedEndpoint::Workplaces,
    SimulatedEndpoint::CostCenters,
    SimulatedEndpoint::Jobs,
];
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns the number of look-up requests so far.
fn look_ups(simulator: &Simulator) -> usize {
    LOOK_UPS.into_iter().map(|endpoint| simulator.request_count(endpoint)).sum()
}

/// Starts a server whose every list request causes a load, and returns the users of the first load.
async fn start_always_loading(persons: usize) -> (TestServer, Vec<Value>) {
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::persons(persons) }.start();
    let users = bridge.all_users().await;
    (bridge, users)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_load_asks_once_per_fifty_persons_and_once_per_person() {
    for persons in [1, 50, 51, 230] {
        let bridge = Setup::persons(persons).start();
        assert_eq!(bridge.all_users().await.len(), persons);
        let count = |endpoint| bridge.simulator.request_count(endpoint);
        assert_eq!(count(SimulatedEndpoint::Persons), persons.div_ceil(50), "pages of {persons}");
        assert_eq!(count(SimulatedEndpoint::Employments), persons);
        assert_eq!(
            (
                count(SimulatedEndpoint::Token),
                count(SimulatedEndpoint::Person),
                count(SimulatedEndpoint::Unknown)
            ),
            (1, 0, 0)
        );
        assert_eq!(
            (
                count(SimulatedEndpoint::LegalEntities),
                count(SimulatedEndpoint::Workplaces),
                count(SimulatedEndpoint::CostCenters),
                count(SimulatedEndpoint::Jobs)
            ),
            (1, 1, 1, 1)
        );
        assert_eq!(count(SimulatedEndpoint::OrgUnits), 2, "departments, teams");
        for request in bridge.simulator.received_requests() {
            let reads = request.endpoint != SimulatedEndpoint::Token;
            assert_eq!(
                reads,
                request.query.split('&').any(|pair| pair == "limit=50"),
                "{request:?}"
            );
            assert_eq!(request.app_id.as_deref(), Some("PERSONIO_SCIM"), "{request:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_requests_cause_one_token_and_one_load() {
    let mut setup = Setup::persons(60);
    setup.options.latency = Duration::from_millis(50);
    let bridge = setup.start();
    let answers = join_all((0..100).map(|_| bridge.users("?count=1"))).await;
    assert!(answers.iter().all(|page| page["totalResults"] == 60));
    let count = |endpoint| bridge.simulator.request_count(endpoint);
    assert_eq!(
        (
            count(SimulatedEndpoint::Token),
            count(SimulatedEndpoint::Persons),
            count(SimulatedEndpoint::Employments)
        ),
        (1, 2, 60)
    );
    let most = bridge.simulator.max_concurrent_requests();
    assert!((2..=24).contains(&most), "{most} requests at once: some, but not all");
}

#[tokio::test(flavor = "multi_thread")]
async fn employments_are_read_page_by_page_too() {
    let employment = |number: usize| SimulatedEmployment {
        id: format!("e{number}"),
        status: Some(if number == 59 { "ACTIVE" } else { "INACTIVE" }.to_owned()),
        position: Some(format!("Position {number}")),
        employment_start_date: Some(
            jiff::civil::date(2000, 1, 1).saturating_add(jiff::Span::new().months(number as i64)),
        ),
        ..SimulatedEmployment::default()
    };
    let person = SimulatedPerson {
        id: "7".to_owned(),
        employments: (0..60).map(employment).collect(),
        ..SimulatedPerson::default()
    };
    let mut setup = Setup::of(World { persons: vec![person], ..World::empty() });
    setup.options.quirks = Quirks { employments_oldest_first: true, ..Quirks::default() };
    let bridge = setup.start();
    let users = bridge.all_users().await;
    assert_eq!(
        (users[0]["title"].as_str(), users[0]["active"].as_bool()),
        (Some("Position 59"), Some(true))
    );
    assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Employments), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_failures_are_retried() {
    for (action, at_least) in [
        (FaultAction::Status(500), Duration::ZERO),
        (FaultAction::Status(502), Duration::ZERO),
        (FaultAction::Status(503), Duration::ZERO),
        (FaultAction::HtmlError(502), Duration::ZERO),
        (FaultAction::HtmlError(504), Duration::ZERO),
        (FaultAction::CustomBody(500, "application/json", String::new()), Duration::ZERO),
        (FaultAction::ConnectionReset, Duration::ZERO),
        (FaultAction::TruncatedBody, Duration::ZERO),
        (FaultAction::Hang, Duration::ZERO),
        (FaultAction::TooManyRequests { retry_after: None }, Duration::from_secs(1)),
        (FaultAction::TooManyRequests { retry_after: Some(2) }, Duration::from_secs(2)),
    ] {
        tokio::join!(
            is_retried(SimulatedEndpoint::Persons, &action, at_least),
            is_retried(SimulatedEndpoint::Employments, &action, at_least),
        );
    }
}

/// Asserts that a first load repeats a request that fails once, after the time that it must wait.
async fn is_retried(endpoint: SimulatedEndpoint, action: &FaultAction, at_least: Duration) {
    let mut setup = Setup::persons(3);
    setup.tuning.upstream_timeout = Duration::from_millis(700);
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(endpoint, action.clone()).times(1));
    let start = Instant::now();
    let bridge = setup.start_with(simulator);
    let users = bridge.all_users().await;
    assert!(start.elapsed() >= at_least, "{action:?}: {:?}", start.elapsed());
    assert!(
        users.len() == 3 && users.iter().all(|user| user[PERSONIO]["employmentId"].is_string()),
        "{action:?}"
    );
    let usual = if endpoint == SimulatedEndpoint::Persons { 1 } else { 3 };
    assert_eq!(bridge.simulator.request_count(endpoint), usual + 1, "{action:?} of {endpoint:?}");
    assert_eq!(bridge.health().await.1["status"], "ok", "{action:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn persistent_failures_end_after_all_attempts() {
    for action in [FaultAction::Status(503), FaultAction::ConnectionReset] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action.clone()));
        let bridge = setup.start_with(simulator);
        bridge.get("/Users").await.scim_error(503, None);
        bridge.failure().await;
        assert_eq!(
            bridge.simulator.request_count(SimulatedEndpoint::Persons),
            3,
            "{action:?}: two retries"
        );
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Employments), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn permanent_failures_are_not_retried_and_change_nothing() {
    let (bridge, users) = start_always_loading(60).await;
    bridge.simulator.with_world(|world| world.persons.truncate(20));
    for (page, action, expected) in [
        (0, FaultAction::Status(400), "400"),
        (0, FaultAction::Status(403), "403"),
        (0, FaultAction::NotFoundResource, "Personio has no such resource"),
        (0, FaultAction::NotFoundRoute, "base URL"),
        (0, FaultAction::HtmlError(404), "base URL"),
        (0, FaultAction::Status(410), "410"),
        (0, FaultAction::CustomBody(204, "application/json", String::new()), "204"),
        (0, FaultAction::TruncatedJson, "is not used"),
        (0, FaultAction::WrongJson, "is not used"),
        (0, FaultAction::HtmlError(200), "is not used"),
        (0, FaultAction::Oversized(17 << 20), "larger than"),
        (0, FaultAction::EmptyListing, "contains no person"),
    ] {
        bridge.simulator.reset_history();
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action.clone()).skip(page));
        assert_eq!(bridge.reloaded().await, users, "{action:?}");
        let failure = bridge.failure().await;
        assert!(failure.contains(expected), "{action:?}: {failure}");
        assert_eq!(bridge.health().await.1["status"], "degraded");
        assert_eq!(
            bridge.simulator.request_count(SimulatedEndpoint::Persons),
            page + 1,
            "{action:?}"
        );
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Employments), 0, "{action:?}");
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
    }
    assert_eq!(bridge.reloaded().await.len(), 20);
    assert_eq!(bridge.health().await.1["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_missing_ends_the_load_like_the_first() {
    let (bridge, users) = start_always_loading(120).await;
    bridge
        .simulator
        .with_world(|world| world.persons.iter_mut().for_each(|person| person.first_name = None));
    for action in [
        FaultAction::Status(400),
        FaultAction::Status(500),
        FaultAction::TruncatedBody,
        FaultAction::TruncatedJson,
        FaultAction::WrongJson,
    ] {
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action.clone()).skip(2));
        assert_eq!(bridge.reloaded().await, users, "{action:?}");
        bridge.failure().await;
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
    }
    assert!(bridge.reloaded().await.iter().all(|user| user["name"]["givenName"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreasonable_retry_after_fails_the_load_and_nothing_else() {
    for seconds in [3600, u64::MAX] {
        let setup = Setup::persons(3);
        let simulator = setup.simulator();
        let action = FaultAction::TooManyRequests { retry_after: Some(seconds) };
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action));
        let bridge = setup.start_with(simulator);
        let failure = bridge.failure().await;
        assert!(failure.contains("limits the rate of requests"), "{seconds}: {failure}");
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Persons), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_lookups_are_left_out() {
    for action in [
        FaultAction::Status(401),
        FaultAction::Status(403),
        FaultAction::Status(404),
        FaultAction::NotFoundRoute,
        FaultAction::Status(412),
        FaultAction::Status(500),
        FaultAction::HtmlError(502),
        FaultAction::WrongJson,
        FaultAction::EmptyListing,
    ] {
        let setup = Setup::persons(12);
        let simulator = setup.simulator();
        for endpoint in LOOK_UPS {
            simulator.add_fault(InjectedFault::on(endpoint, action.clone()));
        }
        let bridge = setup.start_with(simulator);
        let users = bridge.all_users().await;
        assert_eq!(users.len(), 12, "{action:?}");
        for user in &users {
            for name in ["department", "division", "organization", "costCenter"] {
                assert!(user[ENTERPRISE][name].is_null(), "{action:?}: {user}");
            }
            for name in ["team", "office", "legalEntity"] {
                assert!(user[PERSONIO][name].is_null(), "{action:?}: {user}");
            }
            for unit in user[PERSONIO]["orgUnits"].as_array().into_iter().flatten() {
                assert!(
                    unit["value"].is_string() && unit["display"].is_null(),
                    "{action:?}: {unit}"
                );
            }
        }
        assert!(users.iter().any(|user| user["title"].is_string() && user[PERSONIO]["employmentId"].is_string()));
        let (code, health) = bridge.health().await;
        assert_eq!((code, health["status"].as_str()), (200, Some("degraded")), "{action:?}");
        let detail = health["parts"]["personio"]["detail"].as_str().unwrap();
        let lacking = health["parts"]["directory"]["withoutNames"].as_u64().unwrap();
        assert!(lacking >= 10, "{action:?}: {health}");
        assert!(
            detail.starts_with(&format!("{lacking} users lack a name")),
            "{action:?}: {detail}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_kept_for_a_day_and_beyond_it_while_they_cannot_be_read() {
    let (bridge, users) = start_always_loading(12).await;
    assert!(users.iter().any(|user| user[ENTERPRISE]["department"].is_string()));
    bridge.simulator.with_world(|world| {
        world.org_units.iter_mut().for_each(|unit| unit.name = "Renamed".to_owned())
    });
    bridge.simulator.reset_history();
    bridge.clock.pass(DAY - Duration::from_secs(1));
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(look_ups(&bridge.simulator), 0);

    for endpoint in LOOK_UPS {
        bridge.simulator.add_fault(InjectedFault::on(endpoint, FaultAction::Status(403)));
    }
    bridge.clock.pass(Duration::from_secs(1));
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(look_ups(&bridge.simulator), 6);
    assert_eq!(bridge.reloaded().await, users);
    assert_eq!(look_ups(&bridge.simulator), 6, "a refusal is not asked for again at once");

    bridge.simulator.clear_faults();
    bridge.clock.pass(Duration::from_secs(61));
    let named = bridge
        .reloaded()
        .await
        .into_iter()
        .filter(|user| user[ENTERPRISE]["department"] == "Renamed")
        .count();
    assert_eq!(
        named,
        users.iter().filter(|user| user[ENTERPRISE]["department"].is_string()).count()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_without_a_name_has_the_names_of_its_kind_read_again() {
    let (bridge, users) = start_always_loading(12).await;
    let id = users[0]["id"].as_str().unwrap();
    bridge.simulator.with_world(|world| {
        world.org_units.push(SimulatedOrgUnit::new(
            "9999",
            "Skunkworks",
            SimulatedOrgUnitType::Department,
        ));
        let person = world.persons.iter_mut().find(|person| person.id == id).unwrap();
        person.employments[0].org_units = vec![
            (SimulatedOrgUnitType::Department, "9999".to_owned()),
            (SimulatedOrgUnitType::Team, "1".into()),
        ];
    });
    bridge.simulator.reset_history();
    bridge.clock.pass(Duration::from_secs(60));
    assert_eq!(by_id(&bridge.reloaded().await, id)[ENTERPRISE]["department"], "Skunkworks");
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::OrgUnits),
        2,
        "departments and teams, each for a new id"
    );
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::OrgUnit),
        2,
        "the team alone, also with the header for betas"
    );
    assert_eq!(look_ups(&bridge.simulator), 4);
    bridge.reloaded().await;
    assert_eq!(look_ups(&bridge.simulator), 4, "the team that has no name is not looked for again");
    assert_eq!(bridge.health().await.1["status"], "ok", "Personio says that it has none");
}

/// Returns the setup of a small company, which has the same URLs in each test.
fn small() -> Setup {
    Setup {
        cache_ttl: SHORT_TTL,
        public_url: Some("https://scim.example.com"),
        ..Setup::persons(12)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_there_in_the_first_load_that_succeeds_after_an_outage() {
    let usual = small().start().all_users().await;
    for endpoint in [None, Some(SimulatedEndpoint::Token)] {
        let setup = small();
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault {
            endpoint,
            ..InjectedFault::everywhere(FaultAction::Status(500))
        });
        let bridge = setup.start_with(simulator);
        bridge.failure().await;
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
        let users = bridge.all_users().await;
        for (user, expected) in users.iter().zip(&usual) {
            assert_eq!(user[ENTERPRISE], expected[ENTERPRISE], "{endpoint:?}");
        }
        assert_eq!(bridge.health().await.1["status"], "ok", "{endpoint:?}");
    }
}

/// Returns the ids of the departments and teams that have members.
fn units_in_use(simulator: &Simulator) -> Vec<String> {
    let mut ids: Vec<String> = simulator.with_world(|world| {
        let employments = world.persons.iter().flat_map(|person| &person.employments);
        employments.flat_map(|employment| &employment.org_units).map(|(_, id)| id.clone()).collect()
    });
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn requests(bridge: &TestServer) -> (usize, usize) {
    (
        bridge.simulator.request_count(SimulatedEndpoint::OrgUnits),
        bridge.simulator.request_count(SimulatedEndpoint::OrgUnit),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn units_that_a_list_does_not_name_are_requested_one_by_one_and_once_a_day() {
    let usual = small().start().all_users().await;
    let mut setup = small();
    let simulator = setup.simulator();
    let unlisted = units_in_use(&simulator);
    setup.options.quirks.unlisted_org_units.clone_from(&unlisted);
    let bridge = setup.start();
    assert_eq!(bridge.all_users().await, usual);
    assert_eq!(requests(&bridge), (2, unlisted.len()), "each once");
    assert_eq!(bridge.health().await.1["status"], "ok");
    bridge.reloaded().await;
    assert_eq!(requests(&bridge), (2, unlisted.len()), "and not again");

    bridge.simulator.with_world(|world| {
        world.org_units.iter_mut().for_each(|unit| unit.name = "Renamed".to_owned())
    });
    bridge.clock.pass(DAY);
    let users = bridge.reloaded().await;
    assert_eq!(requests(&bridge), (4, 2 * unlisted.len()), "once a day");
    let renamed = users.iter().filter(|user| user[ENTERPRISE]["department"] == "Renamed").count();
    assert!(
        renamed > 0
            && users.iter().all(|user| user[ENTERPRISE]["department"]
                .as_str()
                .is_none_or(|it| it == "Renamed"))
    );

    // Known names are kept while they cannot be read.
    bridge.clock.pass(DAY);
    for action in [
        FaultAction::Status(500),
        FaultAction::Status(403),
        FaultAction::NotFoundResource,
        FaultAction::NotFoundRoute,
    ] {
        bridge.simulator.clear_faults();
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnit, action));
        assert_eq!(bridge.reloaded().await, users);
        bridge.clock.pass(AFTER_COOL_DOWN * 4);
    }
    assert_eq!(bridge.health().await.1["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_list_is_404_the_units_in_use_are_requested_one_by_one() {
    let usual = small().start().all_users().await;
    for action in
        [FaultAction::NotFoundRoute, FaultAction::NotFoundResource, FaultAction::HtmlError(404)]
    {
        let setup = small();
        let simulator = setup.simulator();
        let units = units_in_use(&simulator).len();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnits, action.clone()));
        let bridge = setup.start_with(simulator);
        assert_eq!(bridge.all_users().await, usual, "{action:?}");
        assert_eq!(
            requests(&bridge),
            (4, units),
            "{action:?}: each list also with the header for betas"
        );
        assert_eq!(bridge.health().await.1["status"], "ok", "{action:?}");
        bridge.clock.pass(Duration::from_secs(61));
        assert_eq!(bridge.reloaded().await, usual, "{action:?}");
        assert_eq!(
            requests(&bridge),
            (6, units),
            "{action:?}: the header is tried once a day, and so are units"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_optional_right_for_jobs_users_are_complete_and_lack_their_names() {
    let usual = small().start().all_users().await;
    for (action, requests) in [
        (FaultAction::Status(403), 1),
        (FaultAction::Status(412), 1),
        (FaultAction::NotFoundRoute, 2),
    ] {
        let setup = Setup { cache_ttl: SHORT_TTL, ..small() };
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Jobs, action.clone()));
        let bridge = setup.start_with(simulator);
        let users = bridge.all_users().await;
        let jobs = || bridge.simulator.request_count(SimulatedEndpoint::Jobs);
        let mut with_job = 0;
        for (user, usual) in users.iter().zip(&usual) {
            let (own, usual) = (&user[PERSONIO], &usual[PERSONIO]);
            assert_eq!((own.get("job"), own.get("jobId")), (None, usual.get("jobId")));
            with_job += usize::from(usual["job"].is_string());
        }
        assert!(with_job > 0);
        let health = bridge.health().await.1;
        assert_eq!(health["status"], "ok", "{action:?}: {health}");
        // The first load asks before and after the persons are known. Then there is an hour's pause.
        let asked = jobs();
        assert_eq!(asked, requests, "{action:?}");
        bridge.clock.pass(Duration::from_secs(3500));
        bridge.reloaded().await;
        assert_eq!(jobs(), asked, "{action:?}");
        bridge.simulator.clear_faults();
        bridge.clock.pass(Duration::from_secs(101));
        assert_eq!(bridge.reloaded().await.len(), usual.len());
        assert_eq!(jobs(), asked + 1, "{action:?}");
        let named = bridge.all_users().await;
        let names = named.iter().filter(|user| user[PERSONIO]["job"].is_string()).count();
        assert_eq!(names, with_job, "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_to_read_jobs_is_no_missing_right() {
    let usual = small().start().all_users().await;
    let setup = small();
    let simulator = setup.simulator();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Jobs, FaultAction::Status(500)));
    let bridge = setup.start_with(simulator);
    let users = bridge.all_users().await;
    assert_eq!(bridge.health().await.1["status"], "degraded");
    bridge.simulator.clear_faults();
    bridge.clock.pass(Duration::from_secs(61));
    let jobs = |users: &[Value]| -> Vec<Value> {
        users.iter().map(|user| user[PERSONIO]["job"].clone()).collect()
    };
    assert!(jobs(&users).iter().all(Value::is_null));
    assert!(jobs(&bridge.reloaded().await) == jobs(&usual));
    assert_eq!(bridge.health().await.1["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_beta_header_is_sent_to_endpoints_that_require_it() {
    let usual = small().start().all_users().await;
    for (beta, first, next_day) in [
        (
            vec![
                SimulatedEndpoint::OrgUnits,
                SimulatedEndpoint::CostCenters,
                SimulatedEndpoint::Workplaces,
            ],
            (4, 0),
            (6, 0),
        ),
        (LOOK_UPS.to_vec(), (4, 0), (6, 0)),
    ] {
        let mut setup = small();
        setup.options.quirks.beta_endpoints.clone_from(&beta);
        let bridge = setup.start();
        assert_eq!(bridge.all_users().await, usual, "{beta:?}");
        assert_eq!(requests(&bridge), first, "{beta:?}");
        bridge.clock.pass(DAY);
        assert_eq!(bridge.reloaded().await, usual, "{beta:?}");
        assert_eq!(requests(&bridge), next_day, "{beta:?}: it is known by then");
    }
    // A single org unit may require the beta header although the list does not.
    let mut setup = small();
    let simulator = setup.simulator();
    let unlisted = units_in_use(&simulator);
    setup.options.quirks.unlisted_org_units.clone_from(&unlisted);
    setup.options.quirks.beta_endpoints = vec![SimulatedEndpoint::OrgUnit];
    let bridge = setup.start();
    assert_eq!(bridge.all_users().await, usual);
    assert_eq!(requests(&bridge), (2, 2 * unlisted.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_load_tries_again_to_read_names_and_is_degraded_without_them() {
    let usual = small().start().all_users().await;
    // Departments and teams each get three attempts before the persons are known, and three more
    // afterwards.
    for (failures, is_named) in [(6, true), (8, true), (1000, false)] {
        let setup = small();
        let simulator = setup.simulator();
        simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::OrgUnits, FaultAction::Status(500))
                .times(failures),
        );
        let bridge = setup.start_with(simulator);
        let users = bridge.all_users().await;
        assert_eq!(users == usual, is_named, "{failures}");
        let health = bridge.health().await.1;
        assert_eq!(
            health["status"],
            if is_named { "ok" } else { "degraded" },
            "{failures}: {health}"
        );
        if is_named {
            continue;
        }
        let lacking = users.iter().filter(|user| !user[PERSONIO]["orgUnits"].is_null()).count();
        assert_eq!(health["parts"]["directory"]["withoutNames"], lacking);
        assert_eq!(requests(&bridge), (12, 0), "twice three attempts for each kind");
        bridge.reloaded().await;
        assert_eq!(requests(&bridge), (12, 0), "and then a pause");
        bridge.simulator.clear_faults();
        bridge.clock.pass(Duration::from_secs(61));
        let named = bridge.reloaded().await;
        for (user, expected) in named.iter().zip(&usual) {
            assert_eq!(user[ENTERPRISE], expected[ENTERPRISE]);
        }
        assert_eq!(bridge.health().await.1["status"], "ok");
        // Known names are kept.
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::OrgUnits, FaultAction::Status(500)));
        bridge.clock.pass(DAY);
        assert_eq!(bridge.reloaded().await, named);
        assert_eq!(bridge.health().await.1["status"], "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_many_employments_cannot_be_read_the_first_load_fails() {
    for (persons, failing, served) in [
        (1, 1, false),
        (4, 2, true),
        (4, 3, false),
        (10, 10, false),
        (60, 10, true),
        (60, 11, false),
    ] {
        let setup = Setup::persons(persons);
        let simulator = setup.simulator();
        for person in setup.world.persons.iter().step_by(persons / failing).take(failing) {
            simulator.add_fault(
                InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::NotFoundResource)
                    .person(&person.id),
            );
        }
        let bridge = setup.start_with(simulator);
        let answer = bridge.get("/Users").await;
        assert_eq!(
            answer.status.as_u16(),
            if served { 200 } else { 503 },
            "{failing} of {persons}"
        );
        if served {
            assert_eq!(
                answer.json()["totalResults"],
                persons - failing,
                "{failing} of {persons} are left out"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_for_all_employments_fails_the_load() {
    for status in [401, 403] {
        let setup = Setup::persons(60);
        let simulator = setup.simulator();
        simulator.add_fault(InjectedFault::on(
            SimulatedEndpoint::Employments,
            FaultAction::Status(status),
        ));
        let bridge = setup.start_with(simulator);
        bridge.get("/Users").await.scim_error(503, None);
        assert!(
            bridge.simulator.request_count(SimulatedEndpoint::Employments) < 60,
            "given up early"
        );
        assert!(bridge.simulator.request_count(SimulatedEndpoint::Token) <= 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_unreadable_employments_in_a_row_are_an_outage() {
    let setup = Setup::persons(500);
    let simulator = setup.simulator();
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(404))
            .skip(40)
            .times(80),
    );
    let bridge = setup.start_with(simulator);
    bridge.get("/Users").await.scim_error(503, None);
    assert!(
        bridge.simulator.request_count(SimulatedEndpoint::Employments) < 120,
        "it was given up in the midst"
    );

    // More persons are unreadable than in the outage, but they do not follow each other.
    let setup = Setup::persons(500);
    let simulator = setup.simulator();
    for person in setup.world.persons.iter().step_by(20) {
        simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(404))
                .person(&person.id),
        );
    }
    assert_eq!(setup.start_with(simulator).all_users().await.len(), 500 - 25, "5 % are left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_personio_is_reported_with_host_port_and_command() {
    let without_tls = Setup::persons(1).simulator();
    let plain = without_tls.base_url().replace("http://", "https://");
    // Tests never bind such a low port.
    for (upstream, reason) in [
        ("http://127.0.0.1:1", "it refuses connections"),
        ("https://127.0.0.1:1", "it refuses connections"),
        ("https://personio.invalid:1", "its name cannot be resolved"),
        (&plain, "it does not speak TLS on this port"),
    ] {
        let setup = Setup::persons(1);
        let simulator = setup.simulator();
        let bridge = setup.start_over(upstream, simulator);
        let (_, address) = upstream.split_once("://").unwrap();
        let failure = bridge.failure().await;
        let expected = format!(
            "Personio could not be reached at {address} for /v2/auth/token: {reason} (run `personio-scim check` where this \
             server runs, to find out why)"
        );
        assert!(failure.ends_with(&expected), "{upstream}: {failure}");
    }
}
