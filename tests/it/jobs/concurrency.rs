//! How many jobs of a user run at once: counted where jobs are claimed, whoever claims, and without others waiting for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{Caller, Checks, JobStatus, Plan, Reason, RequestDraft};
use atelier::entity::job;
use atelier::rpc::proto::{CreateRequestRequest, GetLimitsRequest};
use atelier::server::Role;
use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::support::bench::{Bench, capability, ids, lease, overloaded};
use crate::support::client::{USER, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::plans::{configure, plan, plans};
use crate::support::script::Script;
use crate::support::server::TestServer;

/// Of each user in the walk.
const LIMIT: u32 = 2;

on_both_databases! {
    async fn no_more_of_a_user_run_than_may_and_others_go_on(db: TestDatabase) {
        let bench = limited(&db, 2).await;
        let his = ask(&bench, 1, 5, "free").await;
        let other = ask(&bench, 2, 1, "free").await;
        let open = ask(&bench, 3, 4, "open").await;
        let claimed = bench.claim(16).await;
        let mut begun = ids(&claimed);
        begun.sort_unstable();
        assert_eq!(begun, [&his[..2], &other, &open].concat());
        let running = |id: i64| claimed.iter().find(|job| job.id == id).unwrap();
        assert!(bench.claim(16).await.is_empty());
        for (index, id) in his.iter().enumerate() {
            let job = bench.job(*id).await;
            assert_eq!((job.held, job.revision), (index >= 2, if index < 2 { 2 } else { 1 }));
        }
        let waiting = bench.job(his[2]).await;
        let reasons = bench.app.waiting_reasons([&waiting]).await.unwrap();
        let limits = bench.app.limits(1, Some("free")).await.unwrap();
        assert_eq!((limits.used.running, limits.used.pending), (2, 3));
        assert_eq!(reasons.of(&waiting), "It begins when another of its user has ended: the plan lets 2 run at once.");

        bench.complete(running(his[1])).await.unwrap();
        assert_eq!(ids(&bench.claim(16).await), [his[2]], "the oldest of those that wait");
        let failure = AttemptEnd::Fail(Failure::new(Reason::ProviderFailed, "No."));
        bench.app.end_attempt(&lease(running(his[0])), &failure).await.unwrap().unwrap();
        assert_eq!(ids(&bench.claim(1).await), [his[3]]);
    }

    async fn whatever_takes_a_job_off_its_worker_makes_room(db: TestDatabase) {
        let bench = limited(&db, 1).await;
        let jobs = ask(&bench, 1, 6, "free").await;
        assert_each_way_makes_room(&bench, &jobs).await;
    }

    async fn what_is_held_fails_too_when_nobody_runs_it(db: TestDatabase) {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let bench = limited(&db, 1).await;
        let elsewhere = ask(&bench, 1, 3, "free").await;
        give_to(&db, &elsewhere, "elsewhere").await;
        let here = ask(&bench, 1, 1, "free").await;
        assert_eq!(ids(&bench.claim(4).await), here);
        assert!(bench.claim_as(4, &[capability("elsewhere")]).await.is_empty());
        assert!(bench.job(elsewhere[0]).await.held);
        bench.pass(2 * 24 * 60 * 60);
        // The running one goes on, so that none of his is let go.
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 3);
        for id in elsewhere {
            assert_eq!(bench.job(id).await.status, JobStatus::Failed);
        }
    }

    async fn what_nobody_runs_takes_no_place(db: TestDatabase) {
        let bench = limited(&db, 1).await;
        let both = ["builtin", "elsewhere"].map(capability);
        let elsewhere = ask(&bench, 1, 2, "free").await;
        give_to(&db, &elsewhere, "elsewhere").await;
        let here = ask(&bench, 1, 2, "free").await;
        let claimed = bench.claim(4).await;
        assert_eq!(ids(&claimed), [here[0]]);
        assert!(bench.claim_as(4, &both).await.is_empty());
        let held = [elsewhere[0], elsewhere[1], here[1]];
        for id in held {
            assert!(bench.job(id).await.held);
        }
        bench.complete(&claimed[0]).await.unwrap();
        // One of each is let go, and whoever comes first gets his.
        assert_eq!(ids(&bench.claim(4).await), [here[1]]);
        assert!(bench.claim_as(4, &both[1..]).await.is_empty());
        bench.complete(&bench.job(here[1]).await).await.unwrap();
        assert_eq!(ids(&bench.claim_as(4, &both).await), [elsewhere[0]]);
    }

    async fn the_priority_of_a_plan_goes_before_the_time_of_a_request(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        bench.app.settings.plans = plans([plan("free", |_| ()), plan("pro", |it| it.priority = 10)]);
        let free = ask(&bench, 1, 2, "free").await;
        let pro = ask(&bench, 2, 2, "pro").await;
        let urgent = RequestDraft { user_id: 3, priority: 11, ..bench.draft("x") };
        let urgent = bench.app.create_request(Caller::TrustedService, urgent, &Checks::default()).await.unwrap().1;
        let least = RequestDraft { user_id: 2, priority: -1, plan: Some("pro".to_owned()), ..bench.draft("x") };
        let least = bench.app.create_request(Caller::TrustedService, least, &Checks::default()).await.unwrap().1;
        let expected = [ids(&urgent), pro, free, ids(&least)].concat();
        assert_eq!(ids(&bench.claim(16).await), expected);
    }

    async fn a_full_user_s_backlog_is_passed_once(db: TestDatabase) {
        const BACKLOG: usize = 12_000;
        let bench = limited(&db, 1).await;
        let first = ask(&bench, 1, 1, "free").await;
        let database = db.connect().await;
        let backlog = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {BACKLOG})
             INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, priority, concurrency, run_after)
             SELECT job.request_id, job.user_id, job.feature_id, job.category, '{{}}', job.provider, 5, 1, job.run_after
             FROM generation_jobs AS job CROSS JOIN n WHERE job.id = {}", first[0]
        );
        database.execute_unprepared(&backlog).await.unwrap();
        let other = ask(&bench, 2, 1, "free").await;
        let mut claims = 0;
        let mut claimed = Vec::new();
        while !claimed.contains(&other[0]) {
            claims += 1;
            assert!(claims < 10, "others wait for a full user");
            claimed.extend(ids(&bench.claim(4).await));
        }
        assert_eq!(claimed.len(), 2);
        let held = || job::Entity::find().filter(job::Column::Held.eq(true)).count(&database);
        assert_eq!(held().await.unwrap(), BACKLOG as u64);
        let third = ask(&bench, 3, 1, "free").await;
        assert_eq!(ids(&bench.claim(4).await), third, "nobody looks at it again");
        let running = bench.job(claimed[0]).await;
        bench.complete(&running).await.unwrap();
        assert_eq!(held().await.unwrap(), BACKLOG as u64 - 1, "as many are let go as may begin");
        assert_eq!(bench.claim(4).await.len(), 1);
    }

    async fn what_nothing_lets_go_upkeep_does(db: TestDatabase) {
        let bench = limited(&db, 2).await;
        let jobs = ask(&bench, 1, 4, "free").await;
        db.connect().await.execute_unprepared("UPDATE generation_jobs SET held = TRUE").await.unwrap();
        assert!(bench.claim(8).await.is_empty());
        assert_eq!(bench.app.release_stranded_jobs().await.unwrap(), 1);
        let claimed = bench.claim(8).await;
        assert_eq!(ids(&claimed), jobs[..2], "as many as may run");
        assert_eq!(bench.app.release_stranded_jobs().await.unwrap(), 0, "he has no free place");
        bench.complete(&claimed[0]).await.unwrap();
        assert_eq!(ids(&bench.claim(8).await), jobs[2..3]);
    }

    async fn upkeep_fills_a_place_that_is_free_beside_one_that_runs(db: TestDatabase) {
        let bench = limited(&db, 2).await;
        let jobs = ask(&bench, 1, 3, "free").await;
        let claimed = bench.claim(1).await;
        db.connect().await.execute_unprepared("UPDATE generation_jobs SET held = TRUE WHERE status = 'pending'").await.unwrap();
        assert!(bench.claim(8).await.is_empty());
        assert_eq!(bench.app.release_stranded_jobs().await.unwrap(), 1);
        assert_eq!(ids(&claimed), jobs[..1]);
        assert_eq!(ids(&bench.claim(8).await), jobs[1..2]);
    }

    async fn whatever_happens_no_more_run_than_may_and_none_is_left(db: TestDatabase) {
        let bench = limited(&db, LIMIT).await;
        for seed in 0..4 {
            walk(&db, &bench, StdRng::seed_from_u64(seed)).await;
        }
    }

    async fn two_servers_run_no_more_of_a_user_than_may(db: TestDatabase) {
        let limit = |config: &mut atelier::config::Config| configure(config, [free(2), plan("open", |_| ())]);
        let server = TestServer::start_with(&db, limit).await;
        let other = server.beside(Role::All, &db, limit).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let mut jobs = BTreeSet::new();
        for index in 0..6 {
            let mut asked = scripted_request(feature, &script);
            asked.input.get_or_insert_default().variations = 5;
            asked.user_id = USER + i64::from(index % 2);
            jobs.extend(server.create(asked).await.1.iter().map(|job| job.id));
        }
        let open = CreateRequestRequest { user_id: USER + 2, plan: "open".to_owned(), ..scripted_request(feature, &script) };
        jobs.insert(server.create(open).await.1[0].id);
        for job in &jobs {
            server.completed(*job).await;
        }
        let rows = job::Entity::find().all(&db.connect().await).await.unwrap();
        for user in [USER, USER + 1] {
            let most = most_at_once(rows.iter().filter(|job| job.user_id == user));
            assert!((1..=2).contains(&most), "{most} of user {user} ran at once");
        }
        let asked = GetLimitsRequest { user_id: USER, ..Default::default() };
        let told = server.credits().get_limits(asked).await.unwrap().into_inner();
        let running = told.concurrent_jobs.unwrap();
        assert_eq!((running.limit, running.used), (2, 0));
        server.stop().await;
        other.stop().await;
    }
}

