//! Lenient deserialisation of single values from Personio's responses.
//!
//! [`JsonObject`] reads one attribute at a time, [`EntryReader`] collects the names of malformed
//! attributes, and [`FromObject`] is implemented by each wire type. A malformed value is repaired
//! if its meaning is clear, and counts as absent otherwise; its attribute is noted either way. Only
//! attributes that identify a person make an entry unreadable.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::personio::limits::ReadLimits;
use crate::personio::model::Status;
use crate::personio::model::json;
use crate::personio::model::json::{JsonMembers, JsonType};
use crate::personio::model::text;
use crate::personio::model::text::REPLACEMENT;

/// Maximum number of malformed attributes noted for one entry.
const MAX_MALFORMED_ATTRIBUTES: usize = 16;
/// Maximum length of an id. Personio's ids have less than 40 bytes.
const MAX_ID_BYTES: usize = 1024;
/// Maximum length of an id or attribute name in a log line.
const MAX_LOGGABLE_BYTES: usize = 64;
/// Maximum size of one byte of text in JSON: `\u0041`.
const MAX_ESCAPE_BYTES: usize = 6;

/// Result of reading an object or one of its attributes.
pub(in crate::personio) type ReadResult<T> = Result<T, UnreadableAttribute>;

/// Type that can be read from a JSON object.
pub(in crate::personio) trait FromObject: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// If an attribute that must be readable is malformed or absent.
    fn from_object(object: &JsonObject<'_>, reader: &mut EntryReader<'_>) -> ReadResult<Self>;
}

/// Name of the attribute that makes an entry unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::personio) struct UnreadableAttribute(pub(in crate::personio) &'static str);

/// Rules for reading the entries of a response, and the malformed attributes found so far.
#[derive(Debug)]
pub(in crate::personio) struct EntryReader<'r> {
    max_text_bytes: usize,
    /// Ids and global ids of the custom attributes to read; `None` reads all of them.
    wanted_attributes: Option<&'r [String]>,
    /// Names of attributes with a malformed value.
    malformed: Vec<Box<str>>,
}

impl<'r> EntryReader<'r> {
    pub(in crate::personio) fn new(
        limits: &ReadLimits,
        wanted_attributes: Option<&'r [String]>,
    ) -> Self {
        Self { max_text_bytes: limits.text_bytes, wanted_attributes, malformed: Vec::new() }
    }

    /// Returns a reader with the same rules and without notes.
    pub(in crate::personio) fn with_rules_of(other: &Self) -> Self {
        let Self { max_text_bytes, wanted_attributes, .. } = *other;
        Self { max_text_bytes, wanted_attributes, malformed: Vec::new() }
    }

    /// Returns the names of the attributes noted since the last call, and clears them.
    pub(in crate::personio) fn take_malformed(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.malformed)
    }

    /// Reports whether a custom attribute with these ids is wanted.
    pub(in crate::personio) fn is_wanted(&self, id: Option<&str>, global_id: Option<&str>) -> bool {
        let Some(wanted_attributes) = self.wanted_attributes else { return true };
        wanted_attributes
            .iter()
            .any(|name| Some(name.as_str()) == id || Some(name.as_str()) == global_id)
    }

    /// Notes an attribute as malformed.
    pub(in crate::personio) fn note(&mut self, attribute: &str) {
        let is_noted = self.malformed.iter().any(|noted| **noted == *attribute);
        if !is_noted && self.malformed.len() < MAX_MALFORMED_ATTRIBUTES {
            self.malformed.push(attribute.into());
        }
    }

    /// Reads an entry of a list.
    pub(in crate::personio) fn entry<T: FromObject>(&mut self, text: &str) -> ReadResult<T> {
        self.nested("", text)
    }

    /// Returns the maximum size of a text in JSON, with every byte escaped.
    fn max_json_bytes(&self) -> usize {
        self.max_text_bytes.saturating_mul(MAX_ESCAPE_BYTES)
    }

    fn nested<T: FromObject>(&mut self, path: &'static str, text: &str) -> ReadResult<T> {
        if let Ok(members) = JsonMembers::parse(text) {
            return T::from_object(&JsonObject { path, members }, self);
        }
        // The name of a member can be damaged too, and is decoded with the object.
        let repaired = json::repaired(text);
        let members = JsonMembers::parse(&repaired).map_err(|_| UnreadableAttribute("entry"))?;
        T::from_object(&JsonObject { path, members }, self)
    }
}

/// Text of an attribute, as far as it can be read.
#[derive(Debug, Clone, PartialEq)]
enum TextField {
    Absent,
    /// Value of another type, or a text that is too long.
    Malformed,
    /// Text with U+FFFD for parts that cannot be decoded.
    Repaired(String),
    Intact(String),
}

/// JSON object whose members are read one by one.
#[derive(Debug)]
pub(in crate::personio) struct JsonObject<'a> {
    /// Name of the attribute whose value this object is; empty for an entry.
    path: &'static str,
    members: JsonMembers<'a>,
}

