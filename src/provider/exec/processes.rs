//! The processes that a command has started, directly or not.
//!
//! Linux tells them through `/proc`. Elsewhere only the command's own process group can be reached: a process that leaves
//! it escapes, and memory is not measured.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Sends the signal to the command's process group and to all processes that this one has started, directly or not.
pub(super) fn signal_all(group: Pid, signal: Signal) {
    // Those that are gone already do not matter.
    let _ = kill_process_group(group, signal);
    for process in descendants() {
        let _ = kill_process(process, signal);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{collections::HashSet, fs, path::Path};

    use rustix::process::{Pid, getpid, getuid};

    /// All processes that this one, or one of them, has started. An orphan counts as this one's where this one is its
    /// subreaper.
    pub(crate) fn descendants() -> HashSet<Pid> {
        descendants_of(getpid())
    }

    /// All processes that one, or one of them, has started.
    pub(crate) fn descendants_of(process: Pid) -> HashSet<Pid> {
        let mut found = HashSet::new();
        let mut unread = vec![process];
        while let Some(parent) = unread.pop() {
            for child in children(parent) {
                if found.insert(child) {
                    unread.push(child);
                }
            }
        }
        found
    }

    /// proc(5), `/proc/pid/task/tid/children`: each thread has its own.
    pub(crate) fn children(parent: Pid) -> Vec<Pid> {
        let tasks = format!("/proc/{}/task", parent.as_raw_nonzero());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        lists
            .flat_map(|list| {
                let numbers = list.split_whitespace();
                let pids = numbers.filter_map(|number| Pid::from_raw(number.parse().ok()?));
                pids.collect::<Vec<_>>()
            })
            .collect()
    }

    /// Resident memory in bytes of all these processes together; a page that several share counts for each.
    pub(crate) fn resident_memory(processes: &HashSet<Pid>) -> u64 {
        let sizes = processes.iter().map(|process| {
            let status = format!("/proc/{}/status", process.as_raw_nonzero());
            resident_of(Path::new(&status)).unwrap_or(0)
        });
        sizes.fold(0, u64::saturating_add)
    }

    /// proc(5): `VmRSS` in KiB. One that has ended but was not waited for has none.
    fn resident_of(status: &Path) -> Option<u64> {
        let status = fs::read_to_string(status).ok()?;
        let kibibytes = value(&status, "VmRSS:")?.strip_suffix("kB")?;
        kibibytes.trim().parse::<u64>().ok()?.checked_mul(1_024)
    }

    /// The value of a line of `/proc/pid/status`.
    fn value<'a>(status: &'a str, name: &str) -> Option<&'a str> {
        let mut lines = status.lines();
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    }

    /// How many threads the processes of this process's user have, as far as `/proc` shows them.
    pub(crate) fn threads_of_user() -> u64 {
        let user = getuid().as_raw().to_string();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let statuses =
            processes.filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
        let threads = statuses.filter_map(|status| {
            let own = value(&status, "Uid:")?.split_whitespace().next() == Some(&user);
            own.then(|| value(&status, "Threads:")?.parse::<u64>().ok())?
        });
        threads.sum()
    }

    /// Whether a process executes the same file as this one.
    pub(crate) fn runs_this_program(process: Pid) -> bool {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/exe")).ok();
        let other = of(&process.as_raw_nonzero().to_string());
        other.is_some() && other == of("self")
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::collections::HashSet;

    use rustix::process::Pid;

    pub fn descendants() -> HashSet<Pid> {
        HashSet::new()
    }

    pub fn descendants_of(_: Pid) -> HashSet<Pid> {
        HashSet::new()
    }

    pub fn children(_: Pid) -> Vec<Pid> {
        Vec::new()
    }

    pub fn resident_memory(_: &HashSet<Pid>) -> u64 {
        0
    }

    pub fn runs_this_program(_: Pid) -> bool {
        false
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{children, descendants, descendants_of, resident_memory, runs_this_program};
#[cfg(target_os = "linux")]
pub(super) use linux::{
    children, descendants, descendants_of, resident_memory, runs_this_program, threads_of_user,
};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        collections::HashSet,
        process::{Command, Stdio},
    };

    use rustix::process::{Pid, getpid};

    use super::*;

    #[test]
    fn a_child_is_a_descendant_until_it_is_waited_for() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(descendants().contains(&pid));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!descendants().contains(&pid));
    }

    #[test]
    fn this_process_takes_memory() {
        let own = HashSet::from([getpid()]);
        let mebibytes = resident_memory(&own) >> 20;
        assert!((1..100_000).contains(&mebibytes), "{mebibytes} MiB");
        assert_eq!(resident_memory(&HashSet::new()), 0);
    }

    #[test]
    fn this_process_has_threads_and_runs_this_program_while_another_does_not() {
        let mut other = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(
            (2..1 << 20).contains(&threads_of_user()),
            "{}",
            threads_of_user()
        );
        assert!(runs_this_program(getpid()));
        assert!(!runs_this_program(Pid::from_child(&other)));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
