//! From persons and employments to users: everybody of the demo against a table made here, from the
//! simulator's data alone, and a table for each rule.

use std::collections::{HashMap, HashSet};

use jiff::civil::{Date, date};
use personio_scim::simulator::{Employment, OrgUnitKind, Person, World};
use serde_json::{Map, Value, json};

use crate::harness::{Bridge, NOW, Setup, by_id};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const PERSONIO: &str = "urn:ietf:params:scim:schemas:extension:personio:2.0:User";

/// The employment that counts, said in another way than the program does: sorted, then the first.
fn counting(person: &Person) -> Option<&Employment> {
    let mut employments: Vec<&Employment> = person.employments.iter().collect();
    let newest = |employment: &&Employment| employment.employment_start_date.unwrap_or(Date::MIN);
    employments.sort_by(|one, other| newest(other).cmp(&newest(one)).then(other.id.cmp(&one.id)));
    let with =
        |status: &str| employments.iter().find(|employment| employment.status.as_deref() == Some(status)).copied();
    with("ACTIVE").or_else(|| with("LEAVE")).or_else(|| employments.first().copied())
}

/// What every user of `world` must look like, without `meta.version`.
struct Expected<'w> {
    world: &'w World,
    base: String,
    user_names: HashMap<&'w str, String>,
    order: Vec<&'w Person>,
}

impl<'w> Expected<'w> {
    fn new(world: &'w World, base: String) -> Self {
        let mut order: Vec<&Person> = world.persons.iter().collect();
        order.sort_by_key(|person| (person.created_at, person.id.parse::<u64>().unwrap()));
        let mut taken = HashSet::new();
        let user_names = order.iter().map(|person| {
            let own = person.email.clone().filter(|email| taken.insert(email.to_lowercase()));
            (person.id.as_str(), own.unwrap_or_else(|| format!("personio-{}", person.id)))
        });
        Self { world, base, user_names: user_names.collect(), order }
    }

    fn display_name(&self, person: &Person) -> String {
        let names =
            [&person.first_name, &person.last_name].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let user_name = self.user_names[person.id.as_str()].clone();
        person.preferred_name.clone().unwrap_or(if names.is_empty() { user_name } else { names })
    }

    fn name_of(&self, kind: &str, id: &str) -> Value {
        let world = self.world;
        let named = |list: &[personio_scim::simulator::Named]| list.iter().find(|n| n.id == id).map(|n| n.name.clone());
        let unit =
            |kind| world.org_units.iter().find(|unit| unit.id == id && unit.kind == kind).map(|u| u.name.clone());
        json!(match kind {
            "department" => unit(OrgUnitKind::Department),
            "team" => unit(OrgUnitKind::Team),
            "office" => named(&world.workplaces),
            "entity" => named(&world.legal_entities),
            _ => named(&world.cost_centers),
        })
    }

    fn unit(&self, employment: &Employment, kind: OrgUnitKind) -> Value {
        let mut ids: Vec<&String> = employment.org_units.iter().filter(|(k, _)| *k == kind).map(|(_, id)| id).collect();
        ids.sort_by_key(|id| id.parse::<u64>().unwrap());
        ids.first().map_or(Value::Null, |id| self.name_of(kind.as_str(), id))
    }

