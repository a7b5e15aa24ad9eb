//! What every command writes in the same way.

use std::error::Error;
use std::io::{self, ErrorKind, Write};

use crate::domain::with_causes;

/// What was done is done, and cannot be shown.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(super) struct Unprinted(#[from] io::Error);

/// Writes `text` to standard output. A reader that has gone away, such as `head`, is no error.
pub(super) fn print(text: &str) -> Result<(), Unprinted> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Unprinted),
    }
}

/// Writes `error` with its causes in one line; there is nowhere to report a failure of that to.
pub(super) fn complain(writer: &mut dyn Write, error: &dyn Error) {
    let _ = writeln!(writer, "error: {}", with_causes(error));
}
