//! Language tags (BCP 47, RFC 5646): well-formed tags in the case that the RFC recommends.
//!
//! The first subtag has two or three letters: no language with a longer subtag is registered, and a
//! longer one is most likely the name of a language, such as `Deutsch`.

/// Maximum length of a subtag (§2.1).
const MAX_SUBTAG_LENGTH: usize = 8;

/// Returns the tag in the recommended case, with hyphens for underscores, or `None` if it is not
/// well-formed.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let text = text.replace('_', "-");
    let mut subtags = text.split('-');
    let language = subtags.next()?;
    if !matches!(language.len(), 2 | 3) || !is_alphabetic(language) {
        return None;
    }
    let mut tag = language.to_ascii_lowercase();
    let mut part = Part::Language;
    for subtag in subtags {
        part = part.next(subtag)?;
        tag.push('-');
        tag += &match part {
            Part::Script => capitalized(subtag),
            Part::Region => subtag.to_ascii_uppercase(),
            Part::Language
            | Part::ExtendedLanguage
            | Part::Variant
            | Part::Singleton
            | Part::Extension
            | Part::PrivateUse => subtag.to_ascii_lowercase(),
        };
    }
    if part == Part::Singleton { None } else { Some(tag) }
}

/// Part of a tag to which a subtag belongs. The parts have the order of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Language,
    ExtendedLanguage,
    Script,
    Region,
    Variant,
    /// Subtag of one character that begins an extension or the private use.
    Singleton,
    Extension,
    PrivateUse,
}

impl Part {
    /// Returns the part to which `subtag` belongs if it follows a subtag of this part.
    fn next(self, subtag: &str) -> Option<Self> {
        let is_valid = matches!(subtag.len(), 1..=MAX_SUBTAG_LENGTH)
            && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_valid {
            return None;
        }
        let is_alphabetic = is_alphabetic(subtag);
        if self == Self::PrivateUse || (self != Self::Singleton && subtag.eq_ignore_ascii_case("x"))
        {
            return Some(Self::PrivateUse);
        }
        if subtag.len() == 1 {
            // A subtag of one character cannot follow another one.
            return if self == Self::Singleton { None } else { Some(Self::Singleton) };
        }
        if matches!(self, Self::Singleton | Self::Extension) {
            return Some(Self::Extension);
        }
        if self <= Self::ExtendedLanguage && is_alphabetic && subtag.len() == 3 {
            return Some(Self::ExtendedLanguage);
        }
        if self <= Self::ExtendedLanguage && is_alphabetic && subtag.len() == 4 {
            return Some(Self::Script);
        }
        if self <= Self::Script && is_region(subtag) {
            return Some(Self::Region);
        }
        if is_variant(subtag) { Some(Self::Variant) } else { None }
    }
}

/// Reports whether a subtag is a region: two letters, or three digits.
fn is_region(subtag: &str) -> bool {
    match subtag.len() {
        2 => is_alphabetic(subtag),
        3 => subtag.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Reports whether a subtag is a variant: at least five characters, or a digit and three more.
fn is_variant(subtag: &str) -> bool {
    match subtag.len() {
        4 => subtag.starts_with(|char: char| char.is_ascii_digit()),
        length => length > 4,
    }
}

fn is_alphabetic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Returns the text with the first letter in upper case and the others in lower case.
fn capitalized(text: &str) -> String {
    let mut capitalized = text.to_ascii_lowercase();
    if let Some(first) = capitalized.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    capitalized
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
