//! An attempt has made nothing: the job fails, is tried again, or is handed back, see docs/domain.md#attempts.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};

use crate::{
    app::{
        App,
        gather::{Gathered, Lane, Verdict},
        job::ChangedJobs,
    },
    domain::{
        Error, JobInput,
        job::{Cause, Failure},
    },
    entity::job,
    store::{
        Transaction,
        queue::{self, Lease},
    },
};

use super::endings::Endings;

/// How an attempt ends that made nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum AttemptEnd {
    /// The job has failed for good.
    Fail(Failure),
    /// It is tried again after the pause.
    Retry {
        /// What is shown while the job waits.
        failure: Failure,
        /// From now on.
        pause: Duration,
        /// Whether the row keeps what it knows of the submitted task, for the next attempt to go on with.
        keep_task: bool,
    },
    /// The worker stops; the attempt does not count.
    HandBack {
        /// Whether the row keeps what it knows of the submitted task, for the next attempt to go on with.
        keep_task: bool,
    },
    /// Its provider is away: another one gets the job, and the attempt does not count.
    FallBack {
        /// Why, which is shown while the job waits.
        failure: Failure,
        /// What the other provider is to make.
        input: Box<JobInput>,
    },
}

/// An attempt that has made nothing, and whose job ends with it.
pub(in crate::app) struct Failing {
    lease: Lease,
    failure: Failure,
}

impl Gathered for Failing {
    type Done = Option<Box<job::Model>>;

    const NAME: &'static str = "failures";

    fn lane<'a>(&self, app: &'a App) -> &'a Lane<Self> {
        &app.gathering.failures
    }

    fn jobs(&self) -> usize {
        1
    }

    fn write<'a>(
        app: &'a App,
        tx: &'a Transaction,
        batch: &'a [Arc<Self>],
        changed: &'a mut ChangedJobs,
    ) -> BoxFuture<'a, Result<Vec<Verdict<Self::Done>>, Error>> {
        app.fail_all(tx, batch, changed).boxed()
    }
}

impl App {
    /// Ends an attempt without outputs. `None` if the lease is lost; nothing has changed then.
    pub async fn end_attempt(
        &self,
        lease: &Lease,
        end: &AttemptEnd,
    ) -> Result<Option<job::Model>, Error> {
        if let AttemptEnd::Fail(failure) = end {
            let (lease, failure) = (lease.clone(), failure.clone());
            let failed = self.write_gathered(Failing { lease, failure });
            return Ok(failed.await?.map(|job| *job));
        }
        self.change_jobs(async |tx, changed| {
            let ended = self.write_end(tx, lease, end).await?;
            changed.moved(ended.as_slice(), end.cause())?;
            Ok(ended)
        })
        .await
    }

    async fn fail_all(
        &self,
        tx: &Transaction,
        batch: &[Arc<Failing>],
        changed: &mut ChangedJobs,
    ) -> Result<Vec<Verdict<Option<Box<job::Model>>>>, Error> {
        let endings = Endings::of(batch, |failing| &failing.lease);
        let given = endings.of_jobs.values();
        let given: Vec<_> = given.map(|it| (&it.lease, &it.failure)).collect();
        let failed = queue::fail(tx, &given, self.clock.queue()).await?;
        changed.moved(&failed, None)?;
        let failed = failed.into_iter().map(|job| (job.id, Box::new(job)));
        Ok(endings.verdicts(failed.collect()))
    }

    async fn write_end(
        &self,
        tx: &Transaction,
        lease: &Lease,
        end: &AttemptEnd,
    ) -> Result<Option<job::Model>, Error> {
        let now = self.clock.queue();
        match end {
            AttemptEnd::Fail(failure) => Ok(queue::fail(tx, &[(lease, failure)], now).await?.pop()),
            AttemptEnd::Retry {
                failure,
                pause,
                keep_task,
            } => queue::retry(tx, lease, failure, *pause, *keep_task, now).await,
            AttemptEnd::HandBack { keep_task } => {
                queue::hand_back(tx, lease, *keep_task, now).await
            }
            AttemptEnd::FallBack { failure, input } => {
                let json = serde_json::to_value(input).map_err(Error::internal)?;
                queue::fall_back(tx, lease, &input.provider, json, failure, now).await
            }
        }
    }
}

impl AttemptEnd {
    fn cause(&self) -> Option<Cause> {
        match self {
            Self::Fail(_) => None,
            Self::Retry { .. } => Some(Cause::Retry),
            Self::HandBack { .. } => Some(Cause::HandBack),
            Self::FallBack { .. } => Some(Cause::FallBack),
        }
    }
}
