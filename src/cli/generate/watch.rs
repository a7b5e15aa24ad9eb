//! Follows jobs to their end.

use std::collections::BTreeMap;

use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};
use tonic::Status;

use super::GenerateError;
use super::progress::Progress;
use super::request::refused;
use crate::client::{Client, has_ended};
use crate::rpc::proto::{Job, Media, WatchJobEvent};

/// A job that has ended, with what it made.
#[derive(Debug, Clone)]
pub(super) struct FinishedJob {
    pub job: Job,
    pub media: Vec<Media>,
}

/// Why the work was left early, and the jobs that had not ended.
#[derive(Debug)]
pub(super) struct Stopped {
    pub reason: GenerateError,
    pub unfinished: Vec<i64>,
}

impl From<GenerateError> for Stopped {
    /// Before there were jobs, or after all had ended.
    fn from(reason: GenerateError) -> Self {
        Self {
            reason,
            unfinished: Vec::new(),
        }
    }
}

/// Follows all jobs until each has ended, in order of variation, or until `stop` gives a reason to leave them.
pub(super) async fn follow_all(
    client: &Client,
    jobs: &[Job],
    progress: &Progress,
    stop: impl Future<Output = GenerateError>,
) -> Result<Vec<FinishedJob>, Stopped> {
    let mut running: FuturesUnordered<_> = jobs
        .iter()
        .map(|job| async { (job.id, follow(client, job.id, progress).await) })
        .collect();
    let mut stop = std::pin::pin!(stop);
    let mut finished = BTreeMap::new();
    while finished.len() < jobs.len() {
        let reason = tokio::select! {
            Some((id, end)) = running.next() => match end {
                Ok(job) => {
                    finished.insert(id, job);
                    continue;
                }
                Err(status) => refused("lost sight of the job")(status),
            },
            reason = &mut stop => reason,
        };
        let unfinished = jobs
            .iter()
            .map(|job| job.id)
            .filter(|id| !finished.contains_key(id))
            .collect();
        return Err(Stopped { reason, unfinished });
    }
    Ok(finished.into_values().collect())
}

async fn follow(client: &Client, job_id: i64, progress: &Progress) -> Result<FinishedJob, Status> {
    let mut events = client.watch_job(job_id, 0);
    while let Some(event) = events.try_next().await? {
        // Only a transition has the media; progress may tell of a job that has ended meanwhile.
        let is_transition = event.event() == WatchJobEvent::Transition;
        let Some(job) = event.job else { continue };
        progress.show(&job);
        if is_transition && has_ended(&job) {
            let media = event.media;
            return Ok(FinishedJob { job, media });
        }
    }
    Err(Status::unavailable("the stream ended before the job"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_names_the_jobs_that_had_not_ended() {
        // No server listens there, and none is asked: the stop comes first.
        let jobs = [
            Job {
                id: 1,
                ..Job::default()
            },
            Job {
                id: 2,
                ..Job::default()
            },
        ];
        let client = Client::builder("http://127.0.0.1:1")
            .connect_lazy()
            .unwrap();
        let stop = std::future::ready(GenerateError::EmptyCatalogue);
        let stopped = follow_all(&client, &jobs, &Progress::hidden(), stop)
            .await
            .unwrap_err();
        assert_eq!(stopped.unfinished, [1, 2]);
    }
}
