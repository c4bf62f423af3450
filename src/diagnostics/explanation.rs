//! Explanation of a user: the source of each attribute value in Personio's data.
//!
//! This module does not trace the mapping; it checks the result. Each attribute has a list of
//! possible sources with the values that they yield. The source of a value is the first one that
//! yields it. A value without a source is a gap in this module; a test requires a source for each
//! value.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use crate::mapping::context::{Card, Context};
use crate::mapping::employment::{
    cost_center, last_working_day, legal_entity, office, supervisor, termination_date, title, unit,
};
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::{Rule, Standing};
use crate::mapping::{Custom, user_name};
use crate::personio::Kind;
use crate::personio::model::{Employment, Person, Status};
use crate::scim;
use crate::scim::{User, written_moment};

/// Attribute value of a user, with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// Name of the attribute, as in a filter.
    pub attribute: String,
    /// Value: a string, a number or a boolean.
    pub value: Value,
    /// Source of the value, in the terms of Personio's API. `None` if no source yields it.
    pub source: Option<String>,
    /// Sensitivity of the value, for masking.
    pub nature: Nature,
}

/// Sensitivity of an attribute: the part of its values that may be shown in masked output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Value that is the same for all users and may be shown.
    Fixed,
    /// Value out of a small set, for example a status. A single letter can reveal it.
    Word,
    /// Value out of a large set, for example a name.
    Open,
}

/// Input from which the mapping made a user.
pub(crate) struct Made<'a> {
    pub(crate) person: &'a Person,
    pub(crate) employment: Option<&'a Employment>,
    pub(crate) standing: Standing,
    pub(crate) context: &'a Context<'a>,
}

/// Possible source of a value, with the values that it yields.
struct Source {
    name: String,
    values: Given,
}

/// Values that a source yields.
enum Given {
    /// Values of this person, out of a large set.
    Values(Vec<Value>),
    /// Values of this person, out of a small set.
    Words(Vec<Value>),
    /// Values that are the same for all users.
    Fixed(Vec<Value>),
    /// Any value: it is computed from the other attributes.
    Anything,
}

/// Returns every value of `user` with its source, in the order of the resource.
pub(crate) fn explained(user: &User, made: &Made<'_>) -> Result<Vec<Explained>, serde_json::Error> {
    let mut leaves = Vec::new();
    collect("", &serde_json::to_value(user)?, &mut leaves);
    let mut explained = Vec::with_capacity(leaves.len());
    for (attribute, value) in leaves {
        explained.push(explain(attribute, value, made));
    }
    Ok(explained)
}

fn explain(attribute: String, value: Value, made: &Made<'_>) -> Explained {
    let sources = made.sources(&attribute);
    let Some(source) = sources.into_iter().find(|source| source.yields(&value)) else {
        // A value without a known source is masked completely.
        return Explained { attribute, value, source: None, nature: Nature::Word };
    };
    let nature = match source.values {
        Given::Fixed(_) => Nature::Fixed,
        Given::Values(_) | Given::Anything => Nature::Open,
        Given::Words(_) => Nature::Word,
    };
    Explained { attribute, value, source: Some(source.name), nature }
}

impl Source {
    fn yields(&self, value: &Value) -> bool {
        match &self.values {
            Given::Values(values) | Given::Words(values) | Given::Fixed(values) => {
                values.contains(value)
            }
            Given::Anything => true,
        }
    }
}

/// Adds the values of a resource to `leaves`, each with its attribute name.
pub(crate) fn collect(name: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let between = match name {
                    "" => "",
                    scim::ENTERPRISE_USER_SCHEMA | scim::PERSONIO_USER_SCHEMA => ":",
                    _ => ".",
                };
                collect(&format!("{name}{between}{member}"), value, leaves);
            }
        }
        Value::Array(values) => {
            for value in values {
                collect(name, value, leaves);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            leaves.push((name.to_owned(), value.clone()));
        }
    }
}

fn from<V: Into<Value>>(name: &str, values: impl IntoIterator<Item = V>) -> Source {
    Source { name: name.to_owned(), values: Given::Values(json_values(values)) }
}

fn word<V: Into<Value>>(name: &str, values: impl IntoIterator<Item = V>) -> Source {
    Source { name: name.to_owned(), values: Given::Words(json_values(values)) }
}

fn fixed<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Source {
    Source { name: "the same for all users".to_owned(), values: Given::Fixed(json_values(values)) }
}

fn json_values<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}

fn day(name: &str, date: Option<Date>) -> Source {
    from(name, date.map(|date| date.to_string()))
}

fn moment(name: &str, moment: Option<Timestamp>) -> Source {
    from(name, moment.map(written_moment))
}

/// Returns the name of an attribute within the schema `urn`, if it belongs to that schema.
fn without_urn<'a>(attribute: &'a str, urn: &str) -> Option<&'a str> {
    attribute.strip_prefix(urn)?.strip_prefix(':')
}

/// Unit of an employment that can be a group of the user.
struct Unit<'e> {
    kind: Kind,
    id: &'e str,
    group_id: String,
}

