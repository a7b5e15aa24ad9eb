//! The database as a file that other programs read and copy too.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use atelier::server::{Role, Server};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::support::bench::Bench;
use crate::support::database::{Backend, TestDatabase};
use crate::support::process::{atelier, refused, run};
use crate::support::server::configuration;
use crate::support::server::within;

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
    // Tables of later migrations are gone.
    let older = rows(&connection).await;
    assert!(
        older.iter().all(|table| before.contains(table)),
        "{older:?}"
    );
    migration::up(&connection, None).await.unwrap();
    let now = rows(&connection).await;
    assert!(older.iter().all(|table| now.contains(table)), "{now:?}");
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
    assert_eq!(rows(&restored).await, now);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_for_the_shared_memory_is_told_as_full() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    // Files may grow to less than the 32 KiB of that one, and who writes on is not killed.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$@\"", "limited"]);
    let migrate = atelier(&db, &["migrate", "up"]);
    command.arg(migrate.get_program()).args(migrate.get_args());
    let told = run(command).await;
    refused(&told, &["(code: 4874)", ": the disk is full"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_a_whole_database_that_its_owner_alone_may_read() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let bench = Bench::new(&db).await;
    let copy = file_of(&db).with_file_name("copy.db");
    let backup = async {
        let backup = run(atelier(&db, &["backup", copy.to_str().unwrap()])).await;
        assert!(backup.status.success(), "{backup:?}");
    };
    let load = async {
        loop {
            bench.request(4, 0).await;
            bench.complete(&bench.claim(1).await[0]).await.unwrap();
        }
    };
    tokio::select! {
        () = within(backup) => {}
        () = load => {}
    }

    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let url = format!("sqlite://{}", copy.display());
    let copied = sea_orm::Database::connect(url).await.unwrap();
    assert_eq!(query(&copied, "PRAGMA integrity_check").await, ["ok"]);
    // Of one moment: each request has all of its jobs, each job all of its events.
    let torn = [
        "SELECT count(*) FROM generation_requests AS r
         WHERE (SELECT count(*) FROM generation_jobs WHERE request_id = r.id) <> 4",
        "SELECT count(*) FROM generation_jobs AS j
         WHERE (SELECT count(*) FROM generation_job_events WHERE job_id = j.id) <> j.revision",
    ];
    for torn in torn {
        assert_eq!(count(&copied, torn).await, 0, "{torn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_the_schema_leaves_the_whole_database_in_one_file() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    for command in [
        &["migrate", "up"][..],
        &["migrate", "status"],
        &["migrate", "up", "--dry-run"],
        &["migrate", "down", "--yes"],
    ] {
        let done = run(atelier(&db, command)).await;
        assert!(done.status.success(), "{command:?}: {done:?}");
        for beside in ["-wal", "-shm"] {
            let beside = format!("{}{beside}", file_of(&db).display());
            assert!(!Path::new(&beside).exists(), "{command:?} leaves {beside}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_overwrites_nothing_and_leaves_nothing_half_written() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    Bench::new(&db).await;
    let there = file_of(&db).with_file_name("there.txt");
    std::fs::write(&there, "mine").unwrap();
    let refused = run(atelier(&db, &["backup", there.to_str().unwrap()])).await;
    assert!(!refused.status.success());
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");

    let postgres = TestDatabase::create(Backend::Postgres).await;
    let copy = there.with_file_name("copy.db");
    let refused = run(atelier(&postgres, &["backup", copy.to_str().unwrap()])).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && told.contains("pg_dump"),
        "{told}"
    );
    assert!(!copy.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_database_that_is_not_there_names_it_and_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.db");
    let db = TestDatabase::at(format!("sqlite://{}", missing.display()), Backend::Sqlite);
    let copy = folder.path().join("copy.db");
    let output = run(atelier(&db, &["backup", copy.to_str().unwrap()])).await;
    refused(
        &output,
        &["there is no database", missing.to_str().unwrap()],
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn file_of(db: &TestDatabase) -> &Path {
    let path = db.url.strip_prefix("sqlite://").unwrap();
    Path::new(path.split('?').next().unwrap())
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
    // What workers can run is noted by a migration for the jobs that wait.
    let tables = "SELECT name FROM sqlite_schema
        WHERE type = 'table' AND name LIKE 'generation_%' AND name <> 'generation_capabilities' ORDER BY name";
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

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_for_the_owner_alone_and_media_for_whom_the_umask_says() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, Permissions::from_mode(0o755)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // Made here, so under the umask that the server has too.
    let umask = folder.path().join("umask");
    std::fs::create_dir(&umask).unwrap();

    let (data, media) = (theirs.join("new/data"), theirs.join("media"));
    let db = TestDatabase::create(Backend::Sqlite).await;
    let mut config = configuration(&db, &media);
    config.database.url = format!("sqlite://{}", data.join("atelier.db").display())
        .parse()
        .unwrap();
    config.storage.signing_key = None;
    let server = Server::start(config, Role::All).await.unwrap();
    let client = crate::support::client::Client::connect(&server.url().unwrap()).await;
    client.scripted_feature().await;

    for name in [
        "atelier.db",
        "atelier.db-wal",
        "atelier.db-shm",
        "atelier.db-servers",
    ] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    assert!(!media.join(".signing-key").exists());
    assert_eq!((mode(&data), mode(&theirs.join("new"))), (0o700, 0o700));
    assert_eq!(
        mode(&theirs),
        0o755,
        "a folder that is there keeps its mode"
    );
    assert_eq!(mode(&media), mode(&umask));
    server.shutdown().await;
}
