//! kill -9 in the middle of jobs: after the next start every job ends, and none is run or paid for twice.

use std::collections::{BTreeMap, BTreeSet};

use atelier::rpc::proto::{
    CreateFeatureRequest, FeatureProperties, JobStatus, MediaType, OutputSettings,
};
use tempfile::TempDir;

use crate::support::audit::assert_ended_once;
use crate::support::client::{request_for, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::ledger::assert_balanced;
use crate::support::process::Process;
use crate::support::script::Script;

const PENDING: JobStatus = JobStatus::Pending;
const PROCESSING: JobStatus = JobStatus::Processing;
const COMPLETED: JobStatus = JobStatus::Completed;
/// Whatever happens, each job is paid for once or not at all.
const LEDGER: &str = "billing.kind=ledger";
/// As many as a process runs at once.
const SLOTS: usize = 4;

on_both_databases! {
    async fn tasks_that_run_when_the_process_is_killed_are_polled_on_after_the_next_start(db: TestDatabase) {
        let media = folder();
        let script = Script::new(&["succeed"]).with_task().gated();
        let first = Process::serve(&db, media.path(), &[LEDGER]).await;
        let jobs = create_jobs(&first, &script, 2 * SLOTS).await;
        wait_until_polled_by(&script, first.id()).await;
        first.kill();
        let second = Process::serve(&db, media.path(), &[LEDGER]).await;
        wait_until_polled_by(&script, second.id()).await;
        second.kill();

        script.open_gate();
        let third = Process::serve(&db, media.path(), &[LEDGER]).await;
        for job in &jobs {
            let ended = third.ended(*job).await;
            assert_eq!(ended.job.status(), COMPLETED, "{:?}", ended.job);
            let retries = usize::try_from(ended.job.attempt).unwrap() - 1;
            let mut expected = [PENDING, PROCESSING].repeat(retries + 1);
            expected.push(COMPLETED);
            assert_eq!(ended.statuses(), expected);
        }

        assert_eq!(script.jobs_with("submit"), jobs);
        assert_eq!(script.calls_of("submit").len(), jobs.len());
        assert_one_process_at_a_time(&script);
        assert_each_completed_once(&db, &jobs).await;
    }

    async fn a_submission_that_was_cut_off_is_not_repeated(db: TestDatabase) {
        let media = folder();
        let script = Script::new(&["succeed"]).gated();
        let one_slot = ["executor.concurrency=1", LEDGER];
        let first = Process::serve(&db, media.path(), &one_slot).await;
        let jobs = create_jobs(&first, &script, 2).await;
        script.wait_until_submitted(1).await;
        first.kill();

        script.open_gate();
        let second = Process::serve(&db, media.path(), &one_slot).await;
        let (cut_off, waiting) = (*jobs.first().unwrap(), *jobs.last().unwrap());
        let ended = second.ended(cut_off).await;
        assert_eq!((ended.code(), ended.job.status()), ("PROVIDER_OUTCOME_UNKNOWN", JobStatus::Failed));
        assert_eq!(second.ended(waiting).await.statuses(), [PENDING, PROCESSING, COMPLETED]);
        assert_eq!(script.calls_of("submit").len(), 2);
        assert_eq!(script.jobs_with("find"), BTreeSet::from([cut_off]));
        assert_eq!(script.jobs_with("done"), BTreeSet::from([waiting]));
        assert_eq!((second.balance().await, assert_balanced(&db).await), ((7, 0), 2));
    }

    async fn a_submission_that_was_cut_off_is_found_again_where_the_provider_can(db: TestDatabase) {
        let media = folder();
        let script = Script::new(&["succeed"]).gated().findable();
        let first = Process::serve(&db, media.path(), &[LEDGER]).await;
        let jobs = create_jobs(&first, &script, 1).await;
        script.wait_until_submitted(1).await;
        first.kill();

        script.open_gate();
        let second = Process::serve(&db, media.path(), &[LEDGER]).await;
        assert_eq!(second.ended(*jobs.first().unwrap()).await.job.status(), COMPLETED);
        assert_eq!((script.calls_of("submit").len(), script.calls_of("find").len()), (1, 1));
        assert_eq!(script.calls().iter().map(|call| &call.key).collect::<BTreeSet<_>>().len(), 1);
        assert_each_completed_once(&db, &jobs).await;
    }

    async fn a_picture_that_was_being_drawn_is_drawn_again(db: TestDatabase) {
        let media = folder();
        let first = Process::serve(&db, media.path(), &[LEDGER]).await;
        let feature = CreateFeatureRequest {
            properties: Some(FeatureProperties { omit_thumbnails: true, ..Default::default() }),
            ..scripted_feature("poster")
        };
        let feature = first.features().create_feature(feature).await.unwrap().into_inner().feature.unwrap();
        assert_eq!(feature.category(), MediaType::Image);
        let mut large = request_for(feature.id);
        let size = OutputSettings { width: Some(1_920), height: Some(1_080), ..Default::default() };
        large.input.get_or_insert_default().output = Some(size);
        let job = first.create(large).await.1.remove(0);
        first.reached(job.id, PROCESSING).await;
        first.kill();

        let second = Process::serve(&db, media.path(), &[LEDGER]).await;
        second.completed(job.id).await;
        assert_each_completed_once(&db, &BTreeSet::from([job.id])).await;
    }

    async fn kills_at_any_moment_leave_every_job_completed_once(db: TestDatabase) {
        const JOBS: usize = 40;
        let media = folder();
        let script = Script::new(&["succeed"]).with_task().findable();
        let settings = ["executor.lease=1s", "database.lock_timeout=500ms", "executor.max_attempts=20", LEDGER];
        let mut process = Process::serve(&db, media.path(), &settings).await;
        let jobs = create_jobs(&process, &script, JOBS).await;
        for kill in 1..=3 {
            script.wait_until_submitted(kill * JOBS / 5).await;
            process.kill();
            process = Process::serve(&db, media.path(), &settings).await;
        }
        for job in &jobs {
            let ended = process.ended(*job).await;
            assert_eq!(ended.job.status(), COMPLETED, "{:?}", ended.job);
        }

        let submitted = script.calls_of("submit");
        assert_eq!(submitted.len(), script.jobs_with("submit").len(), "a job was submitted twice");
        assert_one_process_at_a_time(&script);
        assert_each_completed_once(&db, &jobs).await;
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn create_jobs(process: &Process, script: &Script, count: usize) -> BTreeSet<i64> {
    let feature = process.priced_feature(7).await;
    process.give(7 * count as i64, "all").await;
    let mut jobs = BTreeSet::new();
    while jobs.len() < count {
        let mut asked = scripted_request(feature, script);
        let variations = (count - jobs.len()).min(16);
        asked.input.get_or_insert_default().variations = variations as i32;
        jobs.extend(process.create(asked).await.1.iter().map(|job| job.id));
    }
    jobs
}

/// Waits until this process has asked for as many tasks as it has slots.
async fn wait_until_polled_by(script: &Script, process: u32) {
    script
        .wait_until(|calls| {
            let polled = calls.iter();
            let polled = polled.filter(|call| call.name == "poll" && call.process == process);
            polled.map(|call| call.job).collect::<BTreeSet<_>>().len() == SLOTS
        })
        .await;
}

/// No job was touched by a process again after another one had it, and each attempt had one process.
fn assert_one_process_at_a_time(script: &Script) {
    let mut owners: BTreeMap<i64, Vec<(u32, u32)>> = BTreeMap::new();
    for call in script.calls() {
        let owners = owners.entry(call.job).or_default();
        let owner = (call.attempt, call.process);
        if owners.last() != Some(&owner) {
            owners.push(owner);
        }
    }
    for (job, owners) in owners {
        let attempts: BTreeSet<u32> = owners.iter().map(|(attempt, _)| *attempt).collect();
        assert_eq!(attempts.len(), owners.len(), "job {job}: {owners:?}");
        assert!(owners.is_sorted(), "job {job}: {owners:?}");
    }
}

async fn assert_each_completed_once(db: &TestDatabase, jobs: &BTreeSet<i64>) {
    let ended = assert_ended_once(db).await;
    assert!(ended.keys().eq(jobs), "{:?}", ended.keys());
    for job in ended.values() {
        assert_eq!(job.status, atelier::domain::JobStatus::Completed, "{job:?}");
    }
}
