//! Asking how a task is, and what the answer means.

use reqwest::StatusCode;
use serde_json::Value;

use super::{Engine, calls, kept::Kept, trouble};
use crate::{
    domain::profile::{Definition, Filler, Meaning},
    provider::{Polled, Progress, ProviderError, Task, http::Effect},
};

impl Engine {
    pub(super) async fn poll(&self, task: &Task, kept: &Kept) -> Result<Polled, ProviderError> {
        let definition = self.definition(task);
        let values = self.values(task)?.with("task_id", kept.id.as_str());
        if self.is_only_told() {
            let Some(answer) = &task.answer else {
                return Ok(self.running(task, &Value::Null, "working"));
            };
            let answer = serde_json::from_slice(answer).unwrap_or_default();
            return self.ended(task, &values, kept, &answer).await;
        }
        let call = definition.poll.call();
        let url = self.address(&call, &values, kept.poll.as_deref())?;
        let told = self.ask(&call, url, &values).await?;
        if matches!(told.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            let words = trouble::shown(&told.body);
            // It may not know it yet.
            let words = gone(&format!("status {}: {words}", told.status.as_u16()));
            return Err(ProviderError::Failed(words));
        }
        let answer = trouble::accepted(&definition.errors, &told, Effect::Asks)?;
        if definition.poll.status.text(&answer).is_none() {
            trouble::read(&definition.errors, &told, Effect::Asks)?;
        }
        self.ended(task, &values, kept, &answer).await
    }

    /// What an answer about the task means.
    pub(super) async fn ended(
        &self,
        task: &Task,
        values: &Filler,
        kept: &Kept,
        answer: &Value,
    ) -> Result<Polled, ProviderError> {
        let definition = self.definition(task);
        let poll = &definition.poll;
        let word = poll.status.text(answer).unwrap_or_default();
        let told = || format!("{word:?}: {}", trouble::words(&definition.errors, answer));
        let failed = |error| Ok(Polled::Failed(error));
        match self.meaning(task, definition, &word) {
            Meaning::Done => self.output(task, values, kept, answer).await,
            Meaning::Waiting => Ok(self.running(task, answer, "waiting")),
            Meaning::Running => Ok(self.running(task, answer, "working")),
            Meaning::Failed => failed(
                trouble::of_task(&definition.errors, answer, None)
                    .unwrap_or_else(|| ProviderError::Failed(told())),
            ),
            Meaning::Rejected => failed(ProviderError::Rejected(told())),
            Meaning::Expired => failed(ProviderError::Failed(gone(&told()))),
            Meaning::Cancelled => failed(ProviderError::Failed(format!(
                "cancelled at the service, {}",
                told()
            ))),
            Meaning::Again => failed(ProviderError::Transient {
                detail: told(),
                retry_after: None,
            }),
        }
    }

    fn meaning(&self, task: &Task, definition: &Definition, word: &str) -> Meaning {
        if definition.poll.status.is_empty() {
            return Meaning::Done;
        }
        definition.poll.meaning(word).unwrap_or_else(|| {
            // No word at all says nothing that a profile could know.
            if !word.is_empty() && self.unknown_words().insert((task.job_id, word.to_owned())) {
                let (job_id, provider) = (task.job_id, self.name.as_str());
                tracing::warn!(
                    job_id,
                    provider,
                    word,
                    "the service says a word that its profile does not know"
                );
            }
            Meaning::Running
        })
    }

    fn running(&self, task: &Task, answer: &Value, doing: &str) -> Polled {
        let definition = self.definition(task);
        let progress = definition.poll.progress.as_ref();
        let share = progress.and_then(|it| Some(calls::number(it.at.first(answer)?)? / it.of));
        let position = definition.poll.queue.text(answer);
        task.progress.send(Progress {
            fraction: share.unwrap_or(0.0),
            message: match position {
                Some(position) if doing == "waiting" => {
                    format!("waiting, position {position} in the queue")
                }
                _ => doing.to_owned(),
            },
            preview: None,
        });
        Polled::Running {
            poll_after: self.pause(definition),
        }
    }
}

fn gone(words: &str) -> String {
    format!("the service does not have the task any more: {words}")
}
