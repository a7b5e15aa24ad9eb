//! Watches jobs and requests through broken connections.

use futures::StreamExt;
use futures::stream::BoxStream;
use prost_types::Struct;
use tonic::Status;

use super::proto::{
    Job, JobStatus, WatchJobEvent, WatchJobRequest, WatchJobResponse, WatchRequestEvent,
    WatchRequestRequest, WatchRequestResponse, WatchRequestsRequest, WatchRequestsResponse,
    WatchUserRequest, WatchUserResponse, job_service_client::JobServiceClient,
    request_service_client::RequestServiceClient,
};
use super::resume::{Question, Step, resuming};
use super::{Client, Plain};

/// The transitions of a job, and its progress between them.
pub type JobEvents = BoxStream<'static, Result<WatchJobResponse, Status>>;

/// The transitions of all jobs of a request, and their progress between them.
pub type RequestEvents = BoxStream<'static, Result<WatchRequestResponse, Status>>;

/// The transitions of all jobs of several requests, and their progress between them.
pub type RequestsEvents = BoxStream<'static, Result<WatchRequestsResponse, Status>>;

/// The transitions of all jobs of a user, and their progress between them.
pub type UserEvents = BoxStream<'static, Result<WatchUserResponse, Status>>;

impl Client {
    /// Watches a job from after `after_revision`, 0 for its beginning, to its end: every transition in order and once, and
    /// progress between them. Connections that break and servers that stop are not seen: the stream resumes by itself, until
    /// nothing could be heard for the deadline of the [`super::RetryPolicy`]. It ends after the terminal transition, or at
    /// once when `after_revision` is that one; for a deleted job with the event that says so. Heartbeats are left out.
    ///
    /// # Errors
    /// The first error that another try would not mend: NOT_FOUND (`JOB_NOT_FOUND`), OUT_OF_RANGE (`REVISION_AHEAD`),
    /// INVALID_ARGUMENT, or what the connection broke with. The stream ends with it.
    pub fn watch_job(&self, job_id: i64, after_revision: i64) -> JobEvents {
        let jobs = JobServiceClient::new(self.plain.clone())
            .max_decoding_message_size(self.max_message_bytes);
        let open = move |question: WatchedJob| {
            let mut jobs = jobs.clone();
            async move {
                let opened = jobs.watch_job(question.asked).await;
                opened.map(tonic::Response::into_inner)
            }
        };
        let question = WatchedJob {
            asked: WatchJobRequest {
                id: job_id,
                after_revision,
                omit_unchanged: true,
                ..Default::default()
            },
            input: None,
        };
        resuming(question, self.policy, open).boxed()
    }

