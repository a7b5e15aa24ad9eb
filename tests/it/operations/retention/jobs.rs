//! Jobs that have long ended, and what their requests keep of them.

use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{Reason, RetentionStep};
use atelier::rpc::proto::find_media_request::Subject;
use atelier::rpc::proto::{
    CancelJobRequest, DeleteJobRequest, ErrorReason, FindMediaRequest, GetJobRequest,
    ListRequestsRequest, RequestInclude, RequestStatus, RetryJobRequest, RetryRequestRequest,
    UndeleteMediaRequest, WatchJobRequest, WatchRequestEvent,
};
use tonic::Code;

use crate::support::client::{USER, request_for};
use crate::support::database::on_both_databases;
use crate::support::ledger::with_ledger;
use crate::support::refusal::refusal;

use super::*;

const STEP: RetentionStep = RetentionStep::PurgeJobs;

fn for_ten_days(config: &mut Config) {
    config.retention.purge_jobs = DAY * 10;
}

/// Ends all that waits as failed.
async fn fail_all(server: &ClockedServer) {
    for (_, lease) in claim_all(server).await {
        let failure = Failure::new(Reason::ProviderInvalidOutput, "No.");
        let end = AttemptEnd::Fail(failure);
        let failed = server.app.end_attempt(&lease, &end);
        assert!(failed.await.unwrap().is_some());
    }
}

async fn retry_request(server: &ClockedServer, id: i64) -> Result<Vec<Job>, tonic::Status> {
    let retried = server
        .requests()
        .retry_request(RetryRequestRequest { id })
        .await?;
    Ok(retried.into_inner().jobs)
}

