//! A type of resources (RFC 7643 §6) with the attributes of its schemas: what names mean, and of which
//! type their values are. All of it comes from the documents in `scim-schemas/`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::scim::resource::shape::Layouts;
use crate::scim::schema::attribute::{Attribute, Definition};
use crate::scim::{AttributeId, AttributeType, Returned};

const COMMON: &str = include_str!("../../../scim-schemas/common.json");

/// A type of resources.
#[derive(Debug)]
pub struct ResourceType {
    name: Box<str>,
    /// URN of the core schema.
    schema: Box<str>,
    /// The resource itself, then every attribute after what it is a part of.
    attributes: Vec<Attribute>,
    /// Whether whoever asks for nothing in particular gets all that there is.
    returned_whole: bool,
    known: Known,
    layouts: Layouts,
}

/// Attributes that are read of every resource, if the type has them.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::scim) struct Known {
    pub(in crate::scim) id: Option<AttributeId>,
    pub(in crate::scim) version: Option<AttributeId>,
    pub(in crate::scim) location: Option<AttributeId>,
    pub(in crate::scim) created: Option<AttributeId>,
    pub(in crate::scim) last_modified: Option<AttributeId>,
    pub(in crate::scim) user_name: Option<AttributeId>,
    /// `emails.value`.
    pub(in crate::scim) email: Option<AttributeId>,
    /// The attribute of our extension with the manager's address.
    pub(in crate::scim) manager_email: Option<AttributeId>,
}

/// The types that are served.
#[derive(Debug, Clone)]
pub struct ResourceTypes {
    /// RFC 7643 §4.1.
    pub user: Arc<ResourceType>,
    /// RFC 7643 §4.2.
    pub group: Arc<ResourceType>,
}

