//! Records: the last known data of each person. They outlive the load that read them, so that the
//! next load requests only what may have changed. With a state file they outlive the process.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ptr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory::{Defects, InvalidState, SourceError};
use crate::mapping::employment::compare_ids;
use crate::personio::model::Employment;
use crate::personio::{LookupNames, MalformedNames, UnreadableEntry, is_loggable};
use crate::sync::lookup_ids::LookupIds;
use crate::sync::record_codec::{CodecError, DecodedRecord, EncodedRecord, ListedPerson};

/// Version of the encoded form that is written.
const RECORDS_VERSION: u32 = 4;
/// Oldest version that is read. Version 3 lacks the jobs of employments, which the next reads of
/// the employments bring. Bytes of any other version are rejected.
const OLDEST_READABLE_VERSION: u32 = 3;
/// Approximate number of bytes of an encoded record in addition to the encoded person and
/// employments.
const RECORD_OVERHEAD_BYTES: usize = 80;

/// Last known data of one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersonRecord {
    pub(crate) id: Box<str>,
    /// Encoded person and employments.
    pub(crate) encoded: EncodedRecord,
    /// Time at which the employments were read, or of the first attempt if none has succeeded.
    pub(crate) read_at: Timestamp,
    /// True if the last attempt to read the employments failed.
    pub(crate) read_failed: bool,
    /// Time of the last deletion check since the person was missing from a listing.
    pub(crate) deletion_checked_at: Option<Timestamp>,
    /// True if the last listing did not contain the person and the deletion is not confirmed.
    pub(crate) is_unverified: bool,
    /// Attribute that made the person unreadable in the last listing. The record has an earlier
    /// state then.
    pub(crate) unreadable_attribute: Option<Box<str>>,
    /// Attributes whose values could not be read exactly.
    pub(crate) malformed: MalformedAttributes,
}

/// Names of the attributes of one person whose values could not be read exactly.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MalformedAttributes {
    pub(crate) person: Vec<Box<str>>,
    pub(crate) employments: Vec<Box<str>>,
}

impl PersonRecord {
    /// Creates the record of a person from a listing. `employments` is `None` if the attempt to
    /// read them at `read_at` failed.
    pub(crate) fn new(
        person: &ListedPerson,
        employments: Option<&[Employment]>,
        read_at: Timestamp,
    ) -> Result<Self, CodecError> {
        let encoded = EncodedRecord::new(person, employments)?;
        let malformed =
            MalformedAttributes { person: person.malformed.clone(), employments: Vec::new() };
        Ok(Self {
            id: person.id.clone(),
            encoded,
            read_at,
            read_failed: employments.is_none(),
            deletion_checked_at: None,
            is_unverified: false,
            unreadable_attribute: None,
            malformed,
        })
    }

    /// Reports whether both records give the same user and the same defects, if everything else
    /// is the same. Read times are ignored.
    pub(crate) fn gives_same_user_as(&self, other: &Self) -> bool {
        if ptr::eq(self, other) {
            return true;
        }
        self.encoded == other.encoded
            && self.read_failed == other.read_failed
            && self.is_unverified == other.is_unverified
            && self.unreadable_attribute == other.unreadable_attribute
            && self.malformed == other.malformed
    }

    /// Reports whether any part could not be read, or not exactly.
    fn has_defects(&self) -> bool {
        !self.is_complete()
            || self.unreadable_attribute.is_some()
            || !self.malformed.person.is_empty()
            || !self.malformed.employments.is_empty()
    }

    /// Reports whether the record can be mapped to a user. Without employments, the active state is
    /// unknown.
    pub(crate) fn is_complete(&self) -> bool {
        self.encoded.has_employments()
    }

    /// Returns the person as last listed.
    pub(crate) fn to_listed(&self) -> ListedPerson {
        let mut listed = self.encoded.listed(&self.id);
        listed.malformed.clone_from(&self.malformed.person);
        listed
    }

