//! Takes jobs off the queue, and from their workers, that nobody waits for any more.

use std::time::Duration;

use tonic::Status;

use crate::client::{Client, reason};
use crate::rpc::proto::CancelJobRequest;

/// How long a server may take to cancel what nobody waits for any more.
pub(super) const CANCELLING: Duration = Duration::from_secs(5);

/// What became of the jobs that were left.
#[derive(Debug, Default)]
pub(crate) struct Cancelled {
    pub count: usize,
    /// Those of which the server did not tell.
    pub remaining: Vec<i64>,
}

/// Cancels those of `jobs` that have not ended.
pub(super) async fn unfinished(client: &Client, jobs: Vec<i64>) -> Cancelled {
    let mut cancelled = Cancelled {
        count: 0,
        remaining: jobs.clone(),
    };
    let cancelling = async {
        for id in jobs {
            let request = CancelJobRequest {
                id,
                stop_processing: true,
            };
            let answer = client.jobs().cancel_job(request).await;
            cancelled.note(id, answer.err());
        }
    };
    if tokio::time::timeout(CANCELLING, cancelling).await.is_err() {
        tracing::warn!("the server did not answer in time");
    }
    cancelled
}

impl Cancelled {
    /// Notes how the cancelling of one job ended.
    fn note(&mut self, id: i64, refused: Option<Status>) {
        match refused {
            None => self.count += 1,
            Some(status) if reason(&status).as_deref() == Some("JOB_ALREADY_FINISHED") => {}
            Some(status) => {
                tracing::debug!(job_id = id, %status, "the job was not cancelled");
                return;
            }
        }
        self.remaining.retain(|remaining| *remaining != id);
    }

    /// What became of the jobs, for people; `None` when there were none.
    pub(crate) fn sentence(&self) -> Option<String> {
        let jobs = |count| if count == 1 { "job" } else { "jobs" };
        let cancelled = self.count;
        let running = self.remaining.len();
        let was = if cancelled == 1 { "was" } else { "were" };
        let ran = if running == 1 { "runs" } else { "run" };
        let cancelled =
            (cancelled > 0).then(|| format!("{cancelled} {} {was} cancelled", jobs(cancelled)));
        let running = (running > 0).then(|| format!("{running} {} {ran} on", jobs(running)));
        let parts: Vec<_> = cancelled.into_iter().chain(running).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_jobs_is_told_in_a_sentence() {
        let told = |count, running: i64| {
            let remaining = (0..running).collect();
            Cancelled { count, remaining }.sentence()
        };
        assert_eq!(told(0, 0), None);
        assert_eq!(told(1, 0).as_deref(), Some("1 job was cancelled"));
        assert_eq!(
            told(2, 1).as_deref(),
            Some("2 jobs were cancelled, 1 job runs on")
        );
        assert_eq!(told(0, 3).as_deref(), Some("3 jobs run on"));
    }
}
