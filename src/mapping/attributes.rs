//! Attributes of the project's own extension schema. They hold HR data that identity systems need
//! and that the standard schemas lack, and the custom attributes that the company chose.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use serde_json::{Map, Number, Value};

use crate::mapping::context::MappingContext;
use crate::mapping::employment::{
    compare_ids, last_working_day, legal_entity, office, supervisor, termination_date, unit_id,
};
use crate::mapping::personal_data::is_personal_attribute;
use crate::mapping::{CustomAttributePolicy, MappingPolicy};
use crate::personio::model::{CustomAttribute, Employment, Person, Status};
use crate::personio::{LookupKind, LookupNames};
use crate::scim::{AttributeType, ExtensionAttributes};

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

/// Extension attributes of one person, in the order in which they are served.
struct AttributeList(Vec<(Arc<str>, Value)>);

impl AttributeList {
    fn add(&mut self, name: &Arc<str>, value: Option<&str>) {
        if let Some(value) = value {
            self.0.push((Arc::clone(name), value.into()));
        }
    }

    fn add_date(&mut self, name: &Arc<str>, date: Option<Date>) {
        if let Some(date) = date {
            self.0.push((Arc::clone(name), date.to_string().into()));
        }
    }
}

/// Mapper of the extension attributes. It holds the attribute names, the configured custom
/// attributes, and the warnings that were logged.
pub(crate) struct ExtensionMapper {
    names: AttributeNames,
    custom_attributes: Vec<(Arc<str>, CustomAttributePolicy)>,
    /// Ids of custom attributes with a logged warning. Each is logged only once.
    warned_ids: Mutex<HashSet<String>>,
}

impl ExtensionMapper {
    pub(crate) fn new(policy: &MappingPolicy) -> Self {
        let mut custom_attributes: Vec<(Arc<str>, CustomAttributePolicy)> =
            Vec::with_capacity(policy.custom_attributes.len());
        for custom in &policy.custom_attributes {
            custom_attributes.push((custom.definition.name.as_str().into(), custom.clone()));
        }
        Self { names: AttributeNames::default(), custom_attributes, warned_ids: Mutex::default() }
    }

    /// Returns the extension attributes of one person.
    pub(crate) fn map_extension(
        &self,
        person: &Person,
        employment: Option<&Employment>,
        context: &MappingContext<'_>,
    ) -> ExtensionAttributes {
        let mut attributes =
            AttributeList(Vec::with_capacity(NAMES.len() + self.custom_attributes.len()));
        if let Some(employment) = employment {
            self.add_employment_attributes(&mut attributes, employment, context);
        }
        for (name, custom) in &self.custom_attributes {
            if let Some(value) = self.custom_value(person, custom) {
                attributes.0.push((Arc::clone(name), value));
            }
        }
        attributes.0.into_iter().collect()
    }

    /// Adds the attributes that come from the employment to `attributes`.
    fn add_employment_attributes(
        &self,
        attributes: &mut AttributeList,
        employment: &Employment,
        context: &MappingContext<'_>,
    ) {
        let names = &self.names;
        attributes.add(&names.employment_id, Some(&employment.id));
        attributes.add(&names.employment_status, employment.status.as_ref().map(Status::value));
        attributes.add(&names.employment_type, employment.employment_type.as_deref());

        attributes.add_date(&names.hire_date, employment.employment_start_date);
        attributes.add_date(&names.end_date, employment.employment_end_date);
        attributes.add_date(&names.termination_date, termination_date(employment));
        attributes.add_date(&names.last_working_day, last_working_day(employment));
        attributes.add_date(&names.probation_end_date, employment.probation_end_date);
        attributes.add_date(&names.contract_end_date, employment.contract_end_date);

        attributes.add(&names.team, context.name(LookupKind::Team, unit_id(employment, "TEAM")));
        attributes.add(&names.office, context.name(LookupKind::Workplace, office(employment)));
        let legal_entity = context.name(LookupKind::LegalEntity, legal_entity(employment));
        attributes.add(&names.legal_entity, legal_entity);
        let units = map_org_units(employment, context.lookup_names);
        if !units.is_empty() {
            attributes.0.push((Arc::clone(&names.org_units), units.into()));
        }
        if let Some(supervisor) = supervisor(employment)
            && let Some(card) = context.managers.get(supervisor)
        {
            attributes.add(&names.manager_email, card.header.email);
        }
    }

