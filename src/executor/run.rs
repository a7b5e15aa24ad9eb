//! What surrounds an attempt: the lease, the time-out, a stop of the server, a crash of the provider, and the record of
//! the end.

use std::{any::Any, panic::AssertUnwindSafe, pin::pin, time::Duration};

use futures::FutureExt;
use tokio::time::{Instant, timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::Instrument;

use crate::{
    domain::{
        Caller, Error, Reason,
        job::{AttemptEnd, Failure},
        with_causes,
    },
    entity::job,
    metrics::Work,
    provider::{Passage, ProgressSender, clean},
    store::{self, Trouble, queue::Lease},
    traces::Traced,
};

use super::{
    Executor,
    attempt::Attempt,
    attempt_error::AttemptError,
    attempt_outcome::AttemptOutcome,
    stopwatch::Stopwatch,
    submission::{AbandonedTask, Submission},
};

/// Pause before a transaction that the database refused is tried again.
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

impl Executor {
    /// Runs one claimed job to the end of its attempt, whatever happens, and records the end. `claimed` is when it was asked
    /// for.
    pub(super) async fn run_job(self, job: job::Model, passage: Passage, claimed: Instant) {
        let span = tracing::info_span!(
            "job",
            job_id = job.id,
            request_id = job.request_id,
            attempt = job.attempt,
            user_id = job.user_id,
            feature_id = job.feature_id,
            provider = job.provider,
            worker = self.settings.worker_id,
            task_id = tracing::field::Empty,
            x_request_id = job.x_request_id,
            traceparent = job.traceparent
        );
        let traced = self.trace(&job);
        async {
            let began = Instant::now();
            tracing::info!("job claimed");
            let lease = Lease {
                job_id: job.id,
                token: job.lease_token.clone().unwrap_or_default(),
            };
            let (progress, reports) = ProgressSender::channel();
            let lost = CancellationToken::new();
            let _looked_after = self.leases.look_after(&lease, &lost);
            let keeper = self.clone().keep_lease(
                lease.clone(),
                job.request_id,
                claimed,
                reports,
                lost.clone(),
            );
            // Until the end is recorded, for the database may be slow.
            let _keeper = AbortOnDropHandle::new(tokio::spawn(keeper.in_current_span()));
            let means = (&passage, &traced);
            let (outcome, abandoned) = self.attempt(&job, &lease, means, progress, &lost).await;
            let gives_up =
                matches!(&outcome, AttemptOutcome::Failed(error) if error.is_final(&job));
            let ended = self
                .settle(&job, &lease, outcome, &lost, (began, &traced))
                .await;
            let forgotten = abandoned.as_ref().zip(ended.as_ref());
            let forgotten = forgotten.is_some_and(|(task, job)| task.is_forgotten_by(job));
            let ended = ended.filter(|job| job.status.is_terminal());
            if let Some(key) = ended.as_ref().and_then(|job| job.submission_key.as_deref()) {
                self.spool.discard(key);
            }
            if let Some(abandoned) = abandoned
                && (gives_up || forgotten || ended.is_some())
            {
                // Without the slot, which is another job's by now.
                self.cancellations
                    .spawn(abandoned.cancel().in_current_span());
            }
        }
        .instrument(span)
        .await;
    }

    /// The span of the attempt, in the trace of the call that made the job.
    fn trace(&self, job: &job::Model) -> Traced {
        let traces = &self.app.traces;
        if !traces.are_sent() {
            return Traced::default();
        }
        let Work {
            provider,
            media_type,
        } = work(job);
        let traced = traces.attempt(format!("run {provider}"), job.traceparent.as_deref());
        traced.set("atelier.job.id", job.id);
        traced.set("atelier.request.id", job.request_id);
        traced.set("atelier.feature.id", job.feature_id);
        traced.set("atelier.job.attempt", i64::from(job.attempt));
        traced.set("atelier.job.media_type", media_type);
        traced.set("atelier.provider", provider.to_owned());
        traced.set("atelier.worker", self.settings.worker_id.clone());
        traced.set("atelier.queue.wait", waited(job).as_secs_f64());
        traced
    }

    /// The attempt itself, ended early by a time-out, a lost lease or a stop of the server; and the provider's task, if the
    /// provider goes on working on it. It is abandoned if the job does not wait for another attempt.
    async fn attempt(
        &self,
        job: &job::Model,
        lease: &Lease,
        (passage, traced): (&Passage, &Traced),
        progress: ProgressSender,
        lost: &CancellationToken,
    ) -> (AttemptOutcome, Option<AbandonedTask>) {
        let cancelled = self.stop.child_token();
        let means = (passage, self.settings.limits);
        let attempt = match Submission::new(&self.app, job, lease, means, progress, cancelled) {
            Ok(submission) => Attempt {
                submission,
                settings: &self.settings,
                storage: &self.app.storage,
                spool: &self.spool,
                stopwatch: Stopwatch::start(),
                traced,
            },
            Err(error) => return (AttemptOutcome::Failed(error), None),
        };
        let outcome = self.run_until_ended(&attempt, lost).await;
        let abandoned = match &outcome {
            AttemptOutcome::Failed(error) if error.keep_task => attempt.submission.abandon(),
            AttemptOutcome::Stopped { keep_task: true } | AttemptOutcome::LeaseLost => {
                attempt.submission.abandon()
            }
            _ => None,
        };
        (outcome, abandoned)
    }

    async fn run_until_ended(
        &self,
        attempt: &Attempt<'_>,
        lost: &CancellationToken,
    ) -> AttemptOutcome {
        let mut run = pin!(AssertUnwindSafe(attempt.run()).catch_unwind());
        let allowed = attempt.timeout();
        let early = tokio::select! {
            outcome = &mut run => return outcome.unwrap_or_else(crashed),
            () = lost.cancelled() => AttemptOutcome::LeaseLost,
            () = attempt.stopwatch.reaches(allowed) => {
                attempt.submission.passage.tell_time_is_up(allowed);
                timed_out(&attempt.submission, allowed)
            }
            () = self.stop.cancelled() => AttemptOutcome::Stopped { keep_task: true },
        };
        attempt.submission.task.cancelled.cancel();
        if !matches!(early, AttemptOutcome::Stopped { .. }) {
            return early;
        }
        // What is finished in time is not thrown away, and only the provider knows how it stopped.
        match timeout(self.settings.stopping_time, run).await {
            Ok(outcome) => outcome.unwrap_or_else(crashed),
            Err(_) => early,
        }
    }

    /// Records how the attempt ended; again and again while the database is away, for as long as the lease holds. An end
    /// that cannot be recorded as it is becomes a failure, so that the job does not run once more. Returns the job if the end
    /// is recorded.
    async fn settle(
        &self,
        job: &job::Model,
        lease: &Lease,
        mut outcome: AttemptOutcome,
        lost: &CancellationToken,
        (began, traced): (Instant, &Traced),
    ) -> Option<job::Model> {
        let _recorded = traced.phase("record");
        let bytes = outcome.bytes();
        let recording = Instant::now();
        let work = work(job);
        let metrics = &self.app.metrics;
        let mut trouble = Trouble::new("cannot record the end of an attempt yet");
        loop {
            match self.record(job, lease, &outcome).await {
                Err(error) if error.is_of_database() => {
                    trouble.meet(&error);
                    // A record under way is never cut off: it may have been committed.
                    if timeout(SETTLE_PAUSE, lost.cancelled()).await.is_ok() {
                        outcome = AttemptOutcome::LeaseLost;
                    }
                }
                Err(error) if matches!(outcome, AttemptOutcome::Unrecordable) => {
                    tracing::error!(
                        error = with_causes(&error),
                        "cannot record the end of an attempt"
                    );
                    return None;
                }
                Err(error) => {
                    tracing::error!(
                        error = with_causes(&error),
                        "cannot record what an attempt made"
                    );
                    outcome = AttemptOutcome::Unrecordable;
                }
                Ok(Some(ended)) => {
                    trouble.end();
                    metrics.passed(work.provider, "record", recording.elapsed());
                    metrics.ended(work, outcome.word(Some(&ended)));
                    outcome.tell(traced, Some(&ended));
                    let status = ended.status.as_str();
                    let error_code = &ended.error_code;
                    let duration_ms =
                        u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(status, error_code, duration_ms, bytes, "attempt ended");
                    // A service's own words, which may repeat what it was asked for.
                    let detail = &ended.error_detail;
                    tracing::debug!(detail, "what is known of the attempt's end");
                    return Some(ended);
                }
                Ok(None) => {
                    metrics.ended(work, outcome.word(None));
                    outcome.tell(traced, None);
                    return self.ended_by_others(job).await;
                }
            }
        }
    }

    /// The job of a lost lease, as others have left it.
    async fn ended_by_others(&self, job: &job::Model) -> Option<job::Model> {
        let found = store::job::find(self.app.store.reader(), Caller::TrustedService, job.id).await;
        match found {
            Ok(job) if job.status.is_terminal() => {
                let status = job.status.as_str();
                tracing::info!(status, "the job has ended: this attempt is cut off");
                Some(job)
            }
            found => {
                tracing::warn!(
                    "the lease was lost: the end of this attempt is not recorded, what it made is thrown away, and another worker may have the job"
                );
                found.ok()
            }
        }
    }

    async fn record(
        &self,
        job: &job::Model,
        lease: &Lease,
        outcome: &AttemptOutcome,
    ) -> Result<Option<job::Model>, Error> {
        let end = match outcome {
            AttemptOutcome::Succeeded { outputs, metadata } => {
                return self
                    .app
                    .complete_job(lease, outputs, metadata.clone())
                    .await;
            }
            AttemptOutcome::LeaseLost => return Ok(None),
            AttemptOutcome::Unrecordable => {
                let sentence = "The server could not record what the generator made.";
                AttemptEnd::Fail(Failure::new(Reason::Internal, sentence))
            }
            AttemptOutcome::Stopped { keep_task } => AttemptEnd::HandBack {
                keep_task: *keep_task,
            },
            AttemptOutcome::FellBack { failure, input } => AttemptEnd::FallBack {
                failure: failure.clone(),
                input: input.clone(),
            },
            AttemptOutcome::Failed(error) => error.clone().end(job),
        };
        self.app.end_attempt(lease, &end).await
    }
}

pub(super) fn work(job: &job::Model) -> Work<'_> {
    Work {
        provider: job.provider().unwrap_or_default(),
        media_type: job.category.as_str(),
    }
}

/// How long a job could have begun before it did.
pub(super) fn waited(job: &job::Model) -> Duration {
    let able = job.run_after.max(job.created_at);
    let waited = job.started_at.unwrap_or(able) - able;
    waited.to_std().unwrap_or_default()
}

/// What a service makes that has only not told of it, nobody knows.
fn timed_out(submission: &Submission<'_>, allowed: Duration) -> AttemptOutcome {
    let seconds = allowed.as_secs();
    let failure = match submission.is_silent() {
        true => Failure::new(
            Reason::ProviderOutcomeUnknown,
            format!("The generator has not told within {seconds} seconds what became of the task."),
        ),
        false => Failure::new(
            Reason::JobTimedOut,
            format!("The job took longer than {seconds} seconds."),
        ),
    };
    AttemptOutcome::Failed(AttemptError::permanent(failure).keeping_task())
}

/// A panic is the failure of this job alone.
fn crashed(panic: Box<dyn Any + Send>) -> AttemptOutcome {
    let words = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    let failure = Failure::new(Reason::Internal, "The generator crashed.");
    AttemptOutcome::Failed(
        AttemptError::permanent(failure.with_detail(clean::text(&words))).keeping_task(),
    )
}
