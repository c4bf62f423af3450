//! A Group resource (RFC 7643 §4.2).

use serde::{Serialize, Serializer};

use crate::scim::{Content, Meta};

/// A group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Unique and never reassigned.
    pub id: String,
    /// Id of the unit in Personio.
    pub external_id: String,
    /// The name to show.
    pub display_name: String,
    /// Who is in it.
    pub members: Vec<Member>,
    /// RFC 7643 §3.1.
    pub meta: Meta,
}

/// A member of a group: a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The `id` of that user.
    pub value: String,
    /// The address of that user.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// What it is: `User`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The display name of that user.
    pub display: String,
}

/// A group, in the resource of a user who is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The `id` of that group.
    pub value: String,
    /// The address of that group.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// The display name of that group.
    pub display: String,
    /// How the user came into it: `direct`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl Content for Group {
    fn id(&self) -> &str {
        &self.id
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn is_dated_by_server(&self) -> bool {
        true
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Resource<'a> {
            schemas: [&'static str; 1],
            id: &'a str,
            external_id: &'a str,
            display_name: &'a str,
            members: &'a [Member],
            meta: &'a Meta,
        }
        let Self { id, external_id, display_name, members, meta } = self;
        Resource { schemas: [crate::scim::GROUP], id, external_id, display_name, members, meta }.serialize(serializer)
    }
}
