//! What is told of jobs beside their rows: why they wait, where they stand in line, and whether their workers have gone silent.

use chrono::{DateTime, Utc};

use crate::{
    app::{App, Patience, Reads, WaitingReasons},
    domain::{
        Error,
        job::{Place, is_stalled},
    },
    entity::job,
    store::queue,
};

/// What is told of one job beside its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Why it waits, should no worker be able to run it; empty otherwise.
    pub waiting_reason: String,
    /// Whether operators have paused what it waits for.
    pub is_paused: bool,
    /// Where it stands in line; `None` if it does not, or that is not known.
    pub place: Option<Place>,
    /// Whether its worker is late to say that it still runs it.
    pub is_stalled: bool,
}

/// That of several jobs.
pub struct Outlooks {
    reasons: WaitingReasons,
    reads: Reads,
    /// Workers are late whose leases end before; `None` if that is not known.
    late: Option<DateTime<Utc>>,
}

impl App {
    /// How these jobs stand beside their rows, as who asks once is told it.
    pub async fn outlooks<'a>(
        &self,
        jobs: impl IntoIterator<Item = &'a job::Model>,
    ) -> Result<Outlooks, Error> {
        let jobs: Vec<_> = jobs.into_iter().collect();
        let reasons = self.waiting_reasons(jobs.iter().copied()).await?;
        let mut outlooks = self.outlooks_by(reasons, &jobs, Patience::Waits).await;
        if jobs.iter().any(|job| job.is_running()) {
            let now = queue::time(self.store.reader(), self.clock.queue()).await?;
            outlooks.late = Some(now + self.settings.stalled_below);
        }
        Ok(outlooks)
    }

    /// The same by these reasons, without what is known of those that run.
    pub(in crate::app) async fn outlooks_by(
        &self,
        reasons: WaitingReasons,
        jobs: &[&job::Model],
        patience: Patience,
    ) -> Outlooks {
        let in_line = jobs.iter().copied();
        let in_line = in_line.filter_map(|job| Some((reasons.line_of(job)?, job.id)));
        self.look_for_places(in_line, patience).await;
        Outlooks {
            reasons,
            reads: self.reads.clone(),
            late: None,
        }
    }
}

impl Outlooks {
    /// That of one of the jobs for which they were made.
    pub fn of(&self, job: &job::Model) -> Outlook {
        let line = self.reasons.line_of(job);
        let is_late = |time| is_stalled(job.status, job.lease_expires_at, time);
        Outlook {
            waiting_reason: self.reasons.of(job),
            is_paused: self.reasons.is_paused(job),
            place: line.and_then(|line| self.reads.place(&line, job.id)),
            is_stalled: self.late.is_some_and(is_late),
        }
    }
}
