//! Attributes of the project's own extension schema. They hold HR data that identity systems need
//! and that the standard schemas lack, and the custom attributes that the company chose.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use serde_json::{Number, Value, json};

use crate::mapping::context::Context;
use crate::mapping::employment::{by_number, unit};
use crate::mapping::personal_data::is_personal_attribute;
use crate::mapping::{Custom, Policy};
use crate::personio::model::{CustomAttribute, Employment, Person, Reference};
use crate::personio::{Kind, Names};
use crate::scim::{AttributeType, Extension};

macro_rules! attribute_names {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Names of the attributes, each stored once for all users.
        struct AttributeNames { $($name: Arc<str>),* }

        const NAMES: &[&str] = &[$($text),*];

        impl Default for AttributeNames {
            fn default() -> Self {
                Self { $($name: $text.into()),* }
            }
        }
    };
}

attribute_names! {
    employment_id = "employmentId",
    employment_status = "employmentStatus",
    employment_type = "employmentType",
    hire_date = "hireDate",
    end_date = "endDate",
    termination_date = "terminationDate",
    last_working_day = "lastWorkingDay",
    probation_end_date = "probationEndDate",
    contract_end_date = "contractEndDate",
    team = "team",
    office = "office",
    legal_entity = "legalEntity",
    org_units = "orgUnits",
    manager_email = "managerEmail",
}

/// Mapper of the extension attributes. It holds the attribute names, the configured custom
/// attributes, and the warnings that were logged.
pub(crate) struct Attributes {
    names: AttributeNames,
    custom: Vec<(Arc<str>, Custom)>,
    /// Ids of custom attributes with a logged warning. Each is logged only once.
    warned: Mutex<HashSet<String>>,
}

impl Attributes {
    pub(crate) fn new(policy: &Policy) -> Self {
        let custom = policy.custom.iter().map(|custom| (custom.attribute.name.as_str().into(), custom.clone()));
        Self { names: AttributeNames::default(), custom: custom.collect(), warned: Mutex::default() }
    }

    /// Returns the extension attributes of one person.
    pub(crate) fn extension(
        &self,
        person: &Person,
        employment: Option<&Employment>,
        context: &Context<'_>,
    ) -> Extension {
        let mut found = Vec::with_capacity(NAMES.len() + self.custom.len());
        if let Some(employment) = employment {
            self.of_employment(&mut found, employment, context);
        }
        for (name, custom) in &self.custom {
            found.extend(self.custom_value(person, custom).map(|value| (Arc::clone(name), value)));
        }
        found.into_iter().collect()
    }

    /// Adds the attributes that come from the employment to `found`.
    fn of_employment(&self, found: &mut Vec<(Arc<str>, Value)>, employment: &Employment, context: &Context<'_>) {
        let names = &self.names;
        let mut text = |name: &Arc<str>, value: Option<String>| {
            found.extend(value.map(|value| (Arc::clone(name), Value::String(value))));
        };
        text(&names.employment_id, Some(employment.id.clone()));
        text(&names.employment_status, employment.status.as_ref().map(|status| status.word().to_owned()));
        text(&names.employment_type, employment.kind.clone());
        let termination = employment.termination.as_ref();
        for (name, date) in [
            (&names.hire_date, employment.employment_start_date),
            (&names.end_date, employment.employment_end_date),
            (&names.termination_date, termination.and_then(|termination| termination.termination_date)),
            (&names.last_working_day, termination.and_then(|termination| termination.last_working_day())),
            (&names.probation_end_date, employment.probation_end_date),
            (&names.contract_end_date, employment.contract_end_date),
        ] {
            text(name, date.as_ref().map(Date::to_string));
        }
        let named = |kind, id: Option<&str>| id.and_then(|id| context.names.get(kind, id)).map(str::to_owned);
        text(&names.team, named(Kind::Team, unit(employment, "TEAM")));
        text(&names.office, named(Kind::Workplace, referred(employment.office.as_ref())));
        text(&names.legal_entity, named(Kind::LegalEntity, referred(employment.legal_entity.as_ref())));
        let units = org_units(employment, context.names);
        if !units.is_empty() {
            found.push((Arc::clone(&names.org_units), units.into()));
        }
        let supervisor = referred(employment.supervisor.as_ref());
        if let Some(supervisor) = supervisor
            && let Some(email) = context.people.get(supervisor).and_then(|card| card.head.email)
        {
            found.push((Arc::clone(&names.manager_email), email.into()));
        }
    }

    /// Returns the value of a custom attribute. Returns `None` if the person has no value, the
    /// attribute is personal data, or the value has another type than the configured one.
    pub(crate) fn custom_value(&self, person: &Person, custom: &Custom) -> Option<Value> {
        let attribute = self.allowed(person, &custom.id)?;
        match typed(&attribute.value, custom) {
            Ok(value) => value,
            Err(()) => {
                self.warn_once(&custom.id, "a value is not of the type that the mapping file says; it is left out");
                None
            }
        }
    }

