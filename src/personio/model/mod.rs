//! Wire types: the attributes of Personio's responses that may leave this program.
//!
//! There is no field for gender, picture, birth date, address, phone, salary, bank, tax, hours, or
//! the type and reason of a termination. An attribute without a field is dropped while the response
//! is parsed.
//!
//! Personio guarantees only `id`. An attribute that the credential may not read is absent; null
//! means the same. Attributes that identify a person (id, e-mail, names, status) must be readable
//! if they are present. Any other malformed value counts as absent, and is noted.
//!
//! JSON is parsed by implementations of `FromObject` (module `lenient`, on `json` and `text`).
//! Records are kept between loads and between starts in a binary format, for which serde's derived
//! code is used: it contains the fields in the order of their definition, so the order is part of
//! the format of the state file.

pub(crate) mod json;
pub(crate) mod lenient;
pub(crate) mod text;

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::personio::LookupKind;
use crate::personio::limits::ReadLimits;
use crate::personio::model::lenient::{
    EntryReader, FromObject, JsonObject, ReadResult, UnreadableAttribute, custom_attribute_name,
};

/// Person in a response of `/v2/persons`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Person {
    /// Numeric id, as text.
    pub id: String,
    /// Work e-mail address.
    pub email: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Name that the person prefers to be called by.
    pub preferred_name: Option<String>,
    /// Status: `ACTIVE` if the latest employment is active, on leave or onboarding.
    pub status: Option<Status>,
    /// Time of creation.
    pub created_at: Option<Timestamp>,
    /// Time of the last change. Personio does not guarantee that a change of an employment counts.
    pub updated_at: Option<Timestamp>,
    /// Wanted custom attributes. The values of all others are never decoded.
    pub custom_attributes: Vec<CustomAttribute>,
    /// Ids of the employments.
    pub employments: Vec<Reference>,
}

/// Attribute defined by the company, or a standard attribute without a field of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomAttribute {
    /// Id, for example `dynamic_305`.
    pub id: String,
    /// Key that is the same in every company, if the attribute has one.
    pub global_id: Option<String>,
    /// Display name; often absent.
    pub label: Option<String>,
    /// Value: a string, array, number, boolean or object.
    pub value: Value,
}

/// Employment in a response of `/v2/persons/{id}/employments`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Employment {
    /// UUID of the employment.
    pub id: String,
    /// Status of the employment.
    pub status: Option<Status>,
    /// Type: `INTERNAL` or `EXTERNAL`.
    #[serde(rename = "type")]
    pub employment_type: Option<String>,
    /// Position of the person.
    pub position: Option<Position>,
    /// Supervisor, by the id of the person.
    pub supervisor: Option<Reference>,
    /// Workplace.
    pub office: Option<Reference>,
    /// Departments and teams.
    pub org_units: Vec<OrgUnit>,
    /// Legal entity.
    pub legal_entity: Option<Reference>,
    /// Cost centres and their shares.
    pub cost_centers: Vec<CostCenter>,
    /// First day of the employment.
    pub employment_start_date: Option<Date>,
    /// End of the employment.
    pub employment_end_date: Option<Date>,
    /// End of the probation period.
    pub probation_end_date: Option<Date>,
    /// End of the contract.
    pub contract_end_date: Option<Date>,
    /// Dates of the termination, if the employment was terminated.
    pub termination: Option<Termination>,
    /// Time of the last change.
    pub updated_at: Option<Timestamp>,
    /// Job, which is independent of the title of the position. Records of version 3 lack it.
    #[serde(default)]
    pub job: Option<Reference>,
}

/// Status of an employment, or of a person (derived from the latest employment). Documented in
/// upper case, sometimes sent in lower case. Personio adds values without notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Employed and working.
    Active,
    /// No longer employed.
    Inactive,
    /// Employment that has not begun.
    Onboarding,
    /// Employed and on leave.
    Leave,
    /// `UNSPECIFIED` or an unknown value, in upper case.
    Other(String),
}