    fn user(&self, person: &Person) -> Value {
        let employment = counting(person);
        let mut enterprise = json!({"employeeNumber": person.id});
        let mut extension = json!({});
        if let Some(employment) = employment {
            let mut centers = employment.cost_centers.clone();
            centers.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
            enterprise["costCenter"] = centers.first().map_or(Value::Null, |(id, _)| self.name_of("center", id));
            let entity = employment.legal_entity.as_ref().map_or(Value::Null, |id| self.name_of("entity", id));
            enterprise["organization"] = entity.clone();
            enterprise["department"] = self.unit(employment, OrgUnitKind::Department);
            let boss =
                employment.supervisor.as_ref().map(|id| self.world.persons.iter().find(|p| p.id == *id).unwrap());
            if let Some(boss) = boss {
                let reference = format!("{}/Users/{}", self.base, boss.id);
                enterprise["manager"] =
                    json!({"value": boss.id, "$ref": reference, "displayName": self.display_name(boss)});
            }
            let termination = employment.termination.clone().unwrap_or_default();
            let mut units = employment.org_units.clone();
            units.sort_by_key(|(kind, id)| (kind.as_str(), id.parse::<u64>().unwrap()));
            let units = units.iter().map(
                |(kind, id)| json!({"value": id, "display": self.name_of(kind.as_str(), id), "type": kind.as_str()}),
            );
            extension = json!({
                "employmentId": employment.id, "employmentStatus": employment.status, "employmentType": employment.kind,
                "hireDate": employment.employment_start_date, "endDate": employment.employment_end_date,
                "terminationDate": termination.termination_date, "lastWorkingDay": termination.last_working_day,
                "probationEndDate": employment.probation_end_date, "contractEndDate": employment.contract_end_date,
                "team": self.unit(employment, OrgUnitKind::Team),
                "office": employment.office.as_ref().map_or(Value::Null, |id| self.name_of("office", id)),
                "legalEntity": entity, "orgUnits": units.collect::<Vec<_>>(),
                "managerEmail": boss.and_then(|boss| boss.email.clone()),
            });
        }
        let names =
            [&person.first_name, &person.last_name].into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
        let status = employment.map_or(person.status.as_deref(), |employment| employment.status.as_deref());
        let last_modified = person.updated_at.max(employment.and_then(|employment| employment.updated_at));
        let user_type = match employment.and_then(|employment| employment.kind.as_deref()) {
            Some("INTERNAL") => json!("Employee"),
            Some("EXTERNAL") => json!("Contractor"),
            _ => Value::Null,
        };
        let mut user = json!({
            "id": person.id, "externalId": person.id, "userName": self.user_names[person.id.as_str()],
            "name": {"formatted": names, "familyName": person.last_name, "givenName": person.first_name},
            "displayName": self.display_name(person), "title": employment.and_then(|employment| employment.position.clone()),
            "userType": user_type, "active": matches!(status, Some("ACTIVE" | "LEAVE")),
            "emails": person.email.iter().map(|email| json!({"value": email, "type": "work", "primary": true})).collect::<Vec<_>>(),
            ENTERPRISE: enterprise, PERSONIO: extension,
            "meta": {"resourceType": "User", "created": person.created_at, "lastModified": last_modified,
                     "location": format!("{}/Users/{}", self.base, person.id)},
        });
        prune(&mut user);
        let mut schemas = vec![USER, ENTERPRISE];
        if employment.is_some() {
            schemas.push(PERSONIO);
        } else {
            user.as_object_mut().unwrap().remove(PERSONIO);
        }
        user["schemas"] = json!(schemas);
        user
    }
}

/// Removes what has no value. Objects stay, even empty ones.
fn prune(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !matches!(member, Value::Null) && *member != json!("") && *member != json!([]));
        members.values_mut().for_each(prune);
    }
    if let Value::Array(items) = value {
        items.iter_mut().for_each(prune);
    }
}

/// Fails where a value is null, an empty text or an empty list.
fn no_empty_values(path: &str, value: &Value) {
    assert!(!value.is_null() && *value != json!("") && *value != json!([]), "{path} is empty");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| no_empty_values(&format!("{path}/{name}"), member))
        }
        Value::Array(items) => items.iter().for_each(|item| no_empty_values(path, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_of_the_demo_is_served_as_the_table_says() {
    let setup = Setup::persons(1000);
    let world = setup.world.clone();
    let bridge = setup.start();
    let expected = Expected::new(&world, format!("{}/scim/v2", bridge.origin));
    let mut walked = Vec::new();
    while walked.len() < 1000 {
        let page = bridge.users(&format!("?startIndex={}&count=100", walked.len() + 1)).await;
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(1000), &json!(100)));
        walked.extend(page["Resources"].as_array().unwrap().clone());
    }
    let mut versions = HashSet::new();
    for (user, person) in walked.iter().zip(&expected.order) {
        no_empty_values(&person.id, user);
        let mut user = user.clone();
        let version = user["meta"].as_object_mut().unwrap().remove("version").unwrap();
        let version = version.as_str().unwrap().to_owned();
        assert!(version.starts_with("W/\"") && version.ends_with('"') && version.len() > 12, "{version}");
        assert!(versions.insert(version), "two people have one version");
        assert_eq!(sorted(&user), sorted(&expected.user(person)));
    }
    for user in walked.iter().step_by(97) {
        assert_eq!(&bridge.get(&format!("/scim/v2/Users/{}", user["id"].as_str().unwrap())).await.json(), user);
    }
    // The people are as varied as the rules.
    let some = |holds: fn(&Value) -> bool| walked.iter().any(holds);
    assert!(some(|user| user["active"] == false) && some(|user| user.get("emails").is_none()));
    assert!(some(|user| user[PERSONIO]["employmentStatus"] == "LEAVE") && some(|user| user.get(PERSONIO).is_none()));
    assert!(
        some(|user| user[PERSONIO]["employmentStatus"] == "ONBOARDING")
            && some(|user| user["userType"] == "Contractor")
    );
}

/// The same JSON with its members in alphabetical order, so that a difference is easy to see.
fn sorted(value: &Value) -> String {
    fn sort(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut names: Vec<_> = members.keys().collect();
                names.sort();
                Value::Object(names.into_iter().map(|name| (name.clone(), sort(&members[name]))).collect::<Map<_, _>>())
            }
            Value::Array(items) => items.iter().map(sort).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
    serde_json::to_string_pretty(&sort(value)).unwrap()
}

