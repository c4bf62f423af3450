//! Reading of single values from Personio's answers: what is not as documented is taken as it is meant, or as
//! absent, and its attribute is noted. Only what says who somebody is makes an entry unreadable.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::personio::limits::Limits;
use crate::personio::model::Status;
use crate::personio::model::json;
use crate::personio::model::json::{Kind, Members};
use crate::personio::model::text;
use crate::personio::model::text::REPLACEMENT;

/// Most names of odd attributes that are noted of one entry.
const MAX_ODD_ATTRIBUTES: usize = 16;
/// Longest id that is read, in bytes. Personio's have less than 40.
const MAX_ID_BYTES: usize = 1024;
/// Longest name of an attribute that is logged, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 64;
/// Most bytes that one byte of text can take in JSON: `\u0041`.
const MAX_ESCAPE_BYTES: usize = 6;

/// Something that is read from a JSON object.
pub(in crate::personio) trait FromObject: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When an attribute that must be readable is not.
    fn from_object(object: &Object<'_>, reader: &mut Reader<'_>) -> Result<Self, Unreadable>;
}

/// The attribute that makes an entry unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::personio) struct Unreadable(pub(in crate::personio) &'static str);

/// What is read, and which values of it are odd.
#[derive(Debug)]
pub(in crate::personio) struct Reader<'r> {
    text_bytes: usize,
    /// Ids and global ids of the custom attributes that are read; all of them where there is no list.
    wanted: Option<&'r [String]>,
    /// Names of the attributes whose values could not be taken as they are.
    odd: Vec<Box<str>>,
}

impl<'r> Reader<'r> {
    pub(in crate::personio) fn new(limits: &Limits, wanted: Option<&'r [String]>) -> Self {
        Self { text_bytes: limits.text_bytes, wanted, odd: Vec::new() }
    }

    /// Returns a reader by the same rules that has noted nothing yet.
    pub(in crate::personio) fn new_like(other: &Self) -> Self {
        Self { text_bytes: other.text_bytes, wanted: other.wanted, odd: Vec::new() }
    }

    /// Takes the names of the attributes that were noted since the last time.
    pub(in crate::personio) fn take_odd(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.odd)
    }

    /// Reports whether a custom attribute with these ids is to be read.
    pub(in crate::personio) fn wants(&self, id: Option<&str>, global_id: Option<&str>) -> bool {
        let Some(wanted) = self.wanted else { return true };
        wanted.iter().any(|name| Some(name.as_str()) == id || Some(name.as_str()) == global_id)
    }

    /// Notes that an attribute is odd.
    pub(in crate::personio) fn note(&mut self, attribute: &str) {
        let is_known = self.odd.iter().any(|noted| **noted == *attribute);
        if !is_known && self.odd.len() < MAX_ODD_ATTRIBUTES {
            self.odd.push(attribute.into());
        }
    }

    /// Reads an entry of a list.
    pub(in crate::personio) fn entry<T: FromObject>(&mut self, text: &str) -> Result<T, Unreadable> {
        self.nested("", text)
    }

    fn nested<T: FromObject>(&mut self, path: &'static str, text: &str) -> Result<T, Unreadable> {
        if let Ok(members) = Members::of(text) {
            return T::from_object(&Object { path, members }, self);
        }
        // The name of a member can be broken as well.
        let repaired = json::repaired(text);
        let members = Members::of(&repaired).map_err(|_| Unreadable("entry"))?;
        T::from_object(&Object { path, members }, self)
    }
}

/// What there is in the place of a value.
#[derive(Debug, Clone, PartialEq)]
enum Found<T> {
    Absent,
    /// Something that is no such value.
    Odd,
    /// A text that cannot be decoded as a whole, with U+FFFD for what is missing.
    Repaired(T),
    Whole(T),
}

/// A JSON object whose members are read one by one.
#[derive(Debug)]
pub(in crate::personio) struct Object<'a> {
    /// Name of the attribute that it is the value of; empty for an entry.
    path: &'static str,
    members: Members<'a>,
}

impl<'a> Object<'a> {
    /// Reads an id. It is sent back to Personio, so it must be one as a whole.
    pub(in crate::personio) fn id(&self, name: &'static str, reader: &Reader<'_>) -> Result<String, Unreadable> {
        match self.found(name, reader, text::trimmed) {
            Found::Whole(id) if id.len() <= MAX_ID_BYTES && !id.contains(char::is_control) => Ok(id),
            Found::Whole(_) | Found::Absent | Found::Odd | Found::Repaired(_) => Err(Unreadable(name)),
        }
    }

