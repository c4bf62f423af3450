//! The shapes of Personio's answers, as far as they may leave: there is no field for gender,
//! picture, birth date, address, phone, salary, bank, tax, hours, or the type and reason of a
//! termination. What has no field is dropped while the answer is read.
//!
//! Nothing but `id` is promised. Attributes that the credential may not read are absent keys, and
//! null means the same. What says who somebody is (id, e-mail, names, status) must be readable if it
//! is there; whatever else has an unexpected shape counts as absent.
//!
//! What is written is read back as the same: records are kept between loads and between starts. What they are kept
//! in is not for people to read, as serde calls it, and holds nothing odd any more: there each field is as it is here.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::lenient::{date, id, lenient, list, number, status, text, timestamp, word};

/// A person, of `/v2/persons`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// A numeric string.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The work e-mail.
    #[serde(default, deserialize_with = "text")]
    pub email: Option<String>,
    /// The first name.
    #[serde(default, deserialize_with = "text")]
    pub first_name: Option<String>,
    /// The last name.
    #[serde(default, deserialize_with = "text")]
    pub last_name: Option<String>,
    /// The name the person goes by.
    #[serde(default, deserialize_with = "text")]
    pub preferred_name: Option<String>,
    /// ACTIVE when the latest employment is active, on leave or onboarding.
    #[serde(default, deserialize_with = "status")]
    pub status: Option<Status>,
    /// When the person was created.
    #[serde(default, deserialize_with = "timestamp")]
    pub created_at: Option<Timestamp>,
    /// When the person was last changed; not promised to move with the employments.
    #[serde(default, deserialize_with = "timestamp")]
    pub updated_at: Option<Timestamp>,
    /// Only those that were asked for; the client drops the others as soon as they are read.
    #[serde(default, deserialize_with = "list")]
    pub custom_attributes: Vec<CustomAttribute>,
    /// The employments, by id alone.
    #[serde(default, deserialize_with = "list")]
    pub employments: Vec<Reference>,
}

/// An attribute that a company added, or a standard one without a field of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomAttribute {
    /// Such as `dynamic_305`.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The key that is the same in every company, where there is one.
    #[serde(default, deserialize_with = "text")]
    pub global_id: Option<String>,
    /// The name that people see; often missing.
    #[serde(default, deserialize_with = "text")]
    pub label: Option<String>,
    /// A string, list, number, boolean or object.
    #[serde(default)]
    pub value: Value,
}

/// An employment, of `/v2/persons/{id}/employments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Employment {
    /// A UUID.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Where the employment stands.
    #[serde(default, deserialize_with = "status")]
    pub status: Option<Status>,
    /// Who employs the person.
    #[serde(default, rename = "type", deserialize_with = "word")]
    pub kind: Option<String>,
    /// The position.
    #[serde(default, deserialize_with = "lenient")]
    pub position: Option<Position>,
    /// The supervisor, a person.
    #[serde(default, deserialize_with = "lenient")]
    pub supervisor: Option<Reference>,
    /// The workplace.
    #[serde(default, deserialize_with = "lenient")]
    pub office: Option<Reference>,
    /// Departments and teams.
    #[serde(default, deserialize_with = "list")]
    pub org_units: Vec<OrgUnit>,
    /// The legal entity.
    #[serde(default, deserialize_with = "lenient")]
    pub legal_entity: Option<Reference>,
    /// Cost centres with their shares.
    #[serde(default, deserialize_with = "list")]
    pub cost_centers: Vec<CostCenter>,
    /// The first day.
    #[serde(default, deserialize_with = "date")]
    pub employment_start_date: Option<Date>,
    /// The end of the employment.
    #[serde(default, deserialize_with = "date")]
    pub employment_end_date: Option<Date>,
    /// The end of the probation.
    #[serde(default, deserialize_with = "date")]
    pub probation_end_date: Option<Date>,
    /// The end of the contract.
    #[serde(default, deserialize_with = "date")]
    pub contract_end_date: Option<Date>,
    /// Dates of a termination.
    #[serde(default, deserialize_with = "lenient")]
    pub termination: Option<Termination>,
    /// When the employment was last changed.
    #[serde(default, deserialize_with = "timestamp")]
    pub updated_at: Option<Timestamp>,
}

/// Where an employment, or a person by its latest employment, stands. The schema writes upper
/// case, answers sometimes lower; new words appear without notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Works.
    Active,
    /// Has left.
    Inactive,
    /// Has not begun.
    Onboarding,
    /// Is employed but away.
    Leave,
    /// `UNSPECIFIED` and words that are not known, in upper case.
    Other(String),
}

impl Status {
    /// Reads a word, whatever its case.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "ACTIVE" => Self::Active,
            "INACTIVE" => Self::Inactive,
            "ONBOARDING" => Self::Onboarding,
            "LEAVE" => Self::Leave,
            _ => Self::Other(word),
        }
    }

    /// Personio's word, in upper case.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
            Self::Onboarding => "ONBOARDING",
            Self::Leave => "LEAVE",
            Self::Other(word) => word,
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// A position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The title.
    #[serde(default, deserialize_with = "text")]
    pub title: Option<String>,
}

/// Something that is named elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Absent where the credential may not read it.
    #[serde(default, deserialize_with = "text")]
    pub id: Option<String>,
}

/// A department or a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrgUnit {
    /// The id, unique within its type.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// `DEPARTMENT` or `TEAM`, in upper case here whatever was answered.
    #[serde(default, rename = "type", deserialize_with = "word")]
    pub kind: Option<String>,
}

