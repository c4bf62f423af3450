//! Cursors (RFC 9865): the position of the next page of a list.
//!
//! A cursor contains its whole state, so the server stores nothing for it. The signature prevents a
//! client from making its own. A cursor grants no access: every page is authenticated.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

/// Key that signs cursors.
pub struct CursorKey(hmac::Key);

/// Position of the next page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Digest of the snapshot that the pages are read from.
    pub snapshot: [u8; 12],
    /// Number of resources on the pages so far.
    pub offset: u32,
    /// Page size.
    pub count: u32,
}

/// Length of the encoded fields of a cursor in bytes.
const CONTENT_BYTES: usize = 20;

/// Length of the truncated signature in bytes.
const SIGNATURE_BYTES: usize = 16;

impl CursorKey {
    /// Derives a key from a secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let outer = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derived = hmac::sign(&outer, b"cursor");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// Encodes and signs the cursor. It is valid only for `client` and `query`.
    #[must_use]
    pub fn seal(&self, cursor: &Cursor, client: &str, query: &str) -> String {
        let Cursor { snapshot, offset, count } = cursor;
        let mut bytes = snapshot.to_vec();
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        let signature = self.sign(&bytes, client, query);
        bytes.extend(signature.as_ref().iter().take(SIGNATURE_BYTES));
        hex::encode(bytes)
    }

    /// Decodes a cursor. Returns none unless this key signed it for `client` and `query`.
    #[must_use]
    pub fn open(&self, text: &str, client: &str, query: &str) -> Option<Cursor> {
        let mut bytes = [0; CONTENT_BYTES + SIGNATURE_BYTES];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        let (content, signature) = bytes.split_at_checked(CONTENT_BYTES)?;
        let expected = self.sign(content, client, query);
        let expected = expected.as_ref().get(..SIGNATURE_BYTES)?;
        verify_slices_are_equal(expected, signature).ok()?;
        let (snapshot, numbers) = content.split_first_chunk::<12>()?;
        let (offset, count) = numbers.split_first_chunk::<4>()?;
        let (count, _) = count.split_first_chunk::<4>()?;
        let (offset, count) = (u32::from_be_bytes(*offset), u32::from_be_bytes(*count));
        Some(Cursor { snapshot: *snapshot, offset, count })
    }

    /// Signs the parts, each with its length in front, so that no two lists of parts are signed as
    /// the same bytes.
    fn sign(&self, content: &[u8], client: &str, query: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [content, client.as_bytes(), query.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_valid_only_for_its_own_key_client_and_query() {
        let key = CursorKey::new(b"secret");
        let cursor = Cursor { snapshot: *b"twelve bytes", offset: 200, count: 100 };
        let text = key.seal(&cursor, "c1", "[]");
        assert_eq!(key.open(&text, "c1", "[]"), Some(cursor));
        assert_eq!(key.open(&text, "okta", "[]"), None);
        assert_eq!(key.open(&text, "c1", "[1]"), None);
        assert_eq!(CursorKey::new(b"other").open(&text, "c1", "[]"), None);
        for position in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[position] = if forged[position] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(key.open(&forged, "c1", "[]"), None, "{position}");
        }
        for text in ["", "x", "ä", &text[2..], &format!("{text}00")] {
            assert_eq!(key.open(text, "c1", "[]"), None);
        }
    }
}
