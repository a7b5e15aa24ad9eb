//! The same operations from many tasks at once: what they leave is consistent, and none is refused for another's sake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use atelier::domain::{JobCounts, JobStatus, RequestStatus};
use atelier::entity::request;
use atelier::store::queue::Lease;
use futures::future::join_all;
use proptest::sample::Index;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::Barrier;

use super::operation::{self, Asked, Attempt, LIMIT, LIMITED, MOST_OF_FEATURE, Operation};
use super::snapshot::{self, Snapshot};
use super::{
    ask, bench_with_limits, delete_media, kind, limit, model, perform_attempt, perform_on_job,
    perform_on_request, toggle,
};
use crate::support::bench::{Bench, lease};
use crate::support::database::on_both_databases;
use crate::support::ledger::assert_balanced;
use crate::support::server::within;

const ROUNDS: usize = 40;
const TASKS: usize = 8;
const STEPS: usize = 6;

/// What the tasks know of each other.
struct Shared {
    requests: Vec<i64>,
    jobs: Vec<i64>,
    attempts: Vec<Lease>,
    /// Jobs whose media may have been deleted by themselves.
    without_media: BTreeSet<i64>,
}

on_both_databases! {
    async fn many_at_once_leave_a_consistent_state(db: TestDatabase) {
        let bench = Arc::new(bench_with_limits(&db).await);
        let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
        let steps = proptest::collection::vec(operation::any(), STEPS);
        for _ in 0..ROUNDS {
            snapshot::purge(&bench).await;
            limit(&bench, MOST_OF_FEATURE).await;
            let plans = (0..TASKS).map(|_| steps.new_tree(&mut runner).unwrap().current());
            let without_media = within(meet(&bench, plans.collect())).await;
            check_all(&bench, &Snapshot::read(&bench).await, &without_media);
            drain(&bench).await;
            let end = Snapshot::read(&bench).await;
            check_all(&bench, &end, &without_media);
            assert!(end.jobs.values().all(|job| job.status.is_terminal()), "a job never ends");
            assert_eq!(assert_balanced(&db).await, end.jobs.len(), "each is paid for once or not at all");
        }
    }
}

