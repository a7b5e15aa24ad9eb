//! Everything that the database holds of the requests, to hold it against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use atelier::domain::{JobCounts, JobStatus};
use atelier::entity::{job, job_event, media, request};
use atelier::store;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};

use super::model::Model;
use crate::support::bench::Bench;

pub(super) struct Snapshot {
    pub requests: Vec<request::Model>,
    pub jobs: BTreeMap<i64, job::Model>,
    /// By job, in order.
    pub events: BTreeMap<i64, Vec<job_event::Model>>,
    pub media: Vec<media::Model>,
    pub counts: BTreeMap<i64, JobCounts>,
}

/// Forgets all requests with whatever belongs to them, and what is paused.
pub(super) async fn purge(bench: &Bench) {
    let db = bench.app.store.writer();
    let purged = db.execute_unprepared("DELETE FROM generation_requests");
    purged.await.unwrap();
    let resumed = db.execute_unprepared("DELETE FROM generation_pauses");
    resumed.await.unwrap();
}

impl Snapshot {
    pub(super) async fn read(bench: &Bench) -> Self {
        let db = bench.app.store.reader();
        let requests = request::Entity::find().all(db).await.unwrap();
        let jobs = job::Entity::find().all(db).await.unwrap();
        let mut events: BTreeMap<i64, Vec<job_event::Model>> = BTreeMap::new();
        let in_order = job_event::Entity::find().order_by_asc(job_event::Column::Revision);
        for event in in_order.all(db).await.unwrap() {
            events.entry(event.job_id).or_default().push(event);
        }
        Self {
            counts: store::request::job_counts(db, &requests).await.unwrap(),
            jobs: jobs.into_iter().map(|job| (job.id, job)).collect(),
            media: media::Entity::find().all(db).await.unwrap(),
            requests,
            events,
        }
    }

    /// The jobs that wait and are out of the queue in this way.
    pub(super) fn waiting(&self, out: impl Fn(&job::Model) -> bool) -> BTreeSet<i64> {
        let waiting = self.jobs.values();
        let waiting = waiting.filter(|job| job.status == JobStatus::Pending && out(job));
        waiting.map(|job| job.id).collect()
    }

    /// The first thing that is not as the model says.
    pub(super) fn compare(&self, model: &Model) -> Result<(), String> {
        agree(
            "jobs",
            self.jobs.keys().collect(),
            model.jobs.keys().collect::<Vec<_>>(),
        )?;
        agree(
            "number of requests",
            self.requests.len(),
            model.requests.len(),
        )?;
        for id in model.jobs.keys() {
            self.compare_job(*id, model)
                .map_err(|problem| format!("job {id}: {problem}"))?;
        }
        for request in &self.requests {
            self.compare_request(request, model)
                .map_err(|problem| format!("request {}: {problem}", request.id))?;
        }
        let media: BTreeMap<i64, _> = self
            .media
            .iter()
            .map(|media| (media.job_id.unwrap(), media.deleted_at))
            .collect();
        agree("number of media", self.media.len(), model.media.len())?;
        agree("media", &media, &model.media)
    }

    fn compare_job(&self, id: i64, model: &Model) -> Result<(), String> {
        let (found, expected) = (&self.jobs[&id], &model.jobs[&id]);
        agree("request", found.request_id, expected.request)?;
        agree("user", found.user_id, expected.user)?;
        agree("feature", found.feature_id, expected.feature)?;
        agree("variation", found.variation, expected.variation)?;
        agree("status", found.status, expected.status)?;
        agree("attempt", found.attempt, expected.attempt)?;
        agree("paused", found.paused, expected.set_aside)?;
        agree("run_after", found.run_after, expected.run_after)?;
        if expected.status == JobStatus::Pending {
            agree("parked", found.parked, expected.parked)?;
        }
        agree("turn", found.pass.unwrap_or(id), expected.turn)?;
        agree("started_at", found.started_at, expected.started_at)?;
        agree("completed_at", found.completed_at, expected.completed_at)?;
        agree("error", found.error_code.as_deref(), expected.error)?;
        agree("deleted_at", found.deleted_at, expected.deleted_at)?;
        agree("superseded_by", found.superseded_by, expected.superseded_by)?;
        let lease = found.lease_token.clone().zip(found.lease_expires_at);
        agree("lease", lease, expected.lease.clone())?;

        let events = &self.events[&id];
        agree("last revision", found.revision, events.len() as i64)?;
        let revisions: Vec<i64> = events.iter().map(|event| event.revision).collect();
        agree("revisions", revisions, (1..=found.revision).collect())?;
        let events = events.iter().map(|event| (event.status, event.attempt));
        agree("events", events.collect(), expected.events.clone())
    }

    fn compare_request(&self, found: &request::Model, model: &Model) -> Result<(), String> {
        let expected = &model.requests[&found.id];
        agree("status", found.status, expected.status)?;
        agree("deleted_at", found.deleted_at, expected.deleted_at)?;
        agree("version", found.version, expected.version)?;
        let counts = self.counts.get(&found.id).copied().unwrap_or_default();
        agree("counts", counts, model.counts(found.id))
    }
}

fn agree<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}
