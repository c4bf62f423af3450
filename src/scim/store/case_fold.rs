//! How texts compare (RFC 7643 §2.2): as they are where `caseExact`, otherwise in lower case, character
//! by character. Whatever is compared often is brought into the case that counts once, and then compared
//! byte by byte: UTF-8 keeps the order of characters.

use std::borrow::Cow;
use std::cmp::Ordering;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Whether case matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) enum Case {
    Exact,
    Ignored,
}

impl Case {
    pub(in crate::scim) fn of(case_exact: bool) -> Self {
        if case_exact { Self::Exact } else { Self::Ignored }
    }

    /// The text as it counts in comparisons: equal texts are the same then.
    pub(in crate::scim) fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => Cow::Borrowed(text),
            Self::Ignored if !text.is_ascii() => Cow::Owned(folded(text).collect()),
            Self::Ignored if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(text.to_ascii_lowercase())
            }
            Self::Ignored => Cow::Borrowed(text),
        }
    }

    /// Gives out the text as it counts, in parts: equal texts are the same parts then. Nothing is allocated.
    pub(in crate::scim) fn fold_into(self, text: &str, mut part: impl FnMut(&[u8])) {
        let mut buffer = [0; PART];
        let mut length = 0;
        let mut push = |byte: u8| {
            if let Some(slot) = buffer.get_mut(length) {
                *slot = byte;
            }
            length += 1;
            if length == PART {
                part(&buffer);
                length = 0;
            }
        };
        match self {
            Self::Exact => text.bytes().for_each(push),
            Self::Ignored if text.is_ascii() => text.bytes().for_each(|byte| push(byte.to_ascii_lowercase())),
            Self::Ignored => {
                folded(text).for_each(|char| char.encode_utf8(&mut [0; 4]).bytes().for_each(&mut push));
            }
        }
        part(buffer.get(..length).unwrap_or_default());
    }

    /// Nothing is allocated: orders and indexes compare the texts of everybody.
    pub(in crate::scim) fn compare(self, one: &str, other: &str) -> Ordering {
        match self {
            Self::Exact => one.cmp(other),
            Self::Ignored if one.is_ascii() && other.is_ascii() => one
                .bytes()
                .map(|byte| byte.to_ascii_lowercase())
                .cmp(other.bytes().map(|byte| byte.to_ascii_lowercase())),
            Self::Ignored => folded(one).cmp(folded(other)),
        }
    }
}

/// The text in normalization form C, in which values are: a letter and its accent are one character where there is
/// one. Macs write file names, and what is copied from them, with two.
pub(in crate::scim) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) }
}

/// The text without characters that cannot be seen, and without blanks around it.
pub(in crate::scim) fn without_invisible(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(is_invisible) || text.trim().len() < text.len() {
        let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
        return Cow::Owned(visible.trim().to_owned());
    }
    text
}

/// Reports whether a character can be in a text without being seen: controls, the soft hyphen, zero-width characters,
/// marks of direction, and the byte order mark.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
        )
}

/// So many bytes are folded at a time.
const PART: usize = 64;

/// In lower case, whatever follows: the small sigma at the end of a word is the same letter.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).map(|char| if char == 'ς' { 'σ' } else { char })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_is_ignored_in_every_script() {
        let folded = |text| Case::Ignored.fold(text);
        for (one, other) in [("Müller", "MÜLLER"), ("ΟΔΟΣ", "οδος"), ("K", "\u{212a}"), ("Éa", "éA"), ("ЖУК", "жук")]
        {
            assert_eq!(folded(one), folded(other));
            assert_ne!(Case::Exact.fold(one), Case::Exact.fold(other));
        }
        assert_ne!(folded("Straße"), folded("Strasse"));
        assert_ne!(folded("ü"), folded("u\u{308}"), "normalization is a step of its own");
    }

    #[test]
    fn a_literal_is_composed_and_an_address_has_nothing_invisible() {
        for (text, expected) in
            [("ann", "ann"), ("u\u{308}", "ü"), ("ü", "ü"), ("e\u{323}\u{302}", "ệ"), ("\u{212b}", "Å"), ("ﬁ", "ﬁ")]
        {
            assert_eq!(composed(text), expected);
        }
        for (text, expected) in [
            ("ann@example.com", "ann@example.com"),
            ("\u{feff}ann@exam\u{ad}ple.com\u{200b}", "ann@example.com"),
            ("\u{202a}ann@example.com\u{202c} ", "ann@example.com"),
            ("\u{a0}ann@example.com\r\n", "ann@example.com"),
            ("ann\u{0}", "ann"),
            ("\u{200b}", ""),
            ("Zoë 🦀", "Zoë 🦀"),
        ] {
            assert_eq!(without_invisible(Cow::Borrowed(text)), expected);
        }
    }

    proptest! {
        #[test]
        fn without_case_is_as_in_lower_case(one in "[a-zA-ZäÄéÉ ]{0,8}", other in "[a-zA-ZäÄéÉ ]{0,3}") {
            let (low_one, low_other) = (one.to_lowercase(), other.to_lowercase());
            prop_assert_eq!(Case::Ignored.compare(&one, &other), low_one.cmp(&low_other));
            prop_assert_eq!(Case::Ignored.fold(&one).into_owned(), low_one);
        }

        #[test]
        fn folded_texts_compare_like_the_texts(one in ".{0,4}", other in ".{0,4}") {
            for case in [Case::Exact, Case::Ignored] {
                let (folded_one, folded_other) = (case.fold(&one), case.fold(&other));
                prop_assert_eq!(folded_one.cmp(&folded_other), case.compare(&one, &other));
                prop_assert_eq!(case.compare(&one, &folded_other), case.compare(&one, &other));
                prop_assert_eq!(case.fold(&folded_one), folded_one.clone());
            }
        }
    }
}
