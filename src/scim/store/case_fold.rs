//! Comparison of texts (RFC 7643 §2.2): exact if the attribute is `caseExact`, otherwise in lower
//! case, character by character. Texts that are compared often are folded once and then compared
//! byte by byte; the order is the same, because UTF-8 keeps the order of characters.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::Hasher;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Case sensitivity of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scim) enum CaseSensitivity {
    Exact,
    Ignored,
}

impl CaseSensitivity {
    pub(in crate::scim) fn from_case_exact(case_exact: bool) -> Self {
        if case_exact { Self::Exact } else { Self::Ignored }
    }

    /// Returns the text in the form that is compared: texts that count as equal have the same form.
    pub(in crate::scim) fn fold(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => Cow::Borrowed(text),
            Self::Ignored if !text.is_ascii() => Cow::Owned(folded_chars(text).collect()),
            Self::Ignored if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(text.to_ascii_lowercase())
            }
            Self::Ignored => Cow::Borrowed(text),
        }
    }

    /// Hashes the folded text without allocating it. Texts that count as equal are written to the
    /// hasher in the same chunks.
    pub(in crate::scim) fn hash_folded(self, text: &str, hasher: &mut impl Hasher) {
        let mut chunks = ChunkedHasher { hasher, chunk: [0; HASH_CHUNK_BYTES], length: 0 };
        match self {
            Self::Exact => {
                for byte in text.bytes() {
                    chunks.push(byte);
                }
            }
            Self::Ignored if text.is_ascii() => {
                for byte in text.bytes() {
                    chunks.push(byte.to_ascii_lowercase());
                }
            }
            Self::Ignored => {
                for char in folded_chars(text) {
                    for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                        chunks.push(byte);
                    }
                }
            }
        }
        chunks.finish();
    }

    /// Compares two texts without allocating: sort indexes and hash indexes compare the texts of
    /// all resources.
    pub(in crate::scim) fn compare(self, one: &str, other: &str) -> Ordering {
        match self {
            Self::Exact => one.cmp(other),
            Self::Ignored if one.is_ascii() && other.is_ascii() => {
                let one = one.bytes().map(|byte| byte.to_ascii_lowercase());
                one.cmp(other.bytes().map(|byte| byte.to_ascii_lowercase()))
            }
            Self::Ignored => folded_chars(one).cmp(folded_chars(other)),
        }
    }
}

/// Number of bytes that are written to a hasher at a time.
const HASH_CHUNK_BYTES: usize = 64;

/// Buffer in front of a hasher, so that the hasher gets whole chunks instead of single bytes.
struct ChunkedHasher<'h, H> {
    hasher: &'h mut H,
    chunk: [u8; HASH_CHUNK_BYTES],
    length: usize,
}

impl<H: Hasher> ChunkedHasher<'_, H> {
    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.chunk.get_mut(self.length) {
            *slot = byte;
        }
        self.length += 1;
        if self.length == HASH_CHUNK_BYTES {
            self.hasher.write(&self.chunk);
            self.length = 0;
        }
    }

    fn finish(self) {
        self.hasher.write(self.chunk.get(..self.length).unwrap_or_default());
    }
}

/// Returns the text in normalization form C, the form of all values: a letter and its accent are
/// one character if such a character exists. macOS writes file names with two, and so does text
/// that is copied from them.
pub(in crate::scim) fn to_nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// Returns the text without invisible characters, and without whitespace around it.
pub(in crate::scim) fn strip_invisible(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(is_invisible) || text.trim().len() < text.len() {
        let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
        return Cow::Owned(visible.trim().to_owned());
    }
    text
}

/// Reports whether a character is invisible: controls, the soft hyphen, zero-width characters,
/// direction marks, and the byte order mark.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
        )
}

/// Returns the characters in lower case. The final sigma becomes an ordinary small sigma, because
/// they are the same letter.
fn folded_chars(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase).map(|char| if char == 'ς' { 'σ' } else { char })
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn hash(case: CaseSensitivity, text: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        case.hash_folded(text, &mut hasher);
        hasher.finish()
    }

    #[test]
    fn ignored_case_applies_to_every_script() {
        let latin = [("Müller", "MÜLLER"), ("K", "\u{212a}"), ("Éa", "éA")];
        for (one, other) in latin.into_iter().chain([("ΟΔΟΣ", "οδος"), ("ЖУК", "жук")])
        {
            assert_eq!(CaseSensitivity::Ignored.fold(one), CaseSensitivity::Ignored.fold(other));
            assert_ne!(CaseSensitivity::Exact.fold(one), CaseSensitivity::Exact.fold(other));
        }
        assert_ne!(
            CaseSensitivity::Ignored.fold("Straße"),
            CaseSensitivity::Ignored.fold("Strasse")
        );
        let decomposed = CaseSensitivity::Ignored.fold("u\u{308}");
        assert_ne!(
            CaseSensitivity::Ignored.fold("ü"),
            decomposed,
            "normalization is a separate step"
        );
    }

    #[test]
    fn composed_text_has_one_character_for_a_letter_with_its_accent() {
        for unchanged in ["ann", "ü", "ﬁ"] {
            assert_eq!(to_nfc(unchanged), unchanged);
        }
        for (text, expected) in [("u\u{308}", "ü"), ("e\u{323}\u{302}", "ệ"), ("\u{212b}", "Å")]
        {
            assert_eq!(to_nfc(text), expected);
        }
    }

    #[test]
    fn invisible_characters_are_removed() {
        for (text, expected) in [
            ("ann@example.com", "ann@example.com"),
            ("\u{feff}ann@exam\u{ad}ple.com\u{200b}", "ann@example.com"),
            ("\u{202a}ann@example.com\u{202c} ", "ann@example.com"),
            ("\u{a0}ann@example.com\r\n", "ann@example.com"),
            ("ann\u{0}", "ann"),
            ("\u{200b}", ""),
            ("Zoë 🦀", "Zoë 🦀"),
        ] {
            assert_eq!(strip_invisible(Cow::Borrowed(text)), expected);
        }
    }

    proptest! {
        #[test]
        fn ignored_case_compares_in_lower_case(
            one in "[a-zA-ZäÄéÉ ]{0,8}",
            other in "[a-zA-ZäÄéÉ ]{0,3}",
        ) {
            let (low_one, low_other) = (one.to_lowercase(), other.to_lowercase());
            prop_assert_eq!(CaseSensitivity::Ignored.compare(&one, &other), low_one.cmp(&low_other));
            prop_assert_eq!(CaseSensitivity::Ignored.fold(&one).into_owned(), low_one);
        }

        #[test]
        fn folded_texts_compare_and_hash_like_the_texts(one in ".{0,4}", other in ".{0,4}") {
            for case in [CaseSensitivity::Exact, CaseSensitivity::Ignored] {
                let (folded_one, folded_other) = (case.fold(&one), case.fold(&other));
                prop_assert_eq!(folded_one.cmp(&folded_other), case.compare(&one, &other));
                prop_assert_eq!(case.compare(&one, &folded_other), case.compare(&one, &other));
                prop_assert_eq!(case.fold(&folded_one), folded_one.clone());
                prop_assert_eq!(hash(case, &folded_one), hash(case, &one));
            }
        }
    }
}