on_both_databases! {
    async fn a_job_goes_with_its_events_after_its_time_and_its_request_and_media_stay(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (request, job, media) = made(&server, feature).await;
        let waiting = server.create(request_for(feature)).await.1.remove(0);
        let before = server.request(request.id).await;
        pass(&server, 9);
        assert_eq!(due_then_done(&server, STEP).await, 0);
        pass(&server, 2);
        assert_eq!(due_then_done(&server, STEP).await, 1);

        assert_eq!(server.listed_jobs().await, [waiting.id]);
        let get = GetJobRequest { id: job.id, ..Default::default() };
        refusal(server.jobs().get_job(get).await).is(Code::NotFound, ErrorReason::JobNotFound);
        let retry = server.jobs().retry_job(RetryJobRequest { id: job.id }).await;
        refusal(retry).is(Code::NotFound, ErrorReason::JobNotFound);
        let watch = WatchJobRequest { id: job.id, ..Default::default() };
        refusal(server.jobs().watch_job(watch).await.map(|_| ())).is(Code::NotFound, ErrorReason::JobNotFound);
        let events = format!("SELECT CAST(job_id AS TEXT) FROM generation_job_events WHERE job_id = {}", job.id);
        assert_eq!(db.texts(&events).await.len(), 0);

        let after = server.request(request.id).await;
        assert_eq!((after.status, after.job_counts, after.etag.as_str()), (before.status, before.job_counts, before.etag.as_str()));
        assert_eq!((before.purged_jobs, after.purged_jobs), (0, 1));
        let kept = server.media_row(media.id).await;
        assert_eq!((kept.job_id, kept.request_id, server.content_of(&kept).await.as_slice()), (None, request.id, &b"x"[..]));
        assert_eq!(server.listed_media().await, [media.id]);
        let find = FindMediaRequest { subject: Some(Subject::Sha256(media.sha256.clone())), ..Default::default() };
        let found = server.media().find_media(find).await.unwrap().into_inner().found.remove(0);
        assert_eq!((found.media.unwrap().id, found.job), (media.id, None));
        let list = ListRequestsRequest { include: vec![RequestInclude::Cover.into(), RequestInclude::Jobs.into()], ..Default::default() };
        let listed = server.requests().list_requests(list).await.unwrap().into_inner().requests.pop().unwrap();
        assert_eq!((listed.cover.unwrap().id, listed.jobs.len()), (media.id, 0));
        server.delete_one_media(media.id).await;
        server.media().undelete_media(UndeleteMediaRequest { id: media.id }).await.unwrap();
    }

    async fn a_request_is_the_sum_of_its_jobs_and_of_those_that_are_purged(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let mut asked = request_for(feature);
        asked.input.get_or_insert_default().variations = 3;
        let (request, jobs) = server.create(asked).await;
        let cancel = CancelJobRequest { id: jobs[0].id, ..Default::default() };
        server.jobs().cancel_job(cancel).await.unwrap();
        server.jobs().delete_job(DeleteJobRequest { id: jobs[1].id }).await.unwrap();
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 2);
        let purged = server.request(request.id).await;
        let counts = purged.job_counts.unwrap();
        assert_eq!((counts.pending, counts.cancelled, purged.purged_jobs), (1, 1, 2), "what was deleted by itself counts for nothing");
        run_all(&server).await;
        let done = server.request(request.id).await;
        let counts = done.job_counts.unwrap();
        assert_eq!((done.status(), counts.completed, counts.cancelled), (RequestStatus::Completed, 1, 1));
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 1);
        let all = server.request(request.id).await;
        assert_eq!((all.status, all.job_counts, all.purged_jobs), (done.status, done.job_counts, 3));
        let failed = ListRequestsRequest { user_id: USER, has_failed_jobs: Some(true), ..Default::default() };
        assert_eq!(server.requests().list_requests(failed).await.unwrap().into_inner().requests, []);
    }

    async fn what_a_purged_job_was_to_do_is_not_retried(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let mut asked = request_for(feature);
        asked.input.get_or_insert_default().variations = 2;
        let (request, jobs) = server.create(asked).await;
        fail_all(&server).await;
        let successor = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap().into_inner().job.unwrap();
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 2);
        fail_all(&server).await;
        refusal(retry_request(&server, request.id).await).is(Code::FailedPrecondition, ErrorReason::RequestNotRetryable);
        let failed = server.request(request.id).await;
        assert_eq!((failed.status(), failed.job_counts.unwrap().failed), (RequestStatus::Failed, 2), "the superseded one counts for nothing");
        let again = server.jobs().retry_job(RetryJobRequest { id: successor.id }).await;
        assert!(again.is_ok(), "{again:?}");
        let list = ListRequestsRequest { user_id: USER, has_failed_jobs: Some(true), ..Default::default() };
        assert_eq!(server.requests().list_requests(list).await.unwrap().into_inner().requests.len(), 1);
    }

    async fn what_supersedes_a_job_that_stays_stays_too(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let job = server.create(request_for(feature)).await.1.remove(0);
        fail_all(&server).await;
        server.jobs().retry_job(RetryJobRequest { id: job.id }).await.unwrap();
        run_all(&server).await;
        pass(&server, 11);
        db.execute("INSERT INTO generation_reservations (job_id, reservation_id, request_id, user_id, amount, state, is_reserved, due_at, attempts, created_at)
            SELECT id, 'x', request_id, user_id, 1, 'release', FALSE, created_at, 0, created_at FROM generation_jobs WHERE superseded_by IS NOT NULL").await;
        assert_eq!(due_then_done(&server, STEP).await, 0);
        db.execute("DELETE FROM generation_reservations").await;
        assert_eq!(due_then_done(&server, STEP).await, 2);
    }

    async fn a_job_that_holds_credits_stays_until_it_is_settled(db: TestDatabase) {
        let server = keeping(&db, |config| {
            for_ten_days(config);
            with_ledger(config);
        }).await;
        let feature = server.priced_feature(5).await;
        server.give(100, "a").await;
        server.create(request_for(feature)).await;
        let held = "SELECT CAST(COUNT(*) AS TEXT) FROM generation_credit_transactions WHERE kind = 'reservation'";
        assert_eq!(db.texts(held).await, ["1"]);
        // As a program of before would have left it, which knew no ledger.
        db.execute("UPDATE generation_jobs SET status = 'cancelled', completed_at = created_at").await;
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 0);
        server.app.settle_left(0).await.unwrap();
        assert_eq!(due_then_done(&server, STEP).await, 1);
        assert_eq!(server.balance().await, (100, 0));
    }

    async fn a_watch_says_that_jobs_were_purged_and_goes_on_with_the_others(db: TestDatabase) {
        let server = keeping(&db, for_ten_days).await;
        let feature = server.scripted_feature().await;
        let (request, _, _) = made(&server, feature).await;
        let newest = made(&server, feature).await.0;
        let cursor = server.watch_request(request.id).await.rest().await.pop().unwrap().cursor;
        let mut user = server.watch_user(USER, "").await;
        let of_user = user.event(WatchRequestEvent::Opened).await.unwrap().cursor;
        pass(&server, 11);
        assert_eq!(due_then_done(&server, STEP).await, 2);
        for cursor in ["", &cursor] {
            let told = server.watch_request_after(request.id, cursor).await.rest().await;
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].event(), WatchRequestEvent::Purged);
            let counts = told[0].request.as_ref().unwrap().job_counts.unwrap();
            assert_eq!(counts.completed, 1);
        }
        let mut both = server.watch_requests(&[request.id, newest.id], "").await.rest().await;
        assert_eq!(both.iter().map(|it| it.event()).collect::<Vec<_>>(), [WatchRequestEvent::Purged; 2]);
        assert_eq!(both.pop().unwrap().request.unwrap().id, newest.id);
        drop(user);
        let mut resumed = server.watch_user(USER, &of_user).await;
        let next = server.create(request_for(feature)).await.0;
        let told = resumed.transition().await.unwrap();
        assert_eq!(told.request.unwrap().id, next.id);
    }
}
