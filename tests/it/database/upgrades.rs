//! Programs and schemas of different ages on one database.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use migration::{Build, Change, MIGRATIONS, Migration, Migrator, Scripts, Settings};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_program_meets_migrations_of_a_newer_one_and_goes_on_only_where_they_let_it(db: TestDatabase) {
        TestServer::start(&db).await.stop().await;
        record_newer(&db, Some("0.0.1")).await;

        TestServer::start(&db).await.stop().await;
        let status = migrate(&db, &["status"]).await;
        assert!(status.status.success(), "{status:?}");
        assert!(text(&status.stdout).ends_with("newer m0900_later (works with 0.0.1 and newer)\n"), "{status:?}");
        let json = migrate(&db, &["status", "--json"]).await;
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let last = json.as_array().unwrap().last().unwrap();
        assert_eq!(*last, serde_json::json!({"name": "m0900_later", "state": "newer", "least_program": "0.0.1"}));
        assert_eq!(text(&migrate(&db, &["up"]).await.stdout), "nothing to do\n");
        refused(&migrate(&db, &["down", "--yes"]).await, &["m0900_later", "comes first"]);

        record_newer(&db, Some("99.1.0")).await;
        let names_both = ["m0900_later", "99.1.0", env!("CARGO_PKG_VERSION")];
        refused(&serve(&db).await, &names_both);
        refused(&migrate(&db, &["up"]).await, &names_both);
        for arguments in [&["status"][..], &["status", "--json"]] {
            let status = migrate(&db, arguments).await;
            assert!(text(&status.stdout).contains("m0900_later"), "{status:?}");
            refused(&status, &names_both);
        }
        assert!(text(&migrate(&db, &["status"]).await.stdout).contains("newer m0900_later"));

        record_newer(&db, None).await;
        refused(&serve(&db).await, &["m0900_later", "does not say"]);
    }

    async fn a_newer_migration_over_one_that_is_missing_is_left_to_the_newer_program(db: TestDatabase) {
        migrate(&db, &["up", "--steps", "1"]).await;
        record_newer(&db, Some("0.0.1")).await;
        refused(&migrate(&db, &["up"]).await, &["m0900_later", "m0002_execution"]);
    }

    async fn a_schema_that_a_program_without_records_of_programs_has_left_is_migrated_on(db: TestDatabase) {
        migrate(&db, &["up", "--steps", "2"]).await;
        db.execute("DROP TABLE atelier_migrations").await;
        assert!(migrate(&db, &["up"]).await.status.success());
        assert!(migrate(&db, &["status"]).await.status.success());
        assert!(migrate(&db, &["down", "--yes", "--steps", "99"]).await.status.success());
    }

    async fn the_status_exits_with_three_while_a_migration_is_pending(db: TestDatabase) {
        assert_eq!(migrate(&db, &["status"]).await.status.code(), Some(3));
        let json = migrate(&db, &["status", "--json"]).await;
        assert_eq!(json.status.code(), Some(3));
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json[0], serde_json::json!({"name": "m0001_domain", "state": "pending", "least_program": "0.1.0"}));
        migrate(&db, &["up"]).await;
        assert_eq!(migrate(&db, &["status"]).await.status.code(), Some(0));
    }

    async fn a_dry_run_prints_sql_that_another_client_can_apply_and_applies_nothing(db: TestDatabase) {
        let printed = migrate(&db, &["up", "--dry-run"]).await;
        assert!(printed.status.success(), "{printed:?}");
        assert_eq!(migrate(&db, &["status"]).await.status.code(), Some(3));
        let one = text(&migrate(&db, &["up", "--dry-run", "--steps", "1"]).await.stdout);
        assert!(one.contains("m0001_domain") && !one.contains("m0002_execution"), "{one}");

        db.execute(&text(&printed.stdout)).await;
        assert_eq!(migrate(&db, &["status"]).await.status.code(), Some(0));
        assert_eq!(text(&migrate(&db, &["up", "--dry-run"]).await.stdout), "-- Nothing to do\n");
        TestServer::start(&db).await.stop().await;
    }

    async fn taking_back_asks_tells_what_goes_and_waits_for_no_server(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let feature = server.scripted_feature().await;
        server.create(crate::support::client::request_for(feature)).await;
        let all = ["down", "--steps", "99", "--yes"];
        refused(&migrate(&db, &all).await, &["servers are running"]);
        server.stop().await;

        let unasked = migrate(&db, &all[..3]).await;
        refused(&unasked, &["--yes"]);
        let told = text(&unasked.stderr);
        for line in ["table generation_requests: 1 rows", "table generation_features: 1 rows"] {
            assert!(told.contains(line), "{told}");
        }
        assert!(migrate(&db, &["status"]).await.status.success(), "nothing may be taken back unasked");

        let media = migrate(&db, &["down", "--steps", "1", "--yes"]).await;
        assert!(media.status.success(), "{media:?}");
        migrate(&db, &["up"]).await;
        let done = migrate(&db, &all).await;
        assert!(done.status.success(), "{done:?}");
        assert!(text(&done.stdout).ends_with("took back m0002_execution\ntook back m0001_domain\n"), "{done:?}");
        assert_eq!(text(&migrate(&db, &all).await.stdout), "nothing to do\n");
    }

    async fn taking_back_at_a_terminal_goes_on_only_if_yes_is_typed(db: TestDatabase) {
        migrate(&db, &["up"]).await;
        for answer in ["no\n", "\n", "y\n", "yes please\n", ""] {
            let (code, told) = type_into_down(&db, answer).await;
            assert_eq!(code, Some(1), "{answer:?}: {told}");
            for words in ["Type yes to go on: ", "nothing was taken back"] {
                assert!(told.contains(words), "{answer:?}: {told}");
            }
            assert!(migrate(&db, &["status"]).await.status.success(), "{answer:?}");
        }
        let (code, told) = type_into_down(&db, "yes\n").await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("Type yes to go on: ") && told.contains("took back m"), "{told}");
        assert_eq!(migrate(&db, &["status"]).await.status.code(), Some(3));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_a_long_reader_holds_is_waited_for_without_holding_others_up() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let (reader, other, migrating) = (db.connect().await, db.connect().await, db.connect().await);
    migration::up(&migrating, Some(1)).await.unwrap();
    let long = reader.begin().await.unwrap();
    let look = "SELECT count(*) FROM generation_jobs";
    long.execute_unprepared(look).await.unwrap();
    let migrated = tokio::spawn(async move { migration::up(&migrating, None).await });
    let waits = "SELECT pid::text FROM pg_locks WHERE NOT granted AND relation = 'generation_jobs'::regclass";
    within(async {
        while db.texts(waits).await.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let began = Instant::now();
    other.execute_unprepared(look).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(!migrated.is_finished());
    long.commit().await.unwrap();
    within(migrated).await.unwrap().unwrap();
}

/// A migration after all others that builds an index beside those who write.
fn with_a_build() -> Migrator {
    const BUILDS: &[Build] = &[Build {
        index: "idx_generation_features_description",
        statement: "CREATE INDEX CONCURRENTLY idx_generation_features_description ON generation_features(description)",
    }];
    let scripts = |up| Scripts {
        up,
        down: "DROP INDEX idx_generation_features_description",
    };
    let build = Migration {
        name: "m0800_build",
        least_program: "0.1.0",
        postgres: scripts(Change::Builds(BUILDS)),
        sqlite: scripts(Change::Script("SELECT 1")),
    };
    Migrator {
        migrations: [MIGRATIONS, &[build]].concat().leak(),
        settings: Settings::default(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_built_outside_of_the_transaction_and_over_what_a_broken_build_has_left() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let connection = db.connect().await;
    migration::up(&connection, None).await.unwrap();
    let twice = "INSERT INTO generation_features (name, category, description) VALUES ('a', 'image', 'x'), ('b', 'image', 'x')";
    connection.execute_unprepared(twice).await.unwrap();
    let broken = "CREATE UNIQUE INDEX CONCURRENTLY idx_generation_features_description ON generation_features(description)";
    connection.execute_unprepared(broken).await.unwrap_err();
    let valid = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = to_regclass('idx_generation_features_description')";
    assert_eq!(db.texts(valid).await, ["false"]);

    let migrator = with_a_build();
    migrator.up(&connection, None).await.unwrap();
    assert_eq!(db.texts(valid).await, ["true"]);
    migrator.up(&connection, None).await.unwrap();

    migrator.down(&connection, 1).await.unwrap();
    assert!(db.texts(valid).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_together_wait_for_a_build_and_do_not_hinder_it() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let mut migrations = Vec::new();
    for _ in 0..5 {
        let connection = db.connect().await;
        migrations.push(tokio::spawn(async move {
            with_a_build().up(&connection, None).await
        }));
    }
    for migrated in migrations {
        within(migrated).await.unwrap().unwrap();
    }
}

/// What a newer program leaves in the database, with the least program that it names.
async fn record_newer(db: &TestDatabase, least: Option<&str>) {
    let mut statements = "DELETE FROM seaql_migrations WHERE version = 'm0900_later';
        DELETE FROM atelier_migrations WHERE version = 'm0900_later';
        INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0900_later', 4000000000);"
        .to_owned();
    if let Some(least) = least {
        statements.push_str(&format!(
            "INSERT INTO atelier_migrations (version, least_program) VALUES ('m0900_later', '{least}')"
        ));
    }
    db.execute(&statements).await;
}

async fn migrate(db: &TestDatabase, arguments: &[&str]) -> Output {
    let settings = ["--set", "identity.provision_users=true"];
    run(atelier(db, &[&["migrate"], arguments, &settings].concat())).await
}

/// Takes the latest migration back at a terminal, where somebody types this. How it ends, and what the terminal shows.
async fn type_into_down(db: &TestDatabase, answer: &'static str) -> (Option<i32>, String) {
    let command = atelier(db, &["migrate", "down"]);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.display())).collect();
    let mut terminal = Command::new("script");
    terminal
        .args([
            "--quiet",
            "--return",
            "--command",
            &words.join(" "),
            "/dev/null",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let typed = tokio::task::spawn_blocking(move || {
        let mut terminal = terminal.spawn().unwrap();
        let mut keyboard = terminal.stdin.take().unwrap();
        keyboard.write_all(answer.as_bytes()).unwrap();
        drop(keyboard);
        terminal.wait_with_output().unwrap()
    });
    let output = within(typed).await.unwrap();
    (output.status.code(), text(&output.stdout))
}

/// A server that is not expected to start.
async fn serve(db: &TestDatabase) -> Output {
    run(atelier(db, &["serve", "--listen", "127.0.0.1:0"])).await
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
