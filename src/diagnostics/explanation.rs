//! Explanation of a user: the source of each attribute value in Personio's data.
//!
//! This module does not trace the mapping; it checks the result. Each attribute has a list of
//! possible sources with the values that they yield. The source of a value is the first one that
//! yields it. A value without a source is a gap in this module; a test requires a source for each
//! value.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::employment::{
    cost_center_id, last_working_day, legal_entity, office, supervisor, termination_date, title,
    unit_id,
};
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::{ActivityDecision, ActivityRule};
use crate::mapping::{CustomAttributePolicy, user_name};
use crate::personio::LookupKind;
use crate::personio::model::{Employment, Person, Status};
use crate::scim;
use crate::scim::{Resource, format_timestamp};

/// Attribute value of a user, with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeExplanation {
    /// Name of the attribute, as in a filter.
    pub attribute: String,
    /// Value: a string, a number or a boolean.
    pub value: Value,
    /// Source of the value, in the terms of Personio's API. `None` if no source yields it.
    pub source: Option<String>,
    /// Sensitivity of the value, for masking.
    pub sensitivity: Sensitivity,
}

/// Sensitivity of an attribute: the part of its values that may be shown in masked output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// Value that is the same for all users and may be shown.
    Fixed,
    /// Value out of a small set, for example a status. A single letter can reveal it.
    SmallSet,
    /// Value out of a large set, for example a name.
    LargeSet,
}

/// Input from which the mapping made a user.
pub(crate) struct ExplanationInput<'a> {
    pub(crate) person: &'a Person,
    pub(crate) employment: Option<&'a Employment>,
    pub(crate) activity: ActivityDecision,
    pub(crate) context: &'a MappingContext<'a>,
}

/// Possible source of a value, with the values that it yields.
struct ValueSource {
    name: String,
    values: SourceValues,
}

/// Values that a source yields.
enum SourceValues {
    /// Values of this person, out of a large set.
    LargeSet(Vec<Value>),
    /// Values of this person, out of a small set.
    SmallSet(Vec<Value>),
    /// Values that are the same for all users.
    Fixed(Vec<Value>),
    /// Any value: it is computed from the other attributes.
    Computed,
}

/// Returns every value of `user` with its source, in the order of the resource.
pub(crate) fn explain_user(
    user: &Resource,
    input: &ExplanationInput<'_>,
) -> Result<Vec<AttributeExplanation>, serde_json::Error> {
    let mut leaves = Vec::new();
    collect_leaves("", &serde_json::from_str(user.json())?, &mut leaves);
    let mut explained = Vec::with_capacity(leaves.len());
    for (attribute, value) in leaves {
        explained.push(explain_value(attribute, value, input));
    }
    Ok(explained)
}

fn explain_value(
    attribute: String,
    value: Value,
    input: &ExplanationInput<'_>,
) -> AttributeExplanation {
    let sources = input.possible_sources(&attribute);
    let Some(source) = sources.into_iter().find(|source| source.yields(&value)) else {
        // A value without a known source is masked completely.
        return AttributeExplanation {
            attribute,
            value,
            source: None,
            sensitivity: Sensitivity::SmallSet,
        };
    };
    let sensitivity = match source.values {
        SourceValues::Fixed(_) => Sensitivity::Fixed,
        SourceValues::LargeSet(_) | SourceValues::Computed => Sensitivity::LargeSet,
        SourceValues::SmallSet(_) => Sensitivity::SmallSet,
    };
    AttributeExplanation { attribute, value, source: Some(source.name), sensitivity }
}

impl ValueSource {
    fn yields(&self, value: &Value) -> bool {
        match &self.values {
            SourceValues::LargeSet(values)
            | SourceValues::SmallSet(values)
            | SourceValues::Fixed(values) => values.contains(value),
            SourceValues::Computed => true,
        }
    }
}

/// Adds the values of a resource to `leaves`, each with its attribute name.
pub(crate) fn collect_leaves(name: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let separator = match name {
                    "" => "",
                    scim::ENTERPRISE_USER_SCHEMA | scim::PERSONIO_USER_SCHEMA => ":",
                    _ => ".",
                };
                collect_leaves(&format!("{name}{separator}{member}"), value, leaves);
            }
        }
        Value::Array(values) => {
            for value in values {
                collect_leaves(name, value, leaves);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            leaves.push((name.to_owned(), value.clone()));
        }
    }
}

