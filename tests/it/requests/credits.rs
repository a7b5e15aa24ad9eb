//! The ledger: jobs hold their cost from when they are made until they end, and no request is taken that costs more than its
//! user has.

use std::time::Duration;

use atelier::billing::Billing;
use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{Actor, Caller, CreditKind, Error, GrantDraft, Reason};
use atelier::entity::{idempotency_key, job, request};
use atelier::rpc::proto::{
    CancelRequestRequest, CreateRequestRequest, CreditTransaction, DeleteRequestRequest,
    ErrorReason, EstimateCostRequest, GetBalanceRequest, JobStatus, ListTransactionsRequest,
    PreviewTemplateRequest, RetryJobRequest, RetryRequestRequest, TemplateData,
};
use atelier::server::Role;
use chrono::TimeDelta;
use futures::future::join_all;
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::bench::{Bench, lease};
use crate::support::client::{USER, request_for, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::identity::{asks, token};
use crate::support::ledger::{assert_balanced, bench_that_costs, grant, movements, with_ledger};
use crate::support::process::Process;
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

use super::cost::pair;

on_both_databases! {
    async fn movements_cannot_be_changed_nor_removed_behind_the_server_s_back(db: TestDatabase) {
        let server = api(&db).await;
        server.give(20, "first").await;
        let connection = db.connect().await;
        for statement in ["UPDATE generation_credit_transactions SET amount = 9", "DELETE FROM generation_credit_transactions"] {
            let refused = connection.execute_unprepared(statement).await.unwrap_err().to_string();
            assert!(refused.contains("only added"), "{statement}: {refused}");
        }
        assert_eq!(server.balance().await, (20, 0));
    }

    async fn a_job_holds_its_cost_until_it_has_completed_and_takes_it_then(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        server.give(20, "first").await;
        let (request, jobs) = server.create(pair(feature)).await;
        assert_eq!(server.balance().await, (6, 14));
        let worker = server.beside(Role::Worker, &db, with_ledger).await;
        for job in &jobs {
            server.completed(job.id).await;
        }
        assert_eq!(server.balance().await, (6, 0));
        assert_eq!(assert_balanced(&db).await, 2);
        worker.shutdown().await;

        let kinds = |list: &[CreditTransaction]| {
            list.iter().map(|it| it.kind().as_str_name().rsplit('_').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let list = async |filter| server.credits().list_transactions(filter).await.unwrap().into_inner();
        let all = list(ListTransactionsRequest::default()).await.transactions;
        assert_eq!(kinds(&all), ["COMMIT", "COMMIT", "RESERVATION", "RESERVATION", "GRANT"]);
        let of_request = ListTransactionsRequest { request_id: request.id, page_size: 3, ..Default::default() };
        let page = list(of_request.clone()).await;
        assert_eq!(kinds(&page.transactions), ["COMMIT", "COMMIT", "RESERVATION"]);
        let rest = list(ListTransactionsRequest { page_token: page.next_page_token, ..of_request }).await;
        assert_eq!((kinds(&rest.transactions), rest.next_page_token.as_str()), (vec!["RESERVATION".to_owned()], ""));
        let of_job = list(ListTransactionsRequest { job_id: jobs[1].id, ..Default::default() }).await.transactions;
        assert_eq!(kinds(&of_job), ["COMMIT", "RESERVATION"]);
        assert!(of_job.iter().all(|it| (it.amount, it.request_id, it.user_id) == (7, request.id, USER)));
    }

    async fn a_request_that_costs_more_than_its_user_has_is_refused_and_nothing_of_it_is_stored(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        server.give(13, "first").await;
        let asked = CreateRequestRequest { idempotency_key: "a".to_owned(), ..pair(feature) };
        let status = server.requests().create_request(asked.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let told = of_status(&status);
        assert_eq!(told.reason, ErrorReason::CreditsInsufficient);
        assert_eq!((told.metadata["needed"].as_str(), told.metadata["available"].as_str()), ("14", "13"));
        let details = status.get_error_details();
        assert!(details.retry_info().is_none());
        let quota = &details.quota_failure().unwrap().violations;
        assert_eq!(quota[0].subject, format!("user:{USER}"));
        assert!(quota[0].description.contains("14") && quota[0].description.contains("13"), "{quota:?}");
        let connection = db.connect().await;
        assert_eq!(request::Entity::find().count(&connection).await.unwrap(), 0);
        assert_eq!(idempotency_key::Entity::find().count(&connection).await.unwrap(), 0);
        let dry = CreateRequestRequest { validate_only: true, ..asked.clone() };
        assert_eq!(refusal(server.requests().create_request(dry).await).reason, ErrorReason::CreditsInsufficient);
        assert_eq!(server.balance().await, (13, 0));

        server.give(1, "second").await;
        let (first, _) = server.create(asked.clone()).await;
        let (replayed, _) = server.create(asked).await;
        assert_eq!(replayed.id, first.id);
        assert_eq!(server.balance().await, (0, 14));
        assert_eq!(assert_balanced(&db).await, 2);
    }

    async fn what_is_cancelled_or_deleted_gives_back_and_a_retry_reserves_anew(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        server.give(20, "first").await;
        let (request, jobs) = server.create(pair(feature)).await;
        let cancel = CancelRequestRequest { id: request.id, ..Default::default() };
        server.requests().cancel_request(cancel).await.unwrap();
        server.requests().cancel_request(cancel).await.unwrap();
        assert_eq!(server.balance().await, (20, 0));
        server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        assert_eq!(server.balance().await, (13, 7));
        server.requests().retry_request(RetryRequestRequest { id: request.id }).await.unwrap();
        assert_eq!(server.balance().await, (6, 14));
        server.requests().delete_request(DeleteRequestRequest { id: request.id, ..Default::default() }).await.unwrap();
        assert_eq!(server.balance().await, (20, 0));
        assert_eq!(assert_balanced(&db).await, 4);

        let (request, _) = server.create(pair(feature)).await;
        server.requests().cancel_request(CancelRequestRequest { id: request.id, ..Default::default() }).await.unwrap();
        server.credits().grant_credits(grant(-10, "back")).await.unwrap();
        let retried = server.requests().retry_request(RetryRequestRequest { id: request.id }).await;
        assert_eq!(refusal(retried).reason, ErrorReason::CreditsInsufficient);
        assert_eq!(server.balance().await, (10, 0));
        assert_balanced(&db).await;
    }

    async fn what_fails_gives_back(db: TestDatabase) {
        let server = TestServer::start_with(&db, with_ledger).await;
        let feature = server.priced_feature(7).await;
        server.give(20, "first").await;
        let script = Script::new(&["reject"]);
        let (_, jobs) = server.create(scripted_request(feature, &script)).await;
        assert_eq!(server.ended(jobs[0].id).await.job.status(), JobStatus::Failed);
        assert_eq!(server.balance().await, (20, 0));
        assert_eq!(assert_balanced(&db).await, 1);
    }

    async fn two_hundred_requests_at_once_against_credits_for_a_hundred_are_a_hundred(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        // Of several grants, so that the last job of each takes of two.
        for (key, amount) in [("a", 350), ("b", 250), ("c", 106)] {
            server.give(amount, key).await;
        }
        let mut requests = server.requests();
        let calls = (0..200).map(|_| {
            let mut requests = requests.clone();
            async move { requests.create_request(request_for(feature)).await }
        });
        let (taken, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!((taken.len(), refused.len()), (100, 100));
        for refused in refused {
            assert_eq!(refusal(refused).reason, ErrorReason::CreditsInsufficient);
        }
        assert_eq!(server.balance().await, (6, 700));
        assert_eq!(assert_balanced(&db).await, 100);
        assert_eq!(job::Entity::find().count(&db.connect().await).await.unwrap(), 100);
        let more = requests.create_request(request_for(feature)).await;
        assert_eq!(refusal(more).reason, ErrorReason::CreditsInsufficient);
    }

    async fn a_grant_is_given_once_however_often_its_call_comes(db: TestDatabase) {
        let server = api(&db).await;
        let give = async |asked| server.credits().grant_credits(asked).await;
        let first = give(grant(20, "a")).await.unwrap().into_inner().grant.unwrap();
        let again = give(grant(20, "a")).await.unwrap().into_inner().grant.unwrap();
        assert_eq!((first.id, first.remaining), (again.id, 20));
        let other = refusal(give(grant(21, "a")).await);
        assert_eq!((other.code, other.fields.as_slice()), (Code::InvalidArgument, &["idempotency_key".to_owned()][..]));
        let calls = (0..8).map(|_| {
            let mut credits = server.credits();
            async move { credits.grant_credits(grant(5, "b")).await.unwrap().into_inner().grant.unwrap().id }
        });
        let ids = join_all(calls).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(server.balance().await, (25, 0));

        let back = give(grant(-22, "c")).await.unwrap().into_inner().grant.unwrap();
        assert_eq!((back.amount, back.remaining), (-22, 0));
        give(grant(-22, "c")).await.unwrap();
        let too_much = refusal(give(grant(-4, "d")).await);
        assert_eq!(too_much.reason, ErrorReason::CreditsInsufficient);
        assert_eq!(server.balance().await, (3, 0));
        assert_eq!(assert_balanced(&db).await, 0);
        let ledger = movements(&db).await;
        assert!(ledger.iter().all(|it| it.reason.as_deref() == Some("a test")));
    }

    async fn what_a_request_costs_is_told_before_it_is_sent(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        server.give(20, "a").await;
        let dry = CreateRequestRequest { validate_only: true, ..pair(feature) };
        let told = server.requests().create_request(dry.clone()).await.unwrap().into_inner();
        assert_eq!((told.resolved_input.unwrap().cost, told.balance_after), (14, Some(6)));
        server.credits().grant_credits(grant(-15, "b")).await.unwrap();
        let estimate = async |request| server.credits().estimate_cost(EstimateCostRequest { request }).await;
        let told = estimate(Some(pair(feature))).await.unwrap().into_inner();
        assert_eq!((told.cost, told.cost_per_job, told.balance_after), (14, 7, Some(-9)));
        let wrong = CreateRequestRequest { user_prompt: String::new(), ..pair(feature) };
        assert_eq!(refusal(estimate(Some(wrong)).await).fields, ["request.user_prompt"]);
        assert_eq!(refusal(estimate(None).await).code, Code::InvalidArgument);
        assert_eq!(request::Entity::find().count(&db.connect().await).await.unwrap(), 0);
    }

    async fn nothing_is_kept_where_billing_is_none_and_its_jobs_hold_nothing_later(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.priced_feature(7).await;
        let (request, jobs) = server.create(pair(feature)).await;
        assert_eq!(movements(&db).await.len(), 0);
        let asked = GetBalanceRequest { user_id: USER };
        let told = refusal(server.credits().get_balance(asked).await);
        assert_eq!((told.code, told.reason), (Code::FailedPrecondition, ErrorReason::BillingDisabled));
        let told = refusal(server.credits().grant_credits(grant(1, "a")).await);
        assert_eq!(told.reason, ErrorReason::BillingDisabled);
        let told = refusal(server.credits().list_transactions(ListTransactionsRequest::default()).await);
        assert_eq!(told.reason, ErrorReason::BillingDisabled);
        let estimate = EstimateCostRequest { request: Some(pair(feature)) };
        let told = server.credits().estimate_cost(estimate).await.unwrap().into_inner();
        assert_eq!((told.cost, told.balance_after), (14, None));

        let later = server.beside(Role::Api, &db, with_ledger).await;
        later.requests().cancel_request(CancelRequestRequest { id: request.id, ..Default::default() }).await.unwrap();
        assert_eq!(movements(&db).await.len(), 0);
        let retried = later.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await;
        assert_eq!(refusal(retried).reason, ErrorReason::CreditsInsufficient, "a new job reserves");
        later.give(7, "a").await;
        later.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        assert_eq!((later.balance().await, assert_balanced(&db).await), ((0, 7), 1));
    }

    async fn trying_a_template_costs_nothing(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        let preview = PreviewTemplateRequest {
            user_id: USER,
            feature_id: feature,
            template_data: Some(TemplateData::default()),
            user_prompt: "Xin chào".to_owned(),
            ..Default::default()
        };
        server.templates().preview_template(preview).await.unwrap();
        let jobs = job::Entity::find().all(&db.connect().await).await.unwrap();
        assert_eq!(jobs.iter().map(|job| job.cost).collect::<Vec<_>>(), [Some(0)]);
        assert_eq!(movements(&db).await.len(), 0);
    }

    async fn users_see_their_own_credits_and_give_themselves_none(db: TestDatabase) {
        let trusting = api(&db).await;
        trusting.give(20, "a").await;
        let server = trusting.beside(Role::Api, &db, |config| { asks(config); with_ledger(config); }).await;
        let as_user = |user: i64, message| with_token(message, &token("user", &user.to_string()));
        let as_user_list = |user: i64| with_token(ListTransactionsRequest::default(), &token("user", &user.to_string()));
        let balance = server.credits().get_balance(as_user(USER, GetBalanceRequest { user_id: 0 })).await;
        assert_eq!(balance.unwrap().into_inner().available, 20);
        let foreign = server.credits().get_balance(as_user(USER + 1, GetBalanceRequest { user_id: USER })).await;
        assert_eq!(refusal(foreign).reason, ErrorReason::PermissionDenied);
        let listed = server.credits().list_transactions(as_user_list(USER)).await.unwrap().into_inner();
        assert_eq!(listed.transactions.len(), 1);
        let listed = server.credits().list_transactions(as_user_list(USER + 1)).await.unwrap().into_inner();
        assert_eq!(listed.transactions.len(), 0);
        let given = server.credits().grant_credits(with_token(grant(5, "b"), &token("user", &USER.to_string()))).await;
        assert_eq!(refusal(given).reason, ErrorReason::PermissionDenied);
        let given = server.credits().grant_credits(with_token(grant(5, "b"), &token("service", "shop"))).await;
        assert_eq!(refusal(given).reason, ErrorReason::PermissionDenied);
        let given = server.credits().grant_credits(with_token(grant(5, "b"), &token("admin", "ops"))).await;
        assert_eq!(given.unwrap().into_inner().grant.unwrap().remaining, 5);
    }

    async fn what_nobody_has_settled_when_its_job_ended_upkeep_settles(db: TestDatabase) {
        let server = api(&db).await;
        let feature = server.priced_feature(7).await;
        server.give(50, "first").await;
        let (ended, jobs) = server.create(pair(feature)).await;
        let (vanished, _) = server.create(request_for(feature)).await;
        let (waiting, _) = server.create(request_for(feature)).await;
        // Nobody keeps credits for a while.
        let without = server.beside(Role::Api, &db, |_| ()).await;
        let cancel = CancelRequestRequest { id: ended.id, ..Default::default() };
        without.requests().cancel_request(cancel).await.unwrap();
        without.stop().await;
        db.execute(&format!("DELETE FROM generation_requests WHERE id = {}", vanished.id)).await;
        assert_eq!(server.balance().await, (22, 7));

        let first = server.app().settle_left(0).await.unwrap();
        assert!(first > jobs[1].id, "it has looked at all");
        assert_eq!(server.balance().await, (43, 7));
        assert_eq!(server.app().settle_left(first).await.unwrap(), 0);
        server.app().settle_left(0).await.unwrap();
        assert_eq!((server.balance().await, assert_balanced(&db).await), ((43, 7), 3));

        db.execute(&format!("DELETE FROM generation_requests WHERE id = {}", waiting.id)).await;
        let worker = server.beside(Role::Worker, &db, with_ledger).await;
        within(async {
            while server.balance().await != (50, 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        worker.stop().await;
        assert_balanced(&db).await;
    }

    async fn credits_end_and_what_a_job_gives_back_after_that_ends_too(db: TestDatabase) {
        let bench = ledger_bench(&db, 4).await;
        let now = bench.app.clock.now();
        let give = async |amount, seconds: Option<i64>, key: &str| {
            let draft = GrantDraft {
                user_id: 1,
                amount,
                expires_at: seconds.map(|seconds| now + TimeDelta::seconds(seconds)),
                reason: "a test".to_owned(),
                idempotency_key: key.to_owned(),
            };
            bench.app.acting(Actor::local()).grant_credits(&draft, Default::default()).await
        };
        give(6, None, "stays").await.unwrap();
        give(6, Some(60), "ends").await.unwrap();
        assert!(matches!(give(1, Some(0), "over").await, Err(Error::Validation(_))));
        let first = bench.request(1, 0).await;
        let balance = bench.app.balance(1).await.unwrap();
        assert_eq!((balance.available, balance.reserved, balance.next_expiry.map(|it| it.1)), (8, 4, Some(2)));
        assert_eq!(bench.app.expire_credits().await.unwrap(), 0);

        bench.pass(60);
        assert_eq!(bench.app.balance(1).await.unwrap().available, 6, "even before anybody has tidied up");
        assert_eq!(bench.app.expire_credits().await.unwrap(), 1);
        bench.app.cancel_job(Caller::TrustedService, first[0].id, false).await.unwrap();
        assert_eq!(bench.app.balance(1).await.unwrap().available, 6);
        assert_eq!(bench.app.expire_credits().await.unwrap(), 1);
        assert_eq!(assert_balanced(&db).await, 1);
        let ended: i64 = movements(&db).await.iter().filter(|it| it.kind == CreditKind::Expiry).map(|it| it.amount).sum();
        assert_eq!(ended, 6);
    }

    async fn every_way_in_which_a_job_ends_settles_it_once(db: TestDatabase) {
        let bench = ledger_bench(&db, 4).await;
        let draft = GrantDraft { user_id: 1, amount: 100, expires_at: None, reason: "a test".to_owned(), idempotency_key: "a".to_owned() };
        bench.app.acting(Actor::local()).grant_credits(&draft, Default::default()).await.unwrap();
        bench.request(4, 0).await;
        let claimed = bench.claim(3).await;
        bench.complete(&claimed[0]).await.unwrap();
        let failure = Failure::new(Reason::ProviderFailed, "No.");
        bench.app.end_attempt(&lease(&claimed[1]), &AttemptEnd::Fail(failure)).await.unwrap().unwrap();
        // The third is lost twice, which is all that it may be; nobody runs the fourth.
        bench.pass(31);
        bench.app.rescue_jobs().await.unwrap();
        assert_balanced(&db).await;
        assert_eq!(bench.claim(1).await.len(), 1);
        bench.pass(31);
        bench.app.rescue_jobs().await.unwrap();
        while bench.app.fail_unclaimed_jobs(Duration::from_secs(1)).await.unwrap() > 0 {}
        assert_eq!(bench.complete(&claimed[2]).await.map(|job| job.id), None);
        assert_eq!(assert_balanced(&db).await, 4);
        let balance = bench.app.balance(1).await.unwrap();
        let ledger = movements(&db).await;
        let commits = ledger.iter().filter(|it| it.kind == CreditKind::Commit).count();
        assert_eq!(commits, 1);
        assert_eq!(balance.available + balance.reserved, 96);
    }

    async fn the_ledger_is_whole_whenever_the_server_is_killed(db: TestDatabase) {
        const JOBS: usize = 24;
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).with_task().findable();
        let settings = ["executor.lease=1s", "database.lock_timeout=500ms", "executor.max_attempts=20", "billing.kind=ledger"];
        let mut process = Process::serve(&db, media.path(), &settings).await;
        let feature = process.priced_feature(7).await;
        process.give(7 * JOBS as i64 + 6, "a").await;
        let mut jobs = Vec::new();
        for _ in 0..JOBS / 8 {
            let mut asked = scripted_request(feature, &script);
            asked.input.get_or_insert_default().variations = 8;
            jobs.extend(process.create(asked).await.1);
        }
        for kill in 1..=3 {
            script.wait_until_submitted(kill * JOBS / 5).await;
            // One that is taken, and maybe not answered, while the server is killed.
            let mut requests = process.requests();
            let asked = scripted_request(feature, &script);
            let late = tokio::spawn(async move { requests.create_request(asked).await.is_ok() });
            process.kill();
            assert!(!late.await.unwrap(), "there are no credits for it");
            assert_balanced(&db).await;
            process = Process::serve(&db, media.path(), &settings).await;
        }
        for job in &jobs {
            process.completed(job.id).await;
        }
        assert_eq!(process.balance().await, (6, 0));
        assert_eq!(assert_balanced(&db).await, JOBS);
    }
}

async fn api(db: &TestDatabase) -> TestServer {
    TestServer::start_as(Role::Api, db, with_ledger).await
}

async fn ledger_bench(db: &TestDatabase, cost: i64) -> Bench {
    bench_that_costs(db, Billing::Ledger, cost).await
}

fn with_token<M>(message: M, token: &str) -> tonic::Request<M> {
    let mut call = tonic::Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    call.metadata_mut().insert("authorization", value);
    call
}
