//! A browser with the page, and what it tells of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::server::within;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/run.mjs");

/// A browser that plays one of the scenarios of `tests/browser`; closed when this value is dropped.
pub(crate) struct Page {
    driver: Child,
    events: mpsc::UnboundedReceiver<Value>,
    /// Holds the browser's profile.
    _folder: TempDir,
}

impl Page {
    pub(crate) fn open(scenario: &str, url: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut driver = Command::new("node");
        let driver = driver.args([DRIVER, scenario, url]).stdin(Stdio::null());
        let driver = driver.env("TMPDIR", folder.path());
        let driver = driver.stdout(Stdio::piped()).spawn();
        let mut driver = driver.unwrap_or_else(|error| panic!("no node: {error}"));
        let output = driver.stdout.take().unwrap();
        let (sender, events) = mpsc::unbounded_channel();
        thread::spawn(move || pass_on(output, &sender));
        Self {
            driver,
            events,
            _folder: folder,
        }
    }

    /// The next event, which must have this name.
    pub(crate) async fn tells(&mut self, name: &str) -> Value {
        let event = within(self.events.recv()).await;
        let event = event.unwrap_or_else(|| panic!("the browser ended before {name}"));
        assert_eq!(event["event"], name, "{event}");
        event
    }

    /// Waits for the end of the scenario.
    pub(crate) async fn closes(mut self) {
        assert_eq!(within(self.events.recv()).await, None);
        assert!(self.driver.wait().unwrap().success());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // The browser ends with the driver that holds its pipe.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn pass_on(output: ChildStdout, events: &mpsc::UnboundedSender<Value>) {
    for line in BufReader::new(output).lines() {
        let event = serde_json::from_str(&line.unwrap()).unwrap();
        if events.send(event).is_err() {
            return;
        }
    }
}