    /// Reports whether a part comes from an earlier load because it could not be read again.
    pub(crate) fn is_outdated(&self) -> bool {
        self.unreadable_attribute.is_some() || (self.read_failed && self.encoded.has_employments())
    }

    /// Counts the values that could not be read exactly.
    fn add_values_to(&self, defects: &mut Defects) {
        for attribute in &self.malformed.person {
            defects.values += 1;
            defects.add_example(|| format!("{}: {attribute}", describe_person(Some(&self.id))));
        }
        for attribute in &self.malformed.employments {
            defects.values += 1;
            defects.add_example(|| {
                format!("{}: employments.{attribute}", describe_person(Some(&self.id)))
            });
        }
    }

    /// Checks a decoded record and adds the look-up ids of its employments to `lookup_ids`. Removes
    /// the values of attributes that are personal by the rules of this version.
    fn check(self, lookup_ids: &mut LookupIds) -> Result<Self, CodecError> {
        let DecodedRecord { person, employments } = self.encoded.decode()?;
        if *person.id != *self.id {
            return Err(CodecError::INVALID);
        }
        lookup_ids.add_all(&employments.unwrap_or_default());
        if person.custom_attributes.is_empty() {
            return Ok(self);
        }
        Ok(Self { encoded: self.encoded.with_person(&ListedPerson::new(person)?), ..self })
    }
}

/// Set of records with access by person id.
#[derive(Debug, Clone, Default)]
pub(crate) struct RecordsById(HashSet<RecordKey>);

/// Record that is hashed and compared by its id.
#[derive(Debug, Clone)]
struct RecordKey(Arc<PersonRecord>);

impl Borrow<str> for RecordKey {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl PartialEq for RecordKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for RecordKey {}

impl RecordsById {
    pub(crate) fn get(&self, id: &str) -> Option<&Arc<PersonRecord>> {
        let RecordKey(record) = self.0.get(id)?;
        Some(record)
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// Adds a record. It replaces an earlier record of the same person.
    pub(crate) fn insert(&mut self, record: Arc<PersonRecord>) {
        self.0.replace(RecordKey(record));
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<PersonRecord>> {
        self.0.iter().map(|RecordKey(record)| record)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<Arc<PersonRecord>> for RecordsById {
    /// Collects records. Of several records of one person the last stays.
    fn from_iter<I: IntoIterator<Item = Arc<PersonRecord>>>(records: I) -> Self {
        let records = records.into_iter();
        let mut by_id = Self(HashSet::with_capacity(records.size_hint().0));
        for record in records {
            by_id.insert(record);
        }
        by_id
    }
}

/// All records and the names of the look-ups to which they refer.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) by_id: RecordsById,
    pub(crate) names: LookupNames,
    /// Persons and names that the last load could not read and that have no earlier state. They are
    /// not encoded.
    pub(crate) left_out: UnreadableData,
}

/// Persons and names that a load could not read and that have no earlier state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnreadableData {
    pub(crate) persons: Vec<UnreadableEntry>,
    pub(crate) names: Vec<MalformedNames>,
}

impl UnreadableData {
    /// Counts the persons that could not be read.
    fn add_persons_to(&self, defects: &mut Defects) {
        for UnreadableEntry { id, attribute } in &self.persons {
            defects.left_out += 1;
            defects.add_example(|| {
                format!("{}: {attribute}, left out", describe_person(id.as_deref()))
            });
        }
    }

    /// Counts the names that could not be read.
    fn add_names_to(&self, defects: &mut Defects) {
        for MalformedNames { kind, ids, unreadable } in &self.names {
            defects.values += ids.len() + unreadable;
            for id in ids {
                defects.add_example(|| format!("{kind:?} {}: name", loggable_id(id)));
            }
            if *unreadable > 0 {
                defects.add_example(|| format!("{unreadable} of {kind:?}: id"));
            }
        }
    }
}

/// Returns the description of a person for a log line.
fn describe_person(id: Option<&str>) -> String {
    match id {
        Some(id) => format!("person {}", loggable_id(id)),
        None => "a person without a readable id".to_owned(),
    }
}

/// Returns `id` if it is safe in a log line, else a placeholder.
fn loggable_id(id: &str) -> &str {
    if is_loggable(id) { id } else { "with an odd id" }
}

/// Encoded form of the records, for writing.
#[derive(Serialize)]
struct EncodableRecords<'r> {
    version: u32,
    names: &'r LookupNames,
    records: Vec<&'r PersonRecord>,
}

/// Encoded form of the records, for reading.
#[derive(Deserialize)]
struct DecodableRecords {
    version: u32,
    names: LookupNames,
    records: Vec<PersonRecord>,
}

impl Records {
    /// Reports whether both give the same users and the same defects. Read times are ignored.
    pub(crate) fn gives_same_users_as(&self, other: &Self) -> bool {
        self.by_id.len() == other.by_id.len()
            && self.names == other.names
            && self.left_out == other.left_out
            && self.by_id.iter().all(|record| other.has_same(record))
    }

