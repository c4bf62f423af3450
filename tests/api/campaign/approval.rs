//! Changes that an approval published, computed from the users before and after it. They must equal
//! the changes that were shown.

use std::collections::{BTreeMap, BTreeSet};

use personio_scim::directory::{AffectedUser, Snapshot};
use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use serde_json::Value;

/// Attributes whose loss or change is shown, by the suffix of the change's key.
const VALUES: [(&str, &[&str]); 16] = [
    ("Department", &[ENTERPRISE, "department"]),
    ("Manager", &[ENTERPRISE, "manager", "value"]),
    ("EmployeeNumber", &[ENTERPRISE, "employeeNumber"]),
    ("CostCenter", &[ENTERPRISE, "costCenter"]),
    ("Organization", &[ENTERPRISE, "organization"]),
    ("Division", &[ENTERPRISE, "division"]),
    ("Name", &["name", "formatted"]),
    ("Department", &[PERSONIO, "departmentId"]),
    ("CostCenter", &[PERSONIO, "costCenterId"]),
    ("Organization", &[PERSONIO, "legalEntityId"]),
    ("Job", &[PERSONIO, "job"]),
    ("Job", &[PERSONIO, "jobId"]),
    ("Office", &[PERSONIO, "office"]),
    ("Office", &[PERSONIO, "officeId"]),
    ("Team", &[PERSONIO, "team"]),
    ("UserType", &["userType"]),
];

/// Keys of the kinds of change, by user.
pub type Changes = BTreeMap<String, BTreeSet<String>>;

/// All users of a snapshot.
pub struct Published {
    pub users: Vec<Value>,
    unconfirmed: BTreeSet<String>,
}

impl Published {
    pub fn of(snapshot: &Snapshot) -> Self {
        let all = snapshot.users().all();
        Self {
            users: all.iter().map(|user| serde_json::from_str(user.json()).unwrap()).collect(),
            unconfirmed: snapshot.quality().unverified.iter().map(|id| id.to_string()).collect(),
        }
    }

    fn by_id(&self) -> BTreeMap<&str, &Value> {
        self.users.iter().map(|user| (user["id"].as_str().unwrap(), user)).collect()
    }

    /// Returns all changes from this snapshot to `later`. It omits users that were unverified
    /// before, because an earlier approval may have removed them.
    pub fn changes(&self, later: &Self) -> Changes {
        let (before, after) = (self.by_id(), later.by_id());
        let mut changes = Changes::new();
        for (id, was) in &before {
            let kinds = match after.get(id) {
                _ if self.unconfirmed.contains(*id) => continue,
                Some(now) if !later.unconfirmed.contains(*id) => changed(was, now),
                Some(_) | None => BTreeSet::from(["disappeared".to_owned()]),
            };
            if !kinds.is_empty() {
                changes.insert((*id).to_owned(), kinds);
            }
        }
        for id in after.keys().filter(|id| !before.contains_key(*id)) {
            changes.insert((*id).to_owned(), BTreeSet::from(["new".to_owned()]));
        }
        changes
    }

    /// Returns the changes that were shown, without users that were unverified before.
    pub fn shown(&self, affected: Vec<AffectedUser>) -> Changes {
        let mut changes = Changes::new();
        for user in affected {
            if !self.unconfirmed.contains(&*user.id) {
                changes.insert(
                    user.id.to_string(),
                    user.kinds.iter().map(|kind| kind.key().to_owned()).collect(),
                );
            }
        }
        changes
    }
}

fn value<'u>(user: &'u Value, path: &[&str]) -> Option<&'u str> {
    let mut value = user;
    for name in path {
        value = value.get(name)?;
    }
    value.as_str()
}

fn groups(user: &Value) -> BTreeMap<&str, &Value> {
    let groups = user["groups"].as_array().into_iter().flatten();
    groups.map(|group| (group["value"].as_str().unwrap(), &group["display"])).collect()
}

/// Returns the first e-mail address, in lower case.
fn email(user: &Value) -> Option<String> {
    Some(user["emails"].get(0)?["value"].as_str()?.to_lowercase())
}

fn changed(was: &Value, now: &Value) -> BTreeSet<String> {
    let name = |user: &Value| user["userName"].as_str().unwrap().to_lowercase();
    let is_active = |user: &Value| user["active"] == true;
    let has = |user: &Value, path: &[&str]| value(user, path).is_some();
    let (groups_before, groups_after) = (groups(was), groups(now));
    let mut kinds = BTreeSet::new();
    let mut note = |key: String, happens: bool| {
        if happens {
            kinds.insert(key);
        }
    };
    note("deactivated".to_owned(), is_active(was) && !is_active(now));
    note("activated".to_owned(), !is_active(was) && is_active(now));
    note("renamed".to_owned(), name(was) != name(now));
    let (email, later_email) = (email(was), email(now));
    note("withoutEmail".to_owned(), email.is_some() && later_email.is_none());
    note("otherEmail".to_owned(), email.is_some() && later_email.is_some() && email != later_email);
    let employment = [PERSONIO, "employmentId"];
    note("withoutEmployment".to_owned(), has(was, &employment) && !has(now, &employment));
    for (end, path) in VALUES {
        if let Some(before) = value(was, path) {
            note(format!("without{end}"), !has(now, path));
            note(format!("other{end}"), value(now, path).is_some_and(|after| after != before));
        }
    }
    note(
        "fewerGroups".to_owned(),
        groups_before.keys().any(|group| !groups_after.contains_key(group)),
    );
    note(
        "moreGroups".to_owned(),
        groups_after.keys().any(|group| !groups_before.contains_key(group)),
    );
    let is_renamed = |(group, name): (&&str, &&Value)| {
        groups_after.get(*group).is_some_and(|after| *after != *name)
    };
    note("renamedGroup".to_owned(), groups_before.iter().any(is_renamed));
    kinds
}
