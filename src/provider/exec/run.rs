//! A running command as the server sees it: its supervisor.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use rustix::process::{Pid, Signal};

use super::{
    plan::{Plan, SUBCOMMAND, Verdict},
    progress::Lines,
    supervisors,
};

/// How much of the end of standard error is kept, so that it stays whole in a failure's detail.
const TAIL_BYTES: usize = 3_500;
/// How long standard error may stay open after the supervisor's end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a supervisor may take to end a command, beyond what processes may take to vanish.
pub(super) const ENDING: Duration = supervisors::VANISHING.saturating_add(Duration::from_secs(5));

/// A supervisor with its command. Dropping this ends the command and all its processes.
pub(super) struct Supervised {
    /// While this is open, the supervisor lets the command run.
    leash: Option<ChildStdin>,
    status: oneshot::Receiver<io::Result<ExitStatus>>,
    /// What `status` has told.
    told: Option<Result<ExitStatus, String>>,
    process: Pid,
    stderr: oneshot::Receiver<Vec<u8>>,
}

/// How a run ended.
pub(super) struct Ended {
    pub verdict: Verdict,
    /// The end of what it said on standard error, for operators.
    pub words: String,
}

impl Supervised {
    /// Starts the supervisor with the command's environment. `on_line` gets each line of standard output.
    pub(super) fn start(
        plan: &Plan,
        supervisor: Option<&Path>,
        environment: Vec<(OsString, OsString)>,
        on_line: impl FnMut(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let program = match supervisor {
            Some(program) => program.to_owned(),
            None => own_program()?,
        };
        let mut command = Command::new(program);
        command
            .arg(SUBCOMMAND)
            .env_clear()
            .envs(environment)
            .current_dir(&plan.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = supervisors::start(&mut command)?;
        let process = Pid::from_child(&child);
        let (mut leash, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (status_sender, status) = oneshot::channel();
        let (stderr_sender, stderr_end) = oneshot::channel();
        in_thread(move || {
            let _ = status_sender.send(supervisors::wait(child));
        })?;
        in_thread(move || {
            if let Some(stdout) = stdout {
                read_lines(stdout, on_line);
            }
        })?;
        in_thread(move || {
            let _ = stderr_sender.send(stderr.map(read_tail).unwrap_or_default());
        })?;
        if let Some(leash) = &mut leash {
            plan.write(leash)?;
        }
        Ok(Self {
            leash,
            status,
            told: None,
            process,
            stderr: stderr_end,
        })
    }

    /// Asks the supervisor to end the command, and kills one that does not.
    pub(super) async fn end_soon(&mut self) -> Ended {
        self.leash = None;
        if let Ok(ended) = timeout(ENDING, self.end()).await {
            return ended;
        }
        supervisors::kill(self.process);
        self.end().await
    }

    /// Waits until no process of the command is left. May be given up and called again, until it has answered once.
    pub(super) async fn end(&mut self) -> Ended {
        if self.told.is_none() {
            self.told = Some(match (&mut self.status).await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("nobody waited".to_owned()),
            });
        }
        let status = self.told.clone();
        let tail = timeout(LAST_WORDS, &mut self.stderr).await;
        let tail = tail.ok().and_then(Result::ok).unwrap_or_default();
        let mut words = String::from_utf8_lossy(&tail).trim().to_owned();
        let verdict = match status {
            Some(Ok(status)) if status.code().is_some() => Verdict::of(status.code()),
            // Before it could heed them.
            Some(Ok(status)) if is_polite(status) => {
                words.push_str("\na signal ended the supervisor");
                Verdict::Interrupted
            }
            Some(Ok(status)) => {
                words.push_str(&format!("\nthe supervisor is lost: {status}"));
                Verdict::Lost
            }
            Some(Err(error)) => {
                words.push_str(&format!("\nthe supervisor is lost: {error}"));
                Verdict::Failed
            }
            None => Verdict::Failed,
        };
        Ended { verdict, words }
    }
}

/// Whether a signal ended it that asks for an end, as whoever stops the server may send.
fn is_polite(status: ExitStatus) -> bool {
    let polite = [Signal::TERM, Signal::INT, Signal::HUP];
    let signal = status.signal();
    polite.iter().any(|polite| Some(polite.as_raw()) == signal)
}

/// This program, also after its file was replaced by a newer one.
pub(super) fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        Ok(PathBuf::from("/proc/self/exe"))
    } else {
        std::env::current_exe()
    }
}

fn in_thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name("exec".to_owned())
        .spawn(work)
        .map(drop)
}

fn read_lines(from: impl Read, mut on_line: impl FnMut(&str)) {
    let mut lines = Lines::default();
    read_all(from, |bytes| lines.feed(bytes, &mut on_line));
}

/// The last bytes of a stream that may be endless.
fn read_tail(from: impl Read) -> Vec<u8> {
    let mut tail = Vec::new();
    read_all(from, |bytes| {
        tail.extend_from_slice(bytes);
        let surplus = tail.len().saturating_sub(TAIL_BYTES);
        tail.drain(..surplus);
    });
    tail
}

fn read_all(mut from: impl Read, mut take: impl FnMut(&[u8])) {
    let mut buffer = [0; 8 * 1_024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_an_endless_stream_is_kept() {
        let stream = io::repeat(b'x').take(1 << 20).chain(&b"the end"[..]);
        let tail = read_tail(stream);
        assert_eq!(tail.len(), TAIL_BYTES);
        assert!(tail.ends_with(b"xthe end"));
    }
}
