//! Explanation of a user: the source of each attribute value in Personio's data, as the attribute
//! table states it.

use serde_json::Value;

pub use crate::mapping::attributes::Sensitivity;
use crate::mapping::attributes::custom::describe_custom_attribute;
use crate::mapping::attributes::input::MappingInput;
use crate::mapping::attributes::table;
use crate::scim;
use crate::scim::Resource;

/// Attribute value of a user, with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeExplanation {
    /// Name of the attribute, as in a filter.
    pub attribute: String,
    /// Value: a string, a number or a boolean.
    pub value: Value,
    /// Source of the value, in the terms of Personio's API. `None` for an attribute without a row
    /// in the table.
    pub source: Option<String>,
    /// Sensitivity of the value, for masking.
    pub sensitivity: Sensitivity,
}

/// Returns every value of `user` with its source, in the order of the resource. `input` is the input
/// that the user was made of.
pub(crate) fn explain_user(
    user: &Resource,
    input: &MappingInput<'_>,
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
    input: &MappingInput<'_>,
) -> AttributeExplanation {
    if let Some(leaf) = table::find_leaf(&attribute) {
        let source = Some(leaf.describe_source(input, &value));
        return AttributeExplanation { attribute, value, source, sensitivity: leaf.sensitivity };
    }
    let (source, sensitivity) = match find_custom_attribute(&attribute, input) {
        Some(id) => (Some(describe_custom_attribute(id)), Sensitivity::LargeSet),
        // A value without a known source is masked completely.
        None => (None, Sensitivity::SmallSet),
    };
    AttributeExplanation { attribute, value, source, sensitivity }
}

/// Returns the id of the custom attribute that the company serves under this name.
fn find_custom_attribute<'a>(attribute: &str, input: &MappingInput<'a>) -> Option<&'a str> {
    let name = attribute.strip_prefix(scim::PERSONIO_USER_SCHEMA)?.strip_prefix(':')?;
    let mut all = input.context.policy.custom_attributes.iter();
    let custom = all.find(|custom| custom.definition.name == name)?;
    Some(&custom.id)
}

/// Adds the values of a resource to `leaves`, each with its attribute name.
fn collect_leaves(name: &str, value: &Value, leaves: &mut Vec<(String, Value)>) {
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
