//! Schemas and resource types, from their JSON documents to the form that queries use.
//!
//! - [`Discovery`]: the documents of the discovery endpoints (RFC 7644 §4). They are read from
//!   `scim-schemas/` and completed with the values of the running server: addresses, the largest
//!   page size, and the attributes that a company added.
//! - [`resource_type`]: a resource type compiled from its documents; [`attribute`]: its attributes.
//! - [`registry`]: documents and compiled types together.
//! - [`json_schema`]: the same documents as a JSON Schema, for the OpenAPI document.
//! - [`standard_attributes`]: attributes of RFC 7643 that filters may name although no resource has
//!   them; [`suggestion`]: "did you mean" for the others.

pub(crate) mod attribute;
pub(crate) mod json_schema;
pub(crate) mod registry;
pub(crate) mod resource_type;
pub(crate) mod standard_attributes;
pub(crate) mod suggestion;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::scim::schema::resource_type::{SchemaDocument, TypeDefinition};
use crate::scim::{
    AttributeType, InvalidSchemaDocument, PERSONIO_USER_SCHEMA, ResourceType, ResourceTypes,
    ResourceUrls,
};

/// Document of the attributes that every resource has.
const COMMON_ATTRIBUTES: &str = include_str!("../../../scim-schemas/common.json");
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
const SERVICE_PROVIDER_CONFIG: &str =
    include_str!("../../../scim-schemas/service-provider-config.json");

/// Attribute that a company added to the Personio extension schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomAttributeDefinition {
    /// Name in the resource.
    pub name: String,
    /// Type of the value, or of each value if there are several.
    pub attribute_type: AttributeType,
    /// True if the attribute has a list of values.
    pub multi_valued: bool,
}

impl CustomAttributeDefinition {
    /// Returns the definition in `/Schemas`, with every characteristic written out (RFC 7643 §7).
    fn schema_document(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.attribute_type.name(),
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

/// Returns the names of the attributes that the Personio extension schema has for every company.
///
/// # Errors
/// Returns an error if the document is invalid, which a test rules out.
pub fn extension_attribute_names() -> Result<Vec<String>, serde_json::Error> {
    let schema: SchemaDocument = serde_json::from_str(EXTENSION_SCHEMA)?;
    Ok(schema.attributes.into_iter().map(|attribute| attribute.name.into()).collect())
}

/// Reports whether `name` can name an attribute: `ALPHA *(nameChar)` (RFC 7643 §2.1).
#[must_use]
pub fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
}

/// Documents of the discovery endpoints.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Document of `/ServiceProviderConfig` (RFC 7643 §5).
    pub service_provider_config: Value,
    /// Documents of `/ResourceTypes` (RFC 7643 §6).
    pub resource_types: Vec<Value>,
    /// Documents of `/Schemas` (RFC 7643 §7).
    pub schemas: Vec<Value>,
    /// Document of the attributes that every resource has. No endpoint serves it.
    pub(in crate::scim) common: Value,
    /// Addresses of the SCIM endpoints.
    pub urls: ResourceUrls,
}

impl Discovery {
    /// Builds the documents of a server at `urls` with pages of at most `max_results` and the
    /// company's `custom` attributes.
    ///
    /// # Errors
    /// Returns an error if a document in `scim-schemas/` is not a JSON object, which a test rules
    /// out.
    pub fn new(
        urls: &ResourceUrls,
        max_results: usize,
        custom: &[CustomAttributeDefinition],
    ) -> Result<Self, serde_json::Error> {
        let mut schemas = parse_documents(&SCHEMAS, "Schemas", urls)?;
        for schema in &mut schemas {
            if document_id(schema) != Some(PERSONIO_USER_SCHEMA) {
                continue;
            }
            if let Some(Value::Array(attributes)) = schema.get_mut("attributes") {
                attributes.extend(custom.iter().map(CustomAttributeDefinition::schema_document));
            }
        }
        Ok(Self {
            service_provider_config: service_provider_config(max_results, urls)?,
            resource_types: parse_documents(&RESOURCE_TYPES, "ResourceTypes", urls)?,
            schemas,
            common: serde_json::from_str(COMMON_ATTRIBUTES)?,
            urls: urls.clone(),
        })
    }

    /// Compiles the resource types from their documents.
    ///
    /// # Errors
    /// Returns an error if a document is missing or invalid, which a test rules out.
    pub fn compile_types(&self) -> Result<ResourceTypes, InvalidSchemaDocument> {
        let user = ResourceType::compile(self.definition("User")?);
        let group = ResourceType::compile(self.definition("Group")?);
        Ok(ResourceTypes { user: Arc::new(user), group: Arc::new(group) })
    }

