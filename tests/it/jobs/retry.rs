//! Trying again what failed or was cancelled, and cancelling whole requests.

use std::collections::BTreeSet;

use atelier::entity::feature;
use atelier::rpc::proto::{
    CancelJobRequest, CancelRequestRequest, CancelRequestResponse, DeleteJobRequest,
    DeleteRequestRequest, ErrorReason, Job, JobStatus, ListJobsRequest, RequestStatus,
    RetryJobRequest, RetryJobResponse, RetryRequestRequest, RetryRequestResponse,
};
use atelier::server::Role;
use sea_orm::{EntityTrait, sea_query::Expr};
use tonic::{Code, Status};

use crate::support::client::{Client, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

impl Client {
    async fn retry_job(&self, id: i64) -> Result<Job, Status> {
        let retried: RetryJobResponse = within(self.jobs().retry_job(RetryJobRequest { id }))
            .await?
            .into_inner();
        Ok(retried.job.unwrap())
    }

    async fn retry_request(&self, id: i64) -> Result<RetryRequestResponse, Status> {
        let retried = within(self.requests().retry_request(RetryRequestRequest { id })).await?;
        Ok(retried.into_inner())
    }

    async fn cancel_job(&self, id: i64) -> Job {
        let cancelled = within(self.jobs().cancel_job(CancelJobRequest {
            id,
            ..Default::default()
        }))
        .await;
        cancelled.unwrap().into_inner().job.unwrap()
    }

    async fn cancel_request(&self, id: i64) -> Result<CancelRequestResponse, Status> {
        let cancelled = within(self.requests().cancel_request(CancelRequestRequest {
            id,
            ..Default::default()
        }))
        .await?;
        Ok(cancelled.into_inner())
    }

    async fn jobs_of(&self, request_id: i64) -> Vec<Job> {
        let request = ListJobsRequest {
            request_id,
            ..Default::default()
        };
        let listed = self.jobs().list_jobs(request).await;
        listed.unwrap().into_inner().jobs
    }
}

fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.id).collect()
}

/// A request of three variations that nobody runs.
async fn waiting(server: &TestServer, script: &Script) -> (i64, Vec<Job>) {
    let feature = server.scripted_feature().await;
    let mut asked = scripted_request(feature, script);
    asked.input.get_or_insert_default().variations = 3;
    let (request, jobs) = server.create(asked).await;
    (request.id, jobs)
}

