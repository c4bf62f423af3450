//! A User resource (RFC 7643 §4.1, §4.3) as it is served: only what this server ever says about a
//! person has a field. An attribute without a value is left out of the JSON.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::scim::{Content, Membership, Meta};

/// One user.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Unique and never reassigned (RFC 7643 §3.1).
    pub id: String,
    /// The client's key for the same person.
    pub external_id: String,
    /// Unique without regard to case.
    pub user_name: String,
    /// Always an object, perhaps an empty one: clients read into it without asking.
    pub name: Name,
    /// The name to show.
    pub display_name: String,
    /// The position.
    pub title: Option<String>,
    /// `Employee` or `Contractor`.
    pub user_type: Option<&'static str>,
    /// Whether the person may work today.
    pub active: bool,
    /// The work address; at most one.
    pub emails: Vec<Email>,
    /// The groups that the user is in.
    pub groups: Vec<Membership>,
    /// RFC 7643 §4.3.
    pub enterprise: EnterpriseUser,
    /// The extension of our own.
    pub extension: Extension,
    /// RFC 7643 §3.1.
    pub meta: Meta,
}

/// The components of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Name {
    /// Given and family name as one text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
}

/// An e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Email {
    /// The address.
    pub value: String,
    /// What it is for: `work`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it is the preferred one.
    pub primary: bool,
}

/// The enterprise extension.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnterpriseUser {
    /// The number the employer gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// The cost centre's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// The legal entity's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The division's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The department's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The person's manager, always as an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Manager>,
}

/// A manager: another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manager {
    /// The `id` of that user.
    pub value: String,
    /// The address of that user.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// The display name of that user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Attributes of a further schema (RFC 7643 §3.3), in the order in which they are served.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extension {
    attributes: Vec<(Arc<str>, Value)>,
}

impl Extension {
    /// Reports whether there is an attribute of this name.
    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| &**known == name)
    }

    /// Adds an attribute that has a value.
    pub fn push(&mut self, name: &Arc<str>, value: Value) {
        self.attributes.push((Arc::clone(name), value));
    }
}

impl FromIterator<(Arc<str>, Value)> for Extension {
    /// Attributes that have a value, with no more room than they take: everybody has some.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(all: I) -> Self {
        let all = all.into_iter();
        let mut attributes = Vec::with_capacity(all.size_hint().0);
        attributes.extend(all);
        Self { attributes }
    }
}

impl Serialize for Extension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.attributes.iter().map(|(name, value)| (name.as_ref(), value)))
    }
}

/// Attribute of our extension that tells the employment.
const EMPLOYMENT: &str = "employmentId";

impl User {
    /// Reports whether the user has an employment.
    #[must_use]
    pub fn has_employment(&self) -> bool {
        self.extension.has(EMPLOYMENT)
    }

    /// What lists are ordered by: creation, then the id, numbers as numbers. It depends on nothing that changes, so
    /// pages stay in step across refreshes.
    #[must_use]
    pub fn list_key(&self) -> impl Ord + use<> {
        (numbered(self.meta.created, &self.id), self.id.clone())
    }
}

impl Content for User {
    fn id(&self) -> &str {
        &self.id
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }
}

/// The order of two users by when they were created and by their ids: that of [`User::list_key`].
#[must_use]
pub fn list_order(one: (Option<Timestamp>, &str), other: (Option<Timestamp>, &str)) -> Ordering {
    numbered(one.0, one.1).cmp(&numbered(other.0, other.1)).then_with(|| one.1.cmp(other.1))
}

fn numbered(created: Option<Timestamp>, id: &str) -> (Timestamp, u64) {
    (created.unwrap_or(Timestamp::MAX), id.parse().unwrap_or(u64::MAX))
}

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let enterprise = (self.enterprise != EnterpriseUser::default()).then_some(&self.enterprise);
        let extension = (!self.extension.attributes.is_empty()).then_some(&self.extension);
        let mut schemas = vec![crate::scim::USER];
        schemas.extend(enterprise.map(|_| crate::scim::ENTERPRISE_USER));
        schemas.extend(extension.map(|_| crate::scim::EXTENSION_USER));

        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schemas", &schemas)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("externalId", &self.external_id)?;
        map.serialize_entry("userName", &self.user_name)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("displayName", &self.display_name)?;
        if let Some(title) = &self.title {
            map.serialize_entry("title", title)?;
        }
        if let Some(user_type) = self.user_type {
            map.serialize_entry("userType", user_type)?;
        }
        map.serialize_entry("active", &self.active)?;
        if !self.emails.is_empty() {
            map.serialize_entry("emails", &self.emails)?;
        }
        if !self.groups.is_empty() {
            map.serialize_entry("groups", &self.groups)?;
        }
        if let Some(enterprise) = enterprise {
            map.serialize_entry(crate::scim::ENTERPRISE_USER, enterprise)?;
        }
        if let Some(extension) = extension {
            map.serialize_entry(crate::scim::EXTENSION_USER, extension)?;
        }
        map.serialize_entry("meta", &self.meta)?;
        map.end()
    }
}
