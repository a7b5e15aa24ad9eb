//! Workers run what they can run; what none of them can waits, says why, and fails in the end.

use std::time::Duration;

use atelier::config::Config;
use atelier::domain::JobStatus as Status;
use atelier::domain::job::Capability;
use atelier::domain::{MediaType, RequestStatus};
use atelier::entity::job;
use atelier::rpc::proto::{JobStatus, ListJobsRequest};
use atelier::server::Role;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::support::bench::{Bench, capability, drawing, ids, lease, overloaded};
use crate::support::client::{Client, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::script::Script;
use crate::support::server::TestServer;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;
/// Most jobs that one request asks for.
const MANY: i32 = 16;

on_both_databases! {
    async fn a_job_is_left_to_the_worker_that_has_its_provider(db: TestDatabase) {
        let without = TestServer::start_with(&db, without_scripted).await;
        let script = Script::new(&["succeed"]);
        let job = without.create_scripted(&script).await;
        assert_waits(&without, job.id).await;

        let with = without.beside(Role::Worker, &db, |config| {
            config.executor.worker_id = Some("with".to_owned());
        }).await;
        let ended = without.ended(job.id).await;
        assert_eq!(ended.statuses(), [JobStatus::Pending, JobStatus::Processing, JobStatus::Completed]);
        assert_eq!((ended.job.worker_id.as_str(), ended.job.attempt), ("with", 1));
        assert_eq!(ended.job.waiting_reason, "");
        with.stop().await;
    }

    async fn a_worker_may_be_narrowed_to_some_providers_and_types_of_media(db: TestDatabase) {
        let api = TestServer::start_api(&db).await;
        let feature = api.scripted_feature().await;
        for narrow in [
            (|config: &mut Config| config.executor.providers = vec!["builtin".to_owned()]) as fn(&mut Config),
            |config| config.executor.categories = vec![MediaType::Video, MediaType::Audio],
        ] {
            let narrowed = api.beside(Role::All, &db, narrow).await;
            let script = Script::new(&["succeed"]);
            let job = narrowed.create(scripted_request(feature, &script)).await.1.remove(0);
            assert_waits(&narrowed, job.id).await;

            let wide = api.beside(Role::Worker, &db, |config| {
                config.executor.worker_id = Some("wide".to_owned());
            }).await;
            let ended = api.ended(job.id).await.job;
            assert_eq!((ended.worker_id.as_str(), ended.attempt), ("wide", 1));
            wide.stop().await;
            narrowed.stop().await;
            // So that nobody believes in the wide one any more.
            let connection = db.connect().await;
            connection.execute_unprepared("DELETE FROM generation_capabilities").await.unwrap();
        }
    }

    async fn what_nobody_can_run_fails_in_the_end_and_its_watcher_hears_of_it(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            without_scripted(config);
            config.executor.unclaimed_timeout = Duration::from_secs(1);
        }).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        let ended = server.ended(job.id).await;
        assert_eq!(ended.statuses(), [JobStatus::Pending, JobStatus::Failed]);
        assert_eq!((ended.code(), ended.job.attempt), ("PROVIDER_UNAVAILABLE", 0));
        let error = ended.job.error.unwrap();
        assert!(error.detail.contains("\"scripted\""), "{error:?}");
        assert!(error.message.contains("1 seconds"), "{error:?}");
        assert!(ended.job.end_time.is_some());
        assert_eq!(ended.job.waiting_reason, "");
    }

    async fn a_job_fails_after_a_day_without_a_worker_and_not_before(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        bench.pass(SECONDS_OF_A_DAY - 1);
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 0);
        bench.pass(2);
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 1);
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 0);

        let failed = bench.job(job.id).await;
        assert_eq!((failed.status, failed.attempt), (Status::Failed, 0));
        assert_eq!(failed.error_code.as_deref(), Some("PROVIDER_UNAVAILABLE"));
        assert_eq!(failed.completed_at, Some(bench.app.clock.now()));
        assert_eq!(failed.error_message.as_deref(), Some("No worker had this generator within 86400 seconds."));
        let detail = "No worker had a generator named \"builtin\" that makes image.";
        assert_eq!(failed.error_detail.as_deref(), Some(detail));
        assert_eq!(bench.request_status(job.request_id).await, RequestStatus::Failed);
        let events = bench.events(job.id).await;
        assert_eq!(events.iter().map(|event| event.status).collect::<Vec<_>>(), [Status::Pending, Status::Failed]);
    }

    async fn a_long_queue_of_a_provider_that_is_there_fails_no_job(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        for _ in 0..8 {
            bench.request(MANY, 0).await;
        }
        for _ in 0..3 {
            bench.app.announce_capabilities(&[(drawing(), Ok(()))]).await.unwrap();
            bench.pass(SECONDS_OF_A_DAY - 1);
            assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 0);
        }
        // More than one transaction's.
        bench.pass(2);
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 8 * MANY as usize);
    }

    async fn a_worker_that_lacks_a_program_does_not_count_as_one_that_has_the_provider(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let lacks = "the program \"draw\" is missing".to_owned();
        let not_ready = [(drawing(), Err(lacks))];
        bench.app.announce_capabilities(&not_ready).await.unwrap();
        assert_eq!(reason(&bench, &job).await, "No worker can run the generator \"builtin\" now: the program \"draw\" is missing.");

        // One of two is enough, whoever speaks last.
        bench.app.announce_capabilities(&[(drawing(), Ok(()))]).await.unwrap();
        bench.app.announce_capabilities(&not_ready).await.unwrap();
        assert_eq!(reason(&bench, &job).await, "");

        bench.pass(41);
        bench.app.announce_capabilities(&not_ready).await.unwrap();
        assert_ne!(reason(&bench, &job).await, "");
        bench.pass(SECONDS_OF_A_DAY);
        bench.app.announce_capabilities(&not_ready).await.unwrap();
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 1);
    }

    async fn a_pause_before_the_next_attempt_is_no_waiting_for_a_worker(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let claimed = bench.claim(1).await.remove(0);
        let pause = overloaded(2 * DAY);
        bench.app.end_attempt(&lease(&claimed), &pause).await.unwrap().unwrap();
        bench.pass(3 * SECONDS_OF_A_DAY);
        bench.app.unpark_due_jobs().await.unwrap();
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 0, "due for a day only");
        bench.pass(1);
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 1);
        assert_eq!(bench.job(job.id).await.attempt, 1);
    }

    async fn a_job_of_an_older_program_is_found_by_its_input(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = bench.request(2, 0).await;
        let older = job::Entity::update_many().col_expr(job::Column::Provider, Expr::value(None::<String>));
        older.filter(job::Column::Id.eq(jobs[0].id)).exec(bench.app.store.writer()).await.unwrap();
        let other = capability("other");
        let sound = Capability { category: MediaType::Audio, ..drawing() };
        assert!(bench.claim_as(9, &[]).await.is_empty());
        assert!(bench.claim_as(9, &[other.clone(), sound.clone()]).await.is_empty());
        let claimed = bench.claim_as(9, &[other, drawing(), sound]).await;
        assert_eq!(ids(&claimed), [jobs[0].id, jobs[1].id]);
        assert_eq!(claimed[1].provider.as_deref(), Some("builtin"));
    }

    async fn a_claim_merges_the_queues_of_its_providers_by_priority_and_age(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let mut expected = Vec::new();
        for (priority, provider) in [(0, "first"), (0, "second"), (7, "second"), (9, "nobody's"), (-1, "first"), (0, "first")] {
            let job = bench.request(1, priority).await.remove(0);
            let moved = job::Entity::update_many().col_expr(job::Column::Provider, Expr::value(provider));
            moved.filter(job::Column::Id.eq(job.id)).exec(bench.app.store.writer()).await.unwrap();
            expected.push(job.id);
        }
        let expected = [2, 0, 1, 5, 4].map(|index: usize| expected[index]);
        let both = ["first", "second"].map(capability);
        let mut claimed = Vec::new();
        for slots in [1, 3, 9] {
            claimed.extend(bench.claim_as(slots, &both).await.iter().map(|job| job.id));
        }
        assert_eq!(claimed, expected);
    }
}

