//! Codec of records. A record is one byte string in MessagePack, since a person as a struct is
//! dozens of small strings, of which a company has millions. One record is decoded at a time.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::directory::SourceError;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::personal_data::is_personal_attribute;
use crate::personio::ParsedEntry;
use crate::personio::model::{Employment, Person};

/// Error for bytes that cannot be decoded or a value that cannot be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record of a person cannot be {0}")]
pub(crate) struct CodecError(&'static str);

impl CodecError {
    /// Error for bytes that this program did not encode.
    pub(crate) const INVALID: Self = Self("decoded");
}

impl From<CodecError> for SourceError {
    fn from(error: CodecError) -> Self {
        Self::internal(error.to_string())
    }
}

/// Decoded data of one person.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DecodedRecord {
    pub(crate) person: Person,
    /// Employments of the last successful read; `None` if no read has succeeded.
    pub(crate) employments: Option<Vec<Employment>>,
}

/// Encoded person: the fields of [`Person`] in their order, most of which are skipped.
#[derive(Deserialize)]
struct EncodedPersonFields<'p>(
    &'p str,
    Option<&'p str>,
    Option<&'p str>,
    Option<&'p str>,
    Option<&'p str>,
    IgnoredAny,
    Option<Timestamp>,
    IgnoredAny,
    IgnoredAny,
    IgnoredAny,
);

/// Encoded person of a listing, without the values of personal attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedPerson {
    pub(crate) id: Box<str>,
    bytes: Vec<u8>,
    /// Names of the attributes whose values could not be read exactly.
    pub(crate) malformed: Vec<Box<str>>,
}

impl ListedPerson {
    /// Encodes a person without the values of personal attributes.
    pub(crate) fn new(mut person: Person) -> Result<Self, CodecError> {
        remove_personal_values(&mut person);
        let bytes = to_msgpack(&person)?;
        Ok(Self { id: person.id.into(), bytes, malformed: Vec::new() })
    }

    /// Encodes a person from a listing or a single-user fetch, with the names of its inexact
    /// attributes.
    pub(crate) fn from_entry(read: ParsedEntry<Person>) -> Result<Self, CodecError> {
        Ok(Self { malformed: read.malformed, ..Self::new(read.value)? })
    }

    /// Returns the size of the encoded person in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn decode(&self) -> Result<Person, CodecError> {
        from_msgpack(&self.bytes)
    }
}

/// Encoded record: the person, followed by the employments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EncodedRecord {
    #[serde(with = "serde_bytes")]
    bytes: Box<[u8]>,
    /// Offset of the employments. If no bytes follow it, the employments are unknown.
    employments_offset: usize,
}

impl EncodedRecord {
    /// Joins an encoded person and employments; `None` means that the employments are unknown.
    pub(crate) fn new(
        person: &ListedPerson,
        employments: Option<&[Employment]>,
    ) -> Result<Self, CodecError> {
        let employments = match employments {
            Some(employments) => to_msgpack(employments)?,
            None => Vec::new(),
        };
        Ok(Self::join(&person.bytes, &employments))
    }

    /// Returns a record whose person and employments cannot be decoded.
    #[cfg(test)]
    pub(crate) fn damaged() -> Self {
        Self::join(&[0xc1], &[0xc1])
    }

    fn join(person: &[u8], employments: &[u8]) -> Self {
        Self { bytes: [person, employments].concat().into(), employments_offset: person.len() }
    }

    /// Returns a record of `person` with the employments of this record.
    pub(crate) fn with_person(&self, person: &ListedPerson) -> Self {
        Self::join(&person.bytes, self.parts().1)
    }

