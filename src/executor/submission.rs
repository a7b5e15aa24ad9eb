//! The talk with the provider about one job. What it is about to be asked, and the task that it answers with, are
//! written down, so that a restart does not pay twice.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::Deserialize;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::App,
    domain::{Error, JobInput, Reason, job::Failure, media_id},
    entity::job,
    events::{Subject, Watcher},
    media::Limits,
    provider::{
        Output, Passage, Picture, ProgressSender, Provider, ProviderError, Registry, Submitted,
        Task, not_cancelled,
    },
    store::queue::Lease,
};

use super::{attempt_error::AttemptError, attempt_outcome::AttemptOutcome};

/// Pause before a submission or a task's id is offered to the database again.
pub(super) const NOTE_PAUSE: Duration = Duration::from_millis(500);
/// How long a provider gets to answer to a cancellation.
const CANCEL_TIME: Duration = Duration::from_secs(5);

/// A job's submission to its provider. It is made once, if the provider does not know it again, and any attempt may follow
/// its task to the end.
pub(super) struct Submission<'a> {
    pub(super) app: &'a App,
    pub(super) job: &'a job::Model,
    pub(super) lease: &'a Lease,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) passage: &'a Passage,
    /// What reading a picture may cost that the request brings.
    pub(super) limits: Limits,
    pub(super) task: Task,
    /// Rings when the service tells something of the task, even before it has named it.
    pub(super) told: Watcher,
    /// The provider's name of the task, once there is one.
    pub(super) task_id: OnceLock<String>,
}

/// A provider's task that works for a job that has ended.
pub(super) struct AbandonedTask {
    provider: Arc<dyn Provider>,
    task: Task,
    task_id: String,
}

