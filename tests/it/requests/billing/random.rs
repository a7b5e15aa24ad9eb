//! Any order of calls, ends, failures and time: in the end each job is paid for or given back, once.

use std::time::Duration;

use atelier::billing::Billing;
use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{Caller, Checks, JobStatus, Reason};
use atelier::entity::job;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;

use crate::support::bench::{Bench, lease};
use crate::support::billing::{BillingStandIn, Fault, Rpc, Standing};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::server::within;

use super::left;
use super::upkeep::bench;

const PAYER: i64 = 1;
const CREDITS: i64 = 60;
const COST: i64 = 4;
const STEPS: usize = 60;

on_both_databases! {
    async fn whatever_fails_each_job_is_paid_for_or_given_back_once(db: TestDatabase) {
        for (seed, accepted) in (0..).zip([0, 20, 1_000]) {
            let db = TestDatabase::create(db.backend).await;
            let mut billing = BillingStandIn::start(&[(PAYER, CREDITS)]);
            let bench = bench(&db, &billing, accepted).await;
            let mut chance = StdRng::seed_from_u64(seed);
            for step in 0..STEPS {
                take_a_step(&bench, &mut billing, &mut chance).await;
                let (available, held) = billing.balance(PAYER);
                assert!(accepted > 0 || available >= 0, "seed {seed}, step {step}: {available}, {held}");
            }
            bring_to_an_end(&db, &bench, &mut billing).await;
            let jobs = job::Entity::find().all(&db.connect().await).await.unwrap();
            assert!(jobs.iter().any(|job| job.status == JobStatus::Completed), "seed {seed} is dull");
            assert_settled(&billing, &jobs, seed);
        }
    }
}

async fn take_a_step(bench: &Bench, billing: &mut BillingStandIn, chance: &mut StdRng) {
    let faults = [Fault::Unavailable, Fault::Lost, Fault::Lost];
    let rpcs = [Rpc::Reserve, Rpc::Commit, Rpc::Release];
    match chance.random_range(0..12) {
        0..3 => create(bench, chance.random_range(1..4)).await,
        3 => give_up(bench, billing).await,
        4 => {
            let (rpc, fault) = (rpcs.choose(chance).unwrap(), faults.choose(chance).unwrap());
            for _ in 0..chance.random_range(1..4) {
                billing.next(*rpc, *fault);
            }
        }
        5 | 6 => complete(bench).await,
        7 => fail(bench).await,
        8 => cancel(bench, chance).await,
        9 => retry(bench, chance).await,
        10 => {
            bench.pass([1, 60, 121, 12 * 60 * 60][chance.random_range(0..4)]);
        }
        _ => {
            bench.app.tell_billing_now().await.unwrap();
        }
    }
    if chance.random_bool(0.05) {
        billing.restart().await;
    }
}

/// It may be refused.
async fn create(bench: &Bench, variations: i32) {
    let mut draft = bench.draft("x");
    draft.input.batch_size = variations;
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    let _ = created.await;
}

/// A server that goes while Billing holds something for it.
async fn give_up(bench: &Bench, billing: &BillingStandIn) {
    billing.next(Rpc::Reserve, Fault::DoneAndHang);
    let asked = billing.calls(Rpc::Reserve).len();
    tokio::select! {
        // Not asked, or refused before, as while it is away.
        () = create(bench, 1) => {}
        () = billing.until(|it| it.calls(Rpc::Reserve).len() > asked) => {}
    }
}

async fn complete(bench: &Bench) {
    for job in bench.claim(1).await {
        bench.complete(&job).await.unwrap();
    }
}

async fn fail(bench: &Bench) {
    for job in bench.claim(1).await {
        let failure = Failure::new(Reason::ProviderFailed, "No.");
        let (lease, end) = (lease(&job), AttemptEnd::Fail(failure));
        let ended = bench.app.end_attempt(&lease, &end);
        ended.await.unwrap().unwrap();
    }
}

async fn cancel(bench: &Bench, chance: &mut StdRng) {
    if let Some(job) = any(bench, chance, JobStatus::Pending).await {
        let cancelled = bench.app.cancel_job(Caller::TrustedService, job.id, false);
        cancelled.await.unwrap();
    }
}

async fn retry(bench: &Bench, chance: &mut StdRng) {
    if let Some(job) = any(bench, chance, JobStatus::Cancelled).await {
        // Twice, of which the second finds the first's.
        for _ in 0..2 {
            let _ = bench.app.retry_job(Caller::TrustedService, job.id).await;
        }
    }
}

async fn any(bench: &Bench, chance: &mut StdRng, status: JobStatus) -> Option<job::Model> {
    let db = bench.app.store.reader();
    let mut jobs = job::Entity::find().all(db).await.unwrap();
    jobs.retain(|job| job.status == status);
    jobs.choose(chance).cloned()
}

/// All jobs end, and Billing hears of it.
async fn bring_to_an_end(db: &TestDatabase, bench: &Bench, billing: &mut BillingStandIn) {
    billing.mend();
    billing.restart().await;
    let Billing::Remote(remote) = &bench.app.settings.billing else {
        panic!("it is elsewhere");
    };
    let jobs = job::Entity::find().all(bench.app.store.reader()).await;
    for job in jobs.unwrap() {
        if job.status == JobStatus::Pending {
            let cancelled = bench.app.cancel_job(Caller::TrustedService, job.id, false);
            cancelled.await.unwrap();
        }
    }
    within(async {
        while !left(db).await.is_empty() {
            // It counts as away still. How long goes by no clock of ours.
            while remote.is_shut() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            bench.pass(121);
            bench.app.tell_billing_now().await.unwrap();
        }
    })
    .await;
}

fn assert_settled(billing: &BillingStandIn, jobs: &[job::Model], seed: u64) {
    let mut spent = 0;
    for job in jobs {
        let expected = match job.status {
            JobStatus::Completed => Standing::Committed,
            JobStatus::Failed | JobStatus::Cancelled => Standing::Released,
            status => panic!("seed {seed}: job {} is {status:?}", job.id),
        };
        let stands = billing.standings(job.id);
        assert_eq!(stands, [expected], "seed {seed}: {job:?}");
        spent += match job.status {
            JobStatus::Completed => COST,
            _ => 0,
        };
    }
    assert_eq!(billing.balance(PAYER), (CREDITS - spent, 0), "seed {seed}");
    billing.assert_kept();
}