/// Few jobs, so that the tasks get into each other's way: one of them runs, one has failed. Returns the jobs whose media
/// may have been deleted by themselves.
async fn meet(bench: &Arc<Bench>, plans: Vec<Vec<Operation>>) -> BTreeSet<i64> {
    let mut jobs = bench.request(3, 0).await;
    let limited = Asked {
        user: LIMITED,
        variations: 3,
        priority: 0,
        elsewhere: false,
    };
    jobs.extend(ask(bench, limited).await);
    let claimed = bench.claim(2).await;
    let attempts: Vec<Lease> = claimed.iter().map(lease).collect();
    perform_attempt(bench, &attempts[1], &Attempt::Fail).await;
    let shared = Arc::new(Mutex::new(Shared {
        requests: vec![jobs[0].request_id, jobs[3].request_id],
        jobs: jobs.iter().map(|job| job.id).collect(),
        attempts,
        without_media: BTreeSet::new(),
    }));
    let start = Arc::new(Barrier::new(plans.len()));
    let tasks = plans.into_iter().map(|plan| {
        let (bench, shared, start) = (bench.clone(), shared.clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            for step in &plan {
                take(&bench, &shared, step).await;
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    std::mem::take(&mut shared.lock().unwrap().without_media)
}

fn pick<T: Clone>(items: &[T], index: &Index) -> Option<T> {
    (!items.is_empty()).then(|| items[index.index(items.len())].clone())
}

async fn take(bench: &Bench, shared: &Mutex<Shared>, step: &Operation) {
    match step {
        Operation::Pass(seconds) => {
            bench.pass(*seconds);
        }
        Operation::Ask(asked) => {
            for jobs in join_all(asked.iter().map(|asked| ask(bench, *asked))).await {
                shared.lock().unwrap().requests.push(jobs[0].request_id);
                add(shared, jobs.iter().map(|job| job.id));
            }
        }
        Operation::Claim(slots) => {
            let taken = bench.claim(*slots).await;
            let leases = taken.iter().map(lease);
            shared.lock().unwrap().attempts.extend(leases);
        }
        Operation::Toggle(whole) => {
            if !toggle(bench, *whole, false).await {
                toggle(bench, *whole, true).await;
            }
        }
        // There is always one, so that it is known how many run at most.
        Operation::Limit(most) => limit(bench, (*most).max(1)).await,
        Operation::Rescue => {
            bench.app.rescue_jobs().await.unwrap();
        }
        Operation::Unpark => {
            bench.app.unpark_due_jobs().await.unwrap();
        }
        Operation::DeleteMedia(index) => {
            let id = pick(&shared.lock().unwrap().jobs, index).unwrap();
            shared.lock().unwrap().without_media.insert(id);
            delete_media(bench, id).await;
        }
        Operation::Attempt(index, action) => {
            let lease = pick(&shared.lock().unwrap().attempts, index);
            if let Some(lease) = lease {
                perform_attempt(bench, &lease, action).await;
            }
        }
        Operation::Together(actions) => {
            let attempts = {
                let known = &shared.lock().unwrap().attempts;
                let attempts = actions.iter();
                let attempts =
                    attempts.filter_map(|(index, action)| Some((pick(known, index)?, action)));
                attempts.collect::<Vec<_>>()
            };
            let ended = attempts
                .iter()
                .map(|(lease, action)| perform_attempt(bench, lease, action));
            join_all(ended).await;
        }
        Operation::Job(index, action) => {
            let id = pick(&shared.lock().unwrap().jobs, index).unwrap();
            match perform_on_job(bench, id, action).await {
                Ok(job) => add(shared, [job.id]),
                Err(error) => drop(kind(error)),
            }
        }
        Operation::Request(index, action) => {
            let id = pick(&shared.lock().unwrap().requests, index).unwrap();
            match perform_on_request(bench, id, action).await {
                Ok(jobs) => add(shared, jobs.iter().map(|job| job.id)),
                Err(error) => drop(kind(error)),
            }
        }
    }
}

fn add(shared: &Mutex<Shared>, ids: impl IntoIterator<Item = i64>) {
    let jobs = &mut shared.lock().unwrap().jobs;
    for id in ids {
        if !jobs.contains(&id) {
            jobs.push(id);
        }
    }
}

/// Lets everything end that has begun or waits.
async fn drain(bench: &Bench) {
    for whole in [true, false] {
        toggle(bench, whole, false).await;
    }
    loop {
        bench.pass(31);
        // As upkeep does: others may have had rows locked.
        bench.app.let_back_resumed().await.unwrap();
        let rescued = bench.app.rescue_jobs().await.unwrap();
        // As upkeep does: two that end at once may each have left it to the other.
        let released = bench.app.release_stranded_jobs().await.unwrap();
        let taken = bench.claim(100).await;
        for job in &taken {
            perform_attempt(bench, &lease(job), &Attempt::Complete).await;
        }
        if rescued == 0 && released == 0 && taken.is_empty() {
            return;
        }
    }
}

fn check_all(bench: &Bench, found: &Snapshot, without_media: &BTreeSet<i64>) {
    for request in &found.requests {
        check_request(found, request);
    }
    let running = || found.jobs.values().filter(|job| job.is_running());
    let of_user = running().filter(|job| job.user_id == LIMITED);
    assert!(of_user.count() <= LIMIT, "more run than may");
    let of_feature = running().filter(|job| job.feature_id == bench.feature_id);
    assert!(of_feature.count() <= MOST_OF_FEATURE, "more run than may");
    let mut successors = BTreeSet::new();
    for (id, job) in &found.jobs {
        let events = &found.events[id];
        let revisions: Vec<i64> = events.iter().map(|event| event.revision).collect();
        assert_eq!(
            revisions,
            (1..=job.revision).collect::<Vec<_>>(),
            "job {id}"
        );
        let last = &events[events.len() - 1];
        assert_eq!(
            (last.status, last.attempt),
            (job.status, job.attempt),
            "job {id}"
        );
        for pair in events.windows(2) {
            let step = (pair[0].status, pair[1].status);
            assert!(is_specified(step), "job {id}: {step:?}");
        }
        if matches!(job.status, JobStatus::Pending | JobStatus::Processing) {
            assert_eq!(job.deleted_at, None, "job {id} waits or runs for nobody");
        }
        if let Some(successor) = job.superseded_by {
            assert!(
                successors.insert(successor),
                "{successor} has two predecessors"
            );
            assert!(matches!(
                job.status,
                JobStatus::Failed | JobStatus::Cancelled
            ));
            let successor = &found.jobs[&successor];
            assert_eq!(
                (
                    successor.request_id,
                    successor.variation,
                    &successor.input_json
                ),
                (job.request_id, job.variation, &job.input_json)
            );
        }
    }
    check_media(found, without_media);
}

fn check_request(found: &Snapshot, request: &request::Model) {
    let mut counts = JobCounts::default();
    let mut live = BTreeMap::<i32, u32>::new();
    for job in found
        .jobs
        .values()
        .filter(|job| job.request_id == request.id)
    {
        if request.deleted_at.is_some() {
            assert!(
                job.deleted_at.is_some(),
                "job {} outlives its request",
                job.id
            );
        }
        if job.superseded_by.is_none() {
            *live.entry(job.variation).or_default() += 1;
            if [None, request.deleted_at].contains(&job.deleted_at) {
                counts.add(job.status, 1);
            }
        }
    }
    assert!(
        live.values().all(|jobs| *jobs == 1),
        "a variation is made twice: {live:?}"
    );
    assert_eq!(
        found.counts.get(&request.id).copied().unwrap_or_default(),
        counts
    );
    match model::sum(counts) {
        Some(status) => assert_eq!(request.status, status, "request {}: {counts:?}", request.id),
        None => assert!(
            !matches!(
                request.status,
                RequestStatus::Pending | RequestStatus::Processing
            ),
            "request {} never ends",
            request.id
        ),
    }
}

fn check_media(found: &Snapshot, without_media: &BTreeSet<i64>) {
    let makers: BTreeSet<i64> = found
        .media
        .iter()
        .map(|media| media.job_id.unwrap())
        .collect();
    let completed = found
        .jobs
        .values()
        .filter(|job| job.status == JobStatus::Completed);
    assert_eq!(makers, completed.map(|job| job.id).collect());
    assert_eq!(found.media.len(), makers.len());
    for media in &found.media {
        let mut requests = found.requests.iter();
        let request = requests
            .find(|request| request.id == media.request_id)
            .unwrap();
        if without_media.contains(&media.job_id.unwrap()) {
            let outlives = media.deleted_at.is_none() && request.deleted_at.is_some();
            assert!(!outlives, "media {} outlives its request", media.id);
        } else {
            assert_eq!(media.deleted_at, request.deleted_at, "media {}", media.id);
        }
    }
}

fn is_specified(step: (JobStatus, JobStatus)) -> bool {
    use JobStatus::{Cancelled, Completed, Failed, Pending, Processing};
    matches!(
        step,
        (Pending, Processing | Cancelled) | (Processing, Completed | Failed | Cancelled | Pending)
    )
}
