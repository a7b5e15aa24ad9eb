//! The supervisors that this process has started, and what is left of a run whose supervisor was killed.

use std::{
    io,
    process::{Child, Command, ExitStatus},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, waitid, waitpid},
};

use super::processes::{children, descendants_of};

/// How long processes may take to vanish after SIGKILL; those in the kernel's hands may need a while.
pub(super) const VANISHING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Those that were not waited for yet. Held while one is started, so that none is taken for an orphan.
static LIVING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// For a process whose only children are supervisors: what a killed supervisor leaves behind comes to this process, which
/// ends it, and no other process of the same user may read this one's memory and environment (Linux; root may).
///
/// # Errors
///
/// Those of prctl(2).
pub fn guard_process() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior,
        };
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_child_subreaper(Some(getpid()))?;
        ADOPTS.store(true, Ordering::Relaxed);
    }
    Ok(())
}

fn living() -> MutexGuard<'static, Vec<Pid>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a supervisor.
pub(super) fn start(command: &mut Command) -> io::Result<Child> {
    let mut living = living();
    let child = command.spawn()?;
    living.push(Pid::from_child(&child));
    Ok(child)
}

/// Waits until a supervisor has ended, and nothing is left of its command.
pub(super) fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let id = Pid::from_child(&child);
    // Its number stays its own until it is taken off the list.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(waitid(WaitId::Pid(id), ended), Err(Errno::INTR)) {}
    let mut living = living();
    let status = child.wait();
    living.retain(|other| *other != id);
    drop(living);
    if ADOPTS.load(Ordering::Relaxed) {
        end_orphans();
    }
    status
}

/// Kills a supervisor that does not answer.
pub(super) fn kill(id: Pid) {
    if living().contains(&id) {
        // It may have ended just now.
        let _ = kill_process(id, Signal::KILL);
    }
}

/// Ends the children that are no supervisors, with all that they have started.
fn end_orphans() {
    let deadline = Instant::now() + VANISHING;
    loop {
        let orphans = orphans();
        if orphans.is_empty() {
            return;
        }
        if Instant::now() >= deadline {
            tracing::warn!("some processes of a command could not be ended");
            return;
        }
        for orphan in orphans {
            for process in descendants_of(orphan).into_iter().chain([orphan]) {
                let _ = kill_process(process, Signal::KILL);
            }
            // Another thread may have waited for it.
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
        thread::sleep(PAUSE);
    }
}

fn orphans() -> Vec<Pid> {
    let living = living();
    let children = children(rustix::process::getpid()).into_iter();
    children.filter(|child| !living.contains(child)).collect()
}
