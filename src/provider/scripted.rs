//! A provider for tests that behaves as the job's input tells it: `extra.scripted` of the request.
//!
//! It is off unless `providers.scripted` is set, because it touches the files that a request names.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use codec::Format;
use serde::Deserialize;

use crate::domain::{JsonMap, MediaType};

use super::{
    Content, Output, OutputFile, Polled, Progress, Provider, ProviderError, Submitted, Task,
};

const LOOK_AGAIN: Duration = Duration::from_millis(10);
const SIDE: u32 = 64;

/// What to do, and when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Script {
    /// What each attempt does; the last one counts for all that follow. Empty: succeed.
    steps: Vec<Step>,
    /// An attempt goes on only once this file exists.
    wait_for: Option<PathBuf>,
    /// Each call appends a line to this file: its name, the job, the attempt, the process, the submission key.
    record: Option<PathBuf>,
    /// Work is accepted and polled for instead of done at once.
    task: bool,
    /// A submission may be repeated.
    resubmit: bool,
    /// The output of attempts that succeed, instead of a picture.
    deliver: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// One picture, or the file to deliver.
    Succeed,
    /// Three pictures.
    Several,
    /// No output.
    Nothing,
    /// A file that is no media.
    Garbage,
    /// A fault that passes.
    Transient,
    /// A rate limit that asks for an hour.
    RateLimit,
    /// A fault that stays.
    Fail,
    /// Refused by the content policy.
    Reject,
    /// Refused input.
    InvalidInput,
    /// Not reachable.
    Unavailable,
    /// The submission's answer got lost.
    Ambiguous,
    /// Never ends by itself.
    Hang,
    /// A defect of the provider.
    Panic,
}

/// The provider that misbehaves on demand.
pub struct Scripted;

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn makes(&self, _: MediaType) -> bool {
        true
    }

    fn may_resubmit(&self) -> bool {
        false
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let script = Script::of(task)?;
        script.record("submit", task)?;
        if script.task {
            return match script.step(task) {
                Step::Ambiguous => Err(ProviderError::OutcomeUnknown(
                    "the connection broke".to_owned(),
                )),
                Step::Unavailable => {
                    Err(ProviderError::Unavailable("connection refused".to_owned()))
                }
                _ => Ok(Submitted::Accepted {
                    task_id: format!("task-{}", task.submission_key),
                    poll_after: LOOK_AGAIN,
                }),
            };
        }
        script.wait(task).await?;
        let output = script.act(task).await?;
        script.record("done", task)?;
        Ok(Submitted::Done(output))
    }

    async fn poll(&self, task: &Task, _: &str) -> Result<Polled, ProviderError> {
        let script = Script::of(task)?;
        script.record("poll", task)?;
        if script.wait_for.as_ref().is_some_and(|file| !file.exists()) {
            return Ok(Polled::Running {
                poll_after: LOOK_AGAIN,
            });
        }
        Ok(match script.act(task).await {
            Ok(output) => Polled::Done(output),
            Err(error) => Polled::Failed(error),
        })
    }

    async fn find(&self, task: &Task) -> Result<Option<String>, ProviderError> {
        let script = Script::of(task)?;
        script.record("find", task)?;
        Ok(script
            .resubmit
            .then(|| format!("task-{}", task.submission_key)))
    }

    async fn cancel(&self, task: &Task, _: &str) -> Result<(), ProviderError> {
        Script::of(task)?.record("cancel", task)
    }
}

impl Script {
    fn of(task: &Task) -> Result<Self, ProviderError> {
        let Some(script) = task.input.extra.get("scripted") else {
            return Ok(Self::default());
        };
        serde_json::from_value(script.clone())
            .map_err(|error| ProviderError::InvalidInput(format!("extra.scripted: {error}")))
    }

    fn step(&self, task: &Task) -> Step {
        let index = usize::try_from(task.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        self.steps
            .get(index)
            .or(self.steps.last())
            .copied()
            .unwrap_or(Step::Succeed)
    }

    fn record(&self, call: &str, task: &Task) -> Result<(), ProviderError> {
        let Some(path) = &self.record else {
            return Ok(());
        };
        let line = format!(
            "{call} {} {} {} {}\n",
            task.job_id,
            task.attempt,
            std::process::id(),
            task.submission_key
        );
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| ProviderError::Failed(format!("{}: {error}", path.display())))
    }

    async fn wait(&self, task: &Task) -> Result<(), ProviderError> {
        task.progress.send(Progress {
            fraction: 0.5,
            message: "waiting".to_owned(),
            preview: picture(200),
        });
        while self.wait_for.as_ref().is_some_and(|file| !file.exists()) {
            tokio::select! {
                () = task.cancelled.cancelled() => return Err(ProviderError::Stopped),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        Ok(())
    }

    async fn act(&self, task: &Task) -> Result<Output, ProviderError> {
        let words = "the script says so".to_owned();
        match self.step(task) {
            Step::Succeed => match &self.deliver {
                Some(path) => delivery(task, path).await,
                None => Ok(pictures(task, 1)),
            },
            Step::Several => Ok(pictures(task, 3)),
            Step::Nothing => Ok(Output::default()),
            Step::Garbage => Ok(output(vec![file(
                task,
                Bytes::from_static(b"<html>no picture</html>"),
            )])),
            Step::Transient => Err(ProviderError::Transient {
                detail: words,
                retry_after: None,
            }),
            Step::RateLimit => Err(ProviderError::Transient {
                detail: words,
                retry_after: Some(Duration::from_secs(3_600)),
            }),
            Step::Fail => Err(ProviderError::Failed(words)),
            Step::Reject => Err(ProviderError::Rejected(words)),
            Step::InvalidInput => Err(ProviderError::InvalidInput(words)),
            Step::Unavailable => Err(ProviderError::Unavailable(words)),
            Step::Ambiguous => Err(ProviderError::OutcomeUnknown(words)),
            Step::Hang => {
                task.cancelled.cancelled().await;
                Err(ProviderError::Stopped)
            }
            Step::Panic => panic!("{words}"),
        }
    }
}

fn output(files: Vec<OutputFile>) -> Output {
    Output {
        files,
        metadata: JsonMap::new(),
    }
}

fn file(task: &Task, content: Bytes) -> OutputFile {
    OutputFile {
        content: Content::Memory(content),
        seed: Some(task.input.seed),
        metadata: JsonMap::new(),
    }
}

async fn delivery(task: &Task, path: &Path) -> Result<Output, ProviderError> {
    let content = tokio::fs::read(path).await;
    let content =
        content.map_err(|error| ProviderError::Failed(format!("{}: {error}", path.display())))?;
    Ok(output(vec![file(task, content.into())]))
}

fn pictures(task: &Task, count: u8) -> Output {
    let files = (0..count)
        .filter_map(|shade| picture(shade * 60))
        .map(|content| file(task, content));
    output(files.collect())
}

fn picture(shade: u8) -> Option<Bytes> {
    let picture = image::RgbImage::from_pixel(SIDE, SIDE, image::Rgb([shade, 120, 200]));
    codec::picture::encode(&picture, Format::Png).ok()
}
