//! Which attributes of a resource an answer has (RFC 7644 §3.4.2.5, §3.9).

use crate::scim::resource::{Resource, Value};
use crate::scim::schema::resource_type::RESOURCE;
use crate::scim::{AttributeId, InvalidQuery, ResourceType, Returned, ScimType};

/// The attributes that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// For each attribute of the type; none if the whole resource is asked for.
    shares: Option<Box<[Share]>>,
}

/// How much of an attribute is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Nothing,
    /// Some of its sub-attributes.
    Part,
    Whole,
}

impl Projection {
    /// What `attributes` or `excludedAttributes` leave of a resource of this type. Names that mean nothing
    /// are ignored.
    ///
    /// # Errors
    /// When both are given.
    pub fn new(kind: &ResourceType, attributes: &[String], excluded: &[String]) -> Result<Self, InvalidQuery> {
        if !attributes.is_empty() && !excluded.is_empty() {
            let detail = "attributes and excludedAttributes exclude each other".to_owned();
            return Err(InvalidQuery { scim_type: ScimType::InvalidValue, detail });
        }
        if attributes.is_empty() && excluded.is_empty() && kind.is_returned_whole() {
            return Ok(Self { shares: None });
        }
        let (wanted, unwanted) = (named(kind, attributes), named(kind, excluded));
        let mut shares = vec![Share::Nothing; kind.len()];
        let chosen = |id: AttributeId, inherited: bool| match kind.get(id).returned {
            Returned::Always => true,
            Returned::Never => false,
            Returned::Request => wanted.contains(&id),
            Returned::Default if attributes.is_empty() => inherited && !unwanted.contains(&id),
            Returned::Default => inherited || wanted.contains(&id),
        };
        share(kind, RESOURCE, attributes.is_empty(), &chosen, &mut shares);
        let whole = shares.first() == Some(&Share::Whole);
        Ok(Self { shares: (!whole).then(|| shares.into()) })
    }

    /// The attributes with values of their own that it leaves, in the order of their schemas.
    #[must_use]
    pub fn leaves(&self, kind: &ResourceType) -> Vec<AttributeId> {
        let is_left = |id: AttributeId| match &self.shares {
            None => kind.get(id).returned != Returned::Never,
            Some(shares) => shares.get(usize::from(id.0)).is_some_and(|&share| share != Share::Nothing),
        };
        kind.ids().filter(|&id| id != RESOURCE && kind.get(id).sub_attributes.is_empty() && is_left(id)).collect()
    }

    /// Writes what is asked for of a resource.
    pub fn write(&self, resource: &Resource, json: &mut Vec<u8>) {
        match &self.shares {
            None => json.extend_from_slice(resource.json().as_bytes()),
            Some(shares) => {
                let length = json.len();
                if !write(resource.resource_type(), shares, resource.value(), json) {
                    json.truncate(length);
                    json.extend_from_slice(b"{}");
                }
            }
        }
    }
}

/// The attributes with these names.
fn named(kind: &ResourceType, names: &[String]) -> Vec<AttributeId> {
    let of_name = |name: &String| match kind.attribute(name) {
        Some(id) => vec![id],
        None if is_core(kind, name) => core(kind),
        None => Vec::new(),
    };
    names.iter().flat_map(of_name).collect()
}

/// Whether this is the URN of the core schema alone. Then it can stand in front of `id`.
fn is_core(kind: &ResourceType, name: &str) -> bool {
    name.contains(':') && kind.attribute(&format!("{name}:id")).is_some_and(|id| Some(id) == kind.attribute("id"))
}

/// What a resource has without its extensions. The common attributes "are considered to be part of every
/// base resource schema" (RFC 7643 §3.1).
fn core(kind: &ResourceType) -> Vec<AttributeId> {
    let is_core = |id: &AttributeId| {
        let attribute = kind.get(*id);
        !attribute.name.contains(':') && attribute.returned == Returned::Default
    };
    kind.get(RESOURCE).sub_attributes.iter().copied().filter(is_core).collect()
}

/// Works out the share of an attribute from those of what is in it.
fn share(
    kind: &ResourceType,
    id: AttributeId,
    inherited: bool,
    chosen: &impl Fn(AttributeId, bool) -> bool,
    shares: &mut [Share],
) -> Share {
    let subs = &kind.get(id).sub_attributes;
    let parts: Vec<Share> = subs.iter().map(|&sub| share(kind, sub, chosen(sub, inherited), chosen, shares)).collect();
    let found = match (parts.as_slice(), inherited) {
        ([], true) => Share::Whole,
        ([], false) => Share::Nothing,
        (parts, _) if parts.iter().all(|&part| part == Share::Whole) => Share::Whole,
        (parts, _) if parts.iter().all(|&part| part == Share::Nothing) => Share::Nothing,
        _ => Share::Part,
    };
    if let Some(share) = shares.get_mut(usize::from(id.0)) {
        *share = found;
    }
    found
}

