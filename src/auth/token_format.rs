//! Text around a token that is not part of it: quotation marks of a configuration file or a shell,
//! the name of the scheme, the byte order mark of an editor. Administrators paste it together with
//! the token, into clients and into settings of this server.

/// Kind of text around a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    /// U+FEFF in UTF-8.
    ByteOrderMark,
    /// `"…"`, `'…'`, `` `…` ``, `<…>`.
    Quotes,
    /// `Bearer …`.
    Scheme,
    /// `Bearer: …`, `Bearer=…`.
    SchemeWithColon,
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const QUOTES: [(u8, u8); 4] = [(b'"', b'"'), (b'\'', b'\''), (b'`', b'`'), (b'<', b'>')];
const SCHEME: &[u8] = b"Bearer";
/// Maximum number of layers that are removed. A quoted `Bearer` with a quoted token has three.
const MAX_LAYERS: usize = 6;

/// Returns the token without blanks and without the text around it, and the kind of the outermost
/// text that was removed.
#[must_use]
pub fn unwrap_token(written: &[u8]) -> (&[u8], Option<Wrapping>) {
    let mut bare = written.trim_ascii();
    let mut outermost = None;
    for _ in 0..MAX_LAYERS {
        let Some((inner, wrapping)) = strip_layer(bare) else { break };
        bare = inner.trim_ascii();
        outermost = outermost.or(Some(wrapping));
    }
    (bare, outermost)
}

fn strip_layer(text: &[u8]) -> Option<(&[u8], Wrapping)> {
    if let Some(rest) =
        text.strip_prefix(BYTE_ORDER_MARK).or_else(|| text.strip_suffix(BYTE_ORDER_MARK))
    {
        return Some((rest, Wrapping::ByteOrderMark));
    }
    if let [first, inner @ .., last] = text
        && QUOTES.contains(&(*first, *last))
    {
        return Some((inner, Wrapping::Quotes));
    }
    let (name, rest) = text.split_at_checked(SCHEME.len())?;
    if !name.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    match rest {
        [b':' | b'=', rest @ ..] => Some((rest, Wrapping::SchemeWithColon)),
        [] => Some((rest, Wrapping::Scheme)),
        [blank, ..] if blank.is_ascii_whitespace() => Some((rest, Wrapping::Scheme)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_a_token_is_removed_layer_by_layer() {
        for (written, bare, wrapping) in [
            ("token", "token", None),
            (" token\r\n", "token", None),
            ("\u{feff}token", "token", Some(Wrapping::ByteOrderMark)),
            ("token\u{feff}\n", "token", Some(Wrapping::ByteOrderMark)),
            ("\"token\"", "token", Some(Wrapping::Quotes)),
            ("' token '", "token", Some(Wrapping::Quotes)),
            ("<token>", "token", Some(Wrapping::Quotes)),
            ("bearer token", "token", Some(Wrapping::Scheme)),
            ("Bearer: token", "token", Some(Wrapping::SchemeWithColon)),
            ("Bearer=token", "token", Some(Wrapping::SchemeWithColon)),
            ("\u{feff}\"Bearer 'token'\"\n", "token", Some(Wrapping::ByteOrderMark)),
            ("Bearer", "", Some(Wrapping::Scheme)),
            ("\"\"", "", Some(Wrapping::Quotes)),
            ("Bearertoken", "Bearertoken", None),
            ("bearer-token", "bearer-token", None),
            ("\"token", "\"token", None),
            ("\"", "\"", None),
            ("'token\"", "'token\"", None),
            ("two words", "two words", None),
            ("", "", None),
        ] {
            assert_eq!(
                unwrap_token(written.as_bytes()),
                (bare.as_bytes(), wrapping),
                "{written:?}"
            );
        }
    }
}
