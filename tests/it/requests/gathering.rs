//! Requests that come at the same time are stored in one transaction, and what is wrong with one is its own matter.

use std::collections::BTreeSet;

use atelier::app::Accepted;
use atelier::billing::Billing;
use atelier::domain::{
    Actor, Caller, Checks, Error, GrantDraft, Quota, RequestDraft, RequestStatus, Resource,
};
use atelier::entity::{idempotency_key, job, request};
use atelier::store;
use futures::future::join_all;
use futures::poll;
use sea_orm::{ConnectionTrait, EntityTrait, TransactionTrait};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::ledger::{assert_balanced, bench_that_costs};
use crate::support::plans::{plan, plans};
use crate::support::server::within;

/// Of the request that is under way while the others come. All users here are even, since those of others are stored apart.
const FIRST: i64 = 2;

type Outcome = Result<Accepted, Error>;

on_both_databases! {
    async fn each_of_a_batch_is_answered_by_itself(db: TestDatabase) {
        let bench = bench_for(&db, (1..=9).map(|id| 2 * id)).await;
        let deleted = bench.template().await;
        db.execute("UPDATE generation_templates SET deleted_at = created_at").await;
        let template = bench.template().await;
        let of = |user_id| RequestDraft { user_id, ..bench.draft("x") };
        let mut several = of(8);
        several.input.batch_size = 3;
        let outcomes = at_once(&bench, vec![
            of(4),
            RequestDraft { user_prompt: "x".repeat(101), ..of(6) },
            RequestDraft { user_id: 4_712, ..of(6) },
            RequestDraft { feature_id: 4_711, ..of(6) },
            several,
            RequestDraft { template_id: Some(4_711), ..of(10) },
            RequestDraft { template_id: Some(template), ..of(12) },
            RequestDraft { feature_id: 0, feature: "bench".to_owned(), ..of(14) },
            RequestDraft { feature_id: 0, feature: "none".to_owned(), ..of(16) },
            RequestDraft { feature_id: 0, template: "bench/plain".to_owned(), ..of(18) },
            RequestDraft { template_id: Some(deleted), ..of(4) },
        ]).await;

        assert!(matches!(outcomes[1], Err(Error::Validation(_))), "{:?}", outcomes[1]);
        assert!(matches!(outcomes[2], Err(Error::UserUnknown(4_712))), "{:?}", outcomes[2]);
        assert!(is_missing(&outcomes[3], Resource::Feature), "{:?}", outcomes[3]);
        assert!(is_missing(&outcomes[5], Resource::Template), "{:?}", outcomes[5]);
        assert!(matches!(outcomes[8], Err(Error::NotNamed { .. })), "{:?}", outcomes[8]);
        assert!(is_missing(&outcomes[10], Resource::Template), "{:?}", outcomes[10]);
        let accepted: Vec<Accepted> = outcomes.into_iter().filter_map(Result::ok).collect();
        let whose: Vec<i64> = accepted.iter().map(|(it, _)| it.request.user_id).collect();
        assert_eq!(whose, [4, 8, 12, 14, 18]);
        assert!(accepted.is_sorted_by_key(|(it, _)| it.request.id), "in the order of arrival");
        assert_stored(&db, &bench, &accepted, 1).await;
    }

    async fn of_a_key_s_requests_in_a_batch_one_is_stored(db: TestDatabase) {
        let bench = bench_for(&db, (1..=4).map(|id| 2 * id)).await;
        let keyed = |user_id, key: &str| RequestDraft {
            user_id,
            idempotency_key: key.to_owned(),
            ..bench.draft("x")
        };
        let before = create(&bench, keyed(4, "before")).await.unwrap();
        let of_client = RequestDraft { client: Some("shop".to_owned()), ..keyed(4, "before") };
        let outcomes = at_once(&bench, vec![
            keyed(4, "a"),
            keyed(4, "a"),
            RequestDraft { user_prompt: "y".to_owned(), ..keyed(4, "a") },
            keyed(4, "before"),
            of_client,
            keyed(6, "a"),
            RequestDraft { client: Some("shop".to_owned()), ..keyed(4, "a") },
            RequestDraft { client: Some("other".to_owned()), ..keyed(8, "a") },
        ]).await;

        let id = |place: usize| outcomes[place].as_ref().unwrap().0.request.id;
        assert_eq!((id(3), id(4)), (before.0.request.id, before.0.request.id));
        assert_eq!((id(1), id(6)), (id(0), id(0)), "a key without a client holds for all");
        assert!(matches!(
            &outcomes[2],
            Err(Error::IdempotencyKeyReused { request_id, .. }) if *request_id == id(0)
        ), "{:?}", outcomes[2]);
        let new: BTreeSet<i64> = [0, 5, 7].map(id).into();
        assert_eq!(new.len(), 3);
        let connection = db.connect().await;
        let kept = request::Entity::find().all(&connection).await.unwrap();
        assert_eq!(kept.len(), 2 + new.len());
        let keys = idempotency_key::Entity::find().all(&connection).await.unwrap();
        assert_eq!(keys.len(), 1 + new.len());
    }

    async fn a_batch_takes_the_credits_that_there_are_in_the_order_of_arrival(db: TestDatabase) {
        let mut bench = bench_that_costs(&db, Billing::Ledger, 4).await;
        know(&mut bench, [2, 4, 6]).await;
        for (user_id, amount) in [(2, 4), (4, 9), (6, 4)] {
            give(&bench, user_id, amount).await;
        }
        let of = |user_id, jobs| {
            let mut draft = RequestDraft { user_id, ..bench.draft("x") };
            draft.input.batch_size = jobs;
            draft
        };
        let drafts = vec![of(6, 2), of(4, 1), of(4, 2), of(4, 1), of(4, 1), of(6, 1)];
        let outcomes = at_once(&bench, drafts).await;

        let short = |place: usize| match &outcomes[place] {
            Err(Error::CreditsInsufficient { user_id, needed, .. }) => (*user_id, *needed),
            other => panic!("{other:?}"),
        };
        assert_eq!((short(0), short(2)), ((6, 8), (4, 8)));
        assert!(outcomes[1].is_ok() && outcomes[5].is_ok());
        let second = [&outcomes[3], &outcomes[4]];
        assert_eq!(second.iter().filter(|it| it.is_ok()).count(), 1, "{second:?}");
        assert_eq!(assert_balanced(&db).await, 4);
    }

    async fn a_batch_keeps_within_the_plans_of_its_users(db: TestDatabase) {
        let mut bench = bench_for(&db, (1..=4).map(|id| 2 * id)).await;
        bench.app.settings.plans = plans([plan("free", |it| {
            it.requests_per_minute = 3;
            it.requests_per_day = 1_000;
            it.pending_jobs = 4;
        })]);
        let of = |user_id, jobs| {
            let mut draft = RequestDraft { user_id, ..bench.draft("x") };
            draft.input.batch_size = jobs;
            draft
        };
        create(&bench, of(4, 1)).await.unwrap();
        let drafts = vec![
            of(4, 1), of(6, 5), of(4, 1), of(4, 1), of(6, 3), of(8, 3), of(6, 2), of(8, 2), of(4, 1),
        ];
        let outcomes = at_once(&bench, drafts).await;

        let exceeded = |outcome: &Outcome| match outcome {
            Err(Error::QuotaExceeded(exceeded)) => Some((exceeded.user_id, exceeded.quota)),
            Err(other) => panic!("{other:?}"),
            Ok(_) => None,
        };
        let exceeded: Vec<_> = outcomes.iter().filter_map(exceeded).collect();
        let of_user = |user_id| exceeded.iter().filter(move |(whose, _)| *whose == user_id);
        assert!(of_user(4).eq(&[(4, Quota::RequestsPerMinute); 2]), "{exceeded:?}");
        assert!(of_user(6).eq(&[(6, Quota::PendingJobs); 2]), "{exceeded:?}");
        assert!(of_user(8).eq(&[(8, Quota::PendingJobs)]), "{exceeded:?}");
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok() && outcomes[5].is_ok());
        bench.pass(61);
        assert!(at_once(&bench, vec![of(4, 1)]).await[0].is_ok(), "a minute later");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_to_wait_does_so_alone() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let bench = bench_for(&db, (1..=4).map(|id| 2 * id)).await;
    let of = |user_id| RequestDraft {
        user_id,
        ..bench.draft("x")
    };
    let others = db.connect().await;
    let others = others.begin().await.unwrap();
    let take = "SELECT 1 FROM users WHERE id = 4 FOR UPDATE";
    others.execute_unprepared(take).await.unwrap();

    let mut calls = [2, 4, 6, 8].map(|user_id| Box::pin(create(&bench, of(user_id))));
    for call in &mut calls {
        assert!(poll!(call).is_pending());
    }
    let [first, held, third, fourth] = calls;
    let answered = within(join_all([first, third, fourth])).await;
    assert!(answered.iter().all(Result::is_ok), "{answered:?}");
    let mut held = held;
    assert!(poll!(&mut held).is_pending(), "his row is locked");
    let remove = "DELETE FROM users WHERE id = 4";
    others.execute_unprepared(remove).await.unwrap();
    others.commit().await.unwrap();
    let refused = within(held).await;
    assert!(matches!(refused, Err(Error::UserUnknown(4))), "{refused:?}");
}

