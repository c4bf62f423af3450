//! Cut resources: a user or a group without what a scope hides.
//!
//! Hidden attributes are left out. So is every reference to a hidden user: the manager, and members
//! of groups. A group without visible members is hidden.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::scim::resource::ResourceValue;
use crate::scim::schema::resource_type::ROOT_ATTRIBUTE;
use crate::scim::scope::BoundScope;
use crate::scim::scope::visibility::{VisiblePaths, expanded};
use crate::scim::{
    AttributeId, Resource, ResourceContent, ResourceMeta, ResourceSet, ResourceType, ResourceTypes,
};

/// Rules of a scope, by the attribute ids of the full resource types.
#[derive(Debug)]
pub(super) struct Rules {
    user: TypeRules,
    group: TypeRules,
    /// Flag of a scope whose users show their memberships. Otherwise there are no groups.
    shows_groups: bool,
    /// Flag of a scope that hides `userName` and shows `displayName`, which is the user name of a
    /// person without a name.
    hides_user_names: bool,
    /// `userName` and `displayName` of users.
    names: Option<NameAttributes>,
}

/// Attributes that name a user.
#[derive(Debug, Clone, Copy)]
struct NameAttributes {
    user_name: AttributeId,
    email: AttributeId,
    display_name: AttributeId,
}

/// Rules for the resources of one type.
#[derive(Debug)]
struct TypeRules {
    visible: FixedBitSet,
    schemas: Option<AttributeId>,
    meta: Option<AttributeId>,
    /// `name`, which stays in the resource if it is empty.
    name: Option<AttributeId>,
    references: Vec<ReferenceRule>,
    shows_created: bool,
}

/// Attribute whose value, or whose elements, refer to other resources.
#[derive(Debug, Clone, Copy)]
struct ReferenceRule {
    holder: AttributeId,
    /// Id of the other resource.
    value: AttributeId,
    /// Display name of the other resource.
    display: Option<AttributeId>,
    /// Type of the other resource. Without it, the other resource is a user.
    kind: Option<AttributeId>,
    /// Attribute outside of the holder that goes with it.
    companion: Option<AttributeId>,
}

impl Rules {
    /// Creates the rules for the visible paths; without them, all attributes are visible.
    pub(super) fn new(types: &ResourceTypes, visible: Option<&VisiblePaths>) -> Self {
        let user = TypeRules::new(&types.user, visible.map(|visible| &visible.user));
        let group = TypeRules::new(&types.group, visible.map(|visible| &visible.group));
        let shows = |path: &str| user.shows_path(&types.user, path);
        let shows_groups = shows("groups.value");
        let hides_user_names = !shows("userName") && shows("displayName");
        Self { names: NameAttributes::of(&types.user), shows_groups, hides_user_names, user, group }
    }
}

impl NameAttributes {
    fn of(user_type: &ResourceType) -> Option<Self> {
        Some(Self {
            user_name: user_type.attribute("userName")?,
            email: user_type.attribute("emails.value")?,
            display_name: user_type.attribute("displayName")?,
        })
    }
}

impl TypeRules {
    fn new(resource_type: &ResourceType, paths: Option<&HashSet<String>>) -> Self {
        let mut visible = FixedBitSet::with_capacity(resource_type.len());
        for id in resource_type.ids() {
            let is_visible =
                id == ROOT_ATTRIBUTE || paths.is_none_or(|it| it.contains(&resource_type.path(id)));
            visible.set(usize::from(id.0), is_visible);
        }
        let manager_email = resource_type.attribute(&expanded("P:managerEmail"));
        let holders = [
            ("E:manager", "displayName", manager_email),
            ("P:managerLevels", "display", None),
            ("members", "display", None),
        ];
        let mut references = Vec::new();
        for (path, display, companion) in holders {
            references.extend(ReferenceRule::new(resource_type, path, display, companion));
        }
        let mut rules = Self {
            visible,
            schemas: resource_type.attribute("schemas"),
            meta: resource_type.attribute("meta"),
            name: resource_type.attribute("name"),
            references,
            shows_created: false,
        };
        rules.shows_created = rules.shows_path(resource_type, "meta.created");
        rules
    }

