//! Scopes: the part of a directory that one client may see.
//!
//! A [`Scope`] selects users by a filter and attributes by their names. [`Scope::bind`] resolves it
//! against a schema registry; the result is a [`BoundScope`], whose own registry has the visible
//! attributes only. [`BoundScope::select`] finds the visible users and groups, and `cut` cuts them
//! down to what is visible. Everything that is built from the cut resources, such as versions,
//! indexes and lists, then holds nothing else.
//!
//! `visibility` resolves the names of a scope and removes hidden attributes from the documents.

mod cut;
#[cfg(test)]
mod tests;
mod visibility;

use std::sync::Arc;

use fixedbitset::FixedBitSet;

pub use crate::scim::scope::cut::{CutResource, SelectedResources};

use crate::scim::filter;
use crate::scim::filter::{BoundFilter, Filter, FilterError, FilterLimits};
use crate::scim::scope::cut::Rules;
use crate::scim::scope::visibility::VisiblePaths;
use crate::scim::{
    Digest, EncodedContent, InvalidSchemaDocument, ResourceContent, ResourceSet, SchemaRegistry,
    User, digest,
};

/// Selection of the attributes of users.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AttributeSelection {
    /// Every attribute.
    #[default]
    All,
    /// The attributes with these names, and those that every resource has.
    Only(Vec<String>),
    /// Every attribute but those with these names.
    AllBut(Vec<String>),
}

/// Scope as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeDefinition {
    /// Filter that the visible users match. It may use attributes that the scope hides.
    pub filter: Option<String>,
    /// Visible attributes.
    pub attributes: AttributeSelection,
}

impl ScopeDefinition {
    /// Returns the digest by which the scope is identified.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let (kind, names): (&[u8], &[String]) = match &self.attributes {
            AttributeSelection::All => (b"all", &[]),
            AttributeSelection::Only(names) => (b"only", names),
            AttributeSelection::AllBut(names) => (b"all but", names),
        };
        let mut parts: Vec<&[u8]> = Vec::new();
        match &self.filter {
            Some(filter) => parts.extend([b"filter", filter.as_bytes()]),
            None => parts.push(b"every user"),
        }
        parts.push(kind);
        for name in names {
            parts.push(name.as_bytes());
        }
        digest(parts)
    }
}

/// Mistake in the definition of a scope.
#[derive(Debug, thiserror::Error)]
pub enum InvalidScope {
    /// Filter that is malformed or names an attribute that users do not have.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Name that no attribute has.
    #[error("{key}: there is no attribute `{name}`{suggestion}")]
    UnknownAttribute {
        /// Name of the list.
        key: &'static str,
        /// Name as it is written.
        name: String,
        /// Suggestion of another name, or an empty text.
        suggestion: String,
    },
    /// Excluded attribute that every resource has.
    #[error("excluded_attributes: `{0}` is always returned")]
    AlwaysReturned(String),
    /// Selected attribute that repeats a value of another user, which is hidden.
    #[error("attributes: `{name}` is `{origin}` of another user: name `{origin}`, too")]
    HiddenOrigin {
        /// Name as it is written.
        name: String,
        /// Attribute of the other user.
        origin: &'static str,
    },
    /// Schema documents that cannot be compiled, which tests rule out.
    #[error("internal error: {0}")]
    Schema(#[from] InvalidSchemaDocument),
}

/// Scope, checked against the attributes of one mapping.
#[derive(Debug, PartialEq, Eq)]
pub struct Scope {
    filter: Option<String>,
    /// Visible attributes; none if all are visible. An attribute that is not in the list, because
    /// another mapping has it, is hidden.
    visible: Option<VisiblePaths>,
    digest: Digest,
}

/// Scope, resolved against a schema registry.
#[derive(Debug)]
pub struct BoundScope {
    /// Registry of the resources that the scope selects from.
    full: Arc<SchemaRegistry>,
    /// Registry with the visible attributes.
    visible: Arc<SchemaRegistry>,
    filter: Option<BoundFilter>,
    rules: Rules,
}

impl Scope {
    /// Checks a definition against the attributes of a registry.
    ///
    /// # Errors
    /// Returns an error if the filter is invalid or a name is wrong.
    pub fn new(
        definition: &ScopeDefinition,
        registry: &Arc<SchemaRegistry>,
    ) -> Result<Self, InvalidScope> {
        let visible = match &definition.attributes {
            AttributeSelection::All => None,
            AttributeSelection::Only(names) => Some(VisiblePaths::only(names, &registry.types)?),
            AttributeSelection::AllBut(names) => {
                Some(VisiblePaths::all_but(names, &registry.types)?)
            }
        };
        let digest = definition.digest();
        let scope = Self { filter: definition.filter.clone(), visible, digest };
        scope.bind(registry)?;
        Ok(scope)
    }

