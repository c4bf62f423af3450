//! Weak entity tags of content (RFC 7644 §3.14). Equal content has an equal tag, on every server
//! and after a restart.

use aws_lc_rs::digest::{Context, SHA256};

/// Truncated SHA-256 digest that identifies content.
pub type Digest = [u8; 12];

/// Bytes that are collected before they are hashed. Hashing each short part alone takes longer.
const HASH_BUFFER_BYTES: usize = 4096;

/// Returns the digest of a list of parts. The length of each part is hashed too, so that the same
/// bytes in other parts have another digest.
#[must_use]
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut buffer = Vec::with_capacity(HASH_BUFFER_BYTES);
    for part in parts {
        let part = part.as_ref();
        buffer.extend_from_slice(&(part.len() as u64).to_be_bytes());
        buffer.extend_from_slice(part);
        if buffer.len() >= HASH_BUFFER_BYTES {
            context.update(&buffer);
            buffer.clear();
        }
    }
    context.update(&buffer);
    truncated(context)
}

/// Returns the digest of one part whose bytes are in several slices.
pub(in crate::scim) fn digest_joined(slices: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    let length: usize = slices.iter().map(|slice| slice.len()).sum();
    context.update(&(length as u64).to_be_bytes());
    for slice in slices {
        context.update(slice);
    }
    truncated(context)
}

/// Returns the first bytes of the hash.
fn truncated(context: Context) -> Digest {
    let hash = context.finish();
    let mut digest = Digest::default();
    for (byte, hash_byte) in digest.iter_mut().zip(hash.as_ref()) {
        *byte = *hash_byte;
    }
    digest
}

/// Returns the weak entity tag of a digest: `W/"…"` around its hexadecimal digits.
#[must_use]
pub fn weak_etag(digest: &Digest) -> String {
    ["W/\"", &hex::encode(digest), "\""].concat()
}