impl<'a> Submission<'a> {
    /// Prepares the submission; an error if no provider here can run the job.
    pub(super) fn new(
        app: &'a App,
        job: &'a job::Model,
        lease: &'a Lease,
        (passage, limits): (&'a Passage, Limits),
        progress: ProgressSender,
        cancelled: CancellationToken,
    ) -> Result<Self, AttemptError> {
        let input = read_input(job)?;
        let submission_key = job.submission_key.clone();
        let submission_key = submission_key.unwrap_or_else(|| Uuid::new_v4().to_string());
        Ok(Self {
            app,
            job,
            lease,
            provider: find_provider(&app.providers, &input, job)?,
            passage,
            limits,
            task: Task {
                job_id: job.id,
                attempt: u32::try_from(job.attempt).unwrap_or(1),
                media_type: job.category,
                input,
                pictures: Vec::new(),
                webhook_url: Some(app.webhook_url(job.id, &submission_key)),
                answer: None,
                submission_key,
                progress,
                cancelled,
            },
            told: app.events.watch([Subject::Task(job.id)]),
            task_id: OnceLock::new(),
        })
    }

    /// The task to cancel, if there is one. The attempt's own token is cancelled by then, and would stop that too.
    pub(super) fn abandon(&self) -> Option<AbandonedTask> {
        let task_id = self.task_id.get()?.clone();
        Some(AbandonedTask {
            provider: self.provider.clone(),
            task: Task {
                cancelled: CancellationToken::new(),
                ..self.task.clone()
            },
            task_id,
        })
    }

    /// Whether another attempt must fetch the provider's work again rather than pay for it again.
    pub(super) fn must_keep_task(&self) -> bool {
        self.task_id.get().is_some() || !self.provider.may_resubmit()
    }

    /// Whether the provider has the task and cannot be asked for it.
    pub(super) fn is_silent(&self) -> bool {
        self.task_id.get().is_some() && !self.provider.can_be_asked()
    }

    /// Has the provider make the output; from the task that an earlier attempt left, if there is one.
    pub(super) async fn obtain_output(&self) -> Result<Output, AttemptOutcome> {
        if let Some(task_id) = &self.job.provider_task_id {
            return self.follow(task_id.clone(), Duration::ZERO).await;
        }
        if self.job.submission_key.is_some() && !self.provider.may_resubmit() {
            return self.find_lost("the attempt before was broken off").await;
        }
        if let Err(unready) = self.provider.ready() {
            return Err(self.away(unready.into()).await);
        }
        // Without another provider, who has got past the gate before it closed goes on.
        if self.passage.is_turned_away() && !self.task.input.fallbacks.is_empty() {
            let detail =
                "its last submissions have failed, or it asked to be left alone".to_owned();
            return Err(self.away(ProviderError::Unavailable(detail)).await);
        }
        if self.passage.is_trial() {
            let probed = self.provider.probe().await;
            if probed.is_err() {
                self.passage.tell(&probed);
            }
            if let Err(error) = probed {
                return Err(self.not_submitted(still_away(error)).await);
            }
        }
        let pictures = self.bring_pictures().await?;
        self.note_submission().await?;
        self.submit(pictures).await
    }

    async fn submit(&self, pictures: Vec<Picture>) -> Result<Output, AttemptOutcome> {
        let task = Task {
            pictures,
            ..self.with_links().await?
        };
        match self.passage.submit(&*self.provider, &task).await {
            Ok(Submitted::Done(output)) => Ok(output),
            Ok(Submitted::Accepted {
                task_id,
                poll_after,
            }) => self.follow(task_id, poll_after).await,
            Err(ProviderError::OutcomeUnknown(detail)) if self.provider.may_resubmit() => {
                // With the same key, by which the service knows it again.
                let unavailable = AttemptError::from(ProviderError::Unavailable(detail));
                Err(AttemptOutcome::Failed(unavailable.keeping_task()))
            }
            Err(ProviderError::OutcomeUnknown(detail)) => self.find_lost(&detail).await,
            Err(error) => Err(self.not_submitted(error).await),
        }
    }

    /// Lets the next job of the provider begin, for which this one has an output by now.
    pub(super) fn leave_provider(&self) {
        if self.passage.leave() {
            self.app.events.wake_executor();
        }
    }

    /// The end of an attempt by an error that says that the provider has no task.
    async fn not_submitted(&self, error: ProviderError) -> AttemptOutcome {
        match error {
            ProviderError::Unavailable(_)
            | ProviderError::NotReady(_)
            | ProviderError::Transient { .. } => self.away(error).await,
            error => self.failed(error),
        }
    }

    /// The next provider gets the job, if there is one; else an attempt does not count whose provider is away by now.
    async fn away(&self, error: ProviderError) -> AttemptOutcome {
        let waits = matches!(error, ProviderError::Unavailable(_));
        match self.next_input().await {
            Some(input) => {
                let mut failure = AttemptError::from(error).failure;
                let (from, to) = (&self.task.input.provider, &input.provider);
                failure.reason = Reason::ProviderUnavailable;
                failure.message =
                    format!("The generator {from:?} is away: {to:?} is asked instead.");
                tracing::warn!(from, to, "falling back");
                tracing::debug!(from, detail = failure.detail, "why it is away");
                AttemptOutcome::FellBack {
                    failure,
                    input: Box::new(input),
                }
            }
            None if waits && (self.passage.is_trial() || self.passage.is_shut()) => {
                AttemptOutcome::Stopped { keep_task: false }
            }
            None => self.failed(error),
        }
    }

    /// The input for the next provider: for one that operators have not paused, if there is one.
    async fn next_input(&self) -> Option<JobInput> {
        let input = &self.task.input;
        if input.fallbacks.is_empty() {
            return None;
        }
        let paused = self.app.paused_providers().await.unwrap_or_default();
        input.for_next_provider(|name| paused.iter().any(|paused| paused == name))
    }

    /// The task with its pictures among the media, and with links to those of the user's own, which are made now so that they
    /// hold while the provider works.
    async fn with_links(&self) -> Result<Task, AttemptOutcome> {
        let mut task = self.task.clone();
        self.prepare_links(&mut task).await?;
        let input = &mut task.input;
        for name in &input.pictures {
            let Some(value) = input.variables.get_mut(name) else {
                continue;
            };
            if let Some(id) = media_id(value) {
                let link = self.app.link_to_picture(id).await;
                *value = link
                    .map_err(|error| AttemptOutcome::Failed(gone(name, error)))?
                    .into();
            }
            if let Some(url) = value.as_str().filter(|url| !url.is_empty()) {
                input.media_urls.push(url.to_owned());
            }
        }
        Ok(task)
    }

    /// Looks for a task that may or may not have been accepted. Submitting again could pay twice.
    async fn find_lost(&self, why: &str) -> Result<Output, AttemptOutcome> {
        let key = &self.task.submission_key;
        let unknown = |why: &str| {
            let detail = format!("submission {key} has no known task: {why}");
            self.failed(ProviderError::OutcomeUnknown(detail))
        };
        match self.provider.find(&self.task).await {
            Ok(Some(task_id)) => self.follow(task_id, Duration::ZERO).await,
            Ok(None) => Err(unknown(why)),
            Err(ProviderError::Stopped) if self.task.cancelled.is_cancelled() => {
                Err(AttemptOutcome::Stopped { keep_task: true })
            }
            Err(error) => {
                let error = AttemptError::from(error).keeping_task();
                // Nobody will look again.
                if error.is_final(self.job) {
                    let detail = error.failure.detail.unwrap_or_default();
                    return Err(unknown(&format!("{why}; looking for it: {detail}")));
                }
                Err(AttemptOutcome::Failed(error))
            }
        }
    }

    /// Writes down what the provider is about to be asked, however long the database is away: an attempt that has not begun
    /// must not count. The lease ends the waiting.
    async fn note_submission(&self) -> Result<(), AttemptOutcome> {
        let (name, key) = (self.provider.name(), &self.task.submission_key);
        loop {
            match self.app.note_submission(self.lease, name, key).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(AttemptOutcome::LeaseLost),
                Err(_) if self.task.cancelled.is_cancelled() => {
                    return Err(AttemptOutcome::Stopped { keep_task: false });
                }
                Err(error) if error.is_of_database() => tokio::time::sleep(NOTE_PAUSE).await,
                Err(error) => return Err(AttemptOutcome::Failed(error.into())),
            }
        }
    }

