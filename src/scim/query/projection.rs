//! Projection: the attributes of a resource that a response contains (RFC 7644 §3.4.2.5, §3.9).

use crate::scim::resource::{Resource, ResourceValue};
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::{AttributeId, InvalidQuery, ResourceType, Returned, ScimType};

/// Attributes that a response contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Included part of each attribute of the type. None if the whole resource is included.
    parts: Option<Box<[IncludedPart]>>,
}

/// Part of an attribute that is included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IncludedPart {
    Nothing,
    /// Some of the sub-attributes.
    Partial,
    Whole,
}

impl Projection {
    /// Creates the projection of `attributes` or `excludedAttributes` for a resource type. Unknown
    /// names are ignored.
    ///
    /// # Errors
    /// If both are given.
    pub fn new(
        resource_type: &ResourceType,
        attributes: &[String],
        excluded_attributes: &[String],
    ) -> Result<Self, InvalidQuery> {
        if !attributes.is_empty() && !excluded_attributes.is_empty() {
            let detail = "attributes and excludedAttributes exclude each other".to_owned();
            return Err(InvalidQuery { scim_type: ScimType::InvalidValue, detail });
        }
        let is_default = attributes.is_empty();
        if is_default && excluded_attributes.is_empty() && resource_type.is_returned_whole() {
            return Ok(Self { parts: None });
        }
        let selection = Selection {
            resource_type,
            is_default,
            requested: resolve_names(resource_type, attributes),
            excluded: resolve_names(resource_type, excluded_attributes),
        };
        let mut parts = vec![IncludedPart::Nothing; resource_type.len()];
        match selection.mark(ROOT_ATTRIBUTE, is_default, &mut parts) {
            IncludedPart::Whole => Ok(Self { parts: None }),
            IncludedPart::Partial | IncludedPart::Nothing => Ok(Self { parts: Some(parts.into()) }),
        }
    }

    /// Returns the included attributes that have no sub-attributes, in the order of their schemas.
    #[must_use]
    pub fn leaf_attributes(&self, resource_type: &ResourceType) -> Vec<AttributeId> {
        let mut leaves = Vec::new();
        for id in resource_type.ids() {
            let attribute = resource_type.get(id);
            if id == ROOT_ATTRIBUTE || !attribute.sub_attributes.is_empty() {
                continue;
            }
            let is_included = match &self.parts {
                None => attribute.returned != Returned::Never,
                Some(parts) => part_of(parts, id) != IncludedPart::Nothing,
            };
            if is_included {
                leaves.push(id);
            }
        }
        leaves
    }

    /// Appends the included attributes of a resource to `json`.
    pub fn write(&self, resource: &Resource, json: &mut Vec<u8>) {
        let Some(parts) = &self.parts else {
            json.extend_from_slice(resource.json().as_bytes());
            return;
        };
        let writer = PartWriter { resource_type: resource.resource_type(), parts };
        let length = json.len();
        if !writer.write(resource.value(), json) {
            json.truncate(length);
            json.extend_from_slice(b"{}");
        }
    }
}

fn part_of(parts: &[IncludedPart], id: AttributeId) -> IncludedPart {
    parts.get(usize::from(id.0)).copied().unwrap_or(IncludedPart::Nothing)
}

/// Attributes that a client selects from a resource type.
struct Selection<'a> {
    resource_type: &'a ResourceType,
    /// True without `attributes`: the default attributes are included, except the excluded ones.
    is_default: bool,
    requested: Vec<AttributeId>,
    excluded: Vec<AttributeId>,
}

impl Selection<'_> {
    /// Reports whether an attribute is included, given whether its parent is.
    fn includes(&self, id: AttributeId, is_parent_included: bool) -> bool {
        match self.resource_type.get(id).returned {
            Returned::Always => true,
            Returned::Never => false,
            Returned::Request => self.requested.contains(&id),
            Returned::Default => self.includes_default(id, is_parent_included),
        }
    }

    fn includes_default(&self, id: AttributeId, is_parent_included: bool) -> bool {
        if self.is_default {
            is_parent_included && !self.excluded.contains(&id)
        } else {
            is_parent_included || self.requested.contains(&id)
        }
    }

    /// Determines the included part of an attribute and of everything below it, and stores it in
    /// `parts`.
    fn mark(&self, id: AttributeId, is_included: bool, parts: &mut [IncludedPart]) -> IncludedPart {
        let sub_attributes = &self.resource_type.get(id).sub_attributes;
        let mut all_whole = true;
        let mut all_nothing = true;
        for &sub_attribute in sub_attributes {
            let is_sub_included = self.includes(sub_attribute, is_included);
            let part = self.mark(sub_attribute, is_sub_included, parts);
            all_whole &= part == IncludedPart::Whole;
            all_nothing &= part == IncludedPart::Nothing;
        }
        if sub_attributes.is_empty() {
            all_whole = is_included;
        }
        let part = if all_whole {
            IncludedPart::Whole
        } else if all_nothing {
            IncludedPart::Nothing
        } else {
            IncludedPart::Partial
        };
        if let Some(slot) = parts.get_mut(usize::from(id.0)) {
            *slot = part;
        }
        part
    }
}

/// Returns the attributes with these names. The URN of the core schema stands for all its
/// attributes.
fn resolve_names(resource_type: &ResourceType, names: &[String]) -> Vec<AttributeId> {
    let mut ids = Vec::new();
    for name in names {
        ids.append(&mut resolve_name(resource_type, name));
    }
    ids
}