fn without_scripted(config: &mut Config) {
    config.providers.remove("scripted");
}

async fn reason(bench: &Bench, job: &job::Model) -> String {
    let reasons = bench.app.waiting_reasons(std::slice::from_ref(job)).await;
    reasons.unwrap().of(job)
}

/// The job waits, and says why, wherever a client may look.
async fn assert_waits(client: &Client, job_id: i64) {
    let sentence = "No worker has a generator named \"scripted\" that makes image now.";
    let job = client.job(job_id).await;
    assert_eq!(
        (job.status(), job.waiting_reason.as_str()),
        (JobStatus::Pending, sentence)
    );
    let mut watch = client.watch(job_id).await;
    let first = watch.next().await.unwrap().unwrap().job.unwrap();
    assert_eq!(
        (first.status(), first.waiting_reason.as_str()),
        (JobStatus::Pending, sentence)
    );
    let request = ListJobsRequest {
        request_id: job.request_id,
        ..Default::default()
    };
    let listed = client.jobs().list_jobs(request).await.unwrap();
    assert_eq!(listed.into_inner().jobs[0].waiting_reason, sentence);
    let watched = client.watch_request(job.request_id).await.next().await;
    assert_eq!(
        watched.unwrap().unwrap().job.unwrap().waiting_reason,
        sentence
    );
}
