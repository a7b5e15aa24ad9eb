//! How an attempt ends that has made nothing, see docs/domain.md#attempts.

use std::time::Duration;

use crate::domain::JobInput;

use super::{Cause, Failure, Transition};

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

impl AttemptEnd {
    /// What the job makes then.
    pub fn transition(&self) -> Transition {
        match self {
            Self::Fail(_) => Transition::Fail,
            Self::Retry { .. } => Transition::Retry,
            Self::HandBack { .. } | Self::FallBack { .. } => Transition::HandBack,
        }
    }

    /// What the event of the transition tells beside the status.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::Fail(_) => None,
            Self::Retry { .. } => Some(Cause::Retry),
            Self::HandBack { .. } => Some(Cause::HandBack),
            Self::FallBack { .. } => Some(Cause::FallBack),
        }
    }

    /// What the row tells of it; `None`: what it has told before.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Fail(failure) | Self::Retry { failure, .. } | Self::FallBack { failure, .. } => {
                Some(failure)
            }
            Self::HandBack { .. } => None,
        }
    }

    /// How long the job is out of the queue, if it comes back.
    pub fn pause(&self) -> Duration {
        match self {
            Self::Retry { pause, .. } => *pause,
            Self::Fail(_) | Self::HandBack { .. } | Self::FallBack { .. } => Duration::ZERO,
        }
    }

    /// Whether the row keeps what it knows of the submitted task.
    pub fn keeps_task(&self) -> bool {
        match self {
            Self::Fail(_) => true,
            Self::Retry { keep_task, .. } | Self::HandBack { keep_task } => *keep_task,
            Self::FallBack { .. } => false,
        }
    }

    /// What the job is to make from now on, if that is something else.
    pub fn input(&self) -> Option<&JobInput> {
        match self {
            Self::FallBack { input, .. } => Some(input),
            Self::Fail(_) | Self::Retry { .. } | Self::HandBack { .. } => None,
        }
    }
}
