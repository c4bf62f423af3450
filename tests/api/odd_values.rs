//! Tests of values that are valid JSON but unexpected, or almost JSON: each affects at most one
//! value of one person, or keeps that person unchanged, and health reports it.

use std::time::Duration;

use personio_scim::scim::ENTERPRISE_USER_SCHEMA as ENTERPRISE;
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedCustomAttribute, SimulatedEndpoint, World,
};
use serde_json::{Value, json};

use crate::harness::{AFTER_COOL_DOWN, NOW, SHORT_TTL, Setup, TestServer, by_id};

/// Placeholder in the simulated company for the odd value.
const PLACEHOLDER: &str = "ODD-VALUE";

/// Returns a fault that replaces the placeholder and its quotes by these bytes.
fn odd(endpoint: SimulatedEndpoint, value: &[u8]) -> InjectedFault {
    let old = format!("\"{PLACEHOLDER}\"");
    InjectedFault::on(endpoint, FaultAction::Substitute { old, new: value.to_vec() })
}

fn deep() -> Vec<u8> {
    let depth = 20_000;
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
}

/// Returns a company of 60 active persons, and the id of the fourth person, who gets the odd value.
fn company() -> (World, String) {
    let mut world = World::generate(60, 1, NOW.parse().unwrap());
    for person in &mut world.persons {
        person.status = Some("ACTIVE".to_owned());
        person.employments.truncate(1);
        for employment in &mut person.employments {
            employment.status = Some("ACTIVE".to_owned());
            employment.termination = None;
            employment.supervisor = None;
        }
    }
    let id = world.persons[3].id.clone();
    (world, id)
}

/// Starts a server whose every list request causes a load, and returns the users of the first load.
async fn start_always_loading(world: World) -> (TestServer, Vec<Value>) {
    let bridge = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::of(world) }.start();
    let users = bridge.all_users().await;
    (bridge, users)
}

/// Starts a server like [`start_always_loading`], but a load reads the employments of those persons
/// only who have changed.
async fn start_loading_persons(world: World) -> (TestServer, Vec<Value>) {
    let employment_recheck = Duration::from_secs(3600);
    let setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::of(world) };
    let bridge = Setup { employment_recheck, ..setup }.start();
    let users = bridge.all_users().await;
    (bridge, users)
}

