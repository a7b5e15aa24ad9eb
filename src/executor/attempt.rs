use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    app::StoredOutput,
    domain::{JobInput, JsonMap, Reason, Recipe, job::Failure},
    entity::job,
    provider::{Output, Polled, ProgressSender, Provider, ProviderError, Submitted, Task, clean},
    store::queue::{self, Lease},
};

use super::{
    Executor,
    failure::Mishap,
    ingest::{Ingested, Intake},
    spool::Spooled,
    stopwatch::Stopwatch,
};

/// How often asking a provider may fail in a row before the attempt gives up.
const POLL_FAILURES: u32 = 5;
/// Bounds of the pause between two polls, whatever the provider says.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// Pauses between the tries to take in an output while the processor is too busy for it.
const INGEST_PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// How many probe intervals lie at most between two tries to store an output.
const LONGEST_STORE_PAUSE: u32 = 12;
/// Pause before a submission or a task's id is offered to the database again.
const NOTE_PAUSE: Duration = Duration::from_millis(500);

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Made {
        outputs: Vec<StoredOutput>,
        metadata: JsonMap,
    },
    Missed(Mishap),
    /// It stopped because it was asked to. `keep_task`: the provider works on.
    Stopped {
        keep_task: bool,
    },
    /// Another worker has the job now.
    LeaseLost,
    /// The database refuses what is to be recorded.
    Unrecordable,
}

impl Outcome {
    /// How much is stored of what was made; `None` if nothing was.
    pub(super) fn bytes(&self) -> Option<u64> {
        let Self::Made { outputs, .. } = self else {
            return None;
        };
        let files = outputs
            .iter()
            .flat_map(|output| output.derived.iter().chain([&output.file]));
        Some(files.map(|file| file.inspected.facts.file_size).sum())
    }
}

/// A provider's task that works for a job that has ended.
pub(super) struct Abandoned {
    pub(super) provider: Arc<dyn Provider>,
    pub(super) task: Task,
    pub(super) task_id: String,
}

/// One run of a job by a provider.
pub(super) struct Attempt<'a> {
    pub(super) executor: &'a Executor,
    pub(super) job: &'a job::Model,
    pub(super) lease: &'a Lease,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) task: Task,
    /// The provider's name of the task, once there is one.
    pub(super) task_id: OnceLock<String>,
    pub(super) stopwatch: Stopwatch,
}

impl<'a> Attempt<'a> {
    /// Prepares the attempt; a mishap if no provider here can run the job.
    pub(super) fn new(
        executor: &'a Executor,
        job: &'a job::Model,
        lease: &'a Lease,
        progress: ProgressSender,
    ) -> Result<Self, Mishap> {
        let input: JobInput = serde_json::from_value(job.input_json.clone()).map_err(|error| {
            let sentence = "The job's input cannot be read.";
            Mishap::lasting(Failure::new(Reason::Internal, sentence).with_detail(error.to_string()))
        })?;
        let provider = executor
            .app
            .providers
            .get(&input.provider)
            .filter(|provider| provider.makes(job.category));
        let provider = provider.ok_or_else(|| {
            let (name, category) = (&input.provider, job.category.as_str());
            let sentence = format!("No generator named {name:?} makes {category} here.");
            let here: Vec<_> = executor.app.providers.names().collect();
            let failure = Failure::new(Reason::ProviderNotConfigured, sentence);
            Mishap::lasting(failure.with_detail(format!("configured: {}", here.join(", "))))
        })?;
        let submission_key = job.submission_key.clone();
        Ok(Self {
            executor,
            job,
            lease,
            provider,
            task: Task {
                job_id: job.id,
                attempt: u32::try_from(job.attempt).unwrap_or(1),
                media_type: job.category,
                input,
                submission_key: submission_key.unwrap_or_else(|| Uuid::new_v4().to_string()),
                progress,
                cancelled: executor.stop.child_token(),
            },
            task_id: OnceLock::new(),
            stopwatch: Stopwatch::start(),
        })
    }

    /// How long making further files of the output may still take: so long that the rest of the job's time is left to store
    /// them. Without them the job has what is paid for.
    pub(super) fn time_to_derive(&self) -> Duration {
        let time = self.executor.settings.job_timeout;
        (time - time / 8).saturating_sub(self.stopwatch.elapsed())
    }

    /// The task to cancel, if there is one. The attempt's own token is cancelled by then, and would stop that too.
    pub(super) fn abandon(&self) -> Option<Abandoned> {
        let task_id = self.task_id.get()?.clone();
        Some(Abandoned {
            provider: self.provider.clone(),
            task: Task {
                cancelled: CancellationToken::new(),
                ..self.task.clone()
            },
            task_id,
        })
    }

    /// Runs to the end: from the submission, or from the task or output that an earlier attempt left, to the stored outputs.
    pub(super) async fn run(&self) -> Outcome {
        if let Some((output, spooled)) = self.left_here().await {
            return self.keep(output, Some(spooled)).await;
        }
        match self.make().await {
            Ok(output) => self.keep(output, None).await,
            Err(outcome) => outcome,
        }
    }

