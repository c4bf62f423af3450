//! First page of persons, read by `check` to find out what the credential may read: the persons,
//! and all custom attributes without their values.

use std::collections::HashSet;

use crate::personio::client::{NEXT_PAGE_UNKNOWN, PAGE_SIZE, PAGES_REPEAT, page_url};
use crate::personio::model::Person;
use crate::personio::model::json;
use crate::personio::model::json::JsonType;
use crate::personio::model::lenient::{
    EntryReader, FromObject, JsonObject, ReadResult, UnreadableAttribute,
};
use crate::personio::page::NextPage;
use crate::personio::{Endpoint, Error, PersonioClient};

/// First page of persons.
#[derive(Debug, Clone, Default)]
pub struct FirstPage {
    /// Persons, with their wanted custom attributes.
    pub persons: Vec<Person>,
    /// All custom attributes of each person, without their values.
    pub attributes: Vec<Vec<AttributeMetadata>>,
    /// True if there are more pages.
    pub has_more_pages: bool,
    /// Cursor of the second page, if it can be read.
    next: Option<String>,
    /// Malformed values, which were repaired or dropped.
    pub malformed: Vec<MalformedValue>,
    /// Unreadable attribute of each person that cannot be read.
    pub unreadable_attributes: Vec<&'static str>,
}

/// Attribute of a person with a malformed value, which was repaired or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedValue {
    /// Id of the person.
    pub person: String,
    /// Name of the attribute.
    pub attribute: Box<str>,
}

/// Custom attribute of a person, without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeMetadata {
    /// Id, for example `dynamic_305`.
    pub id: String,
    /// Key that is the same in every company, if the attribute has one.
    pub global_id: Option<String>,
    /// Display name; often absent.
    pub label: Option<String>,
    /// Type of the values, in Personio's words and in lower case.
    pub value_type: Option<String>,
    /// True if the attribute has a value.
    pub is_filled: bool,
}

/// Rate limit that an endpoint advertises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdvertisedLimit {
    /// Endpoint of the limit.
    pub endpoint: Endpoint,
    /// Number of requests per second.
    pub per_second: f64,
    /// Number of requests at once.
    pub burst: f64,
}

/// Number of persons that the credential may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonCount {
    /// Number of all persons.
    Exactly(usize),
    /// Number at which counting stopped; there are more persons.
    MoreThan(usize),
}

impl FromObject for AttributeMetadata {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self {
            id: object.id("id", reader)?,
            global_id: object.reference("global_id", reader),
            label: object.name("label", reader),
            value_type: object.word("type", reader).map(|kind| kind.to_lowercase()),
            is_filled: object.value("value").is_some_and(is_filled),
        })
    }
}

/// All custom attributes of a person, without their values.
struct AttributeMetadataList(Vec<AttributeMetadata>);

impl FromObject for AttributeMetadataList {
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self> {
        Ok(Self(object.list("custom_attributes", reader)))
    }
}

/// Reports whether a value is not empty, without decoding it.
fn is_filled(value: &str) -> bool {
    match json::json_type(value) {
        JsonType::Null => false,
        JsonType::Bool | JsonType::Number => true,
        JsonType::Text => json::string(value).is_none_or(|text| !text.trim().is_empty()),
        JsonType::List | JsonType::Object => {
            !value.trim_matches(['[', ']', '{', '}', ' ', '\t', '\r', '\n']).is_empty()
        }
    }
}

impl PersonioClient {
    /// Reads the first page of persons, in the maximum page size.
    ///
    /// # Errors
    /// If the page cannot be read.
    pub async fn first_page(&self, wanted_attributes: &[String]) -> Result<FirstPage, Error> {
        let url = page_url(&self.url(&["persons"]), None);
        let page = self.page(Endpoint::Persons, &url, self.settings.retry).await?;
        let next = page.next(PAGE_SIZE);
        let mut first = FirstPage { has_more_pages: next != NextPage::End, ..FirstPage::default() };
        if let NextPage::Cursor(cursor) = next {
            first.next = Some(cursor);
        }
        let mut reader = EntryReader::new(&self.settings.limits, Some(wanted_attributes));
        for entry in &page.data {
            match reader.entry::<Person>(entry.get()) {
                Ok(person) => {
                    for attribute in reader.take_malformed() {
                        first
                            .malformed
                            .push(MalformedValue { person: person.id.clone(), attribute });
                    }
                    let attributes = match reader.entry(entry.get()) {
                        Ok(AttributeMetadataList(attributes)) => attributes,
                        Err(UnreadableAttribute(_)) => Vec::new(),
                    };
                    first.attributes.push(attributes);
                    first.persons.push(person);
                }
                Err(UnreadableAttribute(attribute)) => first.unreadable_attributes.push(attribute),
            }
            reader.take_malformed();
        }
        Ok(first)
    }