fn large_set_source<V: Into<Value>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> ValueSource {
    ValueSource { name: name.to_owned(), values: SourceValues::LargeSet(json_values(values)) }
}

fn small_set_source<V: Into<Value>>(
    name: &str,
    values: impl IntoIterator<Item = V>,
) -> ValueSource {
    ValueSource { name: name.to_owned(), values: SourceValues::SmallSet(json_values(values)) }
}

fn fixed_source<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> ValueSource {
    ValueSource {
        name: "the same for all users".to_owned(),
        values: SourceValues::Fixed(json_values(values)),
    }
}

fn json_values<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}

fn date_source(name: &str, date: Option<Date>) -> ValueSource {
    large_set_source(name, date.map(|date| date.to_string()))
}

fn timestamp_source(name: &str, timestamp: Option<Timestamp>) -> ValueSource {
    large_set_source(name, timestamp.map(format_timestamp))
}

/// Returns the name of an attribute within the schema `urn`, if it belongs to that schema.
fn without_urn<'a>(attribute: &'a str, urn: &str) -> Option<&'a str> {
    attribute.strip_prefix(urn)?.strip_prefix(':')
}

/// Unit of an employment that can be a group of the user.
struct Unit<'e> {
    kind: LookupKind,
    id: &'e str,
    group_id: String,
}

impl<'e> Unit<'e> {
    fn new(kind: LookupKind, prefix: &str, id: &'e str) -> Self {
        Self { kind, id, group_id: format!("{prefix}-{id}") }
    }
}

/// Returns all units of an employment that can be groups.
fn units(employment: &Employment) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for unit in &employment.org_units {
        match unit.unit_type.as_deref() {
            Some("DEPARTMENT") => {
                units.push(Unit::new(LookupKind::Department, "department", &unit.id));
            }
            Some("TEAM") => units.push(Unit::new(LookupKind::Team, "team", &unit.id)),
            _ => {}
        }
    }
    if let Some(id) = legal_entity(employment) {
        units.push(Unit::new(LookupKind::LegalEntity, "legalEntity", id));
    }
    if let Some(id) = office(employment) {
        units.push(Unit::new(LookupKind::Workplace, "office", id));
    }
    units
}

