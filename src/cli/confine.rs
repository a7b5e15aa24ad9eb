//! `atelier confine`: becomes a command of the exec provider, confined. The supervisor starts it; it is of no use to people.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

use super::CommandResult;
use crate::provider::exec;

/// What to become, and how confined.
#[derive(Args)]
pub(super) struct ConfineArguments {
    /// What holds for the command, as JSON
    confinement: String,

    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Returns only if the command cannot be run.
pub(super) fn run(arguments: &ConfineArguments) -> CommandResult {
    let code = exec::confine(&arguments.confinement, &arguments.command);
    Ok(ExitCode::from(code))
}