fn free(at_once: u32) -> Plan {
    plan("free", |it| it.concurrent_jobs = at_once)
}

/// With a plan that lets so many run at once, and one that lets all.
async fn limited(db: &TestDatabase, at_once: u32) -> Bench {
    let mut bench = Bench::new(db).await;
    bench.app.settings.plans = plans([free(at_once), plan("open", |_| ())]);
    bench
}

/// The jobs of a request.
async fn ask(bench: &Bench, user_id: i64, variations: i32, plan: &str) -> Vec<i64> {
    let mut draft = RequestDraft {
        user_id,
        plan: Some(plan.to_owned()),
        ..bench.draft("x")
    };
    draft.input.batch_size = variations;
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    ids(&created.await.unwrap().1)
}

/// Has jobs wait for another provider.
pub(super) async fn give_to(db: &TestDatabase, jobs: &[i64], provider: &str) {
    let ids: Vec<_> = jobs.iter().map(i64::to_string).collect();
    let ids = ids.join(", ");
    let statement =
        format!("UPDATE generation_jobs SET provider = '{provider}' WHERE id IN ({ids})");
    let database = db.connect().await;
    database.execute_unprepared(&statement).await.unwrap();
}

/// Takes the six jobs, of which one may run at once, off their worker and out of the queue in every way.
pub(super) async fn assert_each_way_makes_room(bench: &Bench, jobs: &[i64]) {
    let all = Caller::TrustedService;
    let next = async || {
        let claimed = bench.claim(8).await;
        let [job] = &claimed[..] else {
            panic!("{:?} run at once", ids(&claimed));
        };
        job.clone()
    };
    let first = next().await;
    // It waits for its pause and takes nobody's place meanwhile.
    let pause = overloaded(Duration::from_secs(600));
    bench.app.end_attempt(&lease(&first), &pause).await.unwrap();
    let second = next().await;
    assert_eq!(second.id, jobs[1]);
    let back = AttemptEnd::HandBack { keep_task: false };
    bench.app.end_attempt(&lease(&second), &back).await.unwrap();
    assert_eq!(next().await.id, jobs[1]);
    bench.app.cancel_job(all, jobs[1], true).await.unwrap();
    assert_eq!(next().await.id, jobs[2]);
    bench.app.delete_job(all, jobs[2]).await.unwrap();
    assert_eq!(next().await.id, jobs[3]);
    bench.pass(31);
    bench.app.rescue_jobs().await.unwrap();
    let rescued = next().await;
    assert_eq!(rescued.id, jobs[3]);
    bench.complete(&rescued).await.unwrap();
    // What was let go and has ended before anybody claimed it makes room too.
    bench.app.cancel_job(all, jobs[4], false).await.unwrap();
    assert_eq!(next().await.id, jobs[5]);
}

