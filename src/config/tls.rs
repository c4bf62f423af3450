//! Certificate and key of the server. Both settings are given, or neither.

use std::path::PathBuf;

use clap::ArgMatches;

use crate::config::Error;
use crate::config::parsers;
use crate::config::parsers::{TLS_CERT, TLS_KEY};
use crate::tls::{Files, Pair, Part};

/// Reads the certificate and its key, if TLS is configured.
pub(super) fn pair(matches: &ArgMatches) -> Result<Option<Pair>, Error> {
    let files = match (path("tls_cert", matches), path("tls_key", matches)) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => Files { certificate, key },
        (Some(_), None) => {
            return Err(Error(format!("{TLS_CERT} is given without {TLS_KEY}: TLS needs both")));
        }
        (None, Some(_)) => {
            return Err(Error(format!("{TLS_KEY} is given without {TLS_CERT}: TLS needs both")));
        }
    };
    match Pair::read(&files) {
        Ok(pair) => Ok(Some(pair)),
        Err(error) => {
            let setting = match error.part {
                Part::Certificate => TLS_CERT,
                Part::Key => TLS_KEY,
            };
            Err(Error(format!("{setting}: {error}")))
        }
    }
}

fn path(id: &str, matches: &ArgMatches) -> Option<PathBuf> {
    parsers::given(id, matches).map(|path| PathBuf::from(path.trim()))
}
