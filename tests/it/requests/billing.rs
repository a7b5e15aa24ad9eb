//! Billing elsewhere: what jobs cost is held, taken and given back by a service of its own, each once, whatever becomes of that
//! service, of ours, and of what they say to each other.

mod crash;
mod random;
mod upkeep;

use std::io::Cursor;
use std::time::Duration;

use atelier::config::ProviderConfig;
use atelier::entity::{idempotency_key, job, request, reservation};
use atelier::rpc::proto::{
    CancelRequestRequest, CreateFeatureRequest, CreateRequestRequest, DeleteFeatureRequest,
    DeleteRequestRequest, ErrorReason, EstimateCostRequest, GetBalanceRequest, JobStatus,
    ListTransactionsRequest, RetryJobRequest, RetryRequestRequest, WatchRequestEvent,
};
use atelier::server::Role;
use futures::future::join_all;
use image::{ImageFormat, RgbImage};
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use sea_orm::{EntityTrait, PaginatorTrait};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::billing::{BillingStandIn, Fault, Rpc, Standing};
use crate::support::client::{USER, request_for, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::ledger::grant;
use crate::support::plans::{configure, plan};
use crate::support::refusal::{of_status, refusal};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

use super::cost::pair;

/// After so many calls without an answer it counts as away.
const FAILURES: usize = 5;

on_both_databases! {
    async fn billing_holds_what_a_job_costs_until_it_has_completed_and_takes_it_then(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        let (request, jobs) = server.create(pair(feature)).await;
        assert_eq!((billing.balance(USER), server.balance().await), ((6, 14), (6, 14)));
        assert_eq!(billing.calls(Rpc::Reserve).len(), 1, "all at once");
        let worker = server.beside(Role::Worker, &db, |config| billing.asked_by(config)).await;
        for job in &jobs {
            assert_eq!(job.request_id, request.id);
            server.completed(job.id).await;
            billing.until_stands(job.id, Standing::Committed).await;
        }
        assert_eq!(billing.balance(USER), (6, 0));
        until_nothing_is_left(&db).await;
        billing.assert_kept();
        worker.shutdown().await;
    }

    async fn billing_gets_back_what_is_cancelled_deleted_or_fails_and_holds_a_retry_anew(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let feature = server.priced_feature(7).await;
        let failing = Script::new(&["reject"]);
        let (request, jobs) = server.create(scripted_request(feature, &failing)).await;
        assert_eq!(server.ended(jobs[0].id).await.job.status(), JobStatus::Failed);
        billing.until_stands(jobs[0].id, Standing::Released).await;

        let again = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap().into_inner().job.unwrap();
        billing.until_stands(again.id, Standing::Released).await;
        let repeated = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap().into_inner().job.unwrap();
        assert_eq!(repeated.id, again.id);
        let retried = server.requests().retry_request(RetryRequestRequest { id: request.id }).await.unwrap().into_inner();
        assert_eq!(retried.jobs.len(), 1);
        billing.until_stands(retried.jobs[0].id, Standing::Released).await;
        assert_eq!(billing.calls(Rpc::Reserve).len(), 3);

        let waiting = Script::new(&["succeed"]).gated();
        let (running, first) = server.create(scripted_request(feature, &waiting)).await;
        let (queued, _) = server.create(scripted_request(feature, &waiting)).await;
        assert_eq!(billing.balance(USER), (6, 14));
        let cancel = CancelRequestRequest { id: queued.id, stop_processing: true };
        server.requests().cancel_request(cancel).await.unwrap();
        server.requests().delete_request(DeleteRequestRequest { id: running.id, ..Default::default() }).await.unwrap();
        billing.until_stands(first[0].id, Standing::Released).await;
        until_nothing_is_left(&db).await;
        assert_eq!(billing.balance(USER), (20, 0));
        waiting.open_gate();
        billing.assert_kept();
    }

    async fn what_billing_refuses_for_want_of_credits_is_not_stored(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 13)]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        let asked = CreateRequestRequest { idempotency_key: "a".to_owned(), ..pair(feature) };
        let status = server.requests().create_request(asked.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let told = of_status(&status);
        assert_eq!(told.reason, ErrorReason::CreditsInsufficient);
        assert_eq!((told.metadata["needed"].as_str(), told.metadata["available"].as_str()), ("14", "13"));
        let details = status.get_error_details();
        assert!(details.retry_info().is_none());
        assert_eq!(details.quota_failure().unwrap().violations[0].subject, format!("user:{USER}"));
        assert_nothing_is_stored(&db).await;
        let dry = CreateRequestRequest { validate_only: true, ..asked.clone() };
        assert_eq!(refusal(server.requests().create_request(dry).await).reason, ErrorReason::CreditsInsufficient);
        let estimate = EstimateCostRequest { request: Some(pair(feature)) };
        let told = server.credits().estimate_cost(estimate).await.unwrap().into_inner();
        assert_eq!((told.cost, told.balance_after), (14, Some(-1)));

        billing.give(USER, 1);
        let (first, _) = server.create(asked.clone()).await;
        let (replayed, _) = server.create(asked).await;
        assert_eq!(replayed.id, first.id);
        assert_eq!((billing.balance(USER), billing.calls(Rpc::Reserve).len()), ((0, 14), 2));

        let cancel = CancelRequestRequest { id: first.id, ..Default::default() };
        server.requests().cancel_request(cancel).await.unwrap();
        until_nothing_is_left(&db).await;
        billing.give(USER, -5);
        let retried = server.requests().retry_request(RetryRequestRequest { id: first.id }).await;
        assert_eq!(refusal(retried).reason, ErrorReason::CreditsInsufficient);
        assert_eq!(billing.balance(USER), (9, 0));
        billing.assert_kept();
    }

    async fn a_request_that_the_plan_has_no_room_for_is_none_of_billings_business(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 50)]);
        let server = TestServer::start_as(Role::Api, &db, |config| {
            billing.asked_by(config);
            configure(config, [plan("free", |it| it.requests_per_day = 1)]);
        })
        .await;
        let feature = server.priced_feature(7).await;
        server.create(request_for(feature)).await;
        let full = refusal(server.requests().create_request(request_for(feature)).await);
        full.is(Code::ResourceExhausted, ErrorReason::QuotaExceeded);
        assert_eq!(billing.calls(Rpc::Reserve).len(), 1);
    }

    async fn a_user_whom_billing_does_not_know_is_refused_and_its_words_are_for_operators(db: TestDatabase) {
        let billing = BillingStandIn::start(&[]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        let status = server.requests().create_request(request_for(feature)).await.unwrap_err();
        let told = of_status(&status);
        told.is(Code::FailedPrecondition, ErrorReason::BillingRefused);
        assert_eq!(told.metadata["user_id"], USER.to_string());
        assert!(!status.message().contains("unknown"), "{status:?}");
        let balance = server.credits().get_balance(GetBalanceRequest { user_id: USER }).await;
        assert_eq!(refusal(balance).reason, ErrorReason::BillingRefused);
        assert_nothing_is_stored(&db).await;
    }

    async fn what_costs_nothing_is_nothing_to_billing(db: TestDatabase) {
        let billing = BillingStandIn::start(&[]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let script = Script::new(&["succeed"]);
        let job = server.create_scripted(&script).await;
        server.completed(job.id).await;
        until_nothing_is_left(&db).await;
        assert!(billing.calls(Rpc::Reserve).is_empty() && billing.calls(Rpc::Commit).is_empty());
    }

    async fn jobs_of_a_time_before_billing_hold_nothing_and_give_nothing_back(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let before = TestServer::start_api(&db).await;
        let feature = before.priced_feature(7).await;
        let (request, jobs) = before.create(pair(feature)).await;
        let server = before.beside(Role::Api, &db, |config| billing.asked_by(config)).await;
        server.requests().cancel_request(CancelRequestRequest { id: request.id, ..Default::default() }).await.unwrap();
        server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        assert_eq!(billing.balance(USER), (13, 7));
        assert!(billing.calls(Rpc::Release).is_empty());
    }

    async fn billing_keeps_grants_and_the_ledger(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let server = api(&db, &billing).await;
        let told = refusal(server.credits().grant_credits(grant(1, "a")).await);
        told.is(Code::FailedPrecondition, ErrorReason::BillingDisabled);
        let told = refusal(server.credits().list_transactions(ListTransactionsRequest::default()).await);
        told.is(Code::FailedPrecondition, ErrorReason::BillingDisabled);
    }

    async fn while_billing_is_away_what_costs_is_refused_and_the_rest_goes_on(db: TestDatabase) {
        let mut billing = BillingStandIn::start(&[(USER, 20)]);
        let server = api(&db, &billing).await;
        let (priced, free) = (server.priced_feature(7).await, server.scripted_feature().await);
        billing.stop();
        for _ in 0..=FAILURES {
            let status = server.requests().create_request(request_for(priced)).await.unwrap_err();
            of_status(&status).is(Code::Unavailable, ErrorReason::BillingUnavailable);
            assert!(status.get_error_details().retry_info().is_some());
        }
        assert_eq!(request::Entity::find().count(&db.connect().await).await.unwrap(), 0);
        told_by_health(&server, "billing_away").await;
        let rows = left(&db).await.len();
        refusal(server.requests().create_request(request_for(priced)).await).is(Code::Unavailable, ErrorReason::BillingUnavailable);
        assert_eq!(left(&db).await.len(), rows, "what it is not asked for it need not be told of");
        let balance = server.credits().get_balance(GetBalanceRequest { user_id: USER }).await;
        refusal(balance).is(Code::Unavailable, ErrorReason::BillingUnavailable);
        server.create(request_for(free)).await;

        billing.restart().await;
        until_nothing_is_left(&db).await;
        told_by_health(&server, "ok").await;
        let (_, jobs) = server.create(request_for(priced)).await;
        billing.until_stands(jobs[0].id, Standing::Held).await;
        assert_eq!(billing.count(Standing::Held), 1);
        billing.assert_kept();
    }

    async fn while_billing_is_away_jobs_are_accepted_up_to_a_limit_and_it_hears_of_them_later(db: TestDatabase) {
        let mut billing = BillingStandIn::start(&[(USER, 20)]);
        let server = TestServer::start_as(Role::Api, &db, |config| {
            billing.asked_by(config);
            config.billing.accept_unreserved = 20;
        }).await;
        let feature = server.priced_feature(7).await;
        billing.stop();
        let calls = (0..6).map(|_| {
            let mut requests = server.requests();
            async move { requests.create_request(request_for(feature)).await }
        });
        let (taken, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        assert_eq!((taken.len(), refused.len()), (2, 4));
        for refused in refused {
            refusal(refused).is(Code::Unavailable, ErrorReason::BillingUnavailable);
        }
        let dry = CreateRequestRequest { validate_only: true, ..request_for(feature) };
        let told = server.requests().create_request(dry).await.unwrap().into_inner();
        assert_eq!(told.balance_after, None);

        billing.restart().await;
        billing.until(|it| it.count(Standing::Held) == 2).await;
        assert_eq!(billing.balance(USER), (6, 14));
        let more = server.requests().create_request(pair(feature)).await;
        assert_eq!(refusal(more).reason, ErrorReason::CreditsInsufficient);
        billing.assert_kept();
    }

    async fn what_was_made_while_billing_was_away_is_paid_for_even_below_zero(db: TestDatabase) {
        let mut billing = BillingStandIn::start(&[(USER, 1)]);
        let server = TestServer::start_with(&db, |config| {
            billing.asked_by(config);
            config.billing.accept_unreserved = 1_000;
        }).await;
        let feature = server.priced_feature(7).await;
        billing.stop();
        let script = Script::new(&["succeed"]);
        let job = server.create(scripted_request(feature, &script)).await.1.remove(0);
        server.completed(job.id).await;
        billing.restart().await;
        billing.until_stands(job.id, Standing::Committed).await;
        assert_eq!(billing.balance(USER), (-6, 0));
        until_nothing_is_left(&db).await;
    }

    async fn what_billing_does_not_answer_to_in_time_is_given_back_even_where_it_comes_late(db: TestDatabase) {
        for fault in [Fault::Hang, Fault::DoneAndHang, Fault::LateAfterRelease] {
            let db = TestDatabase::create(db.backend).await;
            let billing = BillingStandIn::start(&[(USER, 20)]);
            let server = TestServer::start_as(Role::Api, &db, |config| {
                billing.asked_by(config);
                config.billing.deadline = Duration::from_millis(300);
            }).await;
            let feature = server.add_feature(priced(&format!("{fault:?}"))).await.id;
            billing.next(Rpc::Reserve, fault);
            let asked = CreateRequestRequest { idempotency_key: format!("{fault:?}"), ..request_for(feature) };
            refusal(server.requests().create_request(asked.clone()).await).is(Code::Unavailable, ErrorReason::BillingUnavailable);
            let lost = *billing.calls(Rpc::Reserve)[0].first().unwrap();
            billing.until_stands(lost, Standing::Released).await;
            until_nothing_is_left(&db).await;
            let (_, jobs) = server.create(asked).await;
            assert_eq!(billing.balance(USER), (13, 7), "{fault:?}");
            assert_ne!(jobs[0].id, lost);
            billing.assert_kept();
            server.stop().await;
        }
    }

    async fn answers_that_get_lost_are_asked_for_again_and_nothing_is_done_twice(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let feature = server.priced_feature(7).await;
        for (rpc, faults) in [(Rpc::Reserve, 2), (Rpc::Commit, 4), (Rpc::Release, 4)] {
            for _ in 0..faults {
                billing.next(rpc, Fault::Lost);
            }
        }
        let (succeeding, failing) = (Script::new(&["succeed"]), Script::new(&["reject"]));
        let made = server.create(scripted_request(feature, &succeeding)).await.1.remove(0);
        let failed = server.create(scripted_request(feature, &failing)).await.1.remove(0);
        assert_eq!(billing.calls(Rpc::Reserve).len(), 4, "each again within its call");
        billing.until_stands(made.id, Standing::Committed).await;
        billing.until_stands(failed.id, Standing::Released).await;
        until_nothing_is_left(&db).await;
        assert!(billing.calls(Rpc::Commit).len() >= 5 && billing.calls(Rpc::Release).len() >= 5);
        assert_eq!(billing.balance(USER), (13, 0));
        billing.assert_kept();
    }

    async fn what_billing_refuses_to_take_keeps_no_other_and_is_told_to_operators(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 50)]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let feature = server.priced_feature(7).await;
        let script = Script::new(&["succeed"]).gated();
        let mut asked = scripted_request(feature, &script);
        asked.input.get_or_insert_default().variations = 4;
        let (_, jobs) = server.create(asked).await;
        billing.refuse(jobs[1].id, true);
        script.open_gate();
        for job in [&jobs[0], &jobs[2], &jobs[3]] {
            billing.until_stands(job.id, Standing::Committed).await;
        }
        told_by_health(&server, "billing_refuses").await;
        until_left(&db, 1).await;
        let left = left(&db).await;
        assert_eq!(left.iter().map(|row| row.job_id).collect::<Vec<_>>(), [jobs[1].id]);
        let words = left[0].last_error.as_deref().unwrap();
        assert!(words.contains("unknown") && !words.contains('\n'), "{words}");

        billing.refuse(jobs[1].id, false);
        // Somebody says that it is to be told again.
        db.execute("UPDATE generation_reservations SET due_at = created_at").await;
        billing.until_stands(jobs[1].id, Standing::Committed).await;
        until_nothing_is_left(&db).await;
        told_by_health(&server, "ok").await;
    }

    async fn two_hundred_at_once_against_credits_for_a_hundred_are_a_hundred_elsewhere_too(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 706)]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        let calls = (0..200).map(|_| {
            let mut requests = server.requests();
            async move { requests.create_request(request_for(feature)).await }
        });
        let (taken, refused): (Vec<_>, Vec<_>) = join_all(calls).await.into_iter().partition(Result::is_ok);
        for refused in &refused {
            let reason = of_status(refused.as_ref().unwrap_err()).reason;
            assert_eq!(reason, ErrorReason::CreditsInsufficient);
        }
        assert_eq!((taken.len(), refused.len()), (100, 100));
        assert_eq!(billing.balance(USER), (6, 700));
        assert_eq!(job::Entity::find().count(&db.connect().await).await.unwrap(), 100);
        assert!(left(&db).await.iter().all(|row| row.is_reserved), "only what is held");
    }

    async fn the_same_call_many_times_at_once_holds_its_credits_once(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 1_000)]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        let calls = (0..16).map(|_| {
            let asked = CreateRequestRequest { idempotency_key: "once".to_owned(), ..pair(feature) };
            let mut requests = server.requests();
            async move { requests.create_request(asked).await.unwrap().into_inner().request.unwrap().id }
        });
        let ids = join_all(calls).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        billing.until(|it| it.balance(USER) == (986, 14)).await;
        assert_eq!(job::Entity::find().count(&db.connect().await).await.unwrap(), 2);

        let id = ids[0];
        server.requests().cancel_request(CancelRequestRequest { id, ..Default::default() }).await.unwrap();
        let calls = (0..8).map(|_| {
            let mut requests = server.requests();
            async move { requests.retry_request(RetryRequestRequest { id }).await.unwrap() }
        });
        join_all(calls).await;
        billing.until(|it| it.balance(USER) == (986, 14)).await;
        billing.assert_kept();
    }

    async fn a_picture_that_comes_along_over_http_is_paid_for_too_and_an_outage_is_told_as_one(db: TestDatabase) {
        let mut billing = BillingStandIn::start(&[(USER, 20)]);
        let server = TestServer::start_with(&db, |config| {
            billing.asked_by(config);
            config.front.enabled = true;
            if let Some(ProviderConfig::Scripted(scripted)) = config.providers.get_mut("scripted") {
                scripted.pictures = true;
            }
        }).await;
        server.priced_feature(7).await;
        let edit = || {
            let form = Form::new().text("model", "priced").text("prompt", "Xin chào").text("user", USER.to_string());
            let form = form.part("image", Part::bytes(picture()).file_name("a.png"));
            browser().post(format!("{}/v1/images/edits", server.url())).multipart(form).send()
        };
        let made = within(edit()).await.unwrap();
        assert_eq!(made.status(), StatusCode::OK, "{:?}", made.text().await);
        billing.until(|it| it.count(Standing::Committed) == 1).await;
        assert_eq!(billing.balance(USER), (13, 0));
        until_nothing_is_left(&db).await;
        billing.stop();
        let away = within(edit()).await.unwrap();
        assert_eq!(away.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(away.text().await.unwrap().contains("BILLING_UNAVAILABLE"));
        billing.assert_kept();
    }

    async fn what_cannot_be_stored_after_all_is_given_back(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let server = api(&db, &billing).await;
        let feature = server.priced_feature(7).await;
        billing.next(Rpc::Reserve, Fault::Held);
        let mut requests = server.requests();
        let asked = tokio::spawn(async move { requests.create_request(request_for(feature)).await });
        billing.until(|it| !it.calls(Rpc::Reserve).is_empty()).await;
        let deleted = DeleteFeatureRequest { id: feature, ..Default::default() };
        server.features().delete_feature(deleted).await.unwrap();
        billing.let_pass();
        assert_eq!(refusal(within(asked).await.unwrap()).reason, ErrorReason::FeatureNotFound);
        billing.until(|it| it.count(Standing::Released) == 1).await;
        until_nothing_is_left(&db).await;
        assert_nothing_is_stored(&db).await;
        assert_eq!(billing.balance(USER), (20, 0));
    }

    async fn a_watch_of_a_user_misses_no_job_that_waits_long_for_billing(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 100)]);
        let server = TestServer::start_with(&db, |config| billing.asked_by(config)).await;
        let (priced, free) = (server.priced_feature(7).await, server.scripted_feature().await);
        let mut watch = server.watch_user(USER, "").await;
        watch.event(WatchRequestEvent::Opened).await.unwrap();
        billing.next(Rpc::Reserve, Fault::Held);
        let mut requests = server.requests();
        let script = Script::new(&["succeed"]);
        let asked = scripted_request(priced, &script);
        let slow = tokio::spawn(async move { requests.create_request(asked).await.unwrap().into_inner() });
        billing.until(|it| !it.calls(Rpc::Reserve).is_empty()).await;
        let early = *billing.calls(Rpc::Reserve)[0].first().unwrap();
        // Each look at what ends lets the floor rise as far as it may.
        let mut last = String::new();
        for _ in 0..3 {
            let job = server.create(scripted_request(free, &script)).await.1.remove(0);
            assert!(job.id > early);
            while let Some(told) = watch.next().await.unwrap() {
                last = told.cursor.clone();
                if told.job.is_some_and(|it| it.id == job.id && it.status() == JobStatus::Completed) {
                    break;
                }
            }
        }
        billing.let_pass();
        let slow = within(slow).await.unwrap().jobs.remove(0);
        assert_eq!(slow.id, early);
        let mut resumed = server.watch_user(USER, &last).await;
        for watch in [&mut watch, &mut resumed] {
            while watch.next().await.unwrap().unwrap().job.is_none_or(|it| it.id != early) {}
        }
    }
}

