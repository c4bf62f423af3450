//! Explanation of a user: the source of each attribute value in Personio's data.
//!
//! This module does not trace the mapping; it checks the result. Each attribute has a list of
//! possible sources with the values that they yield. The source of a value is the first one that
//! yields it. A value without a source is a gap in this module; a test requires a source for each
//! value.

use jiff::civil::Date;
use serde_json::Value;

use crate::mapping::context::{Card, Context};
use crate::mapping::employment::{cost_center, unit};
use crate::mapping::primary_employment::{Rule, Standing};
use crate::mapping::{Custom, user_name};
use crate::personio::Kind;
use crate::personio::model::{Employment, Person, Reference, Status};
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
    Ok(leaves.into_iter().map(|(attribute, value)| explain(attribute, value, made)).collect())
}

fn explain(attribute: String, value: Value, made: &Made<'_>) -> Explained {
    let gives = |source: &Source| match &source.values {
        Given::Values(values) | Given::Words(values) | Given::Fixed(values) => values.contains(&value),
        Given::Anything => true,
    };
    let source = made.sources(&attribute).into_iter().find(gives);
    let nature = match source.as_ref().map(|source| &source.values) {
        Some(Given::Fixed(_)) => Nature::Fixed,
        Some(Given::Values(_) | Given::Anything) => Nature::Open,
        // A value without a known source is masked completely.
        Some(Given::Words(_)) | None => Nature::Word,
    };
    Explained { attribute, value, source: source.map(|source| source.name), nature }
}

/// Adds the values of a resource to `leaves`, each with its attribute name.
pub(crate) fn collect(name: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let between = match name {
                    "" => "",
                    scim::ENTERPRISE_USER | scim::EXTENSION_USER => ":",
                    _ => ".",
                };
                collect(&format!("{name}{between}{member}"), value, leaves);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(name, value, leaves)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            leaves.push((name.to_owned(), value.clone()));
        }
    }
}

fn from<V: Into<Value>>(name: &str, values: impl IntoIterator<Item = V>) -> Source {
    Source { name: name.to_owned(), values: Given::Values(values.into_iter().map(Into::into).collect()) }
}

fn word<V: Into<Value>>(name: &str, values: impl IntoIterator<Item = V>) -> Source {
    Source { name: name.to_owned(), values: Given::Words(values.into_iter().map(Into::into).collect()) }
}

fn fixed<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Source {
    Source {
        name: "the same for everybody".to_owned(),
        values: Given::Fixed(values.into_iter().map(Into::into).collect()),
    }
}

fn day(name: &str, date: Option<Date>) -> Source {
    from(name, date.map(|date| date.to_string()))
}

