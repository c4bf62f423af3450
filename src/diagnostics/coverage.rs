//! Coverage: the number of persons who have each attribute. Personio omits attributes that a
//! credential may not read. An attribute that no person has is therefore most likely not readable.

use crate::mapping::employment::{cost_center, unit};
use crate::mapping::primary_employment::DateRules;
use crate::personio::model::{Employment, Person};
use crate::sync::record_codec::Facts;

/// Coverage of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Name of the attribute in Personio's settings.
    pub attribute: &'static str,
    /// Number of persons or employments that have the attribute.
    pub found: usize,
    /// Number of persons or employments that were examined.
    pub of: usize,
    /// Flag for an attribute that at least one person has in nearly every company.
    pub is_usual: bool,
}

/// Attribute of a person: its name and a test for its presence.
struct OfPerson(&'static str, fn(&Person) -> bool);

/// Attribute of an employment: its name, a flag for a usual attribute, and a test for its presence.
struct OfEmployment(&'static str, bool, fn(&Employment) -> bool);

const OF_PERSON: [OfPerson; 5] = [
    OfPerson("Email", |person| person.email.is_some()),
    OfPerson("Status", |person| person.status.is_some()),
    OfPerson("First name", |person| person.first_name.is_some()),
    OfPerson("Last name", |person| person.last_name.is_some()),
    OfPerson("Preferred name", |person| person.preferred_name.is_some()),
];

const OF_EMPLOYMENT: [OfEmployment; 14] = [
    OfEmployment("Employment status", true, |it| it.status.is_some()),
    OfEmployment("Employment type", true, |it| it.kind.is_some()),
    OfEmployment("Position", true, |it| it.position.as_ref().is_some_and(|position| position.title.is_some())),
    OfEmployment("Supervisor", true, |it| it.supervisor.as_ref().is_some_and(|it| it.id.is_some())),
    OfEmployment("Department", true, |it| unit(it, "DEPARTMENT").is_some()),
    OfEmployment("Team", false, |it| unit(it, "TEAM").is_some()),
    OfEmployment("Office", true, |it| it.office.as_ref().is_some_and(|it| it.id.is_some())),
    OfEmployment("Legal entity", true, |it| it.legal_entity.as_ref().is_some_and(|it| it.id.is_some())),
    OfEmployment("Cost center", false, |it| cost_center(it).is_some()),
    OfEmployment("Hire date", true, |it| it.employment_start_date.is_some()),
    OfEmployment("End of the employment", false, |it| it.employment_end_date.is_some()),
    OfEmployment("Probation period end", false, |it| it.probation_end_date.is_some()),
    OfEmployment("Contract end", false, |it| it.contract_end_date.is_some()),
    OfEmployment("Termination", false, |it| it.termination.is_some()),
];

/// Returns the coverage of each attribute. Attributes of employments are counted over the primary
/// employments of the persons whose employments are known.
pub(crate) fn presence(people: &[Facts], rules: &DateRules<'_>) -> Vec<Presence> {
    let of_person = OF_PERSON.iter().map(|OfPerson(attribute, has)| Presence {
        attribute,
        found: people.iter().filter(|facts| has(&facts.person)).count(),
        of: people.len(),
        // In many companies, no person has a preferred name.
        is_usual: *attribute != "Preferred name",
    });
    let employments: Vec<&Employment> =
        people.iter().filter_map(|facts| rules.primary_employment(facts.employments.as_deref()?)).collect();
    let of_employment = OF_EMPLOYMENT.iter().map(|OfEmployment(attribute, is_usual, has)| Presence {
        attribute,
        found: employments.iter().filter(|employment| has(employment)).count(),
        of: employments.len(),
        is_usual: *is_usual,
    });
    of_person.chain(of_employment).collect()
}