impl Status {
    /// Parses a value without regard to case.
    #[must_use]
    pub fn from_value(word: &str) -> Self {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "ACTIVE" => Self::Active,
            "INACTIVE" => Self::Inactive,
            "ONBOARDING" => Self::Onboarding,
            "LEAVE" => Self::Leave,
            _ => Self::Other(word),
        }
    }

    /// Returns Personio's value, in upper case.
    #[must_use]
    pub fn value(&self) -> &str {
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
        serializer.serialize_str(self.value())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::from_value(&word))
    }
}

/// Position of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Job title.
    pub title: Option<String>,
}

/// Reference to another object, by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Id; absent if the credential may not read the object.
    pub id: Option<String>,
}

/// Department or team.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrgUnit {
    /// Id, unique within the type.
    pub id: String,
    /// Type of the unit.
    #[serde(rename = "type")]
    pub unit_type: Option<OrgUnitType>,
}

/// Type of an org unit. Personio may add values without notice. The order is that of the values, and
/// the encoded form is the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrgUnitType {
    /// Department.
    Department,
    /// Team.
    Team,
    /// Unknown value, in upper case.
    Other(String),
}

impl OrgUnitType {
    /// Parses a value without regard to case.
    #[must_use]
    pub fn from_value(word: &str) -> Self {
        let word = word.to_ascii_uppercase();
        match word.as_str() {
            "DEPARTMENT" => Self::Department,
            "TEAM" => Self::Team,
            _ => Self::Other(word),
        }
    }

    /// Returns Personio's value, in upper case.
    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Department => "DEPARTMENT",
            Self::Team => "TEAM",
            Self::Other(word) => word,
        }
    }

    /// Returns the kind of look-up with the names of these units.
    #[must_use]
    pub fn lookup_kind(&self) -> Option<LookupKind> {
        match self {
            Self::Department => Some(LookupKind::Department),
            Self::Team => Some(LookupKind::Team),
            Self::Other(_) => None,
        }
    }
}

impl Ord for OrgUnitType {
    fn cmp(&self, other: &Self) -> Ordering {
        self.value().cmp(other.value())
    }
}

impl PartialOrd for OrgUnitType {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for OrgUnitType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.value())
    }
}

impl<'de> Deserialize<'de> for OrgUnitType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Self::from_value(&word))
    }
}

/// Cost centre of an employment, with its share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostCenter {
    /// Id.
    pub id: String,
    /// Share in percent.
    pub weight: Option<f64>,
}

/// Dates of a termination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Termination {
    /// Day on which the termination takes effect.
    pub termination_date: Option<Date>,
    /// Last day at work, under the name in Personio's schema.
    last_working_day: Option<Date>,
    /// Last day at work, under the name in Personio's examples and real responses.
    last_working_date: Option<Date>,
}

impl Termination {
    /// Returns the last day at work, under either of its names.
    #[must_use]
    pub fn last_working_day(&self) -> Option<Date> {
        self.last_working_day.or(self.last_working_date)
    }
}

/// Entry of a look-up endpoint: an id and its name.
#[derive(Debug, Clone)]
pub struct LookupEntry {
    /// Id.
    pub id: String,
    /// Name.
    pub name: Option<String>,
    /// Id of the unit to which this one belongs. Only org units have one.
    pub parent: Option<String>,
}

/// Employment with what only a load needs to know of its response.
#[derive(Debug, Clone)]
pub(super) struct ListedEmployment {
    pub(super) employment: Employment,
    /// Id of the person whose employment it is, if the response contains it.
    pub(super) person: Option<String>,
    /// True if a date is malformed that decides when the person is active.
    pub(super) has_malformed_dates: bool,
}

