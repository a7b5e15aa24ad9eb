//! The engine: whose turn it is, what cuts it off, and what it tells.

use atelier::domain::RetentionStep;
use atelier::rpc::proto::{CreateRequestRequest, RetentionStep as Told};
use chrono::DateTime;

use crate::support::client::request_for;
use crate::support::database::{Backend, on_both_databases};
use crate::support::process::{atelier, run as ended};
use crate::support::script::Script;
use crate::support::server::TestServer;

use super::*;

/// More than one batch of requests that were cancelled long ago, each with its job and its key.
const MANY: [(&str, &str); 2] = [
    (
        "generation_requests",
        "(user_id, feature_id, user_prompt, status, created_at, updated_at) SELECT 7, {feature}, 'x', 'cancelled', {then}, {then}",
    ),
    (
        "generation_idempotency_keys",
        "(user_id, key, fingerprint, request_id, created_at) SELECT 7, 'k' || n, 'x', 1, {then}",
    ),
];

async fn fill(db: &TestDatabase, feature: i64) {
    let numbers = match db.backend {
        Backend::Postgres => "generate_series(1, 700) AS numbers (n)",
        Backend::Sqlite => {
            "(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 700) SELECT n FROM numbers) AS numbers"
        }
    };
    db.add_user(7).await;
    for (table, rows) in MANY {
        let then = "'2026-01-01T00:00:00+00:00'";
        let rows = rows
            .replace("{feature}", &feature.to_string())
            .replace("{then}", then);
        db.execute(&format!("INSERT INTO {table} {rows} FROM {numbers}"))
            .await;
    }
}

fn ninety_days(config: &mut Config) {
    config.retention.archive_requests = DAY * 90;
    config.retention.idempotency_keys = DAY * 30;
}

async fn archived(db: &TestDatabase) -> usize {
    db.texts("SELECT user_prompt FROM generation_requests WHERE archived_at IS NOT NULL")
        .await
        .len()
}

