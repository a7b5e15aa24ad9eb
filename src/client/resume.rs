//! One stream for the caller, made of as many as it takes over connections that break.

use std::time::Duration;

use futures::stream;
use futures::{Stream, StreamExt};
use tonic::{Code, Status};

use super::reason;
use super::retry::{Backoff, RetryPolicy};

/// What opens a stream: it names a place to go on from.
pub(super) trait Question: Clone {
    /// What the stream delivers.
    type Message;

    /// Moves the place behind the message, so that a stream which is opened next goes on from there. What the stream has left out
    /// of it, since it said so before, is put back.
    fn advance(&mut self, message: &mut Self::Message) -> Step;
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It tells the caller nothing.
    Skip,
    Deliver,
    /// It is the last one.
    End,
}

/// How far the watching has come.
struct Watching<Q, O, S> {
    question: Q,
    policy: RetryPolicy,
    open: O,
    current: Option<S>,
    /// Runs from the first break after the last message.
    backoff: Option<Backoff>,
    ended: bool,
}

/// The messages of as many streams as it takes, opened by `open`, until one ends or a break does not pass.
pub(super) fn resuming<Q, O, F, S>(
    question: Q,
    policy: RetryPolicy,
    open: O,
) -> impl Stream<Item = Result<Q::Message, Status>> + Send
where
    Q: Question + Send + Sync,
    Q::Message: Send,
    O: FnMut(Q) -> F + Send,
    F: Future<Output = Result<S, Status>> + Send,
    S: Stream<Item = Result<Q::Message, Status>> + Unpin + Send,
{
    let watching = Watching {
        question,
        policy,
        open,
        current: None,
        backoff: None,
        ended: false,
    };
    stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((event, watching))
    })
}

impl<Q, O, F, S> Watching<Q, O, S>
where
    Q: Question,
    O: FnMut(Q) -> F,
    F: Future<Output = Result<S, Status>>,
    S: Stream<Item = Result<Q::Message, Status>> + Unpin,
{
    /// The next event for the caller; `None` after the end.
    async fn next(&mut self) -> Option<Result<Q::Message, Status>> {
        while !self.ended {
            match self.hear().await {
                Ok(Some(mut message)) => {
                    self.backoff = None;
                    let step = self.question.advance(&mut message);
                    self.ended = step == Step::End;
                    if step != Step::Skip {
                        return Some(Ok(message));
                    }
                }
                Ok(None) => self.ended = true,
                Err(broken) => {
                    self.current = None;
                    if !self.may_resume(&broken).await {
                        self.ended = true;
                        return Some(Err(broken));
                    }
                }
            }
        }
        None
    }

    /// The next message of the current stream, or of a new one. `None` when the server says that there is no more.
    async fn hear(&mut self) -> Result<Option<Q::Message>, Status> {
        let heard = async {
            let stream = match &mut self.current {
                Some(stream) => stream,
                closed => closed.insert((self.open)(self.question.clone()).await?),
            };
            stream.next().await.transpose()
        };
        heard_within(self.policy.longest_silence, heard).await
    }

    async fn may_resume(&mut self, broken: &Status) -> bool {
        let backoff = self
            .backoff
            .get_or_insert_with(|| Backoff::start(self.policy, None));
        is_passing(broken) && backoff.wait(broken).await
    }
}

/// What a stream brings, or that it counts as broken.
pub(super) async fn heard_within<T>(
    patience: Duration,
    heard: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout(patience, heard)
        .await
        .unwrap_or_else(|_| Err(Status::unavailable("the stream fell silent")))
}

