//! Generated users for the benchmarks.

use std::sync::Arc;

use jiff::Timestamp;
use personio_scim::scim::{
    AttributeValues, Email, EncodedContent, EnterpriseUser, GroupMembership, Manager, PersonName,
    Resource, ResourceMeta, ResourceSet, ResourceTypes, ResourceUrls, SchemaRegistry, User,
};

pub(crate) const SIZES: [usize; 2] = [10_000, 100_000];

const FAMILIES: &[&str] = &["Müller", "Meyer", "Østergård", "Rossi", "Nowak", "García", "O'Brien"];

pub(crate) fn schema_registry() -> SchemaRegistry {
    SchemaRegistry::new(&ResourceUrls::new("https://scim.example.com/scim/v2"), 10_000, &[])
        .unwrap()
}

pub(crate) fn user(number: usize) -> User {
    let family = pick(number, FAMILIES);
    let id = (1_200_000 + number).to_string();
    let location = format!("https://scim.example.com/scim/v2/Users/{id}");
    let names: [Arc<str>; 3] = ["employmentStatus".into(), "hireDate".into(), "office".into()];
    let titles = ["Software Engineer", "Account Executive", "Controller", "Head of People"];
    let mut attributes = AttributeValues::default();
    for (name, value) in [("title", pick(number, &titles)), ("userType", "Employee".to_owned())] {
        attributes.push(&name.into(), value.into());
    }
    let mut extension = AttributeValues::default();
    for (name, value) in names.iter().zip(["ACTIVE", "2021-04-01", "München"]) {
        extension.push(name, value.into());
    }
    User {
        external_id: id.clone(),
        user_name: format!("person.{number}@example.com"),
        name: PersonName {
            formatted: Some(format!("Anna {family}")),
            family_name: Some(family.clone()),
            given_name: Some("Anna".to_owned()),
        },
        display_name: format!("Anna {family} {number}"),
        attributes,
        active: !number.is_multiple_of(11),
        emails: vec![Email {
            value: format!("person.{number}@example.com"),
            kind: "work",
            primary: true,
        }],
        groups: (0..2).map(|more| membership(number % 40 + more)).collect(),
        enterprise: EnterpriseUser {
            employee_number: Some(id.clone()),
            cost_center: Some(pick(number, &["Research", "Sales International"])),
            organization: Some("Beispiel GmbH".to_owned()),
            division: None,
            department: Some(pick(number, &["Engineering", "Sales", "People", "Finance", "Legal"])),
            manager: Some(Manager {
                value: "1200001".to_owned(),
                reference: "https://scim.example.com/scim/v2/Users/1200001".to_owned(),
                display_name: Some("Grace Fitzgerald".to_owned()),
            }),
        },
        extension,
        meta: ResourceMeta::of_user(location, day(number), day(number / 7)),
        id,
    }
}

fn pick(number: usize, words: &[&str]) -> String {
    words.get(number % words.len()).copied().unwrap_or_default().to_owned()
}

/// Returns a time in the year 2025.
fn day(number: usize) -> Option<Timestamp> {
    let (month, day) = (number % 12 + 1, number % 28 + 1);
    format!("2025-{month:02}-{day:02}T08:00:00Z").parse().ok()
}

fn membership(number: usize) -> GroupMembership {
    let id = format!("department-{number}");
    GroupMembership {
        reference: format!("https://scim.example.com/scim/v2/Groups/{id}"),
        display: format!("Department {number}"),
        kind: "direct",
        value: id,
    }
}

pub(crate) fn resources(types: &ResourceTypes, size: usize) -> ResourceSet {
    let mut all = Vec::with_capacity(size);
    for number in 0..size {
        all.push(Arc::new(resource(types, &user(number))));
    }
    ResourceSet::new(&types.user, all)
}

/// Encodes a user, with `meta`.
pub(crate) fn resource(types: &ResourceTypes, user: &User) -> Resource {
    EncodedContent::new(&types.user, user).unwrap().into_resource(&user.meta).unwrap()
}
