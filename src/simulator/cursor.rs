//! Cursors, with which a client requests the next page of a listing.
//!
//! A cursor contains the position, the path and the query as hexadecimal digits, so that a request
//! needs no other parameters. It is not protected against forgery. Clients must treat it as opaque.

/// Prefix and suffix of an awkward cursor. Their characters require percent-encoding.
const AWKWARD_AFFIXES: (&str, &str) = ("+/", "==");

/// Position in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListingCursor {
    /// Position of the first candidate of the page.
    pub(super) position: usize,
    /// Path of the listing that created the cursor.
    pub(super) path: String,
    /// Query parameters of the listing, without the cursor.
    pub(super) query: String,
}

impl ListingCursor {
    /// Returns the text of the cursor, with characters that require percent-encoding if `awkward`.
    pub(super) fn encode(&self, awkward: bool) -> String {
        let text = format!("{}?{}?{}", self.position, self.path, self.query);
        let digits = hex::encode(text);
        if awkward { format!("{}{digits}{}", AWKWARD_AFFIXES.0, AWKWARD_AFFIXES.1) } else { digits }
    }

    /// Parses the text of a cursor. Returns `None` unless it is a cursor of the listing at `path`.
    pub(super) fn decode(text: &str, path: &str) -> Option<Self> {
        let inner = text
            .strip_prefix(AWKWARD_AFFIXES.0)
            .and_then(|rest| rest.strip_suffix(AWKWARD_AFFIXES.1));
        let decoded = String::from_utf8(hex::decode(inner.unwrap_or(text)).ok()?).ok()?;
        let (position, rest) = decoded.split_once('?')?;
        let (own_path, query) = rest.split_once('?')?;
        let position = position.parse().ok()?;
        if own_path != path {
            return None;
        }
        Some(Self { position, path: path.to_owned(), query: query.to_owned() })
    }
}