impl FromObject for Person {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self {
            id: object.id("id", reader)?,
            email: object.address("email", reader)?,
            first_name: object.person_name("first_name", reader)?,
            last_name: object.person_name("last_name", reader)?,
            preferred_name: object.person_name("preferred_name", reader)?,
            status: object.status("status", reader)?,
            created_at: object.timestamp("created_at", reader),
            updated_at: object.timestamp("updated_at", reader),
            custom_attributes: custom_attributes(object, reader),
            employments: object.list("employments", reader),
        })
    }
}

/// Reads the wanted custom attributes. The values of all others are skipped without being decoded.
fn custom_attributes(
    person: &JsonObject<'_>,
    reader: &mut EntryReader<'_>,
) -> Vec<CustomAttribute> {
    let mut attributes = Vec::new();
    for entry in person.entries("custom_attributes", reader) {
        // An attribute without an id cannot be wanted.
        if let Ok(WantedAttribute(Some(attribute))) = reader.entry(entry.get()) {
            attributes.push(attribute);
        }
    }
    attributes
}

/// Custom attribute, if it is wanted.
struct WantedAttribute(Option<CustomAttribute>);

impl FromObject for WantedAttribute {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        let id = object.id("id", reader)?;
        let mut names_reader = EntryReader::with_rules_of(reader);
        let global_id = object.reference("global_id", &mut names_reader);
        if !reader.is_wanted(Some(&id), global_id.as_deref()) {
            return Ok(Self(None));
        }
        let label = object.name("label", &mut names_reader);
        let noted_name = custom_attribute_name(&id);
        // Global id and label decide whether the attribute is personal data. If one of them is
        // malformed it may be personal, so the value is not read.
        let value = if names_reader.take_malformed().is_empty() {
            object.any("value", &noted_name, reader)
        } else {
            reader.note(&noted_name);
            Value::Null
        };
        Ok(Self(Some(CustomAttribute { id, global_id, label, value })))
    }
}

impl FromObject for ListedEmployment {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        let person: Option<EmployedPerson> = match object.value("person") {
            Some(_) => Some(object.object("person", reader).ok_or(UnreadableAttribute("person"))?),
            None => None,
        };
        let mut date_reader = EntryReader::with_rules_of(reader);
        let employment_start_date = object.date("employment_start_date", &mut date_reader);
        let employment_end_date = object.date("employment_end_date", &mut date_reader);
        let termination = object.object("termination", &mut date_reader);
        let malformed_dates = date_reader.take_malformed();
        for attribute in &malformed_dates {
            reader.note(attribute);
        }
        let employment = Employment {
            id: object.id("id", reader)?,
            status: object.status("status", reader)?,
            employment_type: object.word("type", reader),
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
            job: object.object("job", reader),
        };
        let person = person.and_then(|person| person.id);
        Ok(Self { employment, person, has_malformed_dates: !malformed_dates.is_empty() })
    }
}

/// Person whose employment it is, as far as the response identifies the person.
struct EmployedPerson {
    id: Option<String>,
}

impl FromObject for EmployedPerson {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        match object.value("id") {
            Some(_) => Ok(Self { id: Some(object.id("id", reader)?) }),
            None => Ok(Self { id: None }),
        }
    }
}

impl FromObject for Employment {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(ListedEmployment::from_object(object, reader)?.employment)
    }
}

impl FromObject for Position {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self { title: object.name("title", reader) })
    }
}

impl FromObject for Reference {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self { id: object.reference("id", reader) })
    }
}

impl FromObject for OrgUnit {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        let id = object.id("id", reader)?;
        let unit_type = object.word("type", reader);
        Ok(Self { id, unit_type: unit_type.map(|word| OrgUnitType::from_value(&word)) })
    }
}

impl FromObject for CostCenter {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self { id: object.id("id", reader)?, weight: object.number("weight", reader) })
    }
}

impl FromObject for Termination {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self {
            termination_date: object.date("termination_date", reader),
            last_working_day: object.date("last_working_day", reader),
            last_working_date: object.date("last_working_date", reader),
        })
    }
}

