//! What changes a whole request.

use std::collections::BTreeSet;

use atelier::domain::JobStatus;
use atelier::entity::job;
use chrono::TimeDelta;

use super::{Model, Outcome, Time};
use crate::jobs::state_machine::operation;

impl Model {
    /// `new` are the jobs that the service says it has made.
    pub(crate) fn change_request(
        &mut self,
        id: i64,
        action: &operation::Request,
        new: &[job::Model],
    ) -> Outcome {
        let now = self.now;
        let deleted_at = self.requests[&id].deleted_at;
        match action {
            operation::Request::Cancel(_) if deleted_at.is_some() => return Err("not found"),
            operation::Request::Cancel(running) => {
                let jobs = self.jobs.values_mut().filter(|job| job.request == id);
                let cancelled = jobs.filter(|job| job.deleted_at.is_none());
                let cancelled = cancelled.filter_map(|job| job.cancel(*running, now));
                let changed = cancelled.count() > 0;
                self.settle(changed.then_some(id));
            }
            operation::Request::Retry if deleted_at.is_some() => return Err("request deleted"),
            operation::Request::Retry => return self.retry_request(id, new),
            operation::Request::Delete if deleted_at.is_some() => {}
            operation::Request::Delete => self.delete_request(id),
            operation::Request::Undelete => {
                if let Some(at) = deleted_at {
                    self.undelete_request(id, at);
                }
            }
        }
        Ok(())
    }

    fn retry_request(&mut self, id: i64, new: &[job::Model]) -> Outcome {
        let mut old: Vec<(i32, i64)> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.request == id && job.deleted_at.is_none())
            .filter(|(_, job)| job.superseded_by.is_none())
            .filter(|(_, job)| matches!(job.status, JobStatus::Failed | JobStatus::Cancelled))
            .map(|(job_id, job)| (job.variation, *job_id))
            .collect();
        if old.is_empty() {
            return self.retry_again(id, new);
        }
        old.sort_unstable();
        if old.len() != new.len() {
            return Err("another number of jobs");
        }
        let mut pairs: Vec<_> = old
            .iter()
            .zip(new)
            .map(|((_, old), new)| (new.id, *old))
            .collect();
        // In the order of their turns.
        pairs.sort_unstable();
        for (new, old) in pairs {
            self.supersede(old, new);
        }
        self.settle(Some(id));
        Ok(())
    }

    /// A retry where there is nothing to retry tells of the jobs that an earlier one made, and changes nothing.
    fn retry_again(&self, id: i64, told: &[job::Model]) -> Outcome {
        let live = || {
            self.jobs
                .iter()
                .filter(|(_, job)| job.request == id && job.deleted_at.is_none())
        };
        let successors: BTreeSet<i64> = live().filter_map(|(_, job)| job.superseded_by).collect();
        let current = live()
            .filter(|(job_id, job)| job.superseded_by.is_none() && successors.contains(job_id));
        let mut made: Vec<(i32, i64)> = current
            .map(|(job_id, job)| (job.variation, *job_id))
            .collect();
        made.sort_unstable();
        match made.is_empty() {
            true => Err("request not retryable"),
            false
                if made
                    .iter()
                    .map(|(_, id)| *id)
                    .eq(told.iter().map(|job| job.id)) =>
            {
                Ok(())
            }
            false => Err("others than the jobs of the retry"),
        }
    }

    fn delete_request(&mut self, id: i64) {
        let now = self.now;
        let jobs = &self.jobs;
        let of_request = |job: &i64| jobs[job].request == id;
        let media = self.media.iter().filter(|(job, _)| of_request(job));
        let deletions = jobs
            .values()
            .filter(|job| job.request == id)
            .filter_map(|job| job.deleted_at)
            .chain(media.clone().filter_map(|(_, deleted_at)| *deleted_at));
        let after = deletions
            .max()
            .map(|last| last + TimeDelta::microseconds(1));
        let at = after.map_or(now, |after| after.max(now));
        let makers: Vec<i64> = media.map(|(job, _)| *job).collect();
        for job in makers {
            self.media.entry(job).and_modify(|deleted_at| {
                deleted_at.get_or_insert(at);
            });
        }
        for job in self.jobs.values_mut().filter(|job| job.request == id) {
            if job.deleted_at.is_none() {
                job.cancel(true, now);
                job.deleted_at = Some(at);
            }
        }
        self.request(id).deleted_at = Some(at);
        self.settle(Some(id));
    }

    fn undelete_request(&mut self, id: i64, at: Time) {
        for (job_id, job) in self.jobs.iter_mut().filter(|(_, job)| job.request == id) {
            if job.deleted_at == Some(at) {
                job.deleted_at = None;
            }
            if let Some(media) = self.media.get_mut(job_id)
                && *media == Some(at)
            {
                *media = None;
            }
        }
        self.request(id).deleted_at = None;
        self.settle(Some(id));
    }
}
