//! Watching jobs and requests as a client does.

use atelier::rpc::proto::{
    CreateRequestRequest, Job, JobStatus, Media, WatchJobEvent, WatchJobRequest, WatchJobResponse,
    WatchRequestEvent, WatchRequestRequest, WatchRequestResponse, WatchRequestsRequest,
    WatchUserRequest,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tonic::{Status, Streaming};

use crate::support::client::Client;
use crate::support::server::within;

/// One open WatchJob stream.
pub(crate) struct Watch(Streaming<WatchJobResponse>);

impl Client {
    /// Watches a job from its beginning.
    pub(crate) async fn watch(&self, job_id: i64) -> Watch {
        self.watch_after(job_id, 0).await
    }

    pub(crate) async fn watch_after(&self, job_id: i64, after_revision: i64) -> Watch {
        self.try_watch(job_id, after_revision).await.unwrap()
    }

    pub(crate) async fn try_watch(
        &self,
        job_id: i64,
        after_revision: i64,
    ) -> Result<Watch, Status> {
        let request = WatchJobRequest {
            id: job_id,
            after_revision,
            ..Default::default()
        };
        let opened = within(self.jobs().watch_job(request)).await?;
        Ok(Watch(opened.into_inner()))
    }

    /// The job once it has ended, with all its transitions.
    pub(crate) async fn ended(&self, job_id: i64) -> Ended {
        let transitions = self.watch(job_id).await.transitions().await;
        let job = self.job(job_id).await;
        Ended { job, transitions }
    }

    /// The job once it is completed, with all its transitions.
    pub(crate) async fn completed(&self, job_id: i64) -> Ended {
        let ended = self.ended(job_id).await;
        assert_eq!(
            ended.job.status(),
            JobStatus::Completed,
            "{:?}",
            ended.job.error
        );
        ended
    }

    /// The job of a request for one, once it is completed.
    pub(crate) async fn made(&self, asked: CreateRequestRequest) -> Ended {
        let job = self.create(asked).await.1.remove(0);
        self.completed(job.id).await
    }

    /// Waits until the job is in `status`, or has been.
    pub(crate) async fn reached(&self, job_id: i64, status: JobStatus) -> WatchJobResponse {
        let mut watch = self.watch(job_id).await;
        loop {
            let event = watch.transition().await;
            let event = event.unwrap_or_else(|| panic!("job {job_id} never was {status:?}"));
            if status_of(&event) == status {
                return event;
            }
        }
    }
}

/// A job that has ended.
pub(crate) struct Ended {
    pub job: Job,
    pub transitions: Vec<WatchJobResponse>,
}

impl Ended {
    /// What was made, as the job's watcher gets it.
    pub(crate) fn media(&self) -> Vec<Media> {
        self.transitions.last().unwrap().media.clone()
    }

    pub(crate) fn statuses(&self) -> Vec<JobStatus> {
        statuses(&self.transitions)
    }

    /// The code of the error that the job ended with; empty if it has none.
    pub(crate) fn code(&self) -> &str {
        self.job.error.as_ref().map_or("", |error| &error.code)
    }
}

impl Watch {
    /// The next message of any kind; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchJobResponse>, Status> {
        within(self.0.message()).await
    }

    /// The next transition; `None` at the end of the stream.
    pub(crate) async fn transition(&mut self) -> Option<WatchJobResponse> {
        // Around the loop: heartbeats must not put the deadline off.
        within(async {
            loop {
                let message = self.next().await.unwrap()?;
                if message.event() == WatchJobEvent::Transition {
                    return Some(message);
                }
            }
        })
        .await
    }

    /// All transitions until the stream ends.
    pub(crate) async fn transitions(mut self) -> Vec<WatchJobResponse> {
        let mut transitions = Vec::new();
        while let Some(transition) = self.transition().await {
            transitions.push(transition);
        }
        transitions
    }

    /// All messages until the stream ends, but for progress and heartbeats.
    pub(crate) async fn rest(mut self) -> Vec<WatchJobResponse> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await.unwrap() {
            if [WatchJobEvent::Transition, WatchJobEvent::Deleted].contains(&message.event()) {
                messages.push(message);
            }
        }
        messages
    }

    /// What the stream breaks with; its messages before that are passed over.
    pub(crate) async fn broken(mut self) -> Status {
        within(async {
            loop {
                match self.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream ended with OK"),
                    Err(status) => return status,
                }
            }
        })
        .await
    }
}

pub(crate) fn status_of(message: &WatchJobResponse) -> JobStatus {
    message.job.as_ref().unwrap().status()
}

