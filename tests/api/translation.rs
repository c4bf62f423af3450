//! Tests of the mapping from persons to users, attribute by attribute. The expected table is
//! computed here from the simulator's data and shares no code with the mapping.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use personio_scim::mapping::{DisplayNameRule, GroupKind, ServedEmployments};
use personio_scim::scim::{
    ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO, USER_SCHEMA as CORE,
};
use personio_scim::simulator::{
    Quirks, SimulatedEmployment, SimulatedEndpoint, SimulatedLookupEntry, SimulatedOrgUnit,
    SimulatedOrgUnitType, SimulatedPerson, SimulatedTermination, World,
};
use serde_json::{Map, Value, json};

use crate::harness::{NOW, NOW_STAMP, SHORT_TTL, Setup, by_id, employee_number, format_timestamp};

/// Returns the expected users of a company, in their order and without `meta.version`.
fn expected(world: &World, base: &str) -> Vec<Value> {
    let mut persons: Vec<&SimulatedPerson> = world.persons.iter().collect();
    persons.sort_by_key(|person| {
        (person.created_at.unwrap_or(Timestamp::MAX), person.id.parse::<u64>().unwrap())
    });
    let mut cards = HashMap::new();
    for person in &persons {
        let is_owner = persons
            .iter()
            .all(|other| !is_same_address(person, other) || claim(other) <= claim(person));
        let email = person.email.clone().filter(|_| is_owner);
        let user_name = email.unwrap_or_else(|| format!("personio-{}", person.id));
        let shown = whole_preferred_name(person)
            .or_else(|| formatted(person))
            .unwrap_or_else(|| user_name.clone());
        cards.insert(person.id.as_str(), (user_name, shown, person.email.clone()));
    }
    persons.iter().map(|person| row(person, world, &cards, base)).collect()
}

/// User name, display name and e-mail address by id.
type UserCards<'w> = HashMap<&'w str, (String, String, Option<String>)>;

fn row(person: &SimulatedPerson, world: &World, cards: &UserCards<'_>, base: &str) -> Value {
    let (user_name, shown, _) = &cards[person.id.as_str()];
    let none = SimulatedEmployment::default();
    let current = current(person).unwrap_or(&none);
    let active = matches!(state(person), "ACTIVE" | "LEAVE");
    let user_type = match current.employment_type.as_deref() {
        Some("INTERNAL") => Some("Employee"),
        Some("EXTERNAL") => Some("Contractor"),
        _ => None,
    };
    let emails = person
        .email
        .as_ref()
        .map(|email| json!([{"value": email, "type": "work", "primary": true}]));
    let (enterprise, ours) =
        (enterprise(person, current, world, cards, base), ours(person, current, world, cards));
    let urns =
        [Some(CORE), enterprise.as_ref().map(|_| ENTERPRISE), ours.as_ref().map(|_| PERSONIO)];
    let resource = object([
        ("schemas", Some(json!(urns.into_iter().flatten().collect::<Vec<_>>()))),
        ("id", Some(json!(person.id))),
        ("externalId", Some(json!(person.id))),
        ("userName", Some(json!(user_name))),
        ("displayName", Some(json!(shown))),
        ("nickName", person.preferred_name.as_ref().map(|name| json!(name))),
        ("title", current.position.as_ref().map(|title| json!(title))),
        ("userType", user_type.map(|word| json!(word))),
        ("active", Some(json!(active))),
        ("emails", emails),
        (ENTERPRISE, enterprise),
        (PERSONIO, ours),
        (
            "meta",
            object([
                ("resourceType", Some(json!("User"))),
                ("created", person.created_at.map(|at| json!(format_timestamp(at)))),
                (
                    "lastModified",
                    person.updated_at.max(current.updated_at).map(|at| json!(format_timestamp(at))),
                ),
                ("location", Some(json!(format!("{base}/Users/{}", person.id)))),
            ]),
        ),
    ]);
    let name = object([
        ("givenName", person.first_name.as_ref().map(|name| json!(name))),
        ("familyName", person.last_name.as_ref().map(|name| json!(name))),
        ("formatted", formatted(person).map(|name| json!(name))),
    ]);
    let mut resource = resource.unwrap();
    resource["name"] = name.unwrap_or_else(|| json!({}));
    resource
}

fn is_same_address(one: &SimulatedPerson, other: &SimulatedPerson) -> bool {
    let address =
        |person: &SimulatedPerson| person.email.as_ref().map(|email| email.to_lowercase());
    one.email.is_some() && address(one) == address(other)
}

/// Returns the priority of a person for an address that several persons have: state, start, then
/// the lower id.
fn claim(person: &SimulatedPerson) -> (usize, Option<Date>, Reverse<u64>) {
    let states = ["INACTIVE", "ONBOARDING", "LEAVE", "ACTIVE"];
    let state = states.iter().position(|word| *word == state(person)).unwrap_or_default();
    let start = current(person).and_then(|employment| employment.employment_start_date);
    (state, start, Reverse(person.id.parse().unwrap()))
}

fn today() -> Date {
    NOW.parse::<Timestamp>().unwrap().to_zoned(TimeZone::get("Europe/Berlin").unwrap()).date()
}

/// Returns the state of a generated person today.
fn state(person: &SimulatedPerson) -> &str {
    let Some(employment) = current(person) else {
        return person.status.as_deref().unwrap_or_default();
    };
    if follows(employment, person) {
        return "ACTIVE";
    }
    match employment.status.as_deref() {
        Some("ONBOARDING") if was_withdrawn(employment) => "INACTIVE",
        Some(word) => word,
        None => person.status.as_deref().unwrap_or_default(),
    }
}

/// Reports whether an employment that Personio reports as ONBOARDING has begun within four days of
/// the end of another one.
fn follows(employment: &SimulatedEmployment, person: &SimulatedPerson) -> bool {
    let Some(start) = employment.employment_start_date.filter(|start| *start <= today()) else {
        return false;
    };
    let has_ended = |other: &SimulatedEmployment| {
        let end = other.employment_end_date.filter(|_| other.status.as_deref() == Some("INACTIVE"));
        end.is_some_and(|end| (start - end).get_days() <= 4)
    };
    employment.status.as_deref() == Some("ONBOARDING")
        && !was_withdrawn(employment)
        && person.employments.iter().any(|other| other.id != employment.id && has_ended(other))
}

fn was_withdrawn(employment: &SimulatedEmployment) -> bool {
    let end = employment.termination.as_ref().and_then(|termination| termination.termination_date);
    end.is_some_and(|end| Some(end) < employment.employment_start_date || end < today())
}

/// Returns the primary employment of a generated person.
fn current(person: &SimulatedPerson) -> Option<&SimulatedEmployment> {
    let newest = |status: &str| {
        let of_status = person
            .employments
            .iter()
            .filter(|it| status.is_empty() || it.status.as_deref() == Some(status));
        of_status
            .max_by_key(|it| (it.employment_start_date.filter(|start| *start <= today()), &it.id))
    };
    let follows = person.employments.iter().find(|employment| follows(employment, person));
    let begun = ["ACTIVE", "LEAVE", "ONBOARDING"].into_iter().find_map(newest);
    let over = || person.employments.iter().max_by_key(|it| (it.employment_start_date, &it.id));
    follows.or(begun).or_else(over)
}

