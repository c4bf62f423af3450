//! Tests of the choices in a mapping file and their effect on clients.

use std::time::Duration;

use jiff::tz::TimeZone;
use personio_scim::mapping::{
    AttributeOverride, CustomAttributePolicy, GroupKind, OverridableAttribute, ValueForm,
};
use personio_scim::scim::{
    AttributeType, CustomAttributeDefinition as Served, ENTERPRISE_USER_SCHEMA as ENTERPRISE,
    PERSONIO_USER_SCHEMA as PERSONIO,
};
use personio_scim::simulator::{
    SimulatedCustomAttribute, SimulatedEmployment, SimulatedEndpoint, SimulatedLookupEntry,
    SimulatedOrgUnit, SimulatedOrgUnitType, SimulatedPerson, World,
};
use serde_json::{Value, json};

use crate::harness::{SHORT_TTL, Setup, TOKEN, TestClock, by_id, employee_number, ids, wait_until};
use crate::process::{Program, get};

fn person(id: &str, custom_attributes: Vec<SimulatedCustomAttribute>) -> SimulatedPerson {
    let email = Some(format!("p{id}@example.com"));
    SimulatedPerson { id: id.to_owned(), email, custom_attributes, ..SimulatedPerson::default() }
}

fn attribute(id: &str, value: Value) -> SimulatedCustomAttribute {
    SimulatedCustomAttribute {
        id: id.to_owned(),
        value_type: "STRING".to_owned(),
        value,
        ..SimulatedCustomAttribute::default()
    }
}

fn starting(status: &str, start: Option<&str>) -> World {
    let employment = SimulatedEmployment {
        id: "e".to_owned(),
        status: Some(status.to_owned()),
        employment_start_date: start.map(|day| day.parse().unwrap()),
        ..SimulatedEmployment::default()
    };
    World {
        persons: vec![SimulatedPerson { employments: vec![employment], ..person("1", Vec::new()) }],
        ..World::empty()
    }
}

fn of(persons: Vec<SimulatedPerson>) -> World {
    World { persons, ..World::empty() }
}