impl ExplanationInput<'_> {
    fn possible_sources(&self, attribute: &str) -> Vec<ValueSource> {
        if let Some(name) = without_urn(attribute, scim::ENTERPRISE_USER_SCHEMA) {
            return self.enterprise_sources(name);
        }
        if let Some(name) = without_urn(attribute, scim::PERSONIO_USER_SCHEMA) {
            return self.extension_sources(name);
        }
        match attribute.split_once('.') {
            Some(("meta", name)) => self.meta_sources(name),
            Some(("groups", name)) => self.group_sources(name),
            _ => self.user_sources(attribute),
        }
    }

    fn user_sources(&self, attribute: &str) -> Vec<ValueSource> {
        let person = self.person;
        let full_name = PersonHeader::from_person(person).full_name();
        let full_name = large_set_source("person.first_name, person.last_name", full_name);
        let email = large_set_source("person.email", person.email.clone());
        let fallback = large_set_source(
            "`personio-` and person.id, because the person has no unique e-mail address",
            [user_name::fallback_user_name(&person.id)],
        );
        match attribute {
            "schemas" => vec![fixed_source([
                scim::USER_SCHEMA,
                scim::ENTERPRISE_USER_SCHEMA,
                scim::PERSONIO_USER_SCHEMA,
            ])],
            "id" | "externalId" => vec![large_set_source("person.id", [person.id.clone()])],
            "userName" => vec![email, fallback],
            "name.formatted" => vec![full_name],
            "name.familyName" => {
                vec![large_set_source("person.last_name", person.last_name.clone())]
            }
            "name.givenName" => {
                vec![large_set_source("person.first_name", person.first_name.clone())]
            }
            "displayName" => {
                let preferred =
                    large_set_source("person.preferred_name", person.preferred_name.clone());
                vec![preferred, full_name, email, fallback]
            }
            "title" => {
                vec![large_set_source("employment.position.title", self.employment.and_then(title))]
            }
            "userType" => vec![small_set_source("employment.type", self.user_type())],
            "active" => vec![self.active_source()],
            "emails.value" => vec![email],
            "emails.type" => vec![fixed_source(["work"])],
            "emails.primary" => vec![fixed_source([true])],
            _ => Vec::new(),
        }
    }

    fn user_type(&self) -> Option<&'static str> {
        match self.employment?.employment_type.as_deref()? {
            "INTERNAL" => Some("Employee"),
            "EXTERNAL" => Some("Contractor"),
            _ => None,
        }
    }

    /// Returns the status and the date rule that decided `active`.
    fn active_source(&self) -> ValueSource {
        let status = match (self.employment, &self.person.status) {
            (Some(employment), _) if employment.status.is_some() => "employment.status",
            (_, Some(_)) => "person.status",
            (_, None) => return small_set_source("no status that can be read", [false]),
        };
        let name = match self.activity.rule {
            ActivityRule::Status => status.to_owned(),
            ActivityRule::ChangeOfEmployment => format!(
                "{status}, employment.employment_start_date and the end of the employment before"
            ),
            ActivityRule::BeforeStart => {
                format!("{status}, employment.employment_start_date and active_before_start_days")
            }
            ActivityRule::Withdrawn => {
                format!("{status} and an end before the start, or before today")
            }
            ActivityRule::ActiveUntil => {
                format!("{status}, employment.termination and active_until")
            }
        };
        small_set_source(&name, [self.activity.is_active])
    }

    fn meta_sources(&self, name: &str) -> Vec<ValueSource> {
        let person = self.person;
        match name {
            "resourceType" => vec![fixed_source(["User"])],
            "created" => vec![timestamp_source("person.created_at", person.created_at)],
            "lastModified" => {
                let mut sources = vec![timestamp_source("person.updated_at", person.updated_at)];
                if let Some(employment) = self.employment {
                    sources.push(timestamp_source("employment.updated_at", employment.updated_at));
                }
                sources
            }
            "location" => {
                let address = self.context.urls.user(&person.id);
                vec![large_set_source("the public URL and person.id", [address])]
            }
            "version" => {
                let name = "a hash of everything else".to_owned();
                vec![ValueSource { name, values: SourceValues::Computed }]
            }
            _ => Vec::new(),
        }
    }

    fn group_sources(&self, name: &str) -> Vec<ValueSource> {
        let Some(employment) = self.employment else { return Vec::new() };
        let units = units(employment);
        let source = "employment.org_units, employment.legal_entity, employment.office";
        match name {
            "value" => vec![large_set_source(source, group_ids(&units))],
            "$ref" => {
                let urls = self.context.urls;
                let addresses = units.iter().map(|unit| urls.group(&unit.group_id));
                vec![large_set_source(&format!("the public URL and {source}"), addresses)]
            }
            "display" => {
                let mut names: Vec<&str> = Vec::new();
                for unit in &units {
                    names.extend(self.context.lookup_names.get(unit.kind, unit.id));
                }
                vec![
                    large_set_source(&format!("the names of {source}"), names),
                    large_set_source(&format!("{source}, without a name"), group_ids(&units)),
                ]
            }
            "type" => vec![fixed_source(["direct"])],
            _ => Vec::new(),
        }
    }

    fn enterprise_sources(&self, name: &str) -> Vec<ValueSource> {
        let (person, context) = (self.person, self.context);
        let supervisor = self.employment.and_then(supervisor);
        match name {
            "employeeNumber" => match &context.policy.employee_number {
                None => vec![large_set_source("person.id", [person.id.clone()])],
                Some(id) => {
                    let number = context.extension_mapper.employee_number(person, id);
                    vec![large_set_source(&custom_attribute_source_name(id), number)]
                }
            },
            "costCenter" => {
                let id = self.employment.and_then(cost_center_id);
                vec![self.lookup_source(LookupKind::CostCenter, "cost_centers", id)]
            }
            "organization" => {
                let id = self.employment.and_then(legal_entity);
                vec![self.lookup_source(LookupKind::LegalEntity, "legal_entity", id)]
            }
            "division" => vec![self.unit_source(LookupKind::Team, "TEAM")],
            "department" => vec![self.unit_source(LookupKind::Department, "DEPARTMENT")],
            "manager.value" => vec![large_set_source("employment.supervisor.id", supervisor)],
            "manager.$ref" => {
                let address = supervisor.map(|id| context.urls.user(id));
                vec![large_set_source("the public URL and employment.supervisor.id", address)]
            }
            "manager.displayName" => {
                let card = self.manager_card(supervisor);
                let name = card.map(ManagerCard::display_name);
                vec![large_set_source("the displayName of employment.supervisor", name)]
            }
            _ => Vec::new(),
        }
    }

    fn extension_sources(&self, name: &str) -> Vec<ValueSource> {
        if let Some(custom) = self
            .context
            .policy
            .custom_attributes
            .iter()
            .find(|custom| custom.definition.name == name)
        {
            return vec![self.custom_attribute_source(custom)];
        }
        let Some(employment) = self.employment else { return Vec::new() };
        vec![match name {
            "employmentId" => large_set_source("employment.id", [employment.id.clone()]),
            "employmentStatus" => {
                small_set_source("employment.status", employment.status.as_ref().map(Status::value))
            }
            "employmentType" => {
                small_set_source("employment.type", employment.employment_type.clone())
            }
            "hireDate" => {
                date_source("employment.employment_start_date", employment.employment_start_date)
            }
            "endDate" => {
                date_source("employment.employment_end_date", employment.employment_end_date)
            }
            "terminationDate" => {
                date_source("employment.termination.termination_date", termination_date(employment))
            }
            "lastWorkingDay" => {
                date_source("employment.termination.last_working_day", last_working_day(employment))
            }
            "probationEndDate" => {
                date_source("employment.probation_end_date", employment.probation_end_date)
            }
            "contractEndDate" => {
                date_source("employment.contract_end_date", employment.contract_end_date)
            }
            "team" => self.unit_source(LookupKind::Team, "TEAM"),
            "office" => self.lookup_source(LookupKind::Workplace, "office", office(employment)),
            "legalEntity" => self.lookup_source(
                LookupKind::LegalEntity,
                "legal_entity",
                legal_entity(employment),
            ),
            "orgUnits.value" => large_set_source(
                "employment.org_units",
                employment.org_units.iter().map(|unit| unit.id.clone()),
            ),
            "orgUnits.type" => large_set_source("employment.org_units", org_unit_types(employment)),
            "orgUnits.display" => large_set_source(
                "the names of employment.org_units",
                self.org_unit_names(employment),
            ),
            "managerEmail" => {
                let email =
                    self.manager_card(supervisor(employment)).and_then(|card| card.header.email);
                large_set_source("the person.email of employment.supervisor", email)
            }
            _ => return Vec::new(),
        }]
    }

    fn custom_attribute_source(&self, custom: &CustomAttributePolicy) -> ValueSource {
        let values = match self.context.extension_mapper.custom_value(self.person, custom) {
            Some(Value::Array(values)) => values,
            value => value.into_iter().collect(),
        };
        large_set_source(&custom_attribute_source_name(&custom.id), values)
    }

    fn lookup_source(&self, kind: LookupKind, member: &str, id: Option<&str>) -> ValueSource {
        large_set_source(&format!("the name of employment.{member}"), self.context.name(kind, id))
    }

    fn org_unit_names(&self, employment: &Employment) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for unit in &employment.org_units {
            for kind in [LookupKind::Department, LookupKind::Team] {
                names.extend(self.context.lookup_names.get(kind, &unit.id));
            }
        }
        names
    }

    fn unit_source(&self, kind: LookupKind, unit_type: &str) -> ValueSource {
        let id = self.employment.and_then(|employment| unit_id(employment, unit_type));
        self.lookup_source(kind, &format!("org_units of type {}", unit_type.to_lowercase()), id)
    }

    fn manager_card(&self, id: Option<&str>) -> Option<&ManagerCard<'_>> {
        self.context.managers.get(id?)
    }
}

fn custom_attribute_source_name(id: &str) -> String {
    format!("person.custom_attributes with the id {id}")
}

fn group_ids(units: &[Unit<'_>]) -> Vec<String> {
    units.iter().map(|unit| unit.group_id.clone()).collect()
}

fn org_unit_types(employment: &Employment) -> Vec<String> {
    let mut types = Vec::new();
    for unit in &employment.org_units {
        types.extend(unit.unit_type.as_deref().map(str::to_lowercase));
    }
    types
}