fn enterprise(
    person: &SimulatedPerson,
    current: &SimulatedEmployment,
    world: &World,
    cards: &UserCards<'_>,
    base: &str,
) -> Option<Value> {
    let unit = |kind| {
        current.org_units.iter().find(|unit| unit.0 == kind).and_then(|unit| unit_name(world, unit))
    };
    let heaviest = current.cost_centers.iter().max_by(|one, other| one.1.total_cmp(&other.1));
    let manager = current.supervisor.as_deref().and_then(|id| {
        let (_, shown, _) = cards.get(id)?;
        Some(json!({"value": id, "$ref": format!("{base}/Users/{id}"), "displayName": shown}))
    });
    object([
        ("employeeNumber", Some(json!(person.id))),
        ("department", unit(SimulatedOrgUnitType::Department)),
        ("organization", named(&world.legal_entities, current.legal_entity.as_deref())),
        ("costCenter", named(&world.cost_centers, heaviest.map(|center| center.0.as_str()))),
        ("manager", manager),
    ])
}

/// Returns the first day of the first employment.
fn first_day(person: &SimulatedPerson) -> Option<Date> {
    let happened = person.employments.iter().filter(|it| {
        it.employment_end_date.is_none_or(|end| Some(end) >= it.employment_start_date)
    });
    happened.filter_map(|it| it.employment_start_date).min()
}

/// Returns the first day of the next employment of a person who is not active.
fn next_day(person: &SimulatedPerson) -> Option<Date> {
    if matches!(state(person), "ACTIVE" | "LEAVE") {
        return None;
    }
    let planned = person
        .employments
        .iter()
        .filter(|it| it.status.as_deref() == Some("ONBOARDING") && !was_withdrawn(it));
    planned.filter_map(|it| it.employment_start_date).filter(|start| *start > today()).min()
}

/// Returns the cost centres by weight.
fn cost_centers(current: &SimulatedEmployment, world: &World) -> Option<Value> {
    let mut centers = current.cost_centers.clone();
    centers.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    let mut values = Vec::new();
    for (id, weight) in centers {
        values.push(object([
            ("value", Some(json!(id))),
            ("display", named(&world.cost_centers, Some(&id))),
            ("weight", Some(json!(weight))),
        ]));
    }
    (!values.is_empty()).then(|| json!(values))
}

fn ours(
    person: &SimulatedPerson,
    current: &SimulatedEmployment,
    world: &World,
    cards: &UserCards<'_>,
) -> Option<Value> {
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    let day =
        |day: Option<jiff::civil::Date>| day.map(|day| json!(day.strftime("%Y-%m-%d").to_string()));
    let end = current.termination.clone().unwrap_or_default();
    let team = current.org_units.iter().find(|unit| unit.0 == SimulatedOrgUnitType::Team);
    let mut units: Vec<&(SimulatedOrgUnitType, String)> = current.org_units.iter().collect();
    units.sort_by_key(|(kind, id)| (kind.as_str(), id.parse::<u64>().unwrap()));
    let units: Vec<Value> = units
        .into_iter()
        .map(|unit| {
            let (kind, id) = unit;
            let members = [
                ("value", Some(json!(id))),
                ("display", unit_name(world, unit)),
                ("type", Some(json!(kind.as_str()))),
            ];
            object(members).unwrap()
        })
        .collect();
    let manager = current.supervisor.as_deref().and_then(|id| cards.get(id)?.2.clone());
    let unit_id = |kind| {
        let ids = current.org_units.iter().filter(|unit| unit.0 == kind).map(|unit| &unit.1);
        ids.min_by_key(|id| id.parse::<u64>().unwrap()).map(|id| json!(id))
    };
    let shares = cost_centers(current, world);
    let heaviest = shares.as_ref().map(|shares| shares[0]["value"].clone());
    object([
        ("employmentId", Some(json!(current.id)).filter(|id| id != "")),
        ("employmentStatus", text(&current.status)),
        ("employmentType", text(&current.employment_type)),
        ("hireDate", day(current.employment_start_date)),
        ("endDate", day(current.employment_end_date)),
        ("terminationDate", day(end.termination_date)),
        ("lastWorkingDay", day(end.last_working_day)),
        ("probationEndDate", day(current.probation_end_date)),
        ("contractEndDate", day(current.contract_end_date)),
        ("team", team.and_then(|unit| unit_name(world, unit))),
        ("office", named(&world.workplaces, current.office.as_deref())),
        ("legalEntity", named(&world.legal_entities, current.legal_entity.as_deref())),
        ("orgUnits", Some(json!(units)).filter(|units| units != &json!([]))),
        ("managerEmail", manager.map(|email| json!(email))),
        ("departmentId", unit_id(SimulatedOrgUnitType::Department)),
        ("teamId", unit_id(SimulatedOrgUnitType::Team)),
        ("officeId", text(&current.office)),
        ("legalEntityId", text(&current.legal_entity)),
        ("costCenterId", heaviest),
        ("jobId", text(&current.job)),
        ("job", named(&world.jobs, current.job.as_deref())),
        ("costCenters", shares),
        ("originalHireDate", day(first_day(person))),
        ("nextHireDate", day(next_day(person))),
    ])
}

/// Returns the preferred name of a generated person, which is a first name or a whole name.
fn whole_preferred_name(person: &SimulatedPerson) -> Option<String> {
    let preferred = person.preferred_name.clone()?;
    match &person.last_name {
        Some(last) if !preferred.contains(' ') => Some(format!("{preferred} {last}")),
        _ => Some(preferred),
    }
}

fn formatted(person: &SimulatedPerson) -> Option<String> {
    match (&person.first_name, &person.last_name) {
        (Some(first), Some(last)) => Some(format!("{first} {last}")),
        (one, other) => one.clone().or_else(|| other.clone()),
    }
}

fn unit_name(world: &World, (kind, id): &(SimulatedOrgUnitType, String)) -> Option<Value> {
    let unit = world.org_units.iter().find(|unit| unit.unit_type == *kind && unit.id == *id)?;
    Some(json!(unit.name))
}

fn named(list: &[SimulatedLookupEntry], id: Option<&str>) -> Option<Value> {
    Some(json!(list.iter().find(|entry| Some(entry.id.as_str()) == id)?.name))
}

/// Returns an object of the members that have a value, or `None` if no member has one.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Option<Value> {
    let members: Map<String, Value> =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    (!members.is_empty()).then_some(Value::Object(members))
}

/// Removes `meta.version` from a user, asserts its format and returns it.
#[track_caller]
fn version(user: &mut Value) -> String {
    let version = user["meta"].as_object_mut().unwrap().remove("version").unwrap();
    let version = version.as_str().unwrap().to_owned();
    let inner =
        version.strip_prefix("W/\"").and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    assert!(
        !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"'),
        "{version}"
    );
    version
}