/// A person with one employment.
fn person(id: &str, status: Option<&str>) -> Person {
    let employment = Employment {
        id: format!("e{id}"),
        status: status.map(str::to_owned),
        employment_start_date: Some(date(2020, 1, 1)),
        ..Employment::default()
    };
    Person {
        id: id.to_owned(),
        created_at: Some(NOW.parse().unwrap()),
        employments: vec![employment],
        ..Person::default()
    }
}

async fn served(persons: Vec<Person>) -> (Bridge, Vec<Value>) {
    let bridge = Setup::of(World { persons, ..World::empty() }).start();
    let users = bridge.everybody().await;
    (bridge, users)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_active() {
    let rows = [
        (Some("ACTIVE"), Some("ACTIVE"), true),
        (Some("LEAVE"), Some("ACTIVE"), true),
        (Some("INACTIVE"), Some("INACTIVE"), false),
        (Some("ONBOARDING"), Some("ACTIVE"), false),
        (Some("UNSPECIFIED"), Some("ACTIVE"), false),
        (Some("SABBATICAL"), Some("ACTIVE"), false),
        (None, Some("ACTIVE"), true),
        (None, Some("INACTIVE"), false),
        (None, Some("UNSPECIFIED"), false),
        (None, None, false),
    ];
    let persons = rows.iter().enumerate().map(|(id, (employment, own, _))| Person {
        status: own.map(str::to_owned),
        ..person(&id.to_string(), *employment)
    });
    let (_bridge, users) = served(persons.collect()).await;
    for (id, (employment, own, active)) in rows.iter().enumerate() {
        let user = by_id(&users, &id.to_string());
        assert_eq!(user["active"], *active, "{employment:?} {own:?}");
        assert_eq!(user[PERSONIO].get("employmentStatus").and_then(Value::as_str), *employment);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_user_names() {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    // First, last, preferred, e-mail; userName, displayName, name.
    let rows = [
        (
            "Ann",
            "Lee",
            "Annie",
            "ann@x.org",
            "ann@x.org",
            "Annie",
            json!({"formatted": "Ann Lee", "familyName": "Lee", "givenName": "Ann"}),
        ),
        ("Bo", "", "", "ANN@x.org", "personio-1", "Bo", json!({"formatted": "Bo", "givenName": "Bo"})),
        ("", "Żółć", "", "", "personio-2", "Żółć", json!({"formatted": "Żółć", "familyName": "Żółć"})),
        ("", "", "", "", "personio-3", "personio-3", json!({})),
        ("", "", "", "d@x.org", "d@x.org", "d@x.org", json!({})),
    ];
    let persons = rows.iter().enumerate().map(|(id, row)| Person {
        first_name: text(row.0),
        last_name: text(row.1),
        preferred_name: text(row.2),
        email: text(row.3),
        ..person(&id.to_string(), Some("ACTIVE"))
    });
    let (_bridge, users) = served(persons.collect()).await;
    for (id, row) in rows.iter().enumerate() {
        let user = by_id(&users, &id.to_string());
        assert_eq!((user["userName"].as_str(), user["displayName"].as_str()), (Some(row.4), Some(row.5)));
        assert_eq!(user["name"], row.6, "always an object");
        assert_eq!((&user["id"], &user["externalId"]), (&json!(id.to_string()), &json!(id.to_string())));
        let emails =
            if row.3.is_empty() { Value::Null } else { json!([{"value": row.3, "type": "work", "primary": true}]) };
        assert_eq!(user["emails"], emails);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_without_content_is_left_out_altogether() {
    let bare = Person { employments: Vec::new(), ..person("1", None) };
    let policy = personio_scim::translate::Policy { employee_number: Some("dynamic_1".into()), ..Default::default() };
    let bridge = Setup { policy, ..Setup::of(World { persons: vec![bare], ..World::empty() }) }.start();
    let user = bridge.everybody().await.remove(0);
    assert_eq!(user["schemas"], json!([USER]));
    assert!(user.get(ENTERPRISE).is_none() && user.get(PERSONIO).is_none(), "{user}");
    assert_eq!(user["userType"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_who_is_not_served_is_left_out() {
    let mut reports = [person("1", Some("ACTIVE")), person("2", Some("ACTIVE"))];
    reports[0].employments[0].supervisor = Some("2".to_owned());
    reports[1].employments[0].supervisor = Some("404".to_owned());
    let (bridge, users) = served(reports.to_vec()).await;
    let reference = format!("{}/scim/v2/Users/2", bridge.origin);
    let manager = json!({"value": "2", "$ref": reference, "displayName": "personio-2"});
    assert_eq!(by_id(&users, "1")[ENTERPRISE]["manager"], manager);
    assert_eq!(by_id(&users, "2")[ENTERPRISE].get("manager"), None);
}
