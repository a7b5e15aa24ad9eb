//! The database as a file that other programs read and copy too.

use std::path::{Path, PathBuf};
use std::process::Command;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::bench::Bench;
use crate::database::{Backend, TestDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_of_json_change_no_row_and_a_dump_restored_by_an_older_sqlite_has_them_all() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let bench = Bench::new(&db).await;
    bench.template().await;
    bench.request(3, 0).await;
    bench.complete(&bench.claim(1).await[0]).await.unwrap();
    let connection = db.connect().await;
    let before = rows(&connection).await;
    assert!(
        before.iter().filter(|(_, rows)| *rows > 0).count() >= 6,
        "{before:?}"
    );

    while count(
        &connection,
        "SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%metadata IS NULL OR%'",
    )
    .await
        > 0
    {
        migration::down(&connection, 1).await.unwrap();
    }
    assert_eq!(rows(&connection).await, before);
    migration::up(&connection, None).await.unwrap();
    assert_eq!(rows(&connection).await, before);
    for check in ["PRAGMA integrity_check", "PRAGMA foreign_key_check"] {
        let found = query(&connection, check).await;
        let sound = found.is_empty() || found == ["ok"];
        assert!(sound, "{check}: {found:?}");
    }
    // Still held, on a connection that was open all the time and on a new one.
    let wrong = "UPDATE generation_requests SET metadata = 'no JSON'";
    connection.execute_unprepared(wrong).await.unwrap_err();
    db.connect()
        .await
        .execute_unprepared(wrong)
        .await
        .unwrap_err();

    let restored = restore(&db).await;
    let url = format!("sqlite://{}", restored.display());
    let restored = sea_orm::Database::connect(url).await.unwrap();
    assert_eq!(rows(&restored).await, before);
}

/// Dumped and read again by the system's own sqlite3, which is older than ours.
async fn restore(db: &TestDatabase) -> PathBuf {
    let file = Path::new(
        db.url
            .strip_prefix("sqlite://")
            .unwrap()
            .split('?')
            .next()
            .unwrap(),
    );
    let restored = file.with_file_name("restored.db");
    let pipe = Command::new("sh")
        .arg("-c")
        .arg("sqlite3 \"$0\" .dump | sqlite3 -bail \"$1\"")
        .args([file, &restored])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&pipe.stderr).into_owned();
    assert!(pipe.status.success() && told.is_empty(), "{told}");
    restored
}

/// How many rows each table has.
async fn rows(db: &DatabaseConnection) -> Vec<(String, i64)> {
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'generation_%' ORDER BY name";
    let mut counted = Vec::new();
    for table in query(db, tables).await {
        let rows = count(db, &format!("SELECT count(*) FROM {table}")).await;
        counted.push((table, rows));
    }
    counted
}

async fn count(db: &DatabaseConnection, statement: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Sqlite, statement);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn query(db: &DatabaseConnection, statement: &str) -> Vec<String> {
    let statement = Statement::from_string(DbBackend::Sqlite, statement);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}
