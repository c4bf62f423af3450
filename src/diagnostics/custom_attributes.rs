//! Custom attributes of a company and their use in the mapping file. This report contains no
//! values.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::findings::{Finding, Outcome, persons as all};
use crate::mapping::attributes::Attributes;
use crate::mapping::{Policy, personal_data};
use crate::personio::AttributeHead;
use crate::personio::model::Person;

/// Custom attribute in Personio, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAttribute {
    /// Id in Personio, for example `dynamic_305`.
    pub id: String,
    /// Key that is the same in every company, if there is one.
    pub global_id: Option<String>,
    /// Name in Personio's interface, if Personio returns it.
    pub label: Option<String>,
    /// Type of the values in Personio.
    pub kind: Option<String>,
    /// Number of persons with a value.
    pub found: usize,
    /// Use of the attribute by a server.
    pub standing: Standing,
}

/// Use of a custom attribute by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Personal data, which is never served, even if the mapping file names it.
    Personal,
    /// SCIM attribute of this name.
    Served(String),
    /// Unused attribute, which the mapping file can name.
    Free,
}

/// Returns the custom attributes of `persons`, ordered by id.
pub(crate) fn custom(persons: &[Vec<AttributeHead>], policy: &Policy) -> Vec<CustomAttribute> {
    let mut by_id: BTreeMap<&str, CustomAttribute> = BTreeMap::new();
    for head in persons.iter().flatten() {
        let known = by_id.entry(&head.id).or_insert_with(|| CustomAttribute {
            id: head.id.clone(),
            global_id: None,
            label: None,
            kind: None,
            found: 0,
            standing: Standing::Free,
        });
        for (known, seen) in
            [(&mut known.global_id, &head.global_id), (&mut known.label, &head.label), (&mut known.kind, &head.kind)]
        {
            if known.is_none() {
                known.clone_from(seen);
            }
        }
        known.found += usize::from(head.is_filled);
    }
    let mut all: Vec<CustomAttribute> = by_id.into_values().collect();
    let ids: BTreeSet<String> = all.iter().map(|attribute| attribute.id.clone()).collect();
    for attribute in &mut all {
        attribute.standing = standing(attribute, policy, &ids);
    }
    all
}

/// Returns the use of an attribute. `ids` contains the ids of all custom attributes.
fn standing(attribute: &CustomAttribute, policy: &Policy, ids: &BTreeSet<String>) -> Standing {
    let seen = [Some(&attribute.id), attribute.global_id.as_ref(), attribute.label.as_ref()];
    if seen.into_iter().flatten().any(|text| personal_data::is_personal(text)) {
        return Standing::Personal;
    }
    // An exact id takes precedence over the global id of another attribute.
    let is_meant = |id: &str| attribute.id == id || (attribute.is_called(id) && !ids.contains(id));
    if policy.employee_number.as_deref().is_some_and(is_meant) {
        return Standing::Served("employeeNumber".to_owned());
    }
    let custom = policy.custom.iter().find(|custom| is_meant(&custom.id));
    custom.map_or(Standing::Free, |custom| Standing::Served(custom.attribute.name.clone()))
}

impl CustomAttribute {
    /// Describes the part of the attribute that is recognised as personal data.
    fn personal_part(&self) -> String {
        let parts = [("id", Some(&self.id)), ("global id", self.global_id.as_ref()), ("name", self.label.as_ref())];
        for (part, text) in parts {
            if let Some(text) = text.filter(|text| personal_data::is_personal(text)) {
                return format!("its {part} `{text}`");
            }
        }
        "it".to_owned()
    }

    fn is_called(&self, id: &str) -> bool {
        self.id == id || self.global_id.as_deref() == Some(id)
    }
}

/// Returns a finding for each custom attribute that the mapping file names. `seen` contains the
/// custom attributes of `persons`.
pub(crate) fn findings(
    policy: &Policy,
    attributes: &Attributes,
    seen: &[CustomAttribute],
    persons: &[Person],
) -> Vec<Finding> {
    let served = |id: &str, name: &str, count: usize| {
        let by_id = seen.iter().find(|attribute| attribute.id == id);
        let attribute = by_id.or_else(|| seen.iter().find(|attribute| attribute.is_called(id)));
        let (outcome, what, remedy) = match attribute {
            None => (
                Outcome::Doubtful,
                format!("{id}, to be served as {name}, is not among the attributes of the persons looked at"),
                Some(
                    "Check the id in the mapping file (`check --verbose` lists all ids), and allow the API credential to \
                     read the attribute in Personio.",
                ),
            ),
            Some(attribute @ CustomAttribute { standing: Standing::Personal, .. }) => (
                Outcome::Doubtful,
                format!("{id} is not served as {name}: {} is recognised as personal data", attribute.personal_part()),
                Some("Take it out of the mapping file; if it holds no personal data, rename it in Personio."),
            ),
            Some(attribute) if count < attribute.found => (
                Outcome::Doubtful,
                format!("{} of {} values of {id} cannot be served as {name}", attribute.found - count, attribute.found),
                Some("Check `type` and `multi_valued` in the mapping file: values of another type are left out."),
            ),
            Some(_) => {
                let what = format!("{id} is served as {name}, for {count} of the {} looked at", all(persons.len()));
                (Outcome::Fine, what, None)
            }
        };
        Finding { step: "mapping", outcome, what, remedy: remedy.map(str::to_owned) }
    };
    let number = policy.employee_number.iter().map(|id| {
        let count = persons.iter().filter(|person| attributes.employee_number(person, id).is_some()).count();
        served(id, "employeeNumber", count)
    });
    let custom = policy.custom.iter().map(|custom| {
        let count = persons.iter().filter(|person| attributes.custom_value(person, custom).is_some()).count();
        served(&custom.id, &custom.attribute.name, count)
    });
    number.chain(custom).collect()
}