    /// Reports whether these records contain one that gives the same user as `record`.
    fn has_same(&self, record: &Arc<PersonRecord>) -> bool {
        let Some(own) = self.by_id.get(&record.id) else { return false };
        own.gives_same_user_as(record)
    }

    /// Returns the numbers of data that could not be read, or not exactly, and a few examples.
    pub(crate) fn defects(&self) -> Defects {
        let mut defects = Defects::default();
        let mut defective: Vec<&PersonRecord> = Vec::new();
        for record in self.by_id.iter() {
            if record.has_defects() {
                defective.push(record);
            }
        }
        defective.sort_by(|one, other| compare_ids(&one.id, &other.id));
        self.left_out.add_persons_to(&mut defects);
        for record in &defective {
            if !record.is_complete() {
                defects.left_out += 1;
                defects.add_example(|| {
                    format!("{}: employments, left out", describe_person(Some(&record.id)))
                });
            }
        }
        // Persons without employments are not served, so that their other defects do not count.
        defective.retain(|record| record.is_complete());
        for record in &defective {
            if let Some(attribute) = &record.unreadable_attribute {
                defects.kept += 1;
                defects.add_example(|| {
                    format!("{}: {attribute}, as before", describe_person(Some(&record.id)))
                });
            }
        }
        for record in &defective {
            record.add_values_to(&mut defects);
        }
        self.left_out.add_names_to(&mut defects);
        defects
    }

    /// Decodes records. Returns them with the look-up ids of their employments.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<(Self, LookupIds), InvalidState> {
        // The error of the decoder is discarded, since its text can quote personal data.
        let Ok(DecodableRecords { version, names, records: read }) = rmp_serde::from_slice(bytes)
        else {
            return Err(unreadable_records());
        };
        if !(OLDEST_READABLE_VERSION..=RECORDS_VERSION).contains(&version) {
            let reason = format!("holds records of version {version} instead of {RECORDS_VERSION}");
            return Err(InvalidState::new(reason));
        }
        let mut lookup_ids = LookupIds::default();
        let mut by_id = RecordsById(HashSet::with_capacity(read.len()));
        for record in read {
            let record = record.check(&mut lookup_ids).map_err(|_| unreadable_records())?;
            by_id.insert(Arc::new(record));
        }
        Ok((Self { by_id, names, left_out: UnreadableData::default() }, lookup_ids))
    }

    /// Encodes the records and names.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SourceError> {
        let records: Vec<&PersonRecord> = self.by_id.iter().map(Arc::as_ref).collect();
        let size = records.iter().map(|record| record.encoded.size() + RECORD_OVERHEAD_BYTES).sum();
        let mut bytes = Vec::with_capacity(size);
        let written = EncodableRecords { version: RECORDS_VERSION, names: &self.names, records };
        match rmp_serde::encode::write(&mut bytes, &written) {
            Ok(()) => Ok(bytes),
            Err(error) => {
                Err(SourceError::internal(format!("the records cannot be encoded: {error}")))
            }
        }
    }
}

