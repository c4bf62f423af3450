//! Tests of a new mapping while the server runs. It applies as a whole, to users, groups, queries
//! and documents, once the persons have been read for it. Until then nothing changes.

use personio_scim::config::Config;
use personio_scim::directory::ChangeKind;
use personio_scim::mapping::{CustomAttributePolicy, MappingPolicy};
use personio_scim::scim::PERSONIO_USER_SCHEMA as PERSONIO;
use personio_scim::scim::{AttributeType, CustomAttributeDefinition as Served};
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedCustomAttribute, SimulatedEmployment, SimulatedEndpoint,
    SimulatedPerson, World,
};
use serde_json::{Value, json};

use crate::harness::{
    AFTER_COOL_DOWN, NOW, REFRESH_DEBOUNCE, Setup, TestClock, TestResponse, TestServer,
    employee_number, ids, loads, wait_until,
};
use crate::process::{Program, file, get, settings};

/// Returns persons with a badge, which is text in Personio.
fn world_with_badges(count: usize) -> World {
    let person = |number: usize| SimulatedPerson {
        id: number.to_string(),
        email: Some(format!("p{number}@example.com")),
        status: Some("ACTIVE".to_owned()),
        custom_attributes: vec![SimulatedCustomAttribute {
            id: "dynamic_1".to_owned(),
            value_type: "STRING".to_owned(),
            value: json!(format!("b{number}")),
            ..SimulatedCustomAttribute::default()
        }],
        ..SimulatedPerson::default()
    };
    World { persons: (1..=count).map(person).collect(), ..World::empty() }
}

fn serving(id: &str, kind: AttributeType) -> MappingPolicy {
    let attribute = Served { name: "badge".to_owned(), attribute_type: kind, multi_valued: false };
    MappingPolicy {
        custom_attributes: vec![CustomAttributePolicy { id: id.to_owned(), definition: attribute }],
        ..MappingPolicy::default()
    }
}

/// Returns two mappings. The first has two attributes; the second omits the first attribute, which
/// no person has, so that the other one gets its index.
fn renumbered() -> (MappingPolicy, MappingPolicy) {
    let new = serving("dynamic_1", AttributeType::String);
    let unused = Served {
        name: "unused".to_owned(),
        attribute_type: AttributeType::Boolean,
        multi_valued: false,
    };
    let unused = CustomAttributePolicy { id: "dynamic_8".to_owned(), definition: unused };
    (
        MappingPolicy {
            custom_attributes: [vec![unused], new.custom_attributes.clone()].concat(),
            ..MappingPolicy::default()
        },
        new,
    )
}

fn adopt(bridge: &TestServer, policy: MappingPolicy) {
    let scim = personio_scim::config::ServerSettings { policy, ..bridge.config.scim.clone() };
    bridge.live.apply(Config { scim, ..bridge.config.clone() }).unwrap();
}

/// Lets the refresh debounce pass again and again until a condition holds.
async fn wait_for_load(bridge: &TestServer, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_until(what, async || {
        bridge.clock.age(REFRESH_DEBOUNCE);
        holds().await
    })
    .await;
}

/// Reports whether the documents contain the badge attribute.
async fn describes(bridge: &TestServer) -> bool {
    bridge.get("/Schemas").await.text.contains("\"badge\"")
}

/// Returns the response to a filter on the badge. `value` is in filter syntax.
async fn filtered(bridge: &TestServer, value: &str) -> TestResponse {
    let filter = format!("{PERSONIO}:badge eq {value}");
    bridge.get(&format!("/Users?{}", crate::harness::encoded(&[("filter", &filter)]))).await
}

