//! A first look at what one credential lets through. It reads a page and not everything, and of custom
//! attributes everything but what is in them.

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::bucket::Limit;
use super::client::{PAGE, drop_unwanted, paged};
use super::model::Person;
use super::names::Kind;
use super::page::{Next, Page};
use super::{Client, Endpoint, Error};

/// The first page of persons.
#[derive(Debug, Clone)]
pub struct FirstPage {
    /// The persons, with the custom attributes that are wanted.
    pub persons: Vec<Person>,
    /// All custom attributes of each person, without their values.
    pub attributes: Vec<Vec<AttributeHead>>,
    /// Whether there are more pages.
    pub is_followed: bool,
    /// Cursor of the second page, where there is one that can be found.
    next: Option<String>,
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

/// A person as listed, before custom attributes are dropped.
struct Listed {
    person: Person,
    attributes: Vec<AttributeHead>,
}

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let attributes = value.get("custom_attributes").and_then(Value::as_array);
        let attributes = attributes.into_iter().flatten().filter_map(AttributeHead::of).collect();
        // The text of an error can quote a value.
        let person = serde_json::from_value(value).map_err(|_| de::Error::custom("a person was expected"))?;
        Ok(Self { person, attributes })
    }
}

impl AttributeHead {
    fn of(attribute: &Value) -> Option<Self> {
        let text = |name: &str| match attribute.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let is_filled = match attribute.get("value") {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(Value::Array(values)) => !values.is_empty(),
            Some(Value::Object(members)) => !members.is_empty(),
            Some(Value::Bool(_) | Value::Number(_)) => true,
        };
        let kind = text("type").map(|kind| kind.to_lowercase());
        Some(Self { id: text("id")?, global_id: text("global_id"), label: text("label"), kind, is_filled })
    }
}

impl Client {
    /// The first page of persons, which is as large as a page can be.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn first_persons(&self, wanted: &[String]) -> Result<FirstPage, Error> {
        let url = paged(&self.url(&["persons"]), None);
        let page: Page<Listed> = self.get(Endpoint::Persons, &url, self.settings.retry).await?;
        let next = page.next(PAGE);
        let is_followed = next != Next::End;
        let next = if let Next::Cursor(cursor) = next { Some(cursor) } else { None };
        let (mut persons, attributes): (Vec<_>, Vec<_>) =
            page.data.into_iter().map(|listed| (listed.person, listed.attributes)).unzip();
        persons.iter_mut().for_each(|person| drop_unwanted(person, wanted));
        Ok(FirstPage { persons, attributes, is_followed, next })
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
        let mut count = first.persons.len();
        let mut next = first.next.clone();
        let mut cursors = HashSet::new();
        while let Some(cursor) = next {
            if count > at_most {
                return Ok(Headcount::MoreThan(at_most));
            }
            let url = paged(&self.url(&["persons"]), Some(&cursor));
            let page: Page<IgnoredAny> = self.get(Endpoint::Persons, &url, self.settings.retry).await?;
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

    /// The ids and names of one kind, as they are now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn look_up(&self, kind: Kind) -> Result<Vec<(String, Option<String>)>, Error> {
        Ok(self.named(kind).await?.into_iter().map(|named| (named.id, named.name)).collect())
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

    #[test]
    fn of_a_custom_attribute_everything_is_known_but_its_value() {
        let listed: Listed = serde_json::from_value(json!({
            "id": "7",
            "custom_attributes": [
                {"id": "dynamic_1", "global_id": "g", "label": " Size ", "type": "STRING", "value": "secret"},
                {"id": 5, "value": []},
                {"label": "without an id"},
                {"id": "dynamic_2", "label": "", "type": null, "value": false},
            ],
        }))
        .unwrap();
        let head = |id: &str, global_id: Option<&str>, label: Option<&str>, kind: Option<&str>, is_filled| {
            let [global_id, label, kind] = [global_id, label, kind].map(|text| text.map(str::to_owned));
            AttributeHead { id: id.to_owned(), global_id, label, kind, is_filled }
        };
        assert_eq!(
            listed.attributes,
            [
                head("dynamic_1", Some("g"), Some("Size"), Some("string"), true),
                head("5", None, None, None, false),
                head("dynamic_2", None, None, None, true),
            ]
        );
        let error = serde_json::from_value::<Listed>(json!({"id": ["secret"]})).map(|_| ()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
