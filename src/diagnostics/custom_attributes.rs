//! Custom attributes of a company and their use in the mapping file. This report contains no
//! values.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::findings::{Finding, format_person_count};
use crate::mapping::attributes::custom::AttributeMapper;
use crate::mapping::{CustomAttributePolicy, MappingPolicy, personal_data};
use crate::personio::AttributeMetadata;
use crate::personio::model::Person;

/// Name of the step in the report.
const STEP: &str = "mapping";

/// Custom attribute in Personio, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAttributeReport {
    /// Id in Personio, for example `dynamic_305`.
    pub id: String,
    /// Key that is the same in every company, if there is one.
    pub global_id: Option<String>,
    /// Name in Personio's interface, if Personio returns it.
    pub label: Option<String>,
    /// Type of the values in Personio.
    pub value_type: Option<String>,
    /// Number of persons with a value.
    pub present: usize,
    /// Use of the attribute by a server.
    pub usage: CustomAttributeUse,
}

/// Use of a custom attribute by a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CustomAttributeUse {
    /// Personal data, which is never served, even if the mapping file names it.
    Personal,
    /// SCIM attribute of this name.
    Served(String),
    /// Unused attribute, which the mapping file can name.
    Unused,
}

/// Returns the custom attributes of `persons`, ordered by id.
pub(crate) fn report_custom_attributes(
    persons: &[Vec<AttributeMetadata>],
    policy: &MappingPolicy,
) -> Vec<CustomAttributeReport> {
    let mut by_id: BTreeMap<&str, CustomAttributeReport> = BTreeMap::new();
    for metadata in persons.iter().flatten() {
        let known = by_id.entry(&metadata.id).or_insert_with(|| CustomAttributeReport {
            id: metadata.id.clone(),
            global_id: None,
            label: None,
            value_type: None,
            present: 0,
            usage: CustomAttributeUse::Unused,
        });
        copy_if_none(&mut known.global_id, &metadata.global_id);
        copy_if_none(&mut known.label, &metadata.label);
        copy_if_none(&mut known.value_type, &metadata.value_type);
        known.present += usize::from(metadata.is_filled);
    }
    let mut all: Vec<CustomAttributeReport> = by_id.into_values().collect();
    let ids: BTreeSet<String> = all.iter().map(|attribute| attribute.id.clone()).collect();
    for attribute in &mut all {
        attribute.usage = determine_use(attribute, policy, &ids);
    }
    all
}

/// Copies `reported` to `known`, unless `known` has a value.
fn copy_if_none(known: &mut Option<String>, reported: &Option<String>) {
    if known.is_none() {
        known.clone_from(reported);
    }
}

/// Returns the use of an attribute. `ids` contains the ids of all custom attributes.
fn determine_use(
    attribute: &CustomAttributeReport,
    policy: &MappingPolicy,
    ids: &BTreeSet<String>,
) -> CustomAttributeUse {
    if attribute.personal_part().is_some() {
        return CustomAttributeUse::Personal;
    }
    if let Some(id) = &policy.employee_number
        && attribute.is_named_by(id, ids)
    {
        return CustomAttributeUse::Served("employeeNumber".to_owned());
    }
    match policy.custom_attributes.iter().find(|custom| attribute.is_named_by(&custom.id, ids)) {
        Some(custom) => CustomAttributeUse::Served(custom.definition.name.clone()),
        None => CustomAttributeUse::Unused,
    }
}

impl CustomAttributeReport {
    /// Describes the part of the attribute that is recognised as personal data, if there is one.
    fn personal_part(&self) -> Option<String> {
        let parts = [
            ("id", Some(&self.id)),
            ("global id", self.global_id.as_ref()),
            ("name", self.label.as_ref()),
        ];
        for (part, text) in parts {
            if let Some(text) = text
                && personal_data::is_personal(text)
            {
                return Some(format!("its {part} `{text}`"));
            }
        }
        None
    }

    /// Reports whether `id` in the mapping file means this attribute. `ids` contains the ids of all
    /// custom attributes: an exact id takes precedence over the global id of another attribute.
    fn is_named_by(&self, id: &str, ids: &BTreeSet<String>) -> bool {
        self.id == id || (self.has_id(id) && !ids.contains(id))
    }

    fn has_id(&self, id: &str) -> bool {
        self.id == id || self.global_id.as_deref() == Some(id)
    }
}

/// Returns a finding for each custom attribute that the mapping file names. `reported` contains the
/// custom attributes of `persons`.
pub(crate) fn mapping_findings(
    policy: &MappingPolicy,
    attributes: &AttributeMapper,
    reported: &[CustomAttributeReport],
    persons: &[Person],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(id) = &policy.employee_number {
        let mut count = 0;
        for person in persons {
            count += usize::from(attributes.employee_number(person, id).is_some());
        }
        findings.push(attribute_finding(
            id,
            "employeeNumber",
            find_attribute(reported, id),
            count,
            persons.len(),
        ));
    }
    for custom in &policy.custom_attributes {
        let CustomAttributePolicy { id, definition: attribute } = custom;
        let mut count = 0;
        for person in persons {
            count += usize::from(attributes.custom_value(person, custom).is_some());
        }
        findings.push(attribute_finding(
            id,
            &attribute.name,
            find_attribute(reported, id),
            count,
            persons.len(),
        ));
    }
    findings
}

/// Returns the attribute with this id, or else the one with this global id.
fn find_attribute<'a>(
    reported: &'a [CustomAttributeReport],
    id: &str,
) -> Option<&'a CustomAttributeReport> {
    match reported.iter().find(|attribute| attribute.id == id) {
        Some(attribute) => Some(attribute),
        None => reported.iter().find(|attribute| attribute.has_id(id)),
    }
}

/// Returns the finding about the custom attribute `id`, which the mapping file maps to `name`.
/// `attribute` is the attribute in Personio, if a person has it. `count` of the `persons` have a
/// value that can be served.
fn attribute_finding(
    id: &str,
    name: &str,
    attribute: Option<&CustomAttributeReport>,
    count: usize,
    persons: usize,
) -> Finding {
    let Some(attribute) = attribute else {
        return mapping_warning(
            format!(
                "{id}, to be served as {name}, is not among the attributes of the persons looked at"
            ),
            "Check the id in the mapping file (`check --verbose` lists all ids), and allow the API \
             credential to read the attribute in Personio.",
        );
    };
    if attribute.usage == CustomAttributeUse::Personal {
        let part = attribute.personal_part().unwrap_or_else(|| "it".to_owned());
        return mapping_warning(
            format!("{id} is not served as {name}: {part} is recognised as personal data"),
            "Remove it from the mapping file, or rename it in Personio if it contains no personal \
             data.",
        );
    }
    if count < attribute.present {
        let unusable = attribute.present - count;
        return mapping_warning(
            format!(
                "{unusable} of {} values of {id} cannot be served as {name}",
                attribute.present
            ),
            "Check `type` and `multi_valued` in the mapping file: values of another type are left \
             out.",
        );
    }
    let persons = format_person_count(persons);
    let description = format!("{id} is served as {name}, for {count} of the {persons} looked at");
    Finding::pass(STEP, description)
}

fn mapping_warning(description: String, remedy: &str) -> Finding {
    Finding::warning(STEP, description, remedy.to_owned())
}