async fn api(db: &TestDatabase, billing: &BillingStandIn) -> TestServer {
    TestServer::start_as(Role::Api, db, |config| billing.asked_by(config)).await
}

fn picture() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let drawn = RgbImage::new(8, 8).write_to(&mut file, ImageFormat::Png);
    drawn.unwrap();
    file.into_inner()
}

fn priced(name: &str) -> CreateFeatureRequest {
    let mut feature = scripted_feature(&name.to_lowercase().replace(' ', "-"));
    feature
        .properties
        .get_or_insert_default()
        .cost_per_generation = 7;
    feature
}

/// What Billing is still to be told, and what it holds.
async fn left(db: &TestDatabase) -> Vec<reservation::Model> {
    let connection = db.connect().await;
    reservation::Entity::find().all(&connection).await.unwrap()
}

/// Waits until Billing has answered to the end of every job.
async fn until_nothing_is_left(db: &TestDatabase) {
    until_left(db, 0).await;
}

/// The same, but for so many. A table gives no signal, so it is read again and again.
async fn until_left(db: &TestDatabase, most: usize) {
    within(async {
        while left(db).await.len() > most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

async fn assert_nothing_is_stored(db: &TestDatabase) {
    let connection = db.connect().await;
    let requests = request::Entity::find().count(&connection).await.unwrap();
    let keys = idempotency_key::Entity::find().count(&connection).await;
    let jobs = job::Entity::find().count(&connection).await.unwrap();
    assert_eq!((requests, keys.unwrap(), jobs), (0, 0, 0));
    assert_eq!(left(db).await, []);
}

/// Waits until health says so. It is looked at again and again.
async fn told_by_health(server: &TestServer, words: &str) {
    let url = format!("{}/healthz", server.url());
    within(async {
        loop {
            let told = browser().get(&url).send().await.unwrap();
            if told.text().await.unwrap().contains(words) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}
