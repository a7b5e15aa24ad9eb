//! The state machine of jobs and its aggregates: under random sequences of what can happen to them, one by one and several in one
//! transaction, step by step against a model, and under many at once.

mod concurrency;
mod fields;
mod model;
mod operation;
mod snapshot;

use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{
    Actor, Caller, Checks, Error, FeatureDraft, JsonMap, QueuePart, Reason, RequestDraft,
};
use atelier::entity::{job, media};
use atelier::store::queue::{self, Lease, Report};
use futures::future::join_all;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio::runtime::Handle;

use crate::support::bench::{Bench, LEASE, drawing, feature, output, overloaded};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::ledger::{COST, assert_balanced, bench_with_credits};
use crate::support::plans::{plan, plans};
use model::Model;
use operation::{Asked, Operation};
use snapshot::Snapshot;

const CASES: u32 = 24;
const STEPS: usize = 30;

/// A feature that is never paused and has no limit.
const ELSEWHERE: &str = "elsewhere";

on_both_databases! {
    async fn every_step_leaves_what_the_model_says(db: TestDatabase) {
        let bench = bench_with_limits(&db).await;
        let runtime = Handle::current();
        tokio::task::block_in_place(|| {
            let mut runner = TestRunner::new(Config {
                cases: CASES,
                max_shrink_iters: 300,
                failure_persistence: None,
                ..Config::default()
            });
            let steps = proptest::collection::vec(operation::any(), 1..=STEPS);
            let outcome = runner.run(&steps, |steps| {
                runtime.block_on(async {
                    walk(&bench, &steps).await?;
                    assert_balanced(&db).await;
                    Ok(())
                })
            });
            outcome.unwrap_or_else(|failure| panic!("{failure}"));
        });
    }
}

/// With a plan that lets all run at once and another, and with one more feature.
async fn bench_with_limits(db: &TestDatabase) -> Bench {
    let mut bench = bench_with_credits(db).await;
    let limited = plan("limited", |it| {
        it.concurrent_jobs = u32::try_from(operation::LIMIT).unwrap();
    });
    bench.app.settings.plans = plans([plan("open", |_| ()), limited]);
    let mut other = FeatureDraft {
        name: ELSEWHERE.to_owned(),
        ..feature()
    };
    other.properties.cost_per_generation = COST;
    let acting = bench.app.acting(Actor::local());
    let created = acting.create_feature(other, Checks::default(), false);
    created.await.unwrap();
    bench
}

/// One sequence of steps, from some fresh requests on.
async fn walk(bench: &Bench, steps: &[Operation]) -> Result<(), TestCaseError> {
    snapshot::purge(bench).await;
    limit(bench, 0).await;
    let mut model = Model::new(bench.app.clock.now(), bench.feature_id);
    for (user, variations, priority, elsewhere) in [
        (1, 3, 0, false),
        (1, 2, 1, false),
        (operation::LIMITED, 3, 0, false),
        (1, 2, 0, true),
    ] {
        let asked = Asked {
            user,
            variations,
            priority,
            elsewhere,
        };
        let accepted = model.accept(&[ask(bench, asked).await]);
        accepted.map_err(TestCaseError::fail)?;
    }
    for (index, step) in steps.iter().enumerate() {
        let at = |problem| TestCaseError::fail(format!("step {index}, {step:?}: {problem}"));
        take(bench, &mut model, step).await.map_err(at)?;
        let found = Snapshot::read(bench).await;
        model.settle_out(&found, step).map_err(at)?;
        found.compare(&model).map_err(at)?;
    }
    Ok(())
}

