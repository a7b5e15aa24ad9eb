//! PostgreSQL ends and comes back, or takes no writes for a while, under the load of two servers.

use crate::database::faults::set_read_only;
use crate::support::database::{Backend, TestDatabase};
use crate::support::load::{Load, SETTINGS};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, until_all_log};

const ROUNDS: usize = 2;
const READ_ONLY: &str = "SQLSTATE 25006";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_and_started_again_costs_nothing() {
    let mut cluster = Cluster::with("synchronous_commit = on").await;
    let db = TestDatabase::on_server(cluster.url());
    let servers = serve_two(&db).await;
    let load = Load::begin(&[&servers[0], &servers[1]]).await;
    for _ in 0..ROUNDS {
        until_all_log(&servers, "the database is away", || cluster.tell("stop")).await;
        cluster.tell("start");
        load.until_submitted(16).await;
    }
    load.end(&db, &servers[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_again_and_again_costs_nothing() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let servers = serve_two(&db).await;
    let load = Load::begin(&[&servers[0], &servers[1]]).await;
    let operator = db.connect().await;
    for _ in 0..ROUNDS {
        let refused: Vec<_> = servers
            .iter()
            .map(|it| it.count_logged(READ_ONLY))
            .collect();
        set_read_only(&operator, &db, true).await;
        for (server, before) in servers.iter().zip(refused) {
            server.until_logged_often(READ_ONLY, before + 1).await;
        }
        set_read_only(&operator, &db, false).await;
        load.until_submitted(16).await;
    }
    load.end(&db, &servers[0]).await;
}

async fn serve_two(db: &TestDatabase) -> [Process; 2] {
    [
        Process::serve(db, db.media.path(), &SETTINGS).await,
        Process::serve(db, db.media.path(), &SETTINGS).await,
    ]
}
