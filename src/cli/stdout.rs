//! Standard output, which its reader may close early, as `head` does. A closed pipe is not a
//! failure.

use std::io::{ErrorKind, Write};

use crate::cli::CommandError;

/// Writes `text` to standard output.
pub(super) fn print(text: &[u8]) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    ignore_broken_pipe(out.write_all(text).and_then(|()| out.flush()))
}

/// Returns success for a broken pipe: the reader has only stopped reading.
pub(super) fn ignore_broken_pipe(written: std::io::Result<()>) -> Result<(), CommandError> {
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandError::Failed(format!("standard output: {error}"))),
    }
}
