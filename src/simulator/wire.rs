//! JSON of persons, employments and look-up entries, as Personio writes it.
//!
//! The JSON keys of the data and the quirks of its shape belong in this file. `listing` writes the
//! pages around the entries.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use crate::simulator::options::Quirks;
use crate::simulator::world::{
    SimulatedCustomAttribute, SimulatedEmployment, SimulatedLookupEntry, SimulatedOrgUnit,
    SimulatedPerson, SimulatedTermination,
};

/// Writer of JSON values, with the quirks to apply and the base URL of links.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonWriter<'a> {
    pub(super) quirks: &'a Quirks,
    pub(super) base_url: &'a str,
}

impl JsonWriter<'_> {
    pub(super) fn person(&self, person: &SimulatedPerson) -> Value {
        let mut object = self.object();
        object.put("id", self.id(&person.id));
        object.put_optional("email", person.email.as_deref());
        object.put_optional("first_name", person.first_name.as_deref());
        object.put_optional("last_name", person.last_name.as_deref());
        object.put_optional("preferred_name", person.preferred_name.as_deref());
        object.put_optional("gender", self.enum_value(person.gender.as_deref()));
        let picture = person.profile_picture.as_deref().map(|url| json!({ "url": url }));
        object.put_optional("profile_picture", picture);
        let status = self.status(&person.id, person.status.as_deref());
        object.put_optional("status", self.enum_value(status));
        object.text("created_at", person.created_at);
        object.text("updated_at", person.updated_at);
        let mut attributes = Vec::with_capacity(person.custom_attributes.len());
        for attribute in &person.custom_attributes {
            attributes.push(self.attribute(attribute));
        }
        object.put("custom_attributes", attributes);
        let mut employments = Vec::with_capacity(person.employments.len());
        for employment in self.employments_of(person) {
            employments.push(self.reference(&employment.id));
        }
        object.put("employments", employments);
        let href = format!("{}/v2/persons/{}", self.base_url, person.id);
        object.put("_meta", json!({ "links": { "self": { "href": href } } }));
        object.finish_without(&self.quirks.hidden_attributes)
    }

    /// Returns the status of a person or of one of their employments.
    fn status<'w>(&self, person: &str, status: Option<&'w str>) -> Option<&'w str> {
        if self.quirks.inactive.iter().any(|id| id == person) { Some("INACTIVE") } else { status }
    }

    /// Returns a person's employments in the order of the listing.
    pub(super) fn employments_of<'w>(
        &self,
        person: &'w SimulatedPerson,
    ) -> Vec<&'w SimulatedEmployment> {
        let mut employments: Vec<&SimulatedEmployment> = person.employments.iter().collect();
        employments.sort_by_key(|employment| employment.employment_start_date);
        if !self.quirks.employments_oldest_first {
            employments.reverse();
        }
        employments
    }

    pub(super) fn employment(&self, employment: &SimulatedEmployment, person: &str) -> Value {
        let mut object = self.object();
        object.put("id", self.id(&employment.id));
        object.put("person", self.reference(person));
        object.put_optional(
            "status",
            self.enum_value(self.status(person, employment.status.as_deref())),
        );
        object.put_optional("type", self.enum_value(employment.employment_type.as_deref()));
        let title = employment.position.as_deref();
        object.put_optional("position", title.map(|title| json!({ "title": title })));
        object.put_optional("job", self.optional_reference(employment.job.as_deref()));
        object
            .put_optional("supervisor", self.optional_reference(employment.supervisor.as_deref()));
        object.put_optional("office", self.optional_reference(employment.office.as_deref()));
        object.put_optional(
            "legal_entity",
            self.optional_reference(employment.legal_entity.as_deref()),
        );
        object.put_optional(
            "sub_company",
            self.optional_reference(employment.legal_entity.as_deref()),
        );
        let mut units = Vec::with_capacity(employment.org_units.len());
        for (kind, id) in &employment.org_units {
            units.push(json!({ "type": kind.as_str(), "id": self.id(id) }));
        }
        object.put("org_units", units);
        let mut centers = Vec::with_capacity(employment.cost_centers.len());
        for (id, weight) in &employment.cost_centers {
            centers.push(json!({ "id": self.id(id), "weight": weight }));
        }
        object.put("cost_centers", centers);
        object.put_optional("weekly_working_hours", employment.weekly_working_hours);
        object.text("employment_start_date", employment.employment_start_date);
        object.text("employment_end_date", employment.employment_end_date);
        object.text("probation_end_date", employment.probation_end_date);
        object.text("contract_end_date", employment.contract_end_date);
        object.put_optional(
            "termination",
            employment.termination.as_ref().map(|it| self.termination(it)),
        );
        object.text("created_at", employment.created_at);
        object.text("updated_at", employment.updated_at);
        object.put_everywhere(&employment.extra);
        object.finish_without(&self.quirks.hidden_attributes)
    }

    pub(super) fn lookup_entry(&self, entry: &SimulatedLookupEntry) -> Value {
        let mut object = self.object();
        object.put("id", self.id(&entry.id));
        object.put("name", entry.name.as_str());
        object.put_everywhere(&entry.extra);
        Value::Object(object.fields)
    }

    pub(super) fn org_unit(&self, unit: &SimulatedOrgUnit) -> Value {
        let mut object = self.object();
        object.put("id", self.id(&unit.id));
        object.put("name", unit.name.as_str());
        object.put("type", unit.unit_type.as_str());
        // Personio returns null for a unit at the top.
        object.put("parent_id", unit.parent.as_deref().map(|id| self.id(id)));
        object.put_everywhere(&unit.extra);
        Value::Object(object.fields)
    }

    fn termination(&self, termination: &SimulatedTermination) -> Value {
        let last = if self.quirks.last_working_date_key {
            "last_working_date"
        } else {
            "last_working_day"
        };
        let mut object = self.object();
        object.text("termination_date", termination.termination_date);
        object.text(last, termination.last_working_day);
        object.text("terminated_at", termination.terminated_at);
        object.put_optional("type", self.enum_value(termination.termination_type.as_deref()));
        object.put_optional("reason", termination.reason.as_deref());
        Value::Object(object.fields)
    }

    fn attribute(&self, attribute: &SimulatedCustomAttribute) -> Value {
        let mut object = self.object();
        object.put("id", attribute.id.as_str());
        object.put_optional("global_id", attribute.global_id.as_deref());
        object.put_optional("label", attribute.label.as_deref());
        object.put_optional("type", self.enum_value(Some(&attribute.value_type)));
        object.put("value", attribute.value.clone());
        Value::Object(object.fields)
    }

    fn object(&self) -> ObjectBuilder {
        ObjectBuilder { fields: Map::new(), writes_nulls: self.quirks.null_instead_of_absent }
    }

    /// Returns an enumeration value, in lower case if the quirks require it.
    fn enum_value(&self, word: Option<&str>) -> Option<String> {
        let word = word?;
        Some(if self.quirks.lowercase_enums { word.to_ascii_lowercase() } else { word.to_owned() })
    }

    fn id(&self, id: &str) -> Value {
        match id.parse::<u64>() {
            Ok(number) if self.quirks.numeric_ids => Value::from(number),
            Ok(_) | Err(_) => Value::from(id),
        }
    }

    fn reference(&self, id: &str) -> Value {
        json!({ "id": self.id(id) })
    }

    fn optional_reference(&self, id: Option<&str>) -> Option<Value> {
        id.map(|id| self.reference(id))
    }
}

