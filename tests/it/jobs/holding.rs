//! What operators pause is begun by nobody until they resume it, and all else goes on as if it were not there.

mod diagnosis;
mod draining;
mod servers;

use std::time::Duration;

use atelier::domain::{
    Actor, Caller, Checks, Error, FeatureDraft, JobStatus, QueuePart, RequestDraft, Resource,
    Schedule,
};
use atelier::entity::job;
use atelier::store::queue::Claim;
use chrono::TimeDelta;
use futures::FutureExt;
use sea_orm::{EntityTrait, QueryOrder};

use crate::support::bench::{
    Bench, LEASE, backlog, capability, drawing, feature, ids, lease, overloaded,
};
use crate::support::database::on_both_databases;
use crate::support::plans::{plan, plans};

/// More than a claim takes out of the queue at once.
const BACKLOG: usize = 20_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

on_both_databases! {
    async fn nothing_is_begun_of_a_paused_queue_in_whatever_way(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, 1, 3, bench.feature_id).await;
        let running = bench.claim(1).await.remove(0);
        let failed = bench.claim(1).await.remove(0);
        pause(&bench, QueuePart::Whole).await;
        bench.app.end_attempt(&lease(&failed), &overloaded(Duration::ZERO)).await.unwrap().unwrap();
        assert_none_is_claimed(&bench, &["builtin"]).await;
        assert!(bench.complete(&running).await.is_some(), "what runs goes on to its end");
        ask(&bench, 1, 1, bench.feature_id).await;
        assert_none_is_claimed(&bench, &["builtin"]).await;
        assert_eq!(reason(&bench, jobs[2]).await, "The queue is paused: a test.");

        while bench.app.events.work().now_or_never().is_some() {}
        assert!(resume(&bench, QueuePart::Whole).await);
        assert!(bench.app.events.work().now_or_never().is_some(), "workers are woken");
        assert_eq!(bench.claim(9).await.len(), 3);
        assert!(!resume(&bench, QueuePart::Whole).await, "it was not paused any more");
    }

    async fn a_paused_provider_gets_nothing_and_others_do(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let elsewhere = ask(&bench, 1, 2, bench.feature_id).await;
        db.execute("UPDATE generation_jobs SET provider = 'other', priority = 9").await;
        let there = ask(&bench, 1, 2, bench.feature_id).await;
        pause(&bench, QueuePart::Provider("other".to_owned())).await;
        let both = ["builtin", "other"].map(capability);
        assert_none_is_claimed(&bench, &["other"]).await;
        // The aging share goes to the oldest that may begin.
        let longest = bench.app.claim("worker", &[(Claim::Longest, 1)], LEASE, &both).await.unwrap();
        assert_eq!(ids(&longest.concat()), there[..1]);
        assert_eq!(ids(&bench.claim_as(9, &both).await), there[1..]);
        assert_eq!(reason(&bench, elsewhere[0]).await, "The generator \"other\" is paused: a test.");
        // The queue as a whole may be resumed, and this stays.
        pause(&bench, QueuePart::Whole).await;
        resume(&bench, QueuePart::Whole).await;
        assert_none_is_claimed(&bench, &["other"]).await;
        resume(&bench, QueuePart::Provider("other".to_owned())).await;
        assert_eq!(ids(&bench.claim_as(9, &both).await), elsewhere);
    }

    async fn jobs_of_a_paused_feature_are_passed_once_and_come_back_in_their_order(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let other = another_feature(&bench).await;
        let first = ask(&bench, 1, 1, bench.feature_id).await;
        backlog(&db, BACKLOG, first[0]).await;
        let behind = ask(&bench, 1, 1, other).await;
        pause(&bench, QueuePart::Feature(bench.feature_id)).await;
        // Each claim passes some thousands, and has itself called again for the rest.
        let mut claims = 0;
        let found = loop {
            while bench.app.events.work().now_or_never().is_some() {}
            claims += 1;
            let claimed = bench.claim(4).await;
            if !claimed.is_empty() {
                break claimed;
            }
            assert!(bench.app.events.work().now_or_never().is_some(), "after {claims} claims");
        };
        assert_eq!(ids(&found), behind);
        assert!(claims <= 1 + BACKLOG / 8_000, "{claims}");
        assert!(bench.job(first[0]).await.paused);
        assert_none_is_claimed(&bench, &["builtin"]).await;
        // His next one does not stand behind what is paused.
        let last = format!("UPDATE generation_jobs SET pass = 10000000 WHERE id = {}", behind[0] - 1);
        db.execute(&last).await;
        let strangers = ask(&bench, 2, 2, other).await;
        let next = ask(&bench, 1, 1, other).await;
        assert_eq!(ids(&bench.claim(2).await), [strangers[0], next[0]]);
        bench.claim(1).await;

        resume(&bench, QueuePart::Feature(bench.feature_id)).await;
        assert!(!bench.job(first[0]).await.paused);
        let claimed = bench.claim(3).await;
        let all = job::Entity::find().order_by_asc(job::Column::Id).all(&db.connect().await).await.unwrap();
        let of_feature: Vec<_> = all.iter().filter(|job| job.feature_id == bench.feature_id).collect();
        assert_eq!(ids(&claimed), of_feature[..3].iter().map(|job| job.id).collect::<Vec<_>>());
        assert!(of_feature.iter().all(|job| !job.paused));
    }

    async fn the_oldest_priority_is_looked_for_behind_a_paused_feature(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let other = another_feature(&bench).await;
        ask_with(&bench, RequestDraft { priority: -9, ..bench.draft("x") }, 3).await;
        let others = ask_with(&bench, RequestDraft { feature_id: other, priority: -5, ..bench.draft("x") }, 1).await;
        ask_with(&bench, RequestDraft { feature_id: other, priority: 5, ..bench.draft("x") }, 3).await;
        pause(&bench, QueuePart::Feature(bench.feature_id)).await;
        let taken = bench.app.claim("worker", &[(Claim::Longest, 1)], LEASE, &[drawing()]).await.unwrap();
        assert_eq!(ids(&taken.concat()), others);
    }

    async fn a_user_with_a_limit_goes_on_with_what_is_not_paused(db: TestDatabase) {
        let mut bench = Bench::new(&db).await;
        bench.app.settings.plans = plans([plan("free", |it| it.concurrent_jobs = 1)]);
        let other = another_feature(&bench).await;
        let of = |feature_id| RequestDraft { feature_id, plan: Some("free".to_owned()), ..bench.draft("x") };
        let paused = ask_with(&bench, of(bench.feature_id), 2).await;
        let open = ask_with(&bench, of(other), 2).await;
        pause(&bench, QueuePart::Feature(bench.feature_id)).await;
        let claimed = bench.claim(9).await;
        assert_eq!(ids(&claimed), open[..1]);
        assert_eq!(bench.app.release_stranded_jobs().await.unwrap(), 0);
        bench.complete(&claimed[0]).await.unwrap();
        assert_eq!(bench.app.release_stranded_jobs().await.unwrap(), 0, "what is paused is nobody's turn");
        let claimed = bench.claim(9).await;
        assert_eq!(ids(&claimed), open[1..]);
        bench.complete(&claimed[0]).await.unwrap();
        resume(&bench, QueuePart::Feature(bench.feature_id)).await;
        for id in paused {
            let claimed = bench.claim(9).await;
            assert_eq!(ids(&claimed), [id]);
            bench.complete(&claimed[0]).await.unwrap();
        }
    }

    async fn deadlines_run_while_the_queue_is_paused_and_the_wait_for_a_worker_does_not(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let end = bench.app.clock.now() + TimeDelta::seconds(60);
        let schedule = Schedule { start_deadline: Some(end), ..Schedule::default() };
        let late = ask_with(&bench, RequestDraft { schedule, ..bench.draft("x") }, 1).await;
        let waits = ask(&bench, 1, 1, bench.feature_id).await;
        for part in [QueuePart::Whole, QueuePart::Feature(bench.feature_id), QueuePart::Provider("builtin".to_owned())] {
            pause(&bench, part.clone()).await;
            bench.pass(61);
            bench.app.cancel_late_jobs().await.unwrap();
            assert_eq!(bench.job(late[0]).await.status, JobStatus::Cancelled);
            bench.pass(2 * 24 * 60 * 60);
            assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 0, "{part:?}");
            resume(&bench, part).await;
        }
        assert_eq!(bench.app.fail_unclaimed_jobs(DAY).await.unwrap(), 1);
        assert_eq!(bench.job(waits[0]).await.status, JobStatus::Failed);
    }

    async fn what_a_crash_leaves_out_of_the_queue_upkeep_lets_back(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = ask(&bench, 1, 3, bench.feature_id).await;
        pause(&bench, QueuePart::Feature(bench.feature_id)).await;
        assert_none_is_claimed(&bench, &["builtin"]).await;
        assert_eq!(bench.app.let_back_resumed().await.unwrap(), 0, "it is paused");
        db.execute("DELETE FROM generation_pauses").await;
        assert!(bench.claim(9).await.is_empty());
        assert_eq!(bench.app.let_back_resumed().await.unwrap(), 3);
        assert_eq!(ids(&bench.claim(9).await), jobs);
    }

    async fn a_pause_that_is_there_keeps_its_reason_and_unknown_features_have_none(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let acting = bench.app.acting(Actor::local());
        let part = QueuePart::Feature(bench.feature_id);
        let first = acting.pause_queue(&part, "first", Checks::default()).await.unwrap();
        bench.pass(5);
        let again = acting.pause_queue(&part, "second", Checks::default()).await.unwrap();
        assert_eq!((&again, again.reason.as_str()), (&first, "first"));
        let unknown = acting.pause_queue(&QueuePart::Feature(4_711), "", Checks::default()).await;
        assert!(matches!(unknown, Err(Error::NotFound { resource: Resource::Feature, id: 4_711 })), "{unknown:?}");
        assert_eq!(bench.app.queue().await.unwrap().pauses, [first]);
        // It goes with its feature.
        db.execute("DELETE FROM generation_features").await;
        assert!(bench.app.queue().await.unwrap().pauses.is_empty());
    }

    async fn what_is_paused_is_counted_as_waiting(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        ask(&bench, 1, 3, bench.feature_id).await;
        let counts = async || {
            let bands = bench.app.queue().await.unwrap().bands;
            bands.iter().map(|band| (band.ready, band.paused)).collect::<Vec<_>>()
        };
        assert_eq!(counts().await, [(3, 0)]);
        for part in [QueuePart::Whole, QueuePart::Feature(bench.feature_id), QueuePart::Provider("builtin".to_owned())] {
            pause(&bench, part.clone()).await;
            assert_eq!(counts().await, [(0, 3)], "{part:?}");
            resume(&bench, part).await;
        }
        assert_eq!(counts().await, [(3, 0)]);
    }
}