    /// Returns the employee number from the custom attribute `id`, if it is a text or a number.
    pub(crate) fn employee_number(&self, person: &Person, id: &str) -> Option<String> {
        match &self.allowed(person, id)?.value {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(plain_number(number)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns the custom attribute, unless its id, global id or label names personal data. Only
    /// Personio's response contains all three, so the check of the mapping file is not sufficient.
    fn allowed<'p>(&self, person: &'p Person, id: &str) -> Option<&'p CustomAttribute> {
        let attribute = find_attribute(&person.custom_attributes, id)?;
        if is_personal_attribute(attribute) {
            self.warn_once(
                id,
                "the global id or label of this custom attribute is recognised as personal data; it is not served",
            );
            return None;
        }
        Some(attribute)
    }

    fn warn_once(&self, id: &str, why: &str) {
        if self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
            tracing::warn!(custom_attribute = id, "{why}");
        }
    }
}

/// Returns the attribute with this id, or else the one with this global id. The id has precedence,
/// because a company can give an attribute an id that is the global id of another one.
fn find_attribute<'p>(attributes: &'p [CustomAttribute], id: &str) -> Option<&'p CustomAttribute> {
    let by_id = attributes.iter().find(|attribute| attribute.id == id);
    by_id.or_else(|| attributes.iter().find(|attribute| attribute.global_id.as_deref() == Some(id)))
}

fn referred(reference: Option<&Reference>) -> Option<&str> {
    reference.and_then(|reference| reference.id.as_deref())
}

fn org_units(employment: &Employment, names: &Names) -> Vec<Value> {
    let mut units: Vec<_> = employment.org_units.iter().collect();
    // Personio guarantees no order, and a different order must not change the user.
    units.sort_by(|one, other| one.kind.cmp(&other.kind).then_with(|| by_number(&one.id, &other.id)));
    units.dedup_by(|one, other| one.kind == other.kind && one.id == other.id);
    let units = units.into_iter().map(|unit| {
        let (kind, name) = match unit.kind.as_deref() {
            Some("DEPARTMENT") => (Some("department".to_owned()), names.get(Kind::Department, &unit.id)),
            Some("TEAM") => (Some("team".to_owned()), names.get(Kind::Team, &unit.id)),
            other => (other.map(str::to_lowercase), None),
        };
        let members = [("value", Some(unit.id.clone())), ("display", name.map(str::to_owned)), ("type", kind)];
        members
            .into_iter()
            .filter_map(|(member, text)| Some((member.to_owned(), Value::String(text?))))
            .collect::<Value>()
    });
    units.collect()
}

/// Converts a value to the configured type. Returns `Ok(None)` for an empty value, and an error for
/// a value of another type or for several values of a single-valued attribute.
fn typed(value: &Value, custom: &Custom) -> Result<Option<Value>, ()> {
    let (kind, multi_valued) = (custom.attribute.kind, custom.attribute.multi_valued);
    let values = match value {
        Value::Array(values) => values.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    let values: Vec<Value> =
        values.iter().filter_map(|value| single(value, kind).transpose()).collect::<Result<_, _>>()?;
    match (values.as_slice(), multi_valued) {
        ([], _) => Ok(None),
        (_, true) => Ok(Some(Value::Array(values))),
        ([value], false) => Ok(Some(value.clone())),
        (_, false) => Err(()),
    }
}

fn single(value: &Value, kind: AttributeType) -> Result<Option<Value>, ()> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => plain_number(number),
        Value::Array(_) | Value::Object(_) => return Err(()),
    };
    let value = match kind {
        AttributeType::String => Some(Value::String(text)),
        AttributeType::Boolean => boolean(&text).map(Value::Bool),
        AttributeType::Integer => integer(&text).map(|number| json!(number)),
        AttributeType::Decimal => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| json!(number))
        }
        // The mapping file does not offer these types.
        AttributeType::DateTime | AttributeType::Reference | AttributeType::Complex => None,
    };
    value.map(Some).ok_or(())
}

/// Formats a number as JSON does, but a whole number without a fraction: `42.0` becomes `42`.
fn plain_number(number: &Number) -> String {
    let whole = number.as_f64().filter(|_| number.is_f64()).and_then(whole_number);
    whole.map_or_else(|| number.to_string(), |whole| whole.to_string())
}

/// Parses an integer. A fraction of zero is accepted: `42.0` is 42.
fn integer(text: &str) -> Option<i64> {
    match text.parse() {
        Ok(integer) => Some(integer),
        Err(_) => whole_number(text.parse().ok()?),
    }
}

/// Converts a number without a fraction to an integer, up to the largest number that is exact in
/// floating point.
fn whole_number(number: f64) -> Option<i64> {
    const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
    let is_exact = number.fract() == 0.0 && number.abs() <= MAX_EXACT_INTEGER;
    is_exact.then_some(number as i64)
}