impl Made<'_> {
    fn sources(&self, attribute: &str) -> Vec<Source> {
        let within = |urn: &str| attribute.strip_prefix(urn)?.strip_prefix(':');
        if let Some(name) = within(scim::ENTERPRISE_USER) {
            return self.of_enterprise(name);
        }
        if let Some(name) = within(scim::EXTENSION_USER) {
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
        let names = [&person.first_name, &person.last_name].into_iter().flatten().map(String::as_str);
        let full_name = from("person.first_name, person.last_name", [names.collect::<Vec<_>>().join(" ")]);
        let email = from("person.email", person.email.clone());
        let fallback =
            from("`personio-` and person.id, for want of an address of their own", [user_name::fallback(&person.id)]);
        match attribute {
            "schemas" => vec![fixed([scim::USER, scim::ENTERPRISE_USER, scim::EXTENSION_USER])],
            "id" | "externalId" => vec![from("person.id", [person.id.clone()])],
            "userName" => vec![email, fallback],
            "name.formatted" => vec![full_name],
            "name.familyName" => vec![from("person.last_name", person.last_name.clone())],
            "name.givenName" => vec![from("person.first_name", person.first_name.clone())],
            "displayName" => {
                vec![from("person.preferred_name", person.preferred_name.clone()), full_name, email, fallback]
            }
            "title" => {
                let title = self.employment.and_then(|employment| employment.position.as_ref()?.title.clone());
                vec![from("employment.position.title", title)]
            }
            "userType" => {
                let served = match self.employment.and_then(|employment| employment.kind.as_deref()) {
                    Some("INTERNAL") => Some("Employee"),
                    Some("EXTERNAL") => Some("Contractor"),
                    _ => None,
                };
                vec![word("employment.type", served)]
            }
            "active" => vec![self.activity()],
            "emails.value" => vec![email],
            "emails.type" => vec![fixed(["work"])],
            "emails.primary" => vec![fixed([true])],
            _ => Vec::new(),
        }
    }

    /// Returns the status and the date rule that decided `active`.
    fn activity(&self) -> Source {
        let has_own_status = self.employment.is_some_and(|employment| employment.status.is_some());
        let status = match (has_own_status, &self.person.status) {
            (true, _) => "employment.status",
            (false, Some(_)) => "person.status",
            (false, None) => return word("no status that can be read", [false]),
        };
        let name = match self.standing.rule {
            Rule::Status => status.to_owned(),
            Rule::NoBreak => format!("{status}, employment.employment_start_date and the end of the employment before"),
            Rule::BeforeStart => format!("{status}, employment.employment_start_date and active_before_start_days"),
            Rule::Withdrawn => format!("{status} and an end before the start, or before today"),
            Rule::Until => format!("{status}, employment.termination and active_until"),
        };
        word(&name, [self.standing.is_active])
    }

    fn of_meta(&self, name: &str) -> Vec<Source> {
        let person = self.person;
        match name {
            "resourceType" => vec![fixed(["User"])],
            "created" => vec![from("person.created_at", person.created_at.map(written_moment))],
            "lastModified" => vec![
                from("person.updated_at", person.updated_at.map(written_moment)),
                from("employment.updated_at", self.employment.and_then(|it| it.updated_at).map(written_moment)),
            ],
            "location" => vec![from("the public URL and person.id", [self.context.locations.user(&person.id)])],
            "version" => vec![Source { name: "a hash of everything else".to_owned(), values: Given::Anything }],
            _ => Vec::new(),
        }
    }

    fn of_groups(&self, name: &str) -> Vec<Source> {
        let Some(employment) = self.employment else { return Vec::new() };
        let units = employment.org_units.iter().filter_map(|unit| match unit.kind.as_deref() {
            Some("DEPARTMENT") => Some((Kind::Department, "department", unit.id.as_str())),
            Some("TEAM") => Some((Kind::Team, "team", unit.id.as_str())),
            _ => None,
        });
        let entity = referred(&employment.legal_entity).map(|id| (Kind::LegalEntity, "legalEntity", id));
        let office = referred(&employment.office).map(|id| (Kind::Workplace, "office", id));
        let places: Vec<_> = units.chain(entity).chain(office).collect();
        let ids = || places.iter().map(|(_, word, id)| format!("{word}-{id}"));
        let source = "employment.org_units, employment.legal_entity, employment.office";
        match name {
            "value" => vec![from(source, ids())],
            "$ref" => {
                vec![from(&format!("the public URL and {source}"), ids().map(|id| self.context.locations.group(&id)))]
            }
            "display" => {
                let names = places.iter().filter_map(|(kind, _, id)| self.context.names.get(*kind, id));
                vec![from(&format!("the names of {source}"), names), from(&format!("{source}, without a name"), ids())]
            }
            "type" => vec![fixed(["direct"])],
            _ => Vec::new(),
        }
    }

    fn of_enterprise(&self, name: &str) -> Vec<Source> {
        let (person, context) = (self.person, self.context);
        let supervisor = self.employment.and_then(|employment| referred(&employment.supervisor));
        match name {
            "employeeNumber" => match &context.policy.employee_number {
                None => vec![from("person.id", [person.id.clone()])],
                Some(id) => vec![from(&custom_name(id), context.attributes.employee_number(person, id))],
            },
            "costCenter" => vec![self.named(Kind::CostCenter, "cost_centers", self.employment.and_then(cost_center))],
            "organization" => vec![self.named(
                Kind::LegalEntity,
                "legal_entity",
                self.employment.and_then(|it| referred(&it.legal_entity)),
            )],
            "division" => vec![self.unit(Kind::Team, "TEAM")],
            "department" => vec![self.unit(Kind::Department, "DEPARTMENT")],
            "manager.value" => vec![from("employment.supervisor.id", supervisor)],
            "manager.$ref" => {
                let address = supervisor.map(|id| context.locations.user(id));
                vec![from("the public URL and employment.supervisor.id", address)]
            }
            "manager.displayName" => {
                let card = supervisor.and_then(|id| self.card(id));
                vec![from("the displayName of employment.supervisor", card.map(Card::display_name))]
            }
            _ => Vec::new(),
        }
    }

    fn of_extension(&self, name: &str) -> Vec<Source> {
        if let Some(custom) = self.context.policy.custom.iter().find(|custom| custom.attribute.name == name) {
            return vec![self.custom(custom)];
        }
        let Some(employment) = self.employment else { return Vec::new() };
        let termination = employment.termination.as_ref();
        vec![match name {
            "employmentId" => from("employment.id", [employment.id.clone()]),
            "employmentStatus" => word("employment.status", employment.status.as_ref().map(Status::word)),
            "employmentType" => word("employment.type", employment.kind.clone()),
            "hireDate" => day("employment.employment_start_date", employment.employment_start_date),
            "endDate" => day("employment.employment_end_date", employment.employment_end_date),
            "terminationDate" => {
                day("employment.termination.termination_date", termination.and_then(|it| it.termination_date))
            }
            "lastWorkingDay" => {
                day("employment.termination.last_working_day", termination.and_then(|it| it.last_working_day()))
            }
            "probationEndDate" => day("employment.probation_end_date", employment.probation_end_date),
            "contractEndDate" => day("employment.contract_end_date", employment.contract_end_date),
            "team" => self.unit(Kind::Team, "TEAM"),
            "office" => self.named(Kind::Workplace, "office", referred(&employment.office)),
            "legalEntity" => self.named(Kind::LegalEntity, "legal_entity", referred(&employment.legal_entity)),
            "orgUnits.value" => from("employment.org_units", employment.org_units.iter().map(|unit| unit.id.clone())),
            "orgUnits.type" => {
                let kinds = employment.org_units.iter().filter_map(|unit| unit.kind.as_deref());
                from("employment.org_units", kinds.map(str::to_lowercase))
            }
            "orgUnits.display" => {
                let kinds = [Kind::Department, Kind::Team];
                let units = employment.org_units.iter().flat_map(|unit| kinds.map(|kind| (kind, &unit.id)));
                from(
                    "the names of employment.org_units",
                    units.filter_map(|(kind, id)| self.context.names.get(kind, id)),
                )
            }
            "managerEmail" => {
                let card = referred(&employment.supervisor).and_then(|id| self.card(id));
                from("the person.email of employment.supervisor", card.and_then(|card| card.head.email))
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
        let name = id.and_then(|id| self.context.names.get(kind, id));
        from(&format!("the name of employment.{member}"), name)
    }

    fn unit(&self, kind: Kind, word: &str) -> Source {
        let id = self.employment.and_then(|employment| unit(employment, word));
        self.named(kind, &format!("org_units of type {}", word.to_lowercase()), id)
    }

    fn card(&self, id: &str) -> Option<&Card<'_>> {
        self.context.people.get(id)
    }
}

fn custom_name(id: &str) -> String {
    format!("person.custom_attributes with the id {id}")
}

fn referred(reference: &Option<Reference>) -> Option<&str> {
    reference.as_ref()?.id.as_deref()
}
