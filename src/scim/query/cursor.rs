//! Cursors (RFC 9865): where a walk through a list has come to. A cursor holds all of it, so that the
//! server keeps nothing, and is signed, so that nobody else can make one. It gives no rights.

use aws_lc_rs::hmac;

/// Signs cursors.
pub struct CursorKey(hmac::Key);

/// Where a walk has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The snapshot that the walk reads.
    pub snapshot: [u8; 12],
    /// How many resources were on the pages so far.
    pub offset: u32,
    /// The size of the pages.
    pub count: u32,
}

const CONTENT: usize = 20;
const SIGNATURE: usize = 16;

impl CursorKey {
    /// A key made of a secret.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let outer = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&outer, b"cursor").as_ref()))
    }

    /// The cursor as text, for the one `caller` and the one `walk`.
    #[must_use]
    pub fn seal(&self, cursor: &Cursor, caller: &str, walk: &str) -> String {
        let Cursor { snapshot, offset, count } = cursor;
        let mut bytes = snapshot.to_vec();
        bytes.extend_from_slice(&offset.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        let signature = self.sign(&bytes, caller, walk);
        bytes.extend(signature.as_ref().iter().take(SIGNATURE));
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The cursor in a text, if this key made it for this caller and this walk.
    #[must_use]
    pub fn open(&self, text: &str, caller: &str, walk: &str) -> Option<Cursor> {
        let bytes = bytes(text)?;
        let (content, signature) = bytes.split_at_checked(CONTENT)?;
        let expected = self.sign(content, caller, walk);
        aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_ref().get(..SIGNATURE)?, signature).ok()?;
        let (snapshot, numbers) = content.split_first_chunk::<12>()?;
        let (offset, count) = numbers.split_first_chunk::<4>()?;
        let (count, _) = count.split_first_chunk::<4>()?;
        Some(Cursor { snapshot: *snapshot, offset: u32::from_be_bytes(*offset), count: u32::from_be_bytes(*count) })
    }

    fn sign(&self, content: &[u8], caller: &str, walk: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [content, caller.as_bytes(), walk.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign()
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * (CONTENT + SIGNATURE) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(text.get(place..place + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_walk_only() {
        let key = CursorKey::new(b"secret");
        let cursor = Cursor { snapshot: *b"twelve bytes", offset: 200, count: 100 };
        let text = key.seal(&cursor, "c1", "[]");
        assert_eq!(key.open(&text, "c1", "[]"), Some(cursor));
        assert_eq!(key.open(&text, "okta", "[]"), None);
        assert_eq!(key.open(&text, "c1", "[1]"), None);
        assert_eq!(CursorKey::new(b"other").open(&text, "c1", "[]"), None);
        for place in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[place] = if forged[place] == b'0' { b'1' } else { b'0' };
            assert_eq!(key.open(&String::from_utf8(forged).unwrap(), "c1", "[]"), None, "{place}");
        }
        for text in ["", "x", "ä", &text[2..], &format!("{text}00")] {
            assert_eq!(key.open(text, "c1", "[]"), None);
        }
    }
}