/// Takes the step in the service and in the model, which must agree on its outcome.
async fn take(bench: &Bench, model: &mut Model, step: &Operation) -> Result<(), String> {
    match step {
        Operation::Pass(seconds) => {
            model.now = bench.pass(*seconds);
            Ok(())
        }
        Operation::Ask(asked) => {
            let jobs = join_all(asked.iter().map(|asked| ask(bench, *asked))).await;
            model.accept(&jobs)
        }
        Operation::Claim(slots) => {
            let claimed = bench.claim_ready(*slots, &[drawing()]).await;
            model.claim(*slots, &claimed)
        }
        Operation::Toggle(whole) => {
            toggle(bench, *whole, model.toggle(*whole)).await;
            Ok(())
        }
        Operation::Limit(most) => {
            limit(bench, *most).await;
            model.limit = (*most > 0).then_some(*most);
            Ok(())
        }
        Operation::Rescue => same(bench.app.rescue_jobs().await.unwrap(), model.rescue()),
        Operation::Unpark => {
            let next = bench.app.unpark_due_jobs().await.unwrap();
            same(next, model.unpark())
        }
        Operation::DeleteMedia(index) => {
            let Some(job) = model.pick_job(index) else {
                return Ok(());
            };
            delete_media(bench, job).await;
            model.delete_media(job);
            Ok(())
        }
        Operation::Attempt(index, action) => {
            let Some(lease) = model.pick_attempt(index) else {
                return Ok(());
            };
            let expected = model.end_attempt(&lease, action);
            if expected && !matches!(action, operation::Attempt::Heartbeat) {
                model.leave_place(lease.job_id);
            }
            same(perform_attempt(bench, &lease, action).await, expected)
        }
        Operation::Together(actions) => {
            let pick = |(index, action)| Some((model.pick_attempt(index)?, action));
            let attempts = actions.iter().map(|(index, action)| (index, action));
            let attempts: Vec<_> = attempts.filter_map(pick).collect();
            let ended = attempts
                .iter()
                .map(|(lease, action)| perform_attempt(bench, lease, action));
            let mut ended: Vec<_> = join_all(ended).await.into_iter().zip(&attempts).collect();
            // Of two at one job either may be the first.
            ended.sort_by_key(|(has_ended, _)| !has_ended);
            let expected = ended.iter();
            let expected = expected.map(|(_, (lease, action))| model.end_attempt(lease, action));
            let expected: Vec<bool> = expected.collect();
            same(ended.iter().map(|(ended, _)| *ended).collect(), expected)
        }
        Operation::Job(index, action) => {
            let Some(id) = model.pick_job(index) else {
                return Ok(());
            };
            let outcome = perform_on_job(bench, id, action).await;
            let successor = outcome.as_ref().ok().map(|job| job.id);
            let expected = model.change_job(id, action, successor);
            same(outcome.map(|_| ()).map_err(kind), expected)
        }
        Operation::Request(index, action) => {
            let id = model.pick_request(index);
            let outcome = perform_on_request(bench, id, action).await;
            let new = outcome.as_ref().map_or(&[][..], Vec::as_slice);
            let expected = model.change_request(id, action, new);
            same(outcome.map(|_| ()).map_err(kind), expected)
        }
    }
}

/// Sets how many jobs of the bench's feature run at once; 0 is no limit.
async fn limit(bench: &Bench, most: usize) {
    let (id, none) = (bench.feature_id, Checks::default());
    let most = i64::try_from(most).unwrap();
    let change = |draft: &mut FeatureDraft| draft.properties.max_concurrent_jobs = most;
    let acting = bench.app.acting(Actor::local());
    let changed = acting.update_feature(id, "", none, false, false, change);
    changed.await.unwrap();
}

