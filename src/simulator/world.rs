//! Data of the simulated company, as plain types with public fields.
//!
//! `generate` creates the data, and `wire` writes it as JSON. No type validates its content,
//! because tests also need contradictory data.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};

/// Complete data of one simulated Personio account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// Persons, in any order. The simulator sorts them for the listing.
    pub persons: Vec<SimulatedPerson>,
    /// Departments and teams (`/v2/org-units`).
    pub org_units: Vec<SimulatedOrgUnit>,
    /// Legal entities (`/v2/legal-entities`).
    pub legal_entities: Vec<SimulatedLookupEntry>,
    /// Offices (`/v2/workplaces`).
    pub workplaces: Vec<SimulatedLookupEntry>,
    /// Cost centres (`/v2/cost-centers`).
    pub cost_centers: Vec<SimulatedLookupEntry>,
    /// Jobs (`/v2/jobs`).
    pub jobs: Vec<SimulatedLookupEntry>,
}

impl World {
    /// Returns a company without any data.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }
}

/// Entry of a look-up list: an id with its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimulatedLookupEntry {
    /// Id that employments refer to.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Further members of the JSON, which a client must not pass on.
    pub extra: Map<String, Value>,
}

impl SimulatedLookupEntry {
    /// Creates an entry with this id and name.
    #[must_use]
    pub fn new(id: &str, name: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), extra: Map::new() }
    }
}

/// Department or team.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimulatedOrgUnit {
    /// Id that employments refer to.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Type, which decides the list that contains the unit.
    pub unit_type: SimulatedOrgUnitType,
    /// Id of the unit of the same type to which this one belongs (`parent_id` in the JSON).
    pub parent: Option<String>,
    /// Further members of the JSON, which a client must not pass on.
    pub extra: Map<String, Value>,
}

impl SimulatedOrgUnit {
    /// Creates a unit at the top.
    #[must_use]
    pub fn new(id: &str, name: &str, unit_type: SimulatedOrgUnitType) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            unit_type,
            parent: None,
            extra: Map::new(),
        }
    }
}

/// Type of an organisational unit. Ids are unique only among units of the same type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SimulatedOrgUnitType {
    /// Department, `department` in the JSON.
    #[default]
    Department,
    /// Team, `team` in the JSON.
    Team,
}

impl SimulatedOrgUnitType {
    /// Returns the value used in the JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Team => "team",
        }
    }
}

/// Person. A field that is `None` has no key in the JSON, or a `null` with the quirk
/// [`null_instead_of_absent`](crate::simulator::Quirks::null_instead_of_absent).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SimulatedPerson {
    /// Decimal number, as text.
    pub id: String,
    /// Work e-mail address.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Preferred name.
    pub preferred_name: Option<String>,
    /// `MALE`, `FEMALE` or `DIVERSE`. Personal data that a client must not pass on.
    pub gender: Option<String>,
    /// URL of a picture. Personal data that a client must not pass on.
    pub profile_picture: Option<String>,
    /// `ACTIVE`, `INACTIVE`, `UNSPECIFIED`, or any text that a test sets.
    pub status: Option<String>,
    /// Time of creation.
    pub created_at: Option<Timestamp>,
    /// Time of the last change. In Personio, a change of an employment does not update it.
    pub updated_at: Option<Timestamp>,
    /// Attributes without a field of their own.
    pub custom_attributes: Vec<SimulatedCustomAttribute>,
    /// Employments, in any order. Responses sort them by start date.
    pub employments: Vec<SimulatedEmployment>,
}

/// Entry of `custom_attributes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SimulatedCustomAttribute {
    /// Id such as `dynamic_777`, or a standard key such as `date_of_birth`.
    pub id: String,
    /// Id that is equal in every account. `None` for an attribute without such an id.
    pub global_id: Option<String>,
    /// Display name, which is often missing.
    pub label: Option<String>,
    /// Attribute type (`type` in the JSON), such as `STRING`, `DATE` or `LIST`.
    pub value_type: String,
    /// String, list, number, boolean or object.
    pub value: serde_json::Value,
}

/// Employment of a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SimulatedEmployment {
    /// UUID of the employment.
    pub id: String,
    /// `ACTIVE`, `INACTIVE`, `ONBOARDING`, `LEAVE`, `UNSPECIFIED`, or any text that a test sets.
    pub status: Option<String>,
    /// Employment type (`type` in the JSON): `INTERNAL`, `EXTERNAL` or `UNSPECIFIED`.
    pub employment_type: Option<String>,
    /// Title of the position.
    pub position: Option<String>,
    /// Id of the job. It is independent of the title.
    pub job: Option<String>,
    /// Person id of the supervisor. The person need not exist.
    pub supervisor: Option<String>,
    /// Id of the workplace.
    pub office: Option<String>,
    /// Types and ids of departments and teams.
    pub org_units: Vec<(SimulatedOrgUnitType, String)>,
    /// Id of the legal entity.
    pub legal_entity: Option<String>,
    /// Ids of cost centres, each with its weight in percent.
    pub cost_centers: Vec<(String, f64)>,
    /// Working time per week, in hours.
    pub weekly_working_hours: Option<f64>,
    /// First day of the employment.
    pub employment_start_date: Option<Date>,
    /// Last day of the employment.
    pub employment_end_date: Option<Date>,
    /// Last day of the probation period.
    pub probation_end_date: Option<Date>,
    /// Last day of a fixed-term contract.
    pub contract_end_date: Option<Date>,
    /// Termination, present once notice was given.
    pub termination: Option<SimulatedTermination>,
    /// Time of creation.
    pub created_at: Option<Timestamp>,
    /// Time of the last change.
    pub updated_at: Option<Timestamp>,
    /// Further members of the JSON, of the employment and of each object in it. A client must not
    /// pass them on.
    pub extra: Map<String, Value>,
}

/// Termination of an employment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimulatedTermination {
    /// Day on which the contract ends.
    pub termination_date: Option<Date>,
    /// Last day at work. In a generated world it is never after `termination_date`.
    pub last_working_day: Option<Date>,
    /// Time at which notice was given.
    pub terminated_at: Option<Timestamp>,
    /// Termination type (`type` in the JSON). Personal data that a client must not pass on.
    pub termination_type: Option<String>,
    /// Reason, as free text. Personal data that a client must not pass on.
    pub reason: Option<String>,
}
