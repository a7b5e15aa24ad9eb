//! Watches a job or a request to its end.

use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::Status;

use super::Client;
use super::proto::{
    Job, JobStatus, WatchJobEvent, WatchJobRequest, WatchJobResponse, WatchRequestEvent,
    WatchRequestRequest, WatchRequestResponse, job_service_client::JobServiceClient,
    request_service_client::RequestServiceClient,
};
use super::resume::{Question, Step, resuming};

/// The transitions of a job, and its progress between them.
pub type JobEvents = BoxStream<'static, Result<WatchJobResponse, Status>>;

/// The transitions of all jobs of a request, and their progress between them.
pub type RequestEvents = BoxStream<'static, Result<WatchRequestResponse, Status>>;

impl Client {
    /// Watches a job from after `after_revision`, 0 for its beginning, to its end: every transition in order and once, and
    /// progress between them. Connections that break and servers that stop are not seen: the stream resumes by itself, until
    /// nothing could be heard for the deadline of the [`super::RetryPolicy`]. It ends after the terminal transition, or at
    /// once when `after_revision` is that one. Heartbeats are left out.
    ///
    /// # Errors
    /// The first error that another try would not mend: NOT_FOUND (`JOB_NOT_FOUND`), OUT_OF_RANGE (`REVISION_AHEAD`),
    /// INVALID_ARGUMENT, or what the connection broke with. The stream ends with it.
    pub fn watch_job(&self, job_id: i64, after_revision: i64) -> JobEvents {
        let jobs = JobServiceClient::new(self.plain.clone())
            .max_decoding_message_size(self.max_message_bytes);
        let open = move |question| {
            let mut jobs = jobs.clone();
            async move {
                jobs.watch_job(question)
                    .await
                    .map(tonic::Response::into_inner)
            }
        };
        let question = WatchJobRequest {
            job_id,
            after_revision,
        };
        resuming(question, self.policy, open).boxed()
    }

    /// Watches all jobs of a request from after `cursor`, empty for the beginning, until none waits or runs: those of one job
    /// in order and each once. It resumes by itself like [`Client::watch_job`]; each event has the cursor behind it.
    /// Heartbeats are left out.
    ///
    /// # Errors
    /// The first error that another try would not mend: NOT_FOUND (`REQUEST_NOT_FOUND`), INVALID_ARGUMENT for a cursor that
    /// is not of this request, OUT_OF_RANGE (`REVISION_AHEAD`), or what the connection broke with. The stream ends with it.
    pub fn watch_request(&self, request_id: i64, cursor: &str) -> RequestEvents {
        let requests = RequestServiceClient::new(self.plain.clone())
            .max_decoding_message_size(self.max_message_bytes);
        let open = move |question| {
            let mut requests = requests.clone();
            async move {
                let opened = requests.watch_request(question).await;
                opened.map(tonic::Response::into_inner)
            }
        };
        let question = WatchRequestRequest {
            request_id,
            cursor: cursor.to_owned(),
        };
        resuming(question, self.policy, open).boxed()
    }
}

/// Whether a job will not change its status any more.
pub fn has_ended(job: &Job) -> bool {
    matches!(
        job.status(),
        JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled
    )
}

impl Question for WatchJobRequest {
    type Message = WatchJobResponse;

    fn advance(&mut self, message: &WatchJobResponse) -> Step {
        match message.event() {
            // Delivered before.
            WatchJobEvent::Transition if message.revision <= self.after_revision => Step::Skip,
            WatchJobEvent::Transition => {
                self.after_revision = message.revision;
                if message.job.as_ref().is_some_and(has_ended) {
                    Step::End
                } else {
                    Step::Deliver
                }
            }
            WatchJobEvent::Progress => Step::Deliver,
            WatchJobEvent::Heartbeat | WatchJobEvent::Unspecified => Step::Skip,
        }
    }
}

impl Question for WatchRequestRequest {
    type Message = WatchRequestResponse;

    /// Never the end: only the server knows whether more jobs come.
    fn advance(&mut self, message: &WatchRequestResponse) -> Step {
        self.cursor.clone_from(&message.cursor);
        match message.event() {
            WatchRequestEvent::Transition | WatchRequestEvent::Progress => Step::Deliver,
            WatchRequestEvent::Heartbeat | WatchRequestEvent::Unspecified => Step::Skip,
        }
    }
}
