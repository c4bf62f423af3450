//! Values of custom attributes, and the mapper of all attributes that [`User`](crate::scim::User)
//! has no field for.

use std::collections::HashSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Number, Value};

use crate::mapping::attributes::input::MappingInput;
use crate::mapping::attributes::{Attribute, table};
use crate::mapping::personal_data::is_personal_attribute;
use crate::mapping::{
    AttributeOverride, CustomAttributePolicy, CustomSource, MappingPolicy, OverridableAttribute,
};
use crate::personio::model::{CustomAttribute, Person, text};
use crate::scim::{AttributeType, AttributeValues};

/// Mapper of the attributes that users have as a list of names and values. It holds the attribute
/// names, the configured custom attributes, the overrides, and the warnings that were logged.
pub(crate) struct AttributeMapper {
    core: Vec<NamedAttribute>,
    extension: Vec<NamedAttribute>,
    overrides: Vec<AttributeOverride>,
    custom_attributes: Vec<(Arc<str>, CustomAttributePolicy)>,
    /// Ids of custom attributes with a logged warning. Each is logged only once.
    warned_ids: Mutex<HashSet<String>>,
}

/// Row of the table, with its name stored once for all users.
struct NamedAttribute {
    name: Arc<str>,
    attribute: &'static Attribute,
}

/// Value of a custom attribute as the source of an attribute of the standard schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CustomText {
    /// Value that is served. `is_renamed` is set if it has a new value in the mapping file.
    Usable { text: String, is_renamed: bool },
    /// Value of another type or form than the attribute's.
    Unusable,
    /// No value, or personal data.
    Absent,
}

impl NamedAttribute {
    fn all(attributes: &'static [Attribute]) -> Vec<Self> {
        let mut named = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            named.push(Self { name: attribute.name.into(), attribute });
        }
        named
    }
}

impl AttributeMapper {
    pub(crate) fn new(policy: &MappingPolicy) -> Self {
        let mut custom_attributes: Vec<(Arc<str>, CustomAttributePolicy)> =
            Vec::with_capacity(policy.custom_attributes.len());
        for custom in &policy.custom_attributes {
            custom_attributes.push((custom.definition.name.as_str().into(), custom.clone()));
        }
        Self {
            core: NamedAttribute::all(table::CORE),
            extension: NamedAttribute::all(table::EXTENSION),
            overrides: normalized_overrides(policy),
            custom_attributes,
            warned_ids: Mutex::default(),
        }
    }

    /// Returns the attributes of the core schema that the user has no field for.
    pub(crate) fn map_core(&self, input: &MappingInput<'_>) -> AttributeValues {
        let mut values = Vec::with_capacity(self.core.len());
        add_values(&self.core, input, &mut values);
        values.into_iter().collect()
    }

