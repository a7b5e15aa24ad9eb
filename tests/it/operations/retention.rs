//! What is kept no longer: each step touches what is due and nothing else, once, and goes on where it was cut off.

mod archive;
mod engine;
mod jobs;
mod media;
mod plans;
mod purge;
mod shared_objects;

use std::time::Duration;

use atelier::app::{RetentionRun, RunEnd, StoredOutput};
use atelier::config::Config;
use atelier::domain::{JsonMap, RetentionStep};
use atelier::rpc::proto::{
    self, DeleteMediaRequest, GetMediaRequest, GetRetentionReportRequest, Job, ListJobsRequest,
    ListMediaRequest, Media, Request, RetentionStepReport,
};
use atelier::store::queue::Lease;
use chrono::TimeDelta;

use crate::support::bench::{LEASE, capability, lease, output};
use crate::support::client::{Client, request_for};
use crate::support::clocked::ClockedServer;
use crate::support::database::TestDatabase;
use crate::support::server::within;

const DAY: Duration = Duration::from_secs(86_400);

/// A server that keeps nothing for ever but what the test leaves out.
async fn keeping(db: &TestDatabase, change: impl FnOnce(&mut Config)) -> ClockedServer {
    ClockedServer::start_with(db, |config| {
        let retention = &mut config.retention;
        retention.archive_requests = Duration::ZERO;
        retention.deleted_media = Duration::ZERO;
        retention.idempotency_keys = Duration::ZERO;
        change(config);
    })
    .await
}

/// Lets all that waits be run, each job with one file that is in the storage.
async fn run_all(server: &ClockedServer) {
    run_all_making(server, output).await;
}

async fn run_all_making(server: &ClockedServer, output: impl Fn(&Lease) -> StoredOutput) {
    for (job, lease) in claim_all(server).await {
        let outputs = [output(&lease)];
        let key = &outputs[0].file.key;
        server.app.storage.put(key, "x".into(), None).await.unwrap();
        let completed = server.app.complete_job(&lease, &outputs, JsonMap::new());
        assert!(completed.await.unwrap().is_some(), "{job}");
    }
}

async fn claim_all(server: &ClockedServer) -> Vec<(i64, Lease)> {
    let scripted = [capability("scripted")];
    let claimed = server.app.claim_jobs("worker", 100, LEASE, &scripted);
    let claimed = claimed.await.unwrap();
    claimed.iter().map(|job| (job.id, lease(job))).collect()
}

/// A request whose job has made one media.
async fn made(server: &ClockedServer, feature_id: i64) -> (Request, Job, Media) {
    let (request, mut jobs) = server.create(request_for(feature_id)).await;
    run_all(server).await;
    let job = jobs.remove(0);
    let media = server.media_of(job.id).await.remove(0);
    (request, job, media)
}

fn pass(server: &ClockedServer, days: i64) {
    server.pass(TimeDelta::days(days));
}

/// What a run does with the steps that are on.
async fn run(server: &ClockedServer) -> Vec<(RetentionStep, u64)> {
    let runs = within(server.app.run_retention(None)).await;
    let finished = |run: &RetentionRun| matches!(run.end, RunEnd::Finished);
    assert!(runs.iter().all(finished), "{runs:?}");
    runs.iter().map(|run| (run.step, run.done)).collect()
}

/// What a dry run says is due, and the run after it does.
async fn due_then_done(server: &ClockedServer, step: RetentionStep) -> u64 {
    let reports = server.app.retention_report(u64::MAX).await.unwrap();
    let due = reports
        .iter()
        .find(|report| report.step == step)
        .unwrap()
        .due;
    let done = run(server).await;
    let done = done.into_iter().find(|(of, _)| *of == step).unwrap().1;
    assert_eq!(u64::try_from(due).unwrap(), done, "{step:?}: due, and done");
    let again = run(server).await.into_iter().find(|(of, _)| *of == step);
    assert_eq!(again, Some((step, 0)));
    done
}

impl Client {
    async fn media_row(&self, id: i64) -> Media {
        let asked = GetMediaRequest {
            id,
            ..Default::default()
        };
        let found = self.media().get_media(asked).await;
        found.unwrap().into_inner().media.unwrap()
    }

    async fn delete_one_media(&self, id: i64) {
        let delete = DeleteMediaRequest { id };
        self.media().delete_media(delete).await.unwrap();
    }

    async fn listed_media(&self) -> Vec<i64> {
        let listed = self.media().list_media(ListMediaRequest::default()).await;
        listed
            .unwrap()
            .into_inner()
            .media
            .iter()
            .map(|it| it.id)
            .collect()
    }

    async fn listed_jobs(&self) -> Vec<i64> {
        let listed = self.jobs().list_jobs(ListJobsRequest::default()).await;
        listed
            .unwrap()
            .into_inner()
            .jobs
            .iter()
            .map(|it| it.id)
            .collect()
    }

    async fn step_report(&self, step: proto::RetentionStep) -> RetentionStepReport {
        let asked = GetRetentionReportRequest {};
        let told = self.admin().get_retention_report(asked).await;
        let mut steps = told.unwrap().into_inner().steps.into_iter();
        steps.find(|it| it.step() == step).unwrap()
    }
}
