//! What an attempt's error means for its job: a reason and a sentence for the user, and whether to try again.

use std::time::Duration;

use crate::{
    domain::{
        Error, Reason, backoff,
        job::{AttemptEnd, Failure},
    },
    entity::job,
    media::{InspectError, StorageError},
    provider::{NoVerdict, ProviderError, clean},
};

const CLOCK_OFF: &str =
    "the clock of the worker is off by more than the storage takes: set the clock";

/// Why an attempt made nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttemptError {
    pub(super) failure: Failure,
    /// Whether another attempt may help.
    pub(super) retryable: bool,
    pub(super) retry_after: Option<Duration>,
    /// The provider still works on the task, so the next attempt asks for it instead of submitting.
    pub(super) keep_task: bool,
}

impl AttemptError {
    pub(super) fn permanent(failure: Failure) -> Self {
        Self {
            failure,
            retryable: false,
            retry_after: None,
            keep_task: false,
        }
    }

    pub(super) fn retryable(failure: Failure) -> Self {
        Self {
            retryable: true,
            ..Self::permanent(failure)
        }
    }

    pub(super) fn storage_away() -> Self {
        let sentence = "The media storage cannot be reached right now.";
        Self::retryable(Failure::new(Reason::StorageUnavailable, sentence))
    }

