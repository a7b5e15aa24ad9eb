//! Follows jobs to their end, over connections that may break.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use tonic::{Code, Status};

use super::GenerateError;
use super::connection::Client;
use super::progress::Progress;
use super::request::refused;
use crate::rpc::proto::{
    CancelJobRequest, Job, JobStatus, Media, WatchJobEvent, WatchJobRequest, WatchJobResponse,
};

/// A stream is alive when it says something this often: twice the longest heartbeat of a server, and some.
const SILENCE: Duration = Duration::from_secs(40);

/// How often in a row a stream may break without bringing anything.
const BREAKS: u32 = 8;

/// The pause before the first reconnection; it doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a server may take to cancel what nobody waits for any more.
const CANCELLING: Duration = Duration::from_secs(5);

/// A job that has ended, with what it made.
#[derive(Debug, Clone)]
pub struct FinishedJob {
    pub job: Job,
    pub media: Vec<Media>,
}

/// Why the following ended early, and the jobs that had not.
pub struct Stopped {
    pub reason: GenerateError,
    pub unfinished: Vec<i64>,
}

/// Follows all jobs until each has ended, in order of variation, or until `stop` gives a reason to leave them.
pub async fn follow_all(
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

/// Takes those of `jobs` off the queue that still wait; the others run on or are handed back by their server.
pub async fn cancel(client: &Client, jobs: &[i64]) {
    let cancelling = async {
        for id in jobs {
            if let Err(status) = client.jobs().cancel_job(CancelJobRequest { id: *id }).await {
                tracing::debug!(job_id = id, %status, "the job was not cancelled");
            }
        }
    };
    if tokio::time::timeout(CANCELLING, cancelling).await.is_err() {
        tracing::warn!("the server did not answer in time; jobs that still wait will run");
    }
}

/// How far the following of a job has come.
#[derive(Debug, Default)]
struct Place {
    /// The last revision that arrived.
    revision: i64,
    /// Whether the current stream brought anything.
    heard: bool,
}

async fn follow(client: &Client, job_id: i64, progress: &Progress) -> Result<FinishedJob, Status> {
    follow_streams(job_id, progress, async |request| {
        client
            .jobs()
            .watch_job(request)
            .await
            .map(tonic::Response::into_inner)
    })
    .await
}

/// Follows one job through as many streams as it takes. Each resumes after the last revision that arrived.
async fn follow_streams<S>(
    job_id: i64,
    progress: &Progress,
    open: impl AsyncFn(WatchJobRequest) -> Result<S, Status>,
) -> Result<FinishedJob, Status>
where
    S: Stream<Item = Result<WatchJobResponse, Status>> + Unpin,
{
    let mut place = Place::default();
    let mut breaks = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let after_revision = place.revision;
        let broken = match open(WatchJobRequest {
            job_id,
            after_revision,
        })
        .await
        {
            Ok(stream) => match read(stream, &mut place, progress).await {
                Ok(finished) => return Ok(finished),
                Err(broken) => broken,
            },
            Err(status) => status,
        };
        if std::mem::take(&mut place.heard) {
            breaks = 0;
            pause = FIRST_PAUSE;
        }
        breaks += 1;
        if breaks > BREAKS || !is_worth_resuming(&broken) {
            return Err(broken);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Reads one stream up to the end of the job; how the stream broke otherwise.
async fn read(
    mut stream: impl Stream<Item = Result<WatchJobResponse, Status>> + Unpin,
    place: &mut Place,
    progress: &Progress,
) -> Result<FinishedJob, Status> {
    loop {
        let next = tokio::time::timeout(SILENCE, stream.next()).await;
        let message = match next {
            Ok(Some(message)) => message?,
            Ok(None) => return Err(Status::unavailable("the stream ended before the job")),
            Err(_) => return Err(Status::unavailable("the stream fell silent")),
        };
        let is_transition = message.event() == WatchJobEvent::Transition;
        *place = Place {
            revision: message.revision.max(place.revision),
            heard: true,
        };
        let Some(job) = message.job else { continue };
        progress.show(&job);
        if is_transition && has_ended(&job) {
            return Ok(FinishedJob {
                job,
                media: message.media,
            });
        }
    }
}

/// Whether a job will not change its status any more by itself.
fn has_ended(job: &Job) -> bool {
    matches!(
        job.status(),
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled
    )
}

/// Whether another stream may fare better: the connection or the server broke, not the question.
fn is_worth_resuming(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
            | Code::Aborted
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use futures::stream;

    use super::*;

    type Message = Result<WatchJobResponse, Status>;

    fn message(event: WatchJobEvent, revision: i64, status: JobStatus) -> Message {
        Ok(WatchJobResponse {
            event: event.into(),
            revision,
            job: Some(Job {
                id: 1,
                status: status.into(),
                ..Job::default()
            }),
            media: Vec::new(),
        })
    }

    fn transition(revision: i64, status: JobStatus) -> Message {
        message(WatchJobEvent::Transition, revision, status)
    }

    /// Follows a job whose streams are scripted; returns its end and the revisions that were resumed after.
    async fn follow_script(streams: Vec<Vec<Message>>) -> (Result<FinishedJob, Status>, Vec<i64>) {
        let streams = Mutex::new(streams.into_iter());
        let asked = Mutex::new(Vec::new());
        let end = follow_streams(1, &Progress::hidden(), async |request| {
            asked.lock().unwrap().push(request.after_revision);
            let stream = streams.lock().unwrap().next();
            stream
                .map(stream::iter)
                .ok_or_else(|| Status::not_found("no more streams"))
        })
        .await;
        (end, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn a_broken_stream_is_resumed_after_the_last_revision() {
        let (end, asked) = follow_script(vec![
            vec![
                transition(1, JobStatus::Pending),
                transition(2, JobStatus::Processing),
                Err(Status::unavailable("gone")),
            ],
            vec![message(WatchJobEvent::Progress, 2, JobStatus::Processing)],
            vec![transition(3, JobStatus::Completed)],
        ])
        .await;
        assert_eq!(end.unwrap().job.status(), JobStatus::Completed);
        assert_eq!(asked, [0, 2, 2]);
    }

    #[tokio::test]
    async fn only_a_transition_ends_the_following() {
        let (end, asked) = follow_script(vec![
            vec![message(WatchJobEvent::Heartbeat, 2, JobStatus::Completed)],
            vec![transition(3, JobStatus::Completed)],
        ])
        .await;
        assert!(end.is_ok());
        assert_eq!(asked, [0, 2]);
    }

    #[tokio::test]
    async fn an_answer_that_will_not_change_ends_the_following() {
        let (end, asked) =
            follow_script(vec![vec![Err(Status::not_found("there is no such job"))]]).await;
        assert_eq!(end.unwrap_err().message(), "there is no such job");
        assert_eq!(asked, [0]);
    }

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
        let client = Client::unconnected();
        let stop = std::future::ready(GenerateError::EmptyCatalogue);
        let stopped = follow_all(&client, &jobs, &Progress::hidden(), stop)
            .await
            .unwrap_err();
        assert_eq!(stopped.unfinished, [1, 2]);
    }
}
