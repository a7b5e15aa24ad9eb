//! The state machine of a job.
//!
//! ```text
//!            claim               complete
//!  pending ─────────> processing ─────────> completed
//!    │  ^                │ │ │
//!    │  └────────────────┘ │ └────────────> failed
//!    │   retry, rescue,    │   fail
//!    │   hand-back         │ stop
//!    └─────────────────────┴──────────────> cancelled
//!            cancel
//! ```
//!
//! A pending job that no worker can run fails after a time (expire), so that it does not wait for ever.
//!
//! A deleted job neither waits nor runs: its deletion cancels or stops it. That leaves no status without an end.

use crate::domain::JobStatus;

/// A change of a job's status. There are no others; the queue's statements are built from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// A worker begins an attempt.
    Claim,
    /// The attempt made media.
    Complete,
    /// The attempt made nothing, and there will be no other.
    Fail,
    /// The job is taken off the queue.
    Cancel,
    /// The attempt is cut off, and there will be no other.
    Stop,
    /// For too long, there was no worker that could run the job.
    Expire,
    /// The attempt made nothing, and the job waits for another.
    Retry,
    /// The worker of the attempt is lost, and the job waits for another.
    Rescue,
    /// The worker of the attempt stops, and gives the job to another.
    HandBack,
}

/// What a transition does to the number of attempts that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempts {
    /// One more has begun.
    Begin,
    /// It stays as it is.
    Keep,
    /// The one that has begun does not count.
    TakeBack,
}

/// What a transition changes. Each also counts the revision up, writes the event of that number and sets `updated_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The status that a job must have to make it.
    pub from: JobStatus,
    /// The status that it has then.
    pub to: JobStatus,
    /// How `attempt` changes.
    pub attempts: Attempts,
}

impl Transition {
    /// Every transition, in no order that matters.
    pub const ALL: [Self; 9] = [
        Self::Claim,
        Self::Complete,
        Self::Fail,
        Self::Cancel,
        Self::Stop,
        Self::Expire,
        Self::Retry,
        Self::Rescue,
        Self::HandBack,
    ];

    /// What it changes: the table of the state machine.
    pub const fn rule(self) -> Rule {
        use JobStatus::{Cancelled, Completed, Failed, Pending, Processing};
        let (from, to, attempts) = match self {
            Self::Claim => (Pending, Processing, Attempts::Begin),
            Self::Complete => (Processing, Completed, Attempts::Keep),
            Self::Fail => (Processing, Failed, Attempts::Keep),
            Self::Cancel => (Pending, Cancelled, Attempts::Keep),
            Self::Stop => (Processing, Cancelled, Attempts::Keep),
            Self::Expire => (Pending, Failed, Attempts::Keep),
            Self::Retry | Self::Rescue => (Processing, Pending, Attempts::Keep),
            Self::HandBack => (Processing, Pending, Attempts::TakeBack),
        };
        Rule { from, to, attempts }
    }
}

impl Rule {
    /// Whether only a live job makes the transition. A deleted one that an older program has left waiting or running can only
    /// be cancelled.
    pub fn needs_live(self) -> bool {
        self.to != JobStatus::Cancelled
    }

    /// Whether an attempt begins: `started_at` is set, and the job gets a lease.
    pub fn begins_attempt(self) -> bool {
        self.to == JobStatus::Processing
    }

    /// Whether an attempt ends: the job loses its lease, and what was told of the progress is forgotten.
    pub fn ends_attempt(self) -> bool {
        self.from == JobStatus::Processing
    }

    /// Whether the job ends: `completed_at` is set.
    pub fn ends_job(self) -> bool {
        self.to.is_terminal()
    }
}

impl JobStatus {
    /// Whether nothing comes after it.
    pub fn is_terminal(self) -> bool {
        !Transition::ALL
            .iter()
            .any(|transition| transition.rule().from == self)
    }

    /// Whether a new job may be made in the place of one that ended so.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_transitions_are_those_of_the_specification_and_the_ends_of_what_is_stopped_or_nobody_can_run()
     {
        let pairs: BTreeSet<_> = Transition::ALL
            .iter()
            .map(|transition| transition.rule())
            .map(|rule| (rule.from.as_str(), rule.to.as_str()))
            .collect();
        let specified = [
            ("pending", "cancelled"),
            ("pending", "failed"),
            ("pending", "processing"),
            ("processing", "cancelled"),
            ("processing", "completed"),
            ("processing", "failed"),
            ("processing", "pending"),
        ];
        assert_eq!(pairs, BTreeSet::from(specified));
    }

    #[test]
    fn completed_failed_and_cancelled_are_the_ends() {
        use JobStatus::{Cancelled, Completed, Failed, Pending, Processing};
        for (status, ends) in [
            (Pending, false),
            (Processing, false),
            (Completed, true),
            (Failed, true),
            (Cancelled, true),
        ] {
            assert_eq!(status.is_terminal(), ends, "{status:?}");
        }
    }

    #[test]
    fn an_attempt_counts_once_it_has_begun_unless_it_is_handed_back() {
        for transition in Transition::ALL {
            let expected = match transition {
                Transition::Claim => Attempts::Begin,
                Transition::HandBack => Attempts::TakeBack,
                _ => Attempts::Keep,
            };
            assert_eq!(transition.rule().attempts, expected, "{transition:?}");
        }
    }

    #[test]
    fn a_deleted_job_can_only_be_cancelled() {
        use Transition::{Cancel, Stop};
        for transition in Transition::ALL {
            let cancels = matches!(transition, Cancel | Stop);
            assert_eq!(transition.rule().needs_live(), !cancels, "{transition:?}");
        }
    }
}
