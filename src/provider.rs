//! What makes media: the services that a feature can name.
//!
//! A provider answers either at once ([`Submitted::Done`]: a program in this process, an HTTP call that lasts as long as
//! the work) or with a task that is asked for until it ends ([`Submitted::Accepted`]). The executor writes the task's id
//! down before it first polls, so that a restart goes on polling instead of submitting again.

pub mod builtin;
pub mod clean;
pub mod comfyui;
pub mod exec;
pub mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod gate;
mod http;
mod mask;
mod moderation;
pub mod openai;
mod output;
mod preset;
mod registry;
pub mod scripted;
pub mod sdapi;
pub mod task;
mod unready;
pub mod voice;
mod webhook;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use codec::Format;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::domain::{JobInput, JsonMap, MediaType, Problem, job::PROVIDER_SHARE};

pub use gate::{Passage, part_of};
pub use moderation::{Moderation, ModerationService, NoVerdict, Verdict, WordList, WordListError};
pub use output::{Content, HeldFile, Output, OutputFile, tell_withheld};
pub use preset::{Inputs, Place, Preset, Unfit};
pub use registry::{Opening, Registry};
pub use unready::{Lack, Unready};
pub use webhook::{Forged, Told, WebhookCall};

/// A service that makes media from a job's input.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The name by which features ask for it.
    fn name(&self) -> &str;

    /// Whether it makes media of this type.
    fn makes(&self, media_type: MediaType) -> bool;

    /// Whether a submission whose outcome is unknown may simply be repeated, because it costs nothing or because the
    /// service knows [`Task::submission_key`] again. Otherwise the executor never submits a second time.
    fn may_resubmit(&self) -> bool;

    /// Whether it can work here.
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }

    /// What it could not take, or would not read, of a feature's model and settings, and of a template's style over them with
    /// the values of its variables.
    fn check(&self, preset: Preset<'_>, variables: &JsonMap) -> Vec<Unfit> {
        let _ = (preset, variables);
        Vec::new()
    }

    /// Whether there is something that [`probe`](Self::probe) can ask.
    fn can_be_probed(&self) -> bool {
        true
    }

    /// Asks the service whether it answers and accepts our key. Nothing is made and nothing is paid.
    async fn probe(&self) -> Result<Probed, ProviderError> {
        self.ready()?;
        Ok(Probed::Ready)
    }

    /// How many seconds its outputs last where nobody says how long; `None` where only its service knows, or they do not last.
    fn own_seconds(&self, media_type: MediaType) -> Option<u32> {
        let _ = media_type;
        None
    }

    /// Whether it reads a field of a request, such as `cfg_scale`; true where it cannot tell.
    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        let _ = (preset, input);
        true
    }

    /// What of the inputs, by its field, would fail a job.
    fn check_inputs(&self, preset: Preset<'_>, inputs: &Inputs<'_>) -> Vec<(String, Problem)> {
        let _ = (preset, inputs);
        Vec::new()
    }

    /// Whether it is handed the pictures that a request brings, in [`Task::pictures`]; otherwise it gets their links.
    fn takes_pictures(&self, media_type: MediaType) -> bool {
        let _ = media_type;
        false
    }

    /// Whether it has a place for a mask of the first picture, which it then finds by [`Task::mask`].
    fn takes_mask(&self, media_type: MediaType) -> bool {
        let _ = media_type;
        false
    }

    /// What it could not make of a prompt: [`NothingToShow`](crate::domain::Flaw::NothingToShow) where nothing would come of it, else what is left out.
    fn remarks(&self, media_type: MediaType, prompt: &str) -> Vec<Problem> {
        let _ = (media_type, prompt);
        Vec::new()
    }

    /// Hands the work over, or does it.
    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError>;

    /// Asks how an accepted task is. An error means that the asking failed: the task may still be running.
    ///
    /// Only a provider that answers [`Submitted::Accepted`] is asked.
    async fn poll(&self, task: &Task, task_id: &str) -> Result<Polled, ProviderError> {
        let _ = (task, task_id);
        Err(ProviderError::Failed(
            "this provider has no tasks to ask for".to_owned(),
        ))
    }

    /// Whether an accepted task can be asked for; otherwise only a call to [`Task::webhook_url`] tells how it is.
    fn can_be_asked(&self) -> bool {
        true
    }

    /// Checks that a call to [`Task::webhook_url`] comes from the service, and tells what it is.
    async fn recognise(&self, call: &WebhookCall) -> Result<Told, Forged> {
        let _ = call;
        Err(Forged::Signature)
    }

    /// Looks for the task of a submission whose outcome is unknown, by its [`Task::submission_key`]. `None`: the service
    /// cannot tell.
    async fn find(&self, task: &Task) -> Result<Option<String>, ProviderError> {
        let _ = task;
        Ok(None)
    }

    /// Stops an accepted task, if the service can, so that nobody pays for what nobody waits for.
    async fn cancel(&self, task: &Task, task_id: &str) -> Result<(), ProviderError> {
        let _ = (task, task_id);
        Ok(())
    }
}

