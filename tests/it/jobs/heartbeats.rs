//! What a heartbeat costs the database: no index, and no picture that is there already.

use std::time::Duration;

use atelier::entity::job;
use atelier::rpc::proto::WatchJobEvent;
use atelier::store::queue::{self, Report};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};

use crate::support::bench::{Bench, LEASE, lease};
use crate::support::database::on_both_databases;
use crate::support::postgres::Cluster;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};

const JOBS: i32 = 10;
const BEATS: i32 = 20;
const MARK: &str = "data:,mark";

on_both_databases! {
    async fn a_preview_is_written_once(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut watch = server.watch(job.id).await;
        loop {
            let message = watch.next().await.unwrap().unwrap();
            let shown = message.job.clone().unwrap();
            if message.event() == WatchJobEvent::Progress && !shown.progress_preview.is_empty() {
                break;
            }
        }
        db.execute(&format!("UPDATE generation_jobs SET progress_preview = '{MARK}'")).await;
        let connection = db.connect().await;
        let row = async || job::Entity::find_by_id(job.id).one(&connection).await.unwrap().unwrap();
        for _ in 0..2 {
            let before = row().await.lease_expires_at;
            within(async {
                while row().await.lease_expires_at == before {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }).await;
        }
        assert_eq!(row().await.progress_preview.as_deref(), Some(MARK), "a heartbeat has written it again");
        script.open_gate();
        server.completed(job.id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_and_progress_change_no_index() {
    // Nobody else's transactions keep what was there before from being removed.
    let cluster = Cluster::with("autovacuum = off").await;
    let bench = Bench::at(&cluster.url(), 1).await;
    bench.request(JOBS, 0).await;
    let running = bench.claim(10).await;
    let before = updates(&bench).await;
    for beat in 0..BEATS {
        for job in &running {
            let report = Report {
                progress: f64::from(beat) / f64::from(BEATS),
                message: Some(format!("step {beat}")),
                preview: (beat % 5 == 0).then(|| format!("data:,{}", "x".repeat(400))),
            };
            let (db, now) = (bench.app.store.writer(), Some(bench.pass(1)));
            let held = queue::heartbeat(db, &lease(job), LEASE, report, now).await;
            assert!(held.unwrap());
        }
    }
    let after = updates(&bench).await;
    let (all, hot) = (after.0 - before.0, after.1 - before.1);
    assert_eq!(all, i64::from(JOBS * BEATS));
    // A page may have no room for once.
    assert!(all - hot <= 4, "{hot} of {all} left the indexes alone");
}

/// How many rows of jobs were updated so far, and how many of these so that no index had to change.
async fn updates(bench: &Bench) -> (i64, i64) {
    let db = bench.app.store.writer();
    // The session that has written tells its numbers with the end of this statement.
    let tell = Statement::from_string(
        DbBackend::Postgres,
        "SELECT pg_stat_force_next_flush()::text",
    );
    db.query_one_raw(tell).await.unwrap();
    let numbers = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'generation_jobs'";
    let numbers = Statement::from_string(DbBackend::Postgres, numbers);
    let row = db.query_one_raw(numbers).await.unwrap().unwrap();
    let number = |place| row.try_get_by_index(place).unwrap();
    (number(0), number(1))
}
