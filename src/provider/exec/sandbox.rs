//! What a command may reach of the machine: landlock(7) holds it, and all that it starts, to that, root or not.
//!
//! Only what is named is let through, so what the server keeps (its configuration, its data, the folders of other runs)
//! needs no mention. Rules cannot take back a part of a folder, so `/etc` and `/proc` are given by their entries.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::Once,
};

use serde::{Deserialize, Serialize};

use super::installation;
use crate::config::ExecConfig;

/// What a command may reach beyond what every program needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sandbox {
    /// Files and folders that it may read and execute.
    pub readable: Vec<PathBuf>,
    /// Files and folders that it may do anything with.
    pub writable: Vec<PathBuf>,
    /// Whether it may use TCP.
    pub network: bool,
}

impl Sandbox {
    /// That of a program which works in `folder`; `None` where the configuration has none.
    pub(super) fn of(config: &ExecConfig, program: &Path, folder: &Path) -> Option<Self> {
        if !config.sandbox {
            return None;
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let mut readable = installation::of(program, &path);
        readable.extend(config.readable.iter().filter_map(absolute));
        let mut writable = vec![folder.to_owned()];
        writable.extend(config.writable.iter().filter_map(absolute));
        Some(Self {
            readable,
            writable,
            network: config.network,
        })
    }

    /// Holds this process to it, for good.
    #[cfg(target_os = "linux")]
    pub(super) fn enforce(&self) -> io::Result<()> {
        linux::enforce(self).map_err(io::Error::other)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn enforce(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A command does not run in the server's working directory.
fn absolute(path: &PathBuf) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

/// What this system holds no command to; `None` if it holds them to all that landlock is asked for.
pub fn unconfined() -> Option<String> {
    let lacking = lacking();
    let words = lacking.join(", ");
    (!lacking.is_empty()).then(|| {
        format!("this system does not confine commands in {words}: landlock is missing or too old")
    })
}

/// Says so, once.
pub(super) fn warn_if_unconfined() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        if let Some(unconfined) = unconfined() {
            tracing::warn!("{unconfined} (docs/providers/exec.md)");
        }
    });
}

#[cfg(not(target_os = "linux"))]
fn lacking() -> Vec<&'static str> {
    vec!["files", "TCP", "signals"]
}

#[cfg(target_os = "linux")]
use linux::lacking;

#[cfg(target_os = "linux")]
mod linux {
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
        RulesetAttr, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
    };

    use super::Sandbox;

    /// The newest whose rules are known to let commands work. What a kernel has not is left out.
    const LEVEL: ABI = ABI::V7;

    /// What every program may read and execute. Not the whole of `/etc`, where services keep their secrets.
    const SYSTEM: &[&str] = &[
        "/bin",
        "/lib",
        "/lib32",
        "/lib64",
        "/libx32",
        "/sbin",
        "/usr",
        "/opt",
        "/nix/store",
        "/gnu/store",
        "/etc/alternatives",
        "/etc/ca-certificates",
        "/etc/crypto-policies",
        "/etc/fonts",
        "/etc/gai.conf",
        "/etc/group",
        "/etc/host.conf",
        "/etc/hosts",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/ld.so.preload",
        "/etc/locale.alias",
        "/etc/localtime",
        "/etc/machine-id",
        "/etc/magic",
        "/etc/mime.types",
        "/etc/nsswitch.conf",
        "/etc/os-release",
        "/etc/passwd",
        "/etc/pki/tls/certs",
        "/etc/pki/ca-trust",
        "/etc/protocols",
        "/etc/resolv.conf",
        "/etc/services",
        "/etc/ssl/certs",
        "/etc/ssl/openssl.cnf",
        "/etc/timezone",
        "/var/cache/fontconfig",
        "/proc/cpuinfo",
        "/proc/filesystems",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/sys",
        "/proc/uptime",
        "/proc/version",
        "/sys/devices/system",
        "/sys/fs/cgroup",
        "/sys/kernel/mm",
    ];

    /// What every program may read and write, without further rights.
    const DEVICES: &[&str] = &[
        "/dev/full",
        "/dev/null",
        "/dev/random",
        "/dev/urandom",
        "/dev/zero",
    ];

    pub(super) fn enforce(sandbox: &Sandbox) -> Result<(), RulesetError> {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(LEVEL))?
            .scope(Scope::from_all(LEVEL))?;
        if !sandbox.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(LEVEL))?;
        }
        let read = AccessFs::from_read(LEVEL);
        // This process stays itself when it becomes the command; its children have other folders.
        let own = format!("/proc/{}", std::process::id());
        ruleset
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, read))?
            .add_rules(path_beneath_rules([own], read))?
            .add_rules(path_beneath_rules(&sandbox.readable, read))?
            .add_rules(devices())?
            .add_rules(path_beneath_rules(
                &sandbox.writable,
                AccessFs::from_all(LEVEL),
            ))?
            .restrict_self()?;
        Ok(())
    }

    fn devices() -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
        path_beneath_rules(DEVICES, AccessFs::ReadFile | AccessFs::WriteFile)
    }

    /// In what the kernel cannot confine a command.
    pub(super) fn lacking() -> Vec<&'static str> {
        let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let files = strict().handle_access(AccessFs::from_all(ABI::V3));
        let tcp = strict().handle_access(AccessNet::from_all(LEVEL));
        let signals = strict().scope(Scope::from_all(LEVEL));
        let has = [
            ("files", files.is_ok()),
            ("TCP", tcp.is_ok()),
            ("signals", signals.is_ok()),
        ];
        let has = has.into_iter();
        has.filter_map(|(what, has)| (!has).then_some(what))
            .collect()
    }
}
