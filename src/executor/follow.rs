//! A task that the provider has taken is asked for until it ends.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    domain::with_causes,
    provider::{Output, Polled, ProviderError, Task, clean},
    store::{job_answer, queue},
};

use super::{
    attempt_error::AttemptError,
    attempt_outcome::AttemptOutcome,
    submission::{NOTE_PAUSE, Submission},
};

/// How often asking a provider may fail in a row before the attempt gives up.
const POLL_FAILURES: u32 = 5;
/// Bounds of the pause between two polls, whatever the provider says.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
const LONGEST_POLL: Duration = Duration::from_secs(60);
/// The pause that the one after a failed poll is made from, before the provider has named its own.
const USUAL_POLL: Duration = Duration::from_secs(1);
/// The least pause before a poll that a call of the service asks for.
const TOLD_PAUSE: Duration = Duration::from_millis(100);

impl Submission<'_> {
    /// Asks for a task until it ends. Its id is written down before the first poll.
    pub(super) async fn follow(
        &self,
        task_id: String,
        first: Duration,
    ) -> Result<Output, AttemptOutcome> {
        if clean::text(&task_id) != task_id {
            return Err(self.failed(ProviderError::Failed(
                "the task's id cannot be stored".to_owned(),
            )));
        }
        // Kept, so that it can be cancelled even if it was not written down.
        let task_id = self.task_id.get_or_init(|| task_id);
        tracing::Span::current().record("task_id", task_id);
        self.note_task(task_id).await?;
        self.poll_until_done(task_id, first).await
    }

    async fn poll_until_done(
        &self,
        task_id: &str,
        first: Duration,
    ) -> Result<Output, AttemptOutcome> {
        let bounded = |pause: Duration| pause.clamp(SHORTEST_POLL, LONGEST_POLL);
        let mut pause = bounded(first);
        let mut every = if first.is_zero() { USUAL_POLL } else { pause };
        let mut failures = 0;
        let mut left_alone = false;
        loop {
            tokio::select! {
                () = self.task.cancelled.cancelled() => {
                    return Err(AttemptOutcome::Stopped { keep_task: true });
                }
                () = self.news(), if !left_alone => {}
                () = tokio::time::sleep(pause) => {}
            }
            match self.poll(task_id).await {
                Ok(Polled::Done(output)) => return Ok(output),
                Ok(Polled::Failed(ProviderError::Stopped)) | Err(ProviderError::Stopped)
                    if self.task.cancelled.is_cancelled() =>
                {
                    return Err(AttemptOutcome::Stopped { keep_task: true });
                }
                Ok(Polled::Failed(error)) => return Err(self.failed(error)),
                Ok(Polled::Running { poll_after }) => {
                    (pause, failures) = (bounded(poll_after), 0);
                    (every, left_alone) = (pause, false);
                }
                Err(error) => {
                    failures += 1;
                    let error = AttemptError::from(error).keeping_task();
                    // Whatever it is, the task is paid for: only an answer that comes again and again is believed.
                    if failures >= POLL_FAILURES {
                        return Err(AttemptOutcome::Failed(error));
                    }
                    let backoff = bounded(every * (1 << failures));
                    // A service that asks to be left alone is, whatever news there are, for as long as the attempt may take.
                    left_alone = error.retry_after.is_some();
                    pause = error.retry_after.unwrap_or(backoff).max(SHORTEST_POLL);
                }
            }
        }
    }

    /// Waits until the service tells something; a flood of calls does not become a flood of polls.
    async fn news(&self) {
        tokio::time::sleep(TOLD_PAUSE).await;
        self.told.changed().await;
    }

    async fn poll(&self, task_id: &str) -> Result<Polled, ProviderError> {
        if self.provider.can_be_asked() {
            return self.provider.poll(&self.task, task_id).await;
        }
        let (db, key) = (self.app.store.reader(), &self.task.submission_key);
        let answer = job_answer::find(db, self.job.id, key).await;
        let answer = answer.map_err(|error| ProviderError::Transient {
            detail: with_causes(&error),
            retry_after: None,
        })?;
        let task = Task {
            answer: answer.map(Bytes::from),
            ..self.task.clone()
        };
        self.provider.poll(&task, task_id).await
    }

    /// Writes the task's id down, however long the database is away: without it a paid task would be lost. The lease ends
    /// the waiting.
    async fn note_task(&self, task_id: &str) -> Result<(), AttemptOutcome> {
        loop {
            match queue::note_task(self.app.store.writer(), self.lease, task_id).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(AttemptOutcome::LeaseLost),
                Err(error) if error.is_of_database() => tokio::time::sleep(NOTE_PAUSE).await,
                Err(error) => {
                    let error = AttemptError::from(error);
                    return Err(AttemptOutcome::Failed(error.keeping_task()));
                }
            }
        }
    }
}
