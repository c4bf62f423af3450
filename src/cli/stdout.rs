//! Standard output, which its reader may close early, as `head` does. A closed pipe is not a
//! failure.

use std::io::{ErrorKind, Write};

use crate::cli::Failure;

/// Writes `text` to standard output.
pub(super) fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    unless_closed(out.write_all(text).and_then(|()| out.flush()))
}

/// Returns success for a broken pipe: the reader has only stopped reading.
pub(super) fn unless_closed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Failed(format!("standard output: {error}"))),
    }
}