impl<'e> Unit<'e> {
    fn new(kind: Kind, word: &str, id: &'e str) -> Self {
        Self { kind, id, group_id: format!("{word}-{id}") }
    }
}

/// Returns all units of an employment that can be groups.
fn units(employment: &Employment) -> Vec<Unit<'_>> {
    let mut units = Vec::new();
    for unit in &employment.org_units {
        match unit.kind.as_deref() {
            Some("DEPARTMENT") => {
                units.push(Unit::new(Kind::Department, "department", &unit.id));
            }
            Some("TEAM") => units.push(Unit::new(Kind::Team, "team", &unit.id)),
            _ => {}
        }
    }
    if let Some(id) = legal_entity(employment) {
        units.push(Unit::new(Kind::LegalEntity, "legalEntity", id));
    }
    if let Some(id) = office(employment) {
        units.push(Unit::new(Kind::Workplace, "office", id));
    }
    units
}

impl Made<'_> {
    fn sources(&self, attribute: &str) -> Vec<Source> {
        if let Some(name) = without_urn(attribute, scim::ENTERPRISE_USER_SCHEMA) {
            return self.of_enterprise(name);
        }
        if let Some(name) = without_urn(attribute, scim::PERSONIO_USER_SCHEMA) {
            return self.of_extension(name);
        }
        match attribute.split_once('.') {
            Some(("meta", name)) => self.of_meta(name),
            Some(("groups", name)) => self.of_groups(name),
            _ => self.of_user(attribute),
        }
    }

    fn of_user(&self, attribute: &str) -> Vec<Source> {
        let person = self.person;
        let full_name = Head::of(person).full_name();
        let full_name = from("person.first_name, person.last_name", full_name);
        let email = from("person.email", person.email.clone());
        let fallback = from(
            "`personio-` and person.id, because the person has no unique e-mail address",
            [user_name::fallback(&person.id)],
        );
        match attribute {
            "schemas" => vec![fixed([scim::USER, scim::ENTERPRISE_USER_SCHEMA, scim::PERSONIO_USER_SCHEMA])],
            "id" | "externalId" => vec![from("person.id", [person.id.clone()])],
            "userName" => vec![email, fallback],
            "name.formatted" => vec![full_name],
            "name.familyName" => vec![from("person.last_name", person.last_name.clone())],
            "name.givenName" => vec![from("person.first_name", person.first_name.clone())],
            "displayName" => {
                let preferred = from("person.preferred_name", person.preferred_name.clone());
                vec![preferred, full_name, email, fallback]
            }
            "title" => vec![from("employment.position.title", self.employment.and_then(title))],
            "userType" => vec![word("employment.type", self.user_type())],
            "active" => vec![self.activity()],
            "emails.value" => vec![email],
            "emails.type" => vec![fixed(["work"])],
            "emails.primary" => vec![fixed([true])],
            _ => Vec::new(),
        }
    }

    fn user_type(&self) -> Option<&'static str> {
        match self.employment?.kind.as_deref()? {
            "INTERNAL" => Some("Employee"),
            "EXTERNAL" => Some("Contractor"),
            _ => None,
        }
    }

    /// Returns the status and the date rule that decided `active`.
    fn activity(&self) -> Source {
        let status = match (self.employment, &self.person.status) {
            (Some(employment), _) if employment.status.is_some() => "employment.status",
            (_, Some(_)) => "person.status",
            (_, None) => return word("no status that can be read", [false]),
        };
        let name = match self.standing.rule {
            Rule::Status => status.to_owned(),
            Rule::NoBreak => format!(
                "{status}, employment.employment_start_date and the end of the employment before"
            ),
            Rule::BeforeStart => {
                format!("{status}, employment.employment_start_date and active_before_start_days")
            }
            Rule::Withdrawn => format!("{status} and an end before the start, or before today"),
            Rule::Until => format!("{status}, employment.termination and active_until"),
        };
        word(&name, [self.standing.is_active])
    }

    fn of_meta(&self, name: &str) -> Vec<Source> {
        let person = self.person;
        match name {
            "resourceType" => vec![fixed(["User"])],
            "created" => vec![moment("person.created_at", person.created_at)],
            "lastModified" => {
                let mut sources = vec![moment("person.updated_at", person.updated_at)];
                if let Some(employment) = self.employment {
                    sources.push(moment("employment.updated_at", employment.updated_at));
                }
                sources
            }
            "location" => {
                let address = self.context.locations.user(&person.id);
                vec![from("the public URL and person.id", [address])]
            }
            "version" => {
                let name = "a hash of everything else".to_owned();
                vec![Source { name, values: Given::Anything }]
            }
            _ => Vec::new(),
        }
    }

    fn of_groups(&self, name: &str) -> Vec<Source> {
        let Some(employment) = self.employment else { return Vec::new() };
        let units = units(employment);
        let source = "employment.org_units, employment.legal_entity, employment.office";
        match name {
            "value" => vec![from(source, group_ids(&units))],
            "$ref" => {
                let locations = self.context.locations;
                let addresses = units.iter().map(|unit| locations.group(&unit.group_id));
                vec![from(&format!("the public URL and {source}"), addresses)]
            }
            "display" => {
                let mut names: Vec<&str> = Vec::new();
                for unit in &units {
                    names.extend(self.context.names.get(unit.kind, unit.id));
                }
                vec![
                    from(&format!("the names of {source}"), names),
                    from(&format!("{source}, without a name"), group_ids(&units)),
                ]
            }
            "type" => vec![fixed(["direct"])],
            _ => Vec::new(),
        }
    }

    fn of_enterprise(&self, name: &str) -> Vec<Source> {
        let (person, context) = (self.person, self.context);
        let supervisor = self.employment.and_then(supervisor);
        match name {
            "employeeNumber" => match &context.policy.employee_number {
                None => vec![from("person.id", [person.id.clone()])],
                Some(id) => {
                    let number = context.attributes.employee_number(person, id);
                    vec![from(&custom_name(id), number)]
                }
            },
            "costCenter" => {
                let id = self.employment.and_then(cost_center);
                vec![self.named(Kind::CostCenter, "cost_centers", id)]
            }
            "organization" => {
                let id = self.employment.and_then(legal_entity);
                vec![self.named(Kind::LegalEntity, "legal_entity", id)]
            }
            "division" => vec![self.unit(Kind::Team, "TEAM")],
            "department" => vec![self.unit(Kind::Department, "DEPARTMENT")],
            "manager.value" => vec![from("employment.supervisor.id", supervisor)],
            "manager.$ref" => {
                let address = supervisor.map(|id| context.locations.user(id));
                vec![from("the public URL and employment.supervisor.id", address)]
            }
            "manager.displayName" => {
                let card = self.card(supervisor);
                let name = card.map(Card::display_name);
                vec![from("the displayName of employment.supervisor", name)]
            }
            _ => Vec::new(),
        }
    }

    fn of_extension(&self, name: &str) -> Vec<Source> {
        if let Some(custom) =
            self.context.policy.custom.iter().find(|custom| custom.attribute.name == name)
        {
            return vec![self.custom(custom)];
        }
        let Some(employment) = self.employment else { return Vec::new() };
        vec![match name {
            "employmentId" => from("employment.id", [employment.id.clone()]),
            "employmentStatus" => {
                word("employment.status", employment.status.as_ref().map(Status::word))
            }
            "employmentType" => word("employment.type", employment.kind.clone()),
            "hireDate" => day("employment.employment_start_date", employment.employment_start_date),
            "endDate" => day("employment.employment_end_date", employment.employment_end_date),
            "terminationDate" => {
                day("employment.termination.termination_date", termination_date(employment))
            }
            "lastWorkingDay" => {
                day("employment.termination.last_working_day", last_working_day(employment))
            }
            "probationEndDate" => {
                day("employment.probation_end_date", employment.probation_end_date)
            }
            "contractEndDate" => day("employment.contract_end_date", employment.contract_end_date),
            "team" => self.unit(Kind::Team, "TEAM"),
            "office" => self.named(Kind::Workplace, "office", office(employment)),
            "legalEntity" => {
                self.named(Kind::LegalEntity, "legal_entity", legal_entity(employment))
            }
            "orgUnits.value" => from(
                "employment.org_units",
                employment.org_units.iter().map(|unit| unit.id.clone()),
            ),
            "orgUnits.type" => from("employment.org_units", org_unit_types(employment)),
            "orgUnits.display" => {
                from("the names of employment.org_units", self.org_unit_names(employment))
            }
            "managerEmail" => {
                let email = self.card(supervisor(employment)).and_then(|card| card.head.email);
                from("the person.email of employment.supervisor", email)
            }
            _ => return Vec::new(),
        }]
    }

    fn custom(&self, custom: &Custom) -> Source {
        let values = match self.context.attributes.custom_value(self.person, custom) {
            Some(Value::Array(values)) => values,
            value => value.into_iter().collect(),
        };
        from(&custom_name(&custom.id), values)
    }

    fn named(&self, kind: Kind, member: &str, id: Option<&str>) -> Source {
        from(&format!("the name of employment.{member}"), self.context.name(kind, id))
    }

    fn org_unit_names(&self, employment: &Employment) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for unit in &employment.org_units {
            for kind in [Kind::Department, Kind::Team] {
                names.extend(self.context.names.get(kind, &unit.id));
            }
        }
        names
    }

    fn unit(&self, kind: Kind, word: &str) -> Source {
        let id = self.employment.and_then(|employment| unit(employment, word));
        self.named(kind, &format!("org_units of type {}", word.to_lowercase()), id)
    }

    fn card(&self, id: Option<&str>) -> Option<&Card<'_>> {
        self.context.people.get(id?)
    }
}

fn custom_name(id: &str) -> String {
    format!("person.custom_attributes with the id {id}")
}

fn group_ids(units: &[Unit<'_>]) -> Vec<String> {
    units.iter().map(|unit| unit.group_id.clone()).collect()
}

fn org_unit_types(employment: &Employment) -> Vec<String> {
    let mut types = Vec::new();
    for unit in &employment.org_units {
        types.extend(unit.kind.as_deref().map(str::to_lowercase));
    }
    types
}
