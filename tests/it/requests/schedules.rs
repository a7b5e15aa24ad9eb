//! Requests whose jobs start later, or not at all if they have not started in time.

use std::time::Duration;

use atelier::domain::MediaType;
use atelier::entity::job;
use atelier::rpc::proto::{
    CreateRequestRequest, ErrorReason, EstimateCostRequest, JobStatus, RequestStatus,
};
use atelier::server::Role;
use chrono::TimeDelta;
use prost_types::Timestamp;

use crate::support::bench::{LEASE, capability, ids, lease, overloaded};
use crate::support::client::scripted_request;
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::ledger::{assert_balanced, with_ledger};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

on_both_databases! {
    async fn a_job_starts_at_its_time_and_not_before(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let asked = CreateRequestRequest { not_before_time: at(&server, HOUR), ..scripted_request(feature, &Script::new(&[])) };
        let (request, jobs) = server.create(asked.clone()).await;
        assert_eq!((request.not_before_time, request.start_deadline_time), (asked.not_before_time, None));
        assert_eq!((jobs[0].status(), jobs[0].next_attempt_time), (JobStatus::Pending, asked.not_before_time));
        assert_eq!(server.job(jobs[0].id).await.waiting_reason, "It is to start later.");
        let (_, next) = server.create(scripted_request(feature, &Script::new(&[]))).await;
        assert_eq!(ids(&claim(&server).await), [next[0].id], "what comes after it goes first");
        server.pass(TimeDelta::seconds(HOUR - 1));
        assert_eq!(server.app.unpark_due_jobs().await.unwrap(), Some(Duration::from_secs(1)));
        assert!(claim(&server).await.is_empty());
        server.pass(TimeDelta::seconds(1));
        assert_eq!(server.app.unpark_due_jobs().await.unwrap(), None);
        assert_eq!(ids(&claim(&server).await), [jobs[0].id]);
        assert_eq!(server.request(request.id).await.not_before_time, asked.not_before_time);

        let past = CreateRequestRequest { not_before_time: at(&server, -1), ..asked };
        let (_, jobs) = server.create(past).await;
        assert_eq!(ids(&claim(&server).await), [jobs[0].id]);
    }

    async fn times_that_cannot_be_kept_are_refused(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let asked = scripted_request(feature, &Script::new(&[]));
        for (not_before, deadline, field) in [
            (Some(30 * DAY + 1), None, "not_before_time"),
            (None, Some(0), "start_deadline_time"),
            (Some(HOUR), Some(HOUR), "start_deadline_time"),
        ] {
            let asked = CreateRequestRequest {
                not_before_time: not_before.and_then(|seconds| at(&server, seconds)),
                start_deadline_time: deadline.and_then(|seconds| at(&server, seconds)),
                ..asked.clone()
            };
            for validate_only in [false, true] {
                let asked = CreateRequestRequest { validate_only, ..asked.clone() };
                refusal(server.requests().create_request(asked).await).of_fields([field]);
            }
            let estimate = EstimateCostRequest { request: Some(asked) };
            let refused = refusal(server.credits().estimate_cost(estimate).await);
            refused.of_fields([&*format!("request.{field}")]);
        }
        let broken = Timestamp { seconds: 0, nanos: -1 };
        let asked = CreateRequestRequest { not_before_time: Some(broken), ..asked };
        refusal(server.requests().create_request(asked).await).of_fields(["not_before_time"]);
    }

    async fn what_has_not_started_in_time_is_cancelled_and_gives_its_credits_back(db: TestDatabase) {
        let server = ClockedServer::start_with(&db, with_ledger).await;
        let feature = server.priced_feature(7).await;
        server.give(100, "first").await;
        let mut asked = CreateRequestRequest { start_deadline_time: at(&server, HOUR), ..scripted_request(feature, &Script::new(&[])) };
        asked.input.get_or_insert_default().variations = 2;
        let (request, jobs) = server.create(asked).await;
        assert_eq!(server.balance().await, (86, 14));
        // The first one starts in time, and is tried again after it.
        let claimed = claim_up_to(&server, 1).await;
        assert_eq!(ids(&claimed), [jobs[0].id]);
        let pause = overloaded(Duration::from_secs(2 * HOUR as u64));
        server.app.end_attempt(&lease(&claimed[0]), &pause).await.unwrap().unwrap();
        server.pass(TimeDelta::seconds(HOUR));
        assert!(claim(&server).await.is_empty(), "it is never begun after its time");
        assert_eq!(server.app.cancel_late_jobs().await.unwrap(), 1);
        assert_eq!(server.app.cancel_late_jobs().await.unwrap(), 0);
        let late = server.job(jobs[1].id).await;
        assert_eq!((late.status(), late.error.unwrap().code.as_str()), (JobStatus::Cancelled, "START_DEADLINE_EXCEEDED"));
        assert_eq!(server.balance().await, (93, 7));
        server.pass(TimeDelta::seconds(HOUR));
        server.app.unpark_due_jobs().await.unwrap();
        assert_eq!(ids(&claim(&server).await), [jobs[0].id]);
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Processing);
        assert_balanced(&db).await;
    }

    async fn upkeep_cancels_what_no_worker_has_had_time_for(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        // It cannot run it.
        let worker = server.beside(Role::Worker, &db, |config| config.executor.categories = vec![MediaType::Audio]).await;
        let feature = server.scripted_feature().await;
        let soon = server.app().clock.now() + TimeDelta::seconds(2);
        let soon = Timestamp { seconds: soon.timestamp(), nanos: 0 };
        let asked = CreateRequestRequest { start_deadline_time: Some(soon), ..scripted_request(feature, &Script::new(&[])) };
        let (request, jobs) = server.create(asked).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.job.status(), ended.code()), (JobStatus::Cancelled, "START_DEADLINE_EXCEEDED"));
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Cancelled);
        worker.stop().await;
    }

    async fn a_key_is_of_one_schedule(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let asked = CreateRequestRequest {
            idempotency_key: "a".to_owned(),
            start_deadline_time: at(&server, HOUR),
            ..scripted_request(feature, &Script::new(&[]))
        };
        let (first, _) = server.create(asked.clone()).await;
        let other = CreateRequestRequest { start_deadline_time: at(&server, 2 * HOUR), ..asked.clone() };
        let refused = refusal(server.requests().create_request(other).await);
        assert_eq!(refused.reason, ErrorReason::IdempotencyKeyReused);
        server.pass(TimeDelta::seconds(DAY));
        assert_eq!(server.create(asked).await.0.id, first.id, "although its time is over");
    }
}

/// So many seconds from now.
fn at(server: &ClockedServer, seconds: i64) -> Option<Timestamp> {
    let seconds = server.app.clock.now().timestamp() + seconds;
    Some(Timestamp { seconds, nanos: 0 })
}

async fn claim(server: &ClockedServer) -> Vec<job::Model> {
    claim_up_to(server, 8).await
}

async fn claim_up_to(server: &ClockedServer, slots: u32) -> Vec<job::Model> {
    let scripted = [capability("scripted")];
    let claimed = server.app.claim_jobs("worker", slots, LEASE, &scripted);
    claimed.await.unwrap()
}
