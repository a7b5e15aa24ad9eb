//! Whose job is next: users of one priority take turns, however much one of them asks for, and low priorities move too.

use std::collections::BTreeMap;

use atelier::domain::job::Capability;
use atelier::domain::{Actor, Caller, Checks, FeatureDraft, MediaType, RequestDraft};
use atelier::entity::job;
use atelier::rpc::proto::CreateRequestRequest;
use atelier::store::queue::Claim;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{EntityTrait, QueryOrder};

use crate::support::bench::{Bench, LEASE, backlog, drawing, feature, ids, lease, overloaded};
use crate::support::client::scripted_request;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::script::Script;
use crate::support::server::TestServer;

const BATCH: i32 = 6;
const BACKLOG: usize = 100_000;

on_both_databases! {
    async fn users_with_work_enough_are_served_alike(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        for seed in 0..4 {
            serve(&bench, StdRng::seed_from_u64(seed)).await;
        }
    }

    async fn a_hundred_thousand_jobs_of_one_user_delay_the_first_of_another_by_one(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let first = ask(&bench, 1, 1).await[0];
        backlog(&db, BACKLOG, first).await;
        let other = ask(&bench, 2, 2).await;
        assert_eq!(owners(&bench.claim(1).await), [1]);
        assert_eq!(bench.claim(1).await[0].id, other[0]);
        // A third comes later, and for something else that the same workers make.
        let video = FeatureDraft { name: "clip".to_owned(), category: Some(MediaType::Video), ..feature() };
        let video = bench.app.acting(Actor::local()).create_feature(video, Checks::default(), false).await.unwrap();
        let third = RequestDraft { user_id: 3, feature_id: video.id, ..bench.draft("x") };
        let third = bench.app.create_request(Caller::TrustedService, third, &Checks::default()).await.unwrap().1;
        let both = [MediaType::Image, MediaType::Video].map(|category| Capability { category, ..drawing() });
        let next = bench.claim_as(4, &both).await;
        assert!(next.iter().any(|job| job.id == third[0].id), "{:?}", owners(&next));
        assert!(next.iter().any(|job| job.id == other[1]), "{:?}", owners(&next));
    }

    async fn a_job_keeps_its_turn_while_it_is_tried_again(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        ask(&bench, 1, 4).await;
        let claimed = bench.claim(2).await;
        ask(&bench, 2, 4).await;
        let pause = overloaded(std::time::Duration::ZERO);
        bench.app.end_attempt(&lease(&claimed[0]), &pause).await.unwrap().unwrap();
        assert_eq!(bench.claim(1).await[0].id, claimed[0].id);
    }

    async fn a_claim_takes_the_priority_that_has_waited_longest_if_it_is_told_to(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let low = bench.request(2, -50).await;
        bench.request(3, 0).await;
        bench.request(3, 50).await;
        let longest = async |slots| bench.app.claim("worker", &[(Claim::Longest, slots)], LEASE, &[drawing()]).await.unwrap().concat();
        let taken = longest(1).await;
        assert_eq!(ids(&taken), [low[0].id]);
        assert_eq!(priorities(&bench.claim(1).await), [50]);
        assert_eq!(priorities(&longest(4).await), [-50], "of this priority alone");
        assert_eq!(priorities(&longest(4).await), [0, 0, 0]);
        assert_eq!(priorities(&longest(4).await), [50, 50]);
        assert!(longest(4).await.is_empty());
    }

    async fn of_five_jobs_one_is_of_the_lowest_priority(db: TestDatabase) {
        let order = run_order(&db, 5).await;
        let low = order.iter().enumerate().filter(|(_, priority)| **priority < 0).map(|(place, _)| place);
        let low: Vec<_> = low.collect();
        assert_eq!(low.len(), 3, "{order:?}");
        assert!(low[0] >= 2, "priority counts: {order:?}");
        for (index, place) in low.into_iter().enumerate() {
            assert!(place <= 5 * (index + 1) + 2, "{order:?}");
        }
    }

    async fn without_aging_the_lowest_priority_waits_for_all_others(db: TestDatabase) {
        let order = run_order(&db, 0).await;
        let (others, last) = order.split_at(order.len() - 3);
        assert!(others.iter().all(|priority| *priority > 0) && last.iter().all(|priority| *priority < 0), "{order:?}");
    }
}

/// Lets some users ask in batches, always before the last of their jobs is taken, and workers take what is next.
async fn serve(bench: &Bench, mut random: StdRng) {
    let users = random.random_range(2..6_i64);
    let mut waiting: BTreeMap<i64, usize> = BTreeMap::new();
    for user in 1..=users {
        waiting.insert(user, ask(bench, user, BATCH).await.len());
    }
    let mut served: BTreeMap<i64, usize> = (1..=users).map(|user| (user, 0)).collect();
    for _ in 0..40 {
        for job in bench.claim(random.random_range(1..4)).await {
            *served.get_mut(&job.user_id).unwrap() += 1;
            *waiting.get_mut(&job.user_id).unwrap() -= 1;
        }
        for (user, waiting) in &mut waiting {
            if *waiting < 4 || random.random_bool(0.1) {
                let batch = random.random_range(1..=BATCH);
                *waiting += ask(bench, *user, batch).await.len();
            }
        }
        let (most, least) = (
            served.values().max().unwrap(),
            served.values().min().unwrap(),
        );
        assert!(most - least <= 1, "{served:?}");
    }
    while !bench.claim(100).await.is_empty() {}
}

/// The priorities of jobs in the order in which one slot ran them: three low ones that came first, and thirty others.
async fn run_order(db: &TestDatabase, aging: u32) -> Vec<i32> {
    let server = TestServer::start_with(db, |config| {
        config.executor.concurrency = 1;
        config.executor.aging = aging;
    })
    .await;
    let feature = server.scripted_feature().await;
    let gate = Script::new(&["succeed"]).gated();
    let script = Script::new(&["succeed"]);
    let create = async |script: &Script, priority: i32, variations: i32| {
        let mut asked = CreateRequestRequest {
            priority,
            ..scripted_request(feature, script)
        };
        asked.input.get_or_insert_default().variations = variations;
        server.create(asked).await.1
    };
    let mut jobs = create(&gate, 5, 1).await;
    gate.wait_until_submitted(1).await;
    jobs.extend(create(&script, -5, 3).await);
    for _ in 0..3 {
        jobs.extend(create(&script, 5, 10).await);
    }
    gate.open_gate();
    for job in &jobs {
        server.completed(job.id).await;
    }
    let ran = job::Entity::find().order_by_asc(job::Column::StartedAt);
    let ran = ran.all(&db.connect().await).await.unwrap();
    server.stop().await;
    priorities(&ran)
}

async fn ask(bench: &Bench, user_id: i64, variations: i32) -> Vec<i64> {
    let mut draft = RequestDraft {
        user_id,
        ..bench.draft("x")
    };
    draft.input.batch_size = variations;
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    ids(&created.await.unwrap().1)
}

fn owners(jobs: &[job::Model]) -> Vec<i64> {
    jobs.iter().map(|job| job.user_id).collect()
}

fn priorities(jobs: &[job::Model]) -> Vec<i32> {
    jobs.iter().map(|job| job.priority).collect()
}
