//! What the scripted provider is told to do, and what it tells of what it did.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atelier::config::{Config, ProviderConfig, ScriptedConfig};
use prost_types::Struct;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::server::within;
use crate::support::structure::structure;

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Adds the scripted provider, as `scripted`.
pub(crate) fn add_scripted(config: &mut Config) {
    let scripted = ScriptedConfig {
        folder: std::env::temp_dir(),
        pictures: false,
        limits: Default::default(),
    };
    config
        .providers
        .insert("scripted".to_owned(), ProviderConfig::Scripted(scripted));
}

/// The same as settings of the command line.
pub(crate) fn scripted_settings() -> [String; 2] {
    let folder = std::env::temp_dir();
    [
        "providers.scripted.kind=scripted".to_owned(),
        format!("providers.scripted.folder={}", folder.display()),
    ]
}

/// The behaviour of one job or several, which must not outlive it, with a record of the calls and, if asked for, a gate that holds attempts up.
pub(crate) struct Script {
    folder: TempDir,
    steps: Vec<&'static str>,
    gated: bool,
    task: bool,
    resubmit: bool,
    deliver: Option<PathBuf>,
}

/// One call of the provider, as its record tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub name: String,
    pub job: i64,
    pub attempt: u32,
    pub process: u32,
    /// The submission key.
    pub key: String,
}

impl Script {
    /// One step for each attempt; the last counts for all that follow. None: succeed.
    pub(crate) fn new(steps: &[&'static str]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            steps: steps.to_vec(),
            gated: false,
            task: false,
            resubmit: false,
            deliver: None,
        }
    }

    /// Attempts that succeed deliver this file.
    pub(crate) fn delivering(file: &Path) -> Self {
        Self {
            deliver: Some(file.to_owned()),
            ..Self::new(&[])
        }
    }

    /// Every attempt waits until [`Self::open_gate`].
    pub(crate) fn gated(mut self) -> Self {
        self.gated = true;
        self
    }

    /// Work is accepted and polled for instead of done at once.
    pub(crate) fn with_task(mut self) -> Self {
        self.task = true;
        self
    }

    /// The provider finds a submission again whose answer got lost.
    pub(crate) fn findable(mut self) -> Self {
        self.resubmit = true;
        self
    }

    pub(crate) fn open_gate(&self) {
        fs::write(self.folder.path().join("gate"), "").unwrap();
    }

    /// What `input.extra` of a request must be.
    pub(crate) fn extra(&self) -> Struct {
        structure(&self.json())
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> Value {
        let mut script = json!({
            "steps": self.steps,
            "record": self.folder.path().join("record"),
            "task": self.task,
            "resubmit": self.resubmit,
            "deliver": self.deliver,
        });
        if self.gated {
            script["wait_for"] = json!(self.folder.path().join("gate"));
        }
        json!({ "scripted": script })
    }

    /// All calls so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let record = fs::read_to_string(self.folder.path().join("record")).unwrap_or_default();
        // A line that another process is just writing does not count yet.
        let complete = record.rsplit_once('\n').map_or("", |(lines, _)| lines);
        complete.lines().map(Call::parse).collect()
    }

    pub(crate) fn calls_of(&self, name: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.name == name);
        calls
    }

    /// The jobs of which there was such a call.
    pub(crate) fn jobs_with(&self, name: &str) -> BTreeSet<i64> {
        self.calls_of(name).iter().map(|call| call.job).collect()
    }

    /// Waits until the calls are as `enough` says. A file gives no signal, so it is read again and again.
    pub(crate) async fn wait_until(&self, enough: impl Fn(&[Call]) -> bool) {
        within(async {
            while !enough(&self.calls()) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// Waits until this many jobs have been submitted.
    pub(crate) async fn wait_until_submitted(&self, jobs: usize) {
        self.wait_until(|calls| {
            let submitted = calls.iter().filter(|call| call.name == "submit");
            submitted
                .map(|call| call.job)
                .collect::<BTreeSet<_>>()
                .len()
                >= jobs
        })
        .await;
    }
}

impl Call {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, job, attempt, process, key] = words[..] else {
            panic!("not a line of the record: {line:?}");
        };
        Self {
            name: name.to_owned(),
            job: job.parse().unwrap(),
            attempt: attempt.parse().unwrap(),
            process: process.parse().unwrap(),
            key: key.to_owned(),
        }
    }
}
