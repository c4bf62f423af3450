//! Certificate and key of the server. Both settings are given, or neither.

use std::path::PathBuf;

use clap::ArgMatches;

use crate::config::Error;
use crate::config::parsers;
use crate::config::parsers::{TLS_CERT, TLS_KEY};
use crate::tls::{CertificateFiles, CertifiedKeyPair, FileRole};

/// Reads the certificate and its key, if TLS is configured.
pub(super) fn certificate_and_key(matches: &ArgMatches) -> Result<Option<CertifiedKeyPair>, Error> {
    let files = match (path("tls_cert", matches), path("tls_key", matches)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => CertificateFiles { certificate, key },
        (Some(_), None) => {
            return Err(Error(format!("{TLS_CERT} is given without {TLS_KEY}: TLS needs both")));
        }
        (None, Some(_)) => {
            return Err(Error(format!("{TLS_KEY} is given without {TLS_CERT}: TLS needs both")));
        }
    };
    match CertifiedKeyPair::read(&files) {
        Ok(pair) => Ok(Some(pair)),
        Err(error) => {
            let setting = match error.role {
                FileRole::Certificate => TLS_CERT,
                FileRole::Key => TLS_KEY,
            };
            Err(Error(format!("{setting}: {error}")))
        }
    }
}

fn path(id: &str, matches: &ArgMatches) -> Option<PathBuf> {
    parsers::optional_text(id, matches).map(|path| PathBuf::from(path.trim()))
}
