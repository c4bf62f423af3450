//! Resource types (RFC 7643 §6), compiled from the documents in `scim-schemas/`: the attributes of
//! a type with their ids, types and paths.
//!
//! [`TypeDefinition`] collects the parsed documents of a type, [`ResourceType::new`] compiles them.
//! A [`ResourceType`] then resolves the attribute names of clients to ids, and ids to paths.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::scim::resource::shape::ShapeInterner;
use crate::scim::schema::attribute::{AttributeDefinition, SchemaAttribute};
use crate::scim::schema::{COMMON_ATTRIBUTES, document_id};
use crate::scim::{AttributeId, AttributeType, Returned};

/// Compiled resource type.
#[derive(Debug)]
pub struct ResourceType {
    name: Box<str>,
    /// URN of the core schema.
    schema: Box<str>,
    /// All attributes, the resource itself first, each after the one that contains it.
    attributes: Vec<SchemaAttribute>,
    /// True if a response to a request without `attributes` contains every attribute.
    returned_whole: bool,
    well_known: WellKnownAttributes,
    shapes: ShapeInterner,
}

/// Ids of the attributes that this program reads by name, as far as the type has them.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::scim) struct WellKnownAttributes {
    pub(in crate::scim) id: Option<AttributeId>,
    pub(in crate::scim) version: Option<AttributeId>,
    pub(in crate::scim) location: Option<AttributeId>,
    pub(in crate::scim) created: Option<AttributeId>,
    pub(in crate::scim) last_modified: Option<AttributeId>,
    pub(in crate::scim) user_name: Option<AttributeId>,
    /// Id of `emails.value`.
    pub(in crate::scim) email: Option<AttributeId>,
    /// Id of `managerEmail` of the Personio extension.
    pub(in crate::scim) manager_email: Option<AttributeId>,
}

/// Resource types of this server.
#[derive(Debug, Clone)]
pub struct ResourceTypes {
    /// User type (RFC 7643 §4.1).
    pub user: Arc<ResourceType>,
    /// Group type (RFC 7643 §4.2).
    pub group: Arc<ResourceType>,
}

