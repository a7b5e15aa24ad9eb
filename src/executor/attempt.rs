//! From the submission to stored outputs. What a provider has made is paid for, so it outlasts a storage that is away.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    app::ignored_inputs,
    domain::{Reason, job::Failure},
    media::Storage,
    provider::{Output, Preset},
    traces::Traced,
};

use super::{
    attempt_error::AttemptError,
    attempt_outcome::AttemptOutcome,
    output_writer::OutputWriter,
    settings::Settings,
    spool::{Spool, Spooled},
    stopwatch::Stopwatch,
    submission::Submission,
};

/// How many probe intervals lie at most between two tries to store an output.
const LONGEST_STORE_PAUSE: u32 = 12;

/// One run of a job by a provider.
pub(super) struct Attempt<'a> {
    pub(super) submission: Submission<'a>,
    pub(super) settings: &'a Settings,
    pub(super) storage: &'a Storage,
    pub(super) spool: &'a Spool,
    pub(super) stopwatch: Stopwatch,
    pub(super) traced: &'a Traced,
}

impl Attempt<'_> {
    /// Runs to the end: from the submission, or from the task or output that an earlier attempt left, to the stored outputs.
    pub(super) async fn run(&self) -> AttemptOutcome {
        if let Some((output, spooled)) = self.spooled_output().await {
            return self.store_output(output, Some(spooled)).await;
        }
        let began = Instant::now();
        let phase = self.traced.phase("generate");
        let obtained = self.submission.obtain_output().await;
        drop(phase);
        self.tell("generate", began);
        match obtained {
            Ok(output) => {
                self.submission.leave_provider();
                self.store_output(output, None).await
            }
            Err(outcome) => outcome,
        }
    }

    /// How long it may take.
    pub(super) fn timeout(&self) -> Duration {
        let input = &self.submission.task.input;
        input.timeout(self.settings.job_timeout)
    }

    /// Has operators know how long a part of it took.
    fn tell(&self, phase: &'static str, began: Instant) {
        let Submission { app, provider, .. } = &self.submission;
        app.metrics.passed(provider.name(), phase, began.elapsed());
    }

    /// The output of the job's submission, if it waits in the spool.
    async fn spooled_output(&self) -> Option<(Output, Spooled)> {
        let key = self.submission.job.submission_key.as_deref()?;
        let spooled = self.spool.take_when_free(key).await?;
        match spooled.load().await {
            Ok(output) => Some((output, spooled)),
            Err(error) => {
                tracing::error!(%error, "cannot read the spooled output; it is made anew");
                None
            }
        }
    }

    /// Stores the output, however long the storage is away: the work is paid for.
    async fn store_output(
        &self,
        mut output: Output,
        mut spooled: Option<Spooled>,
    ) -> AttemptOutcome {
        let began = Instant::now();
        let shortest = self.settings.probe_interval;
        let mut pause = shortest;
        let mut told = false;
        let phase = self.traced.phase("store");
        loop {
            match self.writer(&phase).write(&output).await {
                Err(error) if error.only_waits() => {
                    if !std::mem::replace(&mut told, true) {
                        let detail = error.failure.detail;
                        tracing::warn!(detail, "cannot store an output yet");
                    }
                }
                Ok((outputs, metadata)) => {
                    self.tell("store", began);
                    return AttemptOutcome::Succeeded { outputs, metadata };
                }
                Err(error) if spooled.is_some() || self.submission.must_keep_task() => {
                    return AttemptOutcome::Failed(error.keeping_task());
                }
                Err(error) => return AttemptOutcome::Failed(error),
            }
            if spooled.is_none() {
                spooled = self.spool_output(&output).await;
            }
            if spooled.is_some() {
                output = Output::default();
            }
            if !self.wait_for_storage(pause).await {
                let keep_task = spooled.is_some() || self.submission.must_keep_task();
                return AttemptOutcome::Stopped { keep_task };
            }
            if let Some(spooled) = &spooled {
                match spooled.load().await {
                    Ok(loaded) => output = loaded,
                    Err(error) => return AttemptOutcome::Failed(unreadable(&error)),
                }
            }
            pause = (pause * 2).min(shortest * LONGEST_STORE_PAUSE);
        }
    }

    fn writer<'a>(&'a self, traced: &'a Traced) -> OutputWriter<'a> {
        let Submission { provider, task, .. } = &self.submission;
        let preset = Preset::of_job(task.media_type, &task.input);
        OutputWriter {
            storage: self.storage,
            moderation: &self.submission.app.moderation,
            limits: self.settings.limits,
            conversion_time: self.settings.conversion_time,
            job_timeout: self.timeout(),
            stopwatch: &self.stopwatch,
            traced,
            lease: self.submission.lease,
            request_id: self.submission.job.request_id,
            variation: self.submission.job.variation,
            provider: self.submission.provider.name(),
            sends_seed: provider.reads(preset, "seed"),
            ignored_inputs: ignored_inputs(
                &*self.submission.provider,
                self.submission.task.media_type,
                &self.submission.task.input,
            ),
            task: &self.submission.task,
        }
    }

    /// Puts the output where a restart does not lose it, if there is room.
    async fn spool_output(&self, output: &Output) -> Option<Spooled> {
        let Submission { task, lease, .. } = &self.submission;
        let spooled = self.spool.put(&task.submission_key, lease, output).await;
        match &spooled {
            Ok(Some(_)) => tracing::info!("the output waits in the spool for the media storage"),
            Ok(None) => tracing::warn!("the spool has no room for an output; it waits in memory"),
            Err(error) => tracing::error!(%error, "cannot spool an output; it waits in memory"),
        }
        spooled.ok().flatten()
    }

    /// Waits until it makes sense to try to store again; false if the attempt is to end first. The time does not count.
    async fn wait_for_storage(&self, pause: Duration) -> bool {
        let task = &self.submission.task;
        let _standstill = self.stopwatch.stand_still();
        task.progress.say("waiting for the media storage");
        let back = async {
            tokio::time::sleep(pause).await;
            self.storage.back().await;
        };
        tokio::select! {
            () = task.cancelled.cancelled() => false,
            () = back => true,
        }
    }
}

/// The spool has lost an output. Another attempt finds out what is left of it.
fn unreadable(error: &std::io::Error) -> AttemptError {
    let sentence = "The server could not keep what the generator made.";
    let failure = Failure::new(Reason::Internal, sentence);
    AttemptError::retryable(failure.with_detail(format!("the spool: {error}"))).keeping_task()
}
