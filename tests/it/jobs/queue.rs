//! Leases, pauses and priorities of the queue, by a clock that the test moves.

use std::time::Duration;

use atelier::{
    domain::{
        Caller, JobStatus, JsonMap, Reason, RequestStatus,
        job::{AttemptEnd, Failure},
    },
    store::{self, queue::Report},
};
use chrono::TimeDelta;

use crate::support::bench::{Bench, LEASE, lease, overloaded};
use crate::support::database::on_both_databases;

on_both_databases! {
    async fn the_highest_priority_goes_first_and_the_oldest_among_equals(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let low = bench.request(1, -5).await.remove(0).id;
        let first = bench.request(1, 0).await.remove(0).id;
        let second = bench.request(1, 0).await.remove(0).id;
        let high = bench.request(1, 7).await.remove(0).id;
        let taken: Vec<i64> = bench.claim(10).await.iter().map(|job| job.id).collect();
        assert_eq!(taken, [high, first, second, low]);
    }

    async fn an_end_user_s_jobs_have_no_priority(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        assert_eq!(bench.request_by(Caller::User(1), 1, 100).await[0].priority, 0);
        assert_eq!(bench.request_by(Caller::TrustedService, 1, 1_000).await[0].priority, 100);
    }

    async fn an_expired_lease_is_rescued_once_and_its_worker_can_change_nothing_any_more(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let old = lease(&bench.claim(1).await[0]);
        bench.pass(29);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0, "the lease still holds");
        bench.pass(2);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0, "rescued once");
        let rescued = bench.job(job.id).await;
        assert_eq!((rescued.status, rescued.attempt), (JobStatus::Pending, 1));
        assert_eq!(rescued.error_code.as_deref(), Some("WORKER_LOST"));

        assert_eq!(bench.app.complete_job(&old, &[], JsonMap::new()).await.unwrap(), None);
        let late = bench.app.end_attempt(&old, &AttemptEnd::HandBack { keep_task: false }).await.unwrap();
        assert_eq!(late, None);
        assert_eq!(bench.job(job.id).await, rescued);
    }

    async fn a_heartbeat_keeps_the_lease(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let held = lease(&bench.claim(1).await[0]);
        let report = Report { progress: 0.5, message: Some("drawing".to_owned()), preview: None };
        for _ in 0..5 {
            let now = Some(bench.pass(25));
            let db = bench.app.store.writer();
            assert!(store::queue::heartbeat(db, &held, LEASE, report.clone(), now).await.unwrap());
            assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0);
        }
        let job = bench.job(held.job_id).await;
        assert_eq!((job.progress, job.progress_message.as_deref()), (0.5, Some("drawing")));
        assert_eq!(job.revision, 2, "progress is no transition");
    }

    async fn a_worker_lost_at_every_attempt_fails_the_job(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        for _ in 0..2 {
            assert_eq!(bench.claim(1).await.len(), 1);
            bench.pass(31);
            assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
        }
        let job = bench.job(job.id).await;
        assert_eq!((job.status, job.error_code.as_deref()), (JobStatus::Failed, Some("WORKER_LOST")));
        assert_eq!(bench.request_status(job.request_id).await, RequestStatus::Failed);
        assert!(bench.claim(1).await.is_empty());
    }

    async fn a_retry_waits_for_its_pause(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let claimed = bench.claim(1).await.remove(0);
        let pause = Duration::from_millis(16_500);
        let queued = bench.app.end_attempt(&lease(&claimed), &overloaded(pause)).await.unwrap().unwrap();
        assert_eq!(queued.status, JobStatus::Pending);
        assert_eq!(queued.run_after, bench.app.clock.now() + TimeDelta::milliseconds(16_500));
        bench.pass(16);
        assert!(bench.claim(1).await.is_empty(), "too early");
        bench.pass(1);
        assert_eq!(bench.claim(1).await[0].attempt, 2);
    }

    async fn a_job_handed_back_loses_no_attempt_and_runs_again_at_once(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let claimed = bench.claim(1).await.remove(0);
        let end = AttemptEnd::HandBack { keep_task: false };
        let back = bench.app.end_attempt(&lease(&claimed), &end).await.unwrap().unwrap();
        assert_eq!((back.status, back.attempt), (JobStatus::Pending, 0));
        assert_eq!(bench.claim(1).await[0].attempt, 1);
    }

    async fn every_transition_leaves_an_event_with_a_dense_revision(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let claimed = bench.claim(1).await.remove(0);
        bench.app.end_attempt(&lease(&claimed), &overloaded(Duration::ZERO)).await.unwrap();
        let claimed = bench.claim(1).await.remove(0);
        bench.app.complete_job(&lease(&claimed), &[], JsonMap::new()).await.unwrap().unwrap();
        let trail: Vec<_> =
            bench.events(job.id).await.into_iter().map(|event| (event.revision, event.status, event.attempt)).collect();
        assert_eq!(
            trail,
            [
                (1, JobStatus::Pending, 0),
                (2, JobStatus::Processing, 1),
                (3, JobStatus::Pending, 1),
                (4, JobStatus::Processing, 2),
                (5, JobStatus::Completed, 2),
            ]
        );
    }

    async fn the_request_sums_up_its_jobs_after_each_transition(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = bench.request(3, 0).await;
        let request_id = jobs[0].request_id;
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Pending);
        let claimed = bench.claim(1).await.remove(0);
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Processing);
        let failure = AttemptEnd::Fail(Failure::new(Reason::ProviderFailed, "No."));
        bench.app.end_attempt(&lease(&claimed), &failure).await.unwrap();
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Processing, "two wait");
        bench.app.cancel_job(Caller::TrustedService, jobs[1].id, false).await.unwrap();
        let claimed = bench.claim(1).await.remove(0);
        bench.app.complete_job(&lease(&claimed), &[], JsonMap::new()).await.unwrap();
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Completed);
    }

    async fn no_job_is_claimed_twice_by_workers_that_claim_at_once(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        for _ in 0..5 {
            bench.request(16, 0).await;
        }
        let claims = (0..10).map(|_| bench.claim(16));
        let mut taken: Vec<i64> =
            futures::future::join_all(claims).await.into_iter().flatten().map(|job| job.id).collect();
        while let Some(more) = Some(bench.claim(16).await).filter(|more| !more.is_empty()) {
            taken.extend(more.iter().map(|job| job.id));
        }
        taken.sort_unstable();
        let before = taken.len();
        taken.dedup();
        assert_eq!((before, taken.len()), (80, 80));
    }
}
