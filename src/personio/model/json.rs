//! JSON text of Personio's responses: members of an object whose values are not decoded yet
//! ([`JsonMembers`]), and the repair of text that is almost JSON ([`repaired`]).
//!
//! `serde_json` cannot decode everything that RFC 8259 allows: lone surrogates (§8.2), numbers
//! beyond `f64` (§6), deep nesting (§9). A [`RawValue`] is skipped without being decoded, so a
//! value that is not used cannot fail the response.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Members of a JSON object, in the order of the text, not decoded.
#[derive(Debug)]
pub(in crate::personio) struct JsonMembers<'a>(Vec<JsonMember<'a>>);

#[derive(Debug)]
struct JsonMember<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
}

impl<'a> JsonMembers<'a> {
    /// Parses an object.
    ///
    /// # Errors
    /// If the text is not JSON, or not an object.
    pub(in crate::personio) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the text of a member's value. If several members have the same name, the last one
    /// counts, as in most parsers.
    pub(in crate::personio) fn get(&self, name: &str) -> Option<&'a str> {
        for member in self.0.iter().rev() {
            if member.name == name {
                return Some(member.value.get());
            }
        }
        None
    }

    /// Reports whether several members have this name.
    pub(in crate::personio) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|member| member.name == name).count() > 1
    }
}

impl<'de> Deserialize<'de> for JsonMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(JsonMembersVisitor)
    }
}

struct JsonMembersVisitor;

impl<'de> Visitor<'de> for JsonMembersVisitor {
    type Value = JsonMembers<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(name) = map.next_key_seed(MemberName)? {
            members.push(JsonMember { name, value: map.next_value()? });
        }
        Ok(JsonMembers(members))
    }
}

/// Decoder of a member's name. The name is borrowed if it has no escapes.
struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Returns the entries of a JSON array, not decoded.
///
/// # Errors
/// If the text is not an array.
pub(in crate::personio) fn entries(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    if json_type(text) != JsonType::List {
        return Err(serde_json::Error::custom("a list was expected"));
    }
    serde_json::from_str(text)
}

/// Decodes a JSON string. U+FFFD replaces characters that cannot be decoded. Returns `None` if the
/// value is not a string.
pub(in crate::personio) fn string(text: &str) -> Option<Cow<'_, str>> {
    if json_type(text) != JsonType::Text {
        return None;
    }
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    // Nearly all strings have no escapes.
    if !inner.contains(|char: char| char == '\\' || char < ' ') {
        return Some(Cow::Borrowed(inner));
    }
    match serde_json::from_str(text) {
        Ok(decoded) => Some(Cow::Owned(decoded)),
        Err(_) => serde_json::from_str(&repaired(text)).ok().map(Cow::Owned),
    }
}

/// Type of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::personio) enum JsonType {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

/// Returns the type of a value, by its first character.
pub(in crate::personio) fn json_type(text: &str) -> JsonType {
    match text.trim_start().as_bytes().first() {
        Some(b'"') => JsonType::Text,
        Some(b'[') => JsonType::List,
        Some(b'{') => JsonType::Object,
        Some(b't' | b'f') => JsonType::Bool,
        Some(b'-' | b'0'..=b'9') => JsonType::Number,
        _ => JsonType::Null,
    }
}

/// Converts the body of a response into text. U+FFFD replaces bytes that are not UTF-8; a byte
/// order mark is removed.
pub(in crate::personio) fn text(body: Vec<u8>) -> String {
    let mut text = match String::from_utf8(body) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text
}

/// Repairs the strings of a JSON text: a raw control character becomes its escape; a lone surrogate
/// and an unknown escape become U+FFFD. Nothing else changes: a truncated text stays truncated.
pub(in crate::personio) fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len() + 64);
    let (mut rest, mut is_in_string) = (text, false);
    while let Some(at) = rest.find(|char: char| matches!(char, '"' | '\\') || char < ' ') {
        let (before, from) = rest.split_at(at);
        repaired.push_str(before);
        let length = match from.as_bytes().first() {
            Some(b'"') => {
                is_in_string = !is_in_string;
                repaired.push('"');
                1
            }
            Some(b'\\') if is_in_string => {
                let escape = EscapeSequence::parse(from);
                match from.get(..escape.length) {
                    _ if !escape.is_valid => repaired.push_str("\\ufffd"),
                    Some(valid) => repaired.push_str(valid),
                    None => repaired.push_str(from),
                }
                escape.length
            }
            Some(control) if is_in_string => {
                repaired.push_str(&format!("\\u{control:04x}"));
                1
            }
            _ => {
                repaired.push_str(from.get(..1).unwrap_or_default());
                1
            }
        };
        rest = from.get(length..).unwrap_or_default();
    }
    repaired.push_str(rest);
    repaired
}

