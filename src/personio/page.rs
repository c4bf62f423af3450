//! Pages of a listing: `{"_data": […], "_meta": {"links": {"next": {"href": "…?cursor=…"}}}}`.
//!
//! Only the `next` link identifies the next page, and only the cursor of the link is used. Origin,
//! path and filters come from this program, so the token never goes to another destination.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::personio::model::json;
use crate::personio::model::json::{JsonMembers, JsonType};

/// Page of a listing. Its entries are not decoded yet: a damaged entry must not fail the others.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) data: Vec<Box<RawValue>>,
    meta: Option<PageMeta>,
}

#[derive(Debug, Deserialize)]
struct PageMeta {
    #[serde(default)]
    links: Option<PageLinks>,
}

#[derive(Debug, Deserialize)]
struct PageLinks {
    #[serde(default)]
    next: Option<NextLink>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum NextLink {
    Object {
        // `deserialize_with` makes `href` required. A link object without `href` has an unknown
        // shape, and must not count as the end of the listing.
        #[serde(deserialize_with = "Option::deserialize")]
        href: Option<String>,
    },
    Bare(String),
    Unknown(IgnoredAny),
}

/// Position of the next page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextPage {
    /// Cursor of the next page.
    Cursor(String),
    /// No next page: the listing is complete.
    End,
    /// A next page without a readable cursor: the listing is incomplete.
    Unknown,
}

impl Page {
    /// Parses a page.
    ///
    /// # Errors
    /// If the response is not a page of a listing. The reason quotes nothing of it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match parse_envelope(text, Self::from_members)? {
            Ok(page) => Ok(page),
            Err(reason) => Err(reason.to_owned()),
        }
    }

    fn from_members(members: &JsonMembers<'_>) -> Result<Self, &'static str> {
        if members.is_repeated("_data") || members.is_repeated("_meta") {
            return Err("`_data` or `_meta` occurs twice");
        }
        let Some(data) = members.get("_data") else { return Err("no `_data`") };
        let Ok(entries) = json::entries(data) else { return Err("`_data` is not a list") };
        let meta = match members.get("_meta") {
            None => None,
            Some(text) => serde_json::from_str(text).map_err(|_| "`_meta` cannot be read")?,
        };
        Ok(Self { data: entries.into_iter().map(ToOwned::to_owned).collect(), meta })
    }

    /// Returns the position of the next page, if pages of `page_size` entries were requested.
    pub(super) fn next(&self, page_size: usize) -> NextPage {
        let Some(PageMeta { links: Some(links) }) = &self.meta else {
            // A full page without links may have been truncated.
            return if self.data.len() < page_size { NextPage::End } else { NextPage::Unknown };
        };
        let href = match &links.next {
            None | Some(NextLink::Object { href: None }) => return NextPage::End,
            Some(NextLink::Object { href: Some(href) } | NextLink::Bare(href)) => href.trim(),
            Some(NextLink::Unknown(_)) => return NextPage::Unknown,
        };
        if href.is_empty() {
            return NextPage::End;
        }
        match cursor(href) {
            Some(cursor) => NextPage::Cursor(cursor),
            None => NextPage::Unknown,
        }
    }
}

/// Parses a response as a JSON object, after a repair if necessary, and passes its members to
/// `read`.
///
/// # Errors
/// If the response is not a JSON object. The reason quotes nothing of it.
pub(super) fn parse_envelope<T>(
    text: &str,
    read: impl Fn(&JsonMembers<'_>) -> T,
) -> Result<T, String> {
    if let Ok(members) = JsonMembers::parse(text) {
        return Ok(read(&members));
    }
    let start = text.trim_start();
    if start.is_empty() {
        return Err("it is empty".to_owned());
    }
    if start.starts_with('<') {
        return Err("HTML instead of JSON: a proxy or login page answers".to_owned());
    }
    match JsonMembers::parse(&json::repaired(text)) {
        Ok(members) => Ok(read(&members)),
        Err(error) => Err(syntax_error(start, &error)),
    }
}

fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "it is cut short".to_owned();
    }
    if error.is_data() || matches!(json::json_type(text), JsonType::List | JsonType::Text) {
        return "it is not a JSON object".to_owned();
    }
    format!("it is not JSON, from line {} column {}", error.line(), error.column())
}