    /// Returns the bytes of the person and of the employments. Both are empty for an invalid
    /// offset, so that decoding fails.
    fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(self.employments_offset).unwrap_or_default()
    }

    /// Returns the encoded person. `id` must be the id of this person.
    pub(crate) fn listed(&self, id: &str) -> ListedPerson {
        ListedPerson { id: id.into(), bytes: self.parts().0.to_vec(), malformed: Vec::new() }
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Reports whether the person in this record equals `person` byte for byte.
    pub(crate) fn has_same_person(&self, person: &ListedPerson) -> bool {
        self.parts().0 == person.bytes
    }

    pub(crate) fn has_same_employments(&self, other: &Self) -> bool {
        self.parts().1 == other.parts().1
    }

    pub(crate) fn has_employments(&self) -> bool {
        !self.parts().1.is_empty()
    }

    /// Decodes the fields that name and order a person, without a copy.
    pub(crate) fn decode_header(&self) -> Result<PersonHeader<'_>, CodecError> {
        let EncodedPersonFields(
            id,
            email,
            first_name,
            last_name,
            preferred_name,
            _,
            created_at,
            ..,
        ) = from_msgpack(self.parts().0)?;
        Ok(PersonHeader { id, email, first_name, last_name, preferred_name, created_at })
    }

    pub(crate) fn decode_employments(&self) -> Result<Option<Vec<Employment>>, CodecError> {
        let (_, employments) = self.parts();
        if employments.is_empty() {
            return Ok(None);
        }
        from_msgpack(employments).map(Some)
    }

    pub(crate) fn decode(&self) -> Result<DecodedRecord, CodecError> {
        Ok(DecodedRecord {
            person: from_msgpack(self.parts().0)?,
            employments: self.decode_employments()?,
        })
    }
}

fn to_msgpack<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    rmp_serde::to_vec(value).map_err(|_| CodecError("encoded"))
}

fn from_msgpack<'b, T: Deserialize<'b>>(bytes: &'b [u8]) -> Result<T, CodecError> {
    rmp_serde::from_slice(bytes).map_err(|_| CodecError::INVALID)
}