    /// The output of the job's submission, if it waits in the spool.
    async fn left_here(&self) -> Option<(Output, Spooled)> {
        let key = self.job.submission_key.as_deref()?;
        let spooled = self.executor.spool.take_when_free(key).await?;
        match spooled.load().await {
            Ok(output) => Some((output, spooled)),
            Err(error) => {
                tracing::error!(%error, "cannot read the spooled output; it is made anew");
                None
            }
        }
    }

    async fn make(&self) -> Result<Output, Outcome> {
        if let Some(task_id) = &self.job.provider_task_id {
            return self.follow(task_id.clone(), Duration::ZERO).await;
        }
        if self.job.submission_key.is_some() && !self.provider.may_resubmit() {
            return self.find_lost().await;
        }
        if let Err(missing) = self.provider.ready() {
            return Err(self.missed(ProviderError::NotReady(missing)));
        }
        self.note_submission().await?;
        match self.provider.submit(&self.task).await {
            Ok(Submitted::Done(output)) => Ok(output),
            Ok(Submitted::Accepted {
                task_id,
                poll_after,
            }) => self.follow(task_id, poll_after).await,
            Err(ProviderError::OutcomeUnknown(detail)) if self.provider.may_resubmit() => {
                // With the same key, by which the service knows it again.
                let unavailable = Mishap::from(ProviderError::Unavailable(detail));
                Err(Outcome::Missed(unavailable.keeping_task()))
            }
            Err(ProviderError::OutcomeUnknown(_)) => self.find_lost().await,
            Err(error) => Err(self.missed(error)),
        }
    }

    /// Looks for a task that may or may not have been accepted. Submitting again could pay twice.
    async fn find_lost(&self) -> Result<Output, Outcome> {
        match self.provider.find(&self.task).await {
            Ok(Some(task_id)) => self.follow(task_id, Duration::ZERO).await,
            Ok(None) => {
                let detail = format!("submission {} has no known task", self.task.submission_key);
                Err(self.missed(ProviderError::OutcomeUnknown(detail)))
            }
            Err(ProviderError::Stopped) if self.task.cancelled.is_cancelled() => {
                Err(Outcome::Stopped { keep_task: true })
            }
            Err(error) => Err(Outcome::Missed(Mishap::from(error).keeping_task())),
        }
    }

