//! One of two servers under load cannot reach the database, or only over a pooler that dies.

use url::Url;

use crate::support::database::{Backend, TestDatabase};
use crate::support::load::{Load, SETTINGS, until_taken_over};
use crate::support::pooler::Pooler;
use crate::support::process::{Process, until_all_log};
use crate::support::proxy::TcpProxy;

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_pass_nothing_for_longer_than_a_lease_cost_nothing() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut url = Url::parse(&db.url).unwrap();
    let direct = format!("http://{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = TcpProxy::start(&direct, None).await;
    url.set_port(Some(proxy.port())).unwrap();
    let reached = TestDatabase::on_server(url.into());
    let idle = "database.idle_in_transaction_timeout=1s";
    let settings = [&SETTINGS[..], &[idle]].concat();
    let first = Process::serve(&db, db.media.path(), &settings).await;
    let named = [&settings[..], &["executor.worker_id=cut-off"]].concat();
    let second = Process::serve(&reached, db.media.path(), &named).await;
    let load = Load::begin(&[&first, &second]).await;
    for _ in 0..2 {
        load.until_submitted_by(second.id(), 4).await;
        // What was under way arrives after that.
        until_taken_over(&db, "cut-off", |still| proxy.set_silent(still)).await;
        load.until_submitted_by(second.id(), 4).await;
    }
    load.end(&db, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_dies_and_comes_back_costs_nothing() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut pooler = Pooler::in_mode(&db, "transaction");
    let listen_url = format!("database.listen_url={}", db.url);
    let settings = [
        &SETTINGS[..],
        &["database.pooling=transaction", &listen_url],
    ]
    .concat();
    let servers = [
        Process::serve(&pooler.db, db.media.path(), &settings).await,
        Process::serve(&pooler.db, db.media.path(), &settings).await,
    ];
    let load = Load::begin(&[&servers[0], &servers[1]]).await;
    for _ in 0..2 {
        until_all_log(&servers, "the database is away", || pooler.kill()).await;
        pooler.start();
        load.until_submitted(16).await;
    }
    load.end(&db, &servers[0]).await;
}