/// Returns the error for bytes that are no records. Its text continues the sentence "the state file
/// …".
pub(crate) fn unreadable_records() -> InvalidState {
    InvalidState::new("holds records that cannot be read")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::personio::LookupKind;

    #[test]
    fn decoding_returns_the_encoded_records() {
        let person = json!({"id": "7", "email": "a@example.com", "employments": [{"id": "e"}]});
        let employments =
            json!([{"id": "e", "status": "active", "employment_start_date": "2020-01-01"}]);
        let employments: Vec<Employment> = serde_json::from_value(employments).unwrap();
        let listed = ListedPerson::new(serde_json::from_value(person).unwrap()).unwrap();
        let read = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let record = PersonRecord {
            read_failed: true,
            deletion_checked_at: Some("2026-01-02T00:00:00Z".parse().unwrap()),
            is_unverified: true,
            unreadable_attribute: Some("email".into()),
            malformed: MalformedAttributes {
                person: vec!["created_at".into()],
                employments: vec!["position.title".into()],
            },
            ..PersonRecord::new(&listed, Some(&employments), read).unwrap()
        };
        let names: LookupNames =
            [(LookupKind::Team, "1".to_owned(), "Ä".to_owned())].into_iter().collect();
        let records = Records {
            by_id: [Arc::new(record.clone())].into_iter().collect(),
            names: names.clone(),
            ..Records::default()
        };
        let bytes = records.to_bytes().unwrap();
        let (again, _) = Records::from_bytes(&bytes).unwrap();
        assert_eq!(again.by_id.iter().map(Arc::as_ref).collect::<Vec<_>>(), [&record]);
        assert_eq!(again.names, names);

        let mut newer = bytes.clone();
        newer[1] += 1;
        let reason = Records::from_bytes(&newer).unwrap_err().to_string();
        assert!(reason.contains("of version 5 instead of 4"), "{reason}");
        let cut = (0..bytes.len()).map(|length| &bytes[..length]);
        for broken in cut.chain([&bytes[1..], b"{}", b"[]"]) {
            let reason = Records::from_bytes(broken).unwrap_err().to_string();
            assert!(!reason.contains("example.com"), "{reason}");
        }
    }

    /// Bytes that a program wrote whose version was 3, in hexadecimal.
    const RECORDS_OF_VERSION_3: &[&str] = &[
        "93039181a45465616d81a132a7526f636b6574739198a13792c5012e9aa137ad61406578616d706c",
        "652e636f6da3416e6ea34c6565a5416e6e6965a6414354495645b4323032302d30312d3031543030",
        "3a30303a30305ab6323032362d30312d30315430303a30303a30302e355a9194a964796e616d6963",
        "5f31c0a5426164676592a178019291a16591a166929fa165a6414354495645a8494e5445524e414c",
        "91a550696c6f7491a13891a1349292a132a45445414d92a131aa4445504152544d454e5491a13392",
        "92a135cb404e00000000000092a136c0aa323032302d30322d3239aa323032372d30312d3031aa32",
        "3032302d30382d3031aa323032382d30312d303193aa323032372d30312d3031aa323032362d3132",
        "2d3031c0b4323032362d30322d30315430303a30303a30305a9fa166a8494e414354495645c0c0c0",
        "c090c090c0c0c0c0c0c070b6323032362d30312d30315430303a30303a30302e355ac3b432303236",
        "2d30312d30325430303a30303a30305ac3a5656d61696c9291aa637265617465645f617491ae706f",
        "736974696f6e2e7469746c65",
    ];

    #[test]
    fn records_of_version_3_are_read() {
        let digits = RECORDS_OF_VERSION_3.concat();
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        for index in (0..digits.len()).step_by(2) {
            bytes.push(u8::from_str_radix(&digits[index..index + 2], 16).unwrap());
        }
        let (records, _) = Records::from_bytes(&bytes).unwrap();
        assert_eq!(records.names.get(LookupKind::Team, "2"), Some("Rockets"));
        let person = json!({
            "id": "7", "email": "a@example.com", "first_name": "Ann", "last_name": "Lee",
            "preferred_name": "Annie", "status": "ACTIVE", "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00.5Z",
            "custom_attributes": [{"id": "dynamic_1", "label": "Badge", "value": ["x", 1]}],
            "employments": [{"id": "e"}, {"id": "f"}],
        });
        let employments = json!([
            {
                "id": "e", "status": "ACTIVE", "type": "INTERNAL", "position": {"title": "Pilot"},
                "supervisor": {"id": "8"}, "office": {"id": "4"}, "legal_entity": {"id": "3"},
                "org_units": [{"id": "2", "type": "team"}, {"id": "1", "type": "department"}],
                "cost_centers": [{"id": "5", "weight": 60}, {"id": "6"}],
                "employment_start_date": "2020-02-29", "employment_end_date": "2027-01-01",
                "probation_end_date": "2020-08-01", "contract_end_date": "2028-01-01",
                "termination": {
                    "termination_date": "2027-01-01", "last_working_day": "2026-12-01",
                },
                "updated_at": "2026-02-01T00:00:00Z",
            },
            {"id": "f", "status": "INACTIVE"},
        ]);
        let record = records.by_id.get("7").unwrap();
        let expected = DecodedRecord {
            person: serde_json::from_value(person).unwrap(),
            employments: serde_json::from_value(employments).unwrap(),
        };
        assert_eq!(record.encoded.decode().unwrap(), expected);
        assert_eq!(record.read_at, "2026-01-01T00:00:00.5Z".parse().unwrap());
        assert_eq!(record.unreadable_attribute.as_deref(), Some("email"));
        assert!(record.read_failed && record.is_unverified);
        // The records are written as version 4.
        let (again, _) = Records::from_bytes(&records.to_bytes().unwrap()).unwrap();
        assert!(again.gives_same_users_as(&records));
    }

    #[test]
    fn only_equal_records_give_the_same_users() {
        let listed = |email: &str| {
            ListedPerson::new(serde_json::from_value(json!({"id": "7", "email": email})).unwrap())
        };
        let record =
            PersonRecord::new(&listed("a@example.com").unwrap(), Some(&[]), Timestamp::UNIX_EPOCH)
                .unwrap();
        let employment: Employment = serde_json::from_value(json!({"id": "e"})).unwrap();
        let employed = PersonRecord::new(
            &listed("a@example.com").unwrap(),
            Some(&[employment]),
            record.read_at,
        )
        .unwrap();
        let renamed =
            PersonRecord::new(&listed("b@example.com").unwrap(), Some(&[]), record.read_at)
                .unwrap();
        let other = PersonRecord { id: "8".into(), ..record.clone() };
        let records = |all: &[&PersonRecord], name: &str| {
            let names = [(LookupKind::Team, "1".to_owned(), name.to_owned())].into_iter().collect();
            Records {
                by_id: all.iter().map(|record| Arc::new(PersonRecord::clone(record))).collect(),
                names,
                ..Records::default()
            }
        };
        let left_out = UnreadableEntry { id: Some("9".to_owned()), attribute: "email" };
        let left_out = UnreadableData { persons: vec![left_out], names: Vec::new() };
        let before = records(&[&record], "A");
        let read_later = PersonRecord {
            read_at: Timestamp::MAX,
            deletion_checked_at: Some(Timestamp::MAX),
            ..record.clone()
        };
        assert!(records(&[&read_later], "A").gives_same_users_as(&before));
        for changed in [
            records(&[&record], "B"),
            records(&[], "A"),
            records(&[&record, &other], "A"),
            records(&[&other], "A"),
            records(&[&employed], "A"),
            records(&[&renamed], "A"),
            records(&[&PersonRecord { read_failed: true, ..record.clone() }], "A"),
            records(&[&PersonRecord { is_unverified: true, ..record.clone() }], "A"),
            records(
                &[&PersonRecord { unreadable_attribute: Some("email".into()), ..record.clone() }],
                "A",
            ),
            records(
                &[&PersonRecord {
                    malformed: MalformedAttributes {
                        person: vec!["email".into()],
                        ..MalformedAttributes::default()
                    },
                    ..record.clone()
                }],
                "A",
            ),
            Records { left_out: left_out.clone(), ..records(&[&record], "A") },
        ] {
            assert!(
                !changed.gives_same_users_as(&before) && !before.gives_same_users_as(&changed),
                "{changed:?}"
            );
        }
    }

    #[test]
    fn record_with_the_id_of_another_person_is_rejected() {
        let listed =
            ListedPerson::new(serde_json::from_value(json!({"id": "7"})).unwrap()).unwrap();
        let record = PersonRecord {
            id: "8".into(),
            ..PersonRecord::new(&listed, None, Timestamp::UNIX_EPOCH).unwrap()
        };
        let records =
            Records { by_id: [Arc::new(record)].into_iter().collect(), ..Records::default() };
        assert!(Records::from_bytes(&records.to_bytes().unwrap()).is_err());
    }

    #[test]
    fn defects_are_counted_and_shown_without_values() {
        let record = |id: &str, malformed: MalformedAttributes, unreadable: Option<&str>| {
            let listed = ListedPerson::new(
                serde_json::from_value(json!({"id": id, "email": "a@example.com"})).unwrap(),
            );
            let record =
                PersonRecord::new(&listed.unwrap(), Some(&[]), Timestamp::UNIX_EPOCH).unwrap();
            Arc::new(PersonRecord {
                malformed,
                unreadable_attribute: unreadable.map(Box::from),
                ..record
            })
        };
        let malformed = MalformedAttributes {
            person: vec!["created_at".into()],
            employments: vec!["position.title".into()],
        };
        let complete = [
            record("10", malformed, None),
            record("9", MalformedAttributes::default(), Some("email")),
            record("8", MalformedAttributes::default(), None),
        ];
        let without_id = UnreadableEntry { id: None, attribute: "id" };
        let odd_id = UnreadableEntry { id: Some("A name".to_owned()), attribute: "status" };
        let names =
            MalformedNames { kind: LookupKind::Team, ids: vec!["3".to_owned()], unreadable: 1 };
        let left_out = UnreadableData { persons: vec![without_id, odd_id], names: vec![names] };
        let incomplete = |id: &str| {
            let listed = ListedPerson::new(
                serde_json::from_value(json!({"id": id, "email": "a@example.com"})).unwrap(),
            );
            let record = PersonRecord::new(&listed.unwrap(), None, Timestamp::UNIX_EPOCH).unwrap();
            let malformed =
                MalformedAttributes { person: vec!["created_at".into()], employments: Vec::new() };
            Arc::new(PersonRecord { malformed, ..record })
        };
        let all = complete.into_iter().chain([incomplete("11")]);
        let records = Records { by_id: all.collect(), left_out, ..Records::default() };
        let Defects { left_out, kept, values, examples } = records.defects();
        assert_eq!((left_out, kept, values), (3, 1, 4));
        let expected = [
            "a person without a readable id: id, left out",
            "person with an odd id: status, left out",
            "person 11: employments, left out",
            "person 9: email, as before",
            "person 10: created_at",
            "person 10: employments.position.title",
            "Team 3: name",
            "1 of Team: id",
        ];
        assert_eq!(examples.iter().map(|example| &**example).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn examples_of_defects_are_limited() {
        let unreadable =
            |id: usize| UnreadableEntry { id: Some(id.to_string()), attribute: "email" };
        let left_out =
            UnreadableData { persons: (0..1000).map(unreadable).collect(), names: Vec::new() };
        let defects = Records { left_out, ..Records::default() }.defects();
        assert_eq!((defects.left_out, defects.examples.len()), (1000, 10));
    }
}
