//! Media type of a SCIM response: `application/scim+json`, or `application/json` for clients that
//! prefer it (RFC 7644 §3.8). Some clients read nothing else, not even an error.

use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

/// Media type of SCIM. It has a character set, because clients that assume Latin-1 without one
/// garble names: Windows PowerShell 5.1 and Apache HttpClient 4 do.
pub(super) const SCIM_JSON: &str = "application/scim+json; charset=utf-8";
/// Media type of other JSON, and of SCIM for clients that prefer it.
pub(super) const JSON: &str = "application/json; charset=utf-8";

const JSON_SUBTYPE: &str = "json";
const SCIM_JSON_SUBTYPE: &str = "scim+json";

/// Quality of a media type in thousandths (RFC 9110 §12.4.2).
type Quality = u16;
const MAX_QUALITY: Quality = 1000;

/// Sets the media type of a SCIM response to the one that the client prefers. Other responses stay
/// as they are.
pub(super) fn negotiate<B>(response: &mut ServiceResponse<B>) {
    let Some(content_type) = response.headers().get(CONTENT_TYPE) else { return };
    if content_type == SCIM_JSON && prefers_json(response.request().headers()) {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
}

/// Reports whether `Accept` gives `application/json` a higher quality than `application/scim+json`.
/// Without the header, and where both are equal, it does not.
fn prefers_json(headers: &HeaderMap) -> bool {
    let mut ranges = Vec::new();
    for value in headers.get_all(ACCEPT) {
        let Ok(text) = value.to_str() else { continue };
        ranges.extend(text.split(',').filter_map(MediaRange::parse));
    }
    quality(&ranges, JSON_SUBTYPE) > quality(&ranges, SCIM_JSON_SUBTYPE)
}

/// Range of media types in `Accept` that may include JSON.
struct MediaRange {
    precision: Precision,
    subtype: String,
    quality: Quality,
}

/// Precision of a range. Of several ranges that include a type, the most precise one counts
/// (RFC 9110 §12.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    /// `*/*`
    AnyType,
    /// `application/*`
    AnySubtype,
    /// `application/json`
    Exact,
}

impl MediaRange {
    /// Parses a range; `None` if it is malformed or includes no kind of JSON.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let name = parts.next()?.trim().to_ascii_lowercase();
        let (precision, subtype) = match name.split_once('/')? {
            ("*", "*") => (Precision::AnyType, ""),
            ("application", "*") => (Precision::AnySubtype, ""),
            ("application", subtype) => (Precision::Exact, subtype),
            _ => return None,
        };
        let mut quality = MAX_QUALITY;
        for parameter in parts {
            if let Some((name, value)) = parameter.split_once('=')
                && name.trim().eq_ignore_ascii_case("q")
            {
                quality = parse_quality(value.trim())?;
            }
        }
        Some(Self { precision, subtype: subtype.to_owned(), quality })
    }

    fn includes(&self, subtype: &str) -> bool {
        self.precision != Precision::Exact || self.subtype == subtype
    }
}

/// Parses `0`, `1`, `0.5`, `0.123` and the like.
fn parse_quality(text: &str) -> Option<Quality> {
    let quality: f32 = text.parse().ok()?;
    if !(0.0..=1.0).contains(&quality) {
        return None;
    }
    // The product is at most `MAX_QUALITY`.
    Some((quality * f32::from(MAX_QUALITY)).round() as Quality)
}

/// Returns the quality of `application/{subtype}`: that of the most precise range that includes it,
/// the highest of several, and 0 without one.
fn quality(ranges: &[MediaRange], subtype: &str) -> Quality {
    let mut best = (Precision::AnyType, 0);
    for range in ranges {
        if range.includes(subtype) {
            best = best.max((range.precision, range.quality));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_chosen_only_where_the_client_prefers_it() {
        for (lines, expected) in [
            (&["application/json"][..], true),
            (&["APPLICATION/JSON"], true),
            (&["application/json; charset=utf-8"], true),
            (&["application/json;q=0.9, */*;q=0.8"], true),
            (&["application/json, text/plain;q=0.5, */*;q=0.1"], true),
            (&["application/json, application/scim+json;q=0.9"], true),
            (&["application/*, application/scim+json;q=0.9"], true),
            (&["*/*, application/scim+json;q=0"], true),
            (&["application/json, application/*+json"], true),
            (&["text/html", "application/json"], true),
            (&["application/json ; Q=0.001"], true),
            (&[], false),
            (&[""], false),
            (&["*/*"], false),
            (&["application/*"], false),
            (&["text/html"], false),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], false),
            (&["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], false),
            (&["application/scim+json"], false),
            (&["application/scim+json, application/json"], false),
            (&["application/json, application/scim+json"], false),
            (&["application/json, text/plain, */*"], false),
            (&["application/scim+json", "application/json"], false),
            (&["application/json;q=0.8, application/scim+json;q=0.9"], false),
            (&["application/json;q=0.8, */*"], false),
            (&["application/json;q=0"], false),
            (&["application/json;q=2"], false),
            (&["application/json;q=x"], false),
            (&["application/jsonp"], false),
            (&["json"], false),
            (&[",;,=/;q"], false),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(ACCEPT, HeaderValue::from_str(line).unwrap());
            }
            assert_eq!(prefers_json(&headers), expected, "{lines:?}");
        }
    }
}
