//! Pages of a list: `{"_data": […], "_meta": {"links": {"next": {"href": "…?cursor=…"}}}}`.
//!
//! The next page exists only inside that link, and of the link only the cursor is believed: path,
//! origin and filters stay ours, so the token never follows it anywhere.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A page as it is answered. Without `_data` it is no page.
#[derive(Debug, Deserialize)]
pub(super) struct Page<T> {
    #[serde(rename = "_data")]
    pub(super) data: Vec<T>,
    #[serde(rename = "_meta", default)]
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

impl<T> Page<T> {
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
        let next = |json: &str| serde_json::from_str::<Page<u8>>(json).unwrap().next(2);
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
    fn what_has_no_data_is_no_page() {
        for json in ["{}", "[]", r#"{"_data":null}"#, r#"{"_data":{}}"#, r#"{"data":[]}"#] {
            assert!(serde_json::from_str::<Page<u8>>(json).is_err(), "{json}");
        }
    }
}