/// Returns the cursor of a link. The cursor is percent-decoded, not form-decoded: `+` is part of a
/// cursor, not a space.
fn cursor(href: &str) -> Option<String> {
    let query = href.split_once('?')?.1;
    let query = match query.split_once('#') {
        Some((query, _fragment)) => query,
        None => query,
    };
    let value = query.split('&').find_map(|pair| pair.strip_prefix("cursor="))?;
    let cursor = percent_decode_str(value).decode_utf8().ok()?;
    if cursor.is_empty() { None } else { Some(cursor.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(json: &str) -> NextPage {
        Page::parse(json).unwrap().next(2)
    }

    fn cursor(text: &str) -> NextPage {
        NextPage::Cursor(text.to_owned())
    }

    #[test]
    fn cursor_of_a_next_link_is_found_in_every_known_shape() {
        for (meta, expected) in [
            (
                r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons?cursor=abc"}}}"#,
                cursor("abc"),
            ),
            (
                r#"{"links":{"next":{"href":"https://evil.example/?limit=1&cursor=a%2Bb%3D%2F#x"}}}"#,
                cursor("a+b=/"),
            ),
            (r#"{"links":{"next":{"href":"/v2/persons?cursor=a+b="}}}"#, cursor("a+b=")),
            (r#"{"links":{"next":"/v2/persons?cursor=abc"}}"#, cursor("abc")),
            (r#"{"links":{"self":{"href":"x"}}}"#, NextPage::End),
            (r#"{"links":{"next":null}}"#, NextPage::End),
            (r#"{"links":{"next":{"href":null}}}"#, NextPage::End),
            (r#"{"links":{"next":{}}}"#, NextPage::Unknown),
            (
                r#"{"links":{"next":{"url":"https://api.personio.de/v2/persons?cursor=abc"}}}"#,
                NextPage::Unknown,
            ),
            (r#"{"links":{"next":7}}"#, NextPage::Unknown),
            (r#"{"links":{"next":""}}"#, NextPage::End),
            (r#"{"links":{}}"#, NextPage::End),
            (r#"{"links":null}"#, NextPage::Unknown),
            ("{}", NextPage::Unknown),
            (
                r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons"}}}"#,
                NextPage::Unknown,
            ),
            (
                r#"{"links":{"next":{"href":"https://api.personio.de/v2/persons?cursor="}}}"#,
                NextPage::Unknown,
            ),
            (r#"{"links":{"next":{"href":"/v2/persons?cursor=%FF"}}}"#, NextPage::Unknown),
        ] {
            assert_eq!(next(&format!(r#"{{"_data":[1,2],"_meta":{meta}}}"#)), expected, "{meta}");
        }
        assert_eq!(next(r#"{"_data":[1]}"#), NextPage::End);
        assert_eq!(next(r#"{"_data":[1,2]}"#), NextPage::Unknown);
    }

    #[test]
    fn error_names_the_fault_of_the_envelope() {
        for (text, expected) in [
            ("{}", "no `_data`"),
            (r#"{"data":[]}"#, "no `_data`"),
            (r#"{"_data":null}"#, "`_data` is not a list"),
            (r#"{"_data":{}}"#, "`_data` is not a list"),
            (r#"{"_data":"x"}"#, "`_data` is not a list"),
            (r#"{"_data":[],"_data":[1]}"#, "occurs twice"),
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
            let reason = Page::parse(text).map(drop).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn malformed_entry_does_not_fail_the_page() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let repeated = r#"{"a":1,"a":2}"#;
        for entry in
            [r#""\ud83d""#, "1e400", "\"a\nb\"", r#"{"\ud83d":1}"#, repeated, r#""\x41""#, &deep]
        {
            let text = format!(r#"{{"_data":[{entry},2],"_meta":null,"\udc00":0}}"#);
            let page = Page::parse(&text).unwrap();
            assert_eq!((page.data.len(), page.next(50)), (2, NextPage::End), "{entry}");
        }
    }
}
