//! What becomes of a job: each way a provider can end it, retries, time-outs, cancellation, order.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{
    CancelJobRequest, CreateRequestRequest, ErrorReason, Job, JobStatus, RequestStatus,
    RetryJobRequest,
};
use prost_types::Timestamp;
use tonic::Code;

use crate::support::client::{scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;
use crate::support::watching::Ended;

const PENDING: JobStatus = JobStatus::Pending;
const PROCESSING: JobStatus = JobStatus::Processing;
const COMPLETED: JobStatus = JobStatus::Completed;
const FAILED: JobStatus = JobStatus::Failed;

on_both_databases! {
    async fn each_way_to_fail_for_good_has_its_documented_reason(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.max_attempts = 1).await;
        let feature = server.scripted_feature().await;
        for (step, code) in [
            ("nothing", "PROVIDER_NO_OUTPUT"),
            ("garbage", "PROVIDER_INVALID_OUTPUT"),
            ("reject", "PROVIDER_REJECTED_CONTENT"),
            ("invalid_input", "PROVIDER_REJECTED_INPUT"),
            ("unavailable", "PROVIDER_UNAVAILABLE"),
            ("transient", "PROVIDER_UNAVAILABLE"),
            ("fail", "PROVIDER_FAILED"),
            ("ambiguous", "PROVIDER_OUTCOME_UNKNOWN"),
            ("panic", "INTERNAL"),
        ] {
            for script in [Script::new(&[step]), Script::new(&[step]).with_task()] {
                let (request, jobs) = server.create(scripted_request(feature, &script)).await;
                let ended = server.ended(jobs[0].id).await;
                assert_eq!((ended.code(), ended.job.status()), (code, FAILED), "{step}");
                assert_eq!(ended.statuses(), [PENDING, PROCESSING, FAILED], "{step}");
                assert_failure_is_told(&ended);
                assert_eq!(script.calls_of("submit").len(), 1, "{step}");
                assert_eq!(server.media_of(ended.job.id).await.len(), 0, "{step}");
                let request = server.request(request.id).await;
                assert_eq!(request.status(), RequestStatus::Failed, "{step}");
            }
        }
        // After a panic, too.
        let script = Script::new(&["succeed"]);
        let (_, jobs) = server.create(scripted_request(feature, &script)).await;
        assert_eq!(server.ended(jobs[0].id).await.job.status(), COMPLETED);
    }

    async fn faults_that_stay_are_not_tried_again(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        for step in ["nothing", "garbage", "reject", "invalid_input", "fail", "ambiguous"] {
            let script = Script::new(&[step, "succeed"]);
            let (_, jobs) = server.create(scripted_request(feature, &script)).await;
            assert_eq!(server.ended(jobs[0].id).await.statuses(), [PENDING, PROCESSING, FAILED], "{step}");
            assert_eq!(script.calls_of("submit").len(), 1, "{step}");
        }
    }

    async fn an_attempt_that_takes_too_long_is_ended(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.job_timeout = Duration::from_secs(1);
            config.executor.max_attempts = 1;
        }).await;
        let feature = server.scripted_feature().await;
        let endless_poll = Script::new(&[]).with_task().gated();
        for script in [Script::new(&["hang"]), endless_poll] {
            let (_, jobs) = server.create(scripted_request(feature, &script)).await;
            let ended = server.ended(jobs[0].id).await;
            assert_eq!((ended.code(), ended.job.status()), ("JOB_TIMED_OUT", FAILED));
            assert_failure_is_told(&ended);
        }
    }

    async fn a_feature_says_how_long_an_attempt_takes_and_how_many_there_are(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.max_attempts = 1).await;
        let mut asked = scripted_feature("hurried");
        let properties = asked.properties.get_or_insert_default();
        (properties.job_timeout_seconds, properties.max_attempts) = (1, 2);
        let feature = server.add_feature(asked).await.id;
        let script = Script::new(&["hang"]);
        let (_, jobs) = server.create(scripted_request(feature, &script)).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.code(), ended.job.status()), ("JOB_TIMED_OUT", FAILED));
        let told = &ended.job.error.as_ref().unwrap().message;
        assert!(told.contains("1 seconds"), "{told}");

        let script = Script::new(&["transient"]);
        let (_, jobs) = server.create(scripted_request(feature, &script)).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.statuses().len(), ended.job.status()), (5, FAILED));
        assert_eq!((ended.job.attempt, ended.job.max_attempts), (2, 2));
        let retried = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        assert_eq!(retried.into_inner().job.unwrap().max_attempts, 2, "as before");
    }

    async fn a_task_that_takes_too_long_is_cancelled_at_the_provider(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.job_timeout = Duration::from_secs(1);
            config.executor.max_attempts = 1;
        }).await;
        let script = Script::new(&[]).with_task().gated();
        let job = server.create_scripted(&script).await;
        server.ended(job.id).await;
        script.wait_until(|calls| calls.iter().any(|call| call.name == "cancel")).await;
    }

    async fn several_outputs_of_one_job_are_all_kept(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["several"]);
        let job = server.create_scripted(&script).await;
        let ended = server.ended(job.id).await;
        let media = &ended.transitions.last().unwrap().media;
        assert_eq!(media.len(), 3);
        let mut digests: Vec<_> = media.iter().map(|media| media.sha256.as_str()).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 3);
        assert_eq!(server.media_of(job.id).await.len(), 3);
    }

    async fn a_transient_fault_is_tried_again_after_a_pause(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create_scripted(&script).await;
        let ended = server.ended(job.id).await;
        assert_eq!(ended.statuses(), [PENDING, PROCESSING, PENDING, PROCESSING, COMPLETED]);
        assert_eq!((ended.job.attempt, ended.code()), (2, ""));
        let at = |index: usize| {
            let job: &Job = ended.transitions[index].job.as_ref().unwrap();
            seconds(job.update_time.unwrap())
        };
        // attempt^4 seconds, a tenth up or down; later on a busy machine.
        assert!(at(3) - at(2) >= 0.9, "{} s", at(3) - at(2));
        assert_eq!(script.calls_of("submit").iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(script.calls_of("done").len(), 1);
    }

    async fn a_provider_that_asks_for_an_hour_gets_it(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["rate_limit"]);
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        for _ in 0..3 {
            watch.transition().await.unwrap();
        }
        let waiting = server.job(job.id).await;
        assert_eq!((waiting.status(), waiting.attempt), (PENDING, 1));
        assert_eq!(waiting.error.unwrap().code, "PROVIDER_UNAVAILABLE");
        let pause = seconds(waiting.next_attempt_time.unwrap()) - seconds(waiting.update_time.unwrap());
        assert!((3_590.0..=3_610.0).contains(&pause), "{pause} s");
    }

    async fn a_job_that_fails_at_every_attempt_fails_with_the_last_one(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.executor.max_attempts = 2).await;
        let script = Script::new(&["unavailable"]);
        let job = server.create_scripted(&script).await;
        let ended = server.ended(job.id).await;
        assert_eq!(ended.statuses(), [PENDING, PROCESSING, PENDING, PROCESSING, FAILED]);
        assert_eq!((ended.job.attempt, ended.job.max_attempts), (2, 2));
        assert_eq!(ended.code(), "PROVIDER_UNAVAILABLE");
    }

    async fn a_task_is_submitted_once_and_polled_until_it_ends(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).with_task().gated();
        let job = server.create_scripted(&script).await;
        script.wait_until(|calls| calls.iter().filter(|call| call.name == "poll").count() >= 3).await;
        let key = script.calls_of("submit")[0].key.clone();
        assert_eq!(task_id(&db, job.id).await, Some(format!("task-{key}")));
        script.open_gate();
        assert_eq!(server.ended(job.id).await.job.status(), COMPLETED);
        assert_eq!(script.calls_of("submit").len(), 1);
        assert!(script.calls().iter().all(|call| call.key == key));
    }

    async fn an_ambiguous_submission_is_looked_for_and_never_repeated(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let lost = Script::new(&["ambiguous"]).with_task();
        let (_, jobs) = server.create(scripted_request(feature, &lost)).await;
        let ended = server.ended(jobs[0].id).await;
        assert_eq!((ended.code(), ended.job.status()), ("PROVIDER_OUTCOME_UNKNOWN", FAILED));
        assert_eq!((lost.calls_of("submit").len(), lost.calls_of("find").len()), (1, 1));
        assert_eq!(lost.calls_of("submit")[0].key, lost.calls_of("find")[0].key);
    }

    async fn an_output_that_is_too_large_is_refused(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.limits.output_pixels = 4_095).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        let ended = server.ended(job.id).await;
        assert_eq!((ended.code(), ended.job.status()), ("OUTPUT_TOO_LARGE", FAILED));
    }

    async fn some_variations_may_fail_while_the_request_completes(db: TestDatabase) {
        let server = TestServer::start_with(&db, one_slot).await;
        let script = Script::new(&["succeed"]).gated();
        let feature = server.scripted_feature().await;
        let mut asked = scripted_request(feature, &script);
        asked.input.get_or_insert_default().variations = 3;
        let (request, jobs) = server.create(asked).await;
        server.reached(jobs[0].id, PROCESSING).await;
        server.jobs().cancel_job(CancelJobRequest { id: jobs[2].id, ..Default::default() }).await.unwrap();
        assert_eq!(server.request(request.id).await.status(), RequestStatus::Processing);
        script.open_gate();
        server.ended(jobs[1].id).await;

        let request = server.request(request.id).await;
        let counts = request.job_counts.unwrap();
        assert_eq!(request.status(), RequestStatus::Completed);
        assert_eq!((counts.completed, counts.cancelled), (2, 1));
    }

    async fn a_pending_job_is_cancelled_and_cancelling_it_again_succeeds(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let script = Script::new(&[]);
        let job = server.create_scripted(&script).await;
        for _ in 0..2 {
            let cancelled = server.jobs().cancel_job(CancelJobRequest { id: job.id, ..Default::default() }).await;
            let cancelled = cancelled.unwrap().into_inner().job.unwrap();
            assert_eq!((cancelled.status(), cancelled.revision), (JobStatus::Cancelled, 2));
            assert!(cancelled.end_time.is_some());
        }
        assert_eq!(server.ended(job.id).await.statuses(), [PENDING, JobStatus::Cancelled]);
        assert_eq!(server.request(job.request_id).await.status(), RequestStatus::Cancelled);
    }

    async fn only_a_pending_job_can_be_cancelled(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let cancel = |id| {
            let mut jobs = server.jobs();
            async move { refusal(jobs.cancel_job(CancelJobRequest { id, ..Default::default() }).await) }
        };
        let script = Script::new(&["succeed"]).gated();
        let running = server.create(scripted_request(feature, &script)).await.1.remove(0);
        server.reached(running.id, PROCESSING).await;
        cancel(running.id).await
            .is(Code::FailedPrecondition, ErrorReason::JobAlreadyProcessing)
            .with("job_id", running.id);
        script.open_gate();
        assert_eq!(server.ended(running.id).await.job.status(), COMPLETED);
        cancel(running.id).await
            .is(Code::FailedPrecondition, ErrorReason::JobAlreadyFinished)
            .with("job_id", running.id)
            .with("status", "completed");
        let failing = Script::new(&["fail"]);
        let failed = server.create(scripted_request(feature, &failing)).await.1.remove(0);
        server.ended(failed.id).await;
        cancel(failed.id).await
            .is(Code::FailedPrecondition, ErrorReason::JobAlreadyFinished)
            .with("status", "failed");
        cancel(4_711).await.is(Code::NotFound, ErrorReason::JobNotFound).with("job_id", 4_711);
        cancel(0).await.of_fields(["id"]);
    }

    async fn the_highest_priority_runs_first_and_the_oldest_among_equals(db: TestDatabase) {
        let server = TestServer::start_with(&db, one_slot).await;
        let feature = server.scripted_feature().await;
        let gate = Script::new(&["succeed"]).gated();
        let (_, first) = server.create(scripted_request(feature, &gate)).await;
        server.reached(first[0].id, PROCESSING).await;
        let script = Script::new(&["succeed"]);
        let mut jobs = Vec::new();
        for priority in [0, 5, -100, 10, 5, 10] {
            let asked = CreateRequestRequest { priority, ..scripted_request(feature, &script) };
            jobs.push(server.create(asked).await.1[0].id);
        }
        gate.open_gate();
        for job in &jobs {
            server.ended(*job).await;
        }
        let order: Vec<i64> = script.calls_of("submit").iter().map(|call| call.job).collect();
        assert_eq!(order, [3, 5, 1, 4, 0, 2].map(|index: usize| jobs[index]));
    }
}

fn one_slot(config: &mut Config) {
    config.executor.concurrency = 1;
}

/// A failed job says why, in a sentence that is not the provider's own.
fn assert_failure_is_told(ended: &Ended) {
    let error = ended.job.error.as_ref().unwrap();
    assert!(ErrorReason::from_str_name(&format!("ERROR_REASON_{}", error.code)).is_some());
    assert!(
        error.message.ends_with('.') || error.code == "PROVIDER_REJECTED_INPUT",
        "{error:?}"
    );
    assert!(ended.job.end_time.is_some() && ended.job.start_time.is_some());
}

fn seconds(time: Timestamp) -> f64 {
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// The provider's name of the job's task, as it is written down.
async fn task_id(db: &TestDatabase, job_id: i64) -> Option<String> {
    use atelier::entity::job;
    use sea_orm::EntityTrait;
    let connection = db.connect().await;
    let found = job::Entity::find_by_id(job_id).one(&connection).await;
    found.unwrap().unwrap().provider_task_id
}
