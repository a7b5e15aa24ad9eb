//! How many jobs of a feature run at once: counted where jobs are claimed, whoever claims, and in nobody else's way.

use std::collections::BTreeSet;

use atelier::domain::job::{AttemptEnd, Failure, Obstacle};
use atelier::domain::{
    Actor, Caller, Checks, FeatureDraft, JobStatus, QueuePart, Reason, RequestDraft,
};
use atelier::entity::job;
use atelier::rpc::proto::{Feature, FeatureProperties, JobObstacle, UpdateFeatureRequest};
use atelier::server::Role;
use futures::FutureExt;
use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use crate::support::bench::{Bench, backlog, capability, feature, ids, lease, overloaded};
use crate::support::client::{USER, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::plans::{plan, plans};
use crate::support::script::Script;
use crate::support::server::TestServer;

use super::concurrency::{assert_each_way_makes_room, give_to, most_at_once};
use super::holding::ask_with;

/// Of the feature in the walk.
const LIMIT: i64 = 3;

on_both_databases! {
    async fn no_more_of_a_feature_run_than_may_and_others_go_on(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let other = add(&bench, "other", 0).await;
        limit(&bench, 2).await;
        let bounded = ask(&bench, bench.feature_id, 1, 5).await;
        let free = ask(&bench, other, 1, 3).await;
        let claimed = bench.claim(16).await;
        let mut begun = ids(&claimed);
        begun.sort_unstable();
        assert_eq!(begun, [&bounded[..2], &free].concat());
        assert!(bench.claim(16).await.is_empty());
        let bands = bench.app.queue().await.unwrap().bands;
        assert_eq!((bands.len(), bands[0].ready, bands[0].paused), (1, 0, 3));
        let waiting = bench.job(bounded[2]).await;
        assert!(waiting.paused && !waiting.held && waiting.revision == 1);
        let reasons = bench.app.waiting_reasons([&waiting]).await.unwrap();
        assert_eq!(reasons.of(&waiting), "It begins when another of its feature has ended: as many run as may at once.");
        assert!(!reasons.is_paused(&waiting), "nobody has paused it");
        let told = bench.app.diagnose_job(bounded[2]).await.unwrap();
        assert_eq!((told.obstacle, told.jobs_before), (Obstacle::Feature, None));
        assert_eq!(told.summary, format!("As many jobs of feature {} run as may run at once, which is 2.", bench.feature_id));

        let running = |id: i64| claimed.iter().find(|job| job.id == id).unwrap();
        while bench.app.events.work().now_or_never().is_some() {}
        bench.complete(running(bounded[1])).await.unwrap();
        assert!(bench.app.events.work().now_or_never().is_some(), "workers hear of it at once");
        assert_eq!(ids(&bench.claim(16).await), [bounded[2]]);
        let failure = AttemptEnd::Fail(Failure::new(Reason::ProviderFailed, "No."));
        bench.app.end_attempt(&lease(running(bounded[0])), &failure).await.unwrap().unwrap();
        assert_eq!(ids(&bench.claim(16).await), [bounded[3]]);
    }

    async fn whatever_takes_a_job_off_its_worker_or_out_of_the_queue_makes_room(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, 1).await;
        let jobs = ask(&bench, bench.feature_id, 1, 6).await;
        assert_each_way_makes_room(&bench, &jobs).await;
    }

    async fn users_of_a_full_feature_take_turns(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, 1).await;
        let first = ask(&bench, bench.feature_id, 1, 1).await;
        backlog(&db, 5_000, first[0]).await;
        let running = bench.claim(4).await.remove(0);
        let second = ask(&bench, bench.feature_id, 2, 2).await;
        let third = ask(&bench, bench.feature_id, 3, 1).await;
        let urgent = RequestDraft { priority: 1, ..draft(&bench, bench.feature_id, 1) };
        let urgent = ask_with(&bench, urgent, 1).await;
        while !bench.job(urgent[0]).await.paused {
            assert!(bench.claim(4).await.is_empty());
        }
        let mut ended = running;
        let mut users = Vec::new();
        for _ in 0..6 {
            bench.complete(&ended).await.unwrap();
            let mut claimed = bench.claim(4).await;
            assert_eq!(claimed.len(), 1);
            ended = claimed.remove(0);
            users.push((ended.user_id, ended.priority));
        }
        assert_eq!(users, [(1, 1), (2, 0), (3, 0), (1, 0), (2, 0), (1, 0)]);
        assert_eq!(bench.job(second[1]).await.status, JobStatus::Completed);
        assert_eq!(bench.job(third[0]).await.status, JobStatus::Completed);
    }

    async fn a_full_feature_s_backlog_is_passed_once(db: TestDatabase) {
        const BACKLOG: usize = 20_000;
        let bench = Bench::new(&db).await;
        let other = add(&bench, "other", 0).await;
        limit(&bench, 1).await;
        let first = ask(&bench, bench.feature_id, 1, 1).await;
        backlog(&db, BACKLOG, first[0]).await;
        let behind = ask(&bench, other, 2, 1).await;
        let mut claims = 0;
        let mut claimed = Vec::new();
        while !ids(&claimed).contains(&behind[0]) {
            claims += 1;
            assert!(claims <= 2 + BACKLOG / 8_000, "others wait for a full feature");
            claimed.extend(bench.claim(4).await);
        }
        assert_eq!(ids(&claimed), [first[0], behind[0]]);
        let next = ask(&bench, other, 2, 1).await;
        assert_eq!(ids(&bench.claim(4).await), next, "nobody looks at it again");
        let database = db.connect().await;
        let aside = || job::Entity::find().filter(job::Column::Paused.eq(true)).count(&database);
        assert_eq!(aside().await.unwrap(), BACKLOG as u64);
        bench.complete(&claimed[0]).await.unwrap();
        assert_eq!(aside().await.unwrap(), BACKLOG as u64 - 1, "as many are let back as may begin");
        assert_eq!(bench.claim(4).await.len(), 1);
    }

    async fn what_nobody_runs_takes_no_place(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, 1).await;
        let both = ["builtin", "elsewhere"].map(capability);
        let elsewhere = ask(&bench, bench.feature_id, 1, 2).await;
        give_to(&db, &elsewhere, "elsewhere").await;
        let here = ask(&bench, bench.feature_id, 1, 3).await;
        let claimed = bench.claim(4).await;
        assert_eq!(ids(&claimed), [here[0]]);
        assert!(bench.claim_as(4, &both).await.is_empty());
        bench.complete(&claimed[0]).await.unwrap();
        // One of each is let back, and whoever comes first gets his.
        assert_eq!(ids(&bench.claim(4).await), [here[1]]);
        assert!(bench.claim_as(4, &both[1..]).await.is_empty());
        bench.complete(&bench.job(here[1]).await).await.unwrap();
        let claimed = bench.claim_as(4, &both).await;
        assert_eq!(claimed.len(), 1);
        assert!(bench.claim_as(4, &both).await.is_empty());
    }

    async fn a_change_of_the_limit_holds_at_once(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, bench.feature_id, 1, 9).await;
        let before = bench.claim(2).await;
        assert_eq!(ids(&before), jobs[..2]);
        limit(&bench, 1).await;
        assert!(bench.claim(9).await.is_empty(), "two run already");
        bench.complete(&before[0]).await.unwrap();
        assert!(bench.claim(9).await.is_empty(), "one runs still");
        limit(&bench, 3).await;
        assert_eq!(ids(&bench.claim(9).await), jobs[2..4], "it takes hold without a look of the upkeep");
        // What ran before there was a limit makes room as well.
        bench.complete(&before[1]).await.unwrap();
        assert_eq!(ids(&bench.claim(9).await), jobs[4..5]);
        limit(&bench, 0).await;
        assert_eq!(ids(&bench.claim(9).await), jobs[5..], "there is none any more");
    }

    async fn a_feature_that_is_resumed_begins_no_more_than_may(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, 2).await;
        let jobs = ask(&bench, bench.feature_id, 1, 5).await;
        let acting = bench.app.acting(Actor::local());
        let part = QueuePart::Feature(bench.feature_id);
        acting.pause_queue(&part, "", Checks::default()).await.unwrap();
        assert!(bench.claim(9).await.is_empty());
        acting.resume_queue(&part, Checks::default()).await.unwrap();
        let claimed = bench.claim(9).await;
        assert_eq!(ids(&claimed), jobs[..2]);
        // Nothing is let back while it is paused, and all of it goes on then.
        acting.pause_queue(&part, "", Checks::default()).await.unwrap();
        bench.complete(&claimed[0]).await.unwrap();
        assert!(bench.claim(9).await.is_empty());
        acting.resume_queue(&part, Checks::default()).await.unwrap();
        assert_eq!(ids(&bench.claim(9).await), jobs[2..3]);
    }

    async fn what_runs_before_a_limit_that_comes_with_a_pause_makes_room_too(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, bench.feature_id, 1, 5).await;
        let before = bench.claim(2).await;
        let acting = bench.app.acting(Actor::local());
        let part = QueuePart::Feature(bench.feature_id);
        acting.pause_queue(&part, "", Checks::default()).await.unwrap();
        assert!(bench.claim(9).await.is_empty());
        limit(&bench, 2).await;
        acting.resume_queue(&part, Checks::default()).await.unwrap();
        bench.complete(&before[0]).await.unwrap();
        assert_eq!(ids(&bench.claim(9).await), jobs[2..3]);
        bench.complete(&before[1]).await.unwrap();
        assert_eq!(ids(&bench.claim(9).await), jobs[3..4]);
    }

    async fn a_user_s_limit_and_a_feature_s_hold_together(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        bench.app.settings.plans = plans([plan("free", |it| it.concurrent_jobs = 1)]);
        limit(&bench, 2).await;
        let of = |user_id| RequestDraft { plan: Some("free".to_owned()), ..draft(&bench, bench.feature_id, user_id) };
        let first = ask_with(&bench, of(1), 4).await;
        let second = ask_with(&bench, of(2), 2).await;
        let third = ask_with(&bench, of(3), 2).await;
        let claimed = bench.claim(9).await;
        assert_eq!(ids(&claimed), [first[0], second[0]]);
        bench.complete(&claimed[0]).await.unwrap();
        let claimed_next = bench.claim(9).await;
        assert_eq!(claimed_next.len(), 1);
        let mut left: BTreeSet<i64> = [first, second, third].concat().into_iter().collect();
        left.retain(|id| *id != claimed[0].id);
        let mut running = vec![claimed[1].clone(), claimed_next[0].clone()];
        while let Some(job) = running.pop() {
            bench.complete(&job).await.unwrap();
            left.remove(&job.id);
            running.extend(bench.claim(9).await);
            let users: BTreeSet<_> = running.iter().map(|job| job.user_id).collect();
            assert!(running.len() <= 2 && users.len() == running.len(), "{running:?}");
        }
        assert_eq!(left, BTreeSet::new(), "some never ran");
    }

    async fn upkeep_lets_back_what_nothing_else_does(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, 2).await;
        let jobs = ask(&bench, bench.feature_id, 1, 4).await;
        db.execute("UPDATE generation_jobs SET paused = TRUE").await;
        assert!(bench.claim(8).await.is_empty());
        bench.app.let_back_resumed().await.unwrap();
        assert_eq!(ids(&bench.claim(8).await), jobs[..2], "as many as may run");
        bench.app.let_back_resumed().await.unwrap();
        assert!(bench.claim(8).await.is_empty());
    }

    async fn whatever_happens_no_more_run_than_may_and_none_is_left(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        limit(&bench, LIMIT).await;
        for seed in 0..3 {
            walk(&db, &bench, StdRng::seed_from_u64(seed)).await;
        }
    }

    async fn two_servers_run_no_more_of_a_feature_than_may(db: TestDatabase) {
        // Nobody looks by himself in time: what begins was woken for.
        let patient = |config: &mut atelier::config::Config| {
            config.executor.poll_interval = std::time::Duration::from_secs(60);
            config.executor.upkeep_interval = std::time::Duration::from_secs(3_600);
        };
        let server = TestServer::start_with(&db, patient).await;
        let other = server.beside(Role::All, &db, patient).await;
        let mut asked = scripted_feature("bounded");
        asked.properties.get_or_insert_default().max_concurrent_jobs = 2;
        let bounded = server.add_feature(asked).await;
        assert_eq!(bounded.properties.as_ref().unwrap().max_concurrent_jobs, 2);
        let free = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let mut jobs = BTreeSet::new();
        for index in 0..8 {
            let mut asked = scripted_request(bounded.id, &script);
            asked.input.get_or_insert_default().variations = 5;
            asked.user_id = USER + i64::from(index % 3);
            jobs.extend(server.create(asked).await.1.iter().map(|job| job.id));
        }
        jobs.insert(server.create(scripted_request(free, &script)).await.1[0].id);
        for job in &jobs {
            server.completed(*job).await;
        }
        let rows = job::Entity::find().all(&db.connect().await).await.unwrap();
        let most = most_at_once(rows.iter().filter(|job| job.feature_id == bounded.id));
        assert!((1..=2).contains(&most), "{most} ran at once");

        let gate = Script::new(&["succeed"]).gated();
        let mut asked = scripted_request(bounded.id, &gate);
        asked.input.get_or_insert_default().variations = 5;
        let jobs = server.create(asked).await.1;
        gate.wait_until_submitted(2).await;
        let told = atelier::rpc::proto::DiagnoseJobRequest { id: jobs[4].id };
        let told = server.jobs().diagnose_job(told).await.unwrap().into_inner();
        assert_eq!(told.obstacle(), JobObstacle::Feature);
        let change = UpdateFeatureRequest {
            feature: Some(Feature {
                id: bounded.id,
                properties: Some(FeatureProperties { max_concurrent_jobs: 4, ..Default::default() }),
                ..Default::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["properties.max_concurrent_jobs".to_owned()] }),
            ..Default::default()
        };
        server.features().update_feature(change).await.unwrap();
        gate.wait_until_submitted(4).await;
        gate.open_gate();
        for job in &jobs {
            server.completed(job.id).await;
        }
        server.stop().await;
        other.stop().await;
    }
}

