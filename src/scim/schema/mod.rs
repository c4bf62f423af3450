//! The discovery documents (RFC 7644 §4): read from `scim-schemas/`, completed with what only the
//! running server knows: addresses, the largest page, and the attributes a company added.

pub(crate) mod attribute;
pub(crate) mod json_schema;
pub(crate) mod registry;
pub(crate) mod resource_type;
pub(crate) mod standard_attributes;
pub(crate) mod suggestion;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::scim::{AttributeType, BrokenDocument, Locations, ResourceType, ResourceTypes};

const EXTENSION_SCHEMA: &str = include_str!("../../../scim-schemas/personio-user.json");
const SCHEMAS: [&str; 4] = [
    include_str!("../../../scim-schemas/user.json"),
    include_str!("../../../scim-schemas/enterprise-user.json"),
    EXTENSION_SCHEMA,
    include_str!("../../../scim-schemas/group.json"),
];
const RESOURCE_TYPES: [&str; 2] = [
    include_str!("../../../scim-schemas/resource-type-user.json"),
    include_str!("../../../scim-schemas/resource-type-group.json"),
];
const SERVICE_PROVIDER_CONFIG: &str = include_str!("../../../scim-schemas/service-provider-config.json");

/// An attribute that a company added to the extension of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAttribute {
    /// Its name in the resource.
    pub name: String,
    /// The type of its value or values.
    pub kind: AttributeType,
    /// Whether it is a list of values.
    pub multi_valued: bool,
}

impl CustomAttribute {
    /// Its definition in `/Schemas`, with every characteristic spelled out (RFC 7643 §7).
    fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind.name(),
            "multiValued": self.multi_valued,
            "description": "An attribute that this company chose to serve.",
            "required": false,
            "caseExact": false,
            "mutability": "readOnly",
            "returned": "default",
            "uniqueness": "none",
        })
    }
}

/// The names of the attributes in the extension of our own, before any company adds to them.
///
/// # Errors
/// When the document is no JSON, which a test rules out.
pub fn extension_attributes() -> Result<Vec<String>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    #[derive(Deserialize)]
    struct Schema {
        attributes: Vec<Named>,
    }
    let schema: Schema = serde_json::from_str(EXTENSION_SCHEMA)?;
    Ok(schema.attributes.into_iter().map(|attribute| attribute.name).collect())
}

/// Whether `name` can name an attribute: `ALPHA *(nameChar)` (RFC 7643 §2.1).
#[must_use]
pub fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
}

/// The documents that describe this server.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// `/ServiceProviderConfig` (RFC 7643 §5).
    pub service_provider_config: Value,
    /// `/ResourceTypes` (RFC 7643 §6).
    pub resource_types: Vec<Value>,
    /// `/Schemas` (RFC 7643 §7).
    pub schemas: Vec<Value>,
    /// Where all of it is.
    pub locations: Locations,
}

impl Discovery {
    /// The documents of a server at `locations` with pages of at most `max_results` and the
    /// company's `custom` attributes.
    ///
    /// # Errors
    /// When a document in `scim-schemas/` is no JSON object, which a test rules out.
    pub fn new(
        locations: &Locations,
        max_results: usize,
        custom: &[CustomAttribute],
    ) -> Result<Self, serde_json::Error> {
        let read = |text: &str, endpoint: Option<&str>| -> Result<Value, serde_json::Error> {
            let mut document: Map<String, Value> = serde_json::from_str(text)?;
            let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
            let path = endpoint.map_or("ServiceProviderConfig".to_owned(), |endpoint| format!("{endpoint}/{id}"));
            set(&mut document, &["meta", "location"], locations.document(&path).into());
            Ok(Value::Object(document))
        };
        let mut service_provider_config = read(SERVICE_PROVIDER_CONFIG, None)?;
        if let Value::Object(document) = &mut service_provider_config {
            set(document, &["filter", "maxResults"], max_results.into());
            set(document, &["pagination", "defaultPageSize"], max_results.into());
            set(document, &["pagination", "maxPageSize"], max_results.into());
        }
        let mut schemas = SCHEMAS.iter().map(|text| read(text, Some("Schemas"))).collect::<Result<Vec<_>, _>>()?;
        let extension = schemas.iter_mut().find(|schema| schema.get("id") == Some(&json!(crate::scim::EXTENSION_USER)));
        if let Some(Value::Array(attributes)) = extension.and_then(|schema| schema.get_mut("attributes")) {
            attributes.extend(custom.iter().map(CustomAttribute::definition));
        }
        let resource_types =
            RESOURCE_TYPES.iter().map(|text| read(text, Some("ResourceTypes"))).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { service_provider_config, resource_types, schemas, locations: locations.clone() })
    }

    /// The types that are served, compiled from their documents.
    ///
    /// # Errors
    /// When the documents do not fit together, which a test rules out.
    pub fn compiled(&self) -> Result<ResourceTypes, BrokenDocument> {
        let compiled = |id: &str| {
            let document = self.resource_type(id).ok_or_else(|| BrokenDocument::NoSchema(id.into()))?;
            ResourceType::new(document, &self.schemas).map(Arc::new)
        };
        Ok(ResourceTypes { user: compiled("User")?, group: compiled("Group")? })
    }

    /// What a resource of the type with this id looks like in JSON, as a JSON Schema.
    ///
    /// # Errors
    /// When the documents do not fit together, which a test rules out.
    pub fn json_schema(&self, id: &str) -> Result<Value, BrokenDocument> {
        let document = self.resource_type(id).ok_or_else(|| BrokenDocument::NoSchema(id.into()))?;
        json_schema::of(document, &self.schemas)
    }

    /// The schema with this URN, which is matched without regard to case (RFC 8141 §3.1 for its
    /// beginning; clients vary in the rest).
    #[must_use]
    pub fn schema(&self, urn: &str) -> Option<&Value> {
        by_id(&self.schemas, |id| id.eq_ignore_ascii_case(urn))
    }

    /// The resource type with this id.
    #[must_use]
    pub fn resource_type(&self, id: &str) -> Option<&Value> {
        by_id(&self.resource_types, |known| known == id)
    }
}

