//! Versions: weak entity tags of content (RFC 7644 §3.14). Equal content has an equal version, on every
//! server and after a restart.

use aws_lc_rs::digest::{Context, SHA256};

/// What content is recognised by.
pub type Digest = [u8; 12];

/// The digest of some parts, told apart.
#[must_use]
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    for (byte, found) in digest.iter_mut().zip(context.finish().as_ref()) {
        *byte = *found;
    }
    digest
}

/// The weak entity tag of a digest.
#[must_use]
pub fn version(digest: &Digest) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    let digits = digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    ['W', '/', '"'].into_iter().chain(digits).chain(['"']).collect()
}
