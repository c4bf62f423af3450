//! The shapes of Personio's answers, as far as they may leave: there is no field for gender,
//! picture, birth date, address, phone, salary, bank, tax, hours, or the type and reason of a
//! termination. What has no field is dropped while the answer is read.
//!
//! Nothing but `id` is promised. Attributes that the credential may not read are absent keys, and
//! null means the same. What says who somebody is (id, e-mail, names, status) must be readable if it
//! is there; whatever else has an unexpected shape counts as absent, and is noted.
//!
//! JSON is read by `FromObject`. Records are kept between loads and between starts in a format that is not for people
//! to read, as serde calls it: there each field is as it is here, in the order in which it is here.

pub(crate) mod json;
pub(crate) mod lenient;
pub(crate) mod text;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::personio::limits::Limits;
use crate::personio::model::lenient::{FromObject, Object, Reader, Unreadable, custom_attribute};

/// A person, of `/v2/persons`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Person {
    /// A numeric string.
    pub id: String,
    /// The work e-mail.
    pub email: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The name the person goes by.
    pub preferred_name: Option<String>,
    /// ACTIVE when the latest employment is active, on leave or onboarding.
    pub status: Option<Status>,
    /// When the person was created.
    pub created_at: Option<Timestamp>,
    /// When the person was last changed; not promised to move with the employments.
    pub updated_at: Option<Timestamp>,
    /// Only those that were asked for; the client drops the others as soon as they are read.
    pub custom_attributes: Vec<CustomAttribute>,
    /// The employments, by id alone.
    pub employments: Vec<Reference>,
}

/// An attribute that a company added, or a standard one without a field of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomAttribute {
    /// Such as `dynamic_305`.
    pub id: String,
    /// The key that is the same in every company, where there is one.
    pub global_id: Option<String>,
    /// The name that people see; often missing.
    pub label: Option<String>,
    /// A string, list, number, boolean or object.
    pub value: Value,
}

/// An employment, of `/v2/persons/{id}/employments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Employment {
    /// A UUID.
    pub id: String,
    /// Where the employment stands.
    pub status: Option<Status>,
    /// Who employs the person.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The position.
    pub position: Option<Position>,
    /// The supervisor, a person.
    pub supervisor: Option<Reference>,
    /// The workplace.
    pub office: Option<Reference>,
    /// Departments and teams.
    pub org_units: Vec<OrgUnit>,
    /// The legal entity.
    pub legal_entity: Option<Reference>,
    /// Cost centres with their shares.
    pub cost_centers: Vec<CostCenter>,
    /// The first day.
    pub employment_start_date: Option<Date>,
    /// The end of the employment.
    pub employment_end_date: Option<Date>,
    /// The end of the probation.
    pub probation_end_date: Option<Date>,
    /// The end of the contract.
    pub contract_end_date: Option<Date>,
    /// Dates of a termination.
    pub termination: Option<Termination>,
    /// When the employment was last changed.
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

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::from_word(&word))
    }
}

/// A position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The title.
    pub title: Option<String>,
}

/// Something that is named elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Absent where the credential may not read it.
    pub id: Option<String>,
}

/// A department or a team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrgUnit {
    /// The id, unique within its type.
    pub id: String,
    /// `DEPARTMENT` or `TEAM`, in upper case here whatever was answered.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// A cost centre's share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostCenter {
    /// The id.
    pub id: String,
    /// The share, in percent.
    pub weight: Option<f64>,
}

/// The dates of a termination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Termination {
    /// The day on which it takes effect.
    pub termination_date: Option<Date>,
    /// The last day at work, as the schema has it.
    last_working_day: Option<Date>,
    /// The same, as examples and real answers have it.
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
#[derive(Debug, Clone)]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name.
    pub name: Option<String>,
}

/// An employment as it is answered.
#[derive(Debug, Clone)]
pub(super) struct ListedEmployment {
    pub(super) employment: Employment,
    /// Id of the person whose employment it says to be.
    pub(super) person: Option<String>,
    /// Whether a date is odd that decides when the person is active.
    pub(super) has_odd_dates: bool,
}

impl FromObject for Person {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: object.id("id", reader)?,
            email: object.address("email", reader)?,
            first_name: object.own_name("first_name", reader)?,
            last_name: object.own_name("last_name", reader)?,
            preferred_name: object.own_name("preferred_name", reader)?,
            status: object.status("status", reader)?,
            created_at: object.timestamp("created_at", reader),
            updated_at: object.timestamp("updated_at", reader),
            custom_attributes: custom_attributes(object, reader),
            employments: object.list("employments", reader),
        })
    }
}

/// Reads the custom attributes that are wanted. The values of all others are skipped without being decoded.
fn custom_attributes(person: &Object<'_>, reader: &mut Reader<'_>) -> Vec<CustomAttribute> {
    let mut attributes = Vec::new();
    for entry in person.entries("custom_attributes", reader) {
        // One that has no id cannot be wanted.
        attributes.extend(reader.entry::<Wanted>(entry.get()).ok().and_then(|Wanted(attribute)| attribute));
    }
    attributes
}