/// A cost centre's share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostCenter {
    /// The id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The share, in percent.
    #[serde(default, deserialize_with = "number")]
    pub weight: Option<f64>,
}

/// The dates of a termination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Termination {
    /// The day on which it takes effect.
    #[serde(default, deserialize_with = "date")]
    pub termination_date: Option<Date>,
    /// The last day at work, as the schema has it.
    #[serde(default, deserialize_with = "date")]
    last_working_day: Option<Date>,
    /// The same, as examples and real answers have it.
    #[serde(default, deserialize_with = "date")]
    last_working_date: Option<Date>,
}

impl Termination {
    /// The last day at work, under either of its names.
    #[must_use]
    pub fn last_working_day(&self) -> Option<Date> {
        self.last_working_day.or(self.last_working_date)
    }
}

/// Something with a name, of the look-up endpoints.
#[derive(Debug, Clone, Deserialize)]
pub struct Named {
    /// The id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The name.
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_needs_nothing_but_an_id() {
        for json in [
            r#"{"id": "7"}"#,
            r#"{"id": 7, "email": null, "status": null, "created_at": null, "custom_attributes": null}"#,
            r#"{"id": "7", "email": "  ", "updated_at": "soon", "unheard_of": {"x": [1]}}"#,
        ] {
            let person: Person = serde_json::from_str(json).unwrap();
            assert_eq!((person.id.as_str(), person.email, person.status), ("7", None, None), "{json}");
        }
        for json in [r#"{"email": "a@example.com"}"#, r#"{"id": null}"#, r#"{"id": ""}"#, r#"{"id": "7", "email": {}}"#]
        {
            assert!(serde_json::from_str::<Person>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn odd_details_are_left_out_and_the_rest_is_read() {
        let person: Person = serde_json::from_value(serde_json::json!({
            "id": "7", "custom_attributes": [{"label": "no id"}, {"id": "dynamic_1", "value": 3}, 5],
        }))
        .unwrap();
        assert_eq!(person.custom_attributes.len(), 1);
        let employment: Employment = serde_json::from_value(serde_json::json!({
            "id": "e", "position": "CEO", "supervisor": 7, "office": [], "org_units": [{"id": null}, {"id": 3, "type": "team"}],
            "cost_centers": [{"id": "1", "weight": "50"}, {"id": "2", "weight": "half"}], "legal_entity": {"id": {}},
            "employment_start_date": "someday", "termination": "yes",
        }))
        .unwrap();
        assert!(employment.position.is_none() && employment.supervisor.is_none() && employment.legal_entity.is_none());
        assert_eq!(employment.org_units.len(), 1);
        assert_eq!(employment.cost_centers.iter().map(|center| center.weight).collect::<Vec<_>>(), [Some(50.0), None]);
        assert_eq!(employment.employment_start_date, None);
    }

    #[test]
    fn words_are_read_in_any_case_and_unknown_ones_are_kept() {
        for (json, word) in
            [("active", "ACTIVE"), ("Leave", "LEAVE"), ("UNSPECIFIED", "UNSPECIFIED"), ("parental", "PARENTAL")]
        {
            let employment: Employment =
                serde_json::from_value(serde_json::json!({"id": "e", "status": json, "type": "internal"})).unwrap();
            assert_eq!(employment.status.unwrap().word(), word);
            assert_eq!(employment.kind.unwrap(), "INTERNAL");
        }
    }

    #[test]
    fn what_is_written_is_read_back_as_the_same() {
        let person = serde_json::json!({
            "id": 7, "email": "a@example.com", "first_name": "A", "last_name": null, "preferred_name": "Ä", "status": "odd",
            "created_at": "2020-01-01T00:00:00.123Z", "updated_at": "2026-01-01T00:00:00+02:00", "gender": "x",
            "custom_attributes": [{"id": "dynamic_1", "global_id": "g", "label": "L", "value": [1.5, {"x": null}]}],
            "employments": [{"id": "e"}, {}],
        });
        let person: Person = serde_json::from_value(person).unwrap();
        assert_eq!(serde_json::from_slice::<Person>(&serde_json::to_vec(&person).unwrap()).unwrap(), person);
        let employment = serde_json::json!({
            "id": "e", "status": "leave", "type": "external", "position": {"title": "T"}, "supervisor": {"id": 8},
            "office": {}, "org_units": [{"id": 1, "type": "team"}], "legal_entity": {"id": "3"},
            "cost_centers": [{"id": "1", "weight": "33.3"}], "employment_start_date": "2020-02-29",
            "employment_end_date": "2027-01-01", "probation_end_date": "2020-08-01", "contract_end_date": "2028-01-01",
            "termination": {"termination_date": "2027-01-01", "last_working_date": "2026-12-01"},
            "updated_at": "2026-01-01T00:00:00Z",
        });
        let employment: Employment = serde_json::from_value(employment).unwrap();
        assert_eq!(
            serde_json::from_slice::<Employment>(&serde_json::to_vec(&employment).unwrap()).unwrap(),
            employment
        );
    }

    #[test]
    fn the_last_working_day_has_two_names() {
        for name in ["last_working_day", "last_working_date"] {
            let termination: Termination = serde_json::from_value(serde_json::json!({name: "2026-03-31"})).unwrap();
            assert_eq!(termination.last_working_day(), Some(jiff::civil::date(2026, 3, 31)));
        }
        let dated: Termination = serde_json::from_str(r#"{"termination_date": "2026-03-31T00:00:00Z"}"#).unwrap();
        assert_eq!(dated.termination_date, Some(jiff::civil::date(2026, 3, 31)));
    }
}