/// Whether another stream may fare better: the server is unavailable, or the connection broke. Every other error of the
/// service has a reason; one of the connection has none, and tonic gives it one of these codes.
pub(super) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable => true,
        Code::Unknown | Code::Internal | Code::Cancelled => reason(status).is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use prost_types::Struct;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;
    use crate::client::proto::{Job, JobStatus, WatchJobEvent, WatchJobRequest, WatchJobResponse};
    use crate::client::watch::WatchedJob;

    /// Quick, and more than what the scripted streams need.
    const POLICY: RetryPolicy = RetryPolicy {
        deadline: Duration::from_secs(10),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(1),
        longest_silence: Duration::from_secs(10),
    };

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

    fn input(prompt: &str) -> Struct {
        let prompt = prost_types::Value {
            kind: Some(prost_types::value::Kind::StringValue(prompt.to_owned())),
        };
        Struct {
            fields: [("prompt".to_owned(), prompt)].into(),
        }
    }

    /// Watches a job whose streams are scripted. Returns the events and the revisions that were resumed after.
    async fn watch(streams: Vec<Vec<Message>>) -> (Vec<Message>, Vec<i64>) {
        watch_with(POLICY, streams).await
    }

    async fn watch_with(
        policy: RetryPolicy,
        streams: Vec<Vec<Message>>,
    ) -> (Vec<Message>, Vec<i64>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        let streams = Mutex::new(streams.into_iter());
        let question = WatchedJob {
            asked: WatchJobRequest {
                id: 1,
                ..Default::default()
            },
            input: None,
        };
        let events = resuming(question, policy, move |question| {
            noted.lock().unwrap().push(question.asked.after_revision);
            let next = streams.lock().unwrap().next();
            let next = next.ok_or_else(|| Status::not_found("no more streams"));
            std::future::ready(next.map(stream::iter))
        });
        let events = events.collect().await;
        let asked = asked.lock().unwrap().clone();
        (events, asked)
    }

    fn revisions(events: &[Message]) -> Vec<i64> {
        let events = events.iter().map(|event| event.as_ref().unwrap());
        events.map(|event| event.revision).collect()
    }

    #[tokio::test]
    async fn a_broken_stream_is_resumed_after_the_last_transition() {
        let (events, asked) = watch(vec![
            vec![
                transition(1, JobStatus::Pending),
                transition(2, JobStatus::Processing),
                Err(Status::unavailable("gone")),
            ],
            vec![
                message(WatchJobEvent::Progress, 2, JobStatus::Processing),
                Err(Status::unknown("reset")),
            ],
            vec![transition(3, JobStatus::Completed)],
        ])
        .await;
        assert_eq!(revisions(&events), [1, 2, 2, 3]);
        assert_eq!(asked, [0, 2, 2]);
    }

    #[tokio::test]
    async fn what_comes_again_is_not_delivered_again() {
        let (events, _) = watch(vec![
            vec![
                transition(1, JobStatus::Pending),
                Err(Status::unavailable("gone")),
            ],
            vec![
                transition(1, JobStatus::Pending),
                transition(2, JobStatus::Cancelled),
            ],
        ])
        .await;
        assert_eq!(revisions(&events), [1, 2]);
    }

    #[tokio::test]
    async fn the_input_that_a_stream_tells_once_is_in_every_message() {
        let whole = |mut message: Message, prompt: &str| {
            let job = message.as_mut().unwrap().job.as_mut().unwrap();
            job.input = Some(input(prompt));
            message
        };
        let heartbeat = message(WatchJobEvent::Heartbeat, 2, JobStatus::Processing);
        let (events, _) = watch(vec![
            vec![
                whole(transition(1, JobStatus::Pending), "first"),
                transition(2, JobStatus::Processing),
                Err(Status::unavailable("gone")),
            ],
            vec![
                whole(heartbeat, "again"),
                transition(3, JobStatus::Completed),
            ],
        ])
        .await;
        let inputs = events
            .into_iter()
            .map(|event| event.unwrap().job.unwrap().input);
        let told = ["first", "first", "again"].map(|prompt| Some(input(prompt)));
        assert_eq!(inputs.collect::<Vec<_>>(), told);
    }

    #[tokio::test]
    async fn only_a_transition_ends_the_watching() {
        let (events, asked) = watch(vec![vec![
            message(WatchJobEvent::Heartbeat, 2, JobStatus::Completed),
            transition(3, JobStatus::Completed),
            transition(4, JobStatus::Pending),
        ]])
        .await;
        assert_eq!(revisions(&events), [3]);
        assert_eq!(asked, [0]);
    }

    #[tokio::test]
    async fn a_job_that_had_ended_before_has_no_events() {
        let (events, asked) = watch(vec![vec![]]).await;
        assert!(events.is_empty());
        assert_eq!(asked, [0]);
    }

    #[tokio::test]
    async fn an_answer_that_will_not_change_ends_the_watching() {
        let (events, asked) = watch(vec![vec![Err(Status::not_found("no such job"))]]).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].as_ref().unwrap_err().message(), "no such job");
        assert_eq!(asked, [0]);
    }

    #[tokio::test]
    async fn a_server_that_stays_away_is_given_up() {
        let policy = RetryPolicy {
            deadline: Duration::from_millis(50),
            ..POLICY
        };
        let gone = || vec![Err(Status::unavailable("gone"))];
        let (events, asked) = watch_with(policy, (0..1_000).map(|_| gone()).collect()).await;
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].as_ref().unwrap_err().message(), "gone");
        assert!((2..1_000).contains(&asked.len()), "{asked:?}");
    }

    #[test]
    fn a_fault_of_the_server_does_not_pass_and_one_of_the_connection_does() {
        assert!(is_passing(&Status::internal("h2 protocol error")));
        let mut details = ErrorDetails::new();
        details.set_error_info("INTERNAL", "generation", HashMap::new());
        let fault = Status::with_error_details(Code::Internal, "a fault", details);
        assert!(!is_passing(&fault));
    }
}