impl FromObject for LookupEntry {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self {
            id: object.id("id", reader)?,
            name: object.name("name", reader),
            // Only nested groups need it, so that a malformed one is no defect.
            parent: object.reference("parent_id", &mut EntryReader::with_rules_of(reader)),
        })
    }
}

/// Parses a value from JSON with the default limits and all custom attributes.
fn from_json<'de, D: Deserializer<'de>, T: FromObject>(deserializer: D) -> Result<T, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    match EntryReader::new(&ReadLimits::default(), None).entry(text.get()) {
        Ok(value) => Ok(value),
        Err(UnreadableAttribute(attribute)) => {
            Err(de::Error::custom(format!("`{attribute}` cannot be read")))
        }
    }
}

impl<'de> Deserialize<'de> for Person {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            from_json(deserializer)
        } else {
            Self::deserialize(deserializer)
        }
    }
}

impl Serialize for Person {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Employment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            from_json(deserializer)
        } else {
            Self::deserialize(deserializer)
        }
    }
}

impl Serialize for Employment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for LookupEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_json(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_needs_only_an_id() {
        for json in [
            r#"{"id": "7"}"#,
            r#"{"id": 7, "email": null, "status": null, "created_at": null, "custom_attributes": null}"#,
            r#"{"id": "7", "email": "  ", "updated_at": "soon", "unheard_of": {"x": [1]}}"#,
        ] {
            let person: Person = serde_json::from_str(json).unwrap();
            assert_eq!(
                (person.id.as_str(), person.email, person.status),
                ("7", None, None),
                "{json}"
            );
        }
        for json in [
            r#"{"email": "a@example.com"}"#,
            r#"{"id": null}"#,
            r#"{"id": ""}"#,
            r#"{"id": "7", "email": {}}"#,
            r#"{"id": []}"#,
        ] {
            assert!(serde_json::from_str::<Person>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn malformed_attributes_are_absent_and_the_others_are_read() {
        let person: Person = serde_json::from_value(serde_json::json!({
            "id": "7",
            "custom_attributes": [{"label": "no id"}, {"id": "dynamic_1", "value": 3}, 5],
        }))
        .unwrap();
        assert_eq!(person.custom_attributes.len(), 1);
        let employment: Employment = serde_json::from_value(serde_json::json!({
            "id": "e", "position": "CEO", "supervisor": 7, "office": [],
            "org_units": [{"id": null}, {"id": 3, "type": "team"}],
            "cost_centers": [{"id": "1", "weight": "50"}, {"id": "2", "weight": "half"}],
            "legal_entity": {"id": {}}, "job": "Pilot",
            "employment_start_date": "someday", "termination": "yes",
        }))
        .unwrap();
        assert!(employment.position.is_none() && employment.supervisor.is_none());
        assert_eq!(employment.legal_entity, Some(Reference { id: None }));
        assert_eq!(employment.org_units.len(), 1);
        let weights: Vec<_> = employment.cost_centers.iter().map(|center| center.weight).collect();
        assert_eq!(weights, [Some(50.0), None]);
        assert_eq!((employment.employment_start_date, employment.job), (None, None));
    }

    #[test]
    fn enumeration_values_are_parsed_in_any_case_and_unknown_ones_are_kept() {
        for (json, word) in [
            ("active", "ACTIVE"),
            ("Leave", "LEAVE"),
            ("UNSPECIFIED", "UNSPECIFIED"),
            ("parental", "PARENTAL"),
        ] {
            let employment = serde_json::json!({"id": "e", "status": json, "type": "internal"});
            let employment: Employment = serde_json::from_value(employment).unwrap();
            assert_eq!(employment.status.unwrap().value(), word);
            assert_eq!(employment.employment_type.unwrap(), "INTERNAL");
        }
    }

    #[test]
    fn serialised_values_are_deserialised_as_equal() {
        let person = serde_json::json!({
            "id": 7, "email": "a@example.com", "status": "odd",
            "first_name": "A", "last_name": null, "preferred_name": "Ä",
            "created_at": "2020-01-01T00:00:00.123Z", "updated_at": "2026-01-01T00:00:00+02:00",
            "gender": "x",
            "custom_attributes": [
                {"id": "dynamic_1", "global_id": "g", "label": "L", "value": [1.5, {"x": null}]},
            ],
            "employments": [{"id": "e"}, {}],
        });
        let person: Person = serde_json::from_value(person).unwrap();
        let serialised = serde_json::to_vec(&person).unwrap();
        assert_eq!(serde_json::from_slice::<Person>(&serialised).unwrap(), person);
        let employment = serde_json::json!({
            "id": "e", "status": "leave", "type": "external", "position": {"title": "T"},
            "supervisor": {"id": 8},
            "office": {}, "org_units": [{"id": 1, "type": "team"}], "legal_entity": {"id": "3"},
            "cost_centers": [{"id": "1", "weight": "33.3"}], "employment_start_date": "2020-02-29",
            "employment_end_date": "2027-01-01", "probation_end_date": "2020-08-01",
            "contract_end_date": "2028-01-01",
            "termination": {"termination_date": "2027-01-01", "last_working_date": "2026-12-01"},
            "updated_at": "2026-01-01T00:00:00Z", "job": {"id": 6},
        });
        let employment: Employment = serde_json::from_value(employment).unwrap();
        let serialised = serde_json::to_vec(&employment).unwrap();
        assert_eq!(serde_json::from_slice::<Employment>(&serialised).unwrap(), employment);
    }

    #[test]
    fn org_unit_types_are_ordered_and_encoded_as_their_values() {
        #[derive(Serialize)]
        struct TextualOrgUnit<'t> {
            id: &'t str,
            r#type: Option<&'t str>,
        }
        let units = serde_json::json!([
            {"id": "1", "type": "team"}, {"id": "2", "type": "Department"}, {"id": "3"},
            {"id": "4", "type": "area"}, {"id": "5", "type": "zone"},
        ]);
        let employment = serde_json::json!({"id": "e", "org_units": units});
        let employment: Employment = serde_json::from_value(employment).unwrap();
        let mut units = employment.org_units;
        units.sort_by(|one, other| one.unit_type.cmp(&other.unit_type));
        let sorted = [("3", None), ("4", Some("AREA")), ("2", Some("DEPARTMENT"))];
        let sorted = sorted.into_iter().chain([("1", Some("TEAM")), ("5", Some("ZONE"))]);
        assert_eq!(units.len(), 5);
        for (unit, (id, r#type)) in units.iter().zip(sorted) {
            assert_eq!(unit.unit_type.as_ref().map(OrgUnitType::value), r#type, "{id}");
            let encoded = rmp_serde::to_vec(unit).unwrap();
            assert_eq!(encoded, rmp_serde::to_vec(&TextualOrgUnit { id, r#type }).unwrap());
            assert_eq!(&rmp_serde::from_slice::<OrgUnit>(&encoded).unwrap(), unit);
        }
    }

    #[test]
    fn last_working_day_is_read_under_both_of_its_names() {
        for name in ["last_working_day", "last_working_date"] {
            let employment = serde_json::json!({"id": "e", "termination": {name: "2026-03-31"}});
            let employment: Employment = serde_json::from_value(employment).unwrap();
            let last_day = employment.termination.unwrap().last_working_day();
            assert_eq!(last_day, Some(jiff::civil::date(2026, 3, 31)));
        }
        let termination = serde_json::json!({"termination_date": "2026-03-31T00:00:00Z"});
        let dated = serde_json::json!({"id": "e", "termination": termination});
        let dated: Employment = serde_json::from_value(dated).unwrap();
        let termination_date = dated.termination.unwrap().termination_date;
        assert_eq!(termination_date, Some(jiff::civil::date(2026, 3, 31)));
    }
}
