//! Deleting and undeleting requests and jobs: what is hidden, what comes back, and what becomes of jobs that wait or run.

use std::collections::BTreeSet;

use atelier::domain::{Caller, Error};
use atelier::rpc::proto::{
    DeleteJobRequest, DeleteRequestRequest, ErrorReason, GetMediaRequest, Job, JobStatus,
    ListJobsRequest, ListMediaRequest, ListRequestsRequest, Media, Request, RequestStatus,
    UndeleteJobRequest, UndeleteRequestRequest,
};
use tonic::{Code, Status};

use crate::support::bench::Bench;
use crate::support::client::{Client, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::statuses;

impl Client {
    async fn delete_request(&self, id: i64, etag: &str) -> Result<Request, Status> {
        let etag = etag.to_owned();
        let request = DeleteRequestRequest { id, etag };
        let deleted = within(self.requests().delete_request(request)).await?;
        Ok(deleted.into_inner().request.unwrap())
    }

    async fn undelete_request(&self, id: i64) -> Result<Request, Status> {
        let request = UndeleteRequestRequest { id };
        let undeleted = within(self.requests().undelete_request(request)).await?;
        Ok(undeleted.into_inner().request.unwrap())
    }

    async fn delete_job(&self, id: i64) -> Result<Job, Status> {
        let deleted = within(self.jobs().delete_job(DeleteJobRequest { id })).await?;
        Ok(deleted.into_inner().job.unwrap())
    }

    async fn undelete_job(&self, id: i64) -> Result<Job, Status> {
        let undeleted = within(self.jobs().undelete_job(UndeleteJobRequest { id })).await?;
        Ok(undeleted.into_inner().job.unwrap())
    }

    /// The requests, jobs and media that lists show, by id.
    async fn shown(&self, show_deleted: bool) -> [BTreeSet<i64>; 3] {
        let requests = ListRequestsRequest {
            show_deleted,
            ..Default::default()
        };
        let requests = self.requests().list_requests(requests).await.unwrap();
        let jobs = ListJobsRequest {
            show_deleted,
            ..Default::default()
        };
        let jobs = self.jobs().list_jobs(jobs).await.unwrap();
        let media = ListMediaRequest {
            show_deleted,
            ..Default::default()
        };
        let media = self.media().list_media(media).await.unwrap();
        [
            requests
                .into_inner()
                .requests
                .iter()
                .map(|r| r.id)
                .collect(),
            jobs.into_inner().jobs.iter().map(|job| job.id).collect(),
            media.into_inner().media.iter().map(|m| m.id).collect(),
        ]
    }

    async fn one_media(&self, id: i64) -> Media {
        let found = self
            .media()
            .get_media(GetMediaRequest {
                id,
                ..Default::default()
            })
            .await;
        found.unwrap().into_inner().media.unwrap()
    }
}

/// A request of `variations` jobs.
async fn create(server: &TestServer, script: &Script, variations: i32) -> (Request, Vec<Job>) {
    let feature = server.scripted_feature().await;
    let mut asked = scripted_request(feature, script);
    asked.input.get_or_insert_default().variations = variations;
    server.create(asked).await
}

on_both_databases! {
    async fn a_deleted_request_takes_its_jobs_and_media_along_and_brings_back_exactly_these(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["several"]);
        let (request, jobs) = create(&server, &script, 2).await;
        for job in &jobs {
            server.ended(job.id).await;
        }
        server.delete_job(jobs[0].id).await.unwrap();
        let before = server.shown(false).await;
        assert_eq!(before.each_ref().map(BTreeSet::len), [1, 1, 6]);
        let live = server.request(request.id).await;

        let deleted = server.delete_request(request.id, &live.etag).await.unwrap();
        let time = deleted.delete_time;
        assert!(time.is_some());
        assert_eq!(server.request(request.id).await, deleted);
        assert_eq!(server.shown(false).await, [const { BTreeSet::new() }; 3]);
        let all = server.shown(true).await;
        assert_eq!(all.each_ref().map(BTreeSet::len), [1, 2, 6]);
        assert_eq!(server.job(jobs[1].id).await.delete_time, time);
        assert_ne!(server.job(jobs[0].id).await.delete_time, time, "it was deleted by itself");
        for id in &all[2] {
            assert_eq!(server.one_media(*id).await.delete_time, time);
        }
        assert_eq!((deleted.status(), deleted.job_counts), (live.status(), live.job_counts));

        let restored = server.undelete_request(request.id).await.unwrap();
        assert_eq!(restored.delete_time, None);
        assert_eq!(server.shown(false).await, before);
        assert_eq!((restored.status(), restored.job_counts), (live.status(), live.job_counts));
    }

    async fn deleting_twice_and_undeleting_twice_change_nothing_more(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = create(&server, &Script::new(&[]), 1).await;
        let deleted = server.delete_request(request.id, "").await.unwrap();
        assert_eq!(server.delete_request(request.id, "stale").await.unwrap(), deleted);
        let live = server.undelete_request(request.id).await.unwrap();
        assert_eq!(server.undelete_request(request.id).await.unwrap(), live);

        let hidden = server.delete_job(jobs[0].id).await.unwrap();
        assert_eq!(server.delete_job(jobs[0].id).await.unwrap(), hidden);
        let job = server.undelete_job(jobs[0].id).await.unwrap();
        assert_eq!(server.undelete_job(jobs[0].id).await.unwrap(), job);
    }

    async fn a_request_that_has_changed_is_not_deleted_with_its_old_etag(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = create(&server, &Script::new(&[]), 1).await;
        server.delete_job(jobs[0].id).await.unwrap();
        server.undelete_job(jobs[0].id).await.unwrap();
        let changed = server.request(request.id).await;
        assert_eq!(changed.status(), RequestStatus::Cancelled);
        refusal(server.delete_request(request.id, &request.etag).await)
            .is(Code::Aborted, ErrorReason::EtagMismatch)
            .with("request_id", request.id)
            .with("etag", &changed.etag);
        assert_eq!(server.request(request.id).await.delete_time, None);
        server.delete_request(request.id, &changed.etag).await.unwrap();
    }

    async fn unknown_requests_and_jobs_are_neither_deleted_nor_undeleted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        refusal(server.delete_request(4_711, "").await).is(Code::NotFound, ErrorReason::RequestNotFound);
        refusal(server.undelete_request(4_711).await).is(Code::NotFound, ErrorReason::RequestNotFound);
        refusal(server.delete_job(4_711).await).is(Code::NotFound, ErrorReason::JobNotFound);
        refusal(server.undelete_job(4_711).await).is(Code::NotFound, ErrorReason::JobNotFound);
        refusal(server.delete_request(0, &"x".repeat(65)).await).of_fields(["id", "etag"]);
        refusal(server.undelete_request(0).await).of_fields(["id"]);
        refusal(server.delete_job(-1).await).of_fields(["id"]);
        refusal(server.undelete_job(0).await).of_fields(["id"]);
    }

    async fn someone_else_s_rows_are_not_found(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let (app, other) = (&bench.app, Caller::User(2));
        let (id, request) = (job.id, job.request_id);
        let refused = [
            app.cancel_job(other, id, false).await.map(drop),
            app.retry_job(other, id).await.map(drop),
            app.delete_job(other, id).await.map(drop),
            app.undelete_job(other, id).await.map(drop),
            app.cancel_request(other, request, false).await.map(drop),
            app.retry_request(other, request).await.map(drop),
            app.delete_request(other, request, "").await.map(drop),
            app.undelete_request(other, request).await.map(drop),
        ];
        for refused in refused {
            assert!(matches!(refused, Err(Error::NotFound { .. })), "{refused:?}");
        }
        assert_eq!(bench.job(id).await, job);
        app.delete_request(Caller::User(1), request, "").await.unwrap();
    }

    async fn pending_jobs_are_cancelled_by_the_deletion_and_their_watchers_told(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = create(&server, &Script::new(&[]), 2).await;
        let mut watches = Vec::new();
        for job in &jobs {
            let mut watch = server.watch(job.id).await;
            watch.transition().await.unwrap();
            watches.push(watch);
        }
        server.delete_job(jobs[0].id).await.unwrap();
        let deleted = server.delete_request(request.id, "").await.unwrap();
        for watch in watches {
            assert_eq!(statuses(&watch.transitions().await), [JobStatus::Cancelled]);
        }
        assert_eq!((deleted.status(), deleted.job_counts.unwrap().cancelled), (RequestStatus::Cancelled, 1));

        // Undeleting does not queue them again.
        let restored = server.undelete_request(request.id).await.unwrap();
        assert_eq!(restored.status(), RequestStatus::Cancelled);
        assert_eq!(server.job(jobs[1].id).await.status(), JobStatus::Cancelled);
    }

    async fn a_deleted_job_leaves_its_media_and_does_not_count(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let (request, jobs) = server.create(scripted_request(feature, &script)).await;
        let job = server.ended(jobs[0].id).await.job;
        let hidden = server.delete_job(job.id).await.unwrap();
        assert_eq!((hidden.status(), hidden.revision), (JobStatus::Completed, job.revision));
        assert_eq!(server.job(job.id).await, hidden);
        assert_eq!(server.media_of(job.id).await.len(), 1);
        let summary = server.request(request.id).await;
        assert_eq!(summary.job_counts.unwrap().completed, 0);
        assert_eq!(summary.status(), RequestStatus::Completed, "without jobs the status stays");

        server.undelete_job(job.id).await.unwrap();
        assert_eq!(server.request(request.id).await.job_counts.unwrap().completed, 1);
    }

    async fn a_request_ends_when_the_last_of_its_jobs_is_deleted(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.concurrency = 1).await;
        let script = Script::new(&["hang"]);
        let (request, jobs) = create(&server, &script, 2).await;
        script.wait_until_submitted(1).await;
        server.delete_job(jobs[1].id).await.unwrap();
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Processing);
        server.delete_job(jobs[0].id).await.unwrap();
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Cancelled);
        server.undelete_job(jobs[0].id).await.unwrap();
        let back = server.request(request.id).await;
        assert_eq!((back.status(), back.job_counts.unwrap().cancelled), (RequestStatus::Cancelled, 1));
    }

    async fn a_job_does_not_come_back_before_its_request(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = create(&server, &Script::new(&[]), 1).await;
        server.delete_request(request.id, "").await.unwrap();
        refusal(server.undelete_job(jobs[0].id).await)
            .is(Code::FailedPrecondition, ErrorReason::RequestDeleted)
            .with("request_id", request.id);
        server.undelete_request(request.id).await.unwrap();
        assert_eq!(server.undelete_job(jobs[0].id).await.unwrap().delete_time, None);
    }

    async fn a_running_job_that_is_deleted_changes_the_sum_of_the_others(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.concurrency = 1).await;
        let script = Script::new(&["hang", "succeed"]).gated();
        let (request, jobs) = create(&server, &script, 2).await;
        script.wait_until_submitted(1).await;
        server.delete_job(jobs[0].id).await.unwrap();
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Pending);
        script.wait_until_submitted(2).await;
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Processing);
        server.undelete_job(jobs[0].id).await.unwrap();
        assert_eq!(server.request(request.id).await.job_counts.unwrap().cancelled, 1);
    }
}