    /// Counts the persons from the page `first` on, without reading any attribute. Stops as soon as
    /// there are more than `at_most`.
    ///
    /// # Errors
    /// If a page cannot be read or found.
    pub async fn count_persons(
        &self,
        first: &FirstPage,
        at_most: usize,
    ) -> Result<PersonCount, Error> {
        let endpoint = Endpoint::Persons;
        if first.has_more_pages && first.next.is_none() {
            return Err(Error::unreadable(endpoint, NEXT_PAGE_UNKNOWN));
        }
        let mut count = first.persons.len() + first.unreadable_attributes.len();
        let mut next = first.next.clone();
        let mut cursors = HashSet::new();
        while let Some(cursor) = next {
            if count > at_most {
                return Ok(PersonCount::MoreThan(at_most));
            }
            let url = page_url(&self.url(&["persons"]), Some(&cursor));
            let page = self.page(endpoint, &url, self.settings.retry).await?;
            if page.data.is_empty() || !cursors.insert(cursor) {
                return Err(Error::unreadable(endpoint, PAGES_REPEAT));
            }
            count += page.data.len();
            next = match page.next(PAGE_SIZE) {
                NextPage::Cursor(cursor) => Some(cursor),
                NextPage::End => None,
                NextPage::Unknown => return Err(Error::unreadable(endpoint, NEXT_PAGE_UNKNOWN)),
            };
        }
        Ok(if count > at_most {
            PersonCount::MoreThan(at_most)
        } else {
            PersonCount::Exactly(count)
        })
    }

    /// Returns the rate limits that endpoints have advertised so far.
    #[must_use]
    pub fn advertised_limits(&self) -> Vec<AdvertisedLimit> {
        let mut limits = Vec::new();
        for (endpoint, limit) in self.transport.advertised_limits() {
            limits.push(AdvertisedLimit {
                endpoint,
                per_second: limit.per_second,
                burst: limit.burst,
            });
        }
        limits
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::personio::ReadLimits;

    fn nameless(id: &str, is_filled: bool) -> AttributeMetadata {
        AttributeMetadata {
            id: id.to_owned(),
            global_id: None,
            label: None,
            value_type: None,
            is_filled,
        }
    }

    #[test]
    fn custom_attributes_are_read_without_their_values() {
        let person = json!({
            "id": "7",
            "custom_attributes": [
                {
                    "id": "dynamic_1", "global_id": "g", "label": " Size ", "type": "STRING",
                    "value": "secret",
                },
                {"id": 5, "value": []},
                {"label": "without an id"},
                {"id": "dynamic_2", "label": "", "type": null, "value": false},
                {"id": "dynamic_3", "value": " "},
                {"id": "dynamic_4", "value": {"a": null}},
                {"id": "dynamic_5", "value": null},
            ],
        });
        let mut reader = EntryReader::new(&ReadLimits::default(), Some(&[]));
        let AttributeMetadataList(heads) = reader.entry(&person.to_string()).unwrap();
        let complete = AttributeMetadata {
            id: "dynamic_1".to_owned(),
            global_id: Some("g".to_owned()),
            label: Some("Size".to_owned()),
            value_type: Some("string".to_owned()),
            is_filled: true,
        };
        assert_eq!(
            heads,
            [
                complete,
                nameless("5", false),
                nameless("dynamic_2", true),
                nameless("dynamic_3", false),
                nameless("dynamic_4", true),
                nameless("dynamic_5", false),
            ]
        );
    }
}
