//! `atelier supervise`: watches over one command of the exec provider. The server starts it; it is of no use to people.

use std::process::ExitCode;

use super::CommandResult;
use crate::provider::exec;

/// Does what standard input says, and ends with its verdict.
pub(super) fn run() -> CommandResult {
    Ok(ExitCode::from(exec::supervise()))
}
