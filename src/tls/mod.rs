//! TLS of this server: a certificate and its private key, read from PEM files, checked, and
//! exchanged while the server runs. The module does not know which settings name the files, which
//! resources are served or which clients have access.
//!
//! Error messages never quote a file, because its content may be the private key.

mod served;
mod validity;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};

pub use crate::tls::served::ServedCertificate;

/// Paths of a certificate and its private key.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// Certificate of the server, followed by those that lead to a root.
    pub certificate: PathBuf,
    /// Private key of the certificate.
    pub key: PathBuf,
}

/// Role of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// File with the certificate.
    Certificate,
    /// File with the private key.
    Key,
}

/// Error in one of the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Error {
    /// Role of the file.
    pub role: FileRole,
    path: PathBuf,
    reason: String,
}

/// Certificate and private key that belong together.
#[derive(Clone)]
pub struct CertifiedKeyPair {
    files: CertificateFiles,
    /// Hash of both files, to detect changes.
    digest: Vec<u8>,
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for CertifiedKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedKeyPair").field("files", &self.files).finish_non_exhaustive()
    }
}

impl CertifiedKeyPair {
    /// Reads both files.
    ///
    /// # Errors
    /// Returns an error when a file cannot be read or used, or when key and certificate do not
    /// belong together.
    pub fn read(files: &CertificateFiles) -> Result<Self, Error> {
        FileContents::read(files)?.to_key_pair(files)
    }

    /// Reads the files again. Returns `None` when they have not changed.
    fn read_if_changed(&self) -> Result<Option<Self>, Error> {
        let contents = FileContents::read(&self.files)?;
        if contents.digest() == self.digest {
            return Ok(None);
        }
        contents.to_key_pair(&self.files).map(Some)
    }
}

/// Contents of the files.
struct FileContents {
    certificate: Vec<u8>,
    key: SecretString,
}

impl FileContents {
    fn read(files: &CertificateFiles) -> Result<Self, Error> {
        let certificate = match fs::read(&files.certificate) {
            Ok(certificate) => certificate,
            Err(error) => {
                return Err(file_error(
                    FileRole::Certificate,
                    &files.certificate,
                    error.to_string(),
                ));
            }
        };
        match fs::read_to_string(&files.key) {
            Ok(key) => Ok(Self { certificate, key: key.into() }),
            Err(error) => Err(file_error(FileRole::Key, &files.key, error.to_string())),
        }
    }

    fn digest(&self) -> Vec<u8> {
        let mut both = digest::Context::new(&digest::SHA256);
        for file in [self.certificate.as_slice(), self.key.expose_secret().as_bytes()] {
            both.update(digest::digest(&digest::SHA256, file).as_ref());
        }
        both.finish().as_ref().to_vec()
    }

    fn to_key_pair(&self, files: &CertificateFiles) -> Result<CertifiedKeyPair, Error> {
        let chain = parse_chain(&self.certificate)
            .map_err(|reason| file_error(FileRole::Certificate, &files.certificate, reason))?;
        let key = parse_private_key(self.key.expose_secret())
            .map_err(|reason| file_error(FileRole::Key, &files.key, reason))?;
        let Ok(key) = default_provider().key_provider.load_private_key(key) else {
            return Err(file_error(FileRole::Key, &files.key, UNSUPPORTED));
        };
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let reason = format!(
                    "does not belong to the certificate in {}",
                    files.certificate.display()
                );
                return Err(file_error(FileRole::Key, &files.key, reason));
            }
            Err(_) => {
                return Err(file_error(
                    FileRole::Certificate,
                    &files.certificate,
                    "its first certificate cannot be read",
                ));
            }
        }
        Ok(CertifiedKeyPair {
            files: files.clone(),
            digest: self.digest(),
            certified: Arc::new(certified),
        })
    }
}

fn file_error(role: FileRole, path: &Path, reason: impl Into<String>) -> Error {
    Error { role, path: path.to_owned(), reason: reason.into() }
}

const DAMAGED: &str = "is cut short or damaged";
const UNSUPPORTED: &str = "holds a key that cannot be used; use RSA of 2048 to 8192 bits, ECDSA \
                           over P-256, P-384 or P-521, or Ed25519";
const NO_CERTIFICATE: &str = "holds no certificate; a PEM file with `BEGIN CERTIFICATE` is needed";
const NO_KEY: &str = "holds no private key; a PEM file with `BEGIN PRIVATE KEY` is needed";
const ENCRYPTED: &str = "holds an encrypted key; a key without a passphrase is needed, in a file \
                         that others cannot read";

fn parse_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        chain.push(certificate.map_err(|_| DAMAGED)?);
    }
    if chain.is_empty() { Err(NO_CERTIFICATE) } else { Ok(chain) }
}

fn parse_private_key(text: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    if text.lines().any(is_encryption_mark) {
        return Err(ENCRYPTED);
    }
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(NO_KEY),
        Err(_) => Err(DAMAGED),
    }
}

/// Reports whether a line marks an encrypted key: the PKCS #8 label or, in the older format of
/// OpenSSL, a header line (RFC 1421 §4.6.1.1).
fn is_encryption_mark(line: &str) -> bool {
    line.starts_with("-----BEGIN ENCRYPTED") || line.starts_with("Proc-Type: 4,ENCRYPTED")
}