    /// Returns the JSON Schema of the resources of the type with this id.
    ///
    /// # Errors
    /// Returns an error if a document is missing or invalid, which a test rules out.
    pub fn json_schema(&self, id: &str) -> Result<Value, InvalidSchemaDocument> {
        Ok(json_schema::for_resource_type(&self.definition(id)?))
    }

    /// Returns the schema with this URN, compared without regard to case: RFC 8141 §3.1 demands it
    /// for the beginning of a URN, and clients also vary the rest.
    #[must_use]
    pub fn schema(&self, urn: &str) -> Option<&Value> {
        let mut schemas = self.schemas.iter();
        schemas.find(|schema| document_id(schema).is_some_and(|id| id.eq_ignore_ascii_case(urn)))
    }

    /// Returns the document of the resource type with this id.
    #[must_use]
    pub fn resource_type(&self, id: &str) -> Option<&Value> {
        self.resource_types.iter().find(|document| document_id(document) == Some(id))
    }

    /// Parses the documents of a resource type.
    fn definition(&self, id: &str) -> Result<TypeDefinition, InvalidSchemaDocument> {
        let Some(document) = self.resource_type(id) else {
            return Err(InvalidSchemaDocument::UnknownSchema(id.into()));
        };
        TypeDefinition::parse(document, &self.schemas, &self.common)
    }
}

/// Parses the documents of one endpoint and sets the `meta.location` of each.
fn parse_documents(
    texts: &[&str],
    endpoint: &str,
    urls: &ResourceUrls,
) -> Result<Vec<Value>, serde_json::Error> {
    let mut documents = Vec::with_capacity(texts.len());
    for text in texts {
        let mut document: Map<String, Value> = serde_json::from_str(text)?;
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        let location = urls.document(&format!("{endpoint}/{id}"));
        set_member(&mut document, &["meta", "location"], location.into());
        documents.push(Value::Object(document));
    }
    Ok(documents)
}

fn service_provider_config(
    max_results: usize,
    urls: &ResourceUrls,
) -> Result<Value, serde_json::Error> {
    let mut document: Map<String, Value> = serde_json::from_str(SERVICE_PROVIDER_CONFIG)?;
    let location = urls.document("ServiceProviderConfig");
    set_member(&mut document, &["meta", "location"], location.into());
    set_member(&mut document, &["filter", "maxResults"], max_results.into());
    set_member(&mut document, &["pagination", "defaultPageSize"], max_results.into());
    set_member(&mut document, &["pagination", "maxPageSize"], max_results.into());
    Ok(Value::Object(document))
}

pub(in crate::scim) fn document_id(document: &Value) -> Option<&str> {
    document.get("id")?.as_str()
}

/// Sets a member of a nested object, and creates the objects on the path to it.
fn set_member(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [last] => {
            object.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            if let Value::Object(inner) = object.entry(*first).or_insert_with(|| json!({})) {
                set_member(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovery(custom: &[CustomAttributeDefinition]) -> Discovery {
        Discovery::new(&ResourceUrls::new("https://scim.example.com/scim/v2/"), 1234, custom)
            .unwrap()
    }

    /// Collects every attribute and sub-attribute of a schema, with the path to it.
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
    fn every_attribute_writes_out_its_characteristics() {
        let (name, attribute_type) = ("badge".to_owned(), AttributeType::Integer);
        let badge = CustomAttributeDefinition { name, attribute_type, multi_valued: true };
        let discovery = discovery(&[badge]);
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
                let text = attribute[word].as_str();
                assert!(text.is_some_and(|text| !text.is_empty()), "{path}: {word}");
            }
            assert_eq!(attribute["mutability"], "readOnly", "{path}");
        }
    }

    #[test]
    fn schema_urn_matches_in_any_case() {
        let discovery = discovery(&[]);
        assert!(discovery.schema(&PERSONIO_USER_SCHEMA.to_uppercase()).is_some());
        assert!(extension_attribute_names().unwrap().contains(&"hireDate".to_owned()));
    }

    #[test]
    fn every_schema_of_a_resource_type_exists() {
        let discovery = discovery(&[]);
        for resource_type in &discovery.resource_types {
            let extensions = resource_type["schemaExtensions"].as_array().into_iter().flatten();
            let urns = extensions.map(|extension| &extension["schema"]);
            for urn in urns.chain([&resource_type["schema"]]) {
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
    fn attribute_names_follow_the_grammar_of_the_rfc() {
        for valid in ["badge", "a-b_9", "B"] {
            assert!(is_attribute_name(valid), "{valid}");
        }
        for invalid in ["9a", "", "a b", "größe"] {
            assert!(!is_attribute_name(invalid), "{invalid}");
        }
    }
}