on_both_databases! {
    async fn a_retried_job_is_superseded_by_one_with_the_same_work(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["fail"]);
        let old = server.create_scripted(&script).await;
        let failed = server.ended(old.id).await.job;
        let request = server.request(old.request_id).await;

        let new = server.retry_job(old.id).await.unwrap();
        assert_eq!((new.status(), new.revision, new.attempt), (JobStatus::Pending, 1, 0));
        assert_eq!((new.input.clone(), new.variation), (failed.input.clone(), failed.variation));
        assert_eq!((new.priority, new.max_attempts), (failed.priority, failed.max_attempts));
        let superseded = server.job(old.id).await;
        assert_eq!((superseded.superseded_by, superseded.status()), (Some(new.id), JobStatus::Failed));
        assert_eq!(superseded.revision, failed.revision, "being superseded is no transition");

        let ended = server.ended(new.id).await;
        assert_eq!(ended.statuses(), [JobStatus::Pending, JobStatus::Processing, JobStatus::Failed]);
        let keys: BTreeSet<_> = script.calls_of("submit").into_iter().map(|call| call.key).collect();
        assert_eq!(keys.len(), 2, "the provider must not take the new job for the old");
        let after = server.request(old.request_id).await;
        assert_eq!(after.job_counts.unwrap().failed, 1, "the superseded job does not count");
        assert_ne!(after.etag, request.etag);
    }

    async fn retrying_a_job_again_gives_its_successor_and_no_other(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = waiting(&server, &Script::new(&[])).await;
        let old = server.cancel_job(jobs[0].id).await;
        let new = server.retry_job(old.id).await.unwrap();
        assert_eq!(server.retry_job(old.id).await.unwrap(), new);

        // One step along the chain, whatever has become of the successor.
        server.cancel_job(new.id).await;
        assert_eq!(server.retry_job(old.id).await.unwrap().status(), JobStatus::Cancelled);
        let third = server.retry_job(new.id).await.unwrap();
        assert_eq!(server.retry_job(old.id).await.unwrap().id, new.id);
        server.jobs().delete_job(DeleteJobRequest { id: new.id }).await.unwrap();
        let deleted = server.retry_job(old.id).await.unwrap();
        assert_eq!((deleted.id, deleted.delete_time.is_some()), (new.id, true));
        assert_eq!(
            ids(&server.jobs_of(request).await),
            [third.id, jobs[2].id, jobs[1].id, old.id]
        );
    }

    async fn only_what_failed_or_was_cancelled_can_be_retried(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let running = server.create_scripted(&script).await;
        script.wait_until_submitted(1).await;
        let retry = |id| {
            let server = &server;
            async move { refusal(server.retry_job(id).await) }
        };
        retry(running.id).await
            .is(Code::FailedPrecondition, ErrorReason::JobNotRetryable)
            .with("job_id", running.id)
            .with("status", "processing");
        refusal(server.retry_request(running.request_id).await)
            .is(Code::FailedPrecondition, ErrorReason::RequestNotRetryable)
            .with("request_id", running.request_id);
        script.open_gate();
        server.ended(running.id).await;
        retry(running.id).await
            .is(Code::FailedPrecondition, ErrorReason::JobNotRetryable)
            .with("status", "completed");

        retry(4_711).await.is(Code::NotFound, ErrorReason::JobNotFound);
        retry(0).await.of_fields(["id"]);
        refusal(server.retry_request(4_711).await).is(Code::NotFound, ErrorReason::RequestNotFound);
        refusal(server.retry_request(-1).await).of_fields(["id"]);
    }

    async fn what_is_deleted_or_has_no_open_feature_is_not_retried(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, jobs) = waiting(&server, &Script::new(&[])).await;
        for job in &jobs {
            server.cancel_job(job.id).await;
        }
        let hidden = jobs[0].id;
        server.jobs().delete_job(DeleteJobRequest { id: hidden }).await.unwrap();
        refusal(server.retry_job(hidden).await).is(Code::NotFound, ErrorReason::JobNotFound);

        let connection = db.connect().await;
        let set = |column, value| {
            feature::Entity::update_many().col_expr(column, value).exec(&connection)
        };
        set(feature::Column::IsActive, Expr::value(false)).await.unwrap();
        refusal(server.retry_job(jobs[1].id).await).is(Code::FailedPrecondition, ErrorReason::FeatureInactive);
        refusal(server.retry_request(request).await).is(Code::FailedPrecondition, ErrorReason::FeatureInactive);
        set(feature::Column::DeletedAt, Expr::value(chrono::DateTime::UNIX_EPOCH)).await.unwrap();
        refusal(server.retry_job(jobs[1].id).await).is(Code::FailedPrecondition, ErrorReason::FeatureDeleted);
        refusal(server.retry_request(request).await).is(Code::FailedPrecondition, ErrorReason::FeatureDeleted);
        assert_eq!(server.jobs_of(request).await.len(), 2, "a refused retry leaves no job");

        let delete = DeleteRequestRequest { id: request, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        refusal(server.retry_job(jobs[1].id).await)
            .is(Code::FailedPrecondition, ErrorReason::RequestDeleted)
            .with("request_id", request);
        refusal(server.retry_request(request).await).is(Code::FailedPrecondition, ErrorReason::RequestDeleted);
    }

    async fn a_retried_request_runs_the_missing_variations_with_their_own_seeds(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&["succeed"]);
        let (request, jobs) = waiting(&server, &script).await;
        server.cancel_job(jobs[2].id).await;
        server.cancel_job(jobs[0].id).await;
        let retried = server.retry_request(request).await.unwrap();
        assert_eq!(retried.jobs.iter().map(|job| job.variation).collect::<Vec<_>>(), [0, 2]);
        let summary = retried.request.unwrap();
        assert_eq!((summary.status(), summary.job_counts.unwrap().pending), (RequestStatus::Pending, 3));
        for (old, new) in [(&jobs[0], &retried.jobs[0]), (&jobs[2], &retried.jobs[1])] {
            let seed = async |id| server.job(id).await.input.unwrap().fields["seed"].clone();
            assert_eq!(seed(old.id).await, seed(new.id).await);
            assert_eq!(server.job(old.id).await.superseded_by, Some(new.id));
        }

        let worker = server.beside(Role::All, &db, |_| ()).await;
        let done = [jobs[1].id, retried.jobs[0].id, retried.jobs[1].id];
        for id in done {
            assert_eq!(server.ended(id).await.job.status(), JobStatus::Completed);
        }
        let summary = server.request(request).await;
        assert_eq!((summary.status(), summary.job_counts.unwrap().completed), (RequestStatus::Completed, 3));
        assert_eq!(script.jobs_with("submit"), BTreeSet::from(done));
        worker.stop().await;
    }

    async fn ten_retries_at_once_make_one_set_of_jobs_and_all_tell_of_it(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (request, _) = waiting(&server, &Script::new(&[])).await;
        server.cancel_request(request).await.unwrap();
        let retries = (0..10).map(|_| server.retry_request(request));
        let made = futures::future::join_all(retries).await;
        let made: Vec<_> = made.into_iter().map(|made| ids(&made.unwrap().jobs)).collect();
        assert_eq!(made[0].len(), 3);
        assert!(made.iter().all(|jobs| *jobs == made[0]), "{made:?}");
        assert_eq!(server.jobs_of(request).await.len(), 6);
        assert_eq!(server.request(request).await.job_counts.unwrap().pending, 3);
    }

    async fn a_cancelled_request_tells_which_jobs_had_begun(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.concurrency = 1).await;
        let script = Script::new(&["succeed"]).gated();
        let (request, jobs) = waiting(&server, &script).await;
        script.wait_until_submitted(1).await;
        let first = server.cancel_request(request).await.unwrap();
        assert_eq!(ids(&first.cancelled_jobs), [jobs[1].id, jobs[2].id]);
        assert!(first.cancelled_jobs.iter().all(|job| job.status() == JobStatus::Cancelled));
        let running = &first.uncancelled_jobs[..];
        assert_eq!((running.len(), running[0].id, running[0].status()), (1, jobs[0].id, JobStatus::Processing));
        assert_eq!(first.request.as_ref().unwrap().status(), RequestStatus::Processing);

        let again = server.cancel_request(request).await.unwrap();
        assert_eq!(again, first, "repeating the call changes nothing");
        script.open_gate();
        server.ended(jobs[0].id).await;
        let last = server.cancel_request(request).await.unwrap();
        assert_eq!(last.uncancelled_jobs[0].status(), JobStatus::Completed);
        assert_eq!(last.request.unwrap().status(), RequestStatus::Completed);

        refusal(server.cancel_request(4_711).await).is(Code::NotFound, ErrorReason::RequestNotFound);
        refusal(server.cancel_request(0).await).of_fields(["id"]);
        let delete = DeleteRequestRequest { id: request, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        refusal(server.cancel_request(request).await).is(Code::NotFound, ErrorReason::RequestNotFound);
    }
}