    /// The same with what operators are told of the cause, which names the bucket and its endpoint and so is not told itself.
    pub(super) fn of_storage(cause: &(dyn std::error::Error + 'static)) -> Self {
        let away = Self::storage_away();
        match cause.downcast_ref() {
            Some(StorageError::ClockOff { .. }) => Self {
                failure: away.failure.with_detail(CLOCK_OFF),
                ..away
            },
            _ => away,
        }
    }

    pub(super) fn not_judged(error: &NoVerdict) -> Self {
        let sentence = "What was made cannot be checked right now.";
        let failure = Failure::new(Reason::ModerationUnavailable, sentence);
        Self::retryable(failure.with_detail(clean::text(&error.to_string())))
    }

    pub(super) fn rejected(sentence: String, categories: &[String]) -> Self {
        let failure = Failure::new(Reason::ContentRejected, sentence);
        Self::permanent(failure.with_detail(categories.join(", ")))
    }

    pub(super) fn keeping_task(self) -> Self {
        Self {
            keep_task: true,
            ..self
        }
    }

    /// Whether the output only waits for what will come back: the storage, or who judges it.
    pub(super) fn only_waits(&self) -> bool {
        let passing = [Reason::StorageUnavailable, Reason::ModerationUnavailable];
        passing.contains(&self.failure.reason)
    }

    /// Whether the job ends with this attempt.
    pub(super) fn is_final(&self, job: &job::Model) -> bool {
        !self.retryable || job.attempt >= job.max_attempts
    }

    /// The end of the job's attempt: another one after a pause, or the job's failure.
    pub(super) fn end(self, job: &job::Model) -> AttemptEnd {
        if self.is_final(job) {
            return AttemptEnd::Fail(self.failure);
        }
        let attempt = u32::try_from(job.attempt).unwrap_or(1);
        AttemptEnd::Retry {
            pause: backoff::pause(attempt, self.retry_after, rand::random_range(-1.0..=1.0)),
            failure: self.failure,
            keep_task: self.keep_task,
        }
    }
}

impl From<ProviderError> for AttemptError {
    fn from(error: ProviderError) -> Self {
        let detail = clean::text(&error.to_string());
        let failure =
            |reason, sentence: &str| Failure::new(reason, sentence).with_detail(detail.clone());
        match error {
            ProviderError::Transient { retry_after, .. } => Self {
                retry_after,
                ..Self::retryable(failure(
                    Reason::ProviderUnavailable,
                    "The generator is overloaded right now.",
                ))
            },
            ProviderError::Unavailable(_) => Self::retryable(failure(
                Reason::ProviderUnavailable,
                "The generator cannot be reached right now, or is too busy.",
            )),
            ProviderError::Rejected(_) => Self::permanent(failure(
                Reason::ProviderRejectedContent,
                "The generator refuses this content.",
            )),
            ProviderError::InvalidInput(_) => Self::permanent(
                Failure::new(Reason::ProviderRejectedInput, detail.clone())
                    .with_detail(detail.clone()),
            ),
            ProviderError::UnfitInput(_) => Self::permanent(failure(
                Reason::ProviderRejectedInput,
                "The generator does not accept this input.",
            )),
            ProviderError::OutcomeUnknown(_) => Self::permanent(failure(
                Reason::ProviderOutcomeUnknown,
                "It is not known whether the generator took the task.",
            )),
            ProviderError::NotReady(unready) => Self::permanent(failure(
                Reason::ProviderNotReady,
                &format!("The generator cannot run here: {}.", unready.lack),
            )),
            ProviderError::InvalidOutput(_) => Self::permanent(invalid_output(detail.clone())),
            ProviderError::LimitExceeded(_) => Self::permanent(failure(
                Reason::ProviderLimitExceeded,
                "The generator needed more memory or room than it may use.",
            )),
            ProviderError::TimedOut { limit, .. } => Self::permanent(failure(
                Reason::JobTimedOut,
                &format!(
                    "The generator took longer than {} seconds.",
                    limit.as_secs_f64()
                ),
            )),
            ProviderError::Failed(_) | ProviderError::Stopped => {
                Self::permanent(failure(Reason::ProviderFailed, "The generator failed."))
            }
        }
    }
}

impl From<InspectError> for AttemptError {
    fn from(error: InspectError) -> Self {
        match &error {
            InspectError::TooLarge { .. } | InspectError::BeyondBounds(_) => {
                Self::permanent(Failure::new(
                    Reason::OutputTooLarge,
                    format!("The output is too large: {error}."),
                ))
            }
            InspectError::Busy => Self::retryable(
                Failure::new(
                    Reason::Internal,
                    "The server is too busy to read the output.",
                )
                .with_detail(error.to_string()),
            ),
            InspectError::Empty
            | InspectError::UnknownFormat
            | InspectError::TimedOut
            | InspectError::Corrupt(_) => Self::permanent(invalid_output(error.to_string())),
            InspectError::Refused(why) => Self::permanent(Failure::new(
                Reason::ProviderInvalidOutput,
                format!("The generator made a file that is not taken: {why}."),
            )),
        }
    }
}

impl From<StorageError> for AttemptError {
    fn from(error: StorageError) -> Self {
        Self::of_storage(&error)
    }
}

impl From<Error> for AttemptError {
    /// The database was away in the middle of an attempt.
    fn from(error: Error) -> Self {
        Self::retryable(
            Failure::new(Reason::Internal, "The server could not record its work.")
                .with_detail(error.to_string()),
        )
    }
}

pub(super) fn invalid_output(detail: String) -> Failure {
    Failure::new(
        Reason::ProviderInvalidOutput,
        "The generator made a file that cannot be read.",
    )
    .with_detail(clean::text(&detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Lack, Unready};

    #[test]
    fn what_a_service_says_is_told_to_operators_only() {
        let said = || "at 10.0.0.7: /srv/model is loading".to_owned();
        let lacks = |lack| {
            let detail = said();
            ProviderError::NotReady(Unready { lack, detail })
        };
        for error in [
            ProviderError::Transient {
                detail: said(),
                retry_after: None,
            },
            ProviderError::Unavailable(said()),
            ProviderError::Rejected(said()),
            ProviderError::UnfitInput(said()),
            ProviderError::OutcomeUnknown(said()),
            lacks(Lack::Program),
            lacks(Lack::Configuration),
            lacks(Lack::Credentials),
            lacks(Lack::Credit),
            lacks(Lack::Service),
            ProviderError::InvalidOutput(said()),
            ProviderError::LimitExceeded(said()),
            ProviderError::TimedOut {
                limit: Duration::from_secs(1),
                detail: said(),
            },
            ProviderError::Failed(said()),
        ] {
            let failure = AttemptError::from(error).failure;
            assert!(!failure.message.contains("10.0.0.7"), "{failure:?}");
            assert_eq!(failure.detail, Some(said()));
        }
    }
}
