//! Visible attributes of a scope: names are resolved to paths, and hidden attributes are removed
//! from the schema documents.

use std::collections::HashSet;

use fixedbitset::FixedBitSet;
use serde_json::Value;

use crate::scim::query::projection::resolve_name;
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::schema::{document_id, suggestion};
use crate::scim::scope::InvalidScope;
use crate::scim::{
    AttributeId, Discovery, GROUP_SCHEMA, InvalidSchemaDocument, PERSONIO_USER_SCHEMA,
    ResourceType, ResourceTypes, SchemaRegistry, USER_SCHEMA,
};

/// Attributes that every resource has. `meta.version` and `meta.location` are needed to read the
/// resource again; they depend on visible values only.
const ALWAYS_VISIBLE: [&str; 5] =
    ["schemas", "id", "meta.resourceType", "meta.location", "meta.version"];

/// Attribute of one user that repeats an attribute of another user.
struct Repetition {
    /// Path, where `P:` stands for the URN of the Personio extension and `E:` for that of the
    /// enterprise extension.
    path: &'static str,
    /// Attribute of the other user.
    origin: &'static str,
}

/// Attributes that are hidden together with their origin.
const REPETITIONS: [Repetition; 3] = [
    Repetition { path: "E:manager.displayName", origin: "displayName" },
    Repetition { path: "P:managerLevels.display", origin: "displayName" },
    Repetition { path: "P:managerEmail", origin: "emails.value" },
];

/// Attribute of groups, and the attribute of users that has the same value.
const GROUP_ORIGINS: [(&str, &str); 2] =
    [("displayName", "groups.display"), ("members.display", "displayName")];

/// Paths of the visible attributes, in the spelling of the schemas.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VisiblePaths {
    pub(super) user: HashSet<String>,
    pub(super) group: HashSet<String>,
}

/// Path of a repetition with its URN written out.
pub(super) fn expanded(path: &str) -> String {
    match path.split_once(':') {
        Some(("P", name)) => format!("{PERSONIO_USER_SCHEMA}:{name}"),
        Some(("E", name)) => format!("{}:{name}", crate::scim::ENTERPRISE_USER_SCHEMA),
        Some(_) | None => path.to_owned(),
    }
}

impl VisiblePaths {
    /// Returns the paths of the named attributes, and of those that every resource has.
    pub(super) fn only(names: &[String], types: &ResourceTypes) -> Result<Self, InvalidScope> {
        let user_type = &types.user;
        let mut marks = Marks::new(user_type);
        let mut named = Vec::new();
        for name in names {
            let ids = resolve(user_type, name, "attributes")?;
            for id in &ids {
                marks.set_within(*id, true);
            }
            named.push((name, ids));
        }
        marks.show_always_visible();
        marks.hide_repetitions();
        for (name, ids) in named {
            if !ids.iter().any(|id| marks.has_visible(*id)) {
                return Err(hidden_origin(user_type, name, &ids));
            }
        }
        Ok(marks.into_paths(types))
    }

    /// Returns the paths of all attributes but the named ones.
    pub(super) fn all_but(names: &[String], types: &ResourceTypes) -> Result<Self, InvalidScope> {
        let user_type = &types.user;
        let mut marks = Marks::new(user_type);
        marks.set_within(ROOT_ATTRIBUTE, true);
        for name in names {
            for id in resolve(user_type, name, "excluded_attributes")? {
                let path = user_type.path(id);
                if ALWAYS_VISIBLE.contains(&path.as_str()) || path == "meta" {
                    return Err(InvalidScope::AlwaysReturned(path));
                }
                marks.set_within(id, false);
            }
        }
        marks.hide_repetitions();
        Ok(marks.into_paths(types))
    }
}

/// Returns the attributes that a name of a scope selects.
fn resolve(
    user_type: &ResourceType,
    name: &str,
    key: &'static str,
) -> Result<Vec<AttributeId>, InvalidScope> {
    let ids = resolve_name(user_type, name);
    if ids.is_empty() {
        let suggestion = suggestion::for_attribute(&[user_type], name);
        return Err(InvalidScope::UnknownAttribute { key, name: name.to_owned(), suggestion });
    }
    Ok(ids)
}

/// Returns the error for a named attribute whose origin is hidden.
fn hidden_origin(user_type: &ResourceType, name: &str, ids: &[AttributeId]) -> InvalidScope {
    let mut origin = "displayName";
    for repetition in &REPETITIONS {
        if let Some(id) = user_type.attribute(&expanded(repetition.path))
            && ids.iter().any(|named| *named == id || user_type.is_within(id, *named))
        {
            origin = repetition.origin;
        }
    }
    InvalidScope::HiddenOrigin { name: name.to_owned(), origin }
}

/// Visible attributes without sub-attributes, of the user type.
struct Marks<'t> {
    user_type: &'t ResourceType,
    leaves: FixedBitSet,
}

impl<'t> Marks<'t> {
    fn new(user_type: &'t ResourceType) -> Self {
        Self { user_type, leaves: FixedBitSet::with_capacity(user_type.len()) }
    }

    /// Marks an attribute, or everything within it.
    fn set_within(&mut self, id: AttributeId, is_visible: bool) {
        let sub_attributes = &self.user_type.get(id).sub_attributes;
        if sub_attributes.is_empty() {
            self.leaves.set(usize::from(id.0), is_visible);
        }
        for sub_attribute in sub_attributes {
            self.set_within(*sub_attribute, is_visible);
        }
    }

