//! How single values of Personio's answers are read: what is not as documented is taken as it is meant, or as
//! absent.
//!
//! A format that is not for people to read, as serde calls it, is what records are kept in: what is there has been
//! read leniently once, and is taken as it is.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Number, Value};

use super::model::Status;

/// A text or a number as text, if there is more to it than spaces. Errors name what was found by its kind, never by its value.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    deserializer.deserialize_any(Text)
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Number::from_f64(number).map(|number| number.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(E::custom("a text was expected"))
    }
}

pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    text(deserializer)?.ok_or_else(|| de::Error::custom("an id was expected"))
}

pub(super) fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(text(deserializer)?.map(|text| text.to_ascii_uppercase()))
}

pub(super) fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Status>, D::Error> {
    Ok(text(deserializer)?.map(|text| Status::from_word(&text)))
}

/// `YYYY-MM-DD`; of a date with a time the date counts. What is no date is no value: dates inform,
/// they decide nothing that the status does not.
pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(text(deserializer)?.and_then(|text| text.get(..10)?.parse().ok()))
}

pub(super) fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()))
}

/// A list, where null is the empty one. An entry that cannot be read, for want of an id say, is left
/// out: one odd entry must not make everybody unreadable.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    if !deserializer.is_human_readable() {
        return Vec::deserialize(deserializer);
    }
    let entries: Option<Vec<Value>> = lenient(deserializer)?;
    Ok(entries.into_iter().flatten().filter_map(|entry| serde_json::from_value(entry).ok()).collect())
}

/// A value of another shape than the documented one is none.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// A number, perhaps as text.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule, by the value as a whole.
    fn meant(value: &Value) -> Option<Option<String>> {
        let text = match value {
            Value::Null => return Some(None),
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((!text.is_empty()).then_some(text))
    }

    proptest! {
        #[test]
        fn a_text_is_what_is_meant(
            json in prop_oneof![
                r#""[ a\u{a0}\u{e4}]{0,3}(\\\\u00e4|\\\\n)?""#, "-?[1-9][0-9]{0,25}(\\.[0-9]{1,3}(e-?[0-9]{1,2})?)?", "0|-0|0\\.0",
                "null|true|false", r#"\[\]|\["a"\]|\{\}|\{"a":1\}"#,
            ],
        ) {
            let Ok(value) = serde_json::from_str::<Value>(&json) else { return Ok(()) };
            prop_assert_eq!(text(&mut serde_json::Deserializer::from_str(&json)).ok(), meant(&value));
            prop_assert_eq!(text(value.clone()).ok(), meant(&value));
        }
    }
}