/// The use cases with these users, and no others.
async fn bench_for(db: &TestDatabase, users: impl IntoIterator<Item = i64>) -> Bench {
    let mut bench = Bench::new(db).await;
    know(&mut bench, users).await;
    bench
}

async fn know(bench: &mut Bench, users: impl IntoIterator<Item = i64>) {
    bench.app.settings.provision_users = false;
    for id in users {
        let (db, table) = (bench.app.store.writer(), &bench.app.settings.users);
        store::user::provision(db, table, id).await.unwrap();
    }
}

async fn create(bench: &Bench, draft: RequestDraft) -> Outcome {
    let checks = Checks::default();
    let created = bench
        .app
        .create_request(Caller::TrustedService, draft, &checks);
    created.await
}

/// Has all of these come while another request is under way.
async fn at_once(bench: &Bench, drafts: Vec<RequestDraft>) -> Vec<Outcome> {
    let first = RequestDraft {
        user_id: FIRST,
        ..bench.draft("the first")
    };
    let calls = std::iter::once(first).chain(drafts);
    let calls = join_all(calls.map(|draft| create(bench, draft)));
    let mut outcomes = within(calls).await;
    outcomes.remove(0).unwrap();
    outcomes
}

async fn give(bench: &Bench, user_id: i64, amount: i64) {
    let draft = GrantDraft {
        user_id,
        amount,
        expires_at: None,
        reason: "a test".to_owned(),
        idempotency_key: "all".to_owned(),
    };
    let acting = bench.app.acting(Actor::local());
    let given = acting.grant_credits(&draft, Checks::default());
    given.await.unwrap();
}

