//! Standard output that may be closed by whoever reads it, as `head` does: then nobody wants more, and
//! that is no failure.

use std::io::{ErrorKind, Write};

use crate::cli::Failure;

/// Writes `text` to standard output.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    unless_closed(out.write_all(text).and_then(|()| out.flush()))
}

/// Nothing has failed where the reader has only gone.
pub(super) fn unless_closed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::Failed(format!("standard output: {error}"))),
    }
}
