//! Services that work on tasks: submit, keep the id, poll, fetch, cancel. How each speaks stands in its profile, see
//! docs/providers/profiles.md.

mod auth;
mod calls;
mod check;
mod form;
mod kept;
mod outputs;
mod poll;
mod trouble;
mod webhook;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    Forged, Lack, Polled, Preset, Probed, Provider, ProviderError, Submitted, Task, Told, Unfit,
    Unready, WebhookCall,
    fetch::Fetcher,
    http::{Api, Effect},
    not_cancelled,
};
use crate::{
    config::TaskConfig,
    domain::{
        JsonMap, MediaType,
        profile::{Definition, Filler, Pictures},
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
    api: Result<Api, Unready>,
    /// Seconds since 1970.
    now: fn() -> i64,
    /// Words that nobody knows, by the jobs whose tasks have them, so that each is logged once.
    unknown: Mutex<BTreeSet<(i64, String)>>,
    /// Those that the service signs its calls with.
    keys: webhook::Keys,
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
        let api = api.map_err(Unready::configuration);
        Self(Arc::new(Engine {
            name,
            config,
            api,
            now,
            unknown: Mutex::default(),
            keys: webhook::Keys::default(),
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

    fn ready(&self) -> Result<(), Unready> {
        let api = self.0.api.as_ref().map_err(Clone::clone)?;
        let (config, profile) = (&self.0.config, &self.0.config.profile.base);
        // Elsewhere there may be nobody who asks for one.
        if profile.auth.is_some() && config.api_key.is_none() && config.base_url.is_none() {
            return Err(Unready::configuration("its api_key is not set"));
        }
        let call = auth::Signed {
            method: "GET",
            url: api.base(),
            body: &[],
        };
        let credentials = self.0.credentials(&call);
        credentials.map(drop).map_err(Unready::configuration)
    }

    fn check(&self, preset: Preset<'_>, _: &JsonMap) -> Vec<Unfit> {
        self.0.check(preset)
    }

    fn can_be_probed(&self) -> bool {
        self.0.config.profile.base.probe.is_some()
    }

    async fn probe(&self) -> Result<Probed, ProviderError> {
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

    fn can_be_asked(&self) -> bool {
        !self.0.is_only_told()
    }

    async fn recognise(&self, call: &WebhookCall) -> Result<Told, Forged> {
        self.0.recognise(call).await
    }

    /// The call goes on when nobody waits for its answer any more, so that a task that nobody would know of is cancelled.
    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let (engine, owned) = (self.0.clone(), task.clone());
        let waits = self.0.waits(self.0.definition(task));
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
    pub(super) fn definition(&self, task: &Task) -> &Definition {
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
        if self.waits(definition) {
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

    /// Whether the answer to a submission comes when the work is done.
    fn waits(&self, definition: &Definition) -> bool {
        definition.submit.waits && !self.is_only_told()
    }

    /// Whether only the service's calls tell how a task is.
    pub(super) fn is_only_told(&self) -> bool {
        self.webhook().is_some_and(|webhook| webhook.answers)
    }

    pub(super) fn pause(&self, definition: &Definition) -> Duration {
        let every = self.webhook().map_or(definition.poll.every, |it| it.every);
        self.config.poll_every.unwrap_or(every)
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
            not_cancelled(kept.id.as_str(), &error);
        }
    }

    async fn probe(&self) -> Result<Probed, ProviderError> {
        let definition = &self.config.profile.base;
        let Some(probe) = &definition.probe else {
            return Ok(Probed::Unsure);
        };
        let values = Filler::default();
        let url = self.address(&probe.call(), &values, None)?;
        let told = self.ask(&probe.call(), url, &values).await?;
        let answer = trouble::read(&definition.errors, &told, Effect::Asks)?;
        match probe.status.text(&answer) {
            Some(word) if !probe.ready.contains(&word) => Err(ProviderError::NotReady(Unready {
                lack: Lack::Service,
                detail: format!("it says {word:?}"),
            })),
            _ => Ok(Probed::Ready),
        }
    }

    pub(super) fn unknown_words(&self) -> std::sync::MutexGuard<'_, BTreeSet<(i64, String)>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