    /// Returns the value of a custom attribute. Returns `None` if the person has no value, the
    /// attribute is personal data, or the value has another type than the configured one.
    pub(crate) fn custom_value(
        &self,
        person: &Person,
        custom: &CustomAttributePolicy,
    ) -> Option<Value> {
        let attribute = self.find_allowed(person, &custom.id)?;
        match convert_custom_value(&attribute.value, custom) {
            Ok(value) => value,
            Err(()) => {
                self.warn_once(
                    &custom.id,
                    "a value does not have the type in the mapping file; it is not served",
                );
                None
            }
        }
    }

    /// Returns the employee number from the custom attribute `id`, if it is a text or a number.
    pub(crate) fn employee_number(&self, person: &Person, id: &str) -> Option<String> {
        match &self.find_allowed(person, id)?.value {
            Value::String(text) => match text.trim() {
                "" => None,
                text => Some(text.to_owned()),
            },
            Value::Number(number) => Some(format_number(number)),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns the custom attribute, unless its id, global id or label names personal data. Only
    /// Personio's response contains all three, so the check of the mapping file is not sufficient.
    fn find_allowed<'p>(&self, person: &'p Person, id: &str) -> Option<&'p CustomAttribute> {
        let attribute = find_attribute(&person.custom_attributes, id)?;
        if is_personal_attribute(attribute) {
            self.warn_once(
                id,
                "the global id or label of this custom attribute is recognised as personal data; \
                 it is not served",
            );
            return None;
        }
        Some(attribute)
    }

    fn warn_once(&self, id: &str, why: &str) {
        if self.warned_ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned()) {
            tracing::warn!(custom_attribute = id, "{why}");
        }
    }
}

/// Returns the attribute with this id, or else the one with this global id. The id has precedence,
/// because a company can give an attribute an id that is the global id of another one.
fn find_attribute<'p>(attributes: &'p [CustomAttribute], id: &str) -> Option<&'p CustomAttribute> {
    match attributes.iter().find(|attribute| attribute.id == id) {
        Some(attribute) => Some(attribute),
        None => attributes.iter().find(|attribute| attribute.global_id.as_deref() == Some(id)),
    }
}

fn map_org_units(employment: &Employment, names: &LookupNames) -> Vec<Value> {
    let mut units: Vec<_> = employment.org_units.iter().collect();
    // Personio guarantees no order, and a different order must not change the user.
    units.sort_by(|one, other| {
        one.unit_type.cmp(&other.unit_type).then_with(|| compare_ids(&one.id, &other.id))
    });
    units.dedup_by(|one, other| one.unit_type == other.unit_type && one.id == other.id);
    let mut values = Vec::with_capacity(units.len());
    for unit in units {
        let (kind, name) = match unit.unit_type.as_deref() {
            Some("DEPARTMENT") => {
                (Some("department".to_owned()), names.get(LookupKind::Department, &unit.id))
            }
            Some("TEAM") => (Some("team".to_owned()), names.get(LookupKind::Team, &unit.id)),
            other => (other.map(str::to_lowercase), None),
        };
        let mut members = Map::new();
        members.insert("value".to_owned(), unit.id.as_str().into());
        if let Some(name) = name {
            members.insert("display".to_owned(), name.into());
        }
        if let Some(kind) = kind {
            members.insert("type".to_owned(), kind.into());
        }
        values.push(Value::Object(members));
    }
    values
}

