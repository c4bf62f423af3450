//! What a resource looks like in JSON, as a JSON Schema (draft 2020-12). It is made of the documents that
//! `/Schemas` serves, so the two cannot differ.

use serde_json::{Map, Value, json};

use crate::scim::schema::attribute::Definition;
use crate::scim::schema::resource_type::Defined;
use crate::scim::{AttributeType, BrokenDocument, Returned};

/// The JSON Schema of the resources of the type that `document` describes, whose schemas are among `schemas`.
///
/// Only what is always returned is required: of everything else a client may ask for a part.
pub(in crate::scim) fn of(document: &Value, schemas: &[Value]) -> Result<Value, BrokenDocument> {
    let Defined { name, core, extensions, .. } = Defined::new(document, schemas)?;
    let extensions = extensions.into_iter().map(|(urn, attributes)| (urn.into(), object(&attributes, []).into()));
    let mut schema = object(&core, extensions);
    schema.insert("title".to_owned(), json!(name));
    Ok(schema.into())
}

/// An object of these attributes, these other members, and nothing else.
fn object(definitions: &[Definition], others: impl IntoIterator<Item = (String, Value)>) -> Map<String, Value> {
    let served = definitions.iter().filter(|definition| definition.returned != Returned::Never);
    let mut properties: Map<String, Value> =
        served.map(|definition| (definition.name.to_string(), attribute(definition).into())).collect();
    properties.extend(others);
    let always = definitions.iter().filter(|definition| definition.returned == Returned::Always);
    let required: Vec<&str> = always.map(|definition| &*definition.name).collect();
    let mut schema = Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("properties".to_owned(), properties.into()),
        ("additionalProperties".to_owned(), json!(false)),
    ]);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

fn attribute(definition: &Definition) -> Map<String, Value> {
    let Definition { kind, multi_valued, description, canonical_values, sub_attributes, .. } = definition;
    let mut schema = match kind {
        AttributeType::String => simple("string", None),
        AttributeType::Boolean => simple("boolean", None),
        AttributeType::Decimal => simple("number", None),
        AttributeType::Integer => simple("integer", None),
        AttributeType::DateTime => simple("string", Some("date-time")),
        AttributeType::Reference => simple("string", Some("uri")),
        AttributeType::Complex => object(sub_attributes, []),
    };
    if !canonical_values.is_empty() {
        // "Suggested canonical values" (RFC 7643 §7): there may be others.
        schema.insert("examples".to_owned(), json!(canonical_values));
    }
    if *multi_valued {
        let items = ("items".to_owned(), schema.into());
        schema = simple("array", None);
        schema.extend([items]);
    }
    if !description.is_empty() {
        schema.insert("description".to_owned(), json!(description));
    }
    schema
}

fn simple(kind: &str, format: Option<&str>) -> Map<String, Value> {
    let format = format.map(|format| ("format".to_owned(), json!(format)));
    [("type".to_owned(), json!(kind))].into_iter().chain(format).collect()
}