/// One attempt at a job, as a provider sees it.
#[derive(Clone, Debug)]
pub struct Task {
    /// The job that it is an attempt at.
    pub job_id: i64,
    /// From 1.
    pub attempt: u32,
    /// What is to be made.
    pub media_type: MediaType,
    /// All that was asked for, resolved.
    pub input: JobInput,
    /// What the request brings, in the order of its fields, the mask last. Only [`Provider::submit`] gets them, and only of a provider that
    /// takes them.
    pub pictures: Vec<Picture>,
    /// Canonical lower-case UUID, the same for every call about one submission, and written down before it is made.
    pub submission_key: String,
    /// Where the service may tell that the task has come forward.
    pub webhook_url: Option<Url>,
    /// What it has told there; only for a provider that cannot be asked.
    pub answer: Option<Bytes>,
    /// Where to tell how far the work is.
    pub progress: ProgressSender,
    /// Cancelled when the attempt must end: time is up, the lease is lost, the server stops. A provider that does the work
    /// itself stops then.
    pub cancelled: CancellationToken,
}

/// The field that brings the mask.
pub(crate) const MASK: &str = "input.mask_url";

impl Task {
    /// What of the first picture is to be made anew.
    pub fn mask(&self) -> Option<&Picture> {
        self.pictures.iter().find(|picture| picture.field == MASK)
    }

    /// The pictures without the mask.
    pub fn pictures_to_work_from(&self) -> impl Iterator<Item = &Picture> {
        self.pictures.iter().filter(|picture| picture.field != MASK)
    }
}

/// A picture that a request brings.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The field that names it, such as `user_media_urls[0]` or `input.variables.face`.
    pub field: String,
    /// Its bytes.
    pub content: Bytes,
    /// What they are.
    pub format: Format,
}

#[cfg(test)]
impl Task {
    /// The first attempt at a job that nobody watches.
    pub(crate) fn unwatched(media_type: MediaType, input: JobInput) -> Self {
        Self {
            job_id: 1,
            attempt: 1,
            media_type,
            input,
            pictures: Vec::new(),
            submission_key: String::new(),
            webhook_url: None,
            answer: None,
            progress: ProgressSender::channel().0,
            cancelled: CancellationToken::new(),
        }
    }
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// The work is done.
    Done(Output),
    /// The service works on it.
    Accepted {
        /// The service's own name of the task, which [`Provider::poll`] gets.
        task_id: String,
        /// When it makes sense to ask first.
        poll_after: Duration,
    },
}

/// How an accepted task is.
#[derive(Debug)]
pub enum Polled {
    /// The service still works on it.
    Running {
        /// When it makes sense to ask again.
        poll_after: Duration,
    },
    /// The work is done.
    Done(Output),
    /// The task itself has ended without an output.
    Failed(ProviderError),
}

/// How far a provider is with its work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// 0 to 1.
    pub fraction: f64,
    /// What is being done, for a person; may be empty.
    pub message: String,
    /// A picture of what is there so far, in any format that Atelier reads; `None` leaves the one before.
    pub preview: Option<Bytes>,
}

/// Takes the progress of a provider, of which it makes that of the attempt. Only the newest matters, so sending never waits.
#[derive(Clone, Debug)]
pub struct ProgressSender(watch::Sender<Progress>);

