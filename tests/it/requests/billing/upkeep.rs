//! What time brings: intents that came to nothing, jobs that go on for long, and jobs that nobody has settled.

use std::time::Duration;

use atelier::app::App;
use atelier::billing::{Billing, Remote, RemoteSettings};
use atelier::domain::{Caller, Checks, Error, ReservationState};
use atelier::entity::{job, request};
use sea_orm::{EntityTrait, PaginatorTrait};

use crate::support::bench::Bench;
use crate::support::billing::{BillingStandIn, Fault, Rpc, Standing, TOKEN};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::ledger::bench_that_costs;
use crate::support::server::within;

use super::left;

const PAYER: i64 = 1;
const HOUR: i64 = 60 * 60;

on_both_databases! {
    async fn an_intent_whose_server_has_gone_is_given_back_when_its_time_is_over(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 20)]);
        let bench = bench(&db, &billing, 0).await;
        billing.next(Rpc::Reserve, Fault::DoneAndHang);
        let draft = bench.draft("x");
        let checks = Checks::default();
        tokio::select! {
            created = bench.app.create_request(Caller::TrustedService, draft, &checks) => panic!("{created:?}"),
            () = billing.until(|it| it.count(Standing::Held) == 1) => {}
        }
        bench.pass(119);
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
        assert_eq!(billing.balance(PAYER), (16, 4));
        bench.pass(1);
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 1);
        assert_eq!((billing.balance(PAYER), left(&db).await.len()), ((20, 0), 0));
        billing.assert_kept();
    }

    async fn jobs_whose_intent_was_given_back_meanwhile_are_not_stored(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 20)]);
        let bench = bench(&db, &billing, 0).await;
        billing.next(Rpc::Reserve, Fault::Held);
        let (app, draft) = (bench.app.clone(), bench.draft("x"));
        let slow = tokio::spawn(async move { create(&app, draft).await });
        billing.until(|it| !it.calls(Rpc::Reserve).is_empty()).await;
        bench.pass(120);
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 1);
        billing.let_pass();
        let refused = within(slow).await.unwrap();
        assert!(matches!(refused, Err(Error::BillingUnavailable(_))), "{refused:?}");
        assert_eq!(request::Entity::find().count(&db.connect().await).await.unwrap(), 0);
        assert_eq!((billing.balance(PAYER), left(&db).await.len()), ((20, 0), 0));
        billing.assert_kept();
    }

    async fn a_job_that_goes_on_for_long_is_held_on(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 20)]);
        let bench = bench(&db, &billing, 0).await;
        let jobs = bench.request(2, 0).await;
        bench.pass(12 * HOUR - 1);
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
        for renewals in 1..=3 {
            bench.pass(12 * HOUR);
            assert_eq!(bench.app.tell_billing_now().await.unwrap(), 2);
            assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
            assert_eq!(billing.calls(Rpc::Reserve).len(), 1 + renewals);
        }
        assert_eq!(billing.balance(PAYER), (12, 8));
        complete_all(&bench).await;
        bench.app.tell_billing_now().await.unwrap();
        assert_eq!(billing.standings(jobs[0].id), [Standing::Committed]);
        assert_eq!((billing.balance(PAYER), left(&db).await.len()), ((12, 0), 0));
        billing.assert_kept();
    }

    async fn what_has_expired_is_held_again_and_paid_for_even_if_it_cannot_be(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 5)]);
        let bench = bench(&db, &billing, 0).await;
        let job = bench.request(1, 0).await.remove(0);
        billing.expire();
        bench.pass(12 * HOUR);
        bench.app.tell_billing_now().await.unwrap();
        assert_eq!(billing.balance(PAYER), (1, 4));

        billing.expire();
        billing.give(PAYER, -3);
        bench.pass(12 * HOUR);
        bench.app.tell_billing_now().await.unwrap();
        let row = left(&db).await.remove(0);
        assert_eq!((row.state, row.is_reserved), (ReservationState::Held, false));
        assert!(row.last_error.is_some());
        complete_all(&bench).await;
        bench.app.tell_billing_now().await.unwrap();
        assert_eq!(billing.standings(job.id), [Standing::Committed]);
        assert_eq!((billing.balance(PAYER), left(&db).await.len()), ((-2, 0), 0));
        billing.assert_kept();
    }

    async fn what_nobody_has_settled_is_settled_when_it_is_next_looked_at(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 50)]);
        let mut bench = bench(&db, &billing, 0).await;
        let jobs = bench.request(3, 0).await;
        let elsewhere = std::mem::replace(&mut bench.app.settings.billing, Billing::Off);
        bench.app.cancel_job(Caller::TrustedService, jobs[0].id, false).await.unwrap();
        let claimed = bench.claim(1).await.remove(0);
        bench.complete(&claimed).await.unwrap();
        let vanished = jobs.iter().find(|job| ![jobs[0].id, claimed.id].contains(&job.id)).unwrap();
        db.execute(&format!("DELETE FROM generation_jobs WHERE id = {}", vanished.id)).await;

        bench.app.settings.billing = elsewhere;
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
        bench.pass(12 * HOUR);
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 3);
        assert_eq!(billing.standings(jobs[0].id), [Standing::Released]);
        assert_eq!(billing.standings(vanished.id), [Standing::Released]);
        assert_eq!(billing.standings(claimed.id), [Standing::Committed]);
        assert_eq!((billing.balance(PAYER), left(&db).await.len()), ((46, 0), 0));
        billing.assert_kept();
    }

    async fn what_is_not_answered_is_told_again_after_longer_and_longer_pauses(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 20)]);
        let bench = bench(&db, &billing, 0).await;
        let job = bench.request(1, 0).await.remove(0);
        bench.app.cancel_job(Caller::TrustedService, job.id, false).await.unwrap();
        // Each call tries three times.
        for _ in 0..3 * 3 {
            billing.next(Rpc::Release, Fault::Unavailable);
        }
        for pause in [1, 1, 2] {
            assert_eq!(bench.app.tell_billing_now().await.unwrap(), 1);
            bench.pass(pause - 1);
            if pause > 1 {
                assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
            }
            bench.pass(1);
        }
        assert_eq!(billing.standings(job.id), [Standing::Held]);
        bench.app.tell_billing_now().await.unwrap();
        assert_eq!((billing.standings(job.id), left(&db).await.len()), (vec![Standing::Released], 0));
    }

    async fn a_job_that_billing_fails_over_keeps_the_others_for_a_while_only(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 20)]);
        let bench = bench(&db, &billing, 0).await;
        let jobs = bench.request(3, 0).await;
        billing.fail_over(jobs[0].id);
        complete_all(&bench).await;
        for _ in 0..3 {
            assert_eq!(bench.app.tell_billing_now().await.unwrap(), 3);
            assert_eq!(billing.count(Standing::Committed), 0);
            bench.pass(60);
        }
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 3);
        assert_eq!((billing.count(Standing::Committed), left(&db).await.len()), (2, 1));
        let balance = bench.app.balance(PAYER).await.expect("it does not count as away");
        assert_eq!(balance.available, 8);
    }

    async fn of_two_that_tell_billing_each_tells_what_the_other_does_not(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(PAYER, 100)]);
        let bench = bench(&db, &billing, 0).await;
        let jobs = bench.request(8, 0).await;
        let request = jobs[0].request_id;
        bench.app.cancel_request(Caller::TrustedService, request, false).await.unwrap();
        billing.next(Rpc::Release, Fault::Held);
        let app = bench.app.clone();
        let first = tokio::spawn(async move { app.tell_billing_now().await.unwrap() });
        billing.until(|it| !it.calls(Rpc::Release).is_empty()).await;
        assert_eq!(bench.app.tell_billing_now().await.unwrap(), 0);
        billing.let_pass();
        assert_eq!((within(first).await.unwrap(), billing.count(Standing::Released)), (8, 8));
        assert_eq!(billing.calls(Rpc::Release).len(), 1);
        assert_eq!(left(&db).await.len(), 0);
    }
}

pub(super) async fn bench(db: &TestDatabase, billing: &BillingStandIn, accepted: i64) -> Bench {
    bench_that_costs(db, remote(billing, accepted), 4).await
}

pub(super) fn remote(billing: &BillingStandIn, accept_unreserved: i64) -> Billing {
    let settings = RemoteSettings {
        url: billing.url().parse().unwrap(),
        token: Some(TOKEN.into()),
        deadline: Duration::from_secs(5),
        accept_unreserved,
    };
    Billing::Remote(Remote::new(settings).unwrap())
}

async fn create(app: &App, draft: atelier::domain::RequestDraft) -> Result<Vec<job::Model>, Error> {
    let checks = Checks::default();
    let created = app.create_request(Caller::TrustedService, draft, &checks);
    created.await.map(|(_, jobs)| jobs)
}

async fn complete_all(bench: &Bench) {
    for job in bench.claim(16).await {
        bench.complete(&job).await.unwrap();
    }
}