fn serve(id: &str, name: &str, kind: AttributeType, multi_valued: bool) -> CustomAttributePolicy {
    CustomAttributePolicy {
        id: id.to_owned(),
        definition: Served { name: name.to_owned(), attribute_type: kind, multi_valued },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_future_employee_becomes_active_at_midnight_company_time() {
    let berlin = Some("Europe/Berlin");
    let start = Some("2026-12-10");
    for (zone, days, status, start, now, active) in [
        // Three days before is the 7th, which begins at 23:00Z on the 6th in winter time.
        (berlin, Some(3), "ONBOARDING", start, "2026-12-06T22:59:59Z", false),
        (berlin, Some(3), "ONBOARDING", start, "2026-12-06T23:00:00Z", true),
        (None, Some(3), "ONBOARDING", start, "2026-12-06T22:59:59Z", false),
        (None, Some(3), "ONBOARDING", start, "2026-12-06T23:00:00Z", true),
        // In summer time the day begins at 22:00Z.
        (berlin, Some(1), "ONBOARDING", Some("2026-07-02"), "2026-06-30T21:59:59Z", false),
        (berlin, Some(1), "ONBOARDING", Some("2026-07-02"), "2026-06-30T22:00:00Z", true),
        (Some("Asia/Tokyo"), Some(3), "ONBOARDING", start, "2026-12-06T14:59:59Z", false),
        (Some("Asia/Tokyo"), Some(3), "ONBOARDING", start, "2026-12-06T15:00:00Z", true),
        (Some("America/Los_Angeles"), Some(3), "ONBOARDING", start, "2026-12-07T07:59:59Z", false),
        (Some("America/Los_Angeles"), Some(3), "ONBOARDING", start, "2026-12-07T08:00:00Z", true),
        (Some("UTC"), Some(3), "ONBOARDING", start, "2026-12-06T23:59:59Z", false),
        (Some("UTC"), Some(3), "ONBOARDING", start, "2026-12-07T00:00:00Z", true),
        // Zero days before is the first day itself.
        (berlin, Some(0), "ONBOARDING", start, "2026-12-09T22:59:59Z", false),
        (berlin, Some(0), "ONBOARDING", start, "2026-12-09T23:00:00Z", true),
        (berlin, Some(u16::MAX), "ONBOARDING", start, "2026-01-01T00:00:00Z", true),
        (berlin, Some(3), "ONBOARDING", None, "2030-01-01T00:00:00Z", false),
        // Without the setting an ONBOARDING person never becomes active early. The setting has no
        // effect on other statuses.
        (berlin, None, "ONBOARDING", start, "2026-12-24T00:00:00Z", false),
        (berlin, Some(3), "INACTIVE", start, "2026-12-24T00:00:00Z", false),
        (berlin, Some(3), "UNSPECIFIED", start, "2026-12-24T00:00:00Z", false),
        (berlin, Some(3), "LEAVE", start, "2026-01-01T00:00:00Z", true),
    ] {
        let mut setup = Setup { clock: TestClock::at(now), ..Setup::of(starting(status, start)) };
        setup.policy.active_before_start_days = days;
        if let Some(zone) = zone {
            setup.policy.time_zone = TimeZone::get(zone).unwrap();
        }
        let users = setup.start().all_users().await;
        assert_eq!(
            users[0]["active"], active,
            "{zone:?}, {days:?} days, {status}, {start:?} at {now}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn day_rollover_of_a_running_server_updates_last_modified() {
    let clock = TestClock::at("2026-12-06T22:59:30Z");
    let mut setup = Setup {
        clock,
        cache_ttl: SHORT_TTL,
        ..Setup::of(starting("ONBOARDING", Some("2026-12-10")))
    };
    setup.policy.active_before_start_days = Some(3);
    let bridge = setup.start();
    let before = bridge.all_users().await[0].clone();
    assert_eq!(bridge.reloaded().await[0], before, "the day has not changed yet");
    bridge.clock.pass(Duration::from_secs(60));
    let after = bridge.reloaded().await[0].clone();
    assert_eq!((&before["active"], &after["active"]), (&json!(false), &json!(true)));
    assert_eq!(after["meta"]["lastModified"], "2026-12-06T23:00:30.000Z");
    assert_ne!(after["meta"]["version"], before["meta"]["version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_team_is_the_division_only_if_configured() {
    let unit = |kind, name: &str| SimulatedOrgUnit::new("7", name, kind);
    let mut world = starting("ACTIVE", None);
    world.persons[0].employments[0].org_units = vec![(SimulatedOrgUnitType::Team, "7".to_owned())];
    world.org_units = vec![
        unit(SimulatedOrgUnitType::Department, "Research"),
        unit(SimulatedOrgUnitType::Team, "Rockets"),
    ];
    world.legal_entities = vec![SimulatedLookupEntry::new("7", "Beispiel GmbH")];
    for (team_is_division, division) in [(false, None), (true, Some(&json!("Rockets")))] {
        let mut setup = Setup::of(world.clone());
        setup.policy.standard_attributes.team_is_division = team_is_division;
        let users = setup.start().all_users().await;
        assert_eq!(users[0][ENTERPRISE].get("division"), division);
        assert_eq!(users[0][PERSONIO]["team"], "Rockets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_employee_number_comes_from_the_attribute_that_the_company_names() {
    let rows = [
        (Some(json!("P-000001")), Some("P-000001")),
        (Some(json!("  P-7 ")), Some("P-7")),
        (Some(json!(4711)), Some("4711")),
        (Some(json!("")), None),
        (Some(json!(null)), None),
        (Some(json!(true)), None),
        (Some(json!(["P-1"])), Some("P-1")),
        (Some(json!(["P-1", "P-2"])), None),
        (Some(json!({"number": "P-1"})), None),
        (None, None),
    ];
    for (own_id, global_id) in [("dynamic_777", None), ("dynamic_1", Some("dynamic_777"))] {
        let persons = rows.iter().enumerate().map(|(index, (value, _))| {
            let named = value.iter().map(|value| SimulatedCustomAttribute {
                global_id: global_id.map(str::to_owned),
                ..attribute(own_id, value.clone())
            });
            let others =
                [attribute("dynamic_776", json!("X-1")), attribute("dynamic_7777", json!("X-2"))];
            person(&(index + 1).to_string(), named.chain(others).collect())
        });
        let mut setup = Setup::of(of(persons.collect()));
        setup.policy.standard_attributes = employee_number("dynamic_777");
        let users = setup.start().all_users().await;
        for (index, (value, expected)) in rows.iter().enumerate() {
            let number = by_id(&users, &(index + 1).to_string())
                .get(ENTERPRISE)
                .and_then(|own| own.get("employeeNumber"));
            assert_eq!(number.and_then(Value::as_str), *expected, "{value:?}");
        }
    }
}

/// Returns a person with a value of Personio's own for each attribute that has one, and with the
/// value of the custom attribute `dynamic_12` in one department.
fn overridden_person(id: &str, custom: Option<Value>) -> SimulatedPerson {
    let custom = custom.map(|value| attribute("dynamic_12", value));
    let employment = SimulatedEmployment {
        id: format!("e{id}"),
        status: Some("ACTIVE".to_owned()),
        employment_type: Some("INTERNAL".to_owned()),
        position: Some("Pilot".to_owned()),
        org_units: vec![
            (SimulatedOrgUnitType::Department, "7".to_owned()),
            (SimulatedOrgUnitType::Team, "7".to_owned()),
        ],
        legal_entity: Some("7".to_owned()),
        cost_centers: vec![("7".to_owned(), 100.0)],
        ..SimulatedEmployment::default()
    };
    SimulatedPerson {
        preferred_name: Some("Annie".to_owned()),
        employments: vec![employment],
        ..person(id, custom.into_iter().collect())
    }
}

fn overridden_company(custom: &[Option<Value>]) -> World {
    let entry = |name: &str| SimulatedLookupEntry::new("7", name);
    let unit = |unit_type, name: &str| SimulatedOrgUnit::new("7", name, unit_type);
    let mut persons = Vec::new();
    for (index, value) in custom.iter().enumerate() {
        persons.push(overridden_person(&(index + 1).to_string(), value.clone()));
    }
    World {
        persons,
        org_units: vec![
            unit(SimulatedOrgUnitType::Department, "Research"),
            unit(SimulatedOrgUnitType::Team, "Rockets"),
        ],
        legal_entities: vec![entry("Beispiel GmbH")],
        cost_centers: vec![entry("Fuel")],
        ..World::empty()
    }
}

/// Attributes that can be overridden, with their pointers and Personio's own value for
/// [`overridden_person`]. The employee number of its own is the id.
const OVERRIDABLE: [(OverridableAttribute, &str, Option<&str>); 11] = [
    (OverridableAttribute::NickName, "/nickName", Some("Annie")),
    (OverridableAttribute::Title, "/title", Some("Pilot")),
    (OverridableAttribute::UserType, "/userType", Some("Employee")),
    (OverridableAttribute::PreferredLanguage, "/preferredLanguage", None),
    (OverridableAttribute::Locale, "/locale", None),
    (OverridableAttribute::Timezone, "/timezone", None),
    (OverridableAttribute::EmployeeNumber, "enterprise/employeeNumber", Some("2")),
    (OverridableAttribute::CostCenter, "enterprise/costCenter", Some("Fuel")),
    (OverridableAttribute::Organization, "enterprise/organization", Some("Beispiel GmbH")),
    (OverridableAttribute::Division, "enterprise/division", Some("Rockets")),
    (OverridableAttribute::Department, "enterprise/department", Some("Research")),
];

fn at_pointer<'u>(user: &'u Value, pointer: &str) -> Option<&'u str> {
    user.pointer(&pointer.replace("enterprise", &format!("/{ENTERPRISE}")))?.as_str()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_attribute_replaces_each_standard_attribute() {
    for (attribute, pointer, own) in OVERRIDABLE {
        // A value of each form, the value that is served for it, and a value of no use.
        let (given, expected, unusable) = match attribute.form() {
            ValueForm::Text => ("Werkstudent", "Werkstudent", json!(["two", "values"])),
            ValueForm::LanguageTag => ("de_ch", "de-CH", json!("Deutsch")),
            ValueForm::TimeZone => ("europe/zurich", "Europe/Zurich", json!("MEZ")),
        };
        for has_fallback in [true, false] {
            let custom = [Some(json!(given)), None, Some(json!([given])), Some(unusable.clone())];
            let mut setup = Setup::of(overridden_company(&custom));
            setup.policy.groups = vec![GroupKind::Department];
            setup.policy.standard_attributes.team_is_division = true;
            let chosen = AttributeOverride::with_source(attribute, "dynamic_12", has_fallback);
            setup.policy.standard_attributes.overrides.push(chosen);
            let bridge = setup.start();
            let users = bridge.all_users().await;
            let own = own.filter(|_| has_fallback);
            // The id of the last person is their own employee number.
            let last = if own == Some("2") { Some("4") } else { own };
            for (id, served) in
                [("1", Some(expected)), ("2", own), ("3", Some(expected)), ("4", last)]
            {
                let user = by_id(&users, id);
                assert_eq!(
                    at_pointer(user, pointer),
                    served,
                    "{attribute:?}, {has_fallback}, {id}"
                );
                assert_eq!(user["groups"][0]["display"], "Research", "groups are Personio's units");
            }
            // Filters find the values that are served.
            let path = match pointer.split_once('/').unwrap() {
                ("enterprise", name) => format!("{ENTERPRISE}:{name}"),
                (_, name) => name.to_owned(),
            };
            let filter = format!("{path} eq \"{expected}\"");
            let found = bridge.list("/Users", &[("filter", &filter)]).await;
            assert_eq!(ids(&found), ["1", "3"], "{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_values_rename_values_of_any_source() {
    let custom = [
        Some(json!("Werkstudent")),
        Some(json!("werkstudent")),
        Some(json!(true)),
        Some(json!(false)),
        None,
    ];
    for (has_source, expected) in [
        (true, ["Working student", "werkstudent", "Apprentice", "Staff", "Staff"]),
        (false, ["Staff"; 5]),
    ] {
        let mut setup = Setup::of(overridden_company(&custom));
        let mut chosen =
            AttributeOverride::with_source(OverridableAttribute::UserType, "dynamic_12", true);
        chosen.source.take_if(|_| !has_source);
        for (value, new_value) in
            [("Werkstudent", "Working student"), ("true", "Apprentice"), ("Employee", "Staff")]
        {
            chosen.new_values.insert(value.to_owned(), new_value.to_owned());
        }
        setup.policy.standard_attributes.overrides.push(chosen);
        let users = setup.start().all_users().await;
        for (index, expected) in expected.into_iter().enumerate() {
            let user = by_id(&users, &(index + 1).to_string());
            assert_eq!(user["userType"], expected, "{:?}", custom[index]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn persons_without_an_address_are_left_out_and_counted_if_configured() {
    let mut world = of((1..=5).map(|id| person(&id.to_string(), Vec::new())).collect());
    (world.persons[1].email, world.persons[3].email) = (None, Some(" ".to_owned()));
    for (require_email, users, left_out) in [(false, 5, 0), (true, 3, 2)] {
        let mut setup = Setup::of(world.clone());
        setup.policy.require_email = require_email;
        let bridge = setup.start();
        assert_eq!(bridge.users("").await["totalResults"], users);
        let (status, health) = bridge.health().await;
        let directory = &health["parts"]["directory"];
        assert_eq!(status, 200);
        assert_eq!(
            (&directory["users"], &directory["leftOutWithoutEmail"]),
            (&json!(users), &json!(left_out))
        );
        let answer = bridge.get("/scim/v2/Users/2").await;
        assert_eq!(answer.status.as_u16(), if require_email { 404 } else { 200 });
        assert_eq!(bridge.simulator.request_count(SimulatedEndpoint::Person), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_attributes_are_served_with_their_type_and_others_not_at_all() {
    use AttributeType::{Boolean, Decimal, Integer, String as Text};
    // Announced type, whether the attribute has many values, Personio's value, and the served
    // value.
    let rows = [
        (Text, false, json!("blue"), json!("blue")),
        (Text, false, json!("  blue "), json!("blue")),
        (Text, false, json!(["blue"]), json!("blue")),
        (Text, false, json!(""), Value::Null),
        (Text, false, json!([]), Value::Null),
        (Text, false, Value::Null, Value::Null),
        (Text, false, json!(["blue", "red"]), Value::Null),
        (Text, false, json!({"color": "blue"}), Value::Null),
        (Text, true, json!(["blue", "", null, "red"]), json!(["blue", "red"])),
        (Text, true, json!("blue"), json!(["blue"])),
        (Text, true, json!(["blue", {"color": "red"}]), Value::Null),
        (Text, true, json!([["blue"]]), Value::Null),
        (Text, true, json!([""]), Value::Null),
        (Integer, false, json!(7), json!(7)),
        (Integer, false, json!(0), json!(0)),
        (Integer, false, json!("7"), json!(7)),
        (Integer, false, json!(7.5), Value::Null),
        (Integer, false, json!("seven"), Value::Null),
        (Integer, false, json!(true), Value::Null),
        (Integer, true, json!([7, 8]), json!([7, 8])),
        (Decimal, false, json!(7.5), json!(7.5)),
        (Decimal, false, json!("inf"), Value::Null),
        (Decimal, false, json!("much"), Value::Null),
        (Boolean, false, json!(false), json!(false)),
        (Boolean, false, json!(true), json!(true)),
        (Boolean, false, json!("TRUE"), json!(true)),
        (Boolean, false, json!("maybe"), Value::Null),
        (Boolean, false, json!(1), json!(true)),
        (Boolean, false, json!(2), Value::Null),
    ];
    let attributes = rows.iter().enumerate().map(|(index, row)| {
        // Attributes with an odd index match only by their global id.
        let (by_id, by_global_id) = (format!("dynamic_{index}"), format!("level_{index}"));
        let own = if index % 2 == 0 { by_id } else { format!("dynamic_9{index}") };
        SimulatedCustomAttribute { global_id: Some(by_global_id), ..attribute(&own, row.2.clone()) }
    });
    let others =
        [attribute("dynamic_not_named", json!("never")), attribute("Dynamic_0", json!("never"))];
    let mut setup = Setup::of(of(vec![
        person("1", attributes.chain(others).collect()),
        person("2", Vec::new()),
    ]));
    setup.policy.custom_attributes = rows
        .iter()
        .enumerate()
        .map(|(index, (kind, multi_valued, ..))| {
            let id =
                if index % 2 == 0 { format!("dynamic_{index}") } else { format!("level_{index}") };
            serve(&id, &format!("own{index}"), *kind, *multi_valued)
        })
        .collect();
    let bridge = setup.start();
    let users = bridge.all_users().await;
    let user = by_id(&users, "1");
    for (index, (kind, multi_valued, value, expected)) in rows.iter().enumerate() {
        let served = user[PERSONIO].get(format!("own{index}"));
        let expected = Some(expected).filter(|expected| !expected.is_null());
        assert_eq!(served, expected, "{kind:?}, many: {multi_valued}, {value}");
    }
    assert!(!user.to_string().contains("never"), "{user}");
    assert!(by_id(&users, "2").get(PERSONIO).is_none(), "who has no value has no extension");

    let schema = bridge.get(&format!("/scim/v2/Schemas/{PERSONIO}")).await.json();
    let all = bridge.get("/scim/v2/Schemas").await.json();
    assert!(all["Resources"].as_array().unwrap().contains(&schema), "alone as in the list");
    for (index, (kind, multi_valued, ..)) in rows.iter().enumerate() {
        let name = format!("own{index}");
        let described: Vec<&Value> = schema["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|own| own["name"] == name.as_str())
            .collect();
        let [described] = described.as_slice() else {
            panic!("{name} is described {} times", described.len())
        };
        let word = match kind {
            Text => "string",
            Boolean => "boolean",
            Decimal => "decimal",
            Integer => "integer",
            AttributeType::DateTime | AttributeType::Reference | AttributeType::Complex => {
                panic!("no choice")
            }
        };
        assert!(described["description"].as_str().is_some_and(|text| !text.is_empty()));
        for (characteristic, expected) in [
            ("type", json!(word)),
            ("multiValued", json!(multi_valued)),
            ("required", json!(false)),
            ("caseExact", json!(false)),
            ("mutability", json!("readOnly")),
            ("returned", json!("default")),
            ("uniqueness", json!("none")),
        ] {
            assert_eq!(described[characteristic], expected, "{name}, {characteristic}");
        }
    }
}

const MAPPING: &str = r#"
active_before_start_days = 36500
time_zone = "Europe/Berlin"
employee_number = "dynamic_777"
division = "team"
display_name = "legal"
[attributes]
title = "dynamic_9"
userType = "dynamic_12"
locale = { id = "dynamic_13", fallback = false }
[values.userType]
"Werkstudent" = "Working student"
[users]
require = ["email"]
[[custom_attribute]]
id = "dynamic_9"
name = "secret"
[[custom_attribute]]
global_id = "level"
name = "level"
type = "integer"
[[custom_attribute]]
id = "dynamic_11"
name = "skills"
multi_valued = true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_file_applies_and_personal_attributes_are_warned_about_once() {
    let born = |label: &str| SimulatedCustomAttribute {
        label: Some(label.to_owned()),
        ..attribute("dynamic_9", json!("1970-01-01"))
    };
    let level = |value: Value| SimulatedCustomAttribute {
        global_id: Some("level".to_owned()),
        ..attribute("dynamic_10", value)
    };
    let mut world = starting("ONBOARDING", Some("2090-01-01"));
    world.org_units = vec![SimulatedOrgUnit::new("7", "Rockets", SimulatedOrgUnitType::Team)];
    world.persons[0].employments[0].org_units = vec![(SimulatedOrgUnitType::Team, "7".to_owned())];
    world.persons[0].custom_attributes = vec![
        born("Geburtsdatum"),
        level(json!(3)),
        attribute("dynamic_11", json!(["Go", "Rust"])),
        attribute("dynamic_12", json!("Werkstudent")),
        attribute("dynamic_13", json!("Klingonisch")),
        attribute("dynamic_777", json!("P-1")),
    ];
    world.persons[0].preferred_name = Some("Annie".to_owned());
    world.persons[0].last_name = Some("Lee".to_owned());
    world.persons[0].employments[0].position = Some("Pilot".to_owned());
    world.persons.push(person("2", vec![born("Geburtsdatum"), level(json!("high"))]));
    world.persons.push(person("3", vec![born("Date of birth"), level(json!("low"))]));
    // One person has the address of the first one, and one has no address.
    world.persons.push(SimulatedPerson {
        email: Some("P1@example.com".to_owned()),
        ..person("4", vec![born("Geburtstag")])
    });
    world.persons.push(SimulatedPerson { email: None, ..person("5", Vec::new()) });

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MAPPING).unwrap();
    let setup = Setup::of(world);
    let simulator = setup.simulator();
    let upstream = simulator.base_url();
    let variables = [
        ("PERSONIO_CLIENT_ID", setup.options.client_id.as_str()),
        ("PERSONIO_CLIENT_SECRET", setup.options.client_secret.as_str()),
        ("PERSONIO_BASE_URL", &upstream),
        ("SCIM_LISTEN", "127.0.0.1:0"),
        ("SCIM_BEARER_TOKEN", TOKEN),
        ("SCIM_CONFIG", file.path().to_str().unwrap()),
        ("SCIM_CACHE_TTL", "20ms"),
    ];
    let program = Program::start(&["serve"], &variables);
    let list = format!("{}/Users", program.base_url().await);
    let page = get(&list, TOKEN).await.json();
    let users = page["Resources"].as_array().unwrap();
    assert_eq!(users.len(), 4, "who has no address is left out");
    let first = by_id(users, "1");
    assert_eq!(first["active"], true);
    assert_eq!(first[ENTERPRISE], json!({"employeeNumber": "P-1", "division": "Rockets"}));
    assert_eq!(
        (&first[PERSONIO]["level"], &first[PERSONIO]["skills"]),
        (&json!(3), &json!(["Go", "Rust"]))
    );
    assert_eq!((&first["displayName"], &first["nickName"]), (&json!("Lee"), &json!("Annie")));
    assert_eq!((&first["title"], &first["userType"]), (&json!("Pilot"), &json!("Working student")));
    assert_eq!(first.get("locale"), None, "no language tag");
    assert_eq!(by_id(users, "4")["userName"], "personio-4");
    assert!(!page.to_string().contains("1970"), "{page}");
    assert!(!page.to_string().contains("secret"), "{page}");

    // Further loads log nothing new.
    for loads in [2, 3] {
        wait_until("the time to live is over", async || {
            get(&list, TOKEN).await;
            simulator.request_count(SimulatedEndpoint::Persons) >= loads
        })
        .await;
    }
    let warnings: Vec<Value> = program.log_at("WARN");
    let about = |id: &str| warnings.iter().filter(|event| event["custom_attribute"] == id).count();
    assert_eq!(
        ["dynamic_9", "level", "dynamic_13", "dynamic_11", "dynamic_12"].map(about),
        [1, 1, 1, 0, 0],
        "{warnings:#?}"
    );
    assert!(
        warnings.iter().any(|event| event["shared"] == 1),
        "a shared address is told: {warnings:#?}"
    );
    let log = Value::from(program.log()).to_string();
    for private in ["example.com", "1970", "Geburt", "birth", "Rust", "high", "Klingon", "student"]
    {
        assert!(!log.contains(private), "{private} is in the log: {log}");
    }
}
