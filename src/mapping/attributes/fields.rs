//! Fields of persons and employments as Personio's settings name them. An operator chooses which of
//! them the credential may read, and the coverage counts them.

use crate::mapping::employment::{
    cost_center_id, job_id, legal_entity, office, supervisor, title, unit_id,
};
use crate::personio::LookupKind;
use crate::personio::model::{Employment, OrgUnitType, Person};

/// Field that a credential must be able to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PersonioField {
    /// Name in Personio's settings.
    pub(crate) name: &'static str,
    /// Flag for a field that at least one person has in nearly every company.
    pub(crate) is_usual: bool,
    pub(crate) presence: Presence,
}

/// Test for the presence of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence {
    /// Field of a person.
    Person(fn(&Person) -> bool),
    /// Field of an employment.
    Employment(fn(&Employment) -> bool),
}

/// All fields, in the order of Personio's settings.
pub(crate) const FIELDS: [PersonioField; 20] = [
    EMAIL,
    STATUS,
    FIRST_NAME,
    LAST_NAME,
    PREFERRED_NAME,
    EMPLOYMENT_STATUS,
    EMPLOYMENT_TYPE,
    POSITION,
    JOB,
    SUPERVISOR,
    DEPARTMENT,
    TEAM,
    OFFICE,
    LEGAL_ENTITY,
    COST_CENTER,
    HIRE_DATE,
    END_DATE,
    PROBATION_END,
    CONTRACT_END,
    TERMINATION,
];

pub(crate) const EMAIL: PersonioField =
    usual("Email", Presence::Person(|person| person.email.is_some()));
pub(crate) const STATUS: PersonioField =
    usual("Status", Presence::Person(|person| person.status.is_some()));
pub(crate) const FIRST_NAME: PersonioField =
    usual("First name", Presence::Person(|person| person.first_name.is_some()));
pub(crate) const LAST_NAME: PersonioField =
    usual("Last name", Presence::Person(|person| person.last_name.is_some()));
/// In many companies, no person has a preferred name.
pub(crate) const PREFERRED_NAME: PersonioField =
    optional("Preferred name", Presence::Person(|person| person.preferred_name.is_some()));

pub(crate) const EMPLOYMENT_STATUS: PersonioField =
    usual("Employment status", Presence::Employment(|it| it.status.is_some()));
pub(crate) const EMPLOYMENT_TYPE: PersonioField =
    usual("Employment type", Presence::Employment(|it| it.employment_type.is_some()));
pub(crate) const POSITION: PersonioField =
    usual("Position", Presence::Employment(|it| title(it).is_some()));
pub(crate) const JOB: PersonioField =
    optional("Job", Presence::Employment(|it| job_id(it).is_some()));
pub(crate) const SUPERVISOR: PersonioField =
    usual("Supervisor", Presence::Employment(|it| supervisor(it).is_some()));
pub(crate) const DEPARTMENT: PersonioField =
    usual("Department", Presence::Employment(|it| unit_id(it, &OrgUnitType::Department).is_some()));
pub(crate) const TEAM: PersonioField =
    optional("Team", Presence::Employment(|it| unit_id(it, &OrgUnitType::Team).is_some()));
pub(crate) const OFFICE: PersonioField =
    usual("Office", Presence::Employment(|it| office(it).is_some()));
pub(crate) const LEGAL_ENTITY: PersonioField =
    usual("Legal entity", Presence::Employment(|it| legal_entity(it).is_some()));
pub(crate) const COST_CENTER: PersonioField =
    optional("Cost center", Presence::Employment(|it| cost_center_id(it).is_some()));
pub(crate) const HIRE_DATE: PersonioField =
    usual("Hire date", Presence::Employment(|it| it.employment_start_date.is_some()));
pub(crate) const END_DATE: PersonioField =
    optional("End of the employment", Presence::Employment(|it| it.employment_end_date.is_some()));
pub(crate) const PROBATION_END: PersonioField =
    optional("Probation period end", Presence::Employment(|it| it.probation_end_date.is_some()));
pub(crate) const CONTRACT_END: PersonioField =
    optional("Contract end", Presence::Employment(|it| it.contract_end_date.is_some()));
pub(crate) const TERMINATION: PersonioField =
    optional("Termination", Presence::Employment(|it| it.termination.is_some()));

const fn usual(name: &'static str, presence: Presence) -> PersonioField {
    PersonioField { name, is_usual: true, presence }
}

const fn optional(name: &'static str, presence: Presence) -> PersonioField {
    PersonioField { name, is_usual: false, presence }
}

/// Returns the objects that a credential must be able to read for the names of a look-up, as in
/// Personio's access rights.
pub(crate) const fn readable_objects(kind: LookupKind) -> &'static str {
    match kind {
        LookupKind::Department | LookupKind::Team => "org units",
        LookupKind::LegalEntity => "legal entities",
        LookupKind::Workplace => "workplaces",
        LookupKind::CostCenter => "cost centres",
        LookupKind::Job => "jobs",
    }
}
