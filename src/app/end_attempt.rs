use std::time::Duration;

use crate::{
    domain::{
        Error,
        job::{Cause, Failure},
    },
    entity::job,
    store::queue::{self, Lease},
};

use super::App;

/// How an attempt ends that made nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The job has failed for good.
    Fail(Failure),
    /// It is tried again after the pause. `keep_task`: the provider still works on the submitted task.
    Retry {
        failure: Failure,
        pause: Duration,
        keep_task: bool,
    },
    /// The worker stops; the attempt does not count.
    HandBack { keep_task: bool },
}

impl App {
    /// Ends an attempt without outputs. `None` if the lease is lost; nothing has changed then.
    pub async fn end_attempt(
        &self,
        lease: &Lease,
        end: &AttemptEnd,
    ) -> Result<Option<job::Model>, Error> {
        let now = self.clock.queue();
        let tx = self.store.begin().await?;
        let (job, cause) = match end {
            AttemptEnd::Fail(failure) => (queue::fail(&tx, lease, failure, now).await?, None),
            AttemptEnd::Retry {
                failure,
                pause,
                keep_task,
            } => {
                let job = queue::retry(&tx, lease, failure, *pause, *keep_task, now).await?;
                (job, Some(Cause::Retry))
            }
            AttemptEnd::HandBack { keep_task } => {
                let job = queue::hand_back(&tx, lease, *keep_task, now).await?;
                (job, Some(Cause::HandBack))
            }
        };
        let Some(job) = job else {
            tx.rollback().await?;
            return Ok(None);
        };
        self.commit_transition(tx, std::slice::from_ref(&job), cause)
            .await?;
        Ok(Some(job))
    }
}
