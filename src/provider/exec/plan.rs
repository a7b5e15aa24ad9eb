//! What the server and the supervisor of a command say to each other.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::sandbox::Sandbox;

/// The hidden command of the program that supervises.
pub(super) const SUBCOMMAND: &str = "supervise";

/// What to run and within which bounds, as one line of JSON on the supervisor's standard input. The command gets the
/// supervisor's environment, working directory and outputs. The input stays open for as long as the server wants the
/// command to run: its end says that nobody does any more, be it that the server is dead.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// Everything that the run writes; removed if the server does not wait for the end.
    pub folder: PathBuf,
    /// Standard input of the command; nothing if there is none.
    pub stdin: Option<PathBuf>,
    pub timeout: Duration,
    /// Most resident memory in bytes.
    pub memory: u64,
    /// Most bytes in the folder.
    pub output_bytes: u64,
    /// Most processes at once.
    pub processes: u32,
    /// What the command is held to; nothing if there is none.
    pub sandbox: Option<Sandbox>,
}

impl Plan {
    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        to.write_all(&line)
    }

    pub(super) fn read(mut from: impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// How a run ended, as the supervisor's exit code. Its words stand at the end of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeded,
    /// The command could not be started, or said that it failed.
    Failed,
    LimitExceeded,
    TimedOut,
    /// Somebody else ended the command, or the supervisor.
    Interrupted,
    /// The server did not want it any more.
    Stopped,
    /// The supervisor itself was killed, which is the end of the attempt.
    Lost,
}

impl Verdict {
    /// Codes that neither a panic nor the command line parser gives.
    const CODES: [(Self, u8); 6] = [
        (Self::Succeeded, 0),
        (Self::Failed, 70),
        (Self::LimitExceeded, 71),
        (Self::TimedOut, 72),
        (Self::Interrupted, 73),
        (Self::Stopped, 74),
    ];

    pub(super) fn code(self) -> u8 {
        let mut codes = Self::CODES.into_iter();
        codes
            .find(|(verdict, _)| *verdict == self)
            .map_or(1, |(_, code)| code)
    }

    /// The verdict of a supervisor's exit code, `None` if a signal ended it: SIGKILL, since it heeds the others. A code that it never gives is a failure.
    pub(super) fn of(code: Option<i32>) -> Self {
        let Some(code) = code else {
            return Self::Lost;
        };
        let mut codes = Self::CODES.into_iter();
        codes
            .find(|(_, known)| i32::from(*known) == code)
            .map_or(Self::Failed, |(verdict, _)| verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = Plan {
            program: "/bin/x".into(),
            arguments: vec!["a\nb".to_owned(), "\"".to_owned()],
            folder: "/tmp/y".into(),
            stdin: Some("/tmp/y/prompt".into()),
            timeout: Duration::from_millis(1_500),
            memory: 1 << 40,
            output_bytes: 7,
            processes: 9,
            sandbox: Some(Sandbox {
                writable: vec!["/tmp/y".into()],
                ..Sandbox::default()
            }),
        };
        let mut written = Vec::new();
        plan.write(&mut written).unwrap();
        assert_eq!(Plan::read(written.as_slice()).unwrap(), plan);
        assert!(Plan::read(&b""[..]).is_err());
    }

    #[test]
    fn every_verdict_has_its_own_code() {
        for (verdict, code) in Verdict::CODES {
            assert_eq!(verdict.code(), code);
            assert_eq!(Verdict::of(Some(code.into())), verdict);
        }
        assert_eq!(Verdict::of(Some(101)), Verdict::Failed);
        assert_eq!(Verdict::of(None), Verdict::Lost);
    }
}