/// Pauses the queue, or the bench's feature, or resumes it. Whether it was paused before it is resumed.
async fn toggle(bench: &Bench, whole: bool, pauses: bool) -> bool {
    let part = match whole {
        true => QueuePart::Whole,
        false => QueuePart::Feature(bench.feature_id),
    };
    let (acting, checks) = (bench.app.acting(Actor::local()), Checks::default());
    match pauses {
        true => {
            acting.pause_queue(&part, "", checks).await.unwrap();
            false
        }
        false => acting.resume_queue(&part, checks).await.unwrap().is_some(),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(outcome: T, expected: T) -> Result<(), String> {
    if outcome == expected {
        Ok(())
    } else {
        Err(format!("came out as {outcome:?}, expected {expected:?}"))
    }
}

async fn ask(bench: &Bench, asked: Asked) -> Vec<job::Model> {
    let mut draft = RequestDraft {
        user_id: asked.user,
        priority: asked.priority,
        plan: (asked.user == operation::LIMITED).then(|| "limited".to_owned()),
        ..bench.draft("x")
    };
    if asked.elsewhere {
        draft.feature_id = 0;
        draft.feature = ELSEWHERE.to_owned();
    }
    draft.input.batch_size = asked.variations;
    let (app, checks) = (&bench.app, Checks::default());
    let created = app.create_request(Caller::TrustedService, draft, &checks);
    created.await.unwrap().1
}

/// Whether the attempt's lease held.
async fn perform_attempt(bench: &Bench, lease: &Lease, action: &operation::Attempt) -> bool {
    let app = &bench.app;
    let end = match action {
        operation::Attempt::Heartbeat => {
            let (db, now) = (app.store.writer(), app.clock.queue());
            let beat = queue::heartbeat(db, lease, LEASE, Report::default(), now);
            return beat.await.unwrap();
        }
        operation::Attempt::Complete => {
            let outputs = [output(lease)];
            let completed = app.complete_job(lease, &outputs, JsonMap::new()).await;
            return completed.unwrap().is_some();
        }
        operation::Attempt::Fail => AttemptEnd::Fail(Failure::new(Reason::ProviderFailed, "No.")),
        operation::Attempt::Retry(pause) => overloaded(*pause),
        operation::Attempt::HandBack => AttemptEnd::HandBack { keep_task: false },
    };
    app.end_attempt(lease, &end).await.unwrap().is_some()
}

async fn perform_on_job(
    bench: &Bench,
    id: i64,
    action: &operation::Job,
) -> Result<job::Model, Error> {
    let (app, caller) = (&bench.app, Caller::TrustedService);
    match action {
        operation::Job::Cancel(running) => app.cancel_job(caller, id, *running).await,
        operation::Job::Retry => app.retry_job(caller, id).await,
        operation::Job::Delete => app.delete_job(caller, id).await,
        operation::Job::Undelete => app.undelete_job(caller, id).await,
    }
}

/// The jobs that were made.
async fn perform_on_request(
    bench: &Bench,
    id: i64,
    action: &operation::Request,
) -> Result<Vec<job::Model>, Error> {
    let (app, caller) = (&bench.app, Caller::TrustedService);
    let none = |_| Vec::new();
    match action {
        operation::Request::Cancel(running) => app
            .cancel_request(caller, id, *running)
            .await
            .map(|_| Vec::new()),
        operation::Request::Retry => app.retry_request(caller, id).await.map(|(_, jobs)| jobs),
        operation::Request::Delete => app.delete_request(caller, id, "").await.map(none),
        operation::Request::Undelete => app.undelete_request(caller, id).await.map(none),
    }
}

/// Deletes the media of a job by themselves.
async fn delete_media(bench: &Bench, job_id: i64) {
    let of_job = media::Entity::find().filter(media::Column::JobId.eq(job_id));
    let found = of_job.all(bench.app.store.reader()).await.unwrap();
    for media in found {
        let deleted = bench.app.delete_media(Caller::TrustedService, media.id);
        deleted.await.unwrap();
    }
}

/// Why the service refuses something; a fault of its own is none.
fn kind(error: Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "not found",
        Error::RequestDeleted(_) => "request deleted",
        Error::JobNotRetryable { .. } => "job not retryable",
        Error::RequestNotRetryable(_) => "request not retryable",
        Error::JobAlreadyProcessing(_) => "already processing",
        Error::JobAlreadyFinished { .. } => "already finished",
        fault => panic!("a fault of the service: {fault:?}"),
    }
}