impl<'a> JsonObject<'a> {
    /// Reads an id. It must be intact, since later requests to Personio contain it.
    pub(in crate::personio) fn id(
        &self,
        name: &'static str,
        reader: &EntryReader<'_>,
    ) -> ReadResult<String> {
        match self.text_field(name, reader, text::trimmed) {
            TextField::Intact(id) if is_valid_id(&id) => Ok(id),
            TextField::Intact(_)
            | TextField::Absent
            | TextField::Malformed
            | TextField::Repaired(_) => Err(UnreadableAttribute(name)),
        }
    }

    /// Reads the id of a referenced object. A malformed id is noted and counts as absent.
    pub(in crate::personio) fn reference(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<String> {
        match self.text_field(name, reader, text::trimmed) {
            TextField::Absent => None,
            TextField::Intact(id) if is_valid_id(&id) => Some(id),
            TextField::Intact(_) | TextField::Malformed | TextField::Repaired(_) => {
                self.note(name, reader);
                None
            }
        }
    }

    /// Reads an address, which must be readable if it is present.
    pub(in crate::personio) fn address(
        &self,
        name: &'static str,
        reader: &EntryReader<'_>,
    ) -> ReadResult<Option<String>> {
        match self.text_field(name, reader, text::address) {
            TextField::Absent => Ok(None),
            TextField::Intact(address) => Ok(Some(address)),
            TextField::Malformed | TextField::Repaired(_) => Err(UnreadableAttribute(name)),
        }
    }

    /// Reads a name of a person, which must be a text if it is present.
    pub(in crate::personio) fn person_name(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> ReadResult<Option<String>> {
        match self.text_field(name, reader, text::name) {
            TextField::Absent => Ok(None),
            TextField::Intact(text) => Ok(Some(text)),
            TextField::Repaired(text) => {
                self.note(name, reader);
                Ok(Some(text))
            }
            TextField::Malformed => Err(UnreadableAttribute(name)),
        }
    }

    /// Reads a status, which must be readable if it is present.
    pub(in crate::personio) fn status(
        &self,
        name: &'static str,
        reader: &EntryReader<'_>,
    ) -> ReadResult<Option<Status>> {
        match self.text_field(name, reader, text::address) {
            TextField::Absent => Ok(None),
            TextField::Intact(word) => Ok(Some(Status::from_value(&word))),
            TextField::Malformed | TextField::Repaired(_) => Err(UnreadableAttribute(name)),
        }
    }

    /// Reads a name on one line. A malformed name is noted.
    pub(in crate::personio) fn name(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<String> {
        let field = self.text_field(name, reader, text::name);
        self.usable_text(name, field, reader)
    }

    /// Reads a value of an enumeration, in upper case.
    pub(in crate::personio) fn word(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<String> {
        let field = self.text_field(name, reader, text::address);
        let word = self.usable_text(name, field, reader)?;
        Some(word.to_ascii_uppercase())
    }

    /// Reads a date, `YYYY-MM-DD`. A time after the date is ignored.
    pub(in crate::personio) fn date(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<Date> {
        let text = self.word(name, reader)?;
        let date = text.get(..10).and_then(|date| date.parse().ok());
        if date.is_none() {
            self.note(name, reader);
        }
        date
    }

    /// Reads a timestamp. Without a time zone it is in UTC.
    pub(in crate::personio) fn timestamp(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<Timestamp> {
        let text = self.word(name, reader)?;
        let timestamp = parse_timestamp(&text);
        if timestamp.is_none() {
            self.note(name, reader);
        }
        timestamp
    }

    /// Reads a number, or a text that contains a number.
    pub(in crate::personio) fn number(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<f64> {
        let text = self.value(name)?;
        let number: Option<f64> = match json::json_type(text) {
            JsonType::Number => text.trim().parse().ok(),
            JsonType::Text => {
                let text = json::string(text)?;
                let text = text.trim();
                if text.is_empty() {
                    return None;
                }
                text.parse().ok()
            }
            JsonType::Null | JsonType::Bool | JsonType::List | JsonType::Object => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.note(name, reader);
        }
        number
    }

    /// Reads a nested object.
    pub(in crate::personio) fn object<T: FromObject>(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Option<T> {
        let text = self.value(name)?;
        let object = match json::json_type(text) {
            JsonType::Object => reader.nested(name, text).ok(),
            JsonType::Null
            | JsonType::Bool
            | JsonType::Number
            | JsonType::Text
            | JsonType::List => None,
        };
        if object.is_none() {
            self.note(name, reader);
        }
        object
    }

    /// Reads an array. An entry that cannot be read is left out and noted.
    pub(in crate::personio) fn list<T: FromObject>(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Vec<T> {
        let mut list = Vec::new();
        for entry in self.entries(name, reader) {
            match reader.nested(name, entry.get()) {
                Ok(entry) => list.push(entry),
                Err(_) => self.note(name, reader),
            }
        }
        list
    }

    /// Returns the entries of an array, not decoded.
    pub(in crate::personio) fn entries(
        &self,
        name: &'static str,
        reader: &mut EntryReader<'_>,
    ) -> Vec<&'a RawValue> {
        let Some(text) = self.value(name) else { return Vec::new() };
        match json::entries(text) {
            Ok(entries) => entries,
            Err(_) => {
                self.note(name, reader);
                Vec::new()
            }
        }
    }

    /// Reads a value of any type. A value that cannot be decoded becomes null, and `attribute` is
    /// noted.
    pub(in crate::personio) fn any(
        &self,
        name: &'static str,
        attribute: &str,
        reader: &mut EntryReader<'_>,
    ) -> Value {
        let Some(text) = self.value(name) else { return Value::Null };
        let decoded = if text.len() > reader.max_json_bytes() { None } else { decode(text) };
        let Some(mut value) = decoded else {
            reader.note(attribute);
            return Value::Null;
        };
        if !normalize(&mut value, reader.max_text_bytes) {
            reader.note(attribute);
        }
        value
    }

    /// Returns the JSON text of a member's value, unless the value is null.
    pub(in crate::personio) fn value(&self, name: &str) -> Option<&'a str> {
        self.members.get(name).filter(|text| json::json_type(text) != JsonType::Null)
    }

    fn note(&self, name: &str, reader: &mut EntryReader<'_>) {
        match self.path {
            "" => reader.note(name),
            path => reader.note(&format!("{path}.{name}")),
        }
    }

    /// Returns the text of a field if there is one, and notes the field if it is not intact.
    fn usable_text(
        &self,
        name: &str,
        field: TextField,
        reader: &mut EntryReader<'_>,
    ) -> Option<String> {
        match field {
            TextField::Absent => None,
            TextField::Intact(text) => Some(text),
            TextField::Repaired(text) => {
                self.note(name, reader);
                Some(text)
            }
            TextField::Malformed => {
                self.note(name, reader);
                None
            }
        }
    }

    /// Reads a text, or a number as text, and normalises it.
    fn text_field(
        &self,
        name: &str,
        reader: &EntryReader<'_>,
        normalize: fn(&str) -> Cow<'_, str>,
    ) -> TextField {
        let Some(text) = self.value(name) else { return TextField::Absent };
        match json::json_type(text) {
            JsonType::Null => TextField::Absent,
            JsonType::Bool | JsonType::List | JsonType::Object => TextField::Malformed,
            JsonType::Number => match number_text(text) {
                Some(number) => TextField::Intact(number),
                None => TextField::Malformed,
            },
            JsonType::Text => {
                if text.len() > reader.max_json_bytes() {
                    return TextField::Malformed;
                }
                let Some(decoded) = json::string(text) else { return TextField::Malformed };
                let normalized = normalize(&decoded);
                if normalized.is_empty() {
                    TextField::Absent
                } else if normalized.len() > reader.max_text_bytes {
                    TextField::Malformed
                } else if normalized.contains(REPLACEMENT) {
                    TextField::Repaired(normalized.into_owned())
                } else {
                    TextField::Intact(normalized.into_owned())
                }
            }
        }
    }
}

/// Returns a JSON number as text. The digits of an integer do not change, however many there are.
fn number_text(text: &str) -> Option<String> {
    let text = text.trim();
    let is_integer = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    if is_integer && text.len() <= MAX_ID_BYTES && text != "-0" {
        return Some(text.to_owned());
    }
    Some(Number::from_f64(text.parse().ok()?)?.to_string())
}

fn is_valid_id(id: &str) -> bool {
    id.len() <= MAX_ID_BYTES && !id.contains(char::is_control)
}

/// Parses a timestamp. Without a time zone it is in UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Decodes a JSON value, after a repair of its strings if necessary.
fn decode(text: &str) -> Option<Value> {
    match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(_) => serde_json::from_str(&json::repaired(text)).ok(),
    }
}

/// Normalises all texts in a value, and replaces texts that are too long with null. Reports whether
/// all texts were intact.
fn normalize(value: &mut Value, max_text_bytes: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => {
            if text.len() > max_text_bytes {
                *value = Value::Null;
                return false;
            }
            let is_intact = !text.contains(REPLACEMENT);
            *text = text::trimmed(text).into_owned();
            is_intact
        }
        Value::Array(values) => {
            let mut is_intact = true;
            for value in values {
                is_intact &= normalize(value, max_text_bytes);
            }
            is_intact
        }
        Value::Object(members) => {
            let mut is_intact = true;
            for (_, value) in members {
                is_intact &= normalize(value, max_text_bytes);
            }
            is_intact
        }
    }
}

/// Returns the name under which a malformed custom attribute is noted.
pub(in crate::personio) fn custom_attribute_name(id: &str) -> String {
    if is_loggable(id) { format!("custom_attributes.{id}") } else { "custom_attributes".to_owned() }
}

/// Reports whether an id or an attribute name from Personio may appear in a log line.
pub fn is_loggable(text: &str) -> bool {
    (1..=MAX_LOGGABLE_BYTES).contains(&text.len()) && text.bytes().all(is_loggable_byte)
}

fn is_loggable_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