/// Returns the attributes that a name stands for, or none if it is unknown.
pub(in crate::scim) fn resolve_name(resource_type: &ResourceType, name: &str) -> Vec<AttributeId> {
    let mut ids = Vec::new();
    if let Some(id) = resource_type.attribute(name) {
        ids.push(id);
    } else if is_core_schema(resource_type, name) {
        push_core_attributes(resource_type, &mut ids);
    }
    ids
}

/// Reports whether `name` is the URN of the core schema. Then `name:id` is another name of `id`.
fn is_core_schema(resource_type: &ResourceType, name: &str) -> bool {
    if !name.contains(':') {
        return false;
    }
    match resource_type.attribute(&format!("{name}:id")) {
        Some(id) => resource_type.attribute("id") == Some(id),
        None => false,
    }
}

/// Appends the attributes of the core schema, without the extensions. The common attributes "are
/// considered to be part of every base resource schema" (RFC 7643 §3.1).
fn push_core_attributes(resource_type: &ResourceType, ids: &mut Vec<AttributeId>) {
    for &id in &resource_type.get(ROOT_ATTRIBUTE).sub_attributes {
        let attribute = resource_type.get(id);
        let is_extension = attribute.name.contains(':');
        if !is_extension && attribute.returned == Returned::Default {
            ids.push(id);
        }
    }
}

/// Writer of the included parts of a resource.
struct PartWriter<'a> {
    resource_type: &'a ResourceType,
    parts: &'a [IncludedPart],
}

impl PartWriter<'_> {
    /// Appends the included part of a value to `json`, and reports whether there is any.
    fn write(&self, value: ResourceValue<'_>, json: &mut Vec<u8>) -> bool {
        match part_of(self.parts, value.attribute()) {
            IncludedPart::Nothing => false,
            IncludedPart::Whole => {
                json.extend_from_slice(value.json().as_bytes());
                true
            }
            IncludedPart::Partial => self.write_members(value, json),
        }
    }

    /// Appends an object or an array with only the included members.
    fn write_members(&self, value: ResourceValue<'_>, json: &mut Vec<u8>) -> bool {
        let (open, close) = if value.is_object() { (b'{', b'}') } else { (b'[', b']') };
        json.push(open);
        let start = json.len();
        for member in value.children() {
            let before = json.len();
            if before > start {
                json.push(b',');
            }
            if value.is_object() {
                let attribute = self.resource_type.get(member.attribute());
                json.push(b'"');
                json.extend_from_slice(attribute.name.as_bytes());
                json.extend_from_slice(b"\":");
            }
            if !self.write(member, json) {
                json.truncate(before);
            }
        }
        json.push(close);
        json.len() > start + 1
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn attribute(name: &str, returned: &str, sub_attributes: &[Value]) -> Value {
        json!({
            "name": name,
            "type": if sub_attributes.is_empty() { "string" } else { "complex" },
            "multiValued": false,
            "caseExact": false,
            "returned": returned,
            "subAttributes": sub_attributes,
        })
    }

    /// Returns a type with an attribute of each `returned` keyword of RFC 7643 §7.
    fn thing_type() -> Arc<ResourceType> {
        let mut sub_attributes = Vec::new();
        for (name, returned) in [("a", "default"), ("b", "always"), ("c", "request")] {
            sub_attributes.push(attribute(name, returned, &[]));
        }
        let schema = json!({
            "id": "urn:test:Thing",
            "attributes": [
                attribute("usual", "default", &[]),
                attribute("constant", "always", &[]),
                attribute("hidden", "never", &[]),
                attribute("onRequest", "request", &[]),
                attribute("nested", "default", &sub_attributes),
            ],
        });
        let document = json!({"name": "Thing", "schema": "urn:test:Thing"});
        Arc::new(ResourceType::new(&document, &[schema]).unwrap())
    }

    /// Returns the members of `base` and of `more`.
    fn with(mut base: Value, more: Value) -> Value {
        let (Value::Object(members), Value::Object(more)) = (&mut base, more) else { panic!() };
        members.extend(more);
        base
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn returned_attributes_follow_the_schema() {
        let thing_type = thing_type();
        let thing = json!({
            "id": "1",
            "usual": "u",
            "constant": "k",
            "hidden": "h",
            "onRequest": "q",
            "nested": {"a": "a", "b": "b", "c": "c"},
        });
        let thing = Resource::new(&thing_type, &thing).unwrap();
        // Every response contains `id`, `constant` and `nested.b`.
        let always = json!({"id": "1", "constant": "k", "nested": {"b": "b"}});
        let usual = with(always.clone(), json!({"usual": "u"}));
        let nested = with(always.clone(), json!({"nested": {"a": "a", "b": "b"}}));
        let default = with(usual.clone(), nested.clone());
        let on_request = json!({"onRequest": "q"});
        for (attributes, excluded, expected) in [
            ("", "", &default),
            ("usual", "", &usual),
            ("onRequest HIDDEN", "", &with(always.clone(), on_request.clone())),
            ("nested", "", &nested),
            ("nested.c", "", &with(always.clone(), json!({"nested": {"b": "b", "c": "c"}}))),
            ("", "usual constant id", &nested),
            ("urn:test:thing", "", &default),
            ("urn:test:Thing onRequest", "", &with(default.clone(), on_request)),
            ("urn:test:Things", "", &always),
            ("", "urn:test:Thing", &always),
            ("", "nested", &usual),
            ("", "nested.a nested.b", &usual),
        ] {
            let projection = Projection::new(&thing_type, &words(attributes), &words(excluded));
            let mut json = Vec::new();
            projection.unwrap().write(&thing, &mut json);
            let found: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(&found, expected, "{attributes:?} {excluded:?}");
        }
    }
}