async fn pause(bench: &Bench, part: QueuePart) {
    let acting = bench.app.acting(Actor::local());
    let paused = acting.pause_queue(&part, "a test", Checks::default());
    paused.await.unwrap();
}

/// Whether it was paused.
async fn resume(bench: &Bench, part: QueuePart) -> bool {
    let acting = bench.app.acting(Actor::local());
    let resumed = acting.resume_queue(&part, Checks::default());
    resumed.await.unwrap().is_some()
}

async fn assert_none_is_claimed(bench: &Bench, providers: &[&str]) {
    let capabilities: Vec<_> = providers.iter().map(|name| capability(name)).collect();
    for what in [Claim::Run, Claim::Longest, Claim::FallBack] {
        let wanted = [(what, 9)];
        let claimed = bench.app.claim("worker", &wanted, LEASE, &capabilities);
        assert_eq!(ids(&claimed.await.unwrap().concat()), [0; 0], "{what:?}");
    }
}

async fn reason(bench: &Bench, id: i64) -> String {
    let job = bench.job(id).await;
    let reasons = bench.app.waiting_reasons([&job]).await.unwrap();
    assert!(reasons.is_paused(&job));
    reasons.of(&job)
}

async fn another_feature(bench: &Bench) -> i64 {
    let draft = FeatureDraft {
        name: "other".to_owned(),
        ..feature()
    };
    let acting = bench.app.acting(Actor::local());
    let created = acting.create_feature(draft, Checks::default(), false);
    created.await.unwrap().id
}

pub(super) async fn ask(bench: &Bench, user_id: i64, variations: i32, feature_id: i64) -> Vec<i64> {
    let draft = RequestDraft {
        user_id,
        feature_id,
        ..bench.draft("x")
    };
    ask_with(bench, draft, variations).await
}

pub(super) async fn ask_with(bench: &Bench, mut draft: RequestDraft, variations: i32) -> Vec<i64> {
    draft.input.batch_size = variations;
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    ids(&created.await.unwrap().1)
}
