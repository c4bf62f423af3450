//! What the simulated company consists of: plain, typed, editable data.
//!
//! Nothing here knows how it looks on the wire (`wire`) or how it is made up (`generate`). Nothing is
//! checked either: a test may build a company that makes no sense.

use jiff::Timestamp;
use jiff::civil::Date;

/// Everything one simulated Personio account knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// People, in any order; the order of the listing is made by the simulator.
    pub persons: Vec<Person>,
    /// Departments and teams.
    pub org_units: Vec<OrgUnit>,
    /// Legal entities (`/v2/legal-entities`).
    pub legal_entities: Vec<Named>,
    /// Offices (`/v2/workplaces`).
    pub workplaces: Vec<Named>,
    /// Cost centres (`/v2/cost-centers`).
    pub cost_centers: Vec<Named>,
}

impl World {
    /// A company without anybody and anything.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }
}

/// An id with a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The id others refer to.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// A department or a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgUnit {
    /// The id employments refer to.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Which of the two lists it is in.
    pub kind: OrgUnitKind,
}

/// The two kinds of organisational units; ids are unique only within a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrgUnitKind {
    /// `department` on the wire.
    Department,
    /// `team` on the wire.
    Team,
}

impl OrgUnitKind {
    /// The word used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Department => "department",
            Self::Team => "team",
        }
    }
}

/// One person. `None` is an absent key (or a null, see `Quirks::null_instead_of_absent`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Person {
    /// A number, as text.
    pub id: String,
    /// The address at work.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// What the person wants to be called.
    pub preferred_name: Option<String>,
    /// `MALE`, `FEMALE`, `DIVERSE`: personal, must not leave a bridge.
    pub gender: Option<String>,
    /// The address of a picture: personal, must not leave a bridge.
    pub profile_picture: Option<String>,
    /// `ACTIVE`, `INACTIVE`, `UNSPECIFIED`, or anything a test sets.
    pub status: Option<String>,
    /// When the record was made.
    pub created_at: Option<Timestamp>,
    /// When the record was last changed; a change of an employment does not move it.
    pub updated_at: Option<Timestamp>,
    /// Everything that has no field of its own.
    pub custom_attributes: Vec<CustomAttribute>,
    /// In any order; answers sort them by start date.
    pub employments: Vec<Employment>,
}

/// One entry of `custom_attributes`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CustomAttribute {
    /// `dynamic_777`, or a standard key such as `date_of_birth`.
    pub id: String,
    /// An id that is the same in every account, where there is one.
    pub global_id: Option<String>,
    /// What people call it; often missing.
    pub label: Option<String>,
    /// `type` on the wire: `STRING`, `DATE`, `LIST` and so on.
    pub kind: String,
    /// A string, list, number, boolean or object.
    pub value: serde_json::Value,
}

/// One employment of a person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Employment {
    /// A UUID.
    pub id: String,
    /// `ACTIVE`, `INACTIVE`, `ONBOARDING`, `LEAVE`, `UNSPECIFIED`, or anything a test sets.
    pub status: Option<String>,
    /// `type` on the wire: `INTERNAL`, `EXTERNAL`, `UNSPECIFIED`.
    pub kind: Option<String>,
    /// The title of the position.
    pub position: Option<String>,
    /// The id of a person, who need not exist.
    pub supervisor: Option<String>,
    /// The id of a workplace.
    pub office: Option<String>,
    /// Departments and teams by id.
    pub org_units: Vec<(OrgUnitKind, String)>,
    /// The id of a legal entity.
    pub legal_entity: Option<String>,
    /// Ids of cost centres, each with its weight in percent.
    pub cost_centers: Vec<(String, f64)>,
    /// Hours.
    pub weekly_working_hours: Option<f64>,
    /// First day.
    pub employment_start_date: Option<Date>,
    /// Last day of the contract.
    pub employment_end_date: Option<Date>,
    /// Last day of probation.
    pub probation_end_date: Option<Date>,
    /// Last day of a contract that was limited from the start.
    pub contract_end_date: Option<Date>,
    /// Present when notice was given.
    pub termination: Option<Termination>,
    /// When the record was made.
    pub created_at: Option<Timestamp>,
    /// When the record was last changed.
    pub updated_at: Option<Timestamp>,
}

/// How an employment ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Termination {
    /// The day the contract ends.
    pub termination_date: Option<Date>,
    /// The last day at work, never after the end of the contract in a generated world.
    pub last_working_day: Option<Date>,
    /// When notice was given.
    pub terminated_at: Option<Timestamp>,
    /// `type` on the wire: personal, must not leave a bridge.
    pub kind: Option<String>,
    /// Free text: personal, must not leave a bridge.
    pub reason: Option<String>,
}
