//! A session pooler between the program and PostgreSQL, with fewer sessions than the program wants.

use std::str::FromStr;
use std::time::{Duration, Instant};

use atelier::rpc::proto::{GetFeatureRequest, JobStatus};
use futures::future::join_all;
use sea_orm::sqlx::{self, ConnectOptions, PgConnection, Row, postgres::PgConnectOptions};

use crate::support::client::scripted_request;
use crate::support::database::{Backend, TestDatabase};
use crate::support::pooler::{Pooler, SESSIONS};
use crate::support::process::{Process, atelier, refused, run};
use crate::support::script::Script;
use crate::support::server::within;

/// What many calls may take together; waiting for a session that does not come would take longer.
const SOON: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_behind_a_smaller_session_pooler_makes_do_with_what_it_gets() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let pooler = Pooler::before(&db);
    let media = tempfile::tempdir().unwrap();
    let server = Process::serve(&pooler.db, media.path(), &["database.max_connections=16"]).await;
    let feature = server.scripted_feature().await;

    let began = Instant::now();
    let calls = (0..200).map(|_| {
        let mut features = server.features();
        async move {
            features
                .get_feature(GetFeatureRequest {
                    id: feature,
                    ..Default::default()
                })
                .await
        }
    });
    for call in within(join_all(calls)).await {
        call.unwrap();
    }
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let script = Script::new(&["succeed"]);
    let job = server
        .create(scripted_request(feature, &script))
        .await
        .1
        .remove(0);
    assert_eq!(
        server.ended(job.id).await.job.status(),
        JobStatus::Completed
    );
    server.until_logged("cannot open more connections").await;
    let log = server.log();
    assert!(!log.contains("pool timed out"), "{log}");
    assert!(
        log.contains("a pooler before it that has none left"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_keeps_no_sessions_is_refused_with_the_mode_that_it_needs() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let pooler = Pooler::in_mode(&db, "transaction");
    let media = tempfile::tempdir().unwrap();
    let mut command = atelier(&pooler.db, &["serve", "--listen", "127.0.0.1:0"]);
    let folder = format!("storage.folder={}", media.path().display());
    command.args(["--set", &folder, "--set", "identity.provision_users=true"]);
    refused(&run(command).await, &["pool_mode = session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_works_behind_a_pooler_that_keeps_no_sessions_and_leaves_no_statements_there() {
    const CALLS: usize = 40;
    let db = TestDatabase::create(Backend::Postgres).await;
    let pooler = Pooler::in_mode(&db, "transaction");
    let media = tempfile::tempdir().unwrap();
    let listen_url = format!("database.listen_url={}", db.url);
    let schema = "database.schema=apart";
    let settings = ["database.pooling=transaction", &listen_url, schema];
    let server = Process::serve(&pooler.db, media.path(), &settings).await;
    let other = Process::serve(&pooler.db, media.path(), &settings).await;
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    // Many at once, by two processes over few sessions.
    let made = (0..CALLS).map(|number| {
        let (by, seen) = match number % 2 {
            0 => (&server, &other),
            _ => (&other, &server),
        };
        let asked = scripted_request(feature, &script);
        async move {
            let job = by.create(asked).await.1.remove(0);
            seen.ended(job.id).await
        }
    });
    for ended in within(join_all(made)).await {
        assert_eq!(ended.code(), "");
        assert_eq!(ended.transitions.len(), 3);
    }
    // What is heard, is heard over the connection beside the pooler.
    for process in [&server, &other] {
        let log = process.log();
        for words in ["set database.listen_url", "prepared statement", "ERROR"] {
            assert!(!log.contains(words), "{log}");
        }
    }
    let through = PgConnectOptions::from_str(&pooler.db.url).unwrap();
    let through = through.extra_float_digits(None);
    let mut through: PgConnection = through.connect().await.unwrap();
    for _ in 0..4 * SESSIONS {
        let count = "SELECT CAST(count(*) AS text), current_setting('lock_timeout') FROM pg_prepared_statements";
        let row = sqlx::raw_sql(count).fetch_one(&mut through).await.unwrap();
        assert_eq!(row.get::<String, _>(0), "0");
        // Limits are those of each transaction, and none stays behind for others.
        assert_eq!(row.get::<String, _>(1), "0");
    }
}