    /// Watches all jobs of a request from after `cursor`, empty for the beginning, until none waits or runs: those of one job
    /// in order and each once. It resumes by itself like [`Client::watch_job`]; each event has the cursor behind it. The last
    /// event of a deleted request says so. Heartbeats are left out.
    ///
    /// # Errors
    /// The first error that another try would not mend: NOT_FOUND (`REQUEST_NOT_FOUND`), INVALID_ARGUMENT for a cursor that
    /// is not of this request, OUT_OF_RANGE (`REVISION_AHEAD`), or what the connection broke with. The stream ends with it.
    pub fn watch_request(&self, request_id: i64, cursor: &str) -> RequestEvents {
        let requests = self.request_streams();
        let open = move |question| {
            let mut requests = requests.clone();
            async move {
                let opened = requests.watch_request(question).await;
                opened.map(tonic::Response::into_inner)
            }
        };
        let question = WatchRequestRequest {
            id: request_id,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        resuming(question, self.policy, open).boxed()
    }

    /// Watches up to 100 requests like [`Client::watch_request`], in one stream with one cursor, until none waits for a job.
    /// That one of them is deleted is told once, and once more should the stream have resumed meanwhile.
    ///
    /// # Errors
    /// As [`Client::watch_request`].
    pub fn watch_requests(&self, request_ids: Vec<i64>, cursor: &str) -> RequestsEvents {
        let requests = self.request_streams();
        let open = move |question| {
            let mut requests = requests.clone();
            async move {
                let opened = requests.watch_requests(question).await;
                opened.map(tonic::Response::into_inner)
            }
        };
        let question = WatchRequestsRequest {
            ids: request_ids,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        resuming(question, self.policy, open).boxed()
    }

    /// Watches all requests of a user, those to come too: from after `cursor`, or from now on with what has not ended, which
    /// the first event says. It resumes by itself like [`Client::watch_job`] and does not end.
    ///
    /// # Errors
    /// The first error that another try would not mend: INVALID_ARGUMENT for a cursor that is not of this user, OUT_OF_RANGE
    /// (`REVISION_AHEAD`), or what the connection broke with. The stream ends with it.
    pub fn watch_user(&self, user_id: i64, cursor: &str) -> UserEvents {
        let requests = self.request_streams();
        let open = move |question| {
            let mut requests = requests.clone();
            async move {
                let opened = requests.watch_user(question).await;
                opened.map(tonic::Response::into_inner)
            }
        };
        let question = WatchUserRequest {
            user_id,
            cursor: cursor.to_owned(),
            ..Default::default()
        };
        resuming(question, self.policy, open).boxed()
    }

    fn request_streams(&self) -> RequestServiceClient<Plain> {
        RequestServiceClient::new(self.plain.clone())
            .max_decoding_message_size(self.max_message_bytes)
    }
}

/// Whether a job will not change its status any more.
pub fn has_ended(job: &Job) -> bool {
    matches!(
        job.status(),
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled
    )
}

/// A watch of a job whose input comes once in each stream, and is put back into what follows.
#[derive(Clone)]
pub(super) struct WatchedJob {
    pub(super) asked: WatchJobRequest,
    pub(super) input: Option<Struct>,
}

impl Question for WatchedJob {
    type Message = WatchJobResponse;

    fn advance(&mut self, message: &mut WatchJobResponse) -> Step {
        if let Some(job) = &mut message.job {
            match &job.input {
                Some(_) => self.input.clone_from(&job.input),
                None => job.input.clone_from(&self.input),
            }
        }
        match message.event() {
            // Delivered before.
            WatchJobEvent::Transition if message.revision <= self.asked.after_revision => {
                Step::Skip
            }
            WatchJobEvent::Transition => {
                self.asked.after_revision = message.revision;
                let ended = message.job.as_ref().filter(|job| has_ended(job));
                match ended {
                    // Of a deleted job one more comes, which says so.
                    Some(job) if job.delete_time.is_none() => Step::End,
                    _ => Step::Deliver,
                }
            }
            WatchJobEvent::Deleted => Step::End,
            WatchJobEvent::Progress => Step::Deliver,
            WatchJobEvent::Heartbeat | WatchJobEvent::Unspecified => Step::Skip,
        }
    }
}

impl Question for WatchRequestRequest {
    type Message = WatchRequestResponse;

    fn advance(&mut self, message: &mut WatchRequestResponse) -> Step {
        self.cursor.clone_from(&message.cursor);
        step(message.event())
    }
}

impl Question for WatchRequestsRequest {
    type Message = WatchRequestsResponse;

    fn advance(&mut self, message: &mut WatchRequestsResponse) -> Step {
        self.cursor.clone_from(&message.cursor);
        step(message.event())
    }
}

impl Question for WatchUserRequest {
    type Message = WatchUserResponse;

    fn advance(&mut self, message: &mut WatchUserResponse) -> Step {
        self.cursor.clone_from(&message.cursor);
        step(message.event())
    }
}

/// Never the end: only the server knows whether more jobs come.
fn step(event: WatchRequestEvent) -> Step {
    match event {
        WatchRequestEvent::Transition
        | WatchRequestEvent::Progress
        | WatchRequestEvent::Deleted
        | WatchRequestEvent::Opened
        | WatchRequestEvent::Purged => Step::Deliver,
        WatchRequestEvent::Heartbeat | WatchRequestEvent::Unspecified => Step::Skip,
    }
}
