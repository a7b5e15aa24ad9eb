//! A provider for tests that behaves as the job's input tells it: `extra.scripted` of the request.
//!
//! There is none unless it is configured, with the folder that holds every file that a request may name.

use std::{
    fs::OpenOptions,
    io::Write,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use codec::Format;
use serde::Deserialize;

use crate::{
    config::ScriptedConfig,
    domain::{JsonMap, MediaType},
};

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
pub struct Scripted {
    name: String,
    folder: PathBuf,
    pictures: bool,
}

impl Scripted {
    /// The provider of this name.
    pub fn new(name: String, config: ScriptedConfig) -> Self {
        Self {
            name,
            folder: config.folder,
            pictures: config.pictures,
        }
    }

    fn script(&self, task: &Task) -> Result<Script, ProviderError> {
        let Some(script) = task.input.extra.get("scripted") else {
            return Ok(Script::default());
        };
        let refused = |error| ProviderError::InvalidInput(format!("extra.scripted: {error}"));
        let mut script: Script =
            serde_json::from_value(script.clone()).map_err(|error| refused(error.to_string()))?;
        let files = [
            &mut script.wait_for,
            &mut script.record,
            &mut script.deliver,
        ];
        for file in files.into_iter().flatten() {
            *file = self.confined(file).map_err(refused)?;
        }
        Ok(script)
    }

    fn confined(&self, file: &Path) -> Result<PathBuf, String> {
        let path = self.folder.join(file);
        let leads_out = file.components().any(|part| part == Component::ParentDir);
        if leads_out || !path.starts_with(&self.folder) {
            return Err(format!(
                "{} is not in the provider's folder",
                file.display()
            ));
        }
        Ok(path)
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, _: MediaType) -> bool {
        true
    }

    fn may_resubmit(&self) -> bool {
        false
    }

    fn takes_pictures(&self, _: MediaType) -> bool {
        self.pictures
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let script = self.script(task)?;
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
        let script = self.script(task)?;
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
        let script = self.script(task)?;
        script.record("find", task)?;
        Ok(script
            .resubmit
            .then(|| format!("task-{}", task.submission_key)))
    }

    async fn cancel(&self, task: &Task, _: &str) -> Result<(), ProviderError> {
        self.script(task)?.record("cancel", task)
    }
}

impl Script {
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
        if self.wait_for.is_none() {
            return Ok(());
        }
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
                None => Ok(brought(task).unwrap_or_else(|| pictures(task, 1))),
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
        ..Output::default()
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

/// The first picture that the request brings.
fn brought(task: &Task) -> Option<Output> {
    let picture = task.pictures.first()?;
    Some(output(vec![file(task, picture.content.clone())]))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_in_the_folder_of_the_provider() {
        let folder = PathBuf::from("/srv/scripts");
        let scripted = Scripted::new(
            "scripted".to_owned(),
            ScriptedConfig {
                folder,
                pictures: false,
                limits: Default::default(),
            },
        );
        for inside in ["gate", "/srv/scripts/a/gate"] {
            let path = scripted.confined(Path::new(inside)).unwrap();
            assert!(path.ends_with("gate") && path.starts_with("/srv/scripts"));
        }
        for outside in [
            "/etc/passwd",
            "../gate",
            "/srv/scripts/../gate",
            "/srv/scripts2/gate",
        ] {
            assert!(scripted.confined(Path::new(outside)).is_err(), "{outside}");
        }
    }
}
