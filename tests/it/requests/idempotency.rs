//! An idempotency key makes one request out of many calls.

use std::collections::BTreeSet;

use atelier::entity::idempotency_key;
use atelier::rpc::proto::{
    CancelJobRequest, CreateRequestRequest, CreateRequestResponse, DeleteRequestRequest,
    ErrorReason, GenerationInput, Job, JobStatus, ListRequestsRequest, RetryJobRequest,
};
use atelier::server::Role;
use sea_orm::{EntityTrait, sea_query::Expr};
use tonic::{Code, Status};

use crate::support::client::{USER, request_for, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const CALLS: usize = 50;

on_both_databases! {
    async fn a_repeated_call_gives_the_first_request_as_it_is_now(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        let script = Script::new(&["succeed"]);
        let mut keyed = scripted_request(feature, &script);
        keyed.idempotency_key = "order-17".to_owned();
        keyed.input.get_or_insert_default().variations = 2;

        let (first, jobs) = server.create(keyed.clone()).await;
        for job in &jobs {
            server.ended(job.id).await;
        }
        let (again, same_jobs) = server.create(keyed).await;

        assert_eq!(again.id, first.id);
        let ids = |jobs: &[Job]| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(&same_jobs), ids(&jobs));
        assert!(same_jobs.iter().all(|job| job.status() == JobStatus::Completed));
        assert_eq!(again.job_counts.unwrap().completed, 2);
        assert_eq!(count(&server, USER).await, 1);
        assert_eq!(script.calls_of("submit").len(), 2);
    }

    async fn a_repeated_call_tells_the_jobs_that_count_by_now(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let mut keyed = keyed(feature, "order-17", "a");
        keyed.input.get_or_insert_default().variations = 2;
        let (request, jobs) = server.create(keyed.clone()).await;
        let cancelled = CancelJobRequest { id: jobs[0].id, ..Default::default() };
        server.jobs().cancel_job(cancelled).await.unwrap();
        let retried = RetryJobRequest { id: jobs[0].id };
        let retried = server.jobs().retry_job(retried).await.unwrap().into_inner();
        let expected = [retried.job.unwrap().id, jobs[1].id];

        let ids = |jobs: Vec<Job>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(ids(server.create(keyed.clone()).await.1), expected);
        let delete = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(delete).await.unwrap();
        let (deleted, jobs) = server.create(keyed).await;
        assert!(deleted.delete_time.is_some());
        assert_eq!(ids(jobs), expected);
    }

    async fn fifty_calls_at_once_make_one_request(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let outcomes = at_once(&server, vec![keyed(feature, "k", "a"); CALLS]).await;
        let ids: BTreeSet<i64> = outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap().request.unwrap().id)
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(count(&server, USER).await, 1);
    }

    async fn fifty_calls_on_two_replicas_make_one_request(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let other = server.beside(Role::Api, &db, |_| ()).await;
        let feature = server.scripted_feature().await;
        let requests = || vec![keyed(feature, "k", "a"); CALLS / 2];
        let (here, there) = tokio::join!(at_once(&server, requests()), at_once(&other, requests()));
        let ids: BTreeSet<i64> = here
            .into_iter()
            .chain(there)
            .map(|outcome| outcome.unwrap().request.unwrap().id)
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        assert_eq!(count(&server, USER).await, 1);
    }

    async fn a_key_with_another_payload_is_refused(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (first, _) = server.create(keyed(feature, "order-17", "a")).await;
        let mut changed = keyed(feature, "order-17", "a");
        changed.input = Some(GenerationInput { seed: Some(1), ..Default::default() });
        for other in [keyed(feature, "order-17", "b"), changed] {
            refusal(server.requests().create_request(other).await)
                .is(Code::InvalidArgument, ErrorReason::IdempotencyKeyReused)
                .with("idempotency_key", "order-17")
                .with("request_id", first.id);
        }
        assert_eq!(count(&server, USER).await, 1);
    }

    async fn a_key_of_an_older_form_stands_for_its_request_whatever_the_payload(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (first, _) = server.create(keyed(feature, "order-17", "a")).await;
        let connection = db.connect().await;
        let older = idempotency_key::Entity::update_many()
            .col_expr(idempotency_key::Column::Fingerprint, Expr::value("0".repeat(64)))
            .exec(&connection);
        assert_eq!(older.await.unwrap().rows_affected, 1);
        for prompt in ["a", "b"] {
            assert_eq!(server.create(keyed(feature, "order-17", prompt)).await.0.id, first.id);
        }
        assert_eq!(count(&server, USER).await, 1);
    }

    async fn of_two_payloads_with_one_key_at_once_exactly_one_is_accepted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        for round in 0..10_usize {
            let key = format!("round-{round}");
            let requests = vec![keyed(feature, &key, "a"), keyed(feature, &key, "b")];
            let outcomes = at_once(&server, requests).await;
            let (accepted, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            assert_eq!((accepted.len(), refused.len()), (1, 1), "{refused:?}");
            let winner = accepted.into_iter().next().unwrap().unwrap().request.unwrap();
            of_status(refused[0].as_ref().unwrap_err())
                .is(Code::InvalidArgument, ErrorReason::IdempotencyKeyReused)
                .with("request_id", winner.id);
            assert_eq!(count(&server, USER).await, round + 1);
        }
    }

    async fn the_keys_of_two_users_are_not_the_same(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let mine = keyed(feature, "k", "a");
        let theirs = CreateRequestRequest { user_id: USER + 1, user_prompt: "b".to_owned(), ..mine.clone() };
        let (first, second) = (server.create(mine).await.0, server.create(theirs).await.0);
        assert_ne!(first.id, second.id);
        assert_eq!((first.user_id, second.user_id), (USER, USER + 1));
    }

    async fn without_a_key_every_call_is_a_new_request(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (first, second) = (server.create(request_for(feature)).await.0, server.create(request_for(feature)).await.0);
        assert_ne!(first.id, second.id);
    }

    async fn a_refused_call_does_not_use_its_key_up(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        refusal(server.requests().create_request(keyed(feature, "k", " ")).await).of_fields(["user_prompt"]);
        server.create(keyed(feature, "k", "a")).await;
    }
}

fn keyed(feature_id: i64, key: &str, prompt: &str) -> CreateRequestRequest {
    CreateRequestRequest {
        idempotency_key: key.to_owned(),
        user_prompt: prompt.to_owned(),
        ..request_for(feature_id)
    }
}

/// Makes all calls at the same moment.
async fn at_once(
    server: &TestServer,
    requests: Vec<CreateRequestRequest>,
) -> Vec<Result<CreateRequestResponse, Status>> {
    let calls: Vec<_> = requests
        .into_iter()
        .map(|asked| {
            let mut requests = server.requests();
            tokio::spawn(async move { requests.create_request(asked).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for call in calls {
        let outcome = within(call).await.unwrap();
        outcomes.push(outcome.map(tonic::Response::into_inner));
    }
    outcomes
}

/// How many requests the user has.
async fn count(server: &TestServer, user_id: i64) -> usize {
    let all = ListRequestsRequest {
        user_id,
        page_size: 1_000,
        ..Default::default()
    };
    let listed = server.requests().list_requests(all).await;
    listed.unwrap().into_inner().requests.len()
}