    fn shows(&self, id: AttributeId) -> bool {
        self.visible.contains(usize::from(id.0))
    }

    fn shows_path(&self, resource_type: &ResourceType, path: &str) -> bool {
        resource_type.attribute(path).is_some_and(|id| self.shows(id))
    }

    fn reference(&self, holder: AttributeId) -> Option<&ReferenceRule> {
        self.references.iter().find(|rule| rule.holder == holder)
    }
}

impl ReferenceRule {
    fn new(
        resource_type: &ResourceType,
        path: &str,
        display: &str,
        companion: Option<AttributeId>,
    ) -> Option<Self> {
        let holder = resource_type.attribute(&expanded(path))?;
        Some(Self {
            holder,
            value: resource_type.sub_attribute(holder, "value")?,
            display: resource_type.sub_attribute(holder, display),
            kind: resource_type.sub_attribute(holder, "type"),
            companion,
        })
    }
}

/// Visible users and groups of a snapshot.
#[derive(Debug)]
pub struct SelectedResources<'s> {
    scope: &'s BoundScope,
    users: &'s ResourceSet,
    groups: &'s ResourceSet,
    visible_users: FixedBitSet,
    /// Visible users whose display name is hidden.
    nameless_users: FixedBitSet,
    visible_groups: FixedBitSet,
}

impl<'s> SelectedResources<'s> {
    pub(super) fn new(
        scope: &'s BoundScope,
        users: &'s ResourceSet,
        groups: &'s ResourceSet,
        visible_users: FixedBitSet,
    ) -> Self {
        let mut selected = Self {
            scope,
            users,
            groups,
            nameless_users: FixedBitSet::with_capacity(users.all().len()),
            visible_groups: FixedBitSet::with_capacity(groups.all().len()),
            visible_users,
        };
        selected.find_nameless_users();
        selected.find_visible_groups();
        selected
    }

    /// Returns the visible users, in list order.
    #[must_use]
    pub fn users(&self) -> Vec<CutResource<'_>> {
        let rules = &self.scope.rules.user;
        self.cut(rules, self.users, &self.visible_users)
    }

    /// Returns the visible groups, in list order.
    #[must_use]
    pub fn groups(&self) -> Vec<CutResource<'_>> {
        let rules = &self.scope.rules.group;
        self.cut(rules, self.groups, &self.visible_groups)
    }

    fn cut(
        &self,
        rules: &'s TypeRules,
        resources: &'s ResourceSet,
        visible: &FixedBitSet,
    ) -> Vec<CutResource<'_>> {
        let mut cut = Vec::with_capacity(visible.count_ones(..));
        for position in visible.ones() {
            if let Some(resource) = resources.all().get(position) {
                cut.push(CutResource::new(self, rules, resource, position));
            }
        }
        cut
    }

    /// Finds the users whose display name is their hidden user name or e-mail address.
    fn find_nameless_users(&mut self) {
        let Some(names) = self.scope.rules.names else { return };
        if !self.scope.rules.hides_user_names {
            return;
        }
        for position in self.visible_users.ones() {
            if let Some(user) = self.users.all().get(position)
                && is_named_by_address(user, names)
            {
                self.nameless_users.insert(position);
            }
        }
    }

    /// Finds the groups with a visible member. A group can be a member of another one.
    fn find_visible_groups(&mut self) {
        let rules = &self.scope.rules.group;
        if !self.scope.rules.shows_groups {
            return;
        }
        loop {
            let mut added = false;
            for (position, group) in self.groups.all().iter().enumerate() {
                if !self.visible_groups.contains(position) && self.has_visible_member(rules, group)
                {
                    self.visible_groups.insert(position);
                    added = true;
                }
            }
            if !added {
                return;
            }
        }
    }

    fn has_visible_member(&self, rules: &TypeRules, group: &Resource) -> bool {
        for rule in &rules.references {
            if let Some(members) = group.single_value(rule.holder)
                && members.children().any(|member| self.shows_reference(rule, member))
            {
                return true;
            }
        }
        false
    }

    /// Reports whether an object refers to a visible user or group.
    fn shows_reference(&self, rule: &ReferenceRule, object: ResourceValue<'_>) -> bool {
        let Some(id) = member_text(object, rule.value) else { return false };
        let kind = rule.kind.and_then(|kind| member_text(object, kind));
        let (resources, visible) = match kind.as_deref() {
            Some("Group") => (self.groups, &self.visible_groups),
            Some(_) | None => (self.users, &self.visible_users),
        };
        resources.position(&id).is_some_and(|position| visible.contains(position))
    }

    /// Reports whether an object refers to a user whose display name is hidden.
    fn is_reference_nameless(&self, rule: &ReferenceRule, object: ResourceValue<'_>) -> bool {
        if self.nameless_users.is_clear() {
            return false;
        }
        let Some(id) = member_text(object, rule.value) else { return false };
        self.users.position(&id).is_some_and(|position| self.nameless_users.contains(position))
    }
}