/// A custom attribute, if it is one of those that are read.
struct Wanted(Option<CustomAttribute>);

impl FromObject for Wanted {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let id = object.id("id", reader)?;
        let mut names = Reader::new_like(reader);
        let global_id = object.reference("global_id", &mut names);
        if !reader.wants(Some(&id), global_id.as_deref()) {
            return Ok(Self(None));
        }
        let label = object.name("label", &mut names);
        let noted = custom_attribute(&id);
        // Global id and label decide whether the attribute is personal. Where they are damaged, it may be.
        let value = if names.take_odd().is_empty() {
            object.any("value", &noted, reader)
        } else {
            reader.note(&noted);
            Value::Null
        };
        Ok(Self(Some(CustomAttribute { id, global_id, label, value })))
    }
}

impl FromObject for ListedEmployment {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        let person: Option<Owner> = match object.value("person") {
            Some(_) => Some(object.object("person", reader).ok_or(Unreadable("person"))?),
            None => None,
        };
        let mut dates = Reader::new_like(reader);
        let employment_start_date = object.date("employment_start_date", &mut dates);
        let employment_end_date = object.date("employment_end_date", &mut dates);
        let termination = object.object("termination", &mut dates);
        let odd_dates = dates.take_odd();
        for attribute in &odd_dates {
            reader.note(attribute);
        }
        let employment = Employment {
            id: object.id("id", reader)?,
            status: object.status("status", reader)?,
            kind: object.word("type", reader),
            position: object.object("position", reader),
            supervisor: object.object("supervisor", reader),
            office: object.object("office", reader),
            org_units: object.list("org_units", reader),
            legal_entity: object.object("legal_entity", reader),
            cost_centers: object.list("cost_centers", reader),
            employment_start_date,
            employment_end_date,
            probation_end_date: object.date("probation_end_date", reader),
            contract_end_date: object.date("contract_end_date", reader),
            termination,
            updated_at: object.timestamp("updated_at", reader),
        };
        let person = person.and_then(|Owner(id)| id);
        Ok(Self { employment, person, has_odd_dates: !odd_dates.is_empty() })
    }
}

/// Id of the person whose employment it is, if it is told.
struct Owner(Option<String>);

impl FromObject for Owner {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        match object.value("id") {
            Some(_) => Ok(Self(Some(object.id("id", reader)?))),
            None => Ok(Self(None)),
        }
    }
}

impl FromObject for Employment {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(ListedEmployment::from_object(object, reader)?.employment)
    }
}

impl FromObject for Position {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self { title: object.name("title", reader) })
    }
}

impl FromObject for Reference {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: object.reference("id", reader) })
    }
}

impl FromObject for OrgUnit {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: object.id("id", reader)?, kind: object.word("type", reader) })
    }
}

impl FromObject for CostCenter {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: object.id("id", reader)?, weight: object.number("weight", reader) })
    }
}

impl FromObject for Termination {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            termination_date: object.date("termination_date", reader),
            last_working_day: object.date("last_working_day", reader),
            last_working_date: object.date("last_working_date", reader),
        })
    }
}

impl FromObject for Named {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self { id: object.id("id", reader)?, name: object.name("name", reader) })
    }
}

/// Reads something from JSON with the usual limits, and with all custom attributes.
fn from_json<'de, D: Deserializer<'de>, T: FromObject>(deserializer: D) -> Result<T, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    let read = Reader::new(&Limits::default(), None).entry(text.get());
    read.map_err(|Unreadable(attribute)| de::Error::custom(format!("`{attribute}` cannot be read")))
}

impl<'de> Deserialize<'de> for Person {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() { from_json(deserializer) } else { Self::deserialize(deserializer) }
    }
}

impl Serialize for Person {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Employment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() { from_json(deserializer) } else { Self::deserialize(deserializer) }
    }
}

impl Serialize for Employment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_json(deserializer)
    }
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
        assert!(employment.position.is_none() && employment.supervisor.is_none());
        assert_eq!(employment.legal_entity, Some(Reference { id: None }));
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
            let employment = serde_json::json!({"id": "e", "termination": {name: "2026-03-31"}});
            let employment: Employment = serde_json::from_value(employment).unwrap();
            assert_eq!(employment.termination.unwrap().last_working_day(), Some(jiff::civil::date(2026, 3, 31)));
        }
        let dated = serde_json::json!({"id": "e", "termination": {"termination_date": "2026-03-31T00:00:00Z"}});
        let dated: Employment = serde_json::from_value(dated).unwrap();
        assert_eq!(dated.termination.unwrap().termination_date, Some(jiff::civil::date(2026, 3, 31)));
    }
}