fn by_id(documents: &[Value], matches: impl Fn(&str) -> bool) -> Option<&Value> {
    documents.iter().find(|document| document.get("id").and_then(Value::as_str).is_some_and(&matches))
}

/// Sets a member of a nested object, making the objects on the way.
fn set(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            object.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            if let Value::Object(inner) = object.entry(*first).or_insert_with(|| json!({})) {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(custom: &[CustomAttribute]) -> Discovery {
        Discovery::new(&Locations::new("https://scim.example.com/scim/v2/"), 1234, custom).unwrap()
    }

    /// Every attribute and sub-attribute of a schema, with the path to it.
    fn attributes<'a>(path: &str, definition: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        for member in ["attributes", "subAttributes"] {
            for attribute in definition[member].as_array().into_iter().flatten() {
                let path = format!("{path}/{}", attribute["name"].as_str().unwrap());
                attributes(&path, attribute, found);
                found.push((path, attribute));
            }
        }
    }

    #[test]
    fn every_attribute_spells_out_its_characteristics() {
        let custom = [CustomAttribute { name: "badge".into(), kind: AttributeType::Integer, multi_valued: true }];
        let discovery = discovery(&custom);
        let mut found = Vec::new();
        for schema in &discovery.schemas {
            attributes(schema["id"].as_str().unwrap(), schema, &mut found);
        }
        assert!(found.iter().any(|(path, _)| path.ends_with("personio:2.0:User/badge")));
        assert!(found.len() > 40, "{}", found.len());
        for (path, attribute) in found {
            for flag in ["multiValued", "required", "caseExact"] {
                assert!(attribute[flag].is_boolean(), "{path}: {flag}");
            }
            for word in ["type", "mutability", "returned", "uniqueness", "description"] {
                assert!(attribute[word].as_str().is_some_and(|text| !text.is_empty()), "{path}: {word}");
            }
            assert_eq!(attribute["mutability"], "readOnly", "{path}");
        }
    }

    #[test]
    fn a_schema_is_found_by_its_urn_in_any_case() {
        let discovery = discovery(&[]);
        assert!(discovery.schema(&crate::scim::EXTENSION_USER.to_uppercase()).is_some());
        assert!(extension_attributes().unwrap().contains(&"hireDate".to_owned()));
    }

    #[test]
    fn what_resource_types_name_is_described() {
        let discovery = discovery(&[]);
        for resource_type in &discovery.resource_types {
            let extensions = resource_type["schemaExtensions"].as_array().into_iter().flatten();
            for urn in extensions.map(|extension| &extension["schema"]).chain([&resource_type["schema"]]) {
                assert!(discovery.schema(urn.as_str().unwrap()).is_some(), "{urn}");
            }
        }
        assert_eq!(discovery.service_provider_config["filter"]["maxResults"], 1234);
        assert_eq!(
            discovery.resource_types[0]["meta"]["location"],
            "https://scim.example.com/scim/v2/ResourceTypes/User"
        );
    }

    #[test]
    fn attribute_names_are_those_of_the_rfc() {
        for (name, valid) in
            [("badge", true), ("a-b_9", true), ("9a", false), ("", false), ("a b", false), ("größe", false)]
        {
            assert_eq!(is_attribute_name(name), valid, "{name}");
        }
    }
}
