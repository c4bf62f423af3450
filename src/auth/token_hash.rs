//! Tokens, stored as hashes. The comparison takes the same time for every presented token and does
//! not reveal the length of the stored one. A stored hash cannot be presented as a token.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

const HASH_BYTES: usize = 32;

/// SHA-256 hash of a token.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; HASH_BYTES]);

impl TokenHash {
    /// Hashes a token as a client presents it.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(digest(&SHA256, token).as_ref());
        Self(hash)
    }

    /// Parses a hash of 64 hexadecimal digits.
    #[must_use]
    pub fn from_hash(hash: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        hex::decode_to_slice(hash, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Reports whether `presented` is this token.
    #[must_use]
    pub fn matches(&self, presented: &[u8]) -> bool {
        *self == Self::from_token(presented)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::TokenHash;

    #[test]
    fn hash_matches_only_its_token() {
        // Output of `printf %s 0123456789abcdef | sha256sum`.
        let hash = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        let token = TokenHash::from_hash(hash).unwrap();
        assert!(TokenHash::from_hash(&hash.to_uppercase()).unwrap() == token);
        assert!(token.matches(b"0123456789abcdef"));
        for other in ["0123456789abcdeg", "0123456789abcde", "0123456789abcdef0", "", hash] {
            assert!(!token.matches(other.as_bytes()), "{other}");
        }
        for text in [
            "",
            "9f9f",
            &hash[1..],
            &format!("{hash}00"),
            &hash.replace('9', "g"),
            &hash.replace("9f", "ä"),
        ] {
            assert!(TokenHash::from_hash(text).is_none(), "{text}");
        }
        assert_eq!(format!("{token:?}"), "TokenHash(…)");
    }
}
