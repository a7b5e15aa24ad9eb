//! An operator's open transaction holds a request's row for a minute, at the time that servers have for it by default, ten times as
//! fast: others are not kept, and the request ends when it is let go.

use std::time::Duration;

use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::database::{Backend, TestDatabase};
use crate::support::load::{Load, SETTINGS};
use crate::support::process::Process;
use crate::support::script::Script;
use crate::support::server::within;

const TIMES: [&str; 3] = [
    "executor.lease=3s",
    "executor.heartbeat=1s",
    "database.lock_timeout=1s",
];
const LOOK_AGAIN: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_row_is_locked_for_longer_than_a_lease_ends_once_it_is_let_go() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let settings = [&SETTINGS[..], &TIMES].concat();
    let first = Process::serve(&db, db.media.path(), &settings).await;
    let second = Process::serve(&db, db.media.path(), &settings).await;
    let mut load = Load::begin(&[&first, &second]).await;
    let script = Script::new(&["succeed"]).gated();
    let job = load.add(&first, &script).await;
    script.wait_until_submitted(1).await;

    let operator = db.connect().await;
    let held = operator.begin().await.unwrap();
    let lock = format!(
        "SELECT id FROM generation_requests
         WHERE id IN (SELECT request_id FROM generation_jobs WHERE id = {job}) FOR UPDATE"
    );
    held.execute_unprepared(&lock).await.unwrap();
    script.open_gate();
    // Its lease goes on for two more after the row was locked, and it still is.
    let kept = format!(
        "SELECT CAST(job.id AS text) FROM generation_jobs AS job, pg_stat_activity AS operator
         WHERE operator.datname = current_database() AND job.id = {job} AND job.lease_expires_at > operator.xact_start + interval '6 s'
             AND operator.query LIKE '%FOR UPDATE' AND operator.state = 'idle in transaction'"
    );
    within(async {
        while db.texts(&kept).await.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    load.until_submitted(32).await;
    held.rollback().await.unwrap();

    first.completed(job).await;
    let jobs = load.end(&db, &first).await;
    assert_eq!(jobs[&job].attempt, 1);
    assert_eq!(script.calls_of("submit").len(), 1);
}
