//! A first look at what one credential lets through. It reads a page and not everything, and of custom
//! attributes everything but what is in them.

use std::collections::HashSet;

use crate::personio::client::{PAGE, paged};
use crate::personio::model::Person;
use crate::personio::model::json;
use crate::personio::model::json::Kind as ValueKind;
use crate::personio::model::lenient::{FromObject, Object, Reader, Unreadable};
use crate::personio::page::Next;
use crate::personio::rate_limit::bucket::Limit;
use crate::personio::{Client, Endpoint, Error};

/// The first page of persons.
#[derive(Debug, Clone, Default)]
pub struct FirstPage {
    /// The persons, with the custom attributes that are wanted.
    pub persons: Vec<Person>,
    /// All custom attributes of each person, without their values.
    pub attributes: Vec<Vec<AttributeHead>>,
    /// Whether there are more pages.
    pub is_followed: bool,
    /// Cursor of the second page, where there is one that can be found.
    next: Option<String>,
    /// Values that could not be taken as they are.
    pub odd: Vec<OddValue>,
    /// For each person who cannot be read the attribute at fault.
    pub unreadable: Vec<&'static str>,
}

/// An attribute of a person whose value could not be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddValue {
    /// Id of the person.
    pub person: String,
    /// Name of the attribute.
    pub attribute: Box<str>,
}

/// What there is to know of somebody's custom attribute but for its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeHead {
    /// Such as `dynamic_305`.
    pub id: String,
    /// The key that is the same in every company, where there is one.
    pub global_id: Option<String>,
    /// The name that people see; often missing.
    pub label: Option<String>,
    /// What its values are, in Personio's words and in lower case.
    pub kind: Option<String>,
    /// Whether it has a value.
    pub is_filled: bool,
}

/// What an endpoint says that it allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToldLimit {
    /// Where.
    pub endpoint: Endpoint,
    /// Requests a second.
    pub per_second: f64,
    /// Requests at once.
    pub burst: f64,
}

/// Number of the persons that the credential may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headcount {
    /// All of them were counted.
    Exactly(usize),
    /// Counting stopped here; there are more.
    MoreThan(usize),
}

/// A custom attribute, if its head can be read.
impl FromObject for AttributeHead {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: object.id("id", reader)?,
            global_id: object.reference("global_id", reader),
            label: object.name("label", reader),
            kind: object.word("type", reader).map(|kind| kind.to_lowercase()),
            is_filled: object.value("value").is_some_and(is_filled),
        })
    }
}

/// All custom attributes of a person, without their values.
struct Heads(Vec<AttributeHead>);

impl FromObject for Heads {
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable> {
        Ok(Self(object.list("custom_attributes", reader)))
    }
}

/// Reports whether there is anything in a value, without decoding it.
fn is_filled(value: &str) -> bool {
    match json::kind(value) {
        ValueKind::Null => false,
        ValueKind::Bool | ValueKind::Number => true,
        ValueKind::Text => json::string(value).is_none_or(|text| !text.trim().is_empty()),
        ValueKind::List | ValueKind::Object => {
            !value.trim_matches(['[', ']', '{', '}', ' ', '\t', '\r', '\n']).is_empty()
        }
    }
}

impl Client {
    /// The first page of persons, which is as large as a page can be.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn first_persons(&self, wanted: &[String]) -> Result<FirstPage, Error> {
        let url = paged(&self.url(&["persons"]), None);
        let page = self.page(Endpoint::Persons, &url, self.settings.retry).await?;
        let next = page.next(PAGE);
        let mut first = FirstPage { is_followed: next != Next::End, ..FirstPage::default() };
        if let Next::Cursor(cursor) = next {
            first.next = Some(cursor);
        }
        let mut reader = Reader::new(&self.settings.limits, Some(wanted));
        for entry in &page.data {
            match reader.entry::<Person>(entry.get()) {
                Ok(person) => {
                    let odd = reader.take_odd();
                    first
                        .odd
                        .extend(odd.into_iter().map(|attribute| OddValue { person: person.id.clone(), attribute }));
                    let heads = reader.entry::<Heads>(entry.get());
                    first.attributes.push(heads.map(|Heads(heads)| heads).unwrap_or_default());
                    first.persons.push(person);
                }
                Err(Unreadable(attribute)) => first.unreadable.push(attribute),
            }
            reader.take_odd();
        }
        Ok(first)
    }

    /// Counts the persons from `first` on, and stops where there are more than `at_most`. Nothing of a person is read.
    ///
    /// # Errors
    /// When a page cannot be read or found.
    pub async fn count_persons(&self, first: &FirstPage, at_most: usize) -> Result<Headcount, Error> {
        let unreadable = |reason: &str| Error::Unreadable { endpoint: Endpoint::Persons, reason: reason.to_owned() };
        if first.is_followed && first.next.is_none() {
            return Err(unreadable("it has a next page that cannot be found"));
        }
        let mut count = first.persons.len() + first.unreadable.len();
        let mut next = first.next.clone();
        let mut cursors = HashSet::new();
        while let Some(cursor) = next {
            if count > at_most {
                return Ok(Headcount::MoreThan(at_most));
            }
            let url = paged(&self.url(&["persons"]), Some(&cursor));
            let page = self.page(Endpoint::Persons, &url, self.settings.retry).await?;
            if page.data.is_empty() || !cursors.insert(cursor) {
                return Err(unreadable("its pages repeat or bring nothing"));
            }
            count += page.data.len();
            next = match page.next(PAGE) {
                Next::Cursor(cursor) => Some(cursor),
                Next::End => None,
                Next::Lost => return Err(unreadable("it has a next page that cannot be found")),
            };
        }
        Ok(if count > at_most { Headcount::MoreThan(at_most) } else { Headcount::Exactly(count) })
    }

    /// The limits that were told so far.
    #[must_use]
    pub fn told_limits(&self) -> Vec<ToldLimit> {
        let told = self.transport.told_limits().into_iter();
        told.map(|(endpoint, Limit { per_second, burst })| ToldLimit { endpoint, per_second, burst }).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::personio::Limits;

    #[test]
    fn of_a_custom_attribute_everything_is_known_but_its_value() {
        let person = json!({
            "id": "7",
            "custom_attributes": [
                {"id": "dynamic_1", "global_id": "g", "label": " Size ", "type": "STRING", "value": "secret"},
                {"id": 5, "value": []},
                {"label": "without an id"},
                {"id": "dynamic_2", "label": "", "type": null, "value": false},
                {"id": "dynamic_3", "value": " "},
                {"id": "dynamic_4", "value": {"a": null}},
                {"id": "dynamic_5", "value": null},
            ],
        });
        let Heads(heads) = Reader::new(&Limits::default(), Some(&[])).entry(&person.to_string()).unwrap();
        let head = |id: &str, global_id: Option<&str>, label: Option<&str>, kind: Option<&str>, is_filled| {
            let [global_id, label, kind] = [global_id, label, kind].map(|text| text.map(str::to_owned));
            AttributeHead { id: id.to_owned(), global_id, label, kind, is_filled }
        };
        assert_eq!(
            heads,
            [
                head("dynamic_1", Some("g"), Some("Size"), Some("string"), true),
                head("5", None, None, None, false),
                head("dynamic_2", None, None, None, true),
                head("dynamic_3", None, None, None, false),
                head("dynamic_4", None, None, None, true),
                head("dynamic_5", None, None, None, false),
            ]
        );
    }
}
