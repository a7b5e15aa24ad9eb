//! Services that work on tasks: submit, keep the id, poll, fetch, cancel. How each speaks stands in its profile, see
//! docs/providers/profiles.md.

mod auth;
mod calls;
mod form;
mod kept;
mod outputs;
mod trouble;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    Polled, Preset, Progress, Provider, ProviderError, Submitted, Task, Unfit,
    fetch::Fetcher,
    http::{Api, Effect},
};
use crate::{
    config::TaskConfig,
    domain::{
        JsonMap, MediaType,
        profile::{Definition, Filler, Meaning, Pictures},
    },
};
use kept::Kept;

/// How long a call may take, if nobody says.
const CALL_TIME: Duration = Duration::from_secs(60);

/// A service that works on tasks.
pub struct TaskService(Arc<Engine>);

struct Engine {
    name: String,
    config: TaskConfig,
    /// What is wrong with the configuration instead, which nobody could tell before.
    api: Result<Api, String>,
    /// Seconds since 1970.
    now: fn() -> i64,
    /// Words that nobody knows, by the jobs whose tasks have them, so that each is logged once.
    unknown: Mutex<BTreeSet<(i64, String)>>,
}

impl TaskService {
    /// A service as the provider of this name. `files` gets what its answers name, with the bounds of one output; `now` tells
    /// the seconds since 1970.
    pub fn new(name: String, config: TaskConfig, files: &Fetcher, now: fn() -> i64) -> Self {
        let profile = &config.profile.base;
        let mut allowed = config.allowed_origins.clone();
        if config.base_url.is_none() {
            allowed.extend_from_slice(&profile.allowed_origins);
        }
        let base = config.base_url.clone().or_else(|| profile.base_url.clone());
        let api = base.ok_or_else(|| "it has no base_url".to_owned());
        let timeout = config.timeout.unwrap_or(CALL_TIME);
        let api = api.and_then(|base| Api::new(base, HeaderMap::new(), timeout, files));
        let api = api.map(|api| api.allowing(&allowed));
        Self(Arc::new(Engine {
            name,
            config,
            api,
            now,
            unknown: Mutex::default(),
        }))
    }
}

#[async_trait]
impl Provider for TaskService {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        let config = &self.0.config;
        match config.makes.as_slice() {
            [] => config.profile.base.makes.contains(&media_type),
            makes => makes.contains(&media_type),
        }
    }

    fn may_resubmit(&self) -> bool {
        self.0.config.repeatable
    }

    fn ready(&self) -> Result<(), String> {
        let api = self.0.api.as_ref();
        api.map_err(Clone::clone)?;
        self.0.credentials().map(|_| ())
    }

    fn check_feature(
        &self,
        media_type: MediaType,
        model: Option<&str>,
        _settings: &JsonMap,
    ) -> Vec<Unfit> {
        let config = &self.0.config;
        let path = config.profile.of(media_type).submit.path.as_ref();
        let named = model.is_some() || config.model.is_some();
        let lacks = !named && path.is_some_and(|path| path.names("model"));
        let unfit = Unfit {
            key: "model".to_owned(),
            of_variable: false,
            expected: "the name of a model, since the provider has none of its own".to_owned(),
        };
        lacks.then_some(unfit).into_iter().collect()
    }

    async fn probe(&self) -> Result<(), ProviderError> {
        self.0.probe().await
    }

    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        let submit = &self.0.config.profile.of(preset.media_type).submit;
        let names: &[&str] = match input {
            "user_prompt" => &["prompt", "user_prompt", "instructed_prompt"],
            "user_media_urls" => &["media_urls"],
            input => &[input],
        };
        names.iter().any(|name| {
            submit.path.as_ref().is_some_and(|it| it.names(name))
                || submit.body.as_ref().is_some_and(|it| it.names(name))
        })
    }

    fn takes_pictures(&self, media_type: MediaType) -> bool {
        self.0.config.profile.of(media_type).pictures != Pictures::Links
    }

    /// The call goes on when nobody waits for its answer any more, so that a task that nobody would know of is cancelled.
    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let (engine, owned) = (self.0.clone(), task.clone());
        let waits = self.0.config.profile.of(task.media_type).submit.waits;
        let (mut answer, answered) = oneshot::channel();
        let call = async move {
            let submission = engine.submit(&owned);
            if waits {
                tokio::select! {
                    submitted = submission => { let _ = answer.send(submitted); }
                    () = answer.closed() => engine.give_up(&owned, &Kept::default()).await,
                }
            } else if let Err(Ok(Submitted::Accepted { task_id, .. })) =
                answer.send(submission.await)
            {
                engine.give_up(&owned, &Kept::read(&task_id)).await;
            }
        };
        tokio::spawn(call.in_current_span());
        let lost = || ProviderError::OutcomeUnknown("the call was broken off".to_owned());
        if !waits {
            return answered.await.unwrap_or_else(|_| Err(lost()));
        }
        tokio::select! {
            submitted = answered => submitted.unwrap_or_else(|_| Err(lost())),
            () = task.cancelled.cancelled() => match self.0.cancel(task, &Kept::default()).await {
                Ok(true) => Err(ProviderError::Stopped),
                Ok(false) | Err(_) => Err(lost()),
            },
        }
    }

    async fn poll(&self, task: &Task, task_id: &str) -> Result<Polled, ProviderError> {
        let polled = self.0.poll(task, &Kept::read(task_id)).await;
        if matches!(polled, Ok(Polled::Done(_) | Polled::Failed(_))) {
            self.0
                .unknown_words()
                .retain(|(job, _)| *job != task.job_id);
        }
        polled
    }

    async fn cancel(&self, task: &Task, task_id: &str) -> Result<(), ProviderError> {
        self.0.cancel(task, &Kept::read(task_id)).await.map(|_| ())
    }
}

