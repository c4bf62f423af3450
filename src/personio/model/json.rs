//! JSON as it is answered: members of an object whose values are not decoded yet, and the repair of text that is
//! almost JSON.
//!
//! `serde_json` cannot decode everything that RFC 8259 allows: lone surrogates (§8.2), numbers beyond `f64` (§6), deep
//! nesting (§9). A [`RawValue`] is only skipped, so that a value that nobody wants cannot fail.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Members of a JSON object, in their order, not decoded.
#[derive(Debug)]
pub(in crate::personio) struct Members<'a>(Vec<Member<'a>>);

#[derive(Debug)]
struct Member<'a> {
    name: Cow<'a, str>,
    value: &'a RawValue,
}

impl<'a> Members<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// When the text is not JSON, or not an object.
    pub(in crate::personio) fn of(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Returns the text of a member's value. Of several members with one name the last counts, as in most parsers.
    pub(in crate::personio) fn get(&self, name: &str) -> Option<&'a str> {
        let member = self.0.iter().rev().find(|member| member.name == name)?;
        Some(member.value.get())
    }

    /// Reports whether several members have this name.
    pub(in crate::personio) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|member| member.name == name).count() > 1
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(16);
        while let Some(name) = map.next_key_seed(Name)? {
            members.push(Member { name, value: map.next_value()? });
        }
        Ok(Members(members))
    }
}

/// Name of a member, borrowed where it has no escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
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

/// Returns the entries of a list, not decoded.
///
/// # Errors
/// When the text is not a list.
pub(in crate::personio) fn entries(text: &str) -> Result<Vec<&RawValue>, serde_json::Error> {
    if kind(text) != Kind::List {
        return Err(serde_json::Error::custom("a list was expected"));
    }
    serde_json::from_str(text)
}

/// Decodes a text, with U+FFFD for what cannot be decoded.
pub(in crate::personio) fn string(text: &str) -> Option<Cow<'_, str>> {
    if kind(text) != Kind::Text {
        return None;
    }
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    // Nearly all texts are of this kind.
    if !inner.contains(|char: char| char == '\\' || char < ' ') {
        return Some(Cow::Borrowed(inner));
    }
    let decoded: Result<String, _> = serde_json::from_str(text);
    decoded.or_else(|_| serde_json::from_str(&repaired(text))).ok().map(Cow::Owned)
}

/// Kind of a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::personio) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

/// Returns the kind of a value, by its first character.
pub(in crate::personio) fn kind(text: &str) -> Kind {
    match text.trim_start().as_bytes().first() {
        Some(b'"') => Kind::Text,
        Some(b'[') => Kind::List,
        Some(b'{') => Kind::Object,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'-' | b'0'..=b'9') => Kind::Number,
        _ => Kind::Null,
    }
}

/// Turns the bytes of an answer into text, with U+FFFD for what is not UTF-8 and without a byte order mark.
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

/// Repairs the strings of a JSON text: a raw control character becomes its escape, a lone surrogate and an unknown
/// escape become U+FFFD. Everything else stays as it is, so that text that is cut short stays so.
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
                let escape = Escape::of(from);
                repaired.push_str(if escape.is_sound { from.get(..escape.length).unwrap_or(from) } else { "\\ufffd" });
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

/// An escape sequence at the beginning of a text.
struct Escape {
    /// Number of bytes that it takes.
    length: usize,
    /// Whether it stands for a character.
    is_sound: bool,
}

impl Escape {
    fn of(text: &str) -> Self {
        let sound = |length| Self { length, is_sound: true };
        match text.as_bytes().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => sound(2),
            // The text ends here, and is cut short.
            None => sound(1),
            Some(b'u') => match code_unit(text) {
                None => Self { length: 2, is_sound: false },
                Some(0xd800..=0xdbff) => {
                    let second = text.get(6..).and_then(code_unit);
                    if matches!(second, Some(0xdc00..=0xdfff)) {
                        return sound(12);
                    }
                    Self { length: 6, is_sound: false }
                }
                Some(0xdc00..=0xdfff) => Self { length: 6, is_sound: false },
                Some(_) => sound(6),
            },
            Some(_) => Self { length: 1, is_sound: false },
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
    fn strings_are_repaired_and_nothing_else() {
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
        for whole in ["{\n\t\"a\": [1, \"\\u00e4\"]\r\n}", "", "\"cut", "\"cut\\", "{\"a\":", "\u{1}"] {
            assert_eq!(repaired(whole), whole);
        }
    }

    #[test]
    fn bytes_that_are_no_utf8_cost_one_character() {
        for (body, expected) in [
            (b"{\"a\":\"J\xf6rg\"}".to_vec(), "{\"a\":\"J\u{fffd}rg\"}"),
            (b"\"\xe2\x82\"".to_vec(), "\"\u{fffd}\""),
            (b"\xef\xbb\xbf{}".to_vec(), "{}"),
        ] {
            assert_eq!(text(body), expected);
        }
    }

    #[test]
    fn of_members_with_one_name_the_last_counts() {
        let members = Members::of(r#"{"a": 1, "b": {"a": "x"}, "\u0061": [1e400, "\ud83d"]}"#).unwrap();
        assert_eq!((members.get("a"), members.get("c")), (Some(r#"[1e400, "\ud83d"]"#), None));
        assert!(members.is_repeated("a") && !members.is_repeated("b"));
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(Members::of(&deep).unwrap().get("a").unwrap().len(), 200_000);
    }

    proptest! {
        #[test]
        fn what_is_json_is_repaired_to_the_same(text in "\\PC*", number: f64) {
            let whole = serde_json::json!({"text": text, "list": [number, null, {&text: true}]}).to_string();
            prop_assert_eq!(&repaired(&whole), &whole);
        }

        #[test]
        fn what_is_repaired_is_a_string(inner in "([ab\u{1}\n\u{e4}]|\\\\[ux]|d83d|de80|\\\\ud8[0-9a-f]{2}|\\\\ude00){0,8}") {
            let repaired = repaired(&format!("\"{inner}\""));
            let decoded: Result<Value, _> = serde_json::from_str(&repaired);
            prop_assert!(decoded.is_ok(), "{repaired}");
        }
    }
}