fn member_text(object: ResourceValue<'_>, id: AttributeId) -> Option<Cow<'_, str>> {
    object.member(id)?.text()
}

/// Reports whether the display name of a user is the user name or an e-mail address.
fn is_named_by_address(user: &Resource, names: NameAttributes) -> bool {
    let Some(display_name) = user.single_value(names.display_name).and_then(ResourceValue::text)
    else {
        return false;
    };
    let display_name = display_name.to_lowercase();
    let user_name = user.single_value(names.user_name).and_then(ResourceValue::text);
    if user_name.is_some_and(|user_name| user_name.to_lowercase() == display_name) {
        return true;
    }
    let Some(parent) = user.resource_type().get(names.email).parent else { return false };
    let Some(emails) = user.single_value(parent) else { return false };
    for email in emails.children() {
        if member_text(email, names.email).is_some_and(|it| it.to_lowercase() == display_name) {
            return true;
        }
    }
    false
}

/// User or group without what a scope hides.
#[derive(Debug)]
pub struct CutResource<'s> {
    resource: &'s Arc<Resource>,
    selected: &'s SelectedResources<'s>,
    rules: &'s TypeRules,
    id: Cow<'s, str>,
    meta: ResourceMeta,
    /// Attributes that are visible in other resources and hidden in this one.
    hidden: Vec<AttributeId>,
}

impl<'s> CutResource<'s> {
    fn new(
        selected: &'s SelectedResources<'s>,
        rules: &'s TypeRules,
        resource: &'s Arc<Resource>,
        position: usize,
    ) -> Self {
        let is_user = Arc::ptr_eq(resource.resource_type(), &selected.scope.full.types.user);
        let location = resource.location().unwrap_or_default().into_owned();
        let created = if rules.shows_created { resource.created() } else { None };
        let meta = if is_user {
            ResourceMeta::of_user(location, created, None)
        } else {
            ResourceMeta::of_group(location)
        };
        let mut hidden = Vec::new();
        for rule in &rules.references {
            // An array loses its hidden elements one by one.
            if let Some(object) = resource.single_value(rule.holder)
                && object.is_object()
                && !selected.shows_reference(rule, object)
            {
                hidden.push(rule.holder);
                hidden.extend(rule.companion);
            }
        }
        if is_user
            && selected.nameless_users.contains(position)
            && let Some(names) = selected.scope.rules.names
        {
            hidden.push(names.display_name);
        }
        Self { resource, selected, rules, id: resource.id(), meta, hidden }
    }