/// A document that is not as RFC 7643 wants it.
#[derive(Debug, thiserror::Error)]
pub enum BrokenDocument {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
    /// It names a schema that is not there.
    #[error("there is no schema {0}")]
    NoSchema(Box<str>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeDocument {
    name: Box<str>,
    schema: Box<str>,
    #[serde(default)]
    schema_extensions: Vec<SchemaExtension>,
}

#[derive(Deserialize)]
struct SchemaExtension {
    schema: Box<str>,
}

#[derive(Deserialize)]
struct SchemaDocument {
    attributes: Vec<Definition>,
}

/// What the documents say of a type of resources.
pub(in crate::scim) struct Defined {
    pub(in crate::scim) name: Box<str>,
    /// URN of the core schema.
    pub(in crate::scim) schema: Box<str>,
    /// The attributes that every resource has, then those of the core schema.
    pub(in crate::scim) core: Vec<Definition>,
    /// The URN of each extension, and its attributes.
    pub(in crate::scim) extensions: Vec<(Box<str>, Vec<Definition>)>,
}

impl Defined {
    pub(in crate::scim) fn new(document: &Value, schemas: &[Value]) -> Result<Self, BrokenDocument> {
        let TypeDocument { name, schema, schema_extensions } = TypeDocument::deserialize(document)?;
        let definitions = |urn: &str| -> Result<Vec<Definition>, BrokenDocument> {
            let schema = schemas.iter().find(|schema| schema.get("id").and_then(Value::as_str) == Some(urn));
            Ok(SchemaDocument::deserialize(schema.ok_or_else(|| BrokenDocument::NoSchema(urn.into()))?)?.attributes)
        };
        let SchemaDocument { attributes: mut core } = serde_json::from_str(COMMON)?;
        core.extend(definitions(&schema)?);
        let extensions = schema_extensions.into_iter().map(|SchemaExtension { schema }| {
            let attributes = definitions(&schema)?;
            Ok((schema, attributes))
        });
        Ok(Self { name, schema, core, extensions: extensions.collect::<Result<_, BrokenDocument>>()? })
    }
}

/// The resource itself.
pub(in crate::scim) const RESOURCE: AttributeId = AttributeId(0);

impl ResourceType {
    /// The type that `document` describes, whose schemas are among `schemas`.
    ///
    /// # Errors
    /// When the documents do not fit together, which a test rules out for those in this program.
    pub fn new(document: &Value, schemas: &[Value]) -> Result<Self, BrokenDocument> {
        let Defined { name, schema, core, extensions } = Defined::new(document, schemas)?;
        let (known, layouts) = (Known::default(), Layouts::default());
        let mut this = Self { name, schema, attributes: Vec::new(), known, layouts, returned_whole: false };
        let resource = this.push(container(this.name.clone(), None));
        core.into_iter().for_each(|definition| this.add(resource, definition));
        for (urn, members) in extensions {
            let id = this.push(container(urn, Some(resource)));
            members.into_iter().for_each(|definition| this.add(id, definition));
        }
        let mut returned = this.attributes.iter().map(|attribute| attribute.returned);
        this.returned_whole = returned.all(|returned| matches!(returned, Returned::Always | Returned::Default));
        this.known = Known {
            id: this.attribute("id"),
            version: this.attribute("meta.version"),
            location: this.attribute("meta.location"),
            created: this.attribute("meta.created"),
            last_modified: this.attribute("meta.lastModified"),
            user_name: this.attribute("userName"),
            email: this.attribute("emails.value"),
            manager_email: this.attribute(&format!("{}:managerEmail", crate::scim::EXTENSION_USER)),
        };
        Ok(this)
    }

    pub(in crate::scim) fn is_returned_whole(&self) -> bool {
        self.returned_whole
    }

    /// URN of the core schema.
    pub(in crate::scim) fn schema(&self) -> &str {
        &self.schema
    }

    /// URNs of the extensions and of the core schema.
    pub(in crate::scim) fn schemas(&self) -> impl Iterator<Item = &str> {
        let members = self.get(RESOURCE).sub_attributes.iter().map(|id| &*self.get(*id).name);
        // Only the URN of an extension has colons.
        members.filter(|name| name.contains(':')).chain([self.schema()])
    }

    /// Reports whether the core schema or an extension has this URN.
    pub(in crate::scim) fn has_schema(&self, urn: &str) -> bool {
        self.schemas().any(|schema| schema == urn)
    }

    /// Reports whether the values of an attribute are e-mail addresses, or are used like them.
    pub(in crate::scim) fn holds_addresses(&self, id: AttributeId) -> bool {
        let Known { user_name, email, manager_email, .. } = self.known;
        [user_name, email, manager_email].contains(&Some(id))
    }

    /// Its name: `User`, `Group`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The attribute that a client calls `path`: `userName`, `name.familyName`, either with the URN of its
    /// schema in front, or the URN of an extension alone. Case does not matter (RFC 7643 §2.1, RFC 7644
    /// §3.10). A name without a URN never means an extension's attribute; the common attributes may have
    /// the URN of the core schema in front.
    #[must_use]
    pub fn attribute(&self, path: &str) -> Option<AttributeId> {
        let (holder, names) = if path.contains(':') { self.qualified(path)? } else { (RESOURCE, path) };
        if names.is_empty() && holder != RESOURCE {
            return Some(holder);
        }
        match names.split_once('.') {
            None => self.sub_attribute(holder, names),
            Some((name, sub)) => self.sub_attribute(self.sub_attribute(holder, name)?, sub),
        }
    }

    /// What the URN at the beginning of `path` stands for, and what comes after it.
    fn qualified<'p>(&self, path: &'p str) -> Option<(AttributeId, &'p str)> {
        let extensions = self.get(RESOURCE).sub_attributes.iter().map(|&id| (id, &*self.get(id).name));
        let extensions = extensions.filter(|(_, name)| name.contains(':'));
        extensions.chain([(RESOURCE, &*self.schema)]).find_map(|(id, urn)| {
            let (start, rest) = path.split_at_checked(urn.len())?;
            let names = if rest.is_empty() && id != RESOURCE { rest } else { rest.strip_prefix(':')? };
            let complete = !names.is_empty() || rest.is_empty();
            (start.eq_ignore_ascii_case(urn) && complete).then_some((id, names))
        })
    }

    /// The way to an attribute, as a resource writes its steps.
    pub fn steps(&self, id: AttributeId) -> impl Iterator<Item = &str> {
        self.way(id).into_iter().map(|id| &*self.get(id).name)
    }

    /// Whether an attribute is this one or a part of it.
    #[must_use]
    pub fn is_within(&self, id: AttributeId, whole: AttributeId) -> bool {
        self.way(id).contains(&whole)
    }

    /// The attribute called `name` within `holder`.
    pub(in crate::scim) fn sub_attribute(&self, holder: AttributeId, name: &str) -> Option<AttributeId> {
        let mut candidates = self.get(holder).sub_attributes.iter().copied();
        candidates.find(|&id| self.get(id).name.eq_ignore_ascii_case(name))
    }

    /// The same, looked for from the place `near` on, which is then the one behind: members mostly come in the order of
    /// the schema.
    pub(in crate::scim) fn sub_attribute_near(
        &self,
        holder: AttributeId,
        name: &str,
        near: &mut usize,
    ) -> Option<AttributeId> {
        let all = &self.get(holder).sub_attributes;
        let (earlier, later) = all.split_at_checked(*near).unwrap_or((all, &[]));
        let named = |id: &&AttributeId| self.get(**id).name.eq_ignore_ascii_case(name);
        let found = later.iter().chain(earlier).position(|id| named(&id))?;
        let place = (found + *near) % all.len();
        *near = place + 1;
        all.get(place).copied()
    }

    pub(in crate::scim) fn known(&self) -> Known {
        self.known
    }

    /// What resources of this type have in common.
    pub(in crate::scim) fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// The attribute with this number, which must be one of this type.
    #[expect(clippy::indexing_slicing, reason = "numbers are made here, one for each attribute")]
    pub(in crate::scim) fn get(&self, id: AttributeId) -> &Attribute {
        &self.attributes[usize::from(id.0)]
    }

    /// How many attributes there are: their numbers are below it.
    pub(in crate::scim) fn len(&self) -> usize {
        self.attributes.len()
    }

    /// The numbers of all attributes.
    pub(in crate::scim) fn ids(&self) -> impl Iterator<Item = AttributeId> {
        (0..u16::try_from(self.attributes.len()).unwrap_or(u16::MAX)).map(AttributeId)
    }

    /// The way from the resource down to an attribute, without the resource.
    pub(in crate::scim) fn way(&self, id: AttributeId) -> Box<[AttributeId]> {
        let mut way: Vec<_> = std::iter::successors(Some(id), |&id| self.get(id).parent).collect();
        way.pop();
        way.reverse();
        way.into()
    }

    /// The paths of all attributes that have a value of their own, as clients write them: those within a complex
    /// attribute instead of it, and a multi-valued one as a whole. Those that every resource has are left out
    /// (RFC 7643 §3.1, `schemas`).
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let has_own = |&id: &AttributeId| {
            let attribute = self.get(id);
            let is_whole = attribute.multi_valued || attribute.kind != AttributeType::Complex;
            is_whole && self.holder(id).is_none_or(|holder| holder == id)
        };
        let paths = self.ids().filter(has_own).map(|id| self.path(id));
        paths.filter(|path| !matches!(path.as_str(), "id" | "schemas") && !path.starts_with("meta.")).collect()
    }