/// Writes the chosen part of a value, and tells whether there was any.
fn write(kind: &ResourceType, shares: &[Share], value: Value<'_>, json: &mut Vec<u8>) -> bool {
    match shares.get(usize::from(value.attribute().0)).copied().unwrap_or(Share::Nothing) {
        Share::Nothing => false,
        Share::Whole => {
            json.extend_from_slice(value.json().as_bytes());
            true
        }
        Share::Part => {
            let (open, close) = if value.is_object() { (b'{', b'}') } else { (b'[', b']') };
            json.push(open);
            let start = json.len();
            for part in value.parts() {
                let before = json.len();
                if before > start {
                    json.push(b',');
                }
                if value.is_object() {
                    json.push(b'"');
                    json.extend_from_slice(kind.get(part.attribute()).name.as_bytes());
                    json.extend_from_slice(b"\":");
                }
                if !write(kind, shares, part, json) {
                    json.truncate(before);
                }
            }
            json.push(close);
            json.len() > start + 1
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    /// A type whose attributes are returned in every way that RFC 7643 §7 knows.
    fn kind() -> Arc<ResourceType> {
        let attribute = |name: &str, returned: &str, subs: &[Value]| {
            let kind = if subs.is_empty() { "string" } else { "complex" };
            json!({
                "name": name,
                "type": kind,
                "multiValued": false,
                "caseExact": false,
                "returned": returned,
                "subAttributes": subs,
            })
        };
        let subs = [attribute("a", "default", &[]), attribute("b", "always", &[]), attribute("c", "request", &[])];
        let schema = json!({
            "id": "urn:test:Thing",
            "attributes": [
                attribute("usual", "default", &[]),
                attribute("constant", "always", &[]),
                attribute("hidden", "never", &[]),
                attribute("asked", "request", &[]),
                attribute("nested", "default", &subs),
            ],
        });
        let document = json!({"name": "Thing", "schema": "urn:test:Thing"});
        Arc::new(ResourceType::new(&document, &[schema]).unwrap())
    }

    #[test]
    fn what_is_returned_follows_the_schema() {
        let kind = kind();
        let thing = json!({
            "id": "1",
            "usual": "u",
            "constant": "k",
            "hidden": "h",
            "asked": "q",
            "nested": {"a": "a", "b": "b", "c": "c"},
        });
        let thing = Resource::new(&kind, &thing).unwrap();
        let names = |list: &str| -> Vec<String> { list.split_whitespace().map(str::to_owned).collect() };
        for (attributes, excluded, expected) in [
            ("", "", json!({"id": "1", "usual": "u", "constant": "k", "nested": {"a": "a", "b": "b"}})),
            ("usual", "", json!({"id": "1", "usual": "u", "constant": "k", "nested": {"b": "b"}})),
            ("asked HIDDEN", "", json!({"id": "1", "constant": "k", "asked": "q", "nested": {"b": "b"}})),
            ("nested", "", json!({"id": "1", "constant": "k", "nested": {"a": "a", "b": "b"}})),
            ("nested.c", "", json!({"id": "1", "constant": "k", "nested": {"b": "b", "c": "c"}})),
            ("", "usual constant id", json!({"id": "1", "constant": "k", "nested": {"a": "a", "b": "b"}})),
            ("urn:test:thing", "", json!({"id": "1", "usual": "u", "constant": "k", "nested": {"a": "a", "b": "b"}})),
            ("urn:test:Thing asked", "", {
                json!({"id": "1", "usual": "u", "constant": "k", "asked": "q", "nested": {"a": "a", "b": "b"}})
            }),
            ("urn:test:Things", "", json!({"id": "1", "constant": "k", "nested": {"b": "b"}})),
            ("", "urn:test:Thing", json!({"id": "1", "constant": "k", "nested": {"b": "b"}})),
            ("", "nested", json!({"id": "1", "usual": "u", "constant": "k", "nested": {"b": "b"}})),
            ("", "nested.a nested.b", json!({"id": "1", "usual": "u", "constant": "k", "nested": {"b": "b"}})),
        ] {
            let mut json = Vec::new();
            Projection::new(&kind, &names(attributes), &names(excluded)).unwrap().write(&thing, &mut json);
            let found: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(found, expected, "{attributes:?} {excluded:?}");
        }
    }
}