fn badges(page: &Value) -> Vec<&Value> {
    page["Resources"].as_array().unwrap().iter().map(|user| &user[PERSONIO]["badge"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mapping_applies_as_a_whole_after_its_load() {
    let bridge = Setup::of(world_with_badges(30)).start();
    let first = bridge.users("?count=10").await;
    let cursor = bridge.users("?count=10&cursor").await["nextCursor"].as_str().unwrap().to_owned();
    let tag = bridge.get("/Users?attributes=userName").await.header("etag").to_owned();
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    adopt(&bridge, serving("dynamic_1", AttributeType::String));
    bridge.clock.age(REFRESH_DEBOUNCE);
    bridge.failure().await;
    assert!(!describes(&bridge).await);
    assert_eq!(badges(&bridge.users("").await), vec![&Value::Null; 30]);
    filtered(&bridge, "\"b7\"").await.scim_error(400, Some("invalidFilter"));

    bridge.simulator.clear_faults();
    bridge.clock.pass(AFTER_COOL_DOWN);
    wait_for_load(&bridge, "the mapping applies", async || describes(&bridge).await).await;
    let badge = format!("b{}", ids(&first)[0]);
    assert_eq!(badges(&bridge.users("").await)[0], &json!(badge));
    let found = filtered(&bridge, "\"b7\"").await.json();
    assert_eq!(ids(&found), ["7"]);
    let by_id = bridge.get(&format!("/Users/7?attributes={PERSONIO}:badge")).await.json();
    assert_eq!(by_id[PERSONIO], json!({"badge": "b7"}));
    assert_ne!(bridge.get("/Users?attributes=userName").await.header("etag"), tag);
    // A paging session from before the change stays on its snapshot.
    let second = bridge.users("?count=10&startIndex=11").await;
    assert_eq!(badges(&second), vec![&Value::Null; 10]);
    let second = bridge.users(&format!("?count=10&cursor={cursor}")).await;
    assert_eq!(badges(&second), vec![&Value::Null; 10]);
    // An unchanged mapping causes no load.
    let before = loads(&bridge);
    adopt(&bridge, serving("dynamic_1", AttributeType::String));
    wait_for_load(&bridge, "only the scheduler waits", async || bridge.clock.waiting() == 1).await;
    assert_eq!(loads(&bridge), before);

    // The attribute changes its type and then disappears.
    adopt(&bridge, serving("dynamic_1", AttributeType::Integer));
    wait_for_load(&bridge, "badges are numbers", async || {
        filtered(&bridge, "7").await.status == 200
    })
    .await;
    filtered(&bridge, "\"b7\"").await.scim_error(400, Some("invalidFilter"));
    assert_eq!(badges(&bridge.users("").await), vec![&Value::Null; 30], "the text is none");
    adopt(&bridge, MappingPolicy::default());
    wait_for_load(&bridge, "there are no badges", async || !describes(&bridge).await).await;
    filtered(&bridge, "7").await.scim_error(400, Some("invalidFilter"));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_unchanged_by_a_new_mapping_are_found_and_not_modified() {
    let (policy, new) = renumbered();
    let bridge = Setup { policy, ..Setup::of(world_with_badges(30)) }.start();
    let before = bridge.all_users().await;
    let badge = format!("{PERSONIO}:badge");
    bridge.list("/Users", &[("sortBy", &badge), ("count", "1")]).await;
    let has_badge = format!("{badge} pr");
    bridge.clock.pass(std::time::Duration::from_secs(60));
    adopt(&bridge, new);
    wait_for_load(&bridge, "the mapping applies", async || {
        !bridge.get("/Schemas").await.text.contains("\"unused\"")
    })
    .await;
    assert_eq!(bridge.all_users().await, before, "meta included");
    for (filter, expected) in [
        (has_badge.clone(), 30),
        (format!("{badge} eq \"b7\""), 1),
        (format!("{badge} ew \"9\" and active eq true"), 3),
        (format!("not ({badge} co \"b\")"), 0),
        ("emails[type eq \"work\" and value sw \"P7@\"]".to_owned(), 1),
        ("meta.version pr and externalId eq \"7\"".to_owned(), 1),
    ] {
        assert_eq!(
            bridge.list("/Users", &[("filter", &filter)]).await["totalResults"],
            expected,
            "{filter}"
        );
    }
    let sorted = bridge
        .list("/Users", &[("sortBy", &badge), ("sortOrder", "descending"), ("count", "2")])
        .await;
    assert_eq!(ids(&sorted), ["9", "8"]);
    let alone = bridge.get(&format!("/Users/7?attributes={badge}")).await.json();
    assert_eq!(alone[PERSONIO], json!({"badge": "b7"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paging_session_stays_on_its_schema_registry() {
    let (policy, new) = renumbered();
    let bridge = Setup { policy, ..Setup::of(world_with_badges(30)) }.start();
    let badge = format!("{PERSONIO}:badge");
    let has_badge = format!("{badge} pr");
    let page = async |start: &str| {
        let parameters =
            [("filter", &*has_badge), ("sortBy", &*badge), ("count", "10"), ("startIndex", start)];
        bridge.list("/Users", &parameters).await
    };
    let first = page("1").await;
    let alone =
        bridge.list("/Users", &[("filter", &has_badge), ("count", "10"), ("cursor", "")]).await;
    bridge.simulator.with_world(|world| world.persons[0].preferred_name = Some("New".to_owned()));
    adopt(&bridge, new);
    wait_for_load(&bridge, "the mapping applies", async || {
        !bridge.get("/Schemas").await.text.contains("\"unused\"")
    })
    .await;
    let (second, third) = (page("11").await, page("21").await);
    let walked: Vec<&Value> = [&first, &second, &third].into_iter().flat_map(badges).collect();
    assert_eq!(walked.len(), 30);
    assert!(walked.is_sorted_by_key(|badge| badge.as_str()), "{walked:?}");
    let cursor = alone["nextCursor"].as_str().unwrap();
    let next =
        [("filter", &*has_badge), ("count", "10"), ("cursor", cursor), ("attributes", &*badge)];
    assert_eq!(
        bridge.get(&format!("/Users?{}", crate::harness::encoded(&next))).await.status,
        400,
        "another query"
    );
    let next = bridge.list("/Users", &next[..3]).await;
    assert_eq!(badges(&next).len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_uses_the_mapping_of_the_load() {
    let employment = SimulatedEmployment {
        id: "e".to_owned(),
        status: Some("ONBOARDING".to_owned()),
        employment_start_date: Some("2026-12-10".parse().unwrap()),
        ..SimulatedEmployment::default()
    };
    let mut world = world_with_badges(1);
    world.persons[0].status = Some("ONBOARDING".to_owned());
    world.persons[0].employments = vec![employment];
    let old = MappingPolicy { active_before_start_days: Some(3), ..MappingPolicy::default() };
    let clock = TestClock::at("2026-12-06T22:59:30Z");
    let bridge = Setup { clock, policy: old, ..Setup::of(world) }.start();
    assert_eq!(bridge.all_users().await[0]["active"], false);
    bridge
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(500)));
    let new = serving("dynamic_1", AttributeType::String);
    adopt(&bridge, MappingPolicy { active_before_start_days: Some(3), ..new });
    bridge.clock.age(REFRESH_DEBOUNCE);
    bridge.failure().await;
    bridge.clock.set("2026-12-06T23:00:30Z");
    let users = bridge.all_users().await;
    assert_eq!((&users[0]["active"], &users[0][PERSONIO]["badge"]), (&json!(true), &Value::Null));
    assert!(!describes(&bridge).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_mapping_with_many_losses_is_held_as_a_whole() {
    let mut world = world_with_badges(40);
    world.persons.iter_mut().take(20).for_each(|person| person.email = None);
    let bridge = Setup { max_change: 0.2, clock: TestClock::at(NOW), ..Setup::of(world) }.start();
    assert_eq!(bridge.all_users().await.len(), 40);
    adopt(
        &bridge,
        MappingPolicy { require_email: true, ..serving("dynamic_1", AttributeType::String) },
    );
    wait_for_load(&bridge, "it is held back", async || bridge.directory().held_change().is_some())
        .await;
    assert!(!describes(&bridge).await);
    assert_eq!(badges(&bridge.users("").await), vec![&Value::Null; 40]);
    bridge.approve().await;
    assert!(describes(&bridge).await);
    assert_eq!(filtered(&bridge, "\"b30\"").await.json()["totalResults"], 1);
    assert_eq!(bridge.all_users().await.len(), 20);
}

/// Checks that the guard accepts changes that the new mapping itself causes, and still holds other
/// changes of the same load.
#[tokio::test(flavor = "multi_thread")]
async fn the_guard_accepts_only_changes_caused_by_the_new_mapping() {
    let by_badge = MappingPolicy {
        standard_attributes: employee_number("dynamic_1"),
        ..MappingPolicy::default()
    };
    let bridge =
        Setup { max_change: 0.2, policy: by_badge, ..Setup::of(world_with_badges(40)) }.start();
    bridge.all_users().await;
    adopt(&bridge, MappingPolicy::default());
    let number = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber";
    wait_for_load(&bridge, "numbers are ids", async || {
        bridge.list("/Users", &[("filter", &format!("{number} eq \"7\""))]).await["totalResults"]
            == 1
    })
    .await;
    assert!(bridge.directory().held_change().is_none());

    bridge.simulator.with_world(|world| {
        world.persons.iter_mut().for_each(|person| person.status = Some("INACTIVE".to_owned()));
    });
    adopt(
        &bridge,
        MappingPolicy {
            standard_attributes: employee_number("dynamic_1"),
            ..MappingPolicy::default()
        },
    );
    wait_for_load(&bridge, "it is held back", async || bridge.directory().held_change().is_some())
        .await;
    let held = bridge.directory().held_change().unwrap();
    assert_eq!(
        (
            held.losses.users_with(ChangeKind::Deactivated),
            held.losses.users_with(ChangeKind::OtherEmployeeNumber)
        ),
        (40, 0)
    );
    assert_eq!(
        held.own_losses.users_with(ChangeKind::OtherEmployeeNumber),
        40,
        "it is shown all the same"
    );
    bridge.approve().await;
    assert_eq!(
        bridge.list("/Users", &[("filter", &format!("{number} eq \"b7\""))]).await["totalResults"],
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_takes_a_new_mapping_on_sighup() {
    let simulator = Setup::persons(40).simulator();
    let (upstream, config) = (simulator.base_url(), file("[groups]\nfrom = []\n"));
    let mut settings = settings(&upstream);
    settings.push(("SCIM_CONFIG", config.path().to_str().unwrap()));
    let program = Program::start(&["serve"], &settings);
    let base_url = program.base_url().await;
    let groups =
        async || get(&format!("{base_url}/Groups?count=0"), crate::harness::TOKEN).await.json();
    wait_until("it serves", async || groups().await["totalResults"] == 0).await;
    std::fs::write(config.path(), "[groups]\nfrom = [\"department\"]\n").unwrap();
    program.signal("HUP");
    wait_until("there are groups", async || {
        groups().await["totalResults"].as_u64().is_some_and(|total| total > 0)
    })
    .await;
    assert!(
        program.log().iter().any(|line| line["has_new_mapping"] == true),
        "{:?}",
        program.log()
    );
}