/// Sets how many jobs of the bench's feature run at once.
async fn limit(bench: &Bench, most: i64) {
    let acting = bench.app.acting(Actor::local());
    let change = |draft: &mut FeatureDraft| draft.properties.max_concurrent_jobs = most;
    let changed = acting.update_feature(
        bench.feature_id,
        "",
        Checks::default(),
        false,
        false,
        change,
    );
    changed.await.unwrap();
}

async fn add(bench: &Bench, name: &str, most: i64) -> i64 {
    let mut draft = FeatureDraft {
        name: name.to_owned(),
        ..feature()
    };
    draft.properties.max_concurrent_jobs = most;
    let acting = bench.app.acting(Actor::local());
    let created = acting.create_feature(draft, Checks::default(), false);
    created.await.unwrap().id
}

fn draft(bench: &Bench, feature_id: i64, user_id: i64) -> RequestDraft {
    RequestDraft {
        user_id,
        feature_id,
        ..bench.draft("x")
    }
}

async fn ask(bench: &Bench, feature_id: i64, user_id: i64, variations: i32) -> Vec<i64> {
    ask_with(bench, draft(bench, feature_id, user_id), variations).await
}

/// Does whatever may come to jobs of three users, some of it at once.
async fn walk(db: &TestDatabase, bench: &Bench, mut random: StdRng) {
    let database = db.connect().await;
    let all = async || job::Entity::find().all(&database).await.unwrap();
    for _ in 0..50 {
        let jobs = all().await;
        let running: Vec<_> = jobs.iter().filter(|job| job.is_running()).collect();
        match random.random_range(0..10) {
            0..3 => {
                let user = random.random_range(1..4);
                ask(bench, bench.feature_id, user, random.random_range(1..5)).await;
            }
            3..6 => {
                let slots = random.random_range(1..6);
                join_all([bench.claim(slots), bench.claim(slots), bench.claim(slots)]).await;
            }
            6..8 => {
                let ending = running.iter().filter(|_| random.random_bool(0.6));
                let ending: Vec<_> = ending.collect();
                join_all(ending.iter().map(|job| bench.complete(job))).await;
            }
            8 => {
                let mut pending = jobs.iter().filter(|job| job.status == JobStatus::Pending);
                if let Some(job) = pending.nth(random.random_range(0..5)) {
                    let cancelled = bench.app.cancel_job(Caller::TrustedService, job.id, false);
                    let _ = futures::join!(cancelled, bench.claim(2));
                }
            }
            _ => {
                if let Some(job) = running.first() {
                    let pause = std::time::Duration::from_secs(random.random_range(0..3));
                    let end = overloaded(pause);
                    bench.app.end_attempt(&lease(job), &end).await.unwrap();
                }
                bench.pass(1);
            }
        }
        let running = all().await.into_iter().filter(job::Model::is_running);
        assert!(running.count() <= usize::try_from(LIMIT).unwrap());
    }
    for _ in 0..200 {
        bench.pass(3);
        bench.claim(8).await;
        for job in all().await.iter().filter(|job| job.is_running()) {
            bench.complete(job).await;
        }
    }
    let left = all().await;
    let left = left.iter().filter(|job| job.status == JobStatus::Pending);
    assert_eq!(left.count(), 0, "some never ran");
}