/// Asserts that the value contains no null, no empty text and no empty list. Only `name` may be an
/// empty object.
#[track_caller]
fn nothing_empty(value: &Value, path: &str) {
    match value {
        Value::Null => panic!("null at {path}"),
        Value::String(text) => assert!(!text.trim().is_empty(), "an empty text at {path}"),
        Value::Array(values) => {
            assert!(!values.is_empty(), "an empty list at {path}");
            values.iter().for_each(|value| nothing_empty(value, &format!("{path}[]")));
        }
        Value::Object(members) => {
            assert!(!members.is_empty() || path == "/name", "an empty object at {path}");
            members
                .iter()
                .for_each(|(name, value)| nothing_empty(value, &format!("{path}/{name}")));
        }
        Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_walk_of_a_thousand_users_equals_the_table() {
    let now = NOW.parse().unwrap();
    let world = World::generate(1000, 1, now).with_rare_changes(1, now);
    let bridge =
        Setup { public_url: Some("https://scim.example.com/hr"), ..Setup::of(world.clone()) }
            .start();
    let mut walked = Vec::new();
    for start in (1..=901).step_by(100) {
        let page = bridge.users(&format!("?startIndex={start}&count=100")).await;
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(1000), &json!(100)));
        walked.extend(page["Resources"].as_array().unwrap().clone());
    }
    assert_eq!(
        bridge.simulator.request_count(SimulatedEndpoint::Persons),
        20,
        "all pages are of one load"
    );
    for user in walked.iter().step_by(37) {
        let answer = bridge.get(&format!("/scim/v2/Users/{}", user["id"].as_str().unwrap())).await;
        assert_eq!(&answer.json(), user, "alone as in the list");
    }
    let versions: HashSet<String> = walked.iter_mut().map(version).collect();
    assert_eq!(versions.len(), 1000, "no two users are the same, so no two versions are");
    let expected = expected(&world, "https://scim.example.com/hr/scim/v2");
    let names = expected.iter().map(|user| user["userName"].to_string());
    assert!(
        names.filter(|name| name.starts_with("\"personio-")).count() > 6,
        "some share an address"
    );
    let changed =
        world.persons.iter().filter(|person| current(person).is_some_and(|it| follows(it, person)));
    assert!(changed.count() > 3, "some change their employment");
    for (user, expected) in walked.iter().zip(&expected) {
        nothing_empty(user, "");
        assert_eq!(user, expected);
    }
    assert_eq!(walked.len(), expected.len());
    assert_table_covers_attributes(&expected);
}

