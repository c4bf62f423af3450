//! User resource (RFC 7643 §4.1, §4.3). It has fields only for the attributes that this server may
//! return. An attribute without a value is left out of the JSON.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::scim::{GroupMembership, ResourceContent, ResourceMeta};

/// User: a person in Personio.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Identifier that is unique and never reassigned (RFC 7643 §3.1).
    pub id: String,
    /// Key of the same person in the systems of the clients.
    pub external_id: String,
    /// Login name that is unique even if case is ignored.
    pub user_name: String,
    /// Components of the name. The JSON has this object even if it is empty, because clients read
    /// its members without a check.
    pub name: PersonName,
    /// Name for display.
    pub display_name: String,
    /// Attributes of the core schema that this program only serves, for example `title`.
    pub attributes: AttributeValues,
    /// True if the person may work today, by the rules of the mapping.
    pub active: bool,
    /// Work e-mail address: at most one.
    pub emails: Vec<Email>,
    /// Groups that the user is in.
    pub groups: Vec<GroupMembership>,
    /// Enterprise extension (RFC 7643 §4.3).
    pub enterprise: EnterpriseUser,
    /// Personio extension.
    pub extension: AttributeValues,
    /// Metadata (RFC 7643 §3.1).
    pub meta: ResourceMeta,
}

/// Components of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonName {
    /// Given name and family name in one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
}

/// E-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email {
    /// Address.
    pub value: String,
    /// Purpose of the address: `work`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// True for the preferred address.
    pub primary: bool,
}

/// Attributes of the enterprise extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnterpriseUser {
    /// Personnel number that the employer assigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// Name of the cost centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// Name of the legal entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Name of the division.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// Name of the department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Manager of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Manager>,
}

/// Manager: another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    /// `id` of the manager.
    pub value: String,
    /// Address of the manager.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// Display name of the manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Attributes with their values, in the order of the JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttributeValues {
    values: Vec<(Arc<str>, Value)>,
}

impl AttributeValues {
    /// Reports whether an attribute of this name has a value.
    fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(known, _)| &**known == name)
    }

    /// Returns the value of an attribute that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(known, _)| &**known == name)?;
        value.as_str()
    }

    /// Adds an attribute that has a value.
    pub fn push(&mut self, name: &Arc<str>, value: Value) {
        self.values.push((Arc::clone(name), value));
    }
}

impl FromIterator<(Arc<str>, Value)> for AttributeValues {
    /// Collects attributes that have a value. The list has no spare capacity, because every user
    /// has one.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(attributes: I) -> Self {
        let attributes = attributes.into_iter();
        let mut collected = Vec::with_capacity(attributes.size_hint().0);
        collected.extend(attributes);
        Self { values: collected }
    }
}

impl AttributeValues {
    /// Writes each attribute as an entry of `map`.
    fn serialize_entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (name, value) in &self.values {
            map.serialize_entry(&**name, value)?;
        }
        Ok(())
    }
}

impl Serialize for AttributeValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        self.serialize_entries(&mut map)?;
        map.end()
    }
}

/// Attribute of the Personio extension with the id of the primary employment.
const EMPLOYMENT_ID_ATTRIBUTE: &str = "employmentId";

impl User {
    /// Reports whether the user has an employment.
    #[must_use]
    pub fn has_employment(&self) -> bool {
        self.extension.has(EMPLOYMENT_ID_ATTRIBUTE)
    }

    /// Returns the sort key of lists: creation, then the id, with numeric ids in numeric order.
    /// Neither of them changes, so a refresh does not move users between pages.
    #[must_use]
    pub fn list_key(&self) -> impl Ord + use<> {
        (creation_and_number(self.meta.created, &self.id), self.id.clone())
    }
}

impl ResourceContent for User {
    fn id(&self) -> &str {
        &self.id
    }

    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }

    fn into_meta(self) -> ResourceMeta {
        self.meta
    }
}

/// Compares two users, each given by creation and id, in the order of [`User::list_key`].
#[must_use]
pub fn compare_list_keys(
    one: (Option<Timestamp>, &str),
    other: (Option<Timestamp>, &str),
) -> Ordering {
    let one_key = creation_and_number(one.0, one.1);
    let other_key = creation_and_number(other.0, other.1);
    one_key.cmp(&other_key).then_with(|| one.1.cmp(other.1))
}

/// Returns the first two parts of the sort key. A missing date and an id that is not a number come
/// last.
fn creation_and_number(created: Option<Timestamp>, id: &str) -> (Timestamp, u64) {
    (created.unwrap_or(Timestamp::MAX), id.parse().unwrap_or(u64::MAX))
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_enterprise = self.enterprise != EnterpriseUser::default();
        let has_extension = !self.extension.values.is_empty();
        let mut schemas = vec![crate::scim::USER_SCHEMA];
        if has_enterprise {
            schemas.push(crate::scim::ENTERPRISE_USER_SCHEMA);
        }
        if has_extension {
            schemas.push(crate::scim::PERSONIO_USER_SCHEMA);
        }

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schemas", &schemas)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("externalId", &self.external_id)?;
        map.serialize_entry("userName", &self.user_name)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("displayName", &self.display_name)?;
        self.attributes.serialize_entries(&mut map)?;
        map.serialize_entry("active", &self.active)?;
        if !self.emails.is_empty() {
            map.serialize_entry("emails", &self.emails)?;
        }
        if !self.groups.is_empty() {
            map.serialize_entry("groups", &self.groups)?;
        }
        if has_enterprise {
            map.serialize_entry(crate::scim::ENTERPRISE_USER_SCHEMA, &self.enterprise)?;
        }
        if has_extension {
            map.serialize_entry(crate::scim::PERSONIO_USER_SCHEMA, &self.extension)?;
        }
        map.end()
    }
}
