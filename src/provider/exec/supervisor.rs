//! Watches over one command, in a process of its own, and leaves nothing of it behind.
//!
//! It outlives the server, whose death it notices by the end of its standard input, and it adopts whatever the command
//! leaves behind (prctl(2), `PR_SET_CHILD_SUBREAPER`), so that also a process that has left the command's group and session
//! is found. It ends only when none is left.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{
        Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, getrlimit, setrlimit,
        setsid, wait,
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    confine::{self, Confinement},
    folder::Usage,
    plan::{Plan, Verdict},
    processes::{descendants, resident_memory, runs_this_program, signal_all},
    run::own_program,
    supervisors::VANISHING,
};

/// Shortest and longest pause between two looks at the command.
const TICK: Duration = Duration::from_millis(20);
const LONGEST_TICK: Duration = Duration::from_millis(250);
/// How long the processes get to end by themselves after SIGTERM.
const GRACE: Duration = Duration::from_millis(300);
/// What allocators and the stacks of threads may reserve and never fill.
const RESERVED: u64 = 4 << 30;
/// How many more threads than now the server's user may have: room for runs beside this one, and for threads.
const THREADS: u64 = 8_192;
/// How long the process of the command may take to become it.
const BECOMING: Duration = Duration::from_secs(2);

/// Runs the plan that standard input tells; returns the exit code of this process.
pub fn supervise() -> u8 {
    let verdict = Plan::read(io::stdin().lock()).and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(run(&plan))
    });
    let verdict = verdict.unwrap_or_else(|error| {
        say(&format!("the command cannot be run: {error}"));
        Verdict::Failed
    });
    verdict.code()
}

/// The last words of standard error. It may be closed, when the server is dead.
pub(super) fn say(words: &str) {
    let _ = writeln!(io::stderr(), "\n{words}");
}

async fn run(plan: &Plan) -> io::Result<Verdict> {
    isolate(plan)?;
    let unwanted = CancellationToken::new();
    let noticed = unwanted.clone();
    thread::Builder::new().spawn(move || {
        // Nothing comes after the plan but the end.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        noticed.cancel();
    })?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let mut family = Family::start(plan)?;
    let finding = tokio::select! {
        finding = family.watch(plan) => finding,
        () = unwanted.cancelled() => Finding::new(Verdict::Stopped, "the server ended the command"),
        _ = terminate.recv() => Finding::interrupted(),
        _ = interrupt.recv() => Finding::interrupted(),
        _ = hangup.recv() => Finding::interrupted(),
    };
    let Finding { verdict, words } = family.end(plan, finding).await;
    // After the command has said its last.
    if !words.is_empty() {
        say(&words);
    }
    if unwanted.is_cancelled() {
        // The server may be unable to.
        let _ = fs::remove_dir_all(&plan.folder);
    }
    Ok(verdict)
}

/// A session of its own, without a terminal; no core dumps; no file longer than all files together may be; no more
/// privileges than there are, whatever is executed; the command cannot look into this process (unless it is root's); and
/// orphans come here.
fn isolate(plan: &Plan) -> io::Result<()> {
    setsid()?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior};
        set_child_subreaper(Some(getpid()))?;
        // The command is dumpable again when it is executed.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        rustix::thread::set_no_new_privs(true)?;
    }
    lower(Resource::Core, 0)?;
    // For a process that takes memory faster than anybody looks.
    #[cfg(target_os = "linux")]
    lower(
        Resource::Data,
        plan.memory.saturating_mul(2).saturating_add(RESERVED),
    )?;
    // The same for processes. The kernel counts the threads of all processes of a user, and lets root have any number.
    #[cfg(target_os = "linux")]
    lower(
        Resource::Nproc,
        super::processes::threads_of_user() + THREADS,
    )?;
    // One byte more, so that a file cut off there is known by its length.
    lower(Resource::Fsize, plan.output_bytes.saturating_add(1))
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum;
    let limit = Some(most.map_or(limit, |most| most.min(limit)));
    let limits = Rlimit {
        current: limit,
        maximum: limit,
    };
    Ok(setrlimit(resource, limits)?)
}

/// How a run ended, and what there is to say about it.
struct Finding {
    verdict: Verdict,
    words: String,
}

impl Finding {
    fn new(verdict: Verdict, words: impl Into<String>) -> Self {
        Self {
            verdict,
            words: words.into(),
        }
    }

    fn interrupted() -> Self {
        Self::new(Verdict::Interrupted, "a signal ended the supervisor")
    }
}

/// The command and all that it has started.
struct Family {
    /// The command, and the process group that it leads.
    head: Pid,
    /// How the command ended.
    ended: Option<WaitStatus>,
    none_left: bool,
    started: Instant,
    /// Whether the process of the command has become it. Until then its memory is that of this program.
    has_begun: bool,
}