/// Converts a value to the configured type. Returns `Ok(None)` for an empty value, and an error for
/// a value of another type or for several values of a single-valued attribute.
fn convert_custom_value(
    value: &Value,
    custom: &CustomAttributePolicy,
) -> Result<Option<Value>, ()> {
    let (attribute_type, multi_valued) =
        (custom.definition.attribute_type, custom.definition.multi_valued);
    let values = match value {
        Value::Array(values) => values.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    let mut converted: Vec<Value> = Vec::with_capacity(values.len());
    for value in values {
        converted.extend(convert_single_value(value, attribute_type)?);
    }
    if converted.is_empty() {
        return Ok(None);
    }
    if multi_valued {
        return Ok(Some(Value::Array(converted)));
    }
    if converted.len() > 1 {
        return Err(());
    }
    Ok(converted.pop())
}

fn convert_single_value(value: &Value, attribute_type: AttributeType) -> Result<Option<Value>, ()> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format_number(number),
        Value::Array(_) | Value::Object(_) => return Err(()),
    };
    let value = match attribute_type {
        AttributeType::String => Some(Value::String(text)),
        AttributeType::Boolean => parse_boolean(&text).map(Value::Bool),
        AttributeType::Integer => parse_integer(&text).map(Value::from),
        AttributeType::Decimal => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number.into()),
            Ok(_) | Err(_) => None,
        },
        // The mapping file does not offer these types.
        AttributeType::DateTime | AttributeType::Reference | AttributeType::Complex => None,
    };
    value.map(Some).ok_or(())
}

/// Formats a number as JSON does, but a whole number without a fraction: `42.0` becomes `42`.
fn format_number(number: &Number) -> String {
    if number.is_f64()
        && let Some(float) = number.as_f64()
        && let Some(whole) = to_whole_number(float)
    {
        return whole.to_string();
    }
    number.to_string()
}

/// Parses an integer. A fraction of zero is accepted: `42.0` is 42.
fn parse_integer(text: &str) -> Option<i64> {
    match text.parse() {
        Ok(integer) => Some(integer),
        Err(_) => to_whole_number(text.parse().ok()?),
    }
}

/// Converts a number without a fraction to an integer, up to the largest number that is exact in
/// floating point.
fn to_whole_number(number: f64) -> Option<i64> {
    const MAX_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
    let is_exact = number.fract() == 0.0 && number.abs() <= MAX_EXACT_INTEGER;
    is_exact.then_some(number as i64)
}

/// Parses a boolean: `true` and `false`, 1 and 0, and the words for yes and no in the languages of
/// Personio's interface.
fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "ja" | "oui" | "sí" | "si" | "sì" | "sim" | "tak" => Some(true),
        "false" | "0" | "no" | "nein" | "non" | "nee" | "não" | "nie" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim;

    #[test]
    fn every_attribute_is_described_in_the_schema() {
        let described = scim::extension_attribute_names().unwrap();
        assert_eq!(NAMES, described);
    }

    #[test]
    fn custom_values_convert_to_the_configured_type_or_are_left_out() {
        use AttributeType::{Boolean, Decimal, Integer, String};
        let value = |kind, multi_valued, value: Value| {
            let attribute = scim::CustomAttributeDefinition {
                name: "x".into(),
                attribute_type: kind,
                multi_valued,
            };
            convert_custom_value(
                &value,
                &CustomAttributePolicy { id: "dynamic_1".into(), definition: attribute },
            )
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
    fn exact_id_takes_precedence_over_a_global_id() {
        let attribute = |id: &str, global_id: Option<&str>| CustomAttribute {
            id: id.to_owned(),
            global_id: global_id.map(str::to_owned),
            label: None,
            value: Value::Null,
        };
        let attributes = [
            attribute("dynamic_1", Some("level")),
            attribute("level", None),
            attribute("dynamic_2", Some("grade")),
        ];
        for (id, expected) in [
            ("level", Some("level")),
            ("grade", Some("dynamic_2")),
            ("dynamic_1", Some("dynamic_1")),
            ("rank", None),
        ] {
            assert_eq!(
                find_attribute(&attributes, id).map(|attribute| attribute.id.as_str()),
                expected,
                "{id}"
            );
        }
    }

    #[test]
    fn employee_number_comes_from_a_text_or_a_number() {
        let attributes = ExtensionMapper::new(&MappingPolicy::default());
        for (value, expected) in [
            (json!(" P-7 "), Some("P-7")),
            (json!(42), Some("42")),
            (json!(42.0), Some("42")),
            (json!("42.0"), Some("42.0")),
            (json!(""), None),
            (json!(true), None),
        ] {
            let person =
                json!({"id": "7", "custom_attributes": [{"id": "dynamic_1", "value": value}]});
            let person: Person = serde_json::from_value(person).unwrap();
            assert_eq!(
                attributes.employee_number(&person, "dynamic_1").as_deref(),
                expected,
                "{value}"
            );
        }
    }
}
