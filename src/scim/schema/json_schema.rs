//! JSON Schema (draft 2020-12) of the resources. It is built from the documents that `/Schemas`
//! returns, so the two cannot differ.

use serde_json::{Map, Value, json};

use crate::scim::schema::attribute::AttributeDefinition;
use crate::scim::schema::resource_type::{ExtensionDefinition, TypeDefinition};
use crate::scim::{AttributeType, Returned};

/// Returns the JSON Schema of a resource type.
///
/// Only attributes that are always returned are required, because a client may request any subset
/// of the others.
pub(in crate::scim) fn for_resource_type(definition: &TypeDefinition) -> Value {
    let mut schema = object_schema(&definition.core, &definition.extensions);
    schema.insert("title".to_owned(), json!(definition.name));
    schema.into()
}

/// Returns the schema of an object with these attributes and extensions, and no other member.
fn object_schema(
    attributes: &[AttributeDefinition],
    extensions: &[ExtensionDefinition],
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for attribute in attributes {
        if attribute.returned != Returned::Never {
            properties.insert(attribute.name.to_string(), attribute_schema(attribute).into());
        }
        if attribute.returned == Returned::Always {
            required.push(&attribute.name);
        }
    }
    for extension in extensions {
        let schema = object_schema(&extension.attributes, &[]);
        properties.insert(extension.urn.to_string(), schema.into());
    }
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties.into());
    schema.insert("additionalProperties".to_owned(), json!(false));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn attribute_schema(attribute: &AttributeDefinition) -> Map<String, Value> {
    let mut schema = match attribute.attribute_type {
        AttributeType::String => simple_schema("string", None),
        AttributeType::Boolean => simple_schema("boolean", None),
        AttributeType::Decimal => simple_schema("number", None),
        AttributeType::Integer => simple_schema("integer", None),
        AttributeType::DateTime => simple_schema("string", Some("date-time")),
        AttributeType::Reference => simple_schema("string", Some("uri")),
        AttributeType::Complex => object_schema(&attribute.sub_attributes, &[]),
    };
    if !attribute.canonical_values.is_empty() {
        // Canonical values are suggestions (RFC 7643 §7), so `enum` would be too strict.
        schema.insert("examples".to_owned(), json!(attribute.canonical_values));
    }
    if attribute.multi_valued {
        let element_schema = schema;
        schema = simple_schema("array", None);
        schema.insert("items".to_owned(), element_schema.into());
    }
    if !attribute.description.is_empty() {
        schema.insert("description".to_owned(), json!(attribute.description));
    }
    schema
}

fn simple_schema(json_type: &str, format: Option<&str>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!(json_type));
    if let Some(format) = format {
        schema.insert("format".to_owned(), json!(format));
    }
    schema
}