/// Escape sequence at the beginning of a text.
struct EscapeSequence {
    /// Length in bytes.
    length: usize,
    /// True if the sequence encodes a character.
    is_valid: bool,
}

impl EscapeSequence {
    fn valid(length: usize) -> Self {
        Self { length, is_valid: true }
    }

    fn invalid(length: usize) -> Self {
        Self { length, is_valid: false }
    }

    fn parse(text: &str) -> Self {
        match text.as_bytes().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Self::valid(2),
            // The text ends after the backslash: it is truncated, and stays so.
            None => Self::valid(1),
            Some(b'u') => match code_unit(text) {
                None => Self::invalid(2),
                Some(0xd800..=0xdbff) => {
                    let second = text.get(6..).and_then(code_unit);
                    if matches!(second, Some(0xdc00..=0xdfff)) {
                        return Self::valid(12);
                    }
                    Self::invalid(6)
                }
                Some(0xdc00..=0xdfff) => Self::invalid(6),
                Some(_) => Self::valid(6),
            },
            Some(_) => Self::invalid(1),
        }
    }
}

/// Returns the UTF-16 code unit of an escape such as `\u00e4` at the beginning of a text.
fn code_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn repair_changes_strings_and_nothing_else() {
        for (broken, expected) in [
            (r#""Ann \ud83d""#, "Ann \u{fffd}"),
            (r#""\ud83d\ude80""#, "\u{1f680}"),
            (r#""\ude80\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude80""#, "\u{fffd}\u{1f680}"),
            (r#""\ud83dA""#, "\u{fffd}A"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\uD83d\n""#, "\u{fffd}\n"),
            (r#""a\x41""#, "a\u{fffd}x41"),
            (r#""\u12""#, "\u{fffd}12"),
            ("\"a\nb\"", "a\nb"),
            ("\"a\u{0}b\u{1f}\"", "a\u{0}b\u{1f}"),
            ("\"\\\n\"", "\u{fffd}\n"),
            (r#""whole \" \\""#, "whole \" \\"),
        ] {
            let decoded: String = serde_json::from_str(&repaired(broken)).unwrap();
            assert_eq!(decoded, expected, "{broken}");
            assert_eq!(string(broken).unwrap(), expected, "{broken}");
        }
        for whole in
            ["{\n\t\"a\": [1, \"\\u00e4\"]\r\n}", "", "\"cut", "\"cut\\", "{\"a\":", "\u{1}"]
        {
            assert_eq!(repaired(whole), whole);
        }
    }

    #[test]
    fn invalid_utf8_becomes_one_replacement_character() {
        for (body, expected) in [
            (b"{\"a\":\"J\xf6rg\"}".to_vec(), "{\"a\":\"J\u{fffd}rg\"}"),
            (b"\"\xe2\x82\"".to_vec(), "\"\u{fffd}\""),
            (b"\xef\xbb\xbf{}".to_vec(), "{}"),
        ] {
            assert_eq!(text(body), expected);
        }
    }

    #[test]
    fn last_of_several_members_with_the_same_name_counts() {
        let members =
            JsonMembers::parse(r#"{"a": 1, "b": {"a": "x"}, "\u0061": [1e400, "\ud83d"]}"#)
                .unwrap();
        assert_eq!((members.get("a"), members.get("c")), (Some(r#"[1e400, "\ud83d"]"#), None));
        assert!(members.is_repeated("a") && !members.is_repeated("b"));
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(JsonMembers::parse(&deep).unwrap().get("a").unwrap().len(), 200_000);
    }

    proptest! {
        #[test]
        fn repair_does_not_change_valid_json(text in "\\PC*", number: f64) {
            let whole = serde_json::json!({"text": text, "list": [number, null, {&text: true}]}).to_string();
            prop_assert_eq!(&repaired(&whole), &whole);
        }

        #[test]
        fn repaired_string_can_be_decoded(
            inner in "([ab\u{1}\n\u{e4}]|\\\\[ux]|d83d|de80|\\\\ud8[0-9a-f]{2}|\\\\ude00){0,8}"
        ) {
            let repaired = repaired(&format!("\"{inner}\""));
            let decoded: Result<Value, _> = serde_json::from_str(&repaired);
            prop_assert!(decoded.is_ok(), "{repaired}");
        }
    }
}
