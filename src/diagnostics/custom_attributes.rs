//! Custom attributes of a company and their use in the mapping file. This report contains no
//! values.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::findings::{Finding, FindingOutcome, format_person_count};
use crate::mapping::attributes::custom::{AttributeMapper, CustomText};
use crate::mapping::{
    AttributeOverride, CustomAttributePolicy, CustomSource, MappingPolicy, personal_data,
};
use crate::personio::model::Person;
use crate::personio::{AttributeMetadata, is_loggable};

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
    /// Names of the SCIM attributes, separated by commas.
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
    let mut names: Vec<&str> = Vec::new();
    for AttributeOverride { attribute: standard, source, .. } in
        &policy.standard_attributes.overrides
    {
        if source.as_ref().is_some_and(|source| attribute.is_named_by(&source.id, ids)) {
            names.push(standard.name());
        }
    }
    for custom in &policy.custom_attributes {
        if attribute.is_named_by(&custom.id, ids) {
            names.push(&custom.definition.name);
        }
    }
    if names.is_empty() {
        return CustomAttributeUse::Unused;
    }
    CustomAttributeUse::Served(names.join(", "))
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
    for AttributeOverride { attribute, .. } in &policy.standard_attributes.overrides {
        if let Some(chosen) = attributes.find_override(*attribute)
            && let Some(source) = &chosen.source
        {
            let mut values = ValueCounts { persons: persons.len(), ..ValueCounts::default() };
            for person in persons {
                values.count_text(person, &attributes.custom_text(person, chosen, source));
            }
            let reported = find_attribute(reported, &source.id);
            findings.push(override_finding(chosen, source, reported, &values));
        }
    }
    for custom in &policy.custom_attributes {
        let CustomAttributePolicy { id, definition: attribute } = custom;
        let mut values = ValueCounts { persons: persons.len(), ..ValueCounts::default() };
        for person in persons {
            values.usable += usize::from(attributes.custom_value(person, custom).is_some());
        }
        findings.push(attribute_finding(
            id,
            &attribute.name,
            find_attribute(reported, id),
            &values,
        ));
    }
    findings
}

/// Maximum number of persons whom a finding names.
const MAX_EXAMPLES: usize = 10;

/// Values of a custom attribute, as far as they can be served.
#[derive(Debug, Default)]
struct ValueCounts {
    /// Number of persons who were examined.
    persons: usize,
    /// Number of values that can be served.
    usable: usize,
    /// Number of values that are served with a new value of the mapping file.
    renamed: usize,
    /// Ids of the first persons with a value that cannot be served.
    examples: Vec<String>,
}

impl ValueCounts {
    fn count_text(&mut self, person: &Person, text: &CustomText) {
        match text {
            CustomText::Usable { is_renamed, .. } => {
                self.usable += 1;
                self.renamed += usize::from(*is_renamed);
            }
            CustomText::Unusable => {
                if self.examples.len() < MAX_EXAMPLES && is_loggable(&person.id) {
                    self.examples.push(person.id.clone());
                }
            }
            CustomText::Absent => {}
        }
    }
}

/// Returns the finding about the custom attribute `source`, which serves as a standard attribute.
fn override_finding(
    chosen: &AttributeOverride,
    source: &CustomSource,
    reported: Option<&CustomAttributeReport>,
    values: &ValueCounts,
) -> Finding {
    let mut finding = attribute_finding(&source.id, chosen.attribute.name(), reported, values);
    if finding.outcome == FindingOutcome::Pass {
        if values.renamed > 0 {
            finding.description += &format!("; {} of the values are renamed", values.renamed);
        }
        if values.usable < values.persons {
            finding.description += if source.has_fallback {
                "; the others have the value of Personio's own field, if there is one"
            } else {
                "; the others have no value"
            };
        }
    }
    if !values.examples.is_empty() {
        finding.description += &format!(" (persons {})", values.examples.join(", "));
        finding.remedy = Some(format!(
            "Enter {} in Personio, or give these values a new one in [values.{}] of the mapping \
             file.",
            chosen.attribute.form().description(),
            chosen.attribute.name(),
        ));
    }
    finding
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
/// `attribute` is the attribute in Personio, if a person has it.
fn attribute_finding(
    id: &str,
    name: &str,
    attribute: Option<&CustomAttributeReport>,
    values: &ValueCounts,
) -> Finding {
    let ValueCounts { usable: count, persons, .. } = *values;
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
