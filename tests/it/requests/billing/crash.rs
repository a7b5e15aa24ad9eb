//! kill -9 between any two steps, of us and of Billing.

use atelier::domain::ReservationState;
use atelier::entity::{job, request};
use atelier::rpc::proto::ErrorReason;
use sea_orm::{EntityTrait, PaginatorTrait};
use tempfile::TempDir;

use crate::support::billing::{BillingStandIn, Fault, Rpc, Standing};
use crate::support::client::{USER, request_for, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::Process;
use crate::support::refusal::refusal;
use crate::support::script::Script;

use super::{left, priced, until_nothing_is_left};

on_both_databases! {
    async fn a_kill_while_billing_is_asked_to_hold_something_leaves_nothing_held(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 20)]);
        let media = tempfile::tempdir().unwrap();
        for (asked, fault) in (1..).zip([Fault::Hang, Fault::DoneAndHang]) {
            let process = serve(&db, &media, &billing).await;
            let feature = process.add_feature(priced(&format!("{fault:?}"))).await.id;
            billing.next(Rpc::Reserve, fault);
            let mut requests = process.requests();
            let late = tokio::spawn(async move { requests.create_request(request_for(feature)).await.is_ok() });
            let held = usize::from(fault == Fault::DoneAndHang);
            billing.until(|it| (it.calls(Rpc::Reserve).len(), it.count(Standing::Held)) == (asked, held)).await;
            process.kill();
            assert!(!late.await.unwrap());
            assert_eq!(states(&db).await, [ReservationState::Intended]);

            let process = serve(&db, &media, &billing).await;
            let_time_pass(&db).await;
            billing.until(|it| it.count(Standing::Released) == asked).await;
            until_nothing_is_left(&db).await;
            assert_eq!(billing.balance(USER), (20, 0));
            assert_eq!(request::Entity::find().count(&db.connect().await).await.unwrap(), 0);
            process.kill();
        }
        billing.assert_kept();
    }

    async fn a_kill_while_billing_is_told_of_an_end_leaves_it_to_the_next_start(db: TestDatabase) {
        let billing = BillingStandIn::start(&[(USER, 1_000)]);
        let media = tempfile::tempdir().unwrap();
        for (step, rpc, state, standing) in [
            ("succeed", Rpc::Commit, ReservationState::Commit, Standing::Committed),
            ("reject", Rpc::Release, ReservationState::Release, Standing::Released),
        ] {
            for fault in [Fault::Hang, Fault::DoneAndHang] {
                let process = serve(&db, &media, &billing).await;
                let feature = process.add_feature(priced(&format!("{step} {fault:?}"))).await.id;
                billing.next(rpc, fault);
                let script = Script::new(&[step]);
                let job = process.create(scripted_request(feature, &script)).await.1.remove(0);
                let before = billing.calls(rpc).len();
                billing.until(|it| it.calls(rpc).iter().any(|jobs| jobs.contains(&job.id))).await;
                process.kill();
                assert_eq!(states(&db).await, [state], "{fault:?}");

                let process = serve(&db, &media, &billing).await;
                let_time_pass(&db).await;
                billing.until_stands(job.id, standing).await;
                until_nothing_is_left(&db).await;
                assert!(billing.calls(rpc).len() > before);
                process.kill();
            }
        }
        assert_eq!(billing.balance(USER), (1_000 - 2 * 7, 0));
        billing.assert_kept();
    }

    async fn billing_is_spoken_to_over_tls_and_believed_by_the_systems_authorities_only(db: TestDatabase) {
        let billing = BillingStandIn::start_with_tls(&[(USER, 20)]);
        let media = tempfile::tempdir().unwrap();
        let settings = billing.settings();
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let stranger = BillingStandIn::start_with_tls(&[]);
        let authority = media.path().join("authority.pem");
        std::fs::write(&authority, stranger.certificate()).unwrap();
        let process = Process::serve_trusting(&authority, &db, media.path(), &settings).await;
        let feature = process.priced_feature(7).await;
        let refused = process.requests().create_request(request_for(feature)).await;
        assert_eq!(refusal(refused).reason, ErrorReason::BillingUnavailable);
        process.kill();

        std::fs::write(&authority, billing.certificate()).unwrap();
        let process = Process::serve_trusting(&authority, &db, media.path(), &settings).await;
        process.create(request_for(feature)).await;
        assert_eq!(billing.balance(USER), (13, 7));
        process.kill();
    }

    async fn billing_has_every_job_once_whenever_either_side_is_killed(db: TestDatabase) {
        const JOBS: usize = 24;
        let mut billing = BillingStandIn::start(&[(USER, 7 * JOBS as i64 + 6)]);
        let media = tempfile::tempdir().unwrap();
        let script = Script::new(&["succeed"]).with_task().findable();
        let mut process = serve(&db, &media, &billing).await;
        let feature = process.priced_feature(7).await;
        for _ in 0..JOBS / 8 {
            let mut asked = scripted_request(feature, &script);
            asked.input.get_or_insert_default().variations = 8;
            process.create(asked).await;
        }
        for kill in 1..=3 {
            script.wait_until_submitted(kill * JOBS / 5).await;
            let mut requests = process.requests();
            let asked = scripted_request(feature, &script);
            let late = tokio::spawn(async move { requests.create_request(asked).await.is_ok() });
            process.kill();
            assert!(!late.await.unwrap(), "there are no credits for it");
            billing.stop();
            process = serve(&db, &media, &billing).await;
            billing.restart().await;
        }
        let jobs = job::Entity::find().all(&db.connect().await).await.unwrap();
        assert_eq!(jobs.len(), JOBS);
        for job in &jobs {
            process.completed(job.id).await;
        }
        let_time_pass(&db).await;
        for job in &jobs {
            billing.until_stands(job.id, Standing::Committed).await;
        }
        until_nothing_is_left(&db).await;
        assert_eq!((billing.balance(USER), billing.count(Standing::Held)), ((6, 0), 0));
        billing.assert_kept();
    }
}

async fn serve(db: &TestDatabase, media: &TempDir, billing: &BillingStandIn) -> Process {
    let mut settings = vec![
        "executor.lease=1s".to_owned(),
        "database.lock_timeout=500ms".to_owned(),
        "executor.max_attempts=20".to_owned(),
    ];
    settings.extend(billing.settings());
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    Process::serve(db, media.path(), &settings).await
}

/// What somebody has been telling Billing is told by others now.
async fn let_time_pass(db: &TestDatabase) {
    db.execute("UPDATE generation_reservations SET due_at = created_at")
        .await;
}

async fn states(db: &TestDatabase) -> Vec<ReservationState> {
    left(db).await.iter().map(|row| row.state).collect()
}