fn is_missing(outcome: &Outcome, what: Resource) -> bool {
    matches!(outcome, Err(Error::NotFound { resource, .. }) if *resource == what)
}

/// What was told of each is stored, with the first event of each job, and nothing else but so many requests.
async fn assert_stored(db: &TestDatabase, bench: &Bench, accepted: &[Accepted], others: usize) {
    let connection = db.connect().await;
    let kept = request::Entity::find().all(&connection).await.unwrap();
    assert_eq!(kept.len(), accepted.len() + others);
    for (told, jobs) in accepted {
        let request = kept.iter().find(|it| it.id == told.request.id).unwrap();
        assert_eq!(*request, told.request);
        assert_eq!(request.status, RequestStatus::Pending);
        assert_eq!(usize::try_from(told.counts.pending), Ok(jobs.len()));
        let variations: Vec<i32> = jobs.iter().map(|job| job.variation).collect();
        assert!((0..).zip(&variations).all(|(place, it)| place == *it));
        for told in jobs {
            let job = job::Entity::find_by_id(told.id).one(&connection).await;
            assert_eq!(job.unwrap().as_ref(), Some(told));
            assert_eq!(
                (told.request_id, told.user_id),
                (request.id, request.user_id)
            );
            assert_eq!(bench.events(told.id).await.len(), 1);
        }
    }
    if db.backend == Backend::Postgres {
        // One, or two if the first had begun when the others came.
        let gathered = "SELECT (count(DISTINCT xmin::text) <= 2)::text FROM generation_requests";
        assert_eq!(db.texts(gathered).await, ["true"]);
    }
}
