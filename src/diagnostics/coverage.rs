//! Coverage: the number of persons who have each attribute. Personio omits attributes that a
//! credential may not read. An attribute that no person has is therefore most likely not readable.

use crate::mapping::employment::{
    cost_center_id, legal_entity, office, supervisor, title, unit_id,
};
use crate::mapping::primary_employment::DateRules;
use crate::personio::model::{Employment, Person};
use crate::sync::record_codec::DecodedRecord;

/// Coverage of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Name of the attribute in Personio's settings.
    pub attribute: &'static str,
    /// Number of persons or employments that have the attribute.
    pub present: usize,
    /// Number of persons or employments that were examined.
    pub total: usize,
    /// Flag for an attribute that at least one person has in nearly every company.
    pub is_usual: bool,
}

/// Attribute of a person: its name and a test for its presence.
struct PersonAttribute(&'static str, fn(&Person) -> bool);

/// Attribute of an employment.
struct EmploymentAttribute {
    attribute: &'static str,
    is_usual: bool,
    /// Test for the presence of the attribute.
    has: fn(&Employment) -> bool,
}

const PERSON_ATTRIBUTES: [PersonAttribute; 5] = [
    PersonAttribute("Email", |person| person.email.is_some()),
    PersonAttribute("Status", |person| person.status.is_some()),
    PersonAttribute("First name", |person| person.first_name.is_some()),
    PersonAttribute("Last name", |person| person.last_name.is_some()),
    PersonAttribute("Preferred name", |person| person.preferred_name.is_some()),
];

const EMPLOYMENT_ATTRIBUTES: [EmploymentAttribute; 14] = [
    usual("Employment status", |it| it.status.is_some()),
    usual("Employment type", |it| it.employment_type.is_some()),
    usual("Position", |it| title(it).is_some()),
    usual("Supervisor", |it| supervisor(it).is_some()),
    usual("Department", |it| unit_id(it, "DEPARTMENT").is_some()),
    optional("Team", |it| unit_id(it, "TEAM").is_some()),
    usual("Office", |it| office(it).is_some()),
    usual("Legal entity", |it| legal_entity(it).is_some()),
    optional("Cost center", |it| cost_center_id(it).is_some()),
    usual("Hire date", |it| it.employment_start_date.is_some()),
    optional("End of the employment", |it| it.employment_end_date.is_some()),
    optional("Probation period end", |it| it.probation_end_date.is_some()),
    optional("Contract end", |it| it.contract_end_date.is_some()),
    optional("Termination", |it| it.termination.is_some()),
];

const fn usual(attribute: &'static str, has: fn(&Employment) -> bool) -> EmploymentAttribute {
    EmploymentAttribute { attribute, is_usual: true, has }
}

const fn optional(attribute: &'static str, has: fn(&Employment) -> bool) -> EmploymentAttribute {
    EmploymentAttribute { attribute, is_usual: false, has }
}

/// Returns the coverage of each attribute. Attributes of employments are counted over the primary
/// employments of the persons whose employments are known.
pub(crate) fn measure_coverage(records: &[DecodedRecord], rules: &DateRules<'_>) -> Vec<Coverage> {
    let mut coverage = Vec::with_capacity(PERSON_ATTRIBUTES.len() + EMPLOYMENT_ATTRIBUTES.len());
    for PersonAttribute(attribute, has) in PERSON_ATTRIBUTES {
        coverage.push(Coverage {
            attribute,
            present: records.iter().filter(|record| has(&record.person)).count(),
            total: records.len(),
            // In many companies, no person has a preferred name.
            is_usual: attribute != "Preferred name",
        });
    }
    let employments = primary_employments(records, rules);
    for EmploymentAttribute { attribute, is_usual, has } in EMPLOYMENT_ATTRIBUTES {
        coverage.push(Coverage {
            attribute,
            present: employments.iter().filter(|employment| has(employment)).count(),
            total: employments.len(),
            is_usual,
        });
    }
    coverage
}

/// Returns the primary employments of the persons whose employments are known.
fn primary_employments<'p>(
    records: &'p [DecodedRecord],
    rules: &DateRules<'_>,
) -> Vec<&'p Employment> {
    let mut primary_employments: Vec<&Employment> = Vec::new();
    for record in records {
        if let Some(employments) = &record.employments {
            primary_employments.extend(rules.primary_employment(employments));
        }
    }
    primary_employments
}
