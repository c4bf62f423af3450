//! Encryption of the state file: AES-256-GCM behind a header that identifies the file before
//! anything is decrypted.
//!
//! ```text
//! magic 8 | version 2 | key id 8 | owner 16 | length 8 | nonce 12 | header code 16
//! ciphertext | tag 16
//! ```
//!
//! The length is that of the ciphertext. The header code authenticates everything before it
//! (HMAC-SHA256), so that a file of another length is refused before its content is read. The
//! header is the associated data of the encryption, so a changed header makes decryption fail.
//! Keys, key id and owner are derived from the given secret by HKDF-SHA256, so that the file
//! reveals neither text.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hkdf, hmac, rand};
use secrecy::{ExposeSecret, SecretString};

const MAGIC: &[u8; 8] = b"SCIMSEAL";
/// Version of the file format. The encrypted content has a version of its own.
const FORMAT_VERSION: u16 = 2;
/// End of the version in the header, in bytes from its start. The ends of the later fields follow.
const VERSION_END: usize = MAGIC.len() + 2;
const KEY_ID_END: usize = VERSION_END + 8;
const OWNER_END: usize = KEY_ID_END + 16;
const LENGTH_END: usize = OWNER_END + 8;
const NONCE_END: usize = LENGTH_END + NONCE_LEN;
/// Length of the header code.
const HEADER_CODE_BYTES: usize = 16;
/// Length of the header.
pub(in crate::directory) const HEADER_BYTES: usize = NONCE_END + HEADER_CODE_BYTES;
/// Length of the tag after the ciphertext.
const TAG_BYTES: u64 = 16;

/// Reason why a file cannot be used. Its text continues a sentence that begins with the file's
/// name.
#[derive(Debug)]
pub(in crate::directory) enum UnusableFile {
    Damaged,
    Foreign,
    Older,
    Newer,
    OtherKey,
    OtherOwner,
    NotRegular,
    OtherLength,
    Unreadable(std::io::Error),
}

impl fmt::Display for UnusableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("is damaged"),
            Self::Foreign => f.write_str("was written by another program"),
            Self::Older => f.write_str("was written by an older version of this program"),
            Self::Newer => f.write_str("was written by a newer version of this program"),
            Self::OtherKey => f.write_str("is encrypted with another key"),
            Self::OtherOwner => f.write_str("belongs to another credential"),
            Self::NotRegular => f.write_str("is not a regular file"),
            Self::OtherLength => f.write_str("is not as long as its header says"),
            Self::Unreadable(error) => write!(f, "cannot be read ({error})"),
        }
    }
}

/// Cipher for the files of one owner, with one key.
pub(in crate::directory) struct StateCipher {
    secret: hkdf::Prk,
    owner: Box<str>,
}