/// How many of these ran at the same time.
pub(super) fn most_at_once<'a>(jobs: impl Iterator<Item = &'a job::Model>) -> i32 {
    let mut changes = Vec::new();
    for job in jobs {
        changes.push((job.started_at.unwrap(), 1));
        changes.push((job.completed_at.unwrap(), -1));
    }
    // What ends goes before what begins at the same time.
    changes.sort_unstable();
    let running = changes.iter().scan(0, |running, (_, change)| {
        *running += change;
        Some(*running)
    });
    running.max().unwrap_or_default()
}

/// Does whatever may come to jobs of three users, some of it at once.
async fn walk(db: &TestDatabase, bench: &Bench, mut random: StdRng) {
    let database = db.connect().await;
    for _ in 0..60 {
        let all = job::Entity::find().all(&database).await.unwrap();
        let running: Vec<_> = all.iter().filter(|job| job.is_running()).collect();
        let some = |jobs: &[&job::Model], random: &mut StdRng| {
            (!jobs.is_empty()).then(|| jobs[random.random_range(0..jobs.len())].clone())
        };
        match random.random_range(0..10) {
            0..3 => {
                let user = random.random_range(1..4);
                ask(bench, user, random.random_range(1..4), "free").await;
            }
            3..6 => {
                let slots = random.random_range(1..5);
                let claims = [bench.claim(slots), bench.claim(slots), bench.claim(slots)];
                join_all(claims).await;
            }
            6..8 => {
                let ending = running.iter().filter(|_| random.random_bool(0.6));
                let ending: Vec<_> = ending.collect();
                join_all(ending.iter().map(|job| bench.complete(job))).await;
            }
            8 => {
                let pending = all.iter().filter(|job| job.status == JobStatus::Pending);
                let pending: Vec<_> = pending.collect();
                if let Some(job) = some(&pending, &mut random) {
                    let cancelled = bench.app.cancel_job(Caller::TrustedService, job.id, false);
                    let claimed = bench.claim(2);
                    let _ = futures::join!(cancelled, claimed);
                }
            }
            _ => {
                if let Some(job) = some(&running, &mut random) {
                    let pause = Duration::from_secs(random.random_range(0..3));
                    let (lease, end) = (lease(&job), overloaded(pause));
                    bench.app.end_attempt(&lease, &end).await.unwrap();
                }
                bench.pass(1);
            }
        }
        assert_no_more_run(&database).await;
    }
    for _ in 0..200 {
        bench.pass(3);
        for job in bench.claim(8).await {
            bench.complete(&job).await.unwrap();
        }
        for job in job::Entity::find().all(&database).await.unwrap() {
            if job.is_running() {
                bench.complete(&job).await;
            }
        }
    }
    let left = job::Entity::find().filter(job::Column::Status.eq(JobStatus::Pending));
    assert_eq!(left.count(&database).await.unwrap(), 0, "some never ran");
}

async fn assert_no_more_run(database: &impl ConnectionTrait) {
    let mut running: BTreeMap<i64, u32> = BTreeMap::new();
    for job in job::Entity::find().all(database).await.unwrap() {
        if job.is_running() {
            *running.entry(job.user_id).or_default() += 1;
        }
    }
    assert!(
        running.values().all(|of_user| *of_user <= LIMIT),
        "{running:?}"
    );
}
