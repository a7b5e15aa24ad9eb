//! What the jobs and requests must be, told once more without a database, a transaction or the code's own rules.

mod queue;
mod request;

use std::collections::{BTreeMap, BTreeSet};

use atelier::domain::{JobCounts, JobStatus, RequestStatus};
use atelier::entity::job;
use atelier::store::queue::Lease;
use chrono::{DateTime, Utc};
use proptest::sample::Index;

use super::operation;
use crate::support::bench::LEASE;

type Time = DateTime<Utc>;
/// Nothing, or why it is refused.
type Outcome = Result<(), &'static str>;

/// As the bench is set.
const MAX_ATTEMPTS: i32 = 2;
/// Late attempts are among the last so many.
const RECENT: usize = 5;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Job {
    pub request: i64,
    pub user: i64,
    pub feature: i64,
    pub variation: i32,
    pub status: JobStatus,
    pub attempt: i32,
    /// Status and attempts after each transition, in order.
    pub events: Vec<(JobStatus, i32)>,
    pub run_after: Time,
    /// Whether it waits for its time, and nobody has seen that this has come.
    pub parked: bool,
    /// All jobs are of one generator.
    pub turn: i64,
    pub lease: Option<(String, Time)>,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    pub error: Option<&'static str>,
    pub deleted_at: Option<Time>,
    pub superseded_by: Option<i64>,
    /// A claim has met it while its feature was paused, or full.
    pub set_aside: bool,
    priority: i32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub status: RequestStatus,
    pub deleted_at: Option<Time>,
    pub version: i64,
}

pub(super) struct Model {
    pub now: Time,
    pub jobs: BTreeMap<i64, Job>,
    pub requests: BTreeMap<i64, Request>,
    /// By the job that made it; each makes one at most.
    pub media: BTreeMap<i64, Option<Time>>,
    /// How many jobs of the feature run at once, if that has a limit.
    pub limit: Option<usize>,
    /// The feature that is paused and limited.
    feature: i64,
    attempts: Vec<Lease>,
    /// Jobs that wait for others of their user to end.
    held: BTreeSet<i64>,
    /// Whether the queue is paused.
    is_paused: bool,
    /// Whether the feature is.
    feature_is_paused: bool,
}

impl Model {
    pub(super) fn new(now: Time, feature: i64) -> Self {
        Self {
            now,
            jobs: BTreeMap::new(),
            requests: BTreeMap::new(),
            media: BTreeMap::new(),
            limit: None,
            feature,
            attempts: Vec::new(),
            held: BTreeSet::new(),
            is_paused: false,
            feature_is_paused: false,
        }
    }

    /// Pauses the queue, or the feature, or resumes it. Returns whether it is paused then.
    pub(super) fn toggle(&mut self, whole: bool) -> bool {
        if whole {
            self.is_paused = !self.is_paused;
            return self.is_paused;
        }
        self.feature_is_paused = !self.feature_is_paused;
        self.feature_is_paused
    }

