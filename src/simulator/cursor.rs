//! Cursors: where a listing goes on, with everything needed to go on without other parameters.
//!
//! A cursor is the position, the path and the query, as hexadecimal digits. It is not protected against
//! forgery; a client that reads it deserves what it gets.

/// In front of and behind an awkward cursor.
const AWKWARD: (&str, &str) = ("+/", "==");

/// A place in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The first candidate of the page.
    pub(super) position: usize,
    /// The path of the listing the cursor belongs to.
    pub(super) path: String,
    /// The query of the first page.
    pub(super) query: String,
}

impl Cursor {
    pub(super) fn encode(&self, awkward: bool) -> String {
        let text = format!("{}?{}?{}", self.position, self.path, self.query);
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        if awkward { format!("{}{digits}{}", AWKWARD.0, AWKWARD.1) } else { digits }
    }

    /// `None` for anything that is not a cursor of this listing.
    pub(super) fn decode(text: &str, path: &str) -> Option<Self> {
        let inner = text.strip_prefix(AWKWARD.0).and_then(|rest| rest.strip_suffix(AWKWARD.1));
        let decoded = String::from_utf8(bytes(inner.unwrap_or(text))?).ok()?;
        let (position, rest) = decoded.split_once('?')?;
        let (own_path, query) = rest.split_once('?')?;
        let position = position.parse().ok()?;
        (own_path == path).then(|| Self { position, path: path.to_owned(), query: query.to_owned() })
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = (0..digits.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()).collect()
}