impl ProgressSender {
    /// A sender, and where what was sent last is seen: nothing done and nothing said at first.
    pub fn channel() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(sender), receiver)
    }

    /// Tells what is being done; the fraction stays.
    pub fn say(&self, message: &str) {
        self.0
            .send_modify(|progress| progress.message = clean::line(message));
    }

    /// A fraction that is no number counts as 0.
    pub fn send(&self, sent: Progress) {
        self.0.send_modify(|progress| {
            progress.fraction = PROVIDER_SHARE * share(sent.fraction);
            progress.message = clean::line(&sent.message);
            progress.preview = sent.preview.or(progress.preview.take());
        });
    }

    /// Tells how much is done of what comes after the provider, from 0 to 1, and what is being done.
    pub(crate) fn send_after(&self, fraction: f64, message: &str) {
        self.0.send_modify(|progress| {
            progress.fraction = PROVIDER_SHARE + (1.0 - PROVIDER_SHARE) * share(fraction);
            progress.message = clean::line(message);
        });
    }
}

fn share(fraction: f64) -> f64 {
    if fraction.is_nan() {
        0.0
    } else {
        fraction.clamp(0.0, 1.0)
    }
}

/// What a probe has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The service answers, and accepts our key.
    Ready,
    /// Something answers that does not know what it is asked. Not every service does, so it may be the right one.
    Unsure,
}

impl Probed {
    pub(crate) fn of(knows: bool) -> Self {
        match knows {
            true => Self::Ready,
            false => Self::Unsure,
        }
    }
}

/// Why a provider did not make anything. The text is the service's own, for operators.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Trying again later may help: overload, a rate limit, a fault that passes.
    #[error("{detail}")]
    Transient {
        /// The service's own words.
        detail: String,
        /// When the service asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// The service cannot be reached, or is too busy for anybody. Nothing was submitted.
    #[error("{0}")]
    Unavailable(String),
    /// The content policy refuses the prompt or a picture.
    #[error("{0}")]
    Rejected(String),
    /// The service does not accept this input.
    #[error("{0}")]
    UnfitInput(String),
    /// The service does not accept this input. The text is ours, and shown to the user.
    #[error("{0}")]
    InvalidInput(String),
    /// It is unknown whether the service took the task.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// It cannot work for this server, as when a program is missing or the service does not accept its key.
    #[error(transparent)]
    NotReady(#[from] Unready),
    /// What it made cannot be read.
    #[error("{0}")]
    InvalidOutput(String),
    /// It used more memory or room than it may, or answers with more bytes.
    #[error("{0}")]
    LimitExceeded(String),
    /// It took longer than the provider's own limit.
    #[error("{detail}")]
    TimedOut {
        /// How long it may take.
        limit: Duration,
        /// What it said by then.
        detail: String,
    },
    /// Trying again would not help.
    #[error("{0}")]
    Failed(String),
    /// The attempt was stopped by [`Task::cancelled`]. From [`Provider::submit`] it also says that nothing was submitted, or
    /// that nobody has to pay for it; a provider that cannot tell answers [`ProviderError::OutcomeUnknown`].
    #[error("stopped")]
    Stopped,
}

/// Nobody waits for the task any more, and it may cost all the same.
pub(crate) fn not_cancelled(task_id: &str, error: &ProviderError) {
    tracing::warn!(task_id, "cannot cancel the provider's task");
    tracing::debug!(task_id, %error, "why it cannot be cancelled");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_an_attempt_is_kept_for_what_comes_after_the_provider() {
        let (sender, seen) = ProgressSender::channel();
        let sent = |fraction, preview| Progress {
            fraction,
            message: "drawing".to_owned(),
            preview,
        };
        let picture = Some(Bytes::from_static(b"picture"));
        sender.send(sent(f64::NAN, picture.clone()));
        assert_eq!(*seen.borrow(), sent(0.0, picture.clone()));
        sender.send(sent(2.0, None));
        assert_eq!(*seen.borrow(), sent(PROVIDER_SHARE, picture.clone()));
        sender.say("waiting");
        assert_eq!(seen.borrow().fraction, PROVIDER_SHARE);
        sender.send_after(0.5, "storing");
        let after = seen.borrow().clone();
        assert_eq!((after.fraction, after.message.as_str()), (0.95, "storing"));
        assert_eq!(after.preview, picture);
    }
}
