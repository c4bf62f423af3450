//! Normalisation of text from Personio: Unicode normalisation form NFC, without invisible
//! characters.
//!
//! Values that look equal must compare equal. Otherwise a client's search does not find the user,
//! and the client creates a duplicate.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Replacement for a part of a text that could not be decoded.
pub(in crate::personio) const REPLACEMENT: char = '\u{fffd}';

/// Returns the text in NFC, without leading and trailing blanks and invisible characters.
pub(crate) fn trimmed(text: &str) -> Cow<'_, str> {
    nfc(text.trim_matches(is_blank_or_invisible))
}

/// Returns a name on one line: trimmed, with one blank for line breaks and tabs, without other
/// control characters. Joiners within a name stay, since Persian and Indic scripts need them.
pub(in crate::personio) fn name(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    if !text.contains(|char: char| char.is_control() || is_line_break(char)) {
        return text;
    }
    let mut name = String::with_capacity(text.len());
    let mut is_after_break = false;
    for char in text.chars() {
        if is_line_break(char) {
            is_after_break = true;
            continue;
        }
        if char.is_control() || (is_after_break && char == ' ') {
            continue;
        }
        if is_after_break && !name.ends_with(' ') {
            name.push(' ');
        }
        is_after_break = false;
        name.push(char);
    }
    Cow::Owned(name)
}

/// Returns an address in NFC, trimmed, and without invisible characters anywhere.
pub(in crate::personio) fn address(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    if !text.contains(is_invisible) {
        return text;
    }
    let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
    Cow::Owned(trimmed(&visible).into_owned())
}

/// Returns the text in NFC.
pub(in crate::personio) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

fn is_blank_or_invisible(char: char) -> bool {
    char.is_whitespace() || is_invisible(char)
}

/// Reports whether a character ends a line or moves to the next column.
fn is_line_break(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Reports whether a character has no width and no meaning in an address.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{ad}' // soft hyphen
            | '\u{34f}' // combining grapheme joiner
            | '\u{61c}' // Arabic letter mark
            | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
            | '\u{180e}' // Mongolian vowel separator
            | '\u{200b}'..='\u{200f}' // zero-width space, joiners, bidi marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, bidi embeddings
            | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, bidi isolates
            | '\u{feff}' // byte order mark
            | '\u{fff9}'..='\u{fffb}' // interlinear annotations
            | '\u{e0000}'..='\u{e007f}' // language tags
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_trimmed_and_on_one_line() {
        for (text, expected) in [
            ("Ann", "Ann"),
            ("  Ann \u{a0}", "Ann"),
            ("\u{feff}Ann\u{200b}", "Ann"),
            ("\u{200e}Ann\u{202c}\0", "Ann"),
            ("Anna\nMaria", "Anna Maria"),
            ("Anna \r\n  Maria", "Anna Maria"),
            ("Anna\u{2028}Maria\tLee", "Anna Maria Lee"),
            ("An\0n\u{1b}a", "Anna"),
            ("Anna\u{1}\nMaria", "Anna Maria"),
            ("علی\u{200c}رضا", "علی\u{200c}رضا"),
            ("Jo\u{308}rg", "Jörg"),
            ("J\u{f6}rg", "Jörg"),
            ("\u{1112}\u{1161}\u{11ab}", "한"),
            ("\u{200b}\u{ad}\n", ""),
            ("\u{1f469}\u{200d}\u{1f680}", "\u{1f469}\u{200d}\u{1f680}"),
            ("", ""),
        ] {
            assert_eq!(name(text), expected, "{text:?}");
        }
    }

    #[test]
    fn address_has_no_invisible_characters() {
        for (text, expected) in [
            ("ann@example.com", "ann@example.com"),
            (" ann@example.com\r\n", "ann@example.com"),
            ("ann\u{200b}@exam\u{ad}ple.com\u{feff}", "ann@example.com"),
            ("\u{202a}ann@example.com\u{202c}", "ann@example.com"),
            ("ann\0@example.com\n", "ann@example.com"),
            ("ann\u{200d}@example.com", "ann@example.com"),
            ("jo\u{308}rg@example.com", "jörg@example.com"),
            ("jo\u{200b}\u{308}rg@example.com", "jörg@example.com"),
            ("\u{200b}\u{2060}", ""),
        ] {
            assert_eq!(address(text), expected, "{text:?}");
        }
    }

    #[test]
    fn clean_text_is_not_copied() {
        for text in ["Ann Example", "Jörg", "ann@example.com"] {
            assert!(matches!(name(text), Cow::Borrowed(_)), "{text}");
            assert!(matches!(address(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
