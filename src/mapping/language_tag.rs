//! Language tags (BCP 47, RFC 5646): well-formed tags in the case that the RFC recommends.

use oxilangtag::LanguageTag;

/// Returns the tag in the recommended case, with hyphens for underscores, or `None` if it is not
/// well-formed.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let tag = LanguageTag::parse_and_normalize(&text.replace('_', "-")).ok()?;
    // RFC 5646 §2.1 allows up to eight letters, but no language with more than three is registered:
    // a longer one is most likely the name of a language, such as `Deutsch`.
    if matches!(tag.primary_language().len(), 2 | 3) { Some(tag.into_inner()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_tags_get_the_recommended_case() {
        for (text, expected) in [
            ("de", Some("de")),
            ("DE", Some("de")),
            ("gsw", Some("gsw")),
            ("en-GB", Some("en-GB")),
            ("de_de", Some("de-DE")),
            ("zh-hant-tw", Some("zh-Hant-TW")),
            ("es-419", Some("es-419")),
            ("zh-cmn-Hans-CN", Some("zh-cmn-Hans-CN")),
            ("sl-IT-nedis", Some("sl-IT-nedis")),
            ("de-CH-1996", Some("de-CH-1996")),
            ("de-DE-u-co-phonebk", Some("de-DE-u-co-phonebk")),
            ("en-x-US", Some("en-x-us")),
            ("Deutsch", None),
            ("german", None),
            ("e", None),
            ("", None),
            ("de-", None),
            ("-de", None),
            ("de--DE", None),
            ("de-DE-DE", None),
            ("de-DE-Latn", None),
            ("de_DE.UTF-8", None),
            ("de-u", None),
            ("de-u-u", None),
            ("de DE", None),
            ("de-DE,en", None),
            ("d3", None),
            ("dé", None),
            ("de-123456789", None),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text}");
        }
    }
}
