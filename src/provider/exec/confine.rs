//! Becomes a command that is confined: the step between the supervisor and the command, in the command's own process.
//!
//! What holds for one process only, and is kept by what it executes, is set here: nothing of Rust runs safely between a fork
//! and what is executed.

use std::{
    convert::Infallible, ffi::OsString, io, os::unix::process::CommandExt, process::Command,
};

use serde::{Deserialize, Serialize};

use super::sandbox::Sandbox;

/// The hidden command of the program that confines itself.
pub(super) const SUBCOMMAND: &str = "confine";
/// As a shell says that a program cannot be executed.
const CANNOT_EXECUTE: u8 = 126;

/// What holds for the command from its first instruction on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// The supervisor, whose end is the end of the command.
    pub supervisor: i32,
    pub sandbox: Option<Sandbox>,
}

/// Confines this process as the text says, and has it become the command. Returns the exit code if it cannot.
pub fn confine(confinement: &str, command: &[OsString]) -> u8 {
    let Err(error) = become_command(confinement, command);
    super::supervisor::say(&format!("the command cannot be run: {error}"));
    CANNOT_EXECUTE
}

fn become_command(confinement: &str, command: &[OsString]) -> io::Result<Infallible> {
    let confinement: Confinement = serde_json::from_str(confinement)?;
    die_with(confinement.supervisor)?;
    if let Some(sandbox) = &confinement.sandbox {
        sandbox.enforce()?;
    }
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::other("no command is named"));
    };
    Err(Command::new(program).args(arguments).exec())
}

/// The kernel kills this process when the supervisor ends in whatever way.
#[cfg(target_os = "linux")]
fn die_with(supervisor: i32) -> io::Result<()> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before.
    if getppid().map(Pid::as_raw_pid) != Some(supervisor) {
        return Err(io::Error::other("the supervisor has ended"));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: i32) -> io::Result<()> {
    Ok(())
}