    /// Returns the digest of the definition, by which a scope is identified.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Reports whether the scope selects users by a filter.
    #[must_use]
    pub fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// Resolves the scope against a registry.
    ///
    /// # Errors
    /// Returns an error if the filter names an attribute that the registry does not have.
    pub fn bind(&self, full: &Arc<SchemaRegistry>) -> Result<BoundScope, InvalidScope> {
        let user_type = &full.types.user;
        let filter = match &self.filter {
            Some(text) => {
                let filter = Filter::parse(text, FilterLimits::default())?;
                Some(BoundFilter::new(&filter, text, user_type, &[user_type])?)
            }
            None => None,
        };
        let visible = match &self.visible {
            Some(paths) => Arc::new(visibility::visible_registry(full, paths)?),
            None => Arc::clone(full),
        };
        let rules = Rules::new(&full.types, self.visible.as_ref());
        Ok(BoundScope { full: Arc::clone(full), visible, filter, rules })
    }
}

impl BoundScope {
    /// Returns the registry with the visible attributes. It is the full one if no attribute is
    /// hidden.
    #[must_use]
    pub fn schema_registry(&self) -> &Arc<SchemaRegistry> {
        &self.visible
    }

    /// Reports whether the scope is resolved against this registry.
    #[must_use]
    pub fn is_bound_to(&self, full: &Arc<SchemaRegistry>) -> bool {
        Arc::ptr_eq(&self.full, full)
    }

    /// Reports whether every attribute is visible.
    fn shows_all_attributes(&self) -> bool {
        Arc::ptr_eq(&self.full, &self.visible)
    }

    /// Finds the visible users and groups. The sets must be of the registry that the scope is
    /// resolved against.
    #[must_use]
    pub fn select<'s>(
        &'s self,
        users: &'s ResourceSet,
        groups: &'s ResourceSet,
    ) -> SelectedResources<'s> {
        SelectedResources::new(self, users, groups, self.visible_users(users))
    }

    /// Reports whether a user matches the filter. A user that cannot be encoded does.
    #[must_use]
    pub fn matches(&self, user: &User) -> bool {
        let Some(filter) = &self.filter else { return true };
        let encoded = EncodedContent::new(&self.full.types.user, user);
        match encoded.and_then(|content| content.into_resource(user.meta())) {
            Ok(resource) => filter.holds(resource.value()),
            Err(_) => true,
        }
    }

    /// Returns the positions of the users that match the filter.
    fn visible_users(&self, users: &ResourceSet) -> FixedBitSet {
        let mut visible = FixedBitSet::with_capacity(users.all().len());
        let Some(filter) = &self.filter else {
            visible.insert_range(..);
            return visible;
        };
        let candidates = filter::candidates(filter, users);
        // Without a deadline, every filter is evaluated to the end.
        if let Ok(matches) = filter::matches(filter, users, candidates.as_deref(), None) {
            for position in matches {
                visible.insert(position as usize);
            }
        }
        visible
    }
}
