//! The programs of `examples/node`, while they run.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use tokio::sync::mpsc;

use crate::support::server::within;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/node");

/// A program that runs; killed when this value is dropped.
pub(crate) struct Node {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Node {
    /// What the program says comes line by line, its errors among it.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        // Both in one pipe, so in the order in which they were said.
        command.args(["-c", "exec node \"$@\" 2>&1", "sh", program]);
        command
            .args(arguments)
            .current_dir(EXAMPLES)
            .stdin(Stdio::null());
        // What a shell has set must not lead the calls past the test's server.
        for proxy in ["grpc_proxy", "http_proxy", "https_proxy"] {
            command.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// All lines until one that begins so, with it. A program that ends before has failed: `scripts/web` installs what it needs.
    pub(crate) async fn until(&mut self, beginning: &str) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(line) = within(self.lines.recv()).await {
            said.push(line);
            if said.last().unwrap().starts_with(beginning) {
                return said;
            }
        }
        panic!("it ended before {beginning}, after: {said:#?} (have you run scripts/web?)");
    }

    /// Whether it succeeded, and what else it said.
    pub(crate) async fn ends(mut self) -> (bool, Vec<String>) {
        let mut said = Vec::new();
        while let Some(line) = within(self.lines.recv()).await {
            said.push(line);
        }
        (self.child.wait().unwrap().success(), said)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
