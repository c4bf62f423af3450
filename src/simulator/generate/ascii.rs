//! ASCII forms of names for e-mail addresses.

/// Letters with their ASCII replacements. Other letters outside ASCII are dropped.
const ASCII_REPLACEMENTS: &[(&str, &str)] = &[
    ("ä", "ae"),
    ("ö", "oe"),
    ("ü", "ue"),
    ("ß", "ss"),
    ("å", "aa"),
    ("ø", "oe"),
    ("æ", "ae"),
    ("þ", "th"),
    ("áàâãāăąạảấầẩẫậắằẳẵặ", "a"),
    ("çćč", "c"),
    ("đðď", "d"),
    ("éèêëēęěẹẻẽếềểễệ", "e"),
    ("ğ", "g"),
    ("íìîïīıịỉĩǐ", "i"),
    ("ł", "l"),
    ("ńñňṇ", "n"),
    ("óòôõōőọỏốồổỗộơớờởỡợ", "o"),
    ("śşšṣ", "s"),
    ("úùûūůụủũưứừửữự", "u"),
    ("ýỳỷỹỵ", "y"),
    ("źżž", "z"),
];

/// Returns a name in lower-case ASCII letters and hyphens. Spaces become hyphens.
pub(super) fn to_ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '-' => text.push(letter),
            ' ' => text.push('-'),
            _ => text.push_str(ascii_replacement(letter)),
        }
    }
    text
}

fn ascii_replacement(letter: char) -> &'static str {
    for (letters, replacement) in ASCII_REPLACEMENTS {
        if letters.contains(letter) {
            return replacement;
        }
    }
    ""
}