/// Parses a boolean: `true` and `false`, 1 and 0, and the words for yes and no in the languages of
/// Personio's interface.
fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "ja" | "oui" | "sí" | "si" | "sì" | "sim" | "tak" => Some(true),
        "false" | "0" | "no" | "nein" | "non" | "nee" | "não" | "nie" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim;

    #[test]
    fn every_attribute_is_described_in_the_schema() {
        let described = scim::extension_attributes().unwrap();
        assert_eq!(NAMES, described);
    }

    #[test]
    fn custom_values_are_of_the_announced_type_or_left_out() {
        use AttributeType::{Boolean, Decimal, Integer, String};
        let value = |kind, multi_valued, value: Value| {
            let attribute = scim::CustomAttribute { name: "x".into(), kind, multi_valued };
            typed(&value, &Custom { id: "dynamic_1".into(), attribute })
        };
        for (kind, multi, given, expected) in [
            (String, false, json!("  P-1 "), Ok(Some(json!("P-1")))),
            (String, false, json!(7), Ok(Some(json!("7")))),
            (String, false, json!(""), Ok(None)),
            (String, false, json!(null), Ok(None)),
            (String, false, json!([]), Ok(None)),
            (String, false, json!(["a"]), Ok(Some(json!("a")))),
            (String, false, json!(["a", "b"]), Err(())),
            (String, true, json!(["a", null, "b"]), Ok(Some(json!(["a", "b"])))),
            (String, true, json!("a"), Ok(Some(json!(["a"])))),
            (String, false, json!({"street": "x"}), Err(())),
            (Integer, false, json!("42"), Ok(Some(json!(42)))),
            (Integer, false, json!(4.5), Err(())),
            (Decimal, false, json!(4.5), Ok(Some(json!(4.5)))),
            (Boolean, false, json!("True"), Ok(Some(json!(true)))),
            (Boolean, false, json!(" FALSE "), Ok(Some(json!(false)))),
            (Boolean, false, json!("yes"), Ok(Some(json!(true)))),
            (Boolean, false, json!("No"), Ok(Some(json!(false)))),
            (Boolean, false, json!("JA"), Ok(Some(json!(true)))),
            (Boolean, false, json!("Nein"), Ok(Some(json!(false)))),
            (Boolean, false, json!("1"), Ok(Some(json!(true)))),
            (Boolean, false, json!(0), Ok(Some(json!(false)))),
            (Boolean, false, json!(1.0), Ok(Some(json!(true)))),
            (Boolean, false, json!("SÍ"), Ok(Some(json!(true)))),
            (Boolean, false, json!("não"), Ok(Some(json!(false)))),
            (Boolean, true, json!(["yes", "no"]), Ok(Some(json!([true, false])))),
            (Boolean, false, json!(2), Err(())),
            (Boolean, false, json!("maybe"), Err(())),
            (String, false, json!("yes"), Ok(Some(json!("yes")))),
            (String, false, json!(42.0), Ok(Some(json!("42")))),
            (String, false, json!("42.0"), Ok(Some(json!("42.0")))),
            (Integer, false, json!(42.0), Ok(Some(json!(42)))),
            (Integer, false, json!("42.0"), Ok(Some(json!(42)))),
            (Integer, false, json!(-7.0), Ok(Some(json!(-7)))),
            (Integer, false, json!(1e300), Err(())),
            (Integer, false, json!("9007199254740993"), Ok(Some(json!(9_007_199_254_740_993_i64)))),
            (Integer, false, json!("4.5"), Err(())),
            (Integer, false, json!("NaN"), Err(())),
            (Integer, false, json!("yes"), Err(())),
        ] {
            assert_eq!(value(kind, multi, given.clone()), expected, "{given}");
        }
    }

    #[test]
    fn an_exact_id_wins_over_the_global_id_of_another_attribute() {
        let attribute = |id: &str, global_id: Option<&str>| CustomAttribute {
            id: id.to_owned(),
            global_id: global_id.map(str::to_owned),
            label: None,
            value: Value::Null,
        };
        let attributes =
            [attribute("dynamic_1", Some("level")), attribute("level", None), attribute("dynamic_2", Some("grade"))];
        for (id, expected) in
            [("level", Some("level")), ("grade", Some("dynamic_2")), ("dynamic_1", Some("dynamic_1")), ("rank", None)]
        {
            assert_eq!(find_attribute(&attributes, id).map(|found| found.id.as_str()), expected, "{id}");
        }
    }

    #[test]
    fn an_employee_number_is_text_or_a_whole_number() {
        let attributes = Attributes::new(&Policy::default());
        for (value, expected) in [
            (json!(" P-7 "), Some("P-7")),
            (json!(42), Some("42")),
            (json!(42.0), Some("42")),
            (json!("42.0"), Some("42.0")),
            (json!(""), None),
            (json!(true), None),
        ] {
            let person = json!({"id": "7", "custom_attributes": [{"id": "dynamic_1", "value": value}]});
            let person: Person = serde_json::from_value(person).unwrap();
            assert_eq!(attributes.employee_number(&person, "dynamic_1").as_deref(), expected, "{value}");
        }
    }
}
