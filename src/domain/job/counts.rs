//! The counts of a request's jobs, and the status that they add up to, see docs/domain.md#request-status.

use crate::domain::{JobStatus, RequestStatus};

/// How many of a request's jobs stand where. Those superseded by a retry do not count, nor those that were deleted apart
/// from their request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// They wait for a worker.
    pub pending: u32,
    /// A worker has them.
    pub processing: u32,
    /// They made media.
    pub completed: u32,
    /// They failed for good.
    pub failed: u32,
    /// They were taken off before they ran.
    pub cancelled: u32,
}

impl JobCounts {
    /// Counts so many jobs more that have a status.
    pub fn add(&mut self, status: JobStatus, jobs: u32) {
        match status {
            JobStatus::Pending => self.pending += jobs,
            JobStatus::Processing => self.processing += jobs,
            JobStatus::Completed => self.completed += jobs,
            JobStatus::Failed => self.failed += jobs,
            JobStatus::Cancelled => self.cancelled += jobs,
        }
    }

    /// All of them.
    pub fn total(self) -> u32 {
        self.pending + self.processing + self.finished()
    }

    fn finished(self) -> u32 {
        self.completed + self.failed + self.cancelled
    }
}

/// A request's status as the sum of its jobs, see docs/domain.md#request-status. One whose jobs were all deleted stays as it
/// ended `before`; if it had not, it is cancelled, since nothing would ever end it.
pub fn request_status(counts: JobCounts, before: RequestStatus) -> RequestStatus {
    use RequestStatus::{Cancelled, Completed, Failed, Pending, Processing};
    if counts == JobCounts::default() && matches!(before, Completed | Failed) {
        before
    } else if counts.processing > 0 || (counts.pending > 0 && counts.finished() > 0) {
        Processing
    } else if counts.pending > 0 {
        Pending
    } else if counts.completed > 0 {
        Completed
    } else if counts.failed > 0 {
        Failed
    } else {
        Cancelled
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::job::Transition;

    const ALL: [JobStatus; 5] = [
        JobStatus::Pending,
        JobStatus::Processing,
        JobStatus::Completed,
        JobStatus::Failed,
        JobStatus::Cancelled,
    ];

    fn counts(statuses: &[JobStatus]) -> JobCounts {
        let mut counts = JobCounts::default();
        for status in statuses {
            counts.add(*status, 1);
        }
        counts
    }

    #[test]
    fn a_request_without_jobs_stays_as_it_ended_and_ends_if_it_had_not() {
        use RequestStatus::{Cancelled, Completed, Failed, Pending, Processing};
        for (before, after) in [
            (Pending, Cancelled),
            (Processing, Cancelled),
            (Completed, Completed),
            (Failed, Failed),
            (Cancelled, Cancelled),
        ] {
            assert_eq!(request_status(JobCounts::default(), before), after);
        }
    }

    /// A job's life as a walk along the allowed transitions.
    fn history() -> impl Strategy<Value = Vec<JobStatus>> {
        proptest::collection::vec(any::<prop::sample::Index>(), 0..8).prop_map(|choices| {
            let mut life = vec![JobStatus::Pending];
            for choice in choices {
                let now = life[life.len() - 1];
                let rules = Transition::ALL.iter().map(|transition| transition.rule());
                let next: Vec<_> = rules.filter(|rule| rule.from == now).collect();
                if !next.is_empty() {
                    life.push(next[choice.index(next.len())].to);
                }
            }
            life
        })
    }

    proptest! {
        #[test]
        fn the_aggregate_follows_the_rules_at_every_step_of_job_histories(
            histories in proptest::collection::vec(history(), 1..5),
            step in 0usize..9,
        ) {
            let now: Vec<JobStatus> =
                histories.iter().map(|life| life[step.min(life.len() - 1)]).collect();
            let any = |status| now.contains(&status);
            let status = request_status(counts(&now), RequestStatus::Pending);
            let expected = if now.iter().all(|s| *s == JobStatus::Pending) {
                RequestStatus::Pending
            } else if any(JobStatus::Processing) || any(JobStatus::Pending) {
                RequestStatus::Processing
            } else if any(JobStatus::Completed) {
                RequestStatus::Completed
            } else if any(JobStatus::Failed) {
                RequestStatus::Failed
            } else {
                RequestStatus::Cancelled
            };
            prop_assert_eq!(status, expected);
        }

        #[test]
        fn the_order_of_the_jobs_does_not_matter(mut statuses in proptest::collection::vec(0usize..5, 1..6)) {
            let sum = |statuses: &[usize]| {
                let statuses: Vec<_> = statuses.iter().map(|i| ALL[*i]).collect();
                request_status(counts(&statuses), RequestStatus::Pending)
            };
            let before = sum(&statuses);
            statuses.reverse();
            prop_assert_eq!(before, sum(&statuses));
        }
    }
}
