//! A server in a process of its own, so that what it takes can be told from what its clients do.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::service::Service;

/// It ends when this is dropped.
pub(crate) struct Replica {
    child: Child,
    pub url: String,
}

impl Replica {
    /// One that answers clients, and lets as many watch as there may ever be.
    pub(crate) fn start(service: &Service) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.args(["--config", "/dev/null", "serve", "--role", "api"]);
        for setting in service.settings() {
            command.args(["--set", &setting]);
        }
        let command = command.env_clear().stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ");
        let url = url.expect("the server listens").to_owned();
        Self { child, url }
    }

    /// What of it is in memory, in KiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = resident.unwrap().trim().strip_suffix(" kB").unwrap();
        figure.parse().unwrap()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