impl Family {
    fn start(plan: &Plan) -> io::Result<Self> {
        let stdin = match &plan.stdin {
            Some(path) => Stdio::from(File::open(path)?),
            None => Stdio::null(),
        };
        let confinement = Confinement {
            supervisor: getpid().as_raw_pid(),
            sandbox: plan.sandbox.clone(),
        };
        let child = Command::new(own_program()?)
            .args([
                confine::SUBCOMMAND,
                &serde_json::to_string(&confinement)?,
                "--",
            ])
            .arg(&plan.program)
            .args(&plan.arguments)
            .stdin(stdin)
            .process_group(0)
            .spawn()?;
        Ok(Self {
            head: Pid::from_child(&child),
            ended: None,
            none_left: false,
            started: Instant::now(),
            has_begun: false,
        })
    }

    /// Waits until the command has ended, or may go on no longer.
    async fn watch(&mut self, plan: &Plan) -> Finding {
        let deadline = Instant::now() + plan.timeout;
        loop {
            self.reap();
            if let Some(status) = self.ended {
                return judge(status);
            }
            if Instant::now() >= deadline {
                let seconds = plan.timeout.as_secs_f64();
                let words = format!("the command took longer than {seconds} s");
                return Finding::new(Verdict::TimedOut, words);
            }
            let looked = Instant::now();
            if self.has_begun()
                && let Some(excess) = excess(plan)
            {
                let words = format!("the command was ended: {excess}");
                return Finding::new(Verdict::LimitExceeded, words);
            }
            // Looking shall take no more than about a tenth of the time.
            sleep((looked.elapsed() * 10).clamp(TICK, LONGEST_TICK)).await;
        }
    }

    fn has_begun(&mut self) -> bool {
        self.has_begun =
            self.has_begun || self.started.elapsed() >= BECOMING || !runs_this_program(self.head);
        self.has_begun
    }

    /// Ends whatever still runs. Returns what the finding comes to when nothing changes any more.
    async fn end(&mut self, plan: &Plan, finding: Finding) -> Finding {
        let polite = matches!(
            finding.verdict,
            Verdict::TimedOut | Verdict::Interrupted | Verdict::Stopped
        );
        if polite {
            self.signal_until_gone(Signal::TERM, GRACE, GRACE).await;
        }
        self.signal_until_gone(Signal::KILL, TICK / 4, VANISHING)
            .await;
        if !self.none_left {
            say("some processes of the command could not be ended");
        }
        let finished = matches!(finding.verdict, Verdict::Succeeded | Verdict::Failed);
        match Usage::of(&plan.folder).excess(plan.output_bytes) {
            Some(excess) if finished => {
                let words = format!("the command went too far: {excess}");
                Finding::new(Verdict::LimitExceeded, words)
            }
            _ => finding,
        }
    }

    /// Sends the signal every so often until nobody is left, or the time is up.
    async fn signal_until_gone(&mut self, signal: Signal, every: Duration, time: Duration) {
        let deadline = Instant::now() + time;
        let mut next = Instant::now();
        loop {
            self.reap();
            let now = Instant::now();
            if self.none_left || now >= deadline {
                return;
            }
            if now >= next {
                signal_all(self.head, signal);
                next = now + every;
            }
            sleep(TICK / 4).await;
        }
    }

    /// Takes note of all children that have ended, the adopted ones among them.
    fn reap(&mut self) {
        while !self.none_left {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process == self.head => self.ended = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => self.none_left = true,
            }
        }
    }
}

/// What the command uses too much of, in words.
fn excess(plan: &Plan) -> Option<String> {
    let processes = descendants();
    if processes.len() > plan.processes as usize {
        let most = plan.processes;
        return Some(format!("it started more than {most} processes"));
    }
    let (used, most) = (resident_memory(&processes), plan.memory);
    if used > most {
        return Some(format!(
            "it took {used} bytes of memory, {most} are allowed"
        ));
    }
    Usage::of(&plan.folder).excess(plan.output_bytes)
}

/// What the command's own end means.
fn judge(status: WaitStatus) -> Finding {
    if status.exit_status() == Some(0) {
        return Finding::new(Verdict::Succeeded, "");
    }
    let Some(signal) = status.terminating_signal() else {
        let code = status.exit_status().unwrap_or_default();
        let words = format!("the command ended with exit code {code}");
        return Finding::new(Verdict::Failed, words);
    };
    // None of these comes from the command itself, or from here.
    let foreign = [Signal::TERM, Signal::INT, Signal::HUP, Signal::KILL];
    let verdict = if foreign.iter().any(|foreign| foreign.as_raw() == signal) {
        Verdict::Interrupted
    } else if signal == Signal::XFSZ.as_raw() {
        Verdict::LimitExceeded
    } else {
        Verdict::Failed
    };
    Finding::new(verdict, format!("signal {signal} ended the command"))
}