    pub(super) fn failed(&self, error: ProviderError) -> AttemptOutcome {
        match error {
            ProviderError::Stopped if self.task.cancelled.is_cancelled() => {
                AttemptOutcome::Stopped { keep_task: false }
            }
            error => AttemptOutcome::Failed(error.into()),
        }
    }
}

/// Nothing was asked of the service but whether it answers, so the job has no part in it.
fn still_away(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Transient { detail, .. } => ProviderError::Unavailable(detail),
        error => error,
    }
}

impl AbandonedTask {
    /// Whether the job goes on without the task: it was submitted anew since, or will be.
    pub(super) fn is_forgotten_by(&self, job: &job::Model) -> bool {
        job.submission_key.as_ref() != Some(&self.task.submission_key)
    }

    /// Stops the task, so that nobody pays for what nobody waits for any more.
    pub(super) async fn cancel(self) {
        let task_id = self.task_id;
        match timeout(CANCEL_TIME, self.provider.cancel(&self.task, &task_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => not_cancelled(&task_id, &error),
            Err(_) => tracing::warn!(task_id, "the provider does not answer to a cancellation"),
        }
    }
}

/// Why the picture of a variable cannot be had. A later attempt finds one that is away, and none that is deleted.
pub(super) fn gone(variable: &str, error: Error) -> AttemptError {
    match error {
        Error::NotFound { .. } | Error::MediaContentMissing(_) => {
            let sentence = format!("The picture that {variable} names is not there any more.");
            let failure = Failure::new(Reason::ProviderRejectedInput, sentence);
            AttemptError::permanent(failure.with_detail(error.to_string()))
        }
        Error::StorageUnavailable(cause) => AttemptError::of_storage(cause.as_ref()),
        error => error.into(),
    }
}

fn read_input(job: &job::Model) -> Result<JobInput, AttemptError> {
    JobInput::deserialize(&job.input_json).map_err(|error| {
        let sentence = "The job's input cannot be read.";
        let failure = Failure::new(Reason::Internal, sentence);
        AttemptError::permanent(failure.with_detail(error.to_string()))
    })
}

fn find_provider(
    providers: &Registry,
    input: &JobInput,
    job: &job::Model,
) -> Result<Arc<dyn Provider>, AttemptError> {
    let provider = providers.get(&input.provider);
    let provider = provider.filter(|provider| provider.makes(job.category));
    provider.ok_or_else(|| {
        let (name, category) = (&input.provider, job.category.as_str());
        let sentence = format!("No generator named {name:?} makes {category} here.");
        let here: Vec<_> = providers.names().collect();
        let failure = Failure::new(Reason::ProviderNotConfigured, sentence);
        AttemptError::permanent(failure.with_detail(format!("configured: {}", here.join(", "))))
    })
}