impl StateCipher {
    pub(in crate::directory) fn new(key: &SecretString, owner: &str) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"personio-scim state file");
        Self { secret: salt.extract(key.expose_secret().as_bytes()), owner: owner.into() }
    }

    /// Encrypts the content in place. Returns the header that goes before it and the tag that goes
    /// after it.
    pub(in crate::directory) fn encrypt(
        &self,
        content: &mut [u8],
    ) -> Result<([u8; HEADER_BYTES], Tag), Unspecified> {
        let mut header = [0; HEADER_BYTES];
        let (fields, code) = header.split_at_mut(NONCE_END);
        let (beginning, rest) = fields.split_at_mut(OWNER_END);
        let (length, nonce) = rest.split_at_mut(8);
        beginning.copy_from_slice(&self.header_prefix()?);
        length.copy_from_slice(&(content.len() as u64).to_be_bytes());
        // The nonces are random. One key has enough of them for a thousand million files.
        rand::fill(nonce)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let signed = hmac::sign(&self.header_key()?, fields);
        code.copy_from_slice(signed.as_ref().get(..HEADER_CODE_BYTES).ok_or(Unspecified)?);
        let tag =
            self.content_key()?.seal_in_place_separate_tag(nonce, Aad::from(&header), content)?;
        Ok((header, tag))
    }

    /// Checks whether a file of this length with this header can be opened, as far as that shows
    /// without decryption.
    pub(in crate::directory) fn check_header(
        &self,
        header: &[u8],
        file_length: u64,
    ) -> Result<(), UnusableFile> {
        if !header.iter().zip(MAGIC).all(|(found, expected)| found == expected) {
            return Err(UnusableFile::Foreign);
        }
        let expected = self.header_prefix().map_err(|_| UnusableFile::Damaged)?;
        match header.get(MAGIC.len()..VERSION_END) {
            Some(version) if *version < FORMAT_VERSION.to_be_bytes()[..] => {
                return Err(UnusableFile::Older);
            }
            Some(version) if *version > FORMAT_VERSION.to_be_bytes()[..] => {
                return Err(UnusableFile::Newer);
            }
            Some(_) | None => {}
        }
        if header.len() < HEADER_BYTES {
            return Err(UnusableFile::Damaged);
        }
        // The key is checked before the owner, because the owner's field depends on the key.
        if header.get(VERSION_END..KEY_ID_END) != expected.get(VERSION_END..KEY_ID_END) {
            return Err(UnusableFile::OtherKey);
        }
        if header.get(KEY_ID_END..OWNER_END) != expected.get(KEY_ID_END..OWNER_END) {
            return Err(UnusableFile::OtherOwner);
        }
        self.check_length(header, file_length)
    }

    /// Checks that the header is authentic and that the file has the length in it.
    fn check_length(&self, header: &[u8], file_length: u64) -> Result<(), UnusableFile> {
        let (fields, code) = header.split_at_checked(NONCE_END).ok_or(UnusableFile::Damaged)?;
        let signed = hmac::sign(&self.header_key().map_err(|_| UnusableFile::Damaged)?, fields);
        let expected = signed.as_ref().get(..HEADER_CODE_BYTES).unwrap_or_default();
        if verify_slices_are_equal(code, expected).is_err() {
            return Err(UnusableFile::Damaged);
        }
        let length = fields.get(OWNER_END..LENGTH_END).and_then(|bytes| bytes.try_into().ok());
        let Some(length) = length else { return Err(UnusableFile::OtherLength) };
        let expected = u64::from_be_bytes(length).checked_add(HEADER_BYTES as u64 + TAG_BYTES);
        if expected == Some(file_length) { Ok(()) } else { Err(UnusableFile::OtherLength) }
    }

    /// Decrypts in place what follows a header that has been checked.
    pub(in crate::directory) fn decrypt(
        &self,
        header: &[u8],
        mut ciphertext: Vec<u8>,
    ) -> Result<Vec<u8>, UnusableFile> {
        let length =
            self.decrypt_in_place(header, &mut ciphertext).map_err(|_| UnusableFile::Damaged)?;
        ciphertext.truncate(length);
        Ok(ciphertext)
    }

    fn decrypt_in_place(&self, header: &[u8], ciphertext: &mut [u8]) -> Result<usize, Unspecified> {
        let nonce = Nonce::try_assume_unique_for_key(
            header.get(LENGTH_END..NONCE_END).unwrap_or_default(),
        )?;
        Ok(self.content_key()?.open_in_place(nonce, Aad::from(header), ciphertext)?.len())
    }

    /// Returns the header's fields before the length, which depend on key and owner only.
    fn header_prefix(&self) -> Result<[u8; OWNER_END], Unspecified> {
        let mut key_id = [0; 32];
        let mut owner = [0; 32];
        self.secret.expand(&[b"key id"], hkdf::HKDF_SHA256)?.fill(&mut key_id)?;
        self.secret
            .expand(&[b"owner ", self.owner.as_bytes()], hkdf::HKDF_SHA256)?
            .fill(&mut owner)?;
        let parts = [&MAGIC[..], &FORMAT_VERSION.to_be_bytes(), &key_id[..8], &owner[..16]];
        parts.concat().try_into().map_err(|_| Unspecified)
    }

    fn header_key(&self) -> Result<hmac::Key, Unspecified> {
        let mut key = [0; 32];
        self.secret.expand(&[b"header key"], hkdf::HKDF_SHA256)?.fill(&mut key)?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    fn content_key(&self) -> Result<LessSafeKey, Unspecified> {
        Ok(LessSafeKey::new(UnboundKey::from(self.secret.expand(&[b"content key"], &AES_256_GCM)?)))
    }
}