    /// Reads the id of something else. Odd ones are noted and absent.
    pub(in crate::personio) fn reference(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<String> {
        match self.found(name, reader, text::trimmed) {
            Found::Absent => None,
            Found::Whole(id) if id.len() <= MAX_ID_BYTES && !id.contains(char::is_control) => Some(id),
            Found::Whole(_) | Found::Odd | Found::Repaired(_) => {
                self.note(name, reader);
                None
            }
        }
    }

    /// Reads an address, which must be readable if it is there.
    pub(in crate::personio) fn address(
        &self,
        name: &'static str,
        reader: &Reader<'_>,
    ) -> Result<Option<String>, Unreadable> {
        match self.found(name, reader, text::address) {
            Found::Absent => Ok(None),
            Found::Whole(address) => Ok(Some(address)),
            Found::Odd | Found::Repaired(_) => Err(Unreadable(name)),
        }
    }

    /// Reads a name of a person, which must be a text if it is there.
    pub(in crate::personio) fn own_name(
        &self,
        name: &'static str,
        reader: &mut Reader<'_>,
    ) -> Result<Option<String>, Unreadable> {
        match self.found(name, reader, text::name) {
            Found::Absent => Ok(None),
            Found::Whole(text) => Ok(Some(text)),
            Found::Repaired(text) => {
                self.note(name, reader);
                Ok(Some(text))
            }
            Found::Odd => Err(Unreadable(name)),
        }
    }

    /// Reads a status, which must be readable if it is there.
    pub(in crate::personio) fn status(
        &self,
        name: &'static str,
        reader: &Reader<'_>,
    ) -> Result<Option<Status>, Unreadable> {
        match self.found(name, reader, text::address) {
            Found::Absent => Ok(None),
            Found::Whole(word) => Ok(Some(Status::from_word(&word))),
            Found::Odd | Found::Repaired(_) => Err(Unreadable(name)),
        }
    }

    /// Reads the name of something, on one line.
    pub(in crate::personio) fn name(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<String> {
        let found = self.found(name, reader, text::name);
        self.taken(name, found, reader)
    }

    /// Reads a word of Personio's, in upper case.
    pub(in crate::personio) fn word(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<String> {
        let found = self.found(name, reader, text::address);
        self.taken(name, found, reader).map(|word| word.to_ascii_uppercase())
    }

    /// Reads a date, `YYYY-MM-DD`; of a date with a time the date counts.
    pub(in crate::personio) fn date(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<Date> {
        let text = self.word(name, reader)?;
        let date = text.get(..10).and_then(|date| date.parse().ok());
        if date.is_none() {
            self.note(name, reader);
        }
        date
    }

    /// Reads a moment. Without a zone it is in UTC.
    pub(in crate::personio) fn timestamp(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<Timestamp> {
        let text = self.word(name, reader)?;
        let moment = moment(&text);
        if moment.is_none() {
            self.note(name, reader);
        }
        moment
    }

    /// Reads a number, perhaps as text.
    pub(in crate::personio) fn number(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<f64> {
        let text = self.value(name)?;
        let number: Option<f64> = match json::kind(text) {
            Kind::Number => text.trim().parse().ok(),
            Kind::Text => {
                let text = json::string(text)?;
                let text = text.trim();
                if text.is_empty() {
                    return None;
                }
                text.parse().ok()
            }
            Kind::Null | Kind::Bool | Kind::List | Kind::Object => None,
        };
        let number = number.filter(|number| number.is_finite());
        if number.is_none() {
            self.note(name, reader);
        }
        number
    }

    /// Reads an object within this one.
    pub(in crate::personio) fn object<T: FromObject>(&self, name: &'static str, reader: &mut Reader<'_>) -> Option<T> {
        let text = self.value(name)?;
        let object = match json::kind(text) {
            Kind::Object => reader.nested(name, text).ok(),
            Kind::Null | Kind::Bool | Kind::Number | Kind::Text | Kind::List => None,
        };
        if object.is_none() {
            self.note(name, reader);
        }
        object
    }

    /// Reads a list. An entry that cannot be read is left out.
    pub(in crate::personio) fn list<T: FromObject>(&self, name: &'static str, reader: &mut Reader<'_>) -> Vec<T> {
        let mut list = Vec::new();
        for entry in self.entries(name, reader) {
            match reader.nested(name, entry.get()) {
                Ok(entry) => list.push(entry),
                Err(_) => self.note(name, reader),
            }
        }
        list
    }

    /// Returns the entries of a list, not decoded.
    pub(in crate::personio) fn entries(&self, name: &'static str, reader: &mut Reader<'_>) -> Vec<&'a RawValue> {
        let Some(text) = self.value(name) else { return Vec::new() };
        json::entries(text).unwrap_or_else(|_| {
            self.note(name, reader);
            Vec::new()
        })
    }

    /// Reads a value of any kind. One that cannot be decoded is null, and `attribute` is noted.
    pub(in crate::personio) fn any(&self, name: &'static str, attribute: &str, reader: &mut Reader<'_>) -> Value {
        let Some(text) = self.value(name) else { return Value::Null };
        let mut value = None;
        if text.len() <= reader.text_bytes.saturating_mul(MAX_ESCAPE_BYTES) {
            let decoded: Result<Value, _> = serde_json::from_str(text);
            value = decoded.or_else(|_| serde_json::from_str(&json::repaired(text))).ok();
        }
        let mut is_odd = value.is_none();
        let mut value = value.unwrap_or_default();
        is_odd |= !clean(&mut value, reader.text_bytes);
        if is_odd {
            reader.note(attribute);
        }
        value
    }

    /// Returns the text of a member's value, unless it is null.
    pub(in crate::personio) fn value(&self, name: &str) -> Option<&'a str> {
        self.members.get(name).filter(|text| json::kind(text) != Kind::Null)
    }

    fn note(&self, name: &str, reader: &mut Reader<'_>) {
        match self.path {
            "" => reader.note(name),
            path => reader.note(&format!("{path}.{name}")),
        }
    }

    fn taken(&self, name: &str, found: Found<String>, reader: &mut Reader<'_>) -> Option<String> {
        match found {
            Found::Absent => None,
            Found::Whole(text) => Some(text),
            Found::Repaired(text) => {
                self.note(name, reader);
                Some(text)
            }
            Found::Odd => {
                self.note(name, reader);
                None
            }
        }
    }

    /// Finds a text, or a number as text.
    fn found(&self, name: &str, reader: &Reader<'_>, clean: fn(&str) -> Cow<'_, str>) -> Found<String> {
        let Some(text) = self.value(name) else { return Found::Absent };
        match json::kind(text) {
            Kind::Null => Found::Absent,
            Kind::Bool | Kind::List | Kind::Object => Found::Odd,
            Kind::Number => decimal(text).map_or(Found::Odd, Found::Whole),
            Kind::Text => {
                if text.len() > reader.text_bytes.saturating_mul(MAX_ESCAPE_BYTES) {
                    return Found::Odd;
                }
                let Some(decoded) = json::string(text) else { return Found::Odd };
                let cleaned = clean(&decoded);
                if cleaned.is_empty() {
                    Found::Absent
                } else if cleaned.len() > reader.text_bytes {
                    Found::Odd
                } else if cleaned.contains(REPLACEMENT) {
                    Found::Repaired(cleaned.into_owned())
                } else {
                    Found::Whole(cleaned.into_owned())
                }
            }
        }
    }
}

/// Returns a number as text: a whole one digit by digit, however long it is.
fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() <= MAX_ID_BYTES && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) && text != "-0" {
        return Some(text.to_owned());
    }
    Some(Number::from_f64(text.parse().ok()?)?.to_string())
}

/// Returns the moment that a text names.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let local: DateTime = text.parse().ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Normalises all texts in a value, and drops those that are too long. Reports whether all could be taken whole.
fn clean(value: &mut Value, text_bytes: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => {
            if text.len() > text_bytes {
                *value = Value::Null;
                return false;
            }
            let is_whole = !text.contains(REPLACEMENT);
            *text = text::trimmed(text).into_owned();
            is_whole
        }
        Value::Array(values) => {
            let mut is_whole = true;
            for value in values {
                is_whole &= clean(value, text_bytes);
            }
            is_whole
        }
        Value::Object(members) => {
            let mut is_whole = true;
            for (_, value) in members {
                is_whole &= clean(value, text_bytes);
            }
            is_whole
        }
    }
}

/// Returns the name under which an odd custom attribute is noted.
pub(in crate::personio) fn custom_attribute(id: &str) -> String {
    if is_fit_for_a_log(id) { format!("custom_attributes.{id}") } else { "custom_attributes".to_owned() }
}

/// Reports whether an id or a name of Personio's may stand in a log line.
pub fn is_fit_for_a_log(text: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    !text.is_empty() && text.len() <= MAX_ATTRIBUTE_BYTES && text.chars().all(is_plain)
}
