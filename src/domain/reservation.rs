//! What Billing holds for a job, see docs/credits.md#billing-elsewhere: from before the job is stored until Billing has answered
//! to its end.

use std::time::Duration;

use strum::{EnumIter, EnumString, IntoStaticStr};

use super::JobStatus;

/// Longest pause before Billing is told again what it has not answered to.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What Billing is to be told of a job next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReservationState {
    /// The job is about to be stored: nothing, unless that does not come about.
    Intended,
    /// The job is stored and has not ended: that it is held on.
    Held,
    /// The job has completed: that it is taken.
    Commit,
    /// The job has ended otherwise, or was never stored: that it is given back.
    Release,
}

impl ReservationState {
    /// What it is when its time has come, with its job as that stands; `None` if there is no such job.
    #[must_use]
    pub fn when_due(self, job: Option<JobStatus>) -> Self {
        match (self, job) {
            // It would be held if its job had been stored.
            (Self::Intended, _) | (Self::Held, None) => Self::Release,
            (Self::Held, Some(status)) => Self::of_job(status),
            (Self::Commit | Self::Release, _) => self,
        }
    }

    fn of_job(status: JobStatus) -> Self {
        match status {
            JobStatus::Pending | JobStatus::Processing => Self::Held,
            JobStatus::Completed => Self::Commit,
            JobStatus::Failed | JobStatus::Cancelled => Self::Release,
        }
    }
}

/// How long to wait after Billing has not answered for so many times.
pub fn pause_after(attempts: i32) -> Duration {
    let doubled = u32::try_from(attempts.clamp(1, 7)).unwrap_or(1) - 1;
    Duration::from_secs(1 << doubled).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn what_was_never_stored_or_has_vanished_is_given_back() {
        assert_eq!(
            ReservationState::Intended.when_due(None),
            ReservationState::Release
        );
        assert_eq!(
            ReservationState::Held.when_due(None),
            ReservationState::Release
        );
    }

    #[test]
    fn what_is_held_goes_by_its_job() {
        for (status, expected) in [
            (JobStatus::Pending, ReservationState::Held),
            (JobStatus::Processing, ReservationState::Held),
            (JobStatus::Completed, ReservationState::Commit),
            (JobStatus::Failed, ReservationState::Release),
            (JobStatus::Cancelled, ReservationState::Release),
        ] {
            assert_eq!(ReservationState::Held.when_due(Some(status)), expected);
        }
    }

    #[test]
    fn what_is_decided_stays_so_whatever_becomes_of_the_job() {
        let jobs = [None, Some(JobStatus::Completed), Some(JobStatus::Failed)];
        for state in ReservationState::iter() {
            for (first, second) in jobs.iter().flat_map(|one| jobs.map(|other| (*one, other))) {
                let decided = state.when_due(first);
                assert_eq!(decided.when_due(second), decided, "{state:?}");
            }
        }
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute() {
        let seconds = [0, 1, 2, 3, 7, 99].map(|attempts| pause_after(attempts).as_secs());
        assert_eq!(seconds, [1, 1, 2, 4, 60, 60]);
    }
}