/// Reason for which a schema or resource type document cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchemaDocument {
    /// Document that is not JSON of the form of RFC 7643.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    /// Document or schema that is referenced, but does not exist.
    #[error("unknown schema {0}: expected the id of a document in scim-schemas/")]
    UnknownSchema(Box<str>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceTypeDocument {
    name: Box<str>,
    schema: Box<str>,
    #[serde(default)]
    schema_extensions: Vec<ExtensionReference>,
}

#[derive(Deserialize)]
struct ExtensionReference {
    schema: Box<str>,
}

#[derive(Deserialize)]
pub(in crate::scim) struct SchemaDocument {
    pub(in crate::scim) attributes: Vec<AttributeDefinition>,
}

/// Definition of a resource type: its parsed documents.
pub(in crate::scim) struct TypeDefinition {
    pub(in crate::scim) name: Box<str>,
    /// URN of the core schema.
    pub(in crate::scim) schema: Box<str>,
    /// Attributes that every resource has, then those of the core schema.
    pub(in crate::scim) core: Vec<AttributeDefinition>,
    pub(in crate::scim) extensions: Vec<ExtensionDefinition>,
}

/// Definition of a schema extension of a resource type.
pub(in crate::scim) struct ExtensionDefinition {
    pub(in crate::scim) urn: Box<str>,
    pub(in crate::scim) attributes: Vec<AttributeDefinition>,
}

impl TypeDefinition {
    pub(in crate::scim) fn parse(
        document: &Value,
        schemas: &[Value],
        common: &Value,
    ) -> Result<Self, InvalidSchemaDocument> {
        let document = ResourceTypeDocument::deserialize(document)?;
        let SchemaDocument { attributes: mut core } = SchemaDocument::deserialize(common)?;
        core.extend(schema_attributes(&document.schema, schemas)?);
        let mut extensions = Vec::with_capacity(document.schema_extensions.len());
        for ExtensionReference { schema: urn } in document.schema_extensions {
            let attributes = schema_attributes(&urn, schemas)?;
            extensions.push(ExtensionDefinition { urn, attributes });
        }
        Ok(Self { name: document.name, schema: document.schema, core, extensions })
    }
}

/// Parses the attributes of the schema with this URN.
fn schema_attributes(
    urn: &str,
    schemas: &[Value],
) -> Result<Vec<AttributeDefinition>, InvalidSchemaDocument> {
    let Some(schema) = schemas.iter().find(|schema| document_id(schema) == Some(urn)) else {
        return Err(InvalidSchemaDocument::UnknownSchema(urn.into()));
    };
    Ok(SchemaDocument::deserialize(schema)?.attributes)
}

/// Id of the resource itself, which contains all attributes.
pub(in crate::scim) const ROOT_ATTRIBUTE: AttributeId = AttributeId(0);

impl ResourceType {
    /// Compiles the resource type that `document` describes and whose schemas are among `schemas`.
    ///
    /// # Errors
    /// Returns an error if a document is invalid or missing, which a test rules out for the
    /// documents of this program.
    pub fn new(document: &Value, schemas: &[Value]) -> Result<Self, InvalidSchemaDocument> {
        let common = serde_json::from_str(COMMON_ATTRIBUTES)?;
        Ok(Self::compile(TypeDefinition::parse(document, schemas, &common)?))
    }

    /// Compiles a definition.
    pub(in crate::scim) fn compile(definition: TypeDefinition) -> Self {
        let mut compiled = Self {
            name: definition.name,
            schema: definition.schema,
            attributes: Vec::new(),
            returned_whole: false,
            well_known: WellKnownAttributes::default(),
            shapes: ShapeInterner::default(),
        };
        let resource = compiled.push(container(compiled.name.clone(), None));
        for attribute in definition.core {
            compiled.add(resource, attribute);
        }
        for extension in definition.extensions {
            let id = compiled.push(container(extension.urn, Some(resource)));
            for attribute in extension.attributes {
                compiled.add(id, attribute);
            }
        }
        compiled.returned_whole = compiled
            .attributes
            .iter()
            .all(|attribute| matches!(attribute.returned, Returned::Always | Returned::Default));
        let manager_email = format!("{}:managerEmail", crate::scim::PERSONIO_USER_SCHEMA);
        compiled.well_known = WellKnownAttributes {
            id: compiled.attribute("id"),
            version: compiled.attribute("meta.version"),
            location: compiled.attribute("meta.location"),
            created: compiled.attribute("meta.created"),
            last_modified: compiled.attribute("meta.lastModified"),
            user_name: compiled.attribute("userName"),
            email: compiled.attribute("emails.value"),
            manager_email: compiled.attribute(&manager_email),
        };
        compiled
    }

    /// Adds an attribute with its sub-attributes to `parent`.
    fn add(&mut self, parent: AttributeId, definition: AttributeDefinition) {
        let id = self.push(SchemaAttribute {
            name: definition.name,
            attribute_type: definition.attribute_type,
            multi_valued: definition.multi_valued,
            case_exact: definition.case_exact,
            returned: definition.returned,
            parent: Some(parent),
            sub_attributes: Vec::new(),
        });
        for sub_attribute in definition.sub_attributes {
            self.add(id, sub_attribute);
        }
    }

    fn push(&mut self, attribute: SchemaAttribute) -> AttributeId {
        let id = AttributeId(u16::try_from(self.attributes.len()).unwrap_or(u16::MAX));
        if let Some(parent) = attribute.parent
            && let Some(parent) = self.attributes.get_mut(usize::from(parent.0))
        {
            parent.sub_attributes.push(id);
        }
        self.attributes.push(attribute);
        id
    }

    /// Returns the name of the type: `User`, `Group`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URN of the core schema.
    pub(in crate::scim) fn schema(&self) -> &str {
        &self.schema
    }

    /// Returns the URNs of the extensions, then that of the core schema.
    pub(in crate::scim) fn schemas(&self) -> impl Iterator<Item = &str> {
        self.extensions().map(|(_, urn)| urn).chain([self.schema()])
    }

    /// Returns the id and URN of each extension.
    fn extensions(&self) -> impl Iterator<Item = (AttributeId, &str)> {
        let members = self.get(ROOT_ATTRIBUTE).sub_attributes.iter();
        let named = members.map(|id| (*id, &*self.get(*id).name));
        named.filter(|(_, name)| is_extension_urn(name))
    }

    /// Reports whether the core schema or an extension has this URN.
    pub(in crate::scim) fn has_schema(&self, urn: &str) -> bool {
        self.schemas().any(|schema| schema == urn)
    }

    /// Reports whether a response to a request without `attributes` contains every attribute.
    pub(in crate::scim) fn is_returned_whole(&self) -> bool {
        self.returned_whole
    }

    pub(in crate::scim) fn well_known(&self) -> WellKnownAttributes {
        self.well_known
    }

    /// Reports whether the values of an attribute are e-mail addresses, or are used like them.
    pub(in crate::scim) fn holds_email_addresses(&self, id: AttributeId) -> bool {
        let WellKnownAttributes { user_name, email, manager_email, .. } = self.well_known;
        [user_name, email, manager_email].contains(&Some(id))
    }

    /// Returns the shapes that the resources of this type share.
    pub(in crate::scim) fn shapes(&self) -> &ShapeInterner {
        &self.shapes
    }

    /// Resolves the attribute name of a client: `userName`, `name.familyName`, either of them after
    /// the URN of its schema, or the URN of an extension alone. Case is ignored (RFC 7643 §2.1, RFC
    /// 7644 §3.10). A name without a URN never means an attribute of an extension. The common
    /// attributes may follow the URN of the core schema.
    #[must_use]
    pub fn attribute(&self, path: &str) -> Option<AttributeId> {
        if !path.contains(':') {
            return self.attribute_in(ROOT_ATTRIBUTE, path);
        }
        let (container, names) = self.split_urn(path)?;
        if names.is_empty() {
            return Some(container);
        }
        self.attribute_in(container, names)
    }

    /// Resolves a name, or two names with a dot between them, within the resource or an extension.
    fn attribute_in(&self, container: AttributeId, names: &str) -> Option<AttributeId> {
        match names.split_once('.') {
            None => self.sub_attribute(container, names),
            Some((name, sub)) => self.sub_attribute(self.sub_attribute(container, name)?, sub),
        }
    }

    /// Splits a path after its URN. The first part of the result is the extension with this URN,
    /// or the resource itself if it is the URN of the core schema; the second part is the names
    /// after the URN. Only the URN of an extension is complete without names.
    fn split_urn<'p>(&self, path: &'p str) -> Option<(AttributeId, &'p str)> {
        for (container, urn) in self.extensions().chain([(ROOT_ATTRIBUTE, self.schema())]) {
            let Some((start, rest)) = path.split_at_checked(urn.len()) else { continue };
            if !start.eq_ignore_ascii_case(urn) {
                continue;
            }
            if rest.is_empty() && container != ROOT_ATTRIBUTE {
                return Some((container, rest));
            }
            if let Some(names) = rest.strip_prefix(':')
                && !names.is_empty()
            {
                return Some((container, names));
            }
        }
        None
    }

    /// Returns the attribute called `name` within `holder`. Case is ignored.
    pub(in crate::scim) fn sub_attribute(
        &self,
        holder: AttributeId,
        name: &str,
    ) -> Option<AttributeId> {
        let mut candidates = self.get(holder).sub_attributes.iter().copied();
        candidates.find(|&id| self.get(id).name.eq_ignore_ascii_case(name))
    }

    /// Returns the attribute called `name` within `holder`, and moves `next` to the
    /// index after it. The search begins at `next`: the members of a resource mostly come in the
    /// order of the schema, so that the first comparison usually succeeds.
    pub(in crate::scim) fn sub_attribute_from(
        &self,
        holder: AttributeId,
        name: &[u8],
        next: &mut usize,
    ) -> Option<AttributeId> {
        let all = &self.get(holder).sub_attributes;
        let (earlier, later) = all.split_at_checked(*next).unwrap_or((all, &[]));
        for (offset, id) in later.iter().chain(earlier).enumerate() {
            let known = self.get(*id).name.as_bytes();
            // The exact comparison is faster, and mostly succeeds.
            if known == name || known.eq_ignore_ascii_case(name) {
                *next = (*next + offset) % all.len() + 1;
                return Some(*id);
            }
        }
        None
    }

    /// Returns the attribute with this id, which must be one of this type.
    #[expect(clippy::indexing_slicing, reason = "ids are made here, one for each attribute")]
    pub(in crate::scim) fn get(&self, id: AttributeId) -> &SchemaAttribute {
        &self.attributes[usize::from(id.0)]
    }

    /// Returns the number of attributes. Every id is below it.
    pub(in crate::scim) fn len(&self) -> usize {
        self.attributes.len()
    }

    /// Returns the ids of all attributes, the resource itself first.
    pub(in crate::scim) fn ids(&self) -> impl Iterator<Item = AttributeId> {
        (0..u16::try_from(self.attributes.len()).unwrap_or(u16::MAX)).map(AttributeId)
    }

    /// Returns the ids on the path from the resource, which is left out, to an attribute.
    pub(in crate::scim) fn path_ids(&self, id: AttributeId) -> Box<[AttributeId]> {
        let mut path = Vec::new();
        let mut current = id;
        while let Some(parent) = self.get(current).parent {
            path.push(current);
            current = parent;
        }
        path.reverse();
        path.into()
    }

    /// Returns the names on the path from the resource, which is left out, to an attribute.
    pub fn path_names(&self, id: AttributeId) -> impl Iterator<Item = &str> {
        self.path_ids(id).into_iter().map(|id| &*self.get(id).name)
    }

    /// Returns the path of an attribute as clients write it.
    pub(in crate::scim) fn path(&self, id: AttributeId) -> String {
        let mut path = String::new();
        let mut separator = "";
        for name in self.path_names(id) {
            path.push_str(separator);
            path.push_str(name);
            separator = if is_extension_urn(name) { ":" } else { "." };
        }
        path
    }

    /// Returns the paths, as clients write them, of all attributes that have a value of their own.
    /// A complex attribute is represented by its sub-attributes, a multi-valued one by itself.
    /// The attributes that every resource has (`schemas`, and those of RFC 7643 §3.1) are left out.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for id in self.ids() {
            let attribute = self.get(id);
            if attribute.attribute_type == AttributeType::Complex && !attribute.multi_valued {
                continue;
            }
            let is_within_elements =
                self.enclosing_multi_valued(id).is_some_and(|holder| holder != id);
            let path = self.path(id);
            let is_common = path == "id" || path == "schemas" || path.starts_with("meta.");
            if !is_within_elements && !is_common {
                paths.push(path);
            }
        }
        paths
    }

    /// Reports whether an attribute is `whole` or a part of it.
    #[must_use]
    pub fn is_within(&self, id: AttributeId, whole: AttributeId) -> bool {
        self.path_ids(id).contains(&whole)
    }

    /// Returns the multi-valued attribute whose elements are, or contain, the values of this one.
    pub(in crate::scim) fn enclosing_multi_valued(&self, id: AttributeId) -> Option<AttributeId> {
        self.path_ids(id).into_iter().find(|id| self.get(*id).multi_valued)
    }

    /// Returns the attribute whose values are compared in filters and sorted by for `id`. This is
    /// `id` itself, or for a complex multi-valued attribute its `value` (RFC 7644 §3.4.2.2 compares
    /// `emails` with a text). A complex attribute without `value` has no such attribute.
    pub(in crate::scim) fn comparable_attribute(&self, id: AttributeId) -> Option<AttributeId> {
        let attribute = self.get(id);
        match attribute.attribute_type {
            AttributeType::Complex if attribute.multi_valued => self.sub_attribute(id, "value"),
            AttributeType::Complex => None,
            AttributeType::String
            | AttributeType::Boolean
            | AttributeType::Decimal
            | AttributeType::Integer
            | AttributeType::DateTime
            | AttributeType::Reference => Some(id),
        }
    }
}

/// Reports whether a name is the URN of an extension: only a URN has colons.
fn is_extension_urn(name: &str) -> bool {
    name.contains(':')
}

/// Returns the attribute that stands for the resource or for an extension.
fn container(name: Box<str>, parent: Option<AttributeId>) -> SchemaAttribute {
    SchemaAttribute {
        name,
        attribute_type: AttributeType::Complex,
        multi_valued: false,
        case_exact: false,
        returned: Returned::Default,
        parent,
        sub_attributes: Vec::new(),
    }
}
