//! What is known of every person, as Personio said it last. It outlives the load that brought it, so that
//! the next one asks only for what may have changed, and with a state file it outlives the program.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::personal;
use crate::directory::SourceError;
use crate::personio::Names;
use crate::personio::model::{CustomAttribute, Employment, Person};

/// The version of what is written. What has another is not read.
const VERSION: u32 = 1;

/// One person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) person: Person,
    /// As they could last be read; `None` if that never succeeded.
    pub(super) employments: Option<Vec<Employment>>,
    /// When they were.
    pub(super) read: Timestamp,
    /// Whether reading them has failed since.
    pub(super) failed: bool,
    /// When Personio was last asked for this person alone, because the list had none.
    pub(super) asked: Option<Timestamp>,
    /// Whether they were missing from the last listing, without Personio having said that they are gone.
    #[serde(default)]
    pub(super) unconfirmed: bool,
}

impl Record {
    /// Whether there was an employment when employments could last be read.
    pub(super) fn is_employed(&self) -> bool {
        self.employments.as_ref().is_some_and(|employments| !employments.is_empty())
    }
}

/// Everybody, and the names of what they belong to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Records {
    pub(super) people: HashMap<String, Arc<Record>>,
    pub(super) names: Names,
}

/// How records are written.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    names: Names,
    people: Vec<Arc<Record>>,
}

impl Records {
    /// The records that `bytes` were made of.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, SourceError> {
        // The text of a JSON error can quote the value at fault.
        let broken = |_| SourceError::new("holds records that cannot be read".to_owned());
        let Written { version, names, people } = serde_json::from_slice(bytes).map_err(broken)?;
        if version != VERSION {
            return Err(SourceError::new(format!("holds records of version {version} instead of {VERSION}")));
        }
        let people = people.into_iter().map(|mut record| {
            forget_personal(&mut Arc::make_mut(&mut record).person);
            (record.person.id.clone(), record)
        });
        let people = people.collect();
        Ok(Self { people, names })
    }

    /// All of it in bytes.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        let people = self.people.values().cloned().collect();
        let written = Written { version: VERSION, names: self.names.clone(), people };
        serde_json::to_vec(&written).map_err(|error| SourceError::new(error.to_string()))
    }
}

/// Forgets the values of custom attributes that were asked for and are personal, as can be seen of them only
/// once they have come: they are not served, and must be found neither in memory nor on a disk.
pub(super) fn forget_personal(person: &mut Person) {
    person.custom_attributes.iter_mut().filter(|it| is_personal(it)).for_each(|it| it.value = Value::Null);
}

/// Whether its id, its global id or its label says so.
pub(super) fn is_personal(attribute: &CustomAttribute) -> bool {
    let seen = [Some(&attribute.id), attribute.global_id.as_ref(), attribute.label.as_ref()];
    seen.into_iter().flatten().any(|text| personal::is_personal(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::personio::Kind;

    #[test]
    fn records_are_read_back_as_they_were_written() {
        let person = json!({"id": "7", "email": "a@example.com", "employments": [{"id": "e"}]});
        let employments = json!([{"id": "e", "status": "active", "employment_start_date": "2020-01-01"}]);
        let record = Record {
            person: serde_json::from_value(person).unwrap(),
            employments: serde_json::from_value(employments).unwrap(),
            read: "2026-01-01T00:00:00.5Z".parse().unwrap(),
            failed: true,
            asked: Some("2026-01-02T00:00:00Z".parse().unwrap()),
            unconfirmed: true,
        };
        let records = Records {
            people: [("7".to_owned(), Arc::new(record))].into(),
            names: [(Kind::Team, "1".to_owned(), "Ä".to_owned())].into_iter().collect(),
        };
        let bytes = records.to_bytes().unwrap();
        assert_eq!(Records::from_bytes(&bytes).unwrap(), records);
        let text = String::from_utf8(bytes).unwrap();
        for broken in [&text[1..], &text.replace("\"version\":1", "\"version\":2"), "", "{}", "[]"] {
            let reason = Records::from_bytes(broken.as_bytes()).unwrap_err().to_string();
            assert!(!reason.contains("example.com"), "{reason}");
        }
    }
}