/// Asserts that every attribute occurs in the table. Otherwise the comparison would prove nothing
/// about it.
fn assert_table_covers_attributes(table: &[Value]) {
    let pointers = [
        "/nickName",
        "/title",
        "/userType",
        "/emails",
        "/name/familyName",
        &format!("/{ENTERPRISE}/department"),
        &format!("/{ENTERPRISE}/manager"),
        &format!("/{PERSONIO}/endDate"),
        &format!("/{PERSONIO}/terminationDate"),
        &format!("/{PERSONIO}/lastWorkingDay"),
        &format!("/{PERSONIO}/probationEndDate"),
        &format!("/{PERSONIO}/contractEndDate"),
        &format!("/{PERSONIO}/team"),
        &format!("/{PERSONIO}/departmentId"),
        &format!("/{PERSONIO}/teamId"),
        &format!("/{PERSONIO}/officeId"),
        &format!("/{PERSONIO}/legalEntityId"),
        &format!("/{PERSONIO}/costCenterId"),
        &format!("/{PERSONIO}/jobId"),
        &format!("/{PERSONIO}/job"),
        &format!("/{PERSONIO}/costCenters/1/weight"),
        &format!("/{PERSONIO}/originalHireDate"),
        &format!("/{PERSONIO}/nextHireDate"),
    ];
    for pointer in pointers {
        let with = table.iter().filter(|user| user.pointer(pointer).is_some()).count();
        assert!((1..table.len()).contains(&with), "{with} users have {pointer}");
    }
    let words = |pointer: &str| -> BTreeSet<String> {
        table.iter().filter_map(|user| Some(user.pointer(pointer)?.to_string())).collect()
    };
    let completed = |user: &Value| {
        let whole = format!("{} {}", text(&user["nickName"]), text(&user["name"]["familyName"]));
        user["displayName"] == whole
    };
    let preferred: Vec<bool> = table
        .iter()
        .filter(|user| user.get("nickName").is_some() && user["name"].get("familyName").is_some())
        .map(completed)
        .collect();
    for kind in [true, false] {
        assert!(preferred.iter().filter(|it| **it == kind).count() > 100, "both kinds of names");
    }
    assert_eq!(words("/active").len(), 2);
    assert_eq!(words(&format!("/{PERSONIO}/employmentStatus")).len(), 4);
    assert_eq!(words("/userType").len(), 2);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns Ann Lee, employed since 2020. [`check`] assigns the ids of persons and employments.
fn ann(id: &str) -> SimulatedPerson {
    SimulatedPerson {
        id: id.to_owned(),
        email: Some(format!("ann{id}@example.com")),
        first_name: Some("Ann".to_owned()),
        last_name: Some("Lee".to_owned()),
        status: Some("ACTIVE".to_owned()),
        created_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        employments: vec![employment(&format!("e{id}"), Some("ACTIVE"), Some("2020-01-01"))],
        ..SimulatedPerson::default()
    }
}

fn employment(id: &str, status: Option<&str>, start: Option<&str>) -> SimulatedEmployment {
    SimulatedEmployment {
        id: id.to_owned(),
        status: status.map(str::to_owned),
        employment_type: Some("INTERNAL".to_owned()),
        employment_start_date: start.map(|day| day.parse().unwrap()),
        ..SimulatedEmployment::default()
    }
}

/// Returns a company of these persons, with one entry of each kind of look-up.
fn company(persons: Vec<SimulatedPerson>) -> World {
    let named = SimulatedLookupEntry::new;
    let unit = SimulatedOrgUnit::new;
    World {
        persons,
        org_units: vec![
            unit("10", "Research", SimulatedOrgUnitType::Department),
            unit("10", "Rockets", SimulatedOrgUnitType::Team),
            unit("11", "", SimulatedOrgUnitType::Team),
        ],
        legal_entities: vec![named("20", "Beispiel GmbH")],
        workplaces: vec![named("30", "Łódź")],
        cost_centers: vec![named("40", "Light"), named("41", "Heavy"), named("42", "  ")],
        jobs: vec![named("50", "Engineering"), named("51", " ")],
    }
}

async fn served(setup: Setup) -> Vec<Value> {
    let users = setup.start().all_users().await;
    users.iter().for_each(|user| nothing_empty(user, ""));
    users
}

/// Table row: a person with special values, and the expected values of the user by JSON pointer.
/// `None` means that the attribute is absent.
struct MappingRow {
    person: SimulatedPerson,
    served: Vec<(String, Option<Value>)>,
}

/// Returns a row whose person is [`ann`] with changes.
fn row_of(
    change: impl FnOnce(&mut SimulatedPerson, &mut SimulatedEmployment),
    served: &[(&str, Value)],
) -> MappingRow {
    let mut person = ann("0");
    let mut employment = person.employments.remove(0);
    change(&mut person, &mut employment);
    if !employment.id.is_empty() {
        person.employments.push(employment);
    }
    let pointer = |path: &str| {
        path.replace("enterprise:", &format!("/{ENTERPRISE}/"))
            .replace("personio:", &format!("/{PERSONIO}/"))
    };
    let served = served
        .iter()
        .map(|(path, value)| (pointer(path), Some(value.clone()).filter(|value| !value.is_null())));
    MappingRow { person, served: served.collect() }
}

/// Loads a company of all rows and compares the users. The person of the first row has id 1, and so
/// on.
async fn check(rows: Vec<MappingRow>, quirks: Quirks) {
    let number = |(index, row): (usize, &MappingRow)| {
        let mut person = row.person.clone();
        person.id = (index + 1).to_string();
        person.email =
            person.email.map(|email| email.replace("ann0@", &format!("ann{}@", index + 1)));
        // An employment belongs to one person, so its id must be unique.
        for employment in person.employments.iter_mut().filter(|employment| employment.id == "e0") {
            employment.id = format!("e{}", index + 1);
        }
        person
    };
    let mut setup = Setup::of(company(rows.iter().enumerate().map(number).collect()));
    setup.options.quirks = quirks;
    let users = served(setup).await;
    assert_eq!(users.len(), rows.len());
    for (index, row) in rows.iter().enumerate() {
        let user = by_id(&users, &(index + 1).to_string());
        for (pointer, expected) in &row.served {
            assert_eq!(
                user.pointer(pointer),
                expected.as_ref(),
                "row {}, {pointer}: {user:#}",
                index + 1
            );
        }
    }
}

/// Id, status and start of an employment.
type EmploymentRow<'l> = (&'l str, Option<&'l str>, Option<&'l str>);

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_employment_does_not_depend_on_the_listing_order() {
    let tables: [(&str, &[EmploymentRow<'_>]); 10] = [
        (
            "a",
            &[
                ("a", Some("ACTIVE"), Some("2010-01-01")),
                ("z", Some("ONBOARDING"), Some("2027-01-01")),
            ],
        ),
        (
            "a",
            &[("a", Some("ACTIVE"), Some("2010-01-01")), ("z", Some("LEAVE"), Some("2024-01-01"))],
        ),
        ("a", &[("a", Some("ACTIVE"), None), ("z", Some("LEAVE"), Some("2024-01-01"))]),
        (
            "b",
            &[("z", Some("ACTIVE"), Some("2010-01-01")), ("b", Some("ACTIVE"), Some("2011-01-01"))],
        ),
        ("b", &[("z", Some("ACTIVE"), None), ("b", Some("ACTIVE"), Some("1999-01-01"))]),
        (
            "l",
            &[
                ("l", Some("LEAVE"), Some("2010-01-01")),
                ("z", Some("INACTIVE"), Some("2024-01-01")),
            ],
        ),
        (
            "n",
            &[
                ("z", Some("INACTIVE"), Some("2010-01-01")),
                ("n", Some("ONBOARDING"), Some("2027-01-01")),
            ],
        ),
        (
            "n",
            &[
                ("z", None, None),
                ("n", Some("SABBATICAL"), Some("1990-01-01")),
                ("y", Some("INACTIVE"), None),
            ],
        ),
        (
            "y",
            &[("y", Some("ACTIVE"), Some("2020-01-01")), ("b", Some("ACTIVE"), Some("2020-01-01"))],
        ),
        ("y", &[("b", None, None), ("y", None, None), ("a", None, None)]),
    ];
    for (oldest_first, turned) in [(false, false), (false, true), (true, false), (true, true)] {
        let rows = tables.iter().map(|(counts, employments)| {
            let mut employments: Vec<_> = employments
                .iter()
                .map(|(id, status, start)| employment(id, *status, *start))
                .collect();
            if turned {
                employments.reverse();
            }
            row_of(
                |person, own| {
                    own.id.clear();
                    person.employments = employments;
                },
                &[("personio:employmentId", json!(counts))],
            )
        });
        // Each row gets a company of its own, because an employment belongs to one person.
        for row in rows {
            check(
                vec![row],
                Quirks { employments_oldest_first: oldest_first, ..Quirks::default() },
            )
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_follow_the_table() {
    let name = |given: Option<&str>,
                family: Option<&str>,
                preferred: Option<&str>,
                email: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (given, family, preferred, email) =
            (own(given), own(family), own(preferred), own(email));
        move |person: &mut SimulatedPerson, _: &mut SimulatedEmployment| {
            (person.first_name, person.last_name) = (given, family);
            (person.preferred_name, person.email) = (preferred, email);
        }
    };
    let full = json!({"givenName": "Ann", "familyName": "Lee", "formatted": "Ann Lee"});
    let work = |address: &str| json!([{"value": address, "type": "work", "primary": true}]);
    let rows = vec![
        row_of(
            name(Some("Ann"), Some("Lee"), Some("Annie"), Some("A.Lee@example.com")),
            &[
                ("/name", full.clone()),
                ("/displayName", json!("Annie Lee")),
                ("/nickName", json!("Annie")),
                ("/userName", json!("A.Lee@example.com")),
                ("/emails", work("A.Lee@example.com")),
                ("/id", json!("1")),
                ("/externalId", json!("1")),
            ],
        ),
        // Address of the first person in other case.
        row_of(
            name(Some("Ann"), Some("Lee"), None, Some("a.lee@EXAMPLE.com")),
            &[
                ("/name", full),
                ("/displayName", json!("Ann Lee")),
                ("/nickName", Value::Null),
                ("/userName", json!("personio-2")),
                ("/emails", work("a.lee@EXAMPLE.com")),
            ],
        ),
        row_of(
            name(Some("Ann"), None, None, None),
            &[
                ("/name", json!({"givenName": "Ann", "formatted": "Ann"})),
                ("/displayName", json!("Ann")),
                ("/userName", json!("personio-3")),
                ("/emails", Value::Null),
            ],
        ),
        row_of(
            name(None, Some("Łęcki"), None, Some("ŁĘCKI@example.com")),
            &[
                ("/name", json!({"familyName": "Łęcki", "formatted": "Łęcki"})),
                ("/displayName", json!("Łęcki")),
                ("/userName", json!("ŁĘCKI@example.com")),
            ],
        ),
        row_of(
            name(None, None, None, Some("łęcki@example.com")),
            &[("/userName", json!("personio-5"))],
        ),
        row_of(
            name(None, None, None, None),
            &[
                ("/name", json!({})),
                ("/displayName", json!("personio-6")),
                ("/userName", json!("personio-6")),
            ],
        ),
        row_of(
            name(Some(" "), Some(""), Some("  "), Some("")),
            &[
                ("/name", json!({})),
                ("/displayName", json!("personio-7")),
                ("/emails", Value::Null),
            ],
        ),
        row_of(
            name(None, None, None, Some("box@example.com")),
            &[("/name", json!({})), ("/displayName", json!("box@example.com"))],
        ),
        row_of(
            name(Some("Ann"), Some("Lee"), Some("Annie Smith"), None),
            &[("/displayName", json!("Annie Smith")), ("/nickName", json!("Annie Smith"))],
        ),
        row_of(
            name(Some("Ann"), Some("Lee"), Some("LEE"), None),
            &[("/displayName", json!("LEE")), ("/nickName", json!("LEE"))],
        ),
        // Address that looks like the fallback user name of another person.
        row_of(name(None, None, None, Some("Personio-3")), &[("/userName", json!("personio-11"))]),
    ];
    check(rows, Quirks::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn display_names_follow_the_rule_of_the_mapping_file_everywhere() {
    let mut boss = ann("1");
    boss.preferred_name = Some("Annie".to_owned());
    let mut led = ann("2");
    led.preferred_name = Some("Anna Smith".to_owned());
    led.employments[0].supervisor = Some("1".to_owned());
    led.employments[0].org_units = vec![(SimulatedOrgUnitType::Department, "10".to_owned())];
    let mut nameless = ann("3");
    (nameless.first_name, nameless.last_name) = (None, None);
    nameless.preferred_name = Some("Nan".to_owned());
    let world = company(vec![boss, led, nameless]);
    for (rule, names) in [
        (DisplayNameRule::Completed, ["Annie Lee", "Anna Smith", "Nan"]),
        (DisplayNameRule::Preferred, ["Annie", "Anna Smith", "Nan"]),
        (DisplayNameRule::Legal, ["Ann Lee", "Ann Lee", "ann3@example.com"]),
    ] {
        let mut setup = Setup::of(world.clone());
        setup.policy.standard_attributes.display_name = rule;
        setup.policy.groups = vec![GroupKind::Department];
        let bridge = setup.start();
        let users = bridge.all_users().await;
        let displayed = ["1", "2", "3"].map(|id| text(&by_id(&users, id)["displayName"]));
        assert_eq!(displayed, names, "{rule:?}");
        let nicknames = ["1", "2", "3"].map(|id| text(&by_id(&users, id)["nickName"]));
        assert_eq!(nicknames, ["Annie", "Anna Smith", "Nan"], "{rule:?}");
        assert_eq!(by_id(&users, "2")[ENTERPRISE]["manager"]["displayName"], names[0], "{rule:?}");
        let group = bridge.get("/scim/v2/Groups/department-10").await.json();
        assert_eq!(group["members"][0]["display"], names[1], "{rule:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_active_person_gets_the_user_name_of_a_shared_address() {
    // The first person was created first, and each address is written in two ways.
    let pairs: [(&str, &str, &str); 7] = [
        ("INACTIVE", "ACTIVE", "second"),
        ("INACTIVE", "ONBOARDING", "second"),
        ("INACTIVE", "LEAVE", "second"),
        ("ONBOARDING", "LEAVE", "second"),
        ("LEAVE", "ACTIVE", "second"),
        ("ACTIVE", "INACTIVE", "first"),
        ("ACTIVE", "ACTIVE", "second"),
    ];
    let mut persons = Vec::new();
    for (index, (first, second, _)) in pairs.iter().enumerate() {
        for (id, status, start) in [(1, first, "2020-01-01"), (2, second, "2021-01-01")] {
            let id = format!("{}", id * 100 + index);
            let mut person = ann(&id);
            // Personio reports every person as ACTIVE who is not INACTIVE; the employment decides.
            person.email = Some(if id.starts_with('1') {
                format!("ann{index}@example.com")
            } else {
                format!("Ann{index}@EXAMPLE.com")
            });
            person.employments = vec![employment(&format!("e{id}"), Some(status), Some(start))];
            persons.push(person);
        }
    }
    let mut turned = persons.clone();
    turned.reverse();
    for persons in [persons, turned] {
        let users = served(Setup::of(company(persons))).await;
        for (index, (.., winner)) in pairs.iter().enumerate() {
            let (first, second) = (format!("10{index}"), format!("20{index}"));
            let (first, second) = (by_id(&users, &first), by_id(&users, &second));
            let expected = match *winner {
                "first" => [format!("ann{index}@example.com"), format!("personio-20{index}")],
                _ => [format!("personio-10{index}"), format!("Ann{index}@EXAMPLE.com")],
            };
            assert_eq!(
                [&first["userName"], &second["userName"]],
                [&json!(expected[0]), &json!(expected[1])],
                "{index}"
            );
            assert!(
                first["emails"].is_array() && second["emails"].is_array(),
                "both keep their address"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn active_and_user_type_follow_the_table() {
    let rows = || {
        let status =
            |person_status: Option<&str>, employment: Option<Option<&str>>, active: bool| {
                row_of(
                    |person, own| {
                        person.status = person_status.map(str::to_owned);
                        match employment {
                            Some(word) => own.status = word.map(str::to_owned),
                            None => own.id.clear(),
                        }
                    },
                    &[("/active", json!(active))],
                )
            };
        let kind = |word: Option<&str>, user_type: Value| {
            row_of(
                |_, own| own.employment_type = word.map(str::to_owned),
                &[("/userType", user_type)],
            )
        };
        vec![
            status(Some("ACTIVE"), Some(Some("ACTIVE")), true),
            status(Some("ACTIVE"), Some(Some("LEAVE")), true),
            status(Some("ACTIVE"), Some(Some("INACTIVE")), false),
            status(Some("ACTIVE"), Some(Some("ONBOARDING")), false),
            status(Some("ACTIVE"), Some(Some("UNSPECIFIED")), false),
            status(Some("ACTIVE"), Some(Some("PARENTAL_LEAVE")), false),
            status(Some("INACTIVE"), Some(Some("ACTIVE")), true),
            // Without a status of the employment, the person's status applies.
            status(Some("ACTIVE"), Some(None), true),
            status(Some("ACTIVE"), None, true),
            status(Some("INACTIVE"), None, false),
            status(Some("UNSPECIFIED"), None, false),
            status(None, None, false),
            status(None, Some(None), false),
            kind(Some("INTERNAL"), json!("Employee")),
            kind(Some("EXTERNAL"), json!("Contractor")),
            kind(Some("UNSPECIFIED"), Value::Null),
            kind(Some("WORKING_STUDENT"), Value::Null),
            kind(None, Value::Null),
        ]
    };
    for lowercase_enums in [false, true] {
        check(rows(), Quirks { lowercase_enums, ..Quirks::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaver_stays_listed() {
    let mut leaver = ann("7");
    leaver.status = Some("INACTIVE".to_owned());
    leaver.employments[0].status = Some("INACTIVE".to_owned());
    leaver.employments[0].termination = Some(SimulatedTermination {
        termination_date: Some("1999-12-31".parse().unwrap()),
        ..SimulatedTermination::default()
    });
    let users = served(Setup::of(company(vec![leaver]))).await;
    assert_eq!((&users[0]["id"], &users[0]["active"]), (&json!("7"), &json!(false)));
    assert_eq!(users[0][PERSONIO]["terminationDate"], "1999-12-31");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_a_user_who_is_served() {
    let led_by = |id: &str| {
        let mut person = ann(id);
        person.employments[0].supervisor = Some("1".to_owned());
        person
    };
    let mut boss = ann("1");
    boss.preferred_name = Some("The Boss".to_owned());
    let mut lost = led_by("3");
    lost.employments[0].supervisor = Some("4711".to_owned());
    let mut led_by_silent = led_by("4");
    led_by_silent.employments[0].supervisor = Some("5".to_owned());
    let mut silent = led_by("5");
    silent.email = None;
    let mut own_boss = ann("6");
    own_boss.employments[0].supervisor = Some("6".to_owned());
    let world = company(vec![boss, led_by("2"), lost, led_by_silent, silent, own_boss]);
    for (require_email, users) in [(false, 6), (true, 5)] {
        let mut setup =
            Setup { public_url: Some("https://scim.example.com/"), ..Setup::of(world.clone()) };
        setup.policy.require_email = require_email;
        let served = served(setup).await;
        assert_eq!(served.len(), users);
        let manager = |id: &str| by_id(&served, id)[ENTERPRISE].get("manager");
        let email = |id: &str| by_id(&served, id)[PERSONIO].get("managerEmail");
        let reference = |id: &str| format!("https://scim.example.com/scim/v2/Users/{id}");
        let boss = json!({"value": "1", "$ref": reference("1"), "displayName": "The Boss"});
        assert_eq!((manager("2"), email("2")), (Some(&boss), Some(&json!("ann1@example.com"))));
        assert_eq!((manager("1"), email("1")), (None, None));
        assert_eq!((manager("3"), email("3")), (None, None), "nobody has this id");
        let silent = json!({"value": "5", "$ref": reference("5"), "displayName": "Ann Lee"});
        assert_eq!((manager("4"), email("4")), (Some(&silent).filter(|_| !require_email), None));
        assert_eq!(manager("6").unwrap()["value"], "6");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_and_dates_follow_the_table() {
    let units = |list: &[(SimulatedOrgUnitType, &str)]| -> Vec<(SimulatedOrgUnitType, String)> {
        list.iter().map(|(kind, id)| (*kind, (*id).to_owned())).collect()
    };
    let (department, team) = (SimulatedOrgUnitType::Department, SimulatedOrgUnitType::Team);
    let rows = || {
        vec![
            row_of(
                |_, own| {
                    own.org_units = units(&[(team, "10"), (department, "10")]);
                    (own.office, own.legal_entity) = (Some("30".to_owned()), Some("20".to_owned()));
                    own.position = Some("Engineer".to_owned());
                    own.job = Some("50".to_owned());
                },
                &[
                    ("enterprise:department", json!("Research")),
                    ("enterprise:organization", json!("Beispiel GmbH")),
                    ("enterprise:division", Value::Null),
                    ("personio:team", json!("Rockets")),
                    ("personio:office", json!("Łódź")),
                    ("personio:legalEntity", json!("Beispiel GmbH")),
                    ("personio:departmentId", json!("10")),
                    ("personio:teamId", json!("10")),
                    ("personio:officeId", json!("30")),
                    ("personio:legalEntityId", json!("20")),
                    ("personio:jobId", json!("50")),
                    ("personio:job", json!("Engineering")),
                    (
                        "personio:orgUnits",
                        json!([
                            {"value": "10", "display": "Research", "type": "department"},
                            {"value": "10", "display": "Rockets", "type": "team"},
                        ]),
                    ),
                    ("/title", json!("Engineer")),
                ],
            ),
            // Look-ups without a name or with an empty one.
            row_of(
                |_, own| {
                    own.org_units = units(&[(department, "99"), (team, "11")]);
                    (own.office, own.legal_entity) = (Some("99".to_owned()), Some("99".to_owned()));
                    own.position = Some(" ".to_owned());
                    own.job = Some("51".to_owned());
                },
                &[
                    ("enterprise:department", Value::Null),
                    ("enterprise:organization", Value::Null),
                    ("personio:team", Value::Null),
                    ("personio:office", Value::Null),
                    ("personio:legalEntity", Value::Null),
                    ("personio:departmentId", json!("99")),
                    ("personio:teamId", json!("11")),
                    ("personio:officeId", json!("99")),
                    ("personio:legalEntityId", json!("99")),
                    ("personio:jobId", json!("51")),
                    ("personio:job", Value::Null),
                    (
                        "personio:orgUnits",
                        json!([{"value": "99", "type": "department"}, {"value": "11", "type": "team"}]),
                    ),
                    ("/title", Value::Null),
                ],
            ),
            row_of(
                |_, own| {
                    let day = |text: &str| Some(text.parse().unwrap());
                    (own.employment_end_date, own.probation_end_date) =
                        (day("2027-12-31"), day("2020-06-30"));
                    own.contract_end_date = day("2028-02-29");
                    let (termination_date, last_working_day) =
                        (day("2027-12-30"), day("2027-12-01"));
                    own.termination = Some(SimulatedTermination {
                        termination_date,
                        last_working_day,
                        ..SimulatedTermination::default()
                    });
                },
                &[
                    ("personio:hireDate", json!("2020-01-01")),
                    ("personio:endDate", json!("2027-12-31")),
                    ("personio:terminationDate", json!("2027-12-30")),
                    ("personio:lastWorkingDay", json!("2027-12-01")),
                    ("personio:probationEndDate", json!("2020-06-30")),
                    ("personio:contractEndDate", json!("2028-02-29")),
                ],
            ),
        ]
    };
    check(rows(), Quirks::default()).await;
    let shapes = Quirks {
        last_working_date_key: true,
        null_instead_of_absent: true,
        numeric_ids: true,
        lowercase_enums: true,
        ..Quirks::default()
    };
    check(rows(), shapes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_cost_centres_do_not_depend_on_the_listing_order() {
    let centers = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
        list.iter().map(|(id, weight)| ((*id).to_owned(), *weight)).collect()
    };
    let team = SimulatedOrgUnitType::Team;
    let rows = || {
        let cost = |list: &[(&str, f64)], name: Value, shares: Value| {
            let id = shares.pointer("/0/value").cloned().unwrap_or_default();
            row_of(
                |_, own| own.cost_centers = centers(list),
                &[
                    ("enterprise:costCenter", name),
                    ("personio:costCenterId", id),
                    ("personio:costCenters", shares),
                ],
            )
        };
        let share = |id: &str, name: &str, weight: f64| json!({"value": id, "display": name, "weight": weight});
        let teams = |list: &[&str], id: &str| {
            let list = list.iter().map(|id| (team, (*id).to_owned())).collect();
            row_of(|_, own| own.org_units = list, &[("personio:teamId", json!(id))])
        };
        vec![
            teams(&["11", "9"], "9"),
            teams(&["9", "11"], "9"),
            cost(
                &[("40", 40.0), ("41", 60.0)],
                json!("Heavy"),
                json!([share("41", "Heavy", 60.0), share("40", "Light", 40.0)]),
            ),
            cost(
                &[("41", 60.0), ("40", 40.0)],
                json!("Heavy"),
                json!([share("41", "Heavy", 60.0), share("40", "Light", 40.0)]),
            ),
            cost(
                &[("41", 50.0), ("40", 50.0)],
                json!("Light"),
                json!([share("40", "Light", 50.0), share("41", "Heavy", 50.0)]),
            ),
            // A cost centre that occurs twice counts once.
            cost(
                &[("40", 20.0), ("41", 40.5), ("40", 39.5)],
                json!("Heavy"),
                json!([share("41", "Heavy", 40.5), share("40", "Light", 39.5)]),
            ),
            // JSON has no NaN, so that the simulator sends no weight.
            cost(
                &[("40", f64::NAN), ("41", 0.5)],
                json!("Heavy"),
                json!([share("41", "Heavy", 0.5), {"value": "40", "display": "Light"}]),
            ),
            cost(&[("41", 0.0)], json!("Heavy"), json!([share("41", "Heavy", 0.0)])),
            cost(&[("42", 100.0)], Value::Null, json!([{"value": "42", "weight": 100.0}])),
            cost(&[], Value::Null, Value::Null),
        ]
    };
    check(rows(), Quirks::default()).await;
    let shapes = Quirks {
        last_working_date_key: true,
        null_instead_of_absent: true,
        numeric_ids: true,
        lowercase_enums: true,
        ..Quirks::default()
    };
    check(rows(), shapes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hire_dates_consider_all_employments() {
    let ending = |employment: SimulatedEmployment, end: &str| SimulatedEmployment {
        employment_end_date: Some(end.parse().unwrap()),
        ..employment
    };
    let of = |id: &str, status: &str, start: &str| employment(id, Some(status), Some(start));
    let row = |employments: Vec<SimulatedEmployment>, original: Value, next: Value| {
        row_of(
            |person, own| {
                own.id.clear();
                person.employments = employments;
            },
            &[("personio:originalHireDate", original), ("personio:nextHireDate", next)],
        )
    };
    let rows = || {
        vec![
            // A person who left comes back.
            row(
                vec![
                    ending(of("a1", "INACTIVE", "2010-01-01"), "2020-12-31"),
                    of("a2", "ONBOARDING", "2026-12-14"),
                ],
                json!("2010-01-01"),
                json!("2026-12-14"),
            ),
            row(
                vec![of("b1", "ONBOARDING", "2027-03-01"), of("b2", "ONBOARDING", "2027-01-01")],
                json!("2027-01-01"),
                json!("2027-01-01"),
            ),
            // An active person with a planned change.
            row(
                vec![of("c1", "ACTIVE", "2015-05-05"), of("c2", "ONBOARDING", "2027-01-01")],
                json!("2015-05-05"),
                Value::Null,
            ),
            // A withdrawn hire.
            row(
                vec![
                    ending(of("d1", "INACTIVE", "2010-01-01"), "2020-12-31"),
                    ending(of("d2", "ONBOARDING", "2026-12-14"), "2026-12-13"),
                ],
                json!("2010-01-01"),
                Value::Null,
            ),
            // A first hire that was withdrawn.
            row(
                vec![
                    ending(of("e1", "INACTIVE", "2010-01-01"), "2009-12-31"),
                    of("e2", "ACTIVE", "2020-01-01"),
                ],
                json!("2020-01-01"),
                Value::Null,
            ),
            // The first day is today, and tomorrow.
            row(vec![of("f1", "ONBOARDING", "2026-11-23")], json!("2026-11-23"), Value::Null),
            row(
                vec![of("g1", "ONBOARDING", "2026-11-24")],
                json!("2026-11-24"),
                json!("2026-11-24"),
            ),
            row(vec![of("h1", "INACTIVE", "2027-01-01")], json!("2027-01-01"), Value::Null),
            row(vec![employment("i1", Some("ACTIVE"), None)], Value::Null, Value::Null),
            row(vec![], Value::Null, Value::Null),
        ]
    };
    for employments_oldest_first in [false, true] {
        check(rows(), Quirks { employments_oldest_first, ..Quirks::default() }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manager_levels_end_at_the_top_at_a_circle_and_at_a_person_who_is_no_user() {
    let led_by = |id: &str, supervisor: &str| {
        let mut person = ann(id);
        person.employments[0].supervisor = Some(supervisor.to_owned());
        person
    };
    let mut persons = vec![ann("1")];
    for (id, supervisor) in [
        ("2", "1"),
        ("3", "2"),
        ("4", "4"),
        ("5", "4"),
        ("6", "7"),
        ("7", "6"),
        ("8", "6"),
        ("9", "10"),
        ("10", "11"),
        ("11", "9"),
        ("12", "9"),
        ("13", "4711"),
        ("14", "13"),
        ("15", "1"),
        ("16", "15"),
    ] {
        persons.push(led_by(id, supervisor));
    }
    persons[14].email = None;
    persons[1].preferred_name = Some("The Boss".to_owned());
    persons.extend((101..=160).map(|id| led_by(&id.to_string(), &(id - 1).to_string())));
    for require_email in [false, true] {
        let mut setup = Setup::of(company(persons.clone()));
        setup.policy.require_email = require_email;
        setup.policy.optional.manager_levels = true;
        let users = served(setup).await;
        let levels = |id: &str| {
            let levels = by_id(&users, id)[PERSONIO].get("managerLevels").cloned();
            levels.map_or_else(Vec::new, |levels| levels.as_array().unwrap().clone())
        };
        for (id, managers) in [
            ("1", &[][..]),
            ("2", &["1"]),
            ("3", &["2", "1"]),
            ("4", &[]),
            ("5", &["4"]),
            ("6", &["7"]),
            ("8", &["6", "7"]),
            ("9", &["10", "11"]),
            ("12", &["9", "10", "11"]),
            ("13", &[]),
            ("14", &["13"]),
            ("16", if require_email { &[] } else { &["15", "1"] }),
            ("101", &[]),
            ("103", &["102", "101"]),
        ] {
            let mut expected = Vec::new();
            for (level, manager) in (1..).zip(managers) {
                let display = if *manager == "2" { "The Boss" } else { "Ann Lee" };
                expected.push(json!({"value": manager, "display": display, "level": level}));
            }
            assert_eq!(levels(id), expected, "{id}");
        }
        let line = levels("160");
        assert_eq!(
            (line.len(), &line[49]["value"], &line[49]["level"]),
            (50, &json!("110"), &json!(50))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn manager_levels_of_a_company_follow_its_supervisors() {
    let now = NOW.parse().unwrap();
    let world = World::generate(400, 1, now).with_rare_changes(1, now);
    let mut setup = Setup::of(world.clone());
    setup.policy.optional.manager_levels = true;
    let users = setup.start().all_users().await;
    let supervisors: HashMap<&str, &str> = world
        .persons
        .iter()
        .filter_map(|person| Some((person.id.as_str(), current(person)?.supervisor.as_deref()?)))
        .collect();
    let mut longest = 0;
    for user in &users {
        let mut expected = Vec::new();
        let mut id = user["id"].as_str().unwrap();
        while let Some(above) = supervisors.get(id) {
            id = above;
            let display = &by_id(&users, id)["displayName"];
            let level = expected.len() + 1;
            expected.push(json!({"value": id, "display": display, "level": level}));
        }
        longest = longest.max(expected.len());
        let levels = user[PERSONIO].get("managerLevels").cloned();
        let expected = Some(json!(expected)).filter(|levels| levels != &json!([]));
        assert_eq!(levels, expected, "{user}");
    }
    assert!(longest > 3, "{longest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_employments_are_served_if_the_company_chose_them() {
    let now = NOW.parse().unwrap();
    let mut world = World::generate(200, 1, now).with_rare_changes(1, now);
    // A person with equal starts, with an unknown unit, and without dates and values.
    let person = &mut world.persons[9];
    person.employments = vec![
        SimulatedEmployment { legal_entity: Some("99".to_owned()), ..employment("a", None, None) },
        employment("b", Some("INACTIVE"), Some("2020-01-01")),
        employment("c", Some("ACTIVE"), Some("2020-01-01")),
        SimulatedEmployment { id: "d".to_owned(), ..SimulatedEmployment::default() },
    ];
    for served in [ServedEmployments::Primary, ServedEmployments::All] {
        let mut setup = Setup::of(world.clone());
        setup.policy.optional.employments = served;
        let users = setup.start().all_users().await;
        let mut lengths = BTreeSet::new();
        for person in &world.persons {
            let found = by_id(&users, &person.id)[PERSONIO].get("employments");
            let expected = employments(person, &world).filter(|_| served == ServedEmployments::All);
            assert_eq!(found, expected.as_ref(), "{}", person.id);
            lengths.insert(person.employments.len());
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 1, 2, 4]);
    }
}

/// Returns all employments, the latest start first.
fn employments(person: &SimulatedPerson, world: &World) -> Option<Value> {
    let primary = &current(person)?.id;
    let mut all: Vec<&SimulatedEmployment> = person.employments.iter().collect();
    all.sort_by_key(|it| Reverse((it.employment_start_date, &it.id)));
    let mut values = Vec::new();
    for own in all {
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let day = |day: Option<Date>| day.map(|day| json!(day.strftime("%Y-%m-%d").to_string()));
        values.push(object([
            ("value", Some(json!(own.id))),
            ("status", text(&own.status)),
            ("type", text(&own.employment_type)),
            ("startDate", day(own.employment_start_date)),
            ("endDate", day(own.employment_end_date)),
            ("title", text(&own.position)),
            ("legalEntity", named(&world.legal_entities, own.legal_entity.as_deref())),
            ("primary", Some(json!(own.id == *primary))),
        ]));
    }
    Some(json!(values))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_without_content_is_left_out() {
    let mut bare = SimulatedPerson { id: "1".to_owned(), ..SimulatedPerson::default() };
    let mut setup = Setup::of(company(vec![bare.clone()]));
    setup.policy.standard_attributes = employee_number("dynamic_777");
    let users = served(setup).await;
    let mut user = users[0].clone();
    version(&mut user);
    let location = user["meta"]["location"].as_str().unwrap().to_owned();
    assert_eq!(
        user,
        json!({
            "schemas": [CORE],
            "id": "1",
            "externalId": "1",
            "userName": "personio-1",
            "name": {},
            "displayName": "personio-1",
            "active": false,
            "meta": {"resourceType": "User", "lastModified": NOW_STAMP, "location": location},
        })
    );
    // Person with its own employee number, and with null for every unknown value.
    bare.employments =
        vec![SimulatedEmployment { id: "e".to_owned(), ..SimulatedEmployment::default() }];
    let mut setup = Setup::of(company(vec![bare]));
    setup.options.quirks.null_instead_of_absent = true;
    let users = served(setup).await;
    assert_eq!(users[0]["schemas"], json!([CORE, ENTERPRISE, PERSONIO]));
    assert_eq!(
        (&users[0][ENTERPRISE], &users[0][PERSONIO]),
        (&json!({"employeeNumber": "1"}), &json!({"employmentId": "e"}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_equal_exactly_for_equal_content() {
    let world = World::generate(60, 3, NOW.parse().unwrap());
    let fixed = |world: &World| Setup {
        public_url: Some("https://scim.example.com"),
        ..Setup::of(world.clone())
    };
    let first = served(fixed(&world)).await;
    assert_eq!(served(fixed(&world)).await, first, "after a restart everything is as it was");
    let mut changed = world.clone();
    changed.persons[30].preferred_name = Some("Somebody Else".to_owned());
    let id = changed.persons[30].id.clone();
    let second = served(fixed(&changed)).await;
    let led = |user: &Value| user[ENTERPRISE]["manager"]["value"] == id.as_str();
    for (mut one, mut other) in first.into_iter().zip(second) {
        let differs = one["id"] == id.as_str() || led(&one);
        assert_eq!(version(&mut one) != version(&mut other), differs, "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn last_modified_is_the_newest_upstream_change_and_updates() {
    let at = |text: &str| -> Option<Timestamp> { Some(text.parse().unwrap()) };
    let (old, new) = (at("2021-05-05T05:05:05Z"), at("2022-02-02T02:02:02.25Z"));
    let dated = |id: &str, person: Option<Timestamp>, employment: Option<Timestamp>| {
        let mut dated = ann(id);
        (dated.updated_at, dated.employments[0].updated_at) = (person, employment);
        dated
    };
    let mut world = company(vec![
        dated("1", old, new),
        dated("2", new, old),
        dated("3", old, None),
        dated("4", None, None),
    ]);
    world.org_units.retain(|unit| unit.unit_type == SimulatedOrgUnitType::Team);
    let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::of(world) }.start();
    let modified = |users: &[Value]| -> Vec<Value> {
        ["1", "2", "3", "4"].map(|id| by_id(users, id)["meta"]["lastModified"].clone()).into()
    };
    let before = bridge.all_users().await;
    let (old, new) = (json!("2021-05-05T05:05:05.000Z"), json!("2022-02-02T02:02:02.250Z"));
    assert_eq!(
        modified(&before),
        [new.clone(), new.clone(), old, json!(NOW_STAMP)],
        "what nothing is said of is new"
    );
    // The title changes, and Personio reports no time of the change.
    bridge
        .simulator
        .with_world(|world| world.persons[2].employments[0].position = Some("Chief".to_owned()));
    let after = bridge.reloaded().await;
    assert_eq!(modified(&after)[..2], modified(&before)[..2]);
    let (was, is) = (by_id(&before, "3"), by_id(&after, "3"));
    assert_eq!((&is["title"], &is["meta"]["lastModified"]), (&json!("Chief"), &json!(NOW_STAMP)));
    assert_ne!(is["meta"]["version"], was["meta"]["version"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_have_three_digits_and_are_never_in_the_future() {
    for (created, updated, expected) in [
        (
            "2020-01-01T00:00:00Z",
            "2021-01-01T00:00:00Z",
            ("2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"),
        ),
        ("2020-01-01T00:00:00.5Z", "2021-01-01T01:00:00+01:00", {
            ("2020-01-01T00:00:00.500Z", "2021-01-01T00:00:00.000Z")
        }),
        ("2020-01-01T00:00:00.123456789Z", "2021-01-01T00:00:00.999999Z", {
            ("2020-01-01T00:00:00.123Z", "2021-01-01T00:00:00.999Z")
        }),
        ("2020-01-01T00:00:00Z", "2026-11-23T11:00:00Z", ("2020-01-01T00:00:00.000Z", NOW_STAMP)),
        ("2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z", (NOW_STAMP, NOW_STAMP)),
        (
            "2030-01-01T00:00:00Z",
            "2021-01-01T00:00:00Z",
            ("2021-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z"),
        ),
    ] {
        let mut person = ann("1");
        (person.created_at, person.updated_at) =
            (Some(created.parse().unwrap()), Some(updated.parse().unwrap()));
        let bridge = Setup { cache_ttl: SHORT_TTL, ..Setup::of(company(vec![person])) }.start();
        let user = bridge.all_users().await.remove(0);
        let found = (
            user["meta"]["created"].as_str().unwrap(),
            user["meta"]["lastModified"].as_str().unwrap(),
        );
        assert_eq!(found, expected, "{created} {updated}");
        bridge.clock.pass(std::time::Duration::from_secs(60));
        assert_eq!(
            bridge.reloaded().await[0],
            user,
            "a load that brings nothing new moves nothing"
        );
    }
}