    /// Returns the attributes of the Personio extension.
    pub(crate) fn map_extension(&self, input: &MappingInput<'_>) -> AttributeValues {
        let mut values = Vec::with_capacity(self.extension.len() + self.custom_attributes.len());
        add_values(&self.extension, input, &mut values);
        for (name, custom) in &self.custom_attributes {
            if let Some(value) = self.custom_value(input.person, custom) {
                values.push((Arc::clone(name), value));
            }
        }
        values.into_iter().collect()
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

    /// Returns the company's choice for an attribute of the standard schemas.
    pub(crate) fn find_override(
        &self,
        attribute: OverridableAttribute,
    ) -> Option<&AttributeOverride> {
        self.overrides.iter().find(|chosen| chosen.attribute == attribute)
    }

    /// Returns the value of the custom attribute `source`, as `chosen` serves it.
    pub(crate) fn custom_text(
        &self,
        person: &Person,
        chosen: &AttributeOverride,
        source: &CustomSource,
    ) -> CustomText {
        let Some(attribute) = self.find_allowed(person, &source.id) else {
            return CustomText::Absent;
        };
        let custom_text = convert_to_text(&attribute.value, chosen);
        if custom_text == CustomText::Unusable {
            self.warn_once(
                &source.id,
                "a value does not have the type or form of the attribute that the mapping file \
                 names; it is not served",
            );
        }
        custom_text
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

/// Adds the attributes that have a value to `values`.
fn add_values(
    attributes: &[NamedAttribute],
    input: &MappingInput<'_>,
    values: &mut Vec<(Arc<str>, Value)>,
) {
    for NamedAttribute { name, attribute } in attributes {
        if let Some(value) = attribute.value(input) {
            values.push((Arc::clone(name), value));
        }
    }
}

/// Returns the overrides, with the values in Personio in the form of Personio's texts.
fn normalized_overrides(policy: &MappingPolicy) -> Vec<AttributeOverride> {
    let mut overrides = policy.standard_attributes.overrides.clone();
    for chosen in &mut overrides {
        let new_values = mem::take(&mut chosen.new_values);
        for (value, new_value) in new_values {
            chosen.new_values.insert(text::trimmed(&value).into_owned(), new_value);
        }
    }
    overrides
}

/// Converts a value to the text that `chosen` serves. `true` and `false` need a new value, because
/// they are no meaningful value of any of these attributes.
fn convert_to_text(value: &Value, chosen: &AttributeOverride) -> CustomText {
    let value = match value {
        Value::Array(values) => match values.as_slice() {
            [] => return CustomText::Absent,
            [value] => value,
            [_, _, ..] => return CustomText::Unusable,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            value
        }
    };
    let text = match convert_single_value(value, AttributeType::String) {
        Ok(Some(Value::String(text))) => text,
        Ok(None) => return CustomText::Absent,
        Ok(Some(_)) | Err(()) => return CustomText::Unusable,
    };
    let new_value = chosen.new_values.get(&text);
    if value.is_boolean() && new_value.is_none() {
        return CustomText::Unusable;
    }
    let is_renamed = new_value.is_some();
    match chosen.attribute.form().check(new_value.unwrap_or(&text)) {
        Some(text) => CustomText::Usable { text, is_renamed },
        None => CustomText::Unusable,
    }
}

/// Returns the source of the values of the custom attribute with this id, in the terms of
/// Personio's API.
pub(crate) fn describe_custom_attribute(id: &str) -> String {
    format!("person.custom_attributes with the id {id}")
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
    fn overrides_come_from_a_text_or_a_number_of_the_form_of_the_attribute() {
        use OverridableAttribute::{EmployeeNumber, Locale, Timezone, UserType};
        for (attribute, value, expected) in [
            (EmployeeNumber, json!(" P-7 "), Ok(Some("P-7"))),
            (EmployeeNumber, json!(42), Ok(Some("42"))),
            (EmployeeNumber, json!(42.0), Ok(Some("42"))),
            (EmployeeNumber, json!("42.0"), Ok(Some("42.0"))),
            (EmployeeNumber, json!(""), Ok(None)),
            (EmployeeNumber, json!(true), Err(())),
            (EmployeeNumber, json!(["P-7"]), Ok(Some("P-7"))),
            (EmployeeNumber, json!(["P-7", "P-8"]), Err(())),
            (EmployeeNumber, json!([]), Ok(None)),
            (EmployeeNumber, json!([null]), Ok(None)),
            (EmployeeNumber, json!([[]]), Err(())),
            (EmployeeNumber, json!({"number": 7}), Err(())),
            (UserType, json!("Werkstudent"), Ok(Some("Working student"))),
            (UserType, json!(["Werkstudent"]), Ok(Some("Working student"))),
            (UserType, json!("werkstudent"), Ok(Some("werkstudent"))),
            (UserType, json!("Freelancer"), Ok(Some("Freelancer"))),
            (UserType, json!(true), Ok(Some("Apprentice"))),
            (UserType, json!(false), Err(())),
            (UserType, json!(1), Ok(Some("Level one"))),
            // A value of the mapping file in another form of Unicode.
            (UserType, json!("Gesch\u{e4}ftsf\u{fc}hrer"), Ok(Some("Executive"))),
            (Locale, json!("de_DE"), Ok(Some("de-DE"))),
            (Locale, json!("Deutsch"), Err(())),
            (Timezone, json!("Europe/Berlin"), Ok(Some("Europe/Berlin"))),
            (Timezone, json!("Berlin"), Err(())),
        ] {
            let mut chosen = AttributeOverride::with_source(attribute, "dynamic_1", true);
            if attribute == UserType {
                for (value, new_value) in [
                    ("Werkstudent", "Working student"),
                    ("true", "Apprentice"),
                    ("1", "Level one"),
                    (" Gescha\u{308}ftsfu\u{308}hrer", "Executive"),
                ] {
                    chosen.new_values.insert(value.to_owned(), new_value.to_owned());
                }
            }
            let mut policy = MappingPolicy::default();
            policy.standard_attributes.overrides.push(chosen);
            let mapper = AttributeMapper::new(&policy);
            let person =
                json!({"id": "7", "custom_attributes": [{"id": "dynamic_1", "value": value}]});
            let person: Person = serde_json::from_value(person).unwrap();
            let chosen = mapper.find_override(attribute).unwrap();
            let text = mapper.custom_text(&person, chosen, chosen.source.as_ref().unwrap());
            let text = match &text {
                CustomText::Usable { text, .. } => Ok(Some(text.as_str())),
                CustomText::Absent => Ok(None),
                CustomText::Unusable => Err(()),
            };
            assert_eq!(text, expected, "{attribute:?} {value}");
        }
    }
}