    fn set_path(&mut self, path: &str, is_visible: bool) {
        if let Some(id) = self.user_type.attribute(path) {
            self.set_within(id, is_visible);
        }
    }

    fn show_always_visible(&mut self) {
        for path in ALWAYS_VISIBLE {
            self.set_path(path, true);
        }
    }

    /// Hides the attributes that repeat a hidden attribute of another user.
    fn hide_repetitions(&mut self) {
        for Repetition { path, origin } in &REPETITIONS {
            if !self.is_path_visible(origin) {
                self.set_path(&expanded(path), false);
            }
        }
    }

    /// Reports whether an attribute, or a part of it, is visible.
    fn has_visible(&self, id: AttributeId) -> bool {
        has_visible(self.user_type, &self.leaves, id)
    }

    fn is_path_visible(&self, path: &str) -> bool {
        self.user_type.attribute(path).is_some_and(|id| self.has_visible(id))
    }

    /// Returns the visible paths of both types.
    fn into_paths(self, types: &ResourceTypes) -> VisiblePaths {
        let user = visible_paths(&types.user, &self.leaves);
        VisiblePaths { group: self.group_paths(&types.group), user }
    }

    /// Returns the visible paths of groups. The common attributes are visible as in users. Without
    /// visible memberships there are no groups, and their schema stays whole.
    fn group_paths(&self, group_type: &ResourceType) -> HashSet<String> {
        let mut leaves = FixedBitSet::with_capacity(group_type.len());
        leaves.insert_range(..);
        for path in ["externalId", "meta.created", "meta.lastModified"] {
            if let Some(id) = group_type.attribute(path) {
                leaves.set(usize::from(id.0), self.is_path_visible(path));
            }
        }
        if self.is_path_visible("groups.value") {
            for (path, origin) in GROUP_ORIGINS {
                if let Some(id) = group_type.attribute(path) {
                    leaves.set(usize::from(id.0), self.is_path_visible(origin));
                }
            }
        }
        visible_paths(group_type, &leaves)
    }
}

/// Reports whether an attribute, or a part of it, is among the visible leaves.
fn has_visible(resource_type: &ResourceType, leaves: &FixedBitSet, id: AttributeId) -> bool {
    let sub_attributes = &resource_type.get(id).sub_attributes;
    if sub_attributes.is_empty() {
        return leaves.contains(usize::from(id.0));
    }
    sub_attributes.iter().any(|id| has_visible(resource_type, leaves, *id))
}

/// Returns the paths of the visible leaves and of the attributes that contain them.
fn visible_paths(resource_type: &ResourceType, leaves: &FixedBitSet) -> HashSet<String> {
    let mut paths = HashSet::new();
    for id in resource_type.ids().skip(1) {
        if has_visible(resource_type, leaves, id) {
            paths.insert(resource_type.path(id));
        }
    }
    paths
}

/// Returns the registry with the visible attributes of a registry.
pub(super) fn visible_registry(
    full: &SchemaRegistry,
    visible: &VisiblePaths,
) -> Result<SchemaRegistry, InvalidSchemaDocument> {
    let mut discovery: Discovery = full.discovery.clone();
    retain_visible(&mut discovery.common, "", &visible.user);
    let mut empty_extensions = HashSet::new();
    for schema in &mut discovery.schemas {
        let Some(urn) = document_id(schema).map(str::to_owned) else { continue };
        match urn.as_str() {
            USER_SCHEMA => retain_visible(schema, "", &visible.user),
            GROUP_SCHEMA => retain_visible(schema, "", &visible.group),
            extension => {
                retain_visible(schema, &format!("{extension}:"), &visible.user);
                if attributes_of(schema, "attributes").is_none_or(|it| it.is_empty()) {
                    empty_extensions.insert(urn);
                }
            }
        }
    }
    discovery.schemas.retain(|schema| !is_one_of(document_id(schema), &empty_extensions));
    for resource_type in &mut discovery.resource_types {
        if let Some(extensions) = attributes_of(resource_type, "schemaExtensions") {
            extensions.retain(|extension| {
                !is_one_of(extension.get("schema").and_then(Value::as_str), &empty_extensions)
            });
        }
    }
    SchemaRegistry::from_discovery(discovery, full.max_results)
}

fn is_one_of(urn: Option<&str>, urns: &HashSet<String>) -> bool {
    urn.is_some_and(|urn| urns.contains(urn))
}

fn attributes_of<'d>(document: &'d mut Value, member: &str) -> Option<&'d mut Vec<Value>> {
    document.get_mut(member)?.as_array_mut()
}

/// Removes the hidden attributes from a schema document. `prefix` stands before the names in paths.
fn retain_visible(document: &mut Value, prefix: &str, visible: &HashSet<String>) {
    let Some(attributes) = attributes_of(document, "attributes") else { return };
    retain_attributes(attributes, prefix, visible);
}

fn retain_attributes(attributes: &mut Vec<Value>, prefix: &str, visible: &HashSet<String>) {
    attributes.retain_mut(|attribute| {
        let Some(name) = attribute.get("name").and_then(Value::as_str) else { return false };
        let path = format!("{prefix}{name}");
        if !visible.contains(&path) {
            return false;
        }
        if let Some(sub_attributes) = attributes_of(attribute, "subAttributes") {
            retain_attributes(sub_attributes, &format!("{path}."), visible);
        }
        true
    });
}
