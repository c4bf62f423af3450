//! Versions: weak entity tags of content (RFC 7644 §3.14). Equal content has an equal version, on every
//! server and after a restart.

use aws_lc_rs::digest::{Context, SHA256};

/// What content is recognised by.
pub type Digest = [u8; 12];

/// Parts are put together until they are so long: to hash each alone takes longer.
const AT_ONCE: usize = 4096;

/// The digest of some parts, told apart.
#[must_use]
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut waiting = Vec::with_capacity(AT_ONCE);
    for part in parts {
        let part = part.as_ref();
        waiting.extend_from_slice(&(part.len() as u64).to_be_bytes());
        waiting.extend_from_slice(part);
        if waiting.len() >= AT_ONCE {
            context.update(&waiting);
            waiting.clear();
        }
    }
    context.update(&waiting);
    let mut digest = Digest::default();
    for (byte, found) in digest.iter_mut().zip(context.finish().as_ref()) {
        *byte = *found;
    }
    digest
}

/// The weak entity tag of a digest.
#[must_use]
pub fn version(digest: &Digest) -> String {
    let mut version = String::with_capacity(2 * digest.len() + 4);
    version.push_str("W/\"");
    for digit in digest.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        version.extend(char::from_digit(digit.into(), 16));
    }
    version.push('"');
    version
}