/// Removes the values of requested custom attributes that are personal. Only the received attribute
/// shows that it is. Such values are not served, and must not stay in memory or on disk.
fn remove_personal_values(person: &mut Person) {
    for attribute in &mut person.custom_attributes {
        if is_personal_attribute(attribute) {
            attribute.value = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sync::error::LoadError;

    #[test]
    fn a_damaged_record_is_an_internal_error() {
        let beyond_the_end = EncodedRecord { bytes: [0xc1].into(), employments_offset: 2 };
        for record in [EncodedRecord::damaged(), beyond_the_end] {
            let error = LoadError::from(record.decode().unwrap_err());
            let expected = SourceError::internal("the record of a person cannot be decoded");
            assert_eq!(SourceError::from(error), expected);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let single = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[ a-zÄ\"]{0,9}".prop_map(Value::from),
        ];
        single.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]{1,2}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// Generates a documented value, `null` or any other value.
    fn field(documented: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
        prop_oneof![3 => documented, 1 => Just(Value::Null), 1 => value()]
    }

    fn word() -> impl Strategy<Value = Value> {
        "[A-Za-zß ]{0,12}".prop_map(Value::from)
    }

    fn date() -> impl Strategy<Value = Value> {
        "20[0-2][0-9]-(0[1-9]|1[0-2])-([0-2][0-9]|31)".prop_map(Value::from)
    }

    fn timestamp() -> impl Strategy<Value = Value> {
        "20[0-2][0-9]-(0[1-9]|1[0-2])-1[0-9]T2[0-3]:59:0[0-9](\\.[0-9]{1,9})?(Z|\\+02:00)"
            .prop_map(Value::from)
    }

    fn entries(of: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
        field(prop::collection::vec(of, 0..4).prop_map(Value::from))
    }

    fn persons() -> impl Strategy<Value = Person> {
        let custom = (word(), word(), word(), value()).prop_map(
            |(id, global_id, label, value)| json!({"id": id, "global_id": global_id, "label": label, "value": value}),
        );
        let reference = field(word()).prop_map(|id| json!({"id": id}));
        let names = prop::collection::vec(prop::option::of(word()), 4);
        (1u32.., names, field(word()), field(timestamp()), field(timestamp()), entries(custom), entries(reference))
            .prop_filter_map(
                "a text that is none makes a person unreadable",
                |(id, names, status, created_at, updated_at, custom_attributes, employments)| {
                    serde_json::from_value(json!({
                        "id": id, "email": names[0], "first_name": names[1], "last_name": names[2],
                        "preferred_name": names[3], "created_at": created_at, "updated_at": updated_at,
                        "status": status.as_str(), "custom_attributes": custom_attributes, "employments": employments,
                    }))
                    .ok()
                },
            )
    }

    fn employments() -> impl Strategy<Value = Option<Vec<Employment>>> {
        let reference = || field(word().prop_map(|id| json!({"id": id})));
        let unit = (word(), word()).prop_map(|(id, kind)| json!({"id": id, "type": kind}));
        let center = (word(), field(any::<f64>().prop_map(Value::from)));
        let center = center.prop_map(|(id, weight)| json!({"id": id, "weight": weight}));
        let dates = prop::collection::vec(field(date()), 7);
        let employment = (1u32.., word(), reference(), reference(), entries(unit), entries(center), dates, timestamp())
            .prop_filter_map(
                "what an employment cannot be",
                |(id, word, supervisor, office, org_units, cost_centers, dates, updated_at)| {
                    serde_json::from_value(json!({
                        "id": id, "status": word, "type": word, "position": {"title": word}, "supervisor": supervisor,
                        "office": office, "org_units": org_units, "legal_entity": office, "cost_centers": cost_centers,
                        "employment_start_date": dates[0], "employment_end_date": dates[1],
                        "probation_end_date": dates[2], "contract_end_date": dates[3],
                        "termination": {
                            "termination_date": dates[4], "last_working_day": dates[5], "last_working_date": dates[6],
                        },
                        "updated_at": updated_at, "job": supervisor,
                    }))
                    .ok()
                },
            );
        prop::option::of(prop::collection::vec(employment, 0..3))
    }

    proptest! {
        #[test]
        fn decoding_returns_the_encoded_data(person in persons(), employments in employments()) {
            let listed = ListedPerson::new(person.clone()).unwrap();
            let mut person = person;
            remove_personal_values(&mut person);
            prop_assert_eq!(listed.decode().unwrap(), person.clone());
            prop_assert_eq!(&*listed.id, person.id.as_str());

            let encoded = EncodedRecord::new(&listed, employments.as_deref()).unwrap();
            prop_assert!(encoded.has_same_person(&listed));
            prop_assert_eq!(encoded.listed(&listed.id), listed);
            prop_assert_eq!(encoded.has_employments(), employments.is_some());
            prop_assert_eq!(encoded.decode_header().unwrap(), PersonHeader::from_person(&person));
            prop_assert_eq!(encoded.decode().unwrap(), DecodedRecord { person, employments });
        }

        #[test]
        fn replaced_parts_equal_a_new_encoding(
            one in persons(), other in persons(), known in employments(), read in employments(),
        ) {
            let (one, other) = (ListedPerson::new(one).unwrap(), ListedPerson::new(other).unwrap());
            let encoded = EncodedRecord::new(&one, known.as_deref()).unwrap();
            let newer = EncodedRecord::new(&other, read.as_deref()).unwrap();
            prop_assert_eq!(encoded.has_same_person(&other), one.decode().unwrap() == other.decode().unwrap());
            prop_assert_eq!(encoded.has_same_employments(&newer), known == read);
            prop_assert_eq!(encoded.with_person(&other), EncodedRecord::new(&other, known.as_deref()).unwrap());
        }
    }

    #[test]
    fn values_of_personal_attributes_are_not_encoded() {
        let person = json!({
            "id": "7", "custom_attributes": [
                {"id": "dynamic_1", "label": "Gehalt", "value": "MARKER"}, {"id": "dynamic_2", "value": "kept"},
            ],
        });
        let listed = ListedPerson::new(serde_json::from_value(person).unwrap()).unwrap();
        let text = String::from_utf8_lossy(&listed.bytes).into_owned();
        assert!(
            text.contains("Gehalt") && text.contains("kept") && !text.contains("MARKER"),
            "{text}"
        );
    }
}