/// Waits until some of it is done, and not all.
async fn begun(db: &TestDatabase) {
    within(async {
        while archived(db).await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

on_both_databases! {
    async fn keys_are_forgotten_after_their_time_and_a_call_with_one_is_new(db: TestDatabase) {
        let server = keeping(&db, |config| config.retention.idempotency_keys = DAY * 30).await;
        let feature = server.scripted_feature().await;
        let asked = || CreateRequestRequest { idempotency_key: "order 17".to_owned(), ..request_for(feature) };
        let first = server.create(asked()).await.0;
        pass(&server, 29);
        assert_eq!(due_then_done(&server, RetentionStep::IdempotencyKeys).await, 0);
        assert_eq!(server.create(asked()).await.0.id, first.id);
        pass(&server, 2);
        assert_eq!(due_then_done(&server, RetentionStep::IdempotencyKeys).await, 1);
        assert_ne!(server.create(asked()).await.0.id, first.id);
    }

    async fn what_an_older_program_has_left_is_found_after_the_upgrade(db: TestDatabase) {
        let older = migration::MIGRATIONS.iter().take_while(|it| it.name != "m0025_retention").count();
        migration::up(&db.connect().await, u32::try_from(older).ok()).await.unwrap();
        db.execute("INSERT INTO generation_features (name, category) VALUES ('older', 'image')").await;
        fill(&db, 1).await;
        db.execute("INSERT INTO generation_media (request_id, media_url, media_type, blurhash, deleted_at)
            VALUES (1, 'x', 'image', 'L', '2026-01-01T00:00:00+00:00'), (1, 'x', 'image', 'L', NULL)").await;
        let server = keeping(&db, |config| {
            ninety_days(config);
            config.retention.deleted_media = DAY * 30;
        }).await;
        let done: Vec<u64> = run(&server).await.into_iter().map(|(_, done)| done).collect();
        assert_eq!(done, [700, 700, 1]);
        assert_eq!(server.request(1).await.purged_jobs, 0);
    }

    async fn a_server_looks_by_itself_for_what_is_due(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.retention.interval = Duration::from_millis(10);
            config.retention.archive_requests = Duration::from_millis(1);
        }).await;
        let job = server.create_scripted(&Script::new(&["succeed"])).await;
        server.ended(job.id).await;
        within(async {
            while server.request(job.request_id).await.archive_time.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }).await;
    }

    async fn two_replicas_at_once_do_each_thing_once(db: TestDatabase) {
        let one = keeping(&db, ninety_days).await;
        let feature = one.scripted_feature().await;
        fill(&db, feature).await;
        let mut other = one.beside(&db).await;
        other.app.settings.retention = one.app.settings.retention;
        let (first, second) = within(async { tokio::join!(one.app.run_retention(None), other.app.run_retention(None)) }).await;
        for step in [RetentionStep::ArchiveRequests, RetentionStep::IdempotencyKeys] {
            let runs: Vec<_> = first.iter().chain(&second).filter(|run| run.step == step).collect();
            assert_eq!(runs.iter().map(|run| run.done).sum::<u64>(), 700, "{runs:?}");
            assert!(runs.iter().any(|run| matches!(run.end, RunEnd::Finished)), "{runs:?}");
        }
        let again = one.app.run_retention(Some(DAY)).await;
        assert!(again.iter().all(|run| matches!(run.end, RunEnd::Left)), "it has run a moment ago: {again:?}");
    }

    async fn a_run_that_is_killed_keeps_its_turn_for_a_while_and_then_another_goes_on(db: TestDatabase) {
        let one = keeping(&db, ninety_days).await;
        let feature = one.scripted_feature().await;
        fill(&db, feature).await;
        let app = one.app.clone();
        let killed = tokio::spawn(async move { app.run_retention(None).await });
        begun(&db).await;
        killed.abort();
        assert!(killed.await.unwrap_err().is_cancelled());
        let left = within(one.app.run_retention(None)).await;
        let archiving = left.iter().find(|run| run.step == RetentionStep::ArchiveRequests).unwrap();
        assert!(matches!(archiving.end, RunEnd::Left), "{left:?}");
        one.pass(TimeDelta::minutes(3));
        let before = archived(&db).await as u64;
        assert_eq!(before + due_then_done(&one, RetentionStep::ArchiveRequests).await, 700);
    }

    async fn a_server_that_drains_gives_its_turn_back_and_begins_none(db: TestDatabase) {
        let one = keeping(&db, ninety_days).await;
        let feature = one.scripted_feature().await;
        fill(&db, feature).await;
        let app = one.app.clone();
        let stopping = tokio::spawn(async move { app.run_retention(None).await });
        begun(&db).await;
        one.app.draining.cancel();
        let stopped = stopping.await.unwrap();
        assert!(stopped.iter().all(|run| matches!(run.end, RunEnd::Stopping)), "{stopped:?}");
        let done: u64 = stopped.iter().map(|run| run.done).sum();
        assert!((1..700).contains(&done), "{stopped:?}");
        let mut other = one.beside(&db).await;
        other.app.settings.retention = one.app.settings.retention;
        assert_eq!(done + due_then_done(&other, RetentionStep::ArchiveRequests).await, 700);
    }

    async fn admins_read_how_each_step_stands(db: TestDatabase) {
        let server = keeping(&db, ninety_days).await;
        let feature = server.scripted_feature().await;
        fill(&db, feature).await;
        let archive = server.step_report(Told::ArchiveRequests).await;
        let expected = RetentionStepReport {
            step: Told::ArchiveRequests.into(), is_enabled: true, period_seconds: 90 * 86_400, due: 700, ..Default::default()
        };
        assert_eq!(archive, expected);
        let off = server.step_report(Told::PurgeJobs).await;
        assert_eq!((off.is_enabled, off.period_seconds, off.due), (false, 0, 0));
        run(&server).await;
        let archive = server.step_report(Told::ArchiveRequests).await;
        assert_eq!((archive.due, archive.last_done, archive.last_error.as_str()), (0, 700, ""));
        let ran_at = archive.last_run_time.unwrap();
        assert_eq!(DateTime::from_timestamp(ran_at.seconds, 0).unwrap(), one_second(&server));
    }

    async fn a_command_tells_what_is_due_and_does_it(db: TestDatabase) {
        let server = keeping(&db, ninety_days).await;
        let feature = server.scripted_feature().await;
        fill(&db, feature).await;
        let media = tempfile::tempdir().unwrap();
        let folder = format!("storage.folder={}", media.path().display());
        let command = async |further: &[&str]| {
            let told = ended(atelier(&db, &[&["retention", "run", "--set", &folder], further].concat())).await;
            (told.status.code(), String::from_utf8(told.stdout).unwrap())
        };
        let line = |told: &str, step: &str| told.lines().find(|line| line.starts_with(step)).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (code, told) = command(&["--dry-run"]).await;
        assert_eq!((code, line(&told, "archive_requests")), (Some(0), ["archive_requests", "90d", "700", "-"].map(str::to_owned).to_vec()));
        assert_eq!(archived(&db).await, 0);
        let (code, told) = command(&[]).await;
        assert_eq!((code, line(&told, "archive_requests")), (Some(0), ["archive_requests", "90d", "700", "700"].map(str::to_owned).to_vec()));
        assert_eq!(line(&told, "idempotency_keys"), ["idempotency_keys", "30d", "700", "700"]);
        assert_eq!(line(&told, "purge_jobs"), ["purge_jobs", "for", "ever", "0", "-"]);
        assert_eq!(archived(&db).await, 700);
        db.execute("UPDATE generation_retention_steps SET held_until = '2999-01-01T00:00:00+00:00' WHERE step = 'archive_requests'").await;
        let (code, told) = command(&[]).await;
        assert!(code == Some(1) && told.contains("a server does it"), "{told}");
    }
}

fn one_second(server: &ClockedServer) -> DateTime<chrono::Utc> {
    use chrono::SubsecRound;
    server.app.clock.now().trunc_subsecs(0)
}