/// JSON object under construction, with a rule for values that are absent.
struct ObjectBuilder {
    fields: Map<String, Value>,
    /// True to write an absent value as `null`, false to leave its key out.
    writes_nulls: bool,
}

impl ObjectBuilder {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.fields.insert(key.to_owned(), value.into());
    }

    fn put_optional(&mut self, key: &str, value: Option<impl Into<Value>>) {
        match value {
            Some(value) => self.put(key, value),
            None if self.writes_nulls => self.put(key, Value::Null),
            None => {}
        }
    }

    fn text(&mut self, key: &str, value: Option<impl Display>) {
        self.put_optional(key, value.map(|value| value.to_string()));
    }

    /// Adds members to the object and to all objects in it, without replacing any.
    fn put_everywhere(&mut self, members: &Map<String, Value>) {
        if !members.is_empty() {
            add_members(&mut self.fields, members);
        }
    }

    /// Returns the finished object without the hidden keys.
    fn finish_without(mut self, hidden: &[String]) -> Value {
        self.fields.retain(|key, _| !hidden.contains(key));
        Value::Object(self.fields)
    }
}

/// Adds members to an object and to all objects in it, without replacing any.
fn add_members(object: &mut Map<String, Value>, members: &Map<String, Value>) {
    for value in object.values_mut() {
        match value {
            Value::Object(inner) => add_members(inner, members),
            Value::Array(values) => {
                for value in values {
                    if let Value::Object(inner) = value {
                        add_members(inner, members);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for (name, value) in members {
        object.entry(name.as_str()).or_insert_with(|| value.clone());
    }
}