    /// New requests with their jobs, which came at once. How many of them share a transaction, nobody knows: those that come
    /// where nobody waits have the turns of their numbers, then, or the next ones.
    pub(super) fn accept(&mut self, requests: &[Vec<job::Model>]) -> Result<(), String> {
        let mut requests: Vec<_> = requests.iter().collect();
        requests.sort_unstable_by_key(|jobs| jobs[0].id);
        let of_line = |job: &job::Model| (job.user_id, job.priority);
        let ends = requests.iter().map(|jobs| of_line(&jobs[0]));
        let ends = ends.map(|(user, priority)| ((user, priority), self.line(user, priority)));
        // Where each goes if it does not see the others, which are stored at the same moment.
        let mut ends: BTreeMap<_, _> = ends.collect();
        for jobs in requests {
            let request = Request {
                status: RequestStatus::Pending,
                deleted_at: None,
                version: 1,
            };
            self.requests.insert(jobs[0].request_id, request);
            for told in jobs {
                let place = (told.request_id, told.variation);
                let line = (told.user_id, told.feature_id, told.priority);
                self.add(told.id, place, line);
                let turn = told.pass.unwrap_or(told.id);
                let end = ends.get_mut(&of_line(told)).and_then(Option::as_mut);
                if turn == end.as_deref().copied().unwrap_or(told.id) {
                    self.job(told.id).turn = turn;
                }
                if let Some(end) = end {
                    *end += 1;
                }
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        id: i64,
        (request, variation): (i64, i32),
        (user, feature, priority): (i64, i64, i32),
    ) {
        let job = Job {
            request,
            user,
            feature,
            variation,
            priority,
            status: JobStatus::Pending,
            attempt: 0,
            events: vec![(JobStatus::Pending, 0)],
            run_after: DateTime::UNIX_EPOCH,
            parked: false,
            turn: self.line(user, priority).unwrap_or(id),
            lease: None,
            started_at: None,
            completed_at: None,
            error: None,
            deleted_at: None,
            superseded_by: None,
            set_aside: false,
        };
        self.jobs.insert(id, job);
    }

    pub(super) fn pick_job(&self, index: &Index) -> Option<i64> {
        let ids: Vec<i64> = self.jobs.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[index.index(ids.len())])
    }

    pub(super) fn pick_request(&self, index: &Index) -> i64 {
        let ids: Vec<i64> = self.requests.keys().copied().collect();
        ids[index.index(ids.len())]
    }

    pub(super) fn pick_attempt(&self, index: &Index) -> Option<Lease> {
        let recent = &self.attempts[self.attempts.len().saturating_sub(RECENT)..];
        (!recent.is_empty()).then(|| recent[index.index(recent.len())].clone())
    }

    /// Whether the lease holds.
    pub(super) fn end_attempt(&mut self, lease: &Lease, action: &operation::Attempt) -> bool {
        let now = self.now;
        let job = self.job(lease.job_id);
        if job
            .lease
            .as_ref()
            .is_none_or(|(token, _)| *token != lease.token)
        {
            return false;
        }
        match action {
            operation::Attempt::Heartbeat => {
                job.lease = Some((lease.token.clone(), now + LEASE));
                return true;
            }
            operation::Attempt::Complete => {
                job.end(JobStatus::Completed, None, now);
                self.media.insert(lease.job_id, None);
            }
            operation::Attempt::Fail => job.end(JobStatus::Failed, Some("PROVIDER_FAILED"), now),
            operation::Attempt::Retry(pause) => {
                job.wait(Some("PROVIDER_UNAVAILABLE"), now + *pause);
                job.parked = !pause.is_zero();
            }
            operation::Attempt::HandBack => {
                job.attempt -= 1;
                job.wait(None, now);
            }
        }
        self.settle(None);
        true
    }

    /// How many are rescued.
    pub(super) fn rescue(&mut self) -> usize {
        let now = self.now;
        let mut rescued = 0;
        for job in self.jobs.values_mut() {
            if job.lease.as_ref().is_none_or(|(_, expiry)| *expiry >= now) {
                continue;
            }
            rescued += 1;
            if job.attempt < MAX_ATTEMPTS {
                job.wait(Some("WORKER_LOST"), now);
            } else {
                job.end(JobStatus::Failed, Some("WORKER_LOST"), now);
            }
        }
        self.settle(None);
        rescued
    }

    pub(super) fn delete_media(&mut self, job: i64) {
        let now = self.now;
        if let Some(deleted_at) = self.media.get_mut(&job) {
            deleted_at.get_or_insert(now);
        }
    }

    /// `answer` is the job that the service has answered with: after a retry, the successor.
    pub(super) fn change_job(
        &mut self,
        id: i64,
        action: &operation::Job,
        answer: Option<i64>,
    ) -> Outcome {
        let request = self.jobs[&id].request;
        let request_deleted = self.requests[&request].deleted_at.is_some();
        let now = self.now;
        let job = self.job(id);
        match action {
            operation::Job::Cancel(running) => {
                match (job.deleted_at, job.status) {
                    (Some(_), _) => return Err("not found"),
                    (None, JobStatus::Processing) if !running => return Err("already processing"),
                    (None, JobStatus::Completed | JobStatus::Failed) => {
                        return Err("already finished");
                    }
                    (None, JobStatus::Cancelled) => {}
                    (None, JobStatus::Pending | JobStatus::Processing) => {
                        job.end(JobStatus::Cancelled, None, now);
                    }
                }
                self.settle(None);
            }
            operation::Job::Retry => return self.retry_job(id, answer),
            operation::Job::Delete => {
                if job.deleted_at.is_none() {
                    job.cancel(true, now);
                    job.deleted_at = Some(now);
                }
                self.settle(None);
            }
            operation::Job::Undelete if request_deleted => return Err("request deleted"),
            operation::Job::Undelete => {
                job.deleted_at = None;
                self.settle(None);
            }
        }
        Ok(())
    }

    fn retry_job(&mut self, id: i64, answer: Option<i64>) -> Outcome {
        let job = &self.jobs[&id];
        if self.requests[&job.request].deleted_at.is_some() {
            return Err("request deleted");
        }
        if job.deleted_at.is_some() {
            return Err("not found");
        }
        if job.superseded_by.is_some() {
            return (job.superseded_by == answer)
                .then_some(())
                .ok_or("another successor");
        }
        if !matches!(job.status, JobStatus::Failed | JobStatus::Cancelled) {
            return Err("job not retryable");
        }
        let request = job.request;
        self.supersede(id, answer.ok_or("no successor")?);
        self.settle(Some(request));
        Ok(())
    }

    fn supersede(&mut self, old: i64, new: i64) {
        let job = self.job(old);
        job.superseded_by = Some(new);
        let place = (job.request, job.variation);
        let line = (job.user, job.feature, job.priority);
        self.add(new, place, line);
    }

    /// Sums the jobs up anew. `changed` is the request that a client has changed.
    fn settle(&mut self, changed: Option<i64>) {
        let ids: Vec<i64> = self.requests.keys().copied().collect();
        for id in ids {
            let status = sum(self.counts(id));
            let request = self.request(id);
            let status = status.unwrap_or(match request.status {
                RequestStatus::Pending | RequestStatus::Processing => RequestStatus::Cancelled,
                ended => ended,
            });
            if status != request.status || changed == Some(id) {
                request.version += 1;
            }
            request.status = status;
        }
    }

    /// What counts for a request: neither superseded nor deleted apart from it.
    pub(super) fn counts(&self, id: i64) -> JobCounts {
        let deleted_at = self.requests[&id].deleted_at;
        let mut counts = JobCounts::default();
        for job in self.jobs.values().filter(|job| job.request == id) {
            if job.superseded_by.is_none() && [None, deleted_at].contains(&job.deleted_at) {
                counts.add(job.status, 1);
            }
        }
        counts
    }

    fn job(&mut self, id: i64) -> &mut Job {
        self.jobs.get_mut(&id).unwrap()
    }

    fn request(&mut self, id: i64) -> &mut Request {
        self.requests.get_mut(&id).unwrap()
    }
}

/// The rule of the design's section 3, which says nothing of a request without jobs.
pub(super) fn sum(counts: JobCounts) -> Option<RequestStatus> {
    let JobCounts {
        pending,
        processing,
        completed,
        failed,
        cancelled,
    } = counts;
    Some(match (pending, processing, completed, failed, cancelled) {
        (0, 0, 0, 0, 0) => return None,
        (_, 0, 0, 0, 0) => RequestStatus::Pending,
        (0, 0, 0, 0, _) => RequestStatus::Cancelled,
        (0, 0, 0, _, _) => RequestStatus::Failed,
        (0, 0, _, _, _) => RequestStatus::Completed,
        _ => RequestStatus::Processing,
    })
}

impl Job {
    fn record(&mut self, status: JobStatus) {
        self.status = status;
        self.events.push((status, self.attempt));
    }

    fn end(&mut self, status: JobStatus, error: Option<&'static str>, now: Time) {
        self.lease = None;
        self.completed_at = Some(now);
        self.error = error;
        self.record(status);
    }

    /// `running`: also if it runs.
    fn cancel(&mut self, running: bool, now: Time) -> Option<()> {
        let reached =
            self.status == JobStatus::Pending || running && self.status == JobStatus::Processing;
        reached.then(|| self.end(JobStatus::Cancelled, None, now))
    }

    fn wait(&mut self, error: Option<&'static str>, run_after: Time) {
        self.lease = None;
        self.error = error;
        self.run_after = run_after;
        self.parked = false;
        self.record(JobStatus::Pending);
    }
}
