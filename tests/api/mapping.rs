//! What the mapping file changes. Its reading is tested where it is read.

use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use personio_scim::scim::{AttributeType, CustomAttribute};
use personio_scim::simulator::{self, Employment, OrgUnit, OrgUnitKind, Person, World};
use personio_scim::translate::{Custom, Policy};
use serde_json::{Value, json};

use crate::harness::{SHORT, Setup, TestClock, by_id};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PERSONIO: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";

fn world(persons: Vec<Person>) -> World {
    World { persons, ..World::empty() }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_become_active_some_days_before_they_start_where_the_company_is() {
    // They start on 1 December; three days before is 28 November, which begins at 23:00Z in Berlin and
    // at 15:00Z in Tokyo.
    for (zone, days, before, after) in [
        ("Europe/Berlin", Some(3), "2026-11-27T22:59:59Z", "2026-11-27T23:00:00Z"),
        ("Asia/Tokyo", Some(3), "2026-11-27T14:59:59Z", "2026-11-27T15:00:00Z"),
        ("Europe/Berlin", Some(0), "2026-11-30T22:59:59Z", "2026-11-30T23:00:00Z"),
    ] {
        let employment = Employment {
            id: "e".into(),
            status: Some("ONBOARDING".into()),
            employment_start_date: Some(date(2026, 12, 1)),
            ..Employment::default()
        };
        let undated = Employment { employment_start_date: None, ..employment.clone() };
        let person =
            |id: &str, employment| Person { id: id.into(), employments: vec![employment], ..Person::default() };
        let mut setup = Setup::of(world(vec![person("1", employment), person("2", undated)]));
        setup.policy.active_before_start_days = days;
        setup.policy.time_zone = TimeZone::get(zone).unwrap();
        setup.cache_ttl = SHORT;
        setup.clock = TestClock::at(before);
        let bridge = setup.start();
        let first = bridge.everybody().await;
        assert_eq!(by_id(&first, "1")["active"], false, "{zone} {days:?}");
        bridge.clock.pass(Duration::from_secs(1));
        let second = bridge.reloaded().await;
        let user = by_id(&second, "1");
        assert_eq!(user["active"], true, "{zone} {days:?}");
        assert_eq!(user["meta"]["lastModified"], after);
        assert_ne!(user["meta"]["version"], by_id(&first, "1")["meta"]["version"]);
        assert_eq!(by_id(&second, "2")["active"], false, "without a start nobody knows");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn division_employee_number_and_required_e_mail() {
    let mut setup = Setup::persons(60);
    setup.policy = Policy {
        team_is_division: true,
        employee_number: Some("dynamic_777".into()),
        require_email: true,
        ..Policy::default()
    };
    let without = setup.world.persons.iter().filter(|person| person.email.is_none()).count();
    let mut extra = setup.world.persons[0].clone();
    (extra.id, extra.email) = ("99999999".to_owned(), None);
    setup.world.persons.push(extra);
    let world = setup.world.clone();
    let bridge = setup.start();
    let users = bridge.everybody().await;
    assert_eq!(users.len(), 60 - without);
    assert_eq!(bridge.health().await.1["parts"]["directory"]["leftOutWithoutEmail"], without + 1);
    bridge.get("/Users/99999999").await.scim_error(404, None);
    for user in &users {
        let person = world.persons.iter().find(|person| user["id"] == person.id.as_str()).unwrap();
        let number = person.custom_attributes.iter().find(|attribute| attribute.id == "dynamic_777").unwrap();
        assert_eq!(user[ENTERPRISE]["employeeNumber"], number.value);
        assert_eq!(user[ENTERPRISE]["division"], user[PERSONIO]["team"]);
    }
    assert!(users.iter().any(|user| user[ENTERPRISE]["division"].is_string()));
}

/// A custom attribute in Personio.
fn attribute(id: &str, label: &str, value: Value) -> simulator::CustomAttribute {
    simulator::CustomAttribute {
        id: id.into(),
        global_id: (id == "dynamic_2").then(|| "job_level".to_owned()),
        label: Some(label.into()),
        kind: "standard".into(),
        value,
    }
}

/// How it is mapped.
fn mapped(id: &str, name: &str, kind: AttributeType, multi_valued: bool) -> Custom {
    Custom { id: id.into(), attribute: CustomAttribute { name: name.into(), kind, multi_valued } }
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_attributes_are_served_when_they_are_named() {
    use AttributeType::{Boolean, Integer, String};
    let custom_attributes = vec![
        attribute("dynamic_1", "Badge", json!(["A", "B"])),
        attribute("dynamic_2", "Level", json!("7")),
        attribute("dynamic_3", "Remote", json!(true)),
        attribute("dynamic_4", "Not mapped", json!("MARKER")),
        attribute("dynamic_5", "Geburtsdatum", json!("1980-01-01")),
        attribute("dynamic_6", "Desk", json!({"no": "text"})),
        attribute("dynamic_7", "Empty", json!(" ")),
    ];
    let mut setup = Setup::of(world(vec![Person { id: "1".into(), custom_attributes, ..Person::default() }]));
    setup.policy.custom = vec![
        mapped("dynamic_1", "badges", String, true),
        mapped("job_level", "level", Integer, false),
        mapped("dynamic_3", "remote", Boolean, false),
        mapped("dynamic_5", "something", String, false),
        mapped("dynamic_6", "desk", String, false),
        mapped("dynamic_7", "nothing", String, false),
        mapped("dynamic_8", "missing", String, false),
    ];
    let bridge = setup.start();
    let user = bridge.everybody().await.remove(0);
    assert_eq!(user[PERSONIO], json!({"badges": ["A", "B"], "level": 7, "remote": true}));

    let schema = bridge.get(&format!("/Schemas/{PERSONIO}")).await.json();
    let described: Vec<_> = schema["attributes"].as_array().unwrap().iter().rev().take(7).rev().collect();
    assert_eq!(described[0]["name"], "badges");
    assert_eq!((&described[0]["type"], &described[0]["multiValued"]), (&json!("string"), &json!(true)));
    assert_eq!((&described[1]["name"], &described[1]["type"]), (&json!("level"), &json!("integer")));
    for attribute in described {
        for characteristic in
            ["multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"]
        {
            assert!(!attribute[characteristic].is_null(), "{attribute}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mapping_there_are_no_custom_attributes() {
    let setup = Setup::persons(30);
    let bridge = setup.start();
    let known = personio_scim::scim::extension_attributes().unwrap();
    for user in bridge.everybody().await {
        for name in user[PERSONIO].as_object().into_iter().flat_map(|extension| extension.keys()) {
            assert!(known.contains(name), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_units_and_cost_centres_one_is_chosen_whatever_the_order() {
    let mut results = Vec::new();
    for turned in [false, true] {
        let mut employment = Employment {
            id: "e".into(),
            status: Some("ACTIVE".into()),
            org_units: vec![
                (OrgUnitKind::Department, "10".into()),
                (OrgUnitKind::Department, "9".into()),
                (OrgUnitKind::Team, "3".into()),
            ],
            cost_centers: vec![("1".into(), 40.0), ("2".into(), 60.0)],
            ..Employment::default()
        };
        if turned {
            employment.org_units.reverse();
            employment.cost_centers.reverse();
        }
        let unit = |id: &str, kind| OrgUnit { id: id.into(), name: format!("Unit {id}"), kind };
        let center = |id: &str| simulator::Named { id: id.into(), name: format!("Centre {id}") };
        let world = World {
            persons: vec![Person { id: "1".into(), employments: vec![employment], ..Person::default() }],
            org_units: vec![
                unit("9", OrgUnitKind::Department),
                unit("10", OrgUnitKind::Department),
                unit("3", OrgUnitKind::Team),
            ],
            cost_centers: vec![center("1"), center("2")],
            ..World::empty()
        };
        let user = Setup::of(world).start().everybody().await.remove(0);
        assert_eq!(
            (&user[ENTERPRISE]["department"], &user[ENTERPRISE]["costCenter"]),
            (&json!("Unit 9"), &json!("Centre 2"))
        );
        assert_eq!(user[ENTERPRISE].get("division"), None);
        results.push(user[PERSONIO].clone());
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0]["orgUnits"][0], json!({"value": "9", "display": "Unit 9", "type": "department"}));
}