    /// Returns the resource that was cut.
    #[must_use]
    pub fn full(&self) -> &'s Arc<Resource> {
        self.resource
    }

    /// Reports whether the scope hides nothing of the resource.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.selected.scope.shows_all_attributes()
            && self.hidden.is_empty()
            && self.rules.references.iter().all(|rule| self.shows_all_elements(rule))
    }

    /// Reports whether every element of an array of references is visible.
    fn shows_all_elements(&self, rule: &ReferenceRule) -> bool {
        match self.resource.single_value(rule.holder) {
            Some(array) if array.is_array() => {
                array.children().all(|element| self.selected.shows_reference(rule, element))
            }
            Some(_) | None => true,
        }
    }

    /// Reports whether a member of `object` is visible.
    fn shows_member(&self, object: ResourceValue<'_>, member: ResourceValue<'_>) -> bool {
        let id = member.attribute();
        if !self.rules.shows(id) || self.hidden.contains(&id) {
            return false;
        }
        if let Some(rule) = self.rules.reference(object.attribute())
            && rule.display == Some(id)
            && self.selected.is_reference_nameless(rule, object)
        {
            return false;
        }
        // An object of which nothing is left is not present (RFC 7643 §2.5).
        !member.is_object() || self.rules.name == Some(id) || self.has_content(member)
    }

    /// Reports whether any member of an object is visible.
    fn has_content(&self, object: ResourceValue<'_>) -> bool {
        object.children().any(|member| self.shows_member(object, member))
    }

    /// Reports whether an element of `array` is visible.
    fn shows_element(&self, array: ResourceValue<'_>, element: ResourceValue<'_>) -> bool {
        match self.rules.reference(array.attribute()) {
            Some(rule) => self.selected.shows_reference(rule, element),
            None => true,
        }
    }

    /// Reports whether a schema of the resource still describes any attribute of it.
    fn shows_schema(&self, urn: &str) -> bool {
        let resource_type = self.resource.resource_type();
        // Only the URN of an extension is the name of an attribute.
        let Some(extension) = resource_type.attribute(urn) else { return true };
        match self.resource.single_value(extension) {
            Some(value) => self.shows_member(self.resource.value(), value),
            None => false,
        }
    }
}

impl ResourceContent for CutResource<'_> {
    fn id(&self) -> &str {
        &self.id
    }

    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }

    fn into_meta(self) -> ResourceMeta {
        self.meta
    }

    /// Groups have the date at which they became visible.
    fn is_dated_by_server(&self) -> bool {
        !Arc::ptr_eq(self.resource.resource_type(), &self.selected.scope.full.types.user)
    }
}

impl Serialize for CutResource<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let resource_type = self.resource.resource_type();
        let root = self.resource.value();
        let mut map = serializer.serialize_map(None)?;
        for member in root.children() {
            let id = member.attribute();
            if self.rules.meta == Some(id) || !self.shows_member(root, member) {
                continue;
            }
            let name = &*resource_type.get(id).name;
            if self.rules.schemas == Some(id) {
                map.serialize_entry(name, &CutSchemas { cut: self, schemas: member })?;
            } else {
                map.serialize_entry(name, &CutValue { cut: self, value: member })?;
            }
        }
        map.end()
    }
}

/// `schemas` of a cut resource.
struct CutSchemas<'c> {
    cut: &'c CutResource<'c>,
    schemas: ResourceValue<'c>,
}

impl Serialize for CutSchemas<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut schemas = serializer.serialize_seq(None)?;
        for urn in self.schemas.children() {
            if let Some(urn) = urn.text()
                && self.cut.shows_schema(&urn)
            {
                schemas.serialize_element(&urn)?;
            }
        }
        schemas.end()
    }
}

/// Value in a cut resource.
struct CutValue<'c> {
    cut: &'c CutResource<'c>,
    value: ResourceValue<'c>,
}

impl Serialize for CutValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { cut, value } = *self;
        if value.is_object() {
            let resource_type = cut.resource.resource_type();
            let mut map = serializer.serialize_map(None)?;
            for member in value.children() {
                if cut.shows_member(value, member) {
                    let name = &*resource_type.get(member.attribute()).name;
                    map.serialize_entry(name, &CutValue { cut, value: member })?;
                }
            }
            return map.end();
        }
        if value.is_array() {
            let mut elements = serializer.serialize_seq(None)?;
            for element in value.children() {
                if cut.shows_element(value, element) {
                    elements.serialize_element(&CutValue { cut, value: element })?;
                }
            }
            return elements.end();
        }
        if let Some(text) = value.text() {
            serializer.serialize_str(&text)
        } else if let Some(boolean) = value.boolean() {
            serializer.serialize_bool(boolean)
        } else {
            value.number().serialize(serializer)
        }
    }
}
