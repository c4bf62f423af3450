//! Pages of a list: `{"_data": […], "_meta": {"links": {"next": {"href": "…?cursor=…"}}}}`.
//!
//! The next page exists only inside that link, and of the link only the cursor is believed: path,
//! origin and filters stay ours, so the token never follows it anywhere.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::personio::model::json;
use crate::personio::model::json::{Kind, Members};

/// A page as it is answered, with entries that are not decoded yet: one of them must not cost the others.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) data: Vec<Box<RawValue>>,
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct Links {
    #[serde(default)]
    next: Option<Link>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Link {
    Object {
        // Not an `Option` field, which may be missing altogether: a link in another shape is no end.
        #[serde(deserialize_with = "Option::deserialize")]
        href: Option<String>,
    },
    Bare(String),
    Unknown(IgnoredAny),
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another page.
    Cursor(String),
    /// Nothing: the list is complete.
    End,
    /// Something, but it cannot be told where: the list is not complete.
    Lost,
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// When its envelope is not that of a list. The reason quotes nothing of it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let read = envelope(text, Self::of)?;
        read.map_err(str::to_owned)
    }

    fn of(members: &Members<'_>) -> Result<Self, &'static str> {
        if members.is_repeated("_data") || members.is_repeated("_meta") {
            return Err("`_data` or `_meta` is there twice");
        }
        let data = members.get("_data").ok_or("no `_data`")?;
        let entries = json::entries(data).map_err(|_| "`_data` is not a list")?;
        let meta = members.get("_meta").map(serde_json::from_str).transpose().map_err(|_| "`_meta` cannot be read")?;
        Ok(Self { data: entries.into_iter().map(ToOwned::to_owned).collect(), meta: meta.flatten() })
    }

    /// What follows this page, of a list that was asked for in pages of `limit`.
    pub(super) fn next(&self, limit: usize) -> Next {
        let Some(links) = self.meta.as_ref().and_then(|meta| meta.links.as_ref()) else {
            // A full page that says nothing about a next one may have been cut short.
            return if self.data.len() < limit { Next::End } else { Next::Lost };
        };
        let href = match &links.next {
            None | Some(Link::Object { href: None }) => return Next::End,
            Some(Link::Object { href: Some(href) } | Link::Bare(href)) => href.trim(),
            Some(Link::Unknown(_)) => return Next::Lost,
        };
        if href.is_empty() {
            return Next::End;
        }
        cursor(href).map_or(Next::Lost, Next::Cursor)
    }
}

/// Reads the members of an answer, after a repair where that is needed.
///
/// # Errors
/// When the answer is not a JSON object. The reason quotes nothing of it.
pub(super) fn envelope<T>(text: &str, read: impl Fn(&Members<'_>) -> T) -> Result<T, String> {
    if let Ok(members) = Members::of(text) {
        return Ok(read(&members));
    }
    let start = text.trim_start();
    if start.is_empty() {
        return Err("it is empty".to_owned());
    }
    if start.starts_with('<') {
        return Err("HTML instead of JSON: a proxy or login page answers".to_owned());
    }
    match Members::of(&json::repaired(text)) {
        Ok(members) => Ok(read(&members)),
        Err(error) if error.is_eof() => Err("it is cut short".to_owned()),
        Err(error) if error.is_data() || matches!(json::kind(start), Kind::List | Kind::Text) => {
            Err("it is not a JSON object".to_owned())
        }
        Err(error) => Err(format!("it is not JSON, from line {} column {}", error.line(), error.column())),
    }
}

/// The cursor in a link. `+` is part of a cursor, not a space: it is percent-decoding that is
/// undone here, not form encoding.
fn cursor(href: &str) -> Option<String> {
    let query = href.split_once('?')?.1;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let value = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    let cursor = percent_decode_str(value).decode_utf8().ok()?;
    (!cursor.is_empty()).then(|| cursor.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_link_gives_its_cursor_in_every_known_shape() {
        let next = |json: &str| Page::read(json).unwrap().next(2);
        let cursor = |text: &str| Next::Cursor(text.to_owned());
        for (meta, expected) in [
            (r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons?cursor=abc"}}}"#, cursor("abc")),
            (r#"{"links":{"next":{"href":"https://evil.example/?limit=1&cursor=a%2Bb%3D%2F#x"}}}"#, cursor("a+b=/")),
            (r#"{"links":{"next":{"href":"/v2/persons?cursor=a+b="}}}"#, cursor("a+b=")),
            (r#"{"links":{"next":"/v2/persons?cursor=abc"}}"#, cursor("abc")),
            (r#"{"links":{"self":{"href":"x"}}}"#, Next::End),
            (r#"{"links":{"next":null}}"#, Next::End),
            (r#"{"links":{"next":{"href":null}}}"#, Next::End),
            (r#"{"links":{"next":{}}}"#, Next::Lost),
            (r#"{"links":{"next":{"url":"https://api.personio.de/v2/persons?cursor=abc"}}}"#, Next::Lost),
            (r#"{"links":{"next":7}}"#, Next::Lost),
            (r#"{"links":{"next":""}}"#, Next::End),
            (r#"{"links":{}}"#, Next::End),
            (r#"{"links":null}"#, Next::Lost),
            ("{}", Next::Lost),
            (r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons"}}}"#, Next::Lost),
            (r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons?cursor="}}}"#, Next::Lost),
            (r#"{"links":{"next":{"href":"/v2/persons?cursor=%FF"}}}"#, Next::Lost),
        ] {
            assert_eq!(next(&format!(r#"{{"_data":[1,2],"_meta":{meta}}}"#)), expected, "{meta}");
        }
        assert_eq!(next(r#"{"_data":[1]}"#), Next::End);
        assert_eq!(next(r#"{"_data":[1,2]}"#), Next::Lost);
    }

    #[test]
    fn what_is_wrong_with_an_envelope_is_told() {
        for (text, expected) in [
            ("{}", "no `_data`"),
            (r#"{"data":[]}"#, "no `_data`"),
            (r#"{"_data":null}"#, "`_data` is not a list"),
            (r#"{"_data":{}}"#, "`_data` is not a list"),
            (r#"{"_data":"x"}"#, "`_data` is not a list"),
            (r#"{"_data":[],"_data":[1]}"#, "is there twice"),
            (r#"{"_data":[],"_meta":"x"}"#, "`_meta` cannot be read"),
            ("[]", "it is not a JSON object"),
            ("\"x\"", "it is not a JSON object"),
            ("null", "it is not a JSON object"),
            ("", "it is empty"),
            (" \r\n", "it is empty"),
            ("\n<!DOCTYPE html><html>", "HTML instead of JSON: a proxy or login page answers"),
            (r#"{"_data":[{"id":"1"},"#, "it is cut short"),
            (r#"{"_data":["a"#, "it is cut short"),
            ("Bad gateway", "it is not JSON, from line 1 column 1"),
            (r#"{"_data":[NaN]}"#, "it is not JSON, from line 1 column 11"),
        ] {
            let reason = Page::read(text).map(drop).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn what_is_odd_in_an_entry_costs_no_page() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        for entry in [r#""\ud83d""#, "1e400", "\"a\nb\"", r#"{"\ud83d":1}"#, r#"{"a":1,"a":2}"#, r#""\x41""#, &deep] {
            let page = Page::read(&format!(r#"{{"_data":[{entry},2],"_meta":null,"\udc00":0}}"#)).unwrap();
            assert_eq!((page.data.len(), page.next(50)), (2, Next::End), "{entry}");
        }
    }
}
