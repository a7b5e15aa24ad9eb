//! What is done with a job that has not ended, for whoever watches it.

use super::JobStatus;

/// The part of an attempt's progress that is the provider's; the rest is of what comes after it.
pub const PROVIDER_SHARE: f64 = 0.9;

/// Where a job is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a worker.
    Queued,
    /// A worker has it, and its provider has told nothing yet.
    Starting,
    /// Its provider makes the output.
    Generating,
    /// The output is converted and stored.
    Storing,
}

impl Phase {
    /// The phase of a job that stands so; `None` for one that has ended. `is_told` says that the attempt has told what it does.
    pub fn of(status: JobStatus, progress: f64, is_told: bool) -> Option<Self> {
        match status {
            JobStatus::Pending => Some(Self::Queued),
            JobStatus::Processing if progress >= PROVIDER_SHARE => Some(Self::Storing),
            JobStatus::Processing if progress > 0.0 || is_told => Some(Self::Generating),
            JobStatus::Processing => Some(Self::Starting),
            JobStatus::Completed | JobStatus::Failed | JobStatus::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_goes_through_its_phases() {
        let processing = |progress, is_told| Phase::of(JobStatus::Processing, progress, is_told);
        assert_eq!(
            Phase::of(JobStatus::Pending, 0.0, false),
            Some(Phase::Queued)
        );
        assert_eq!(processing(0.0, false), Some(Phase::Starting));
        assert_eq!(processing(0.0, true), Some(Phase::Generating));
        assert_eq!(processing(0.45, true), Some(Phase::Generating));
        assert_eq!(processing(PROVIDER_SHARE, true), Some(Phase::Storing));
        assert_eq!(Phase::of(JobStatus::Completed, 1.0, false), None);
    }
}
