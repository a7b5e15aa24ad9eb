//! Two servers under load, one of which dies, or stands still until its jobs are another's and then goes on.

use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::load::{Load, SETTINGS, until_taken_over};
use crate::support::process::Process;

on_both_databases! {
    async fn one_of_two_servers_is_killed_again_and_again(db: TestDatabase) {
        let first = Process::serve(&db, db.media.path(), &SETTINGS).await;
        let mut second = Process::serve(&db, db.media.path(), &SETTINGS).await;
        let load = Load::begin(&[&first, &second]).await;
        for _ in 0..3 {
            load.until_submitted_by(second.id(), 4).await;
            second.kill();
            load.until_submitted(4).await;
            second = Process::serve(&db, db.media.path(), &SETTINGS).await;
            load.replace(1, &second);
        }
        load.until_submitted_by(second.id(), 4).await;
        load.end(&db, &first).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_for_longer_than_its_leases_changes_nothing_when_it_goes_on() {
    let db = TestDatabase::create(Backend::Postgres).await;
    // What it holds in a transaction is given back before that.
    let idle = "database.idle_in_transaction_timeout=1s";
    let settings = [&SETTINGS[..], &[idle]].concat();
    let first = Process::serve(&db, db.media.path(), &settings).await;
    let named = [&settings[..], &["executor.worker_id=still"]].concat();
    let second = Process::serve(&db, db.media.path(), &named).await;
    let load = Load::begin(&[&first, &second]).await;
    for _ in 0..2 {
        load.until_submitted_by(second.id(), 4).await;
        let stand = |still| second.signal(if still { "STOP" } else { "CONT" });
        until_taken_over(&db, "still", stand).await;
        load.until_submitted_by(second.id(), 4).await;
    }
    load.end(&db, &first).await;
}
