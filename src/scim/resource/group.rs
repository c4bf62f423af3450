//! Group resource (RFC 7643 §4.2).

use serde::{Serialize, Serializer};

use crate::scim::{ResourceContent, ResourceMeta};

/// Group of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Identifier that is unique and never reassigned (RFC 7643 §3.1).
    pub id: String,
    /// Id of the org unit in Personio.
    pub external_id: String,
    /// Name for display.
    pub display_name: String,
    /// Users in the group, and groups below it.
    pub members: Vec<GroupMember>,
    /// Metadata (RFC 7643 §3.1).
    pub meta: ResourceMeta,
}

/// Member of a group: a user, or a group below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupMember {
    /// `id` of the member.
    pub value: String,
    /// Address of the member.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// Type of the member: `User` or `Group`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Display name of the member.
    pub display: String,
}

/// Group in the resource of one of its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupMembership {
    /// `id` of the group.
    pub value: String,
    /// Address of the group.
    #[serde(rename = "$ref")]
    pub reference: String,
    /// Display name of the group.
    pub display: String,
    /// Type of the membership: `direct`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

impl ResourceContent for Group {
    fn id(&self) -> &str {
        &self.id
    }

    fn meta(&self) -> &ResourceMeta {
        &self.meta
    }

    fn into_meta(self) -> ResourceMeta {
        self.meta
    }

    fn is_dated_by_server(&self) -> bool {
        true
    }
}

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct GroupJson<'a> {
            schemas: [&'static str; 1],
            id: &'a str,
            external_id: &'a str,
            display_name: &'a str,
            members: &'a [GroupMember],
        }
        let json = GroupJson {
            schemas: [crate::scim::GROUP_SCHEMA],
            id: &self.id,
            external_id: &self.external_id,
            display_name: &self.display_name,
            members: &self.members,
        };
        json.serialize(serializer)
    }
}