/// Returns the defects in health: users left out, users kept unchanged, values, and the examples.
async fn defects(bridge: &TestServer) -> (u64, u64, u64, String) {
    let (_, health) = bridge.health().await;
    let defects = &health["parts"]["directory"]["defects"];
    let count = |name: &str| defects[name].as_u64().unwrap_or_default();
    (count("leftOut"), count("keptAsBefore"), count("oddValues"), defects["examples"].to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_values_of_unused_fields_are_ignored() {
    let (mut world, _) = company();
    world.persons[3].gender = Some(PLACEHOLDER.to_owned());
    world.persons[3].custom_attributes.push(SimulatedCustomAttribute {
        id: "dynamic_77".to_owned(),
        global_id: None,
        label: Some(PLACEHOLDER.to_owned()),
        value_type: PLACEHOLDER.to_owned(),
        value: json!({"inner": PLACEHOLDER}),
    });
    let (bridge, users) = start_always_loading(world).await;
    let values: [&[u8]; 9] = [
        br#""cut \ud83d""#,
        br#""\udc00\ud83d""#,
        b"1e400",
        b"-1e999999",
        b"\"a\nb\x01\"",
        b"\"J\xf6rg\"",
        br#"{"a":1,"a":2,"\ud83d":3}"#,
        br#""\x41""#,
        &deep(),
    ];
    for value in values {
        let text = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        for endpoint in [SimulatedEndpoint::Persons, SimulatedEndpoint::Employments] {
            bridge.simulator.add_fault(odd(endpoint, value));
        }
        assert_eq!(bridge.reloaded().await, users, "{text}");
        let (status, health) = bridge.health().await;
        assert_eq!((status, &health["status"]), (200, &json!("ok")), "{text}: {health}");
        assert_eq!(defects(&bridge).await, (0, 0, 0, "null".to_owned()), "{text}");
        bridge.simulator.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_value_is_absent_for_that_person_only() {
    let (mut world, id) = company();
    world.persons[3].preferred_name = Some(PLACEHOLDER.to_owned());
    world.persons[3].employments[0].position = Some(PLACEHOLDER.to_owned());
    let (bridge, users) = start_always_loading(world).await;
    let surrogate: &[u8] = br#""Ann \ud83d""#;
    for (endpoint, value, pointer, expected, noted) in [
        (
            SimulatedEndpoint::Persons,
            surrogate,
            "/nickName",
            json!("Ann \u{fffd}"),
            "preferred_name",
        ),
        (
            SimulatedEndpoint::Persons,
            b"\"J\xf6rg\"",
            "/nickName",
            json!("J\u{fffd}rg"),
            "preferred_name",
        ),
        (SimulatedEndpoint::Persons, b"\"Ann\nLee\"", "/nickName", json!("Ann Lee"), ""),
        (
            SimulatedEndpoint::Employments,
            surrogate,
            "/title",
            json!("Ann \u{fffd}"),
            "employments.position.title",
        ),
        (
            SimulatedEndpoint::Employments,
            b"1e400",
            "/title",
            Value::Null,
            "employments.position.title",
        ),
        (
            SimulatedEndpoint::Employments,
            br#"{"a":1}"#,
            "/title",
            Value::Null,
            "employments.position.title",
        ),
        (
            SimulatedEndpoint::Employments,
            &deep(),
            "/title",
            Value::Null,
            "employments.position.title",
        ),
    ] {
        bridge.simulator.add_fault(odd(endpoint, value));
        let seen = bridge.reloaded().await;
        let mut expected_users = users.clone();
        let user = expected_users.iter_mut().find(|user| user["id"] == *id).unwrap();
        let text = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        assert_eq!(by_id(&seen, &id).pointer(pointer).unwrap_or(&Value::Null), &expected, "{text}");
        *user = by_id(&seen, &id).clone();
        assert_eq!(seen, expected_users, "nobody else: {text}");
        let (left_out, kept, values, examples) = defects(&bridge).await;
        assert_eq!(
            (left_out, kept, values),
            (0, 0, u64::from(!noted.is_empty())),
            "{text}: {examples}"
        );
        assert!(
            noted.is_empty() || examples.contains(&format!("person {id}: {noted}\"")),
            "{text}: {examples}"
        );
        assert_eq!(bridge.health().await.1["status"], "ok", "{text}");
        bridge.simulator.clear_faults();
    }
    assert_eq!(by_id(&bridge.reloaded().await, &id)["title"], PLACEHOLDER);
    assert_eq!(defects(&bridge).await.2, 0, "what can be read again is no defect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_cannot_be_read_stays_as_before_and_a_new_one_is_left_out() {
    for (attribute, value) in [
        ("email", json!({"value": "x"})),
        ("email", json!("a\u{fffd}b@example.com")),
        ("email", json!(["a@example.com"])),
        ("status", json!({})),
        ("status", json!("ACTI\u{fffd}E")),
        ("first_name", json!([])),
        ("last_name", json!(true)),
        ("preferred_name", json!({"a": 1})),
        ("email", json!("a".repeat(70_000))),
    ] {
        let text = format!("{attribute} {}", &value.to_string()[..value.to_string().len().min(40)]);
        let (world, id) = company();
        let (bridge, users) = start_loading_persons(world).await;
        bridge.simulator.with_world(|world| {
            let mut hired = world.persons[3].clone();
            (hired.id, hired.email) = ("9000001".to_owned(), Some("new@example.com".to_owned()));
            hired.employments.clear();
            world.persons.push(hired);
            for position in [3, 60] {
                let person = &mut world.persons[position];
                let member = match attribute {
                    "email" => &mut person.email,
                    "status" => &mut person.status,
                    "first_name" => &mut person.first_name,
                    "last_name" => &mut person.last_name,
                    _ => &mut person.preferred_name,
                };
                *member = Some(PLACEHOLDER.to_owned());
            }
        });
        bridge.simulator.add_fault(odd(SimulatedEndpoint::Persons, value.to_string().as_bytes()));
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users, "{text}");
        assert_eq!(
            bridge.simulator.request_count(SimulatedEndpoint::Person),
            0,
            "{text}: nobody is missing"
        );
        let (left_out, kept, _, examples) = defects(&bridge).await;
        assert_eq!((left_out, kept), (1, 1), "{text}: {examples}");
        assert!(
            examples.contains(&format!("person 9000001: {attribute}, left out")),
            "{text}: {examples}"
        );
        assert!(
            examples.contains(&format!("person {id}: {attribute}, as before")),
            "{text}: {examples}"
        );
        assert!(!examples.contains("example.com"), "{examples}");
        assert_eq!(bridge.health().await.1["parts"]["directory"]["outdated"], 1, "{text}");
        bridge.simulator.clear_faults();
        assert_eq!(bridge.reloaded().await.len(), 61, "{text}");
        assert_eq!(defects(&bridge).await, (0, 0, 0, "null".to_owned()), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_an_unreadable_id_is_checked_and_stays() {
    let (world, _) = company();
    let (bridge, users) = start_always_loading(world).await;
    for value in [json!({}), json!("7\u{fffd}"), json!(""), Value::Null] {
        let action = FaultAction::ChangedEntries {
            entries: 3,
            attribute: "id".to_owned(),
            value: value.clone(),
        };
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action).times(1));
        bridge.simulator.reset_history();
        assert_eq!(bridge.reloaded().await, users, "{value}");
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 3, "{value}");
        assert_eq!(defects(&bridge).await.0, 3, "{value}");
        bridge.simulator.clear_faults();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_persons_who_cannot_be_read_fail_the_load() {
    for (persons, unreadable, is_served) in
        [(1, 1, false), (2, 1, true), (2, 2, false), (49, 10, true), (49, 11, false)]
    {
        let setup = Setup::persons(persons);
        let simulator = setup.simulator();
        let action = FaultAction::ChangedEntries {
            entries: unreadable,
            attribute: "email".to_owned(),
            value: json!({}),
        };
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action));
        let bridge = setup.start_with(simulator);
        let answer = bridge.get("/Users").await;
        assert_eq!(
            answer.status.as_u16(),
            if is_served { 200 } else { 503 },
            "{unreadable} of {persons}"
        );
        if is_served {
            assert_eq!(answer.json()["totalResults"], persons - unreadable);
        } else {
            let failure = bridge.failure().await;
            assert!(
                failure.contains(&format!("{unreadable} of {persons} entries cannot be read")),
                "{failure}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_employment_whose_status_or_date_cannot_be_read_stays_as_before() {
    let (mut world, id) = company();
    world.persons[3].employments[0].employment_start_date = Some(jiff::civil::date(2020, 1, 1));
    let (bridge, users) = start_always_loading(world).await;
    for (attribute, value) in [
        ("status", json!({})),
        ("status", json!("ACTIVE\u{fffd}")),
        ("id", json!([])),
        ("employment_start_date", json!("someday")),
        ("employment_end_date", json!({})),
        ("termination", json!("yes")),
        ("termination", json!({"last_working_day": "0000-00-00"})),
        ("person", json!("x")),
    ] {
        let action = FaultAction::ChangedEntries {
            entries: 1,
            attribute: attribute.to_owned(),
            value: value.clone(),
        };
        bridge
            .simulator
            .add_fault(InjectedFault::on(SimulatedEndpoint::Employments, action).person(&id));
        assert_eq!(bridge.reloaded().await, users, "{attribute} {value}");
        assert_eq!(
            bridge.health().await.1["parts"]["directory"]["outdated"],
            1,
            "{attribute} {value}"
        );
        bridge.simulator.clear_faults();
    }
}

/// Returns faults that make the employments of one person unreadable.
fn unreadable_employments(other_person: &str) -> [FaultAction; 9] {
    let status = FaultAction::ChangedEntries {
        entries: 1,
        attribute: "status".to_owned(),
        value: json!({}),
    };
    [
        FaultAction::Status(500),
        FaultAction::Status(403),
        FaultAction::NotFoundResource,
        FaultAction::WrongJson,
        FaultAction::TruncatedJson,
        FaultAction::HtmlError(502),
        FaultAction::EmptyListing,
        FaultAction::EmploymentsOf { person: other_person.to_owned(), refers_to_person: true },
        status,
    ]
}

/// Asserts that the list, a filter and a read by id agree on the presence of this user.
async fn is_served(bridge: &TestServer, id: &str, is_expected: bool, text: &str) {
    let listed = bridge.all_users().await.iter().any(|user| user["id"] == id);
    let by_filter =
        bridge.list("/Users", &[("filter", &format!("id eq \"{id}\""))]).await["totalResults"] == 1;
    let by_id = bridge.get(&format!("/Users/{id}")).await;
    assert_eq!(
        (listed, by_filter, by_id.status == 200),
        (is_expected, is_expected, is_expected),
        "{text}"
    );
    if !is_expected {
        by_id.scim_error(404, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_person_whose_employments_cannot_be_read_is_left_out_and_counted() {
    let (world, _) = company();
    let other_person = world.persons[7].id.clone();
    for action in unreadable_employments(&other_person) {
        let (bridge, users) = start_loading_persons(world.clone()).await;
        let id = "9000001";
        bridge.simulator.with_world(|world| {
            let mut hired = world.persons[3].clone();
            (hired.id, hired.email) = (id.to_owned(), Some("new@example.com".to_owned()));
            hired.employments[0].id = "e9000001".to_owned();
            // Without employments the person would appear active.
            hired.employments[0].status = Some("ONBOARDING".to_owned());
            world.persons.push(hired);
        });
        bridge.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, action.clone()).person(id),
        );
        // The second load remembers that the first one could not read the employments.
        for _ in 0..2 {
            assert_eq!(bridge.reloaded().await, users, "{action:?}");
            is_served(&bridge, id, false, &format!("{action:?}")).await;
            let (left_out, kept, _, examples) = defects(&bridge).await;
            assert_eq!((left_out, kept), (1, 0), "{action:?}: {examples}");
            assert!(
                examples.contains("person 9000001: employments, left out"),
                "{action:?}: {examples}"
            );
            assert!(!examples.contains("example.com"), "{examples}");
        }
        bridge.simulator.clear_faults();
        let seen = bridge.reloaded().await;
        assert_eq!((seen.len(), &by_id(&seen, id)["active"]), (61, &json!(false)), "{action:?}");
        is_served(&bridge, id, true, &format!("{action:?}")).await;
        assert_eq!(defects(&bridge).await.0, 0, "{action:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_first_load_a_person_whose_employments_cannot_be_read_is_left_out_and_counted() {
    let (world, _) = company();
    let other_person = world.persons[20].id.clone();
    let actions = unreadable_employments(&other_person);
    let setup = Setup { cache_ttl: SHORT_TTL, max_change: 0.2, ..Setup::of(world) };
    let ids: Vec<String> =
        setup.world.persons.iter().take(actions.len()).map(|person| person.id.clone()).collect();
    let simulator = setup.simulator();
    for (action, id) in actions.iter().zip(&ids) {
        simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Employments, action.clone()).person(id),
        );
    }
    let bridge = setup.start_with(simulator);
    bridge.ready().await;
    for (action, id) in actions.iter().zip(&ids) {
        is_served(&bridge, id, false, &format!("{action:?}")).await;
    }
    assert_eq!(bridge.all_users().await.len(), 60 - ids.len());
    let (left_out, kept, _, examples) = defects(&bridge).await;
    assert_eq!((left_out, kept), (ids.len() as u64, 0), "{examples}");
    bridge.simulator.clear_faults();
    assert_eq!(bridge.reloaded().await.len(), 60);
    assert_eq!(defects(&bridge).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_unit_name_affects_no_other_department() {
    let (mut world, _) = company();
    let unit =
        world.org_units.iter_mut().find(|unit| unit.unit_type.as_str() == "department").unwrap();
    unit.name = PLACEHOLDER.to_owned();
    let count = |users: &[Value], name: &str| {
        users.iter().filter(|user| user[ENTERPRISE]["department"] == name).count()
    };
    let named = |users: &[Value]| {
        users.iter().filter(|user| user[ENTERPRISE]["department"].is_string()).count()
    };
    let usual = Setup::of(world.clone()).start().all_users().await;
    let of_unit = count(&usual, PLACEHOLDER);
    assert!(of_unit > 0 && named(&usual) > of_unit);
    let surrogate: &[u8] = br#""Sales \ud83d""#;
    for (value, expected) in
        [(surrogate, Some("Sales \u{fffd}")), (b"1e400", None), (br#"{"a":1}"#, None)]
    {
        let setup = Setup::of(world.clone());
        let simulator = setup.simulator();
        // Org units that the list does not name are requested one by one.
        for endpoint in [SimulatedEndpoint::OrgUnits, SimulatedEndpoint::OrgUnit] {
            simulator.add_fault(odd(endpoint, value));
        }
        let bridge = setup.start_with(simulator);
        let users = bridge.all_users().await;
        match expected {
            Some(name) => {
                assert_eq!((count(&users, name), named(&users)), (of_unit, named(&usual)))
            }
            None => assert_eq!(named(&users), named(&usual) - of_unit),
        }
        let (_, _, values, examples) = defects(&bridge).await;
        assert!(values == 1 && examples.contains("Department"), "{values} {examples}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_normalised_and_invisible_characters_are_removed() {
    let (mut world, id) = company();
    let person = &mut world.persons[3];
    person.email = Some("\u{feff}jo\u{308}rg\u{200b}@exam\u{ad}ple.com\0".to_owned());
    person.first_name = Some("\u{200e}Jo\u{308}rg\nPeter ".to_owned());
    person.last_name = Some("\u{200b}\u{2060}".to_owned());
    person.preferred_name = None;
    person.employments[0].position = Some("Head\u{2028}of  Sales\u{feff}".to_owned());
    let users = Setup::of(world).start().all_users().await;
    let user = by_id(&users, &id);
    assert_eq!(user["userName"], "j\u{f6}rg@example.com");
    assert_eq!(user["emails"][0]["value"], "j\u{f6}rg@example.com");
    assert_eq!(
        user["name"],
        json!({"formatted": "J\u{f6}rg Peter", "givenName": "J\u{f6}rg Peter"})
    );
    assert_eq!(user["title"], "Head of  Sales");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_without_a_zone_is_utc() {
    for (time, expected) in [
        ("2020-01-01T10:00:00", json!("2020-01-01T10:00:00Z")),
        ("2020-01-01 10:00:00", json!("2020-01-01T10:00:00Z")),
        ("2020-01-01T10:00:00+02:00", json!("2020-01-01T08:00:00Z")),
        ("2020-01-01", json!("2020-01-01T00:00:00Z")),
        ("yesterday", Value::Null),
    ] {
        let setup = Setup::persons(1);
        let simulator = setup.simulator();
        let action = FaultAction::ChangedEntries {
            entries: 1,
            attribute: "created_at".to_owned(),
            value: json!(time),
        };
        simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action));
        let bridge = setup.start_with(simulator);
        let created = bridge.all_users().await[0]["meta"]["created"].clone();
        let created = created.as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(created, expected.as_str().map(|text| text.parse().unwrap()), "{time}");
        assert_eq!(defects(&bridge).await.2, u64::from(expected.is_null()), "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn defects_of_a_response_envelope_are_reported() {
    let (world, _) = company();
    let (bridge, users) = start_always_loading(world).await;
    let json = |body: &str| FaultAction::CustomBody(200, "application/json", body.to_owned());
    for (action, expected) in [
        (json("{}"), "no `_data`"),
        (json(r#"{"_data":{}}"#), "`_data` is not a list"),
        (json(""), "it is empty"),
        (json("[]"), "not a JSON object"),
        (json(r#"{"_data":[{"id":"1"}"#), "cut short"),
        (FaultAction::TruncatedJson, "cut short"),
        (FaultAction::HtmlError(200), "HTML instead of JSON: a proxy or login page answers"),
    ] {
        bridge.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action.clone()));
        assert_eq!(bridge.reloaded().await, users, "{action:?}");
        let failure = bridge.failure().await;
        assert!(failure.contains(expected), "{action:?}: {failure}");
        bridge.simulator.clear_faults();
        bridge.clock.pass(AFTER_COOL_DOWN);
    }
}