    /// Writes down what the provider is about to be asked, however long the database is away: an attempt that has not begun
    /// must not count. The lease ends the waiting.
    async fn note_submission(&self) -> Result<(), Outcome> {
        let (name, key) = (self.provider.name(), &self.task.submission_key);
        loop {
            let db = self.executor.app.store.writer();
            match queue::note_submission(db, self.lease, name, key).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Outcome::LeaseLost),
                Err(_) if self.task.cancelled.is_cancelled() => {
                    return Err(Outcome::Stopped { keep_task: false });
                }
                Err(error) if error.is_of_database() => tokio::time::sleep(NOTE_PAUSE).await,
                Err(error) => return Err(Outcome::Missed(error.into())),
            }
        }
    }

    /// Writes the task's id down, however long the database is away: without it a paid task would be lost. The lease ends
    /// the waiting.
    async fn note_task(&self, task_id: &str) -> Result<(), Outcome> {
        loop {
            match queue::note_task(self.executor.app.store.writer(), self.lease, task_id).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Outcome::LeaseLost),
                Err(error) if error.is_of_database() => tokio::time::sleep(NOTE_PAUSE).await,
                Err(error) => return Err(Outcome::Missed(Mishap::from(error).keeping_task())),
            }
        }
    }

    /// Asks for a task until it ends. Its id is written down before the first poll.
    async fn follow(&self, task_id: String, first: Duration) -> Result<Output, Outcome> {
        if clean::text(&task_id) != task_id {
            return Err(self.missed(ProviderError::Failed(
                "the task's id cannot be stored".to_owned(),
            )));
        }
        // Kept, so that it can be cancelled even if it was not written down.
        let task_id = self.task_id.get_or_init(|| task_id);
        self.note_task(task_id).await?;
        let mut pause = first;
        let mut failures = 0;
        loop {
            tokio::select! {
                () = self.task.cancelled.cancelled() => return Err(Outcome::Stopped { keep_task: true }),
                () = tokio::time::sleep(pause.clamp(SHORTEST_POLL, LONGEST_POLL)) => {}
            }
            match self.provider.poll(&self.task, task_id).await {
                Ok(Polled::Done(output)) => return Ok(output),
                Ok(Polled::Failed(ProviderError::Stopped)) | Err(ProviderError::Stopped)
                    if self.task.cancelled.is_cancelled() =>
                {
                    return Err(Outcome::Stopped { keep_task: true });
                }
                Ok(Polled::Failed(error)) => return Err(self.missed(error)),
                Ok(Polled::Running { poll_after }) => (pause, failures) = (poll_after, 0),
                Err(error) => {
                    failures += 1;
                    let mishap = Mishap::from(error).keeping_task();
                    if !mishap.transient || failures >= POLL_FAILURES {
                        return Err(Outcome::Missed(mishap));
                    }
                    pause = mishap
                        .retry_after
                        .unwrap_or(Duration::from_secs(1 << failures));
                }
            }
        }
    }

    /// Takes the output in, however long the storage is away: the work is paid for.
    async fn keep(&self, mut output: Output, mut spooled: Option<Spooled>) -> Outcome {
        let shortest = self.executor.settings.probe_interval;
        let mut pause = shortest;
        loop {
            match self.take_in(&output).await {
                Err(mishap) if mishap.is_of_storage() => {}
                Ok((outputs, metadata)) => return Outcome::Made { outputs, metadata },
                Err(mishap) if spooled.is_some() || self.must_keep_task() => {
                    return Outcome::Missed(mishap.keeping_task());
                }
                Err(mishap) => return Outcome::Missed(mishap),
            }
            if spooled.is_none() {
                spooled = self.spool(&output).await;
            }
            if spooled.is_some() {
                output = Output::default();
            }
            if !self.wait_for_storage(pause).await {
                let keep_task = spooled.is_some() || self.must_keep_task();
                return Outcome::Stopped { keep_task };
            }
            if let Some(spooled) = &spooled {
                match spooled.load().await {
                    Ok(loaded) => output = loaded,
                    Err(error) => return Outcome::Missed(unreadable(&error)),
                }
            }
            pause = (pause * 2).min(shortest * LONGEST_STORE_PAUSE);
        }
    }

    /// Whether another attempt must fetch the provider's work again rather than pay for it again.
    fn must_keep_task(&self) -> bool {
        self.task_id.get().is_some() || !self.provider.may_resubmit()
    }

    async fn take_in(&self, output: &Output) -> Result<(Vec<StoredOutput>, JsonMap), Mishap> {
        let mut metadata = clean::map(output.metadata.clone());
        metadata.insert("provider".to_owned(), self.provider.name().into());
        metadata.insert("seed".to_owned(), self.task.input.seed.into());
        metadata.remove("omitted");
        let recipe = Recipe::new(&self.task.input, self.provider.name(), &metadata);
        metadata.insert("recipe".to_owned(), recipe.to_json().into());
        let Ingested { outputs, omitted } = self.ingest(output, &recipe).await?;
        if !omitted.is_empty() {
            metadata.insert("omitted".to_owned(), json!(omitted));
        }
        Ok((outputs, metadata))
    }

    /// Puts the output where a restart does not lose it, if there is room.
    async fn spool(&self, output: &Output) -> Option<Spooled> {
        let spool = &self.executor.spool;
        let kept = spool
            .keep(&self.task.submission_key, self.lease, output)
            .await;
        match &kept {
            Ok(Some(_)) => tracing::info!("the output waits in the spool for the media storage"),
            Ok(None) => tracing::warn!("the spool has no room for an output; it waits in memory"),
            Err(error) => tracing::error!(%error, "cannot spool an output; it waits in memory"),
        }
        kept.ok().flatten()
    }

    /// Waits until it makes sense to try to store again; false if the attempt is to end first. The time does not count.
    async fn wait_for_storage(&self, pause: Duration) -> bool {
        let _standstill = self.stopwatch.stand_still();
        self.task.progress.say("waiting for the media storage");
        let back = async {
            tokio::time::sleep(pause).await;
            self.executor.app.storage.back().await;
        };
        tokio::select! {
            () = self.task.cancelled.cancelled() => false,
            () = back => true,
        }
    }

    /// Takes the output in, and tries again while there is only no thread for it.
    async fn ingest(&self, output: &Output, recipe: &Recipe) -> Result<Ingested, Mishap> {
        for pause in INGEST_PAUSES {
            match Intake::of(self, recipe).take(output).await {
                Err(mishap) if mishap.transient && !mishap.is_of_storage() => {
                    tracing::warn!(
                        detail = mishap.failure.detail,
                        "cannot take in the output yet"
                    );
                    tokio::select! {
                        () = self.task.cancelled.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                ended => return ended,
            }
        }
        Intake::of(self, recipe)
            .for_the_last_time()
            .take(output)
            .await
    }

    fn missed(&self, error: ProviderError) -> Outcome {
        match error {
            ProviderError::Stopped if self.task.cancelled.is_cancelled() => {
                Outcome::Stopped { keep_task: false }
            }
            error => Outcome::Missed(error.into()),
        }
    }
}

/// The spool has lost an output. Another attempt finds out what is left of it.
fn unreadable(error: &std::io::Error) -> Mishap {
    let sentence = "The server could not keep what the generator made.";
    let failure = Failure::new(Reason::Internal, sentence);
    Mishap::passing(failure.with_detail(format!("the spool: {error}"))).keeping_task()
}