impl Engine {
    fn definition(&self, task: &Task) -> &Definition {
        self.config.profile.of(task.media_type)
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let definition = self.definition(task);
        let submit = &definition.submit;
        let values = self.values(task)?;
        let unfilled =
            |wrong: String| ProviderError::Failed(format!("the call cannot be filled in: {wrong}"));
        let mut body = match &submit.body {
            Some(body) => body.fill(&values).map_err(unfilled)?,
            None => Value::Null,
        };
        calls::merge_settings(&mut body, &submit.settings, &task.input);
        let url = self.address(&submit.call(), &values, None)?;
        let timeout = self.config.timeout.unwrap_or(submit.timeout);
        let body = match submit.form {
            true => calls::Sent::Form(body, &submit.files),
            false => calls::Sent::Json(body),
        };
        let told = self
            .send(&submit.call(), url, Some(body), Effect::Pays, timeout)
            .await?;
        if submit.waits {
            let answer = trouble::accepted(&definition.errors, &told, Effect::Pays)?;
            let ended = self.ended(task, &values, &Kept::default(), &answer).await;
            match ended {
                Ok(Polled::Done(output)) => return Ok(Submitted::Done(output)),
                Ok(Polled::Failed(error)) => return Err(error),
                // Submitting again would have the work done again.
                Err(error) => return Err(ProviderError::Failed(error.to_string())),
                Ok(Polled::Running { .. }) => {}
            }
        }
        let answer = trouble::read(&definition.errors, &told, Effect::Pays)?;
        let Some(id) = submit.id.text(&answer) else {
            return Err(
                trouble::of_task(&definition.errors, &answer, None).unwrap_or_else(|| {
                    ProviderError::OutcomeUnknown(format!(
                        "the answer names no task: {}",
                        trouble::shown(&told.body)
                    ))
                }),
            );
        };
        let address = |url| calls::address_in(url, &answer);
        let kept = Kept {
            id,
            poll: address(&definition.poll.url),
            result: address(&definition.result.url),
            cancel: definition
                .cancel
                .as_ref()
                .and_then(|cancel| address(&cancel.url)),
        };
        Ok(Submitted::Accepted {
            task_id: kept.write(),
            poll_after: self.pause(definition),
        })
    }

    async fn poll(&self, task: &Task, kept: &Kept) -> Result<Polled, ProviderError> {
        let definition = self.definition(task);
        let values = self.values(task)?.with("task_id", kept.id.as_str());
        let call = definition.poll.call();
        let url = self.address(&call, &values, kept.poll.as_deref())?;
        let told = self.ask(&call, url, &values).await?;
        if matches!(told.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            let words = trouble::shown(&told.body);
            return Ok(gone(&format!("status {}: {words}", told.status.as_u16())));
        }
        let answer = trouble::accepted(&definition.errors, &told, Effect::Asks)?;
        if definition.poll.status.text(&answer).is_none() {
            trouble::read(&definition.errors, &told, Effect::Asks)?;
        }
        self.ended(task, &values, kept, &answer).await
    }

    /// What an answer about the task means.
    async fn ended(
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
            Meaning::Expired => Ok(gone(&told())),
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
            if self.unknown_words().insert((task.job_id, word.to_owned())) {
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

    fn pause(&self, definition: &Definition) -> Duration {
        self.config.poll_every.unwrap_or(definition.poll.every)
    }

    /// Whether the service says that it stops the task, or has ended it.
    async fn cancel(&self, task: &Task, kept: &Kept) -> Result<bool, ProviderError> {
        let Some(cancel) = &self.definition(task).cancel else {
            return Ok(false);
        };
        let values = self.values(task)?.with("task_id", kept.id.as_str());
        let url = self.address(&cancel.call(), &values, kept.cancel.as_deref())?;
        let told = self.ask(&cancel.call(), url, &values).await?;
        let ended = matches!(told.status.as_u16(), 400 | 404 | 409 | 410);
        match told.status.is_success() || ended {
            true => Ok(told.status.is_success()),
            false => Err(ProviderError::Failed(trouble::shown(&told.body))),
        }
    }

    async fn give_up(&self, task: &Task, kept: &Kept) {
        if let Err(error) = self.cancel(task, kept).await {
            let task_id = kept.id.as_str();
            tracing::warn!(task_id, %error, "cannot cancel the provider's task");
        }
    }

    async fn probe(&self) -> Result<(), ProviderError> {
        let definition = &self.config.profile.base;
        let Some(probe) = &definition.probe else {
            return Ok(());
        };
        let values = Filler::default();
        let url = self.address(&probe.call(), &values, None)?;
        let told = self.ask(&probe.call(), url, &values).await?;
        let answer = trouble::read(&definition.errors, &told, Effect::Asks)?;
        match probe.status.text(&answer) {
            Some(word) if !probe.ready.contains(&word) => {
                Err(ProviderError::NotReady(format!("it says {word:?}")))
            }
            _ => Ok(()),
        }
    }

    fn unknown_words(&self) -> std::sync::MutexGuard<'_, BTreeSet<(i64, String)>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gone(words: &str) -> Polled {
    Polled::Failed(ProviderError::Failed(format!(
        "the service does not have the task any more: {words}"
    )))
}