    /// The path of an attribute, as clients write it.
    pub(in crate::scim) fn path(&self, id: AttributeId) -> String {
        let mut path = String::new();
        let mut separator = "";
        for part in self.way(id) {
            let name = &self.get(part).name;
            path.push_str(separator);
            path.push_str(name);
            // Only the URN of an extension has colons.
            separator = if name.contains(':') { ":" } else { "." };
        }
        path
    }

    /// The multi-valued attribute whose elements the values of this one are, or are in.
    pub(in crate::scim) fn holder(&self, id: AttributeId) -> Option<AttributeId> {
        self.way(id).into_iter().find(|id| self.get(*id).multi_valued)
    }

    /// The attribute that holds the values when `id` is compared or sorted by: itself, or for a complex
    /// multi-valued one its `value` (RFC 7644 §3.4.2.2 compares `emails` with a text). None if it has none.
    pub(in crate::scim) fn valued(&self, id: AttributeId) -> Option<AttributeId> {
        let attribute = self.get(id);
        match attribute.kind {
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

    fn push(&mut self, attribute: Attribute) -> AttributeId {
        let id = AttributeId(u16::try_from(self.attributes.len()).unwrap_or(u16::MAX));
        if let Some(parent) = attribute.parent.and_then(|parent| self.attributes.get_mut(usize::from(parent.0))) {
            parent.sub_attributes.push(id);
        }
        self.attributes.push(attribute);
        id
    }

    fn add(&mut self, parent: AttributeId, definition: Definition) {
        let Definition { name, kind, multi_valued, case_exact, returned, sub_attributes, .. } = definition;
        let parent = Some(parent);
        let attribute =
            Attribute { name, kind, multi_valued, case_exact, returned, parent, sub_attributes: Vec::new() };
        let id = self.push(attribute);
        sub_attributes.into_iter().for_each(|definition| self.add(id, definition));
    }
}

/// The resource, or an extension: complex, and part of an answer by what is in it.
fn container(name: Box<str>, parent: Option<AttributeId>) -> Attribute {
    Attribute {
        name,
        kind: AttributeType::Complex,
        multi_valued: false,
        case_exact: false,
        returned: Returned::Default,
        parent,
        sub_attributes: Vec::new(),
    }
}