pub(crate) fn statuses(messages: &[WatchJobResponse]) -> Vec<JobStatus> {
    messages.iter().map(status_of).collect()
}

pub(crate) fn revisions(messages: &[WatchJobResponse]) -> Vec<i64> {
    messages.iter().map(|message| message.revision).collect()
}

/// One open WatchRequest, WatchRequests or WatchUser stream, whose messages are alike.
pub(crate) struct RequestWatch(BoxStream<'static, Result<WatchRequestResponse, Status>>);

impl Client {
    /// Watches a request from its beginning.
    pub(crate) async fn watch_request(&self, request_id: i64) -> RequestWatch {
        self.watch_request_after(request_id, "").await
    }

    pub(crate) async fn watch_request_after(&self, request_id: i64, cursor: &str) -> RequestWatch {
        self.try_watch_request(request_id, cursor).await.unwrap()
    }

    pub(crate) async fn try_watch_request(
        &self,
        request_id: i64,
        cursor: &str,
    ) -> Result<RequestWatch, Status> {
        let request = WatchRequestRequest {
            id: request_id,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        let opened = within(self.requests().watch_request(request)).await?;
        Ok(RequestWatch(opened.into_inner().boxed()))
    }

    pub(crate) async fn try_watch_requests(
        &self,
        request_ids: &[i64],
        cursor: &str,
    ) -> Result<RequestWatch, Status> {
        let request = WatchRequestsRequest {
            ids: request_ids.to_vec(),
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        let opened = within(self.requests().watch_requests(request)).await?;
        let messages = opened.into_inner().map_ok(|message| WatchRequestResponse {
            event: message.event,
            job: message.job,
            request: message.request,
            media: message.media,
            cursor: message.cursor,
        });
        Ok(RequestWatch(messages.boxed()))
    }

    pub(crate) async fn watch_requests(&self, ids: &[i64], cursor: &str) -> RequestWatch {
        self.try_watch_requests(ids, cursor).await.unwrap()
    }

    pub(crate) async fn try_watch_user(
        &self,
        user_id: i64,
        cursor: &str,
    ) -> Result<RequestWatch, Status> {
        let request = WatchUserRequest {
            user_id,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        let opened = within(self.requests().watch_user(request)).await?;
        let messages = opened.into_inner().map_ok(|message| WatchRequestResponse {
            event: message.event,
            job: message.job,
            request: message.request,
            media: message.media,
            cursor: message.cursor,
        });
        Ok(RequestWatch(messages.boxed()))
    }

    pub(crate) async fn watch_user(&self, user_id: i64, cursor: &str) -> RequestWatch {
        self.try_watch_user(user_id, cursor).await.unwrap()
    }
}

impl RequestWatch {
    /// The next message of any kind; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchRequestResponse>, Status> {
        within(self.0.try_next()).await
    }

    /// The next message of this kind; `None` at the end of the stream.
    pub(crate) async fn event(&mut self, kind: WatchRequestEvent) -> Option<WatchRequestResponse> {
        within(async {
            loop {
                let message = self.next().await.unwrap()?;
                if message.event() == kind {
                    return Some(message);
                }
            }
        })
        .await
    }

    /// The next transition; `None` at the end of the stream.
    pub(crate) async fn transition(&mut self) -> Option<WatchRequestResponse> {
        self.event(WatchRequestEvent::Transition).await
    }

    /// All transitions until the stream ends.
    pub(crate) async fn transitions(mut self) -> Vec<WatchRequestResponse> {
        let mut transitions = Vec::new();
        while let Some(transition) = self.transition().await {
            transitions.push(transition);
        }
        transitions
    }

    /// All transitions, purges and deletions until the stream ends.
    pub(crate) async fn rest(mut self) -> Vec<WatchRequestResponse> {
        let mut messages = Vec::new();
        while let Some(message) = self.next().await.unwrap() {
            if [
                WatchRequestEvent::Transition,
                WatchRequestEvent::Deleted,
                WatchRequestEvent::Purged,
            ]
            .contains(&message.event())
            {
                messages.push(message);
            }
        }
        messages
    }
}

/// Which transition a message tells: the job and its revision.
pub(crate) fn step_of(message: &WatchRequestResponse) -> (i64, i64) {
    let job = message.job.as_ref().unwrap();
    (job.id, job.revision)
}

pub(crate) fn steps(messages: &[WatchRequestResponse]) -> Vec<(i64, i64)> {
    messages.iter().map(step_of).collect()
}
